"""All fixes over a whole file: what becomes of each record, as often as it is asked, in memory that does not grow.

The order is: the text of broken lines, then the fixes of single rows in the order of the catalogue, round by round
until the row stays as it is, then the checks that compare rows with each other. These look at the rows as they are by
then, and what they drop or change is decided in passes of its own before the one that counts.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from dataset_tools.checks import DatasetCheck, ExampleView
from dataset_tools.checks.base import Hit, Observer, RowObserver, Setting
from dataset_tools.example import Example
from dataset_tools.fixes.catalogue import RowsFix, mend_id, needed_for, with_row_fix
from dataset_tools.fixes.opened import Opened, told_format
from dataset_tools.fixes.rows import Mended, Row, RowFix, RowFixer, Step, apply_fix, line_of, row_fix
from dataset_tools.fixes.segments import Segment, segments
from dataset_tools.reading import Problem

MAX_PASSES = 10  # of the checks of the whole file; each round drops rows, and near-copies rarely make a second
MAX_FORMATS = 8  # that a file can be told to have, one after the other, as its rows are mended
SAMPLE_ROWS = 5_000  # rows that tell the kind of task, as in lint
_TEXT_CHECKS = frozenset({"invalid-json", "lone-surrogate"})
NOT_READ = "not-an-object"
_ROOM = 65_536  # rows


@dataclass(frozen=True, slots=True)
class Piece:
    """One row of a record as it comes out: its line without a line end, and why it is dropped, if it is."""

    number: int
    value: Row
    line: bytes
    steps: tuple[Step, ...]
    dropped: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What becomes of a record: the repair of its text, if it took one, and its rows.

    A record that cannot be read, or is no object, has no rows but a reason (the check and its message).
    """

    segment: Segment
    before: bytes
    repaired: tuple[Step, ...] = ()
    pieces: tuple[Piece, ...] = ()
    unread: tuple[str, str] | None = None
    left: tuple[str, ...] = ()

    @property
    def kept(self) -> tuple[bytes, ...]:
        """The lines that are written for the record."""
        return tuple(piece.line for piece in self.pieces if piece.dropped is None)

    @property
    def is_touched(self) -> bool:
        """Whether the record does not come out as it went in."""
        return self.kept != (self.before,)


class _Mend(NamedTuple):
    """A fix of a row that a check of the whole file asked for, and what the check said."""

    name: str
    message: str
    fix: RowFix


@dataclass(slots=True)
class _Decisions:
    """What the checks of the whole file want, by the number of the row."""

    drops: dict[int, tuple[str, str]] = field(default_factory=dict)
    mends: dict[int, list[_Mend]] = field(default_factory=dict)
    left: dict[int, list[str]] = field(default_factory=dict)  # the checks that strike and whose fix does not help


class FixJob:
    """The chosen fixes on an opened file.

    Args:
        opened: The file.
        chosen: The ids of the fixes (`dataset_tools.fixes.catalogue`).
        drop_bad: Drop the rows that still have an error when all fixes are done.
        progress: Called with the number of records seen, now and then.

    Attributes:
        shuffled_for: The fix that wants the rows in another order once they are written, and what its check said; known
            when `outcomes` was called.
    """

    def __init__(
        self,
        opened: Opened,
        chosen: Collection[str],
        *,
        drop_bad: bool = False,
        progress: Callable[[int], None] | None = None,
    ) -> None:
        self._opened, self._chosen, self._drop_bad = opened, frozenset(chosen), drop_bad
        self._progress = progress
        self._phases = [[RowFixer(opened, self._chosen)]]
        self._decisions = _Decisions()
        self._whole: dict[str, list[RowsFix]] = {}  # the fixes of checks of the whole file, by the check
        for fix in with_row_fix(self._chosen):
            if isinstance(fix.check, DatasetCheck):
                self._whole.setdefault(fix.check.id, []).append(fix)
        self._decided = False
        self._clean = bytearray()  # by the number of the row: 1 where no fix of single rows has anything to do
        self.shuffled_for: tuple[str, str] | None = None

    def decide(self, name: str, decide: Callable[[Example], RowFix | str | None]) -> None:
        """Let a caller say what becomes of rows: a function that changes one, or why it is dropped; None leaves it.

        Args:
            name: what the log calls these changes.
            decide: asked of each good row; its record is the number of the row.
        """
        for example in (view.example for view in self._views()):
            wanted = decide(example)
            if isinstance(wanted, str):
                self._decisions.drops[example.record] = (name, wanted)
            elif wanted is not None:
                self._decisions.mends.setdefault(example.record, []).append(_Mend(name, "", wanted))

    def outcomes(self, note: Callable[[Problem], None]) -> Iterator[Outcome]:
        """What becomes of each record, in order. Problems of the file as a whole go to ``note``."""
        if not self._decided:
            self._settle()
            self._decided = True
        return self._pass(note)

    def _settle(self) -> None:
        """Decide what the checks of the whole file want, and which formats the rows have on the way.

        Mended rows can be in another format (their keys were named anew), and so can most of those that are left when
        some are dropped. Other checks speak of them then. What was dropped before stays so.
        """
        for _ in range(MAX_FORMATS if with_row_fix(self._chosen) or self._drop_bad else 0):
            values = self._kept_values if len(self._phases) > 1 else self._mended_values
            for _ in range(MAX_FORMATS if self._last.mends else 0):
                fixer = self._fixer_of_another_format(values)
                if fixer is None:
                    break
                self._phases[-1].append(fixer)
                self._clean.clear()
            self._decide()
            fixer = self._fixer_of_another_format(self._kept_values)
            if fixer is None:
                break
            self._phases.append([fixer])
            self._clean.clear()

    @property
    def _last(self) -> RowFixer:
        return self._phases[-1][-1]

    def _fixer_of_another_format(self, values: Callable[[], Iterator[Row]]) -> RowFixer | None:
        """A fixer for the format that most rows have now; None where they have the same as before."""
        found = told_format(values, columns=self._opened.columns)
        if found is None or found == self._opened.detected:
            return None
        self._opened = self._opened.as_format(found)
        return RowFixer(self._opened, self._chosen)

    def _mended_values(self) -> Iterator[Row]:
        for outcome in self._silent():
            for piece in outcome.pieces:
                yield piece.value

    def _kept_values(self) -> Iterator[Row]:
        return (piece.value for _, piece in self._kept())

    def _kept(self) -> Iterator[tuple[Outcome, Piece]]:
        """The rows that are kept so far."""
        for outcome in self._silent():
            for piece in outcome.pieces:
                if piece.dropped is None:
                    yield outcome, piece

    def _decide(self) -> None:
        """Ask the checks of the whole file until they have nothing more to say."""
        for _ in range(MAX_PASSES if self._whole and self._opened.format else 0):
            setting = self._opened.needs.setting(self._opened.format, self._opened.stream.columns)
            setting.read_again = self._read_again
            setting.every_place = True
            every = [(check, hit) for check, hits in self._observed(setting) for hit in hits]
            found = [(check.id, hit) for check, hit in every if hit.record is not None]
            wanted = ((check.id, hit.message) for check, hit in every if check.fix and check.fix.shuffle)
            self.shuffled_for = next(wanted, None)
            if not self._take(found, setting):
                return

    def _take(self, found: Sequence[tuple[str, Hit]], setting: Setting) -> bool:
        """Note what checks want with rows; whether any of it is new. Nothing is dropped while rows can be mended."""
        decisions = self._decisions
        asked = {check for check, _ in found}
        ways = {check: [(way.id, row_fix(way.fix, setting)) for way in self._whole[check]] for check in asked}
        rest = [(check, hit) for check, hit in found if not self._take_mend(hit, ways[check])]
        decisions.left = {}
        if len(rest) < len(found):
            return True
        new = False
        for check, hit in rest:
            number = hit.record or 0
            drop = next((name for name, fix in ways[check] if fix is None), None)
            if drop is None or not hit.fixable:
                decisions.left.setdefault(number, []).append(check)
            elif number not in decisions.drops:
                decisions.drops[number] = (drop, hit.message)
                new = True
        return new

    def _take_mend(self, hit: Hit, ways: Sequence[tuple[str, RowFix | None]]) -> bool:
        """Note a function that may mend the row; whether there is one that was not tried for the same reason."""
        wanted = self._decisions.mends.get(hit.record or 0, [])
        tried = {(mend.name, mend.message) for mend in wanted}
        for name, fix in ways:
            if fix is not None and hit.fixable and (name, hit.message) not in tried:
                self._decisions.mends.setdefault(hit.record or 0, []).append(_Mend(name, hit.message, fix))
                return True
        return False

    def _observed(self, setting: Setting) -> Iterator[tuple[DatasetCheck, Iterator[Hit]]]:
        checks = [fixes[0].check for fixes in self._whole.values()]
        met = [
            check
            for check in checks
            if isinstance(check, DatasetCheck) and all(getattr(setting, need) is not None for need in check.needs)
        ]
        observers: dict[type[Observer], Observer] = {
            check.observer: setting.share(check.observer) for check in met if check.observer is not None
        }
        see_rows = [observer.see_row for observer in observers.values() if isinstance(observer, RowObserver)]
        for outcome, piece in self._kept():
            for see_row in see_rows:
                see_row(outcome.segment.line, piece.number, piece.value)
            view = self._view(outcome, piece)
            if view is None:
                continue
            for observer in observers.values():
                observer.see(view)
            setting.usable += 1
            if len(setting.views) < SAMPLE_ROWS:
                setting.views.append(view)
        setting.rows = setting.usable
        for check in met:
            yield check, iter(check.run(setting if check.observer is None else observers[check.observer]))

    def _views(self) -> Iterator[ExampleView]:
        """The good rows that are kept so far; their record is the number of the row."""
        for outcome, piece in self._kept():
            view = self._view(outcome, piece)
            if view is not None:
                yield view

    def _view(self, outcome: Outcome, piece: Piece) -> ExampleView | None:
        return self._last.view(piece.value, line=outcome.segment.line, record=piece.number)

    def _read_again(self, numbers: set[int]) -> Iterator[Example]:
        last = max(numbers, default=0)
        for view in self._views():
            if view.record > last:
                return
            if view.record in numbers:
                yield view.example

    def _silent(self) -> Iterator[Outcome]:
        """A pass whose problems are told in another."""
        return self._pass(lambda problem: None)

    def _pass(self, note: Callable[[Problem], None]) -> Iterator[Outcome]:
        number = 0
        for count, segment in enumerate(segments(self._opened.stream, note)):
            if self._progress is not None and count % 5_000 == 0:
                self._progress(count)
            outcome = self._outcome(segment, number)
            number += len(outcome.pieces)
            yield outcome

    def _outcome(self, segment: Segment, number: int) -> Outcome:
        """What becomes of one record; ``number`` rows came before it."""
        before = segment.raw if segment.raw is not None else line_of(segment.value)
        problem = segment.problem
        if segment.twice or (problem is not None and problem.check in _TEXT_CHECKS):
            found = segment.repaired
            if found is not None and self._chosen.issuperset(needed_for(found)):
                lines = tuple(line_of(row) for row in found.rows)
                ids = dict.fromkeys(needed_for(found) + tuple(mend_id(mend) for mend in found.mends))
                steps = tuple(Step(name, before, lines) for name in ids)
                rows = list(zip(found.rows, lines, strict=True))
                return self._rows_of(segment, before, rows, number, repaired=steps)
        if problem is not None:
            return Outcome(segment, before, unread=(problem.check, problem.message))
        if not isinstance(segment.value, dict):
            return Outcome(segment, before, unread=(NOT_READ, "the row is no object"))
        return self._rows_of(segment, before, [(segment.value, before)], number)

    def _rows_of(
        self,
        segment: Segment,
        before: bytes,
        rows: Sequence[tuple[Row, bytes]],
        number: int,
        *,
        repaired: tuple[Step, ...] = (),
    ) -> Outcome:
        pieces: list[Piece] = []
        left: list[str] = []
        for value, line in rows:
            number += 1
            done = self._mended(value, number)
            dropped = done.dropped or self._decisions.drops.get(number) or self._error(done)
            if dropped is None:
                left += done.left
            steps = tuple(done.steps)
            if steps:  # the first one starts from the text as it stands in the file
                steps = (replace(steps[0], before=line), *steps[1:])
                line = line_of(done.value)
            pieces.append(Piece(number, done.value, line, steps, dropped))
        return Outcome(segment, before, repaired, tuple(pieces), left=tuple(left))

    def _mended(self, value: Row, number: int) -> Mended:
        done = Mended(value)
        fixes, left = self._decisions.mends.get(number, []), self._decisions.left.get(number, [])
        if not fixes and not left and number < len(self._clean) and self._clean[number]:
            return done
        for phase in self._phases:
            for fixer in phase:
                fixer.mend(done)
            if fixes and phase is self._phases[-1]:
                for mend in fixes:
                    apply_fix(mend.name, mend.fix, done)
                phase[-1].mend(done)
            phase[-1].drop(done)
            if done.dropped is not None:
                break
        done.left += left
        if not (done.steps or done.left or done.dropped or fixes):
            self._remember(number)
        return done

    def _remember(self, number: int) -> None:
        """A row that is as it should be need not be looked at in the next pass."""
        if number >= len(self._clean):
            self._clean.extend(bytes(max(number + 1 - len(self._clean), _ROOM)))
        self._clean[number] = 1

    def _error(self, done: Mended) -> tuple[str, str] | None:
        return self._last.error(done.value) if self._drop_bad else None
