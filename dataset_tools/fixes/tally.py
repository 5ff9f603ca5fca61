"""Counts what fixes do to the records of a file, and keeps some of them before and after. It decides nothing else."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from dataset_tools.errors import UsageError
from dataset_tools.fixes.catalogue import BETWEEN_ROWS, EQUAL_COLUMNS, KINDS, FixKind
from dataset_tools.fixes.job import Outcome
from dataset_tools.reading import Problem, RowStream

SAMPLES = 5  # diffs shown of each fix
UNREAD_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Diff:
    """One record before and after: the text as it stands in the file, and the JSON of its rows (none if dropped)."""

    line: int
    record: int
    before: str
    after: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PlannedFix:
    """One fix and what it would do: how much it touches, some of it before and after, and what reading said."""

    id: str
    check: str
    what: str
    safe: bool
    count: int
    samples: tuple[Diff, ...]
    note: str | None = None

    @property
    def scope(self) -> str:
        """What ``count`` counts, in words: ``drops 3 rows``."""
        kind = KINDS.get(self.id) or FixKind(self.id, self.check, self.what, self.safe)
        return kind.scope(self.count)


@dataclass(frozen=True, slots=True)
class Unread:
    """A record that would go to the rejects because it cannot be read, or is no object."""

    line: int
    record: int
    check: str
    reason: str


@dataclass(slots=True)
class Tally:
    """Counts what a job does; ``consent`` are the fixes that were named, or None where nothing is written."""

    stream: RowStream
    consent: frozenset[str] | None = None
    records: int = 0
    rows: int = 0
    unread: int = 0
    unread_shown: list[Unread] = field(default_factory=list)
    left: Counter[str] = field(default_factory=Counter)
    _counts: Counter[str] = field(default_factory=Counter)
    _samples: dict[str, list[Diff]] = field(default_factory=dict)
    _notes: dict[str, str] = field(default_factory=dict)

    def note(self, problem: Problem) -> None:
        """Count a problem of the file as a whole: writing the rows anew takes it away."""
        name = {"invalid-json": BETWEEN_ROWS, "duplicate-keys": EQUAL_COLUMNS}.get(problem.check, problem.check)
        if name not in KINDS:
            return
        self._counts[name] += 1
        self._notes.setdefault(name, problem.message)
        if self.consent is not None and name not in self.consent and not self._is_safe(name):
            raise UsageError(
                "this has to be confirmed before the file can be written anew",
                where=str(self.stream.path),
                found=problem.message,
                expected=f"the fix {name!r} among those to be made",
                next_step=f"look at some rows, then name {name!r} too",
            )

    def add(self, outcome: Outcome) -> None:
        """Count what becomes of a record."""
        self.records += 1
        self.rows += len(outcome.kept)
        self.left.update(set(outcome.left))
        segment = outcome.segment
        if outcome.unread is not None:
            self.unread += 1
            if len(self.unread_shown) < UNREAD_SHOWN:
                self.unread_shown.append(Unread(segment.line, segment.record, *outcome.unread))
            return
        steps = [*outcome.repaired, *(step for piece in outcome.pieces for step in piece.steps)]
        diffs = [(step.id, step.before, step.after) for step in steps]
        diffs += [(piece.dropped[0], piece.line, ()) for piece in outcome.pieces if piece.dropped]
        for name in dict.fromkeys(name for name, _, _ in diffs):
            self._counts[name] += 1
        for name, before, after in diffs:
            samples = self._samples.setdefault(name, [])
            if len(samples) < SAMPLES:
                texts = tuple(line.decode() for line in after)
                samples.append(Diff(segment.line, segment.record, before.decode(), texts))

    def shuffle(self, name: str, message: str) -> None:
        """Count a fix that puts all rows in another order."""
        self._counts[name] += self.rows
        self._notes.setdefault(name, message)

    def counts(self) -> dict[str, int]:
        """How many records each fix touched, in the order of the catalogue."""
        known = {name: self._counts[name] for name in KINDS if self._counts[name]}
        return known | {name: count for name, count in self._counts.items() if name not in KINDS}

    def planned(self) -> tuple[PlannedFix, ...]:
        """The fixes that touch something, in the order of the catalogue."""
        return tuple(
            PlannedFix(
                id=name,
                check=KINDS[name].check,
                what=KINDS[name].what,
                safe=self._is_safe(name),
                count=count,
                samples=tuple(self._samples.get(name, ())),
                note=self._notes.get(name),
            )
            for name, count in self.counts().items()
        )

    def _is_safe(self, name: str) -> bool:
        """An encoding that the bytes tell for certain, or that the user named, needs no confirmation."""
        stream = self.stream
        told = stream.reading.encoding is not None or stream.encoding.startswith(("utf-16", "utf-32"))
        return KINDS[name].safe or (name == "encoding" and told)
