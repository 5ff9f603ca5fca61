"""What an export tells: how it was proven, what it holds, and the error of one that failed. Data alone, no work."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dataset_tools.errors import RunError


class ExportError(RunError):
    """An export failed: it cannot be made, or what was made was loaded again and is not what it should be."""


@dataclass(frozen=True)
class Fidelity:
    """How near an artefact comes to a model that it is held against, on the same rows. Shares are from 0 to 1."""

    next_token: float
    """Share of the answers' tokens at which both put the same token first, given the same tokens before."""
    divergence: float
    """Mean Kullback-Leibler divergence of the next token, in nats, over answers and prompts; 0 where both agree."""
    tokens: int
    """The answers' tokens, as the other model wrote them."""
    same_answers: float | None = None
    """Share of greedy answers that are the same, token for token; None where only one of the two answered."""
    common_prefix: float | None = None
    """Mean share of an answer's tokens up to where the two first differ."""


@dataclass(frozen=True)
class Scores:
    """The task's metric on the same rows, in 0..1: the adapter as it was trained, and the artefact."""

    adapter: float
    artefact: float
    interval: tuple[float, float]
    """95% interval of artefact - adapter, row against row."""


@dataclass(frozen=True)
class Proof:
    """What was done to prove an artefact, and what came out. There is none for an artefact that failed."""

    engine: str
    """What loaded and ran the file."""
    rows: int
    held_out: bool
    """Whether the rows were kept from training."""
    against_adapter: Fidelity
    """Against the adapter on the base that it was trained on (in 4 bits for QLoRA)."""
    against_16_bit: Fidelity | None
    """Against the adapter on the base's 16-bit weights, not merged; None for an adapter."""
    scores: Scores | None
    """None where no metric was given."""
    checks: tuple[str, ...]
    """What was read back from the files and found right, in words."""


@dataclass(frozen=True)
class ExportReport:
    """A proven export."""

    kind: str
    """"adapter", "merged" or "gguf"."""
    run: str
    folder: Path
    files: dict[str, int]
    """Name -> bytes, all files of the folder."""
    proof: Proof
    quantization: str | None = None
    notes: tuple[str, ...] = ()
    """What its user should know, in words."""
    serving: str = ""
    """How it is served: commands and a short script, as they stand in its README.md."""

    @property
    def bytes(self) -> int:
        """Size on the disk."""
        return sum(self.files.values())

    def to_dict(self) -> dict[str, Any]:
        """Plain data, for ``--json`` and for the folder's export.json."""
        return {
            "kind": self.kind,
            "run": self.run,
            "folder": str(self.folder),
            "quantization": self.quantization,
            "bytes": self.bytes,
            "files": self.files,
            "proof": asdict(self.proof),
            "notes": list(self.notes),
            "serving": self.serving,
        }
