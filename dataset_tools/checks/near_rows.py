"""Which rows of a file are alike? Sketches as the rows pass, then the likely pairs are read again and compared."""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray

from dataset_tools.checks.base import ExampleView, Setting
from dataset_tools.similarity import MULTIPLIER, SharedText, distinct, fold, jaccard, shingles
from dataset_tools.sketches import band_keys

SIMILAR = 0.8  # Jaccard similarity; the convention of datasketch. Short rows of one template reach it too
MAX_PAIRS = 20_000  # pairs of rows that are read again and compared, the likeliest first: two to four seconds
MAX_PAIRS_OF_BAND = 10 * MAX_PAIRS
MAX_HELD = 10_000_000  # shingles of the earlier rows of such pairs, four bytes each
MAX_CHARS = 100_000  # of a row; what stands behind is not compared
HEAD_ROWS = 1_000  # that tell what all have in common
BATCH_ROWS, BATCH_CHARS = 500, 500_000
SHARED_LINE = 10  # what fewer rows repeat may be that of near-duplicates
Halves = NDArray[np.uint32]
_HALF, _LOW = np.uint64(32), np.uint64(0xFFFFFFFF)
_NEIGHBOURS = 4  # rows of one key that a row is compared with, beside the first


@dataclass(frozen=True, slots=True)
class Pair:
    """Two rows by their records, how alike they are (0 to 1), and whether the answers are the same."""

    earlier: int
    later: int
    similarity: float
    same_answer: bool


@dataclass(slots=True)
class Compared:
    """The pairs that are alike, the lines of their rows, and how many rows were not compared."""

    pairs: list[Pair] = field(default_factory=list)
    lines: dict[int, int] = field(default_factory=dict)
    left_out: int = 0


class NearRows:
    """For each row the keys of its sketch: 60 bytes, whatever its length. Likely pairs are settled by reading again.

    What is compared is the prompt (without a system message) and the answer, both without what all rows share.
    """

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        head = setting.read_again(set(range(1, HEAD_ROWS + 1)))
        self._shared = _shared_by([_prompt_and_answer([turn.content for turn in row.messages]) for row in head])
        self._waiting: list[str] = []
        self._chars = 0
        self._seen = array("I")  # the records of the rows that wait
        self._hashes = array("Q")  # and of all that they hold
        self._keys: list[NDArray[np.uint32]] = []
        self._records: list[NDArray[np.uint32]] = []
        self._contents: list[NDArray[np.uint64]] = []

    def see(self, view: ExampleView) -> None:
        """Note the row; from time to time make the sketches of those that wait."""
        own = _text(*self._own(*_prompt_and_answer(view.contents)))
        self._waiting.append(own)
        self._seen.append(view.record)
        self._hashes.append(xxhash.xxh3_64_intdigest(view.text.encode("utf-8", errors="surrogatepass")))
        self._chars += len(own)
        if len(self._waiting) >= BATCH_ROWS or self._chars >= BATCH_CHARS:
            self._sketch()

    def pack(self) -> tuple[list[NDArray[np.uint32]], list[NDArray[np.uint32]], list[NDArray[np.uint64]]]:
        """What it saw: keys, records and hashes of the contents, a batch at a time."""
        self._sketch()
        return self._keys, self._records, self._contents

    def absorb(self, packed: Any, *, lines: int, records: int) -> None:
        """Take what was seen in a later part of the file, whose records were counted from its start."""
        keys, numbers, contents = packed
        self._keys += keys
        self._records += [part + np.uint32(records) for part in numbers]
        self._contents += contents

    @cached_property
    def compared(self) -> Compared:
        """All likely pairs, compared; ask when the rows have passed."""
        self._sketch()
        pairs, left_out = self._likely_pairs()
        if self._setting.views:  # they tell better than the first rows what all have in common
            self._shared = _shared_by([_prompt_and_answer(view.contents) for view in self._setting.views])
        return self._compare(pairs, left_out)

    def _sketch(self) -> None:
        if not self._waiting:
            return
        places, keys = band_keys(self._waiting)
        self._keys.append(keys)
        self._records.append(np.asarray(self._seen, dtype=np.uint32)[places])
        self._contents.append(np.asarray(self._hashes, dtype=np.uint64)[places])
        self._waiting = []
        self._seen, self._hashes, self._chars = array("I"), array("Q"), 0

    def _own(self, prompt: str, answer: str) -> tuple[str, str]:
        in_prompts, in_answers = self._shared
        return in_prompts.without(prompt.lower()), in_answers.without(answer.lower())

    def _likely_pairs(self) -> tuple[NDArray[np.uint64], int]:
        """Pairs of records (the earlier in the high half) that share a key, and how many rows are left out.

        Of rows that are the same word for word only the first is looked at. Where there are too many pairs, each
        row's likeliest one comes first.
        """
        if not self._keys:
            return np.empty(0, np.uint64), 0
        records = np.concatenate(self._records).astype(np.uint64)
        wanted = _firsts(np.concatenate(self._contents), records)
        found = [
            _pairs_of_band([keys[band] for keys in self._keys], records, wanted) for band in range(len(self._keys[0]))
        ]
        pairs, counts = np.unique(np.concatenate(found), return_counts=True)
        pairs = pairs[np.argsort(-counts, kind="stable")]
        rows, likeliest = np.unique(pairs & _LOW, return_index=True)
        others = np.delete(pairs, likeliest)
        chosen = np.concatenate([pairs[np.sort(likeliest)], others])[:MAX_PAIRS]
        return np.sort(chosen), max(0, len(rows) - MAX_PAIRS)

    def _compare(self, pairs: NDArray[np.uint64], left_out: int) -> Compared:
        done = Compared(left_out=left_out)
        earlier_of: dict[int, list[int]] = defaultdict(list)
        last_use: dict[int, int] = {}
        for pair in pairs.tolist():
            earlier, later = pair >> 32, pair & 0xFFFFFFFF
            earlier_of[later].append(earlier)
            last_use[earlier] = max(last_use.get(earlier, 0), later)
        held: dict[int, _Row] = {}
        room = MAX_HELD
        for example in self._setting.read_again(earlier_of.keys() | last_use.keys()) if earlier_of else ():
            here = example.record
            done.lines[here] = example.line
            contents = [message.content for message in example.messages]
            row = _Row.of(self._own(*_prompt_and_answer(contents)), contents)
            for other in earlier_of.get(here, ()):
                if other in held:
                    pair_found = row.compare(held[other], other, here)
                    done.pairs.extend([pair_found] if pair_found else [])
                else:
                    done.left_out += 1
                if other in held and last_use[other] == here:
                    room += held.pop(other).size
            if here in last_use and row.size <= room:
                held[here] = row
                room -= row.size
        return done


@dataclass(frozen=True, slots=True)
class _Row:
    """A row that was read again: the upper halves of its shingles' hashes, and its folded texts as hashes."""

    shingles: Halves
    answer_shingles: Halves
    prompt: int
    answer: int

    @classmethod
    def of(cls, own: tuple[str, str], contents: Sequence[str]) -> _Row:
        """Look at a row's own prompt and answer, and its messages."""
        folded = [fold(content) for content in contents]
        whole, answer = _halves(_text(*own)), _halves(own[1])
        return cls(whole, answer, hash("\0".join(folded[:-1])), hash(folded[-1]))

    @property
    def size(self) -> int:
        """How many numbers it keeps."""
        return len(self.shingles) + len(self.answer_shingles)

    def compare(self, earlier: _Row, earlier_record: int, record: int) -> Pair | None:
        """The pair, where the rows are alike but not the same.

        Where the prompts are the same, it is the answers that must be alike: other answers to one prompt are told by
        another check.
        """
        same_answer = self.answer == earlier.answer
        if self.prompt != earlier.prompt:
            similarity = jaccard(earlier.shingles, self.shingles)
        else:
            similarity = 0.0 if same_answer else jaccard(earlier.answer_shingles, self.answer_shingles)
        return Pair(earlier_record, record, similarity, same_answer) if similarity >= SIMILAR else None


def _halves(text: str) -> Halves:
    return distinct((shingles(text) >> _HALF).astype(np.uint32))


def _text(prompt: str, answer: str) -> str:
    return f"{prompt}\n{answer}"[:MAX_CHARS]


def _shared_by(rows: Sequence[tuple[str, str]]) -> tuple[SharedText, SharedText]:
    """What the prompts have in common, and the answers."""
    if len(rows) < SHARED_LINE:
        return SharedText(), SharedText()
    prompts, answers = zip(*rows, strict=True)
    one, other = ([text.lower() for text in texts] for texts in (prompts, answers))
    return SharedText.of(one, least=SHARED_LINE), SharedText.of(other, least=SHARED_LINE)


def _prompt_and_answer(contents: Sequence[str]) -> tuple[str, str]:
    if len(contents) <= 3:
        return contents[-2], contents[-1]
    return "\n".join(contents[len(contents) % 2 : -1]), contents[-1]


def _firsts(contents: NDArray[np.uint64], records: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Which rows are the first with their contents."""
    ordered = np.sort(contents)
    twice = distinct(ordered[1:][ordered[1:] == ordered[:-1]])
    wanted = np.ones(len(contents), dtype=bool)
    places = np.flatnonzero(np.isin(contents, twice))
    places = places[np.argsort(records[places])]
    wanted[places] = False
    wanted[places[np.unique(contents[places], return_index=True)[1]]] = True
    return wanted


def _pairs_of_band(
    keys: list[NDArray[np.uint32]], records: NDArray[np.uint64], wanted: NDArray[np.bool_]
) -> NDArray[np.uint64]:
    """Pairs of the wanted rows that have the same key: each with the first of them, and with those just before it."""
    packed = np.concatenate(keys).astype(np.uint64)
    packed <<= _HALF
    packed |= records
    packed = packed[wanted]
    packed.sort()
    key = packed >> _HALF
    same = np.flatnonzero(key[1:] == key[:-1])
    shared = packed[distinct(np.concatenate([same, same + 1]).astype(np.uint64)).astype(np.intp)]
    del packed, key  # only what shares its key with another row goes on: rarely much
    key, record = shared >> _HALF, shared & _LOW
    begins = np.ones(len(key), dtype=bool)
    begins[1:] = key[1:] != key[:-1]
    firsts = np.maximum.accumulate(np.where(begins, np.arange(len(key)), 0))
    far = np.flatnonzero(np.arange(len(key)) - firsts > _NEIGHBOURS)
    found = [(record[firsts[far]] << _HALF) | record[far]]
    for back in range(1, _NEIGHBOURS + 1):
        near = np.flatnonzero(key[back:] == key[:-back])
        found.append((record[near] << _HALF) | record[near + back])
    pairs = np.concatenate(found)
    if len(pairs) <= MAX_PAIRS_OF_BAND:
        return pairs
    return pairs[np.argpartition(pairs * MULTIPLIER, MAX_PAIRS_OF_BAND)[:MAX_PAIRS_OF_BAND]]  # alike in each band
