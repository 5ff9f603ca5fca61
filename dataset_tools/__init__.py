"""Rows in, clean examples out: reading, formats, checks, rendering and splits. It never imports torch."""

from dataset_tools.dataset import Dataset, load_examples
from dataset_tools.errors import (
    DataError,
    DiskFullError,
    DocumentsError,
    FittingRoomError,
    LeakError,
    ModelError,
    RunError,
    UsageError,
)
from dataset_tools.example import ROLES, Example, Message, Split
from dataset_tools.formats import schema, schema_names
from dataset_tools.lint import lint
from dataset_tools.paths import resolve_inside
from dataset_tools.reading import Problem, Row, Source, read_source
from dataset_tools.rendering import Rendered, render
from dataset_tools.report import Finding, Report
from dataset_tools.similarity import NearDuplicates, common_affixes, normalise, strip_affixes
from dataset_tools.splitting import split
from dataset_tools.task_type import TaskTypeGuess, detect_task_type
from dataset_tools.writing import append_jsonl_line, write_bytes_atomically, write_jsonl, write_text_atomically

__all__ = [
    "ROLES",
    "DataError",
    "Dataset",
    "DiskFullError",
    "DocumentsError",
    "Example",
    "Finding",
    "FittingRoomError",
    "LeakError",
    "Message",
    "ModelError",
    "NearDuplicates",
    "Problem",
    "Rendered",
    "Report",
    "Row",
    "RunError",
    "Source",
    "Split",
    "TaskTypeGuess",
    "UsageError",
    "append_jsonl_line",
    "common_affixes",
    "detect_task_type",
    "lint",
    "load_examples",
    "normalise",
    "read_source",
    "render",
    "resolve_inside",
    "schema",
    "schema_names",
    "split",
    "strip_affixes",
    "write_bytes_atomically",
    "write_jsonl",
    "write_text_atomically",
]
