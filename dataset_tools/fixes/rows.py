"""One row and its fixes: which checks strike, and the row when all that can be mended is. Whole files are not known."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field

from dataset_tools.checks import CHECKS, Check, DatasetCheck, ExampleCheck, ExampleView, RowCheck, RowView, Setting
from dataset_tools.checks.fix import Fix
from dataset_tools.example import Example
from dataset_tools.fixes.catalogue import RowsFix, with_row_fix
from dataset_tools.fixes.opened import Opened
from dataset_tools.formats.base import explain, group_of
from dataset_tools.writing import json_line

MAX_ROUNDS = 20  # of all fixes over one row; two that undo each other would go on for ever
Row = Mapping[str, object]
Find = Callable[[ExampleView], Iterable[str]]
RowFix = Callable[[Row], Row | None]


@dataclass(frozen=True, slots=True)
class Step:
    """One fix of one row: its id, and the text before and after."""

    id: str
    before: bytes
    after: tuple[bytes, ...]


@dataclass(slots=True)
class Mended:
    """A row after its fixes, the steps there, the checks that still strike, and why it is dropped, if it is."""

    value: Row
    steps: list[Step] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    dropped: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class _Look:
    """A row as the checks see it; nothing is to be said of the shape of a ``plain`` one."""

    value: Row
    converts: bool
    row: RowView
    view: ExampleView | None
    foreign: bool = False
    plain: bool = False


class RowFixer:
    """Runs the chosen fixes on rows of one file, and tells which errors a row has."""

    def __init__(self, opened: Opened, chosen: Collection[str]) -> None:
        self._opened = opened
        self._setting = opened.needs.setting(opened.format)
        self._find: dict[str, Find] = {}
        self._row_fix: dict[str, RowFix] = {}
        fixes = [fix for fix in with_row_fix(chosen) if not isinstance(fix.check, DatasetCheck)]
        self._mending = [fix for fix in fixes if not fix.fix.drop]
        self._dropping = [fix for fix in fixes if fix.fix.drop]
        self._good_row = [check for check in CHECKS if isinstance(check, RowCheck) and check.on_good_rows]
        self._mending_examples = [fix for fix in self._mending if isinstance(fix.check, ExampleCheck)]
        self._dropping_examples = [fix for fix in self._dropping if isinstance(fix.check, ExampleCheck)]
        self._last: _Look | None = None

    @property
    def mends(self) -> bool:
        """Whether a chosen fix of single rows changes them."""
        return bool(self._mending)

    def mend(self, done: Mended) -> None:
        """Run the fixes that change a row until nothing changes."""
        for _ in range(MAX_ROUNDS if self._mending else 0):
            before = len(done.steps)
            look = self._look(done.value)
            done.left = []
            for fix in self._mending_examples if look.plain else self._mending:
                if self._message(fix.check, look):
                    if apply_fix(fix.id, self._mender(fix), done):
                        look = self._look(done.value)
                    else:
                        done.left.append(fix.check.id)
            if len(done.steps) == before:
                break

    def drop(self, done: Mended) -> None:
        """Mark a row that a chosen fix drops."""
        if not self._dropping:
            return
        look = self._look(done.value)
        for fix in self._dropping_examples if look.plain else self._dropping:
            message = self._message(fix.check, look)
            if message:
                done.dropped = (fix.id, message)
                return

    def error(self, value: Row) -> tuple[str, str] | None:
        """The first error that keeps a row from training: the check and its message; None for a good row."""
        look = self._look(value)
        for check in CHECKS:
            if check.severity == "error":
                message = self._message(check, look)
                if message:
                    return check.id, message
        return None if look.converts else ("wrong-type", "the row cannot be converted")

    def is_good(self, example: Example | None, value: Row) -> bool:
        """Whether a row that converts has no error in what it carries beside."""
        return example is not None and not self._good_row_error(value)

    def view(self, value: Row, *, line: int = 0, record: int = 0) -> ExampleView | None:
        """A good row as checks of the whole file see it; None for any other."""
        form = self._opened.format
        contents = form.sound(value) if form is not None else None
        if contents is not None:
            return ExampleView(contents, line=line, record=record, group=group_of(value))
        example = self._opened.example(value, line=line, record=record)
        return ExampleView.of(example) if example is not None and self.is_good(example, value) else None

    def _look(self, value: Row) -> _Look:
        if self._last is None or self._last.value is not value:
            self._last = self._new_look(value)
        return self._last

    def _new_look(self, value: Row) -> _Look:
        form = self._opened.format
        contents = form.sound(value) if form is not None else None
        if contents is not None:
            view = ExampleView(contents, line=0, record=0, group=group_of(value))
            return _Look(value, True, RowView(value), view, plain=True)
        foreign = self._opened.is_foreign(value)
        example = self._opened.example(value)
        row = RowView.of(value, form) if example is None and form is not None else RowView(value)
        good = ExampleView.of(example) if example is not None and self.is_good(example, value) else None
        return _Look(value, example is not None, row, good, foreign)

    def _message(self, check: Check, look: _Look) -> str:
        """What a check says of a row; empty where it does not strike, or is not asked."""
        if self._opened.format is None:
            return ""
        if look.foreign:
            return "another format than most rows" if check.id == "mixed-formats" else ""
        if isinstance(check, RowCheck):
            if look.plain or (look.converts and not check.on_good_rows):
                return ""
            return "; ".join(check.run(look.row)) or self._unexplained(check, look)
        return "; ".join(self._finder(check)(look.view)) if isinstance(check, ExampleCheck) and look.view else ""

    def _unexplained(self, check: RowCheck, look: _Look) -> str:
        """What is said of a row that does not convert though no check of rows strikes."""
        if check.id != "wrong-type" or look.converts or self._opened.format is None:
            return ""
        if any(list(other.run(look.row)) for other in CHECKS if isinstance(other, RowCheck)):
            return ""
        return explain(self._opened.format, look.value) or "the row cannot be converted"

    def _finder(self, check: ExampleCheck) -> Find:
        """The function of a check, made when it is first asked; one whose needs are not met finds nothing."""
        if check.id not in self._find:
            met = all(getattr(self._setting, need) is not None for need in check.needs)
            made = check.start(self._setting) if check.start and met else check.run
            self._find[check.id] = made if met else _find_nothing
        return self._find[check.id]

    def _mender(self, fix: RowsFix) -> RowFix:
        """The function of a fix, made when it is first wanted: then the needs of its check are met."""
        if fix.id not in self._row_fix:
            made = row_fix(fix.fix, self._setting)
            self._row_fix[fix.id] = made or _mend_nothing
        return self._row_fix[fix.id]

    def _good_row_error(self, value: Row) -> bool:
        view = RowView(value)
        return any(check.severity == "error" and list(check.run(view)) for check in self._good_row)


def apply_fix(name: str, fix: RowFix, done: Mended) -> bool:
    """Run one fix, and say whether it changed the row."""
    before = line_of(done.value)
    mended = fix(done.value)
    after = before if mended is None else line_of(mended)
    if mended is None or after == before:
        return False
    done.value = mended
    done.steps.append(Step(name, before, (after,)))
    return True


def row_fix(fix: Fix, setting: Setting) -> RowFix | None:
    """How a fix mends a row; None where it drops it."""
    return fix.row if fix.start is None else fix.start(setting)


def line_of(value: object) -> bytes:
    """A value as one line of JSON, without a line end. Numbers that JSON does not have become null."""
    try:
        return json_line(value)[:-1]
    except (ValueError, TypeError):
        return json_line(_plain(value))[:-1]


def _plain(value: object) -> object:
    """The value with null for NaN and infinities, and text for what JSON has no form for (a date in a Parquet file)."""
    if isinstance(value, dict):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if value is None or isinstance(value, str | int | float) else str(value)


def _mend_nothing(value: Row) -> Row | None:
    return None


def _find_nothing(view: ExampleView) -> Iterable[str]:
    return ()
