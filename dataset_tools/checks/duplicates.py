"""Checks that compare rows with each other word for word. Nearly equal rows have their own file."""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import xxhash

from dataset_tools.checks.base import Check, DatasetCheck, ExampleView, Hit, Setting, Severity
from dataset_tools.checks.fix import Fix
from dataset_tools.similarity import fold

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_ASCII_BLANKS = bytes(code for code in range(128) if chr(code).isspace())


class Place(NamedTuple):
    """Where a row stands."""

    line: int
    record: int


class RowKeys:
    """For each row a hash of its prompt: 16 bytes a row, whatever its length.

    It is the hash of the text without case and blanks, so prompts that are the same when folded have the same one, and
    few others: which is settled by reading those rows again.
    """

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self._prompts, self._records = array("Q"), array("Q")

    def see(self, view: ExampleView) -> None:
        """Note the row."""
        contents = view.contents
        prompt = contents[-2] if len(contents) == 2 else "\x00".join(contents[:-1])
        self._prompts.append(loose_key(prompt))
        self._records.append(view.record)

    def pack(self) -> tuple[array[int], array[int]]:
        """What `absorb` takes, for another process."""
        return self._prompts, self._records

    def absorb(self, packed: tuple[array[int], array[int]], *, lines: int, records: int) -> None:
        """Take what was seen in a later part of the file, whose records were counted from its start."""
        self._prompts.extend(packed[0])
        self._records.extend(array("Q", [record + records for record in packed[1]]))

    @cached_property
    def repeated(self) -> list[tuple[Place, int, int]]:
        """The places of the rows whose prompt comes again, in order, with a key of the prompt and one of the answer.

        The keys are equal exactly where the folded texts are.
        """
        import numpy as np

        prompts = np.frombuffer(self._prompts, dtype=np.uint64) if self._prompts else np.empty(0, np.uint64)
        again = _not_alone(prompts)
        records = set(np.frombuffer(self._records, dtype=np.uint64)[again].tolist()) if again.size else set()
        keyed: list[tuple[Place, int, int]] = []
        for example in self.setting.read_again(records) if records else ():
            prompt = "\x00".join(fold(message.content) for message in example.prompt)
            keyed.append((Place(example.line, example.record), _hash(prompt), _hash(fold(example.completion))))
        return keyed


def _not_alone(keys: NDArray[np.uint64]) -> NDArray[np.intp]:
    """The places of the keys that come more than once."""
    import numpy as np

    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    same = ordered[1:] == ordered[:-1]
    again = np.zeros(len(keys), dtype=bool)
    again[order[1:][same]] = True
    again[order[:-1][same]] = True
    return np.flatnonzero(again)


def loose_key(text: str) -> int:
    """The same for texts that are the same when folded, and for few others; fold() itself is slow."""
    raw = text.encode() if text.isascii() else fold(text).encode("utf-8", errors="surrogatepass")
    key: int = xxhash.xxh3_64_intdigest(raw.lower().translate(None, _ASCII_BLANKS))
    return key


def _hash(text: str) -> int:
    key: int = xxhash.xxh3_128_intdigest(text.encode("utf-8", errors="surrogatepass"))
    return key


def _exact_duplicate(keys: RowKeys) -> Iterator[Hit]:
    first: dict[tuple[int, int], Place] = {}
    for place, prompt, answer in keys.repeated:
        original = first.setdefault((prompt, answer), place)
        if original != place:
            yield Hit(f"the same as the row at line {original.line}", *place)


def _conflicting_answers(keys: RowKeys) -> Iterator[Hit]:
    first: dict[int, dict[int, int]] = defaultdict(dict)  # prompt -> answer -> the line of its first row
    for place, prompt, answer in keys.repeated:
        first[prompt].setdefault(answer, place.line)
    if all(len(answers) == 1 for answers in first.values()):
        return
    are_labels = keys.setting.task.kind == "classification"
    severity: Severity = "error" if are_labels else "warning"
    usual = _majorities(keys) if are_labels else {}
    for place, prompt, answer in keys.repeated:
        rival = next((line for other, line in first[prompt].items() if other != answer), None)
        if rival is not None:
            wrong = usual.get(prompt, answer) != answer
            yield Hit(f"another answer than at line {rival}, to the same prompt", *place, severity, fixable=wrong)


def _majorities(keys: RowKeys) -> dict[int, int]:
    """The answer that more rows have than any other, by prompt; none where two have as many."""
    answers: defaultdict[int, Counter[int]] = defaultdict(Counter)
    for _, prompt, answer in keys.repeated:
        answers[prompt][answer] += 1
    ranked = {prompt: found.most_common(2) for prompt, found in answers.items()}
    return {prompt: top[0][0] for prompt, top in ranked.items() if len(top) == 1 or top[0][1] > top[1][1]}


CHECKS: tuple[Check, ...] = (
    DatasetCheck(
        id="exact-duplicate",
        severity="warning",
        family="duplicates",
        title="the same row again",
        why="Repeated rows are learnt by heart (Lee et al. 2022, arxiv.org/abs/2107.06499) and leak between splits.",
        observer=RowKeys,
        run=_exact_duplicate,
        fix=Fix(what="drop the later of two equal rows", drop=True),
    ),
    DatasetCheck(
        id="conflicting-answers",
        severity="warning",
        family="duplicates",
        title="one prompt with different answers",
        why="For labels one is wrong (Northcutt et al. 2021, arxiv.org/abs/2103.14749); for open text it may be meant.",
        observer=RowKeys,
        run=_conflicting_answers,
        fix=Fix(what="keep the label that most rows of the prompt have, drop the others; ties stay", drop=True),
    ),
)
