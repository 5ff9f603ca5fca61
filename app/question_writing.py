"""Questions out of a project's documents, written by a model in the background; what was done is in the draft folder.

The candidates go into the draft with each batch, and ``questions.json`` says which passages were read. So nothing is
lost when the page or the server goes away, and a passage is asked about once.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Literal

from app.drafts import draft_of
from app.jobs import Job
from app.workspace import Project, StoredFile
from dataset_tools import DocumentsError, FittingRoomError, UsageError, write_text_atomically
from dataset_tools.building import (
    CHECKS,
    Document,
    DraftRow,
    Generate,
    QuestionSettings,
    Section,
    add_candidates,
    passages,
    read_document,
    write_questions,
)
from dataset_tools.building.draft import reason_kinds

BY_HAND = "by-hand"  # the reason of candidates that a person rejected
_BATCH = 4  # passages that are read together, and saved together
_PLACE = re.compile(r"(.*), (?:line|page|paragraph) \d+(?: \((.*)\))?", re.DOTALL)  # as `Section.where` writes it
RunState = Literal["none", "running", "done", "stopped", "failed", "interrupted"]


class StopWritingError(Exception):
    """Raised inside the model's work to end it at once; the passages of that batch count as unread."""


@dataclass(frozen=True)
class Source:
    """A document of the project: what was read of it, or why nothing was."""

    stored: StoredFile
    removable: bool
    sections: tuple[Section, ...] = ()
    problems: tuple[str, ...] = ()
    kind: str = ""


@dataclass(frozen=True)
class Writing:
    """How the last run went. ``read`` are the keys of all passages that were ever asked about."""

    read: frozenset[str] = frozenset()
    state: RunState = "none"
    done: int = 0
    total: int = 0
    empty: int = 0
    model: str = ""
    error: dict[str, str | None] | None = None

    @classmethod
    def load(cls, project: Project) -> Writing:
        """The state of a project; the empty one where there is none that can be read."""
        try:
            values = json.loads((project.draft_folder / "questions.json").read_text("utf-8"))
            return cls(**{**values, "read": frozenset(values["read"])})
        except (OSError, ValueError, TypeError, KeyError):
            return cls()

    def save(self, project: Project) -> None:
        """Keep it in the project's folder."""
        values = {**asdict(self), "read": sorted(self.read)}
        write_text_atomically(project.draft_folder / "questions.json", json.dumps(values))


def sources(project: Project) -> list[Source]:
    """The project's documents, then those that were brought for building."""
    own = [_source(project, stored, removable=False) for stored in project.documents]
    return own + [_source(project, stored, removable=True) for stored in project.draft_documents]


def _source(project: Project, stored: StoredFile, *, removable: bool) -> Source:
    try:
        document = _read(project.path_of(stored), stored.name)
    except (DocumentsError, UsageError) as error:
        ending = Path(stored.name).suffix or "a name without an ending"
        found = ending if error.found == project.path_of(stored).suffix else error.found
        return Source(stored, removable, problems=(f"{error.what}: {found}" if found else error.what,))
    return Source(stored, removable, passages(document), document.problems, document.kind)


@lru_cache(maxsize=256)
def _read(path: Path, name: str) -> Document:
    """A document of a project. Such files never change, so what was read is kept."""
    return read_document(path, name=name)


def unread(project: Project, documents: Sequence[Source]) -> list[Section]:
    """The passages that no model was asked about yet."""
    read = Writing.load(project).read
    return [section for document in documents for section in document.sections if key_of(section) not in read]


def key_of(section: Section) -> str:
    """What a passage is remembered by."""
    return hashlib.sha256(f"{section.where}\n{section.text}".encode("utf-8", "replace")).hexdigest()[:16]


def drawn(sections: Sequence[Section], count: int, *, seed: int = 0) -> list[Section]:
    """So many of the passages, from all over the documents, in their order."""
    places = random.Random(seed).sample(range(len(sections)), min(count, len(sections)))
    return [sections[place] for place in sorted(places)]


def write(
    project: Project, job: Job, generate: Generate, *, chosen: Sequence[Section], settings: QuestionSettings, model: str
) -> None:
    """Have questions written about the passages, and put them into the draft as they come.

    Args:
        project: The project.
        job: Is told how far it is, and asked whether to stop.
        generate: The model.
        chosen: The passages.
        settings: How many questions, and how they are checked.
        model: The model's name, for people.

    Raises:
        FittingRoomError: what went wrong; what there was before is kept, and the state says so.
    """
    draft, keys = draft_of(project), [key_of(section) for section in chosen]
    before = Writing.load(project)
    state = Writing(before.read, "running", 0, len(chosen), model=model)
    state.save(project)
    job.total = len(chosen)

    def progress(done: int, total: int) -> None:
        nonlocal state
        job.done = done
        state = replace(state, done=done, read=before.read | set(keys[:done]))
        state.save(project)

    known = [row.example for row in draft.rows() if row.status != "rejected"]
    try:
        found = write_questions(
            chosen,
            generate,
            settings=replace(settings, batch=_BATCH),
            known=known,
            save=lambda candidates: add_candidates(draft, candidates),
            progress=progress,
            stop=lambda: job.stopping,
        )
    except StopWritingError:
        replace(state, state="stopped").save(project)
        return
    except FittingRoomError as error:
        parts = {name: value for name, value in error.to_dict().items() if name != "kind"}
        replace(state, state="failed", error=parts).save(project)
        raise
    ended: RunState = "done" if found.passages == found.of else "stopped"
    replace(state, state=ended, empty=found.empty).save(project)


def state_now(project: Project, job: Job | None) -> Writing:
    """How the last run stands. One that says it runs, without a job in this server, was cut off."""
    state = Writing.load(project)
    if job is not None and job.running:
        return replace(state, state="running", done=job.done, total=job.total or state.total)
    return replace(state, state="interrupted") if state.state == "running" else state


def candidates_of(rows: Sequence[DraftRow]) -> list[DraftRow]:
    """The rows that were made from a passage."""
    return [row for row in rows if row.passage is not None]


def outcome(candidates: Sequence[DraftRow]) -> str:
    """What came of the documents so far, in a sentence or two."""
    counts = Counter(row.status for row in candidates)
    rejected = [row for row in candidates if row.status == "rejected"]
    why = Counter(reason_kinds(row.reason)[0] if row.reason else BY_HAND for row in rejected)
    said = [f"{count} {CHECKS[check]}" for check, count in why.most_common() if check in CHECKS]
    by_hand = sum(count for check, count in why.items() if check not in CHECKS)
    said += [f"{by_hand} by you"] if by_hand else []
    parts = f"{len(candidates)} candidates so far: {counts['accepted']} accepted, {counts['pending']} waiting for you, "
    return f"{parts}{counts['rejected']} rejected" + (f" ({', '.join(said)})." if said else ".")


def support(row: DraftRow) -> float:
    """The share of the answer's content words that are in its passage, as when it was checked (0 to 1)."""
    return _support(row.passage or "", row.place or "", row.example.completion)


@lru_cache(maxsize=20_000)
def _support(passage: str, place: str, answer: str) -> float:
    from dataset_tools.building.support import PassageWords

    return PassageWords(f"{_titles(place)}\n{passage}").support(answer).score


def _titles(place: str) -> str:
    """``guide.md, line 12 (Setup > Linux)`` -> what may be in an answer: the name and the headings, not the number."""
    found = _PLACE.fullmatch(place)
    return "\n".join(part for part in found.groups() if part) if found else place


def picked(
    candidates: Sequence[DraftRow], *, status: str = "", reason: str = "", least_support: float = 0.0
) -> list[DraftRow]:
    """The candidates that fit a filter; an empty one fits all."""
    tests: list[Callable[[DraftRow], bool]] = []
    if status:
        tests.append(lambda row: row.status == status)
    if reason:
        tests.append(lambda row: reason in reason_kinds(row.reason or ""))
    if least_support > 0:
        tests.append(lambda row: support(row) >= least_support)
    return [row for row in candidates if all(test(row) for test in tests)]
