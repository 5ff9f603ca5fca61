"""Train, validation and test rows out of one set, without a leak between them. It measures no score."""

from __future__ import annotations

import math
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence

from dataset_tools.errors import DataError, UsageError
from dataset_tools.example import Example, Split
from dataset_tools.near_groups import near_groups
from dataset_tools.similarity import distinctive_parts, fold, join, root_of
from dataset_tools.task_type import detect_task_type, split_labels

MIN_ROWS = 8
_GIVEN_BACK = 200  # drawn rows that may be exchanged for others to make up an exact number
Unit = list[Example]  # rows that stay on one side
Key = Callable[[Example], str | None]


def group_of(example: Example) -> str | None:
    """What an example belongs to, by its own ``group``."""
    return example.group


def split(
    examples: Sequence[Example],
    *,
    test: float | None = None,
    validation: float | None = None,
    seed: int = 0,
    group: Key = group_of,
    stratify: bool | Callable[[Example], str] | None = None,
    exact: bool = False,
) -> Split:
    """Split the examples: exact duplicates dropped, groups and near-duplicate prompts on one side, labels balanced.

    Sizes are numbers of rows (1 or more), or shares (below 1) of all distinct rows. By default the test set has 20%
    of the rows, at least 20 and at most 300, and never more than a third; the validation set 10% of the rest, at
    least 8 and at most 100, and never more than a quarter. As near-duplicates move together, a set can come out a
    few rows smaller than asked.

    Args:
        examples: The rows; what is the same but for case and blanks is taken once.
        test: The size of the test set.
        validation: The size of the validation set.
        seed: The same seed gives the same split.
        group: What a row belongs to (a document, a user); rows of one group stay on one side, those of None alone.
        stratify: Whether each set has its share of each answer, or a function that gives what to balance by; by
            default answers are balanced where they are labels, and sets of labels by the rarest label of each.
        exact: Refuse to make a set smaller than asked.

    Raises:
        DataError: Fewer than 8 distinct rows, or the sizes leave nothing to train on, or the rows are so alike that
            no test row is different from all the others, or (``exact``) that the sizes cannot be had.
    """
    distinct = distinct_rows(examples)
    test_size = _test_size(len(distinct), test)
    validation_size = _validation_size(len(distinct), validation, rest=max(0, len(distinct) - test_size))
    if test_size + validation_size >= len(distinct):
        raise DataError(
            "the test and validation rows leave nothing to train on",
            found=f"{test_size} + {validation_size} of {len(distinct)} distinct rows",
            expected="at least one row for training",
            next_step="ask for fewer test or validation rows",
        )
    rng = random.Random(seed)
    units = _units(distinct, group)
    rng.shuffle(units)
    stratum = _stratum(distinct, stratify)
    test_units, units = _draw(units, test_size, stratum=stratum, exact="test" if exact else None)
    validation_units, units = _draw(units, validation_size, stratum=stratum, exact="validation" if exact else None)
    _require(test_size, test_units, what="test", rows=len(distinct))
    _require(1, units, what="training", rows=len(distinct))
    return Split(
        train=_rows(units, rng),
        validation=_rows(validation_units, rng),
        test=_rows(test_units, rng),
        dropped=len(examples) - len(distinct),
    )


def distinct_rows(examples: Sequence[Example]) -> list[Example]:
    """The examples without those that are the same but for case and blanks.

    Raises:
        DataError: fewer than 8 are left.
    """
    found = _without_duplicates(examples)
    _require_enough(len(found), of=len(examples))
    return found


def kept_together(examples: Sequence[Example]) -> list[Unit]:
    """The examples in groups that must stay on one side: of one group, near-duplicates, or linked by both."""
    return _units(examples, group_of)


def labels_of(examples: Sequence[Example]) -> Callable[[Example], tuple[str, ...]]:
    """What each part of these examples should have its share of: a row's labels, the rarest of these examples first.

    One where the answers are labels, some where they are sets of labels; none of a row without any, or where the
    answers are no labels. A part that has its share of the rarest labels has nearly its share of all: Sechidis et al.
    2011, "On the Stratification of Multi-Label Data", take them in this order (section 3).
    """
    kind = detect_task_type([example.completion for example in examples]).kind
    if kind == "classification":
        return lambda example: (fold(example.completion),)
    if kind != "multi-label":
        return lambda example: ()
    counts = Counter(label for example in examples for label in _label_set(example))

    def labels(example: Example) -> tuple[str, ...]:
        return tuple(sorted(_label_set(example), key=lambda label: (counts[label], label)))

    return labels


def _label_set(example: Example) -> set[str]:
    return {fold(label) for label in split_labels(example.completion.strip())}


def _require_enough(distinct: int, *, of: int) -> None:
    if distinct < MIN_ROWS:
        raise DataError(
            "there are too few rows to split",
            found=f"{distinct} distinct rows of {of}",
            expected=f"at least {MIN_ROWS} distinct rows; 50 or more for a result that means something",
            next_step="add rows, or give a separate test file",
        )


def _stratum(examples: Sequence[Example], stratify: bool | Callable[[Example], str] | None) -> Callable[[Example], str]:
    """What the sets are balanced by; the same for all rows where nothing is."""
    if callable(stratify):
        return stratify
    if stratify is None:
        labels = labels_of(examples)
        return lambda example: next(iter(labels(example)), "")
    return (lambda example: fold(example.completion)) if stratify else (lambda example: "")


def _without_duplicates(examples: Sequence[Example]) -> list[Example]:
    first: dict[tuple[tuple[str, str], ...], Example] = {}
    for example in examples:
        first.setdefault(tuple((message.role, fold(message.content)) for message in example.messages), example)
    return list(first.values())


def _test_size(rows: int, wanted: float | None) -> int:
    if wanted is not None:
        return _asked_size(rows, wanted, what="test")
    return min(300, max(20, round(0.2 * rows)), rows // 3)


def _validation_size(rows: int, wanted: float | None, *, rest: int) -> int:
    if wanted is not None:
        return _asked_size(rows, wanted, what="validation")
    return min(100, max(8, round(0.1 * rest)), rest // 4)


def _asked_size(rows: int, wanted: float, *, what: str) -> int:
    if wanted < 0 or (wanted > 1 and wanted != int(wanted)):
        raise UsageError(
            f"the size of the {what} set is a number of rows, or a share below 1",
            found=f"{wanted:g}",
            expected="such as 50, or 0.2",
        )
    return max(1, round(wanted * rows)) if 0 < wanted < 1 else int(wanted)


def _units(examples: Sequence[Example], group: Key) -> list[Unit]:
    """Rows that must stay together: of one group, or with near-duplicate prompts, or linked by both."""
    parents = near_groups(distinctive_parts([example.prompt_text for example in examples]))
    first_of_group: dict[str, int] = {}
    for index, example in enumerate(examples):
        named = group(example)
        if named is not None:
            join(parents, index, first_of_group.setdefault(named, index))
    units: dict[int, Unit] = defaultdict(list)
    for index, example in enumerate(examples):
        units[root_of(parents, index)].append(example)
    return list(units.values())


def _draw(
    units: Sequence[Unit], size: int, *, stratum: Callable[[Example], str], exact: str | None = None
) -> tuple[list[Unit], list[Unit]]:
    """About ``size`` rows in whole units, and the rest; in proportion to the strata.

    A stratum's last unit is never drawn, so that what is left for training knows every label. ``exact`` names the set
    where not a row may be missing.
    """
    strata: dict[str, list[Unit]] = defaultdict(list)
    for unit in units:
        strata[stratum(unit[0])].append(unit)
    quotas = _quotas({label: sum(map(len, members)) for label, members in strata.items()}, size)
    drawn: list[Unit] = []
    rest: dict[str, list[Unit]] = {}
    for label, members in strata.items():
        room, left = quotas[label], len(members)
        rest[label] = []
        for unit in sorted(members, key=len):  # small ones first: a large cluster makes a poor test
            if len(unit) <= room and left > 1:
                drawn.append(unit)
                room -= len(unit)
                left -= 1
            else:
                rest[label].append(unit)
    others = [unit for left_over in rest.values() for unit in left_over]
    if exact:
        kept, added = _made_exact(drawn, rest, size, what=exact)
        taken = set(map(id, kept + added))
        others = [unit for unit in others + drawn if id(unit) not in taken]
        drawn = kept + added
    return drawn, others


def _made_exact(
    drawn: list[Unit], rest: dict[str, list[Unit]], size: int, *, what: str
) -> tuple[list[Unit], list[Unit]]:
    """The drawn units that stay, and the ones to add to have just so many rows; as few as possible are given back.

    Raises:
        DataError: The units have no such sizes.
    """
    missing = size - sum(map(len, drawn))
    spare = [unit for members in rest.values() for unit in sorted(members, key=len)[:-1]]  # the largest ones stay
    back, more = _sums(drawn, limit=_GIVEN_BACK), _sums(spare, limit=missing + _GIVEN_BACK)
    given = min((rows for rows in back if missing + rows in more), default=None)
    if given is None:
        raise DataError(
            f"the {what} set cannot have just as many rows as asked",
            found=f"{missing - max(rows for rows in more if rows <= missing)} rows too few: rows that belong together "
            "stay together",
            expected="groups and near-duplicates small enough to make up the number",
            next_step="ask for another number of rows, or take about as many",
        )
    removed = set(map(id, back[given]))
    return [unit for unit in drawn if id(unit) not in removed], more[missing + given]


def _sums(units: Sequence[Unit], *, limit: int) -> dict[int, list[Unit]]:
    """The numbers of rows up to a limit that some of the units have together, each with such units."""
    by_size: dict[int, list[Unit]] = defaultdict(list)
    for unit in units:
        by_size[len(unit)].append(unit)
    reached: dict[int, list[Unit]] = {0: []}
    for size, members in sorted(by_size.items()):
        for rows, used in list(reached.items()):
            for count in range(1, min(len(members), (limit - rows) // size) + 1):
                reached.setdefault(rows + count * size, used + members[:count])
    return reached


def _quotas(sizes: dict[str, int], wanted: int) -> dict[str, int]:
    """Shares of ``wanted`` in proportion to the sizes, in whole rows (largest remainder method)."""
    total = sum(sizes.values())
    exact = {label: wanted * size / total for label, size in sizes.items()}
    quotas = {label: math.floor(share) for label, share in exact.items()}
    by_remainder = sorted(exact, key=lambda label: quotas[label] - exact[label])
    for label in by_remainder[: min(wanted, total) - sum(quotas.values())]:
        quotas[label] += 1
    return quotas


def _require(size: int, units: Sequence[Unit], *, what: str, rows: int) -> None:
    if size and not units:
        raise DataError(
            f"no {what} rows are left once near-duplicates are kept together",
            found=f"{rows} rows whose prompts are nearly the same, or of one group",
            expected="prompts that differ in more than a few characters",
            next_step="add different rows, or give a separate test file",
        )


def _rows(units: Sequence[Unit], rng: random.Random) -> tuple[Example, ...]:
    rows = [example for unit in units for example in unit]
    rng.shuffle(rows)
    return tuple(rows)
