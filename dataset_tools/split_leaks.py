"""Does anything of one set of a split stand in another? A check after the fact, whoever made the split."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

from dataset_tools.errors import LeakError
from dataset_tools.example import Example, Split
from dataset_tools.near_groups import near_groups
from dataset_tools.similarity import distinctive_parts, fold
from dataset_tools.splitting import Key, group_of

SHOWN = 20
Kind = Literal["exact", "near", "group"]
Placed = tuple[str, Example]


@dataclass(frozen=True, slots=True)
class SplitLeak:
    """A row of one set, and a row of another that gives it away."""

    kind: Kind
    set: str
    line: int
    other_set: str
    other_line: int


@dataclass(frozen=True, slots=True)
class LeakCheck:
    """How many rows of the test and validation sets have their prompt, nearly their prompt, or their group elsewhere.

    A row of the test set is looked for in the other two, one of the validation set in training. ``shown`` are the first
    leaks.
    """

    exact: int
    near: int
    group: int
    shown: tuple[SplitLeak, ...]

    @property
    def is_clean(self) -> bool:
        """Whether nothing was found."""
        return not (self.exact or self.near or self.group)

    def to_dict(self) -> dict[str, Any]:
        """The result as JSON."""
        return {"clean": self.is_clean, **asdict(self)}

    def require_clean(self) -> None:
        """Do nothing where nothing was found.

        Raises:
            LeakError: Something was found.
        """
        if not self.is_clean:
            first = self.shown[0]
            raise LeakError(
                "rows of one set stand in another",
                where=f"line {first.line} ({first.set}) and line {first.other_line} ({first.other_set})",
                found=f"{self.exact} with the same prompt, {self.near} with nearly the same, {self.group} of one group",
                expected="no prompt and no group in two sets",
                next_step="split the rows again with the groups named",
            )


def find_leaks(parts: Split, *, group: Key = group_of) -> LeakCheck:
    """Look for the rows of the test set among the others, and for those of the validation set in training.

    Prompts are compared as `split` compares them: without case and blanks, and nearly (linked by a chain of
    near-duplicates) without what all rows share.
    """
    rows: list[Placed] = [("train", row) for row in parts.train]
    rows += [("validation", row) for row in parts.validation]
    rows += [("test", row) for row in parts.test]
    prompts = [row.prompt_text for _, row in rows]
    near = near_groups(distinctive_parts(prompts))
    exact = list(_leaks("exact", rows, [fold(prompt) for prompt in prompts]))
    known = {(leak.set, leak.line) for leak in exact}
    almost = [leak for leak in _leaks("near", rows, near) if (leak.set, leak.line) not in known]
    grouped = list(_leaks("group", rows, [group(row) for _, row in rows]))
    return LeakCheck(len(exact), len(almost), len(grouped), tuple([*exact, *almost, *grouped][:SHOWN]))


def _leaks(kind: Kind, rows: list[Placed], keys: list[Any]) -> Iterator[SplitLeak]:
    """The rows that share a key with a row of an earlier set (training first, the test set last)."""
    by_key: dict[Hashable, list[Placed]] = defaultdict(list)
    for placed, key in zip(rows, keys, strict=True):
        if key is not None:
            by_key[key].append(placed)
    for members in by_key.values():
        first_set, first = members[0]
        for name, row in members:
            if name != first_set:
                yield SplitLeak(kind, name, row.line, first_set, first.line)
