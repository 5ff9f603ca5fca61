"""What every step of one export needs: the run, its model's own answers to the rows, and where answers stop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dataset_tools.rendering import render
from training.export.loading import load_as_trained
from training.export.proof import Reference, take_reference
from training.export.source import Source
from training.generation import stop_tokens
from training.models.loading import load_tokenizer
from training.scoring import Scorer

Tell = Callable[[str], None]
# An answer may be twice as long as the longest wanted one; longer ones are cut off, and never longer than this.
_LONGEST_ANSWER = 256


@dataclass(frozen=True)
class Job:
    """What every step of an export needs."""

    source: Source
    folder: Path
    """Where the export is made."""
    scratch: Path
    tokenizer: Any
    reference: Reference
    stops: tuple[int, ...]
    """Tokens that end an answer, the one that was trained first."""
    scorer: Scorer | None
    tell: Tell
    name: str


def prepare(source: Source, folder: Path, scratch: Path, *, scorer: Scorer | None, tell: Tell, name: str) -> Job:
    """Load the run's model as it was trained and have it answer the rows."""
    tell("loading the model as it was trained")
    tokenizer = load_tokenizer(source.base.name)
    loaded = load_as_trained(source, tokenizer=tokenizer)
    wanted = [render(row, tokenizer) for row in source.rows]
    longest = max((row.trained for row in wanted), default=32)
    tell(f"answering {len(source.rows)} rows as it was trained")
    limit = min(2 * longest + 8, _LONGEST_ANSWER)
    reference = take_reference(loaded, source.rows, held_out=source.held_out, max_new_tokens=limit, scorer=scorer)
    trained = reference.rendered[0].ids[-1]
    stops = (trained, *sorted(stop_tokens(loaded.model, tokenizer) - {trained}))
    return Job(source, folder, scratch, tokenizer, reference, stops, scorer, tell, name)
