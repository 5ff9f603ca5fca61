"""Exports: an adapter, a merged model or a GGUF file, each loaded again and proven before it takes its place."""

from training.export.exporting import KINDS, export
from training.export.gguf import QUANTIZATIONS
from training.export.hub import check_repo_id, push
from training.export.report import ExportError, ExportReport, Fidelity, Proof, Scores

__all__ = [
    "KINDS",
    "QUANTIZATIONS",
    "ExportError",
    "ExportReport",
    "Fidelity",
    "Proof",
    "Scores",
    "check_repo_id",
    "export",
    "push",
]
