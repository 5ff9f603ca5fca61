"""Checks of the labels of a classification: how often, how spelt, in which order. Sentences and JSON are left alone.

What the task is, is settled when all rows have passed; until then a row costs twenty bytes, and nothing any more once
the answers are clearly no labels.
"""

from __future__ import annotations

import re
from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Any

from rapidfuzz.distance import Levenshtein

from dataset_tools.checks import json_answers
from dataset_tools.checks.base import Check, DatasetCheck, ExampleView, Hit, Setting, Severity
from dataset_tools.checks.fix import Fix
from dataset_tools.checks.texts import Row, map_answers
from dataset_tools.similarity import fold
from dataset_tools.task_type import MAX_LABEL_CHARS

_TRIAL = 1_000  # rows after which a file whose answers are no labels is given up
_MAX_LONG = 0.1  # of the answers
_MAX_DISTINCT = 0.5
_MOST_LABELS = 50_000
_RARE_ROWS = 5  # scikit-learn's stratified folds need as many rows of a class as there are folds, 5 by default
_IMBALANCE = 0.1  # cleanlab's Datalab: the rarest of K classes has no more than 0.1 / K of the rows
_MIN_ROWS = 20
_SLIP = 3  # times as rare as the label that it is a slip for
_MIN_SLIP_LENGTH = 6
_LONG_SLIP_LENGTH = 12
_MIN_STEM, _MAX_STEM = 3, 5
_MIN_WORD = 4
_MAX_COMPARED = 2_000  # labels; of more, each with each takes too long
_SHUFFLED = 0.25  # of the changes between neighbours that a shuffled file has
_COMMON = 0.5
_NAMED = 5
_JOINTS = re.compile(r"(?<=[^\W_])[\s_-]++(?=[^\W_])")
_EDGES = " \t\r\n.,;:!\"'`\u201c\u201d\u2018\u2019"
_DIGITS = re.compile(r"\d")
_NEGATIONS = ("un", "in", "im", "ir", "il", "a")  # of up to two letters, as more are no slip


class Labels:
    """The short answers of a file as numbers, in the order of its rows, with their places."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.given_up = False
        self.all_equal = True
        self._first: str | None = None
        self._numbers: dict[str, int] = {}
        self._rows, self._lines, self._records = array("I"), array("Q"), array("Q")
        self._seen = self._long = 0

    def see(self, view: ExampleView) -> None:
        """Note a row."""
        answer = view.contents[-1]
        if not answer:  # a call of a tool
            return
        if self.all_equal:
            if self._first is None:
                self._first = answer
            elif answer != self._first:
                self.all_equal = False
        if self.given_up:
            return
        self._seen += 1
        if len(answer) > 2 * MAX_LABEL_CHARS:
            self._long += 1
        else:
            number = self._numbers.setdefault(answer, len(self._numbers))
            self._rows.append(number)
            self._lines.append(view.line)
            self._records.append(view.record)
        if self._seen >= _TRIAL and self._are_no_labels():
            self._give_up()

    def pack(self) -> Any:
        """What it saw, to be taken in by another one."""
        places = (list(self._numbers), self._rows, self._lines, self._records)
        return self.given_up, self.all_equal, self._first, self._seen, self._long, places

    def absorb(self, packed: Any, *, lines: int, records: int) -> None:
        """Take what was seen in a later part of the file, whose lines and records were counted from its start.

        Where that part was given up, so is the whole. One pass judges otherwise in two cases: where only the beginning
        of that part has answers that are no labels (it would go on), and where all up to the middle of that part has
        too many of them, and all up to its end has not (it would have given up).
        """
        given_up, all_equal, first, seen, long, (answers, rows, its_lines, its_records) = packed
        if self._first is None:
            self._first, self.all_equal = first, all_equal
        elif first is not None:
            self.all_equal = self.all_equal and all_equal and first == self._first
        if self.given_up or given_up:
            self._give_up()
            return
        self._seen += seen
        self._long += long
        numbers = [self._numbers.setdefault(answer, len(self._numbers)) for answer in answers]
        self._rows.extend(array("I", [numbers[row] for row in rows]))
        self._lines.extend(array("Q", [line + lines for line in its_lines]))
        self._records.extend(array("Q", [record + records for record in its_records]))
        if self._seen >= _TRIAL and self._are_no_labels():
            self._give_up()

    def _give_up(self) -> None:
        self.given_up = True
        self._numbers = {}
        self._rows, self._lines, self._records = array("I"), array("Q"), array("Q")

    def _are_no_labels(self) -> bool:
        distinct = len(self._numbers)
        return self._long > _MAX_LONG * self._seen or distinct > min(_MAX_DISTINCT * self._seen, _MOST_LABELS)

    @cached_property
    def spellings(self) -> Counter[str]:
        """How often each label stands in the file, as it is spelt; empty where the task is no classification."""
        if self.given_up or len(self._rows) < _MIN_ROWS or self.setting.task.kind != "classification":
            return Counter()
        counts = Counter(self._rows)
        return Counter({label: counts[number] for label, number in self._numbers.items()})

    @cached_property
    def variants(self) -> dict[str, str]:
        """The spellings that stand for another label, and which."""
        return variants(self.spellings)

    @cached_property
    def classes(self) -> Counter[str]:
        """How often each label is meant."""
        meant: Counter[str] = Counter()
        for label, count in self.spellings.items():
            meant[self.variants.get(label, label)] += count
        return meant

    def places(self) -> Iterator[tuple[str, int, int]]:
        """Label, line and record of each row, in order."""
        labels = list(self._numbers)
        for number, line, record in zip(self._rows, self._lines, self._records, strict=True):
            yield labels[number], line, record

    def changes(self) -> int:
        """How often the label is another than in the row before."""
        return sum(one != other for one, other in zip(self._rows, self._rows[1:], strict=False))


def variants(spellings: Mapping[str, int]) -> dict[str, str]:
    """Spellings that stand for another label: in other case or punctuation, cut short, or with a slip of the keyboard.

    Case, blanks, underscores and punctuation at the ends make no other label: the most frequent spelling is the label.
    The beginning of exactly one label stands for it (``POS``), and so does what is one letter away from a label (two
    letters, from 12 on); both only where the other label is three times as frequent.
    """
    groups: dict[str, list[str]] = {}
    for label in sorted(spellings, key=lambda label: (-spellings[label], label)):
        groups.setdefault(plain(label), []).append(label)
    heads = {key: labels[0] for key, labels in groups.items()}
    totals = {key: sum(spellings[label] for label in labels) for key, labels in groups.items()}
    meant: dict[str, str] = {}
    for key, labels in groups.items():
        target = _stem_of(key, totals) or _slip_for(key, totals)
        head = heads[target] if target is not None else labels[0]
        meant.update((label, head) for label in labels if label != head)
    return meant


def plain(label: str) -> str:
    """The label without what makes no other label: case, blanks, underscores, punctuation at its ends."""
    folded = fold(label)
    return _JOINTS.sub(" ", folded.strip(_EDGES)) or folded


def label_mapper(setting: Setting) -> Callable[[Row], Row | None]:
    """The function that spells the label of a row as most rows do, once all rows have passed (a fix's ``row``)."""
    meant = setting.share(Labels).variants

    def fix(value: Row) -> Row | None:
        mapped = map_answers(value, lambda answer: meant.get(answer, answer))
        return None if mapped is value else mapped

    return fix


def _stem_of(key: str, totals: Mapping[str, int]) -> str | None:
    """The one label that begins so, if it is a single word and far more frequent: ``neg`` for ``negative``."""
    if not _MIN_STEM <= len(key) <= _MAX_STEM or not key.isalpha():
        return None
    longer = [other for other in totals if other != key and other.startswith(key)]
    if len(longer) != 1 or not longer[0].isalpha() or totals[longer[0]] < _SLIP * totals[key]:
        return None
    return longer[0]


def _slip_for(key: str, totals: Mapping[str, int]) -> str | None:
    """The far more frequent label that is a letter or two away."""
    if len(key) < _MIN_SLIP_LENGTH or len(totals) > _MAX_COMPARED:
        return None
    most = 2 if len(key) >= _LONG_SLIP_LENGTH else 1
    near = [
        other
        for other in totals
        if other != key
        and totals[other] >= _SLIP * totals[key]
        and Levenshtein.distance(key, other, score_cutoff=most) <= most
        and not _differ_on_purpose(key, other)
    ]
    return max(near, key=totals.__getitem__, default=None)


def _differ_on_purpose(one: str, other: str) -> bool:
    """Whether digits, a short word (``type a``) or a negation (``possible``, ``impossible``) make the difference."""
    if _DIGITS.findall(one) != _DIGITS.findall(other):
        return True
    words, others = one.split(), other.split()
    if len(words) != len(others):
        return False
    pairs = [sorted(pair, key=len) for pair in zip(words, others, strict=True) if pair[0] != pair[1]]
    return any(len(short) < _MIN_WORD or long in {prefix + short for prefix in _NEGATIONS} for short, long in pairs)


def _label_variant(labels: Labels) -> Iterator[Hit]:
    if labels.variants:
        for label, line, record in labels.places():
            meant = labels.variants.get(label)
            if meant is not None:
                severity: Severity | None = None if plain(label) == plain(meant) else "warning"
                message = f"{label!r} stands for {meant!r}, which has {labels.spellings[meant]} rows"
                yield Hit(message, line, record, severity)


def _imbalance(labels: Labels) -> Iterator[Hit]:
    classes = labels.classes
    rows = classes.total()
    if len(classes) < 2:
        return
    (most, many), (least, few) = classes.most_common(1)[0], min(classes.items(), key=lambda item: item[1])
    if few <= _IMBALANCE / len(classes) * rows:
        shares = f"{100 * many / rows:.0f}% of {rows} rows are {most!r}, {100 * few / rows:.1f}% {least!r}"
        yield Hit(f"{shares}; always to answer {most!r} would be right as often")


def _rare_label(labels: Labels) -> Iterator[Hit]:
    rare = [(label, count) for label, count in labels.classes.items() if count < _RARE_ROWS]
    if rare and len(labels.classes) > 1:
        named = ", ".join(f"{label!r} ({count})" for label, count in sorted(rare, key=lambda item: item[1])[:_NAMED])
        more = f" and {len(rare) - _NAMED} more" if len(rare) > _NAMED else ""
        yield Hit(f"{len(rare)} of {len(labels.classes)} labels have fewer than {_RARE_ROWS} rows: {named}{more}")


def _one_answer(labels: Labels) -> Iterator[Hit]:
    setting = labels.setting
    rows = setting.usable
    if rows < _MIN_ROWS:
        return
    if labels.all_equal:
        yield Hit(f"all {rows} rows have the same answer", severity="error")
    elif setting.task.kind != "classification":
        answers = Counter(view.completion for view in setting.views)
        answer, count = answers.most_common(1)[0]
        if count >= _COMMON * answers.total():
            yield Hit(f"{100 * count // answers.total()}% of the answers are {answer[:60]!r}")


def _sorted(labels: Labels) -> Iterator[Hit]:
    classes = labels.spellings
    rows = classes.total()
    if len(classes) < 2:
        return
    expected = rows * (1 - sum((count / rows) ** 2 for count in classes.values()))
    changes = labels.changes()
    if changes < _SHUFFLED * expected and expected >= _MIN_ROWS / 2:
        yield Hit(f"the label changes {changes} times from row to row; {expected:.0f} times in a shuffled file")


CHECKS: tuple[Check, ...] = (
    DatasetCheck(
        id="label-variant",
        severity="error",
        title="one label in several spellings",
        why="Each spelling is a class of its own for the model, and for every count of right answers.",
        family="labels",
        observer=Labels,
        run=_label_variant,
        fix=Fix(what="spell the label as most rows do", start=label_mapper),
    ),
    DatasetCheck(
        id="label-imbalance",
        severity="warning",
        title="one label has nearly all rows",
        why="The model learns to give the frequent label; judge it by recall per label (cleanlab Datalab).",
        family="labels",
        observer=Labels,
        run=_imbalance,
    ),
    DatasetCheck(
        id="rare-label",
        severity="warning",
        title="labels with hardly any row",
        why="So few rows cannot be split into training and test, and teach little.",
        family="labels",
        observer=Labels,
        run=_rare_label,
    ),
    DatasetCheck(
        id="one-answer",
        severity="warning",
        title="one answer to most prompts",
        why="What is answered whatever was asked needs no model; often a column was chosen by mistake.",
        family="labels",
        observer=Labels,
        run=_one_answer,
    ),
    DatasetCheck(
        id="sorted-by-label",
        severity="info",
        title="the rows are sorted by their label",
        why="A split that does not shuffle has labels on one side only; training here shuffles.",
        family="labels",
        observer=Labels,
        run=_sorted,
        fix=Fix(what="shuffle the rows", shuffle=True),
    ),
    *json_answers.CHECKS,
)
