"""Which rows stand in the test set too, or nearly so? The test rows are indexed once, and each row is looked up.

What is compared is the prompt: a question that was trained on tells nothing when it is asked in a test.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from dataset_tools.checks.base import ExampleView, Setting
from dataset_tools.checks.duplicates import loose_key
from dataset_tools.example import Example
from dataset_tools.similarity import MIN_NEAR_LENGTH, Hashes, SharedText, fold, jaccard, shingles
from dataset_tools.sketches import band_keys

NEAR = 0.8  # Jaccard similarity: the convention of datasketch, and where `split` keeps rows on one side
INSTRUCTION = 3  # a prompt that so many test rows have is an instruction; such rows are compared with their answers
MAX_CHARS = 100_000  # of a prompt; what stands behind is not compared
SHARED_LINE = 10  # what fewer rows repeat may be that of near-duplicates
BATCH_ROWS, BATCH_CHARS = 500, 500_000
_MAX_SHINGLES = 20_000_000  # of test rows, kept for the next look; eight bytes each
_HALF = np.uint64(32)
K = TypeVar("K")
Kind = Literal["same", "near", "conversation", "group"]


@dataclass(frozen=True, slots=True)
class Leak:
    """A row and the test row that it gives away; ``similarity`` is 1 where only case, blanks or punctuation differ."""

    kind: Kind
    record: int
    test: int
    similarity: float = 1.0
    same_answer: bool = True


class Leaks:
    """Finds the leaks of a file's rows. It keeps what it found, and the rows of one batch."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self.tests = setting.test_rows or ()
        head = setting.read_again(set(range(1, BATCH_ROWS + 1))) if len(self.tests) < SHARED_LINE else ()
        self._index = _TestIndex(self.tests, head=list(head))
        self._found: list[Leak] = []
        self._waiting: list[tuple[str, str, int]] = []
        self._chars = 0

    def see(self, view: ExampleView) -> None:
        """Look the row up; the search for near ones waits for a batch."""
        index, contents = self._index, view.contents
        turns = _talk(contents)
        prompt, answer = _question(turns[:-1]), turns[-1]
        question, key = index.question(prompt, answer)
        same = index.same(question, key)
        if same is not None:
            kind: Kind = "same" if question == index.questions[same] else "near"
            self._note(kind, view.record, same, answer)
        else:
            self._waiting.append((question, answer, view.record))
            self._chars += len(question)
            if len(self._waiting) >= BATCH_ROWS or self._chars >= BATCH_CHARS:
                self._look_up()
        if len(turns) > 2:
            inside = index.conversation_in(turns)
            if inside is not None and inside != same:
                self._note("conversation", view.record, inside, self.tests[inside].completion)
        if view.group is not None and view.group in index.groups:
            test = index.groups[view.group]
            self._note("group", view.record, test, self.tests[test].completion)

    @cached_property
    def found(self) -> list[Leak]:
        """All leaks in the order of the file; ask when the rows have passed."""
        self._look_up()
        return sorted(self._found, key=lambda leak: leak.record)

    @cached_property
    def lines(self) -> dict[int, int]:
        """The lines of the leaks, by their records."""
        records = {leak.record for leak in self.found}
        return {row.record: row.line for row in self._setting.read_again(records)} if records else {}

    def own_part(self, text: str) -> str:
        """A text in small letters, without what the test rows share: their instruction."""
        return self._index.own_part(text)

    def pack(self) -> list[Leak]:
        """What it found."""
        self._look_up()
        return self._found

    def absorb(self, packed: list[Leak], *, lines: int, records: int) -> None:
        """Take what was found in a later part of the file, whose records were counted from its start."""
        self._found += [replace(leak, record=leak.record + records) for leak in packed]

    def _look_up(self) -> None:
        for place, test, similarity in self._index.near([question for question, _, _ in self._waiting]):
            _, answer, record = self._waiting[place]
            self._note("near", record, test, answer, similarity)
        self._waiting.clear()
        self._chars = 0

    def _note(self, kind: Kind, record: int, test: int, answer: str, similarity: float = 1.0) -> None:
        same_answer = fold(answer) == fold(self.tests[test].completion)
        self._found.append(Leak(kind, record, test, similarity, same_answer))


class _TestIndex:
    """The test rows by what they ask: as hashes, and by the keys of their sketches."""

    def __init__(self, rows: Sequence[Example], *, head: Sequence[Example]) -> None:
        turns = [_talk([turn.content for turn in row.messages]) for row in rows]
        prompts = [_question(contents[:-1]) for contents in turns]
        counts = Counter(loose_key(prompt) for prompt in prompts)
        self._instructions = {key for key, count in counts.items() if count >= INSTRUCTION}
        asked = [self.question(prompt, row.completion) for prompt, row in zip(prompts, rows, strict=True)]
        self.questions = [question for question, _ in asked]
        self._by_key = _first_places(key for _, key in asked)
        self._by_conversation = _first_places(loose_key("\0".join(contents)) for contents in turns)
        self.groups = _first_places(row.group for row in rows)
        self._sketch([_question(_talk([turn.content for turn in row.messages])[:-1]) for row in head])
        self._shingles: dict[int, Hashes] = {}
        self._room = _MAX_SHINGLES

    def question(self, prompt: str, answer: str) -> tuple[str, int]:
        """What is compared, and its key: the prompt, and where that is the same in many rows, the answer too."""
        key = loose_key(prompt)
        if key not in self._instructions:
            return prompt, key
        question = f"{prompt}\n{answer}"
        return question, loose_key(question)

    def same(self, question: str, key: int) -> int | None:
        """The test row that asks the same, but for case and blanks."""
        place = self._by_key.get(key)
        return place if place is not None and fold(self.questions[place]) == fold(question) else None

    def conversation_in(self, turns: Sequence[str]) -> int | None:
        """The test row whose whole conversation is the beginning of this longer one."""
        for end in range(2, len(turns), 2):
            text = "\0".join(turns[:end])
            place = self._by_conversation.get(loose_key(text)) if len(text) >= MIN_NEAR_LENGTH else None
            if place is not None:
                return place
        return None

    def near(self, questions: Sequence[str]) -> Iterator[tuple[int, int, float]]:
        """The places of the questions that are nearly the same as a test row's, the nearest of those, and how near."""
        own = [self.own_part(question) for question in questions]
        places, keys = band_keys(own)
        packed = _packed(keys)
        begins, ends = (np.searchsorted(self._keys, packed, side=side) for side in ("left", "right"))
        for column in np.flatnonzero((ends > begins).any(axis=0)).tolist():
            hits = zip(begins[:, column].tolist(), ends[:, column].tolist(), strict=True)
            candidates = {int(owner) for begin, end in hits for owner in self._owners[begin:end]}
            wanted = shingles(own[places[column]])
            similarity, test = max((jaccard(wanted, self._shingles_of(test)), -test) for test in candidates)
            if similarity >= NEAR:
                yield int(places[column]), -test, similarity

    def _sketch(self, head: Sequence[str]) -> None:
        """Make the sketches of the test rows, without what they share with each other and the first of the file."""
        texts = [question.lower() for question in (*self.questions, *head)]
        self._shared = SharedText.of(texts, least=SHARED_LINE) if len(texts) >= SHARED_LINE else SharedText()
        self._own = [self.own_part(question) for question in self.questions]
        places, keys = band_keys(self._own)
        packed, owners = _packed(keys).reshape(-1), np.tile(places, len(keys))
        order = np.argsort(packed, kind="stable")
        self._keys, self._owners = packed[order], owners[order]

    def own_part(self, question: str) -> str:
        """A question in small letters, without what the test rows share."""
        return self._shared.without(question[:MAX_CHARS].lower())

    def _shingles_of(self, test: int) -> Hashes:
        if test not in self._shingles:
            made = shingles(self._own[test])
            if len(made) > self._room:
                return made
            self._shingles[test] = made
            self._room -= len(made)
        return self._shingles[test]


def _talk(contents: Sequence[str]) -> Sequence[str]:
    """The texts without that of a system message, which is there where their number is odd (but for some calls)."""
    return contents[len(contents) % 2 :]


def _question(turns: Sequence[str]) -> str:
    return turns[0] if len(turns) == 1 else "\n".join(turns)


def _first_places(values: Iterable[K]) -> dict[K, int]:
    places: dict[K, int] = {}
    for place, value in enumerate(values):
        places.setdefault(value, place)
    return places


def _packed(keys: NDArray[np.uint32]) -> NDArray[np.uint64]:
    """The keys with the number of their band in the upper half."""
    bands = np.arange(len(keys), dtype=np.uint64)[:, None]
    return (bands << _HALF) | keys
