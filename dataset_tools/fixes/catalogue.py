"""All fixes by their ids, and the choice among them. Applying them is decided elsewhere."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from dataset_tools.checks import CHECKS
from dataset_tools.checks.base import Check
from dataset_tools.checks.fix import Fix
from dataset_tools.errors import UsageError
from dataset_tools.repairs import MENDS, Repair

# Repairs that have a check of their own; the others belong to this one, as "invalid-json:nan".
_INVALID_JSON = "invalid-json"
_OWN_CHECK = {"duplicate-key": "duplicate-keys", "lone-surrogate": "lone-surrogate"}
Effect = Literal["changes", "drops", "shuffles", "lines", "file"]
_COUNTED: dict[str, Effect] = {"blank-line": "lines", "duplicate-keys": "changes", "lone-surrogate": "changes"}
BETWEEN_ROWS = f"{_INVALID_JSON}:between-rows"
EQUAL_COLUMNS = "duplicate-keys:columns"


@dataclass(frozen=True, slots=True)
class FixKind:
    """One fix that can be chosen: its id, the check whose findings it takes away, and what it does.

    A ``safe`` one changes no meaning and loses nothing. The id is that of the check, with the kind of repair behind a
    colon where a check has several (``invalid-json:trailing-comma``, ``over-long:drop``). ``effect`` says what it
    counts: rows that it changes or drops, all rows put in another order, lines of the file, or the file as a whole.
    """

    id: str
    check: str
    what: str
    safe: bool
    effect: Effect = "changes"

    def scope(self, count: int) -> str:
        """What it does to how much, in words: ``drops 3 rows``."""
        rows = "1 row" if count == 1 else f"{count:,} rows"
        lines = "1 line" if count == 1 else f"{count:,} lines"
        words = {"shuffles": f"puts {rows} in another order", "lines": lines, "file": "the file as a whole"}
        return words.get(self.effect, f"{self.effect} {rows}")


def _kinds() -> dict[str, FixKind]:
    kinds: dict[str, FixKind] = {}
    for check in CHECKS:
        if check.fix is None:
            continue
        if check.id == _INVALID_JSON:
            repairs = [(mend_id(name), mend) for name, mend in MENDS.items() if name not in _OWN_CHECK]
            kinds.update((name, FixKind(name, check.id, mend.what, mend.safe)) for name, mend in repairs)
            what = "write the rows anew, as JSON lines in UTF-8"
            kinds[BETWEEN_ROWS] = FixKind(BETWEEN_ROWS, check.id, what, True, "file")
        else:
            for name, fix in _fixes_of(check):
                effect = _COUNTED.get(name) or _effect(fix)
                kinds[name] = FixKind(name, check.id, fix.what, fix.safe, effect)
            if check.id == "duplicate-keys":
                kinds[EQUAL_COLUMNS] = FixKind(EQUAL_COLUMNS, check.id, "keep the last of equal columns", False, "file")
    return kinds


def _effect(fix: Fix) -> Effect:
    if fix.shuffle:
        return "shuffles"
    if fix.drop:
        return "drops"
    return "changes" if fix.row or fix.start or fix.text else "file"


def _fixes_of(check: Check) -> Iterator[tuple[str, Fix]]:
    """The fixes of a check by their ids, in the order in which they are tried."""
    fix = check.fix
    while fix is not None:
        yield f"{check.id}:{fix.name}" if fix.name else check.id, fix
        fix = fix.otherwise


def mend_id(mend: str) -> str:
    """The id of the fix that a mend of `dataset_tools.repairs` belongs to."""
    return _OWN_CHECK.get(mend, f"{_INVALID_JSON}:{mend}")


KINDS = _kinds()


def chosen_ids(wanted: Collection[str] | None, *, safe_only: bool = False) -> frozenset[str]:
    """The ids of the fixes that are meant: all for None; a check's id means all of its fixes.

    Raises:
        UsageError: There is no such fix.
    """
    named = {name for name in wanted or () if name not in KINDS}
    checks = {kind.check for kind in KINDS.values()}
    if named - checks:
        raise UsageError(
            "there is no such fix",
            found=", ".join(sorted(named - checks)),
            expected="ids of checks that have a fix: " + ", ".join(sorted(checks)),
            next_step="list the fixes of the file without naming any",
        )
    meant = KINDS.values() if wanted is None else [k for k in KINDS.values() if k.id in wanted or k.check in wanted]
    return frozenset(kind.id for kind in meant if kind.safe or not safe_only)


def needed_for(repair: Repair) -> tuple[str, ...]:
    """The fixes that must be chosen for a repair: those to be confirmed, or where there are none, all."""
    return tuple(mend_id(mend) for mend in (repair.unsafe or repair.mends))


@dataclass(frozen=True, slots=True)
class RowsFix:
    """A fix that mends, drops or shuffles rows, with its id and the check whose findings it takes away."""

    id: str
    check: Check
    fix: Fix


def with_row_fix(chosen: Collection[str]) -> Sequence[RowsFix]:
    """The chosen fixes that mend, drop or shuffle rows, in the order of the catalogue."""
    return [
        RowsFix(name, check, fix)
        for check in CHECKS
        for name, fix in _fixes_of(check)
        if name in chosen and _touches_rows(fix)
    ]


def _touches_rows(fix: Fix) -> bool:
    return fix.row is not None or fix.drop or fix.shuffle or fix.start is not None
