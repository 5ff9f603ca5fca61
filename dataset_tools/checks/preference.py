"""Checks of preference pairs and of judged answers: ties, pairs that contradict each other, and lopsided files."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import xxhash

from dataset_tools.checks.base import Check, DatasetCheck, ExampleCheck, ExampleView, Hit, Setting
from dataset_tools.checks.fix import Fix
from dataset_tools.example import Example, Message
from dataset_tools.formats import kto, preference
from dataset_tools.similarity import fold

MIN_PAIRS = 20  # of fewer nothing can be called a bias
LONGER_SHARE, LONGER_RATIO = 0.8, 1.5  # in natural pairs the better answer is longer in half to two thirds
MAX_RATIO = 4  # thumbs of one kind to one of the other; TRL advises 1:1 to 4:3 (docs of KTOTrainer, class weights)


class Judged:
    """The pairs and thumbs of a file in numbers: 24 bytes a pair. Files of another kind cost nothing."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._kind = setting.format.name if setting.format is not None else ""
        self._pairs, self._reversed, self._records = array("Q"), array("Q"), array("Q")
        self.chars = [0, 0]  # of all better and of all worse answers
        self.longer = [0, 0]  # pairs whose better, or whose worse, answer is the longer one
        self.thumbs = [0, 0]  # up, down

    def see(self, view: ExampleView) -> None:
        """Note the row."""
        if self._kind == preference.NAME and view.example.rejected:
            self._see_pair(view)
        elif self._kind == kto.NAME and view.example.desirable is not None:
            self.thumbs[0 if view.example.desirable else 1] += 1

    @property
    def pairs(self) -> int:
        """How many pairs there are."""
        return len(self._pairs)

    def pack(self) -> Any:
        """What it saw, to be taken in by another one."""
        return self._pairs, self._reversed, self._records, self.chars, self.longer, self.thumbs

    def absorb(self, packed: Any, *, lines: int, records: int) -> None:
        """Take what was seen in a later part of the file, whose records were counted from its start."""
        pairs, others, numbers, chars, longer, thumbs = packed
        self._pairs.extend(pairs)
        self._reversed.extend(others)
        self._records.extend(array("Q", [record + records for record in numbers]))
        for mine, given in ((self.chars, chars), (self.longer, longer), (self.thumbs, thumbs)):
            mine[:] = [mine[0] + given[0], mine[1] + given[1]]

    def contradictions(self) -> Iterator[tuple[int, int, int]]:
        """Line and record of each pair that stands in another row the other way round, and that row's line."""
        pairs, others = np.asarray(self._pairs, dtype=np.uint64), np.asarray(self._reversed, dtype=np.uint64)
        where = {int(pairs[place]): place for place in np.flatnonzero(np.isin(pairs, others))[::-1].tolist()}
        turned = {place: where[int(others[place])] for place in np.flatnonzero(np.isin(others, pairs)).tolist()}
        records = {self._records[place] for pair in turned.items() for place in pair if pair[0] != pair[1]}
        lines = {row.record: row.line for row in self._setting.read_again(records)} if records else {}
        for place, other in turned.items():
            if other != place:
                yield lines[self._records[place]], self._records[place], lines[self._records[other]]

    def _see_pair(self, view: ExampleView) -> None:
        better, worse = _sides(view.example)
        prompt = "\0".join(fold(message.content) for message in view.example.prompt)
        one, other = _text(better), _text(worse)
        self._pairs.append(_hash(f"{prompt}\2{one}\2{other}"))
        self._reversed.append(_hash(f"{prompt}\2{other}\2{one}"))
        self._records.append(view.record)
        sizes = (sum(len(message.content) for message in better), sum(len(message.content) for message in worse))
        for place in (0, 1):
            self.chars[place] += sizes[place]
            self.longer[place] += sizes[place] > sizes[1 - place]


def _hash(text: str) -> int:
    key: int = xxhash.xxh3_64_intdigest(text.encode("utf-8", errors="surrogatepass"))
    return key


def _sides(example: Example) -> tuple[tuple[Message, ...], tuple[Message, ...]]:
    return example.messages[preference.boundary(example) :], example.rejected


def _text(messages: Iterable[Message]) -> str:
    """The messages as they are compared: to the letter, as a pair may be about capitals."""
    return "\0".join(
        f"{turn.content.strip()}\1{[(call.name, call.arguments) for call in turn.tool_calls]}" for turn in messages
    )


def _tie(setting: Setting) -> Callable[[ExampleView], Iterable[str]]:
    if setting.format is None or setting.format.name != preference.NAME:
        return lambda view: ()

    def run(view: ExampleView) -> Iterable[str]:
        better, worse = _sides(view.example)
        return ["the better and the worse answer are the same"] if worse and _text(better) == _text(worse) else ()

    return run


def _contradiction(judged: Judged) -> Iterator[Hit]:
    for line, record, other in judged.contradictions():
        yield Hit(f"line {other} prefers the other one of the same two answers", line, record)


def _length_bias(judged: Judged) -> Iterator[Hit]:
    if judged.pairs < MIN_PAIRS:
        return
    for place, name in ((0, "better"), (1, "worse")):
        share = judged.longer[place] / judged.pairs
        ratio = judged.chars[place] / max(1, judged.chars[1 - place])
        if share >= LONGER_SHARE and ratio >= LONGER_RATIO:
            yield Hit(f"the {name} answer is longer in {share:.0%} of the pairs, {ratio:.1f} times on average")


def _thumbs(judged: Judged) -> Iterator[Hit]:
    up, down = judged.thumbs
    if up + down and (up > MAX_RATIO * down or down > MAX_RATIO * up):
        yield Hit(f"{up:,} thumbs up and {down:,} down")


CHECKS: tuple[Check, ...] = (
    ExampleCheck(
        id="preference-tie",
        severity="warning",
        family="preference",
        title="a pair of equal answers",
        why="Where both are the same there is nothing to prefer, and the loss only adds noise.",
        start=_tie,
        fix=Fix(what="drop the row", drop=True),
    ),
    DatasetCheck(
        id="preference-contradiction",
        severity="error",
        family="preference",
        title="two pairs that contradict each other",
        why="One row prefers what another one refuses, to the same prompt: one of them is wrong.",
        observer=Judged,
        run=_contradiction,
    ),
    DatasetCheck(
        id="preference-length-bias",
        severity="warning",
        family="preference",
        title="length tells the better answer",
        why="A model then learns length instead of quality (Singhal et al. 2023, arxiv.org/abs/2310.03716).",
        observer=Judged,
        run=_length_bias,
    ),
    DatasetCheck(
        id="thumb-imbalance",
        severity="warning",
        family="preference",
        title="many more thumbs of one kind than of the other",
        why="KTO needs both in balance, or weights for them (TRL, KTOTrainer: 1:1 to 4:3 after weighting).",
        observer=Judged,
        run=_thumbs,
    ),
)
