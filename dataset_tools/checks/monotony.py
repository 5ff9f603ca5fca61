"""Checks for answers that say little for their length: the same phrases, one letter on and on, signs, idle words.

All are told only where few rows are so: lists, tables, verses and programs repeat themselves by right.
"""

from __future__ import annotations

import random
import re
import zlib
from collections.abc import Callable, Iterator
from typing import Any

from dataset_tools.checks.answers import MIN_ROWS, Rare
from dataset_tools.checks.base import Check, DatasetCheck, ExampleView, Hit, Setting
from dataset_tools.checks.fix import Fix
from dataset_tools.similarity import fold

MAX_CHARS = 20_000  # of an answer; what stands behind is not looked at
PHRASE = 5  # words: the shortest of Gopher's duplicate n-grams (Rae et al. 2021, arxiv.org/abs/2112.11446, table A1)
MAX_REPEATED = 0.3  # of the words: Gopher's limit for repeated lines. It has 0.15 for 5-grams, which short answers pass
MAX_SYMBOLS = 0.1  # hashes and ellipses a word, the same table
MAX_SIGNS = 2 / 3  # of the characters but blanks are no letters or digits: our choice; the table counts words
MAX_COMPRESSION = 2.4  # times smaller: where Whisper takes an answer for a loop (Radford et al. 2022, 2212.04356, 4.5)
DRAWN = 1_000  # answers that are compressed
_MIN_SIZE = 200  # characters in which phrases can repeat
_MIN_PACKED, _MAX_PACKED = 300, 1_000  # longer texts compress better whatever they say
_PROBES, _PROBE = 8, 24
_MIN_SIGNS = 40  # characters; shorter answers are numbers and formulas
_RARE = 0.01
_RUN_STEP = 8  # a run of 32 has four of the signs that stand eight apart
_RUN_SEEN = re.compile(r"(\S)\1{3}")
# Rules, tables and boxes are drawn with such signs; digits and capitals fill numbers and codes.
_RUN = re.compile(r"([^\s\dA-Z=_*.#~+|`<>\u2010-\u2015\u2500-\u259f-])\1{31,}+")
_PLAIN = bytes(range(48, 58)) + bytes(range(65, 91)) + bytes(range(97, 123)) + bytes(range(128, 256)) + b" \n\t\r"
_IDLE_WORDS = (
    "ok|okay|k|sure|fine|done|thanks|thank you|you're welcome|i don't know|i do not know|idk|dunno|no idea|not sure|"
    "i'm not sure|i am not sure|see above|see below|as above|same as above|as before|same|ditto|no comment|no answer|"
    "no response|whatever|?|??|???|-|--|hm|hmm|not applicable|to be done|to be determined|coming soon|pending|test|"
    "testing|asdf|blah|blah blah|blah blah blah"
)
_IDLE = frozenset(_IDLE_WORDS.split("|"))
_IDLE_SIZE = 24
_EDGES = " .!,"


class Monotony:
    """The places of answers that say little for their length."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.rows = 0
        self.phrases, self.runs, self.symbols, self.signs, self.idle = (Rare(_RARE) for _ in range(5))

    def see(self, view: ExampleView) -> None:
        """Note a row."""
        answer = view.contents[-1]
        size = len(answer)
        if not size:  # a call of a tool
            return
        self.rows += 1
        if size <= _IDLE_SIZE:
            if fold(answer).strip(_EDGES).replace("\u2019", "'") in _IDLE or not answer.strip(_EDGES):
                self.idle.add(view, answer.strip())
            return
        if size > MAX_CHARS:
            answer, size = answer[:MAX_CHARS], MAX_CHARS
        if size >= _MIN_SIGNS:
            self._see_signs(view, answer, size)
        if size >= _MIN_SIZE and not self.phrases.common and _may_repeat(answer, size):
            share, phrase = repeated(answer)
            if share >= MAX_REPEATED:
                self.phrases.add(view, f"{100 * share:.0f}% of the words repeat phrases such as {phrase[:60]!r}")

    def pack(self) -> Any:
        """What it saw, to be taken in by another one."""
        return self.rows, self._rares()

    def absorb(self, packed: Any, *, lines: int, records: int) -> None:
        """Take what was seen in a later part of the file, whose lines and records were counted from its start."""
        rows, rares = packed
        self.rows += rows
        for rare, other in zip(self._rares(), rares, strict=True):
            rare.absorb(other, lines=lines, records=records)

    def _rares(self) -> tuple[Rare, ...]:
        return self.phrases, self.runs, self.symbols, self.signs, self.idle

    def _see_signs(self, view: ExampleView, answer: str, size: int) -> None:
        if _RUN_SEEN.search(answer[::_RUN_STEP]):
            run = _RUN.search(answer)
            if run:
                self.runs.add(view, f"{run.group(1)!r} {len(run.group())} times in a row")
        if "#" in answer or "..." in answer or "\u2026" in answer:
            count = answer.count("#") + answer.count("...") + answer.count("\u2026")
            words = len(answer.split())
            if count > MAX_SYMBOLS * words and count > 3:
                self.symbols.add(view, f"{count} hashes and ellipses in {words} words")
        raw = answer.encode("utf-8", "surrogatepass")
        rest = len(raw.translate(None, _PLAIN))
        if rest > MAX_SIGNS * (size - answer.count(" ") - answer.count("\n")):
            self.signs.add(view, f"{rest} of {size} characters are neither letters, digits nor blanks")


def _may_repeat(answer: str, size: int) -> bool:
    """Whether one of eight stretches stood in the answer before: of answers with three tenths of repeats, 94% have."""
    step = (size - _PROBE) // _PROBES
    return any(answer.find(answer[start : start + _PROBE]) < start for start in range(size - _PROBE, 0, -step))


def repeated(text: str) -> tuple[float, str]:
    """The share of the words that stand in a phrase of five words which came before, and the first such phrase."""
    words = text.split()
    seen: set[tuple[str, ...]] = set()
    marked = bytearray(len(words))
    first = ""
    for start in range(len(words) - PHRASE + 1):
        phrase = tuple(words[start : start + PHRASE])
        if phrase in seen:
            marked[start : start + PHRASE] = b"\x01" * PHRASE
            first = first or " ".join(phrase)
        seen.add(phrase)
    return (marked.count(1) / len(words) if words else 0.0), first


def compression(text: str) -> float:
    """How many times smaller zlib makes the first thousand characters of a text."""
    raw = text[:_MAX_PACKED].encode("utf-8", "surrogatepass")
    return len(raw) / len(zlib.compress(raw))


def _low_information(monotony: Monotony) -> Iterator[Hit]:
    views = [view for view in monotony.setting.views if len(view.completion) >= _MIN_PACKED]
    if len(views) < MIN_ROWS:
        return
    if len(views) > DRAWN:
        views = sorted(random.Random(0).sample(views, DRAWN), key=lambda view: view.record)
    found = [(view, ratio) for view in views if (ratio := compression(view.completion)) > MAX_COMPRESSION]
    if len(found) <= _RARE * len(views):
        for view, ratio in found:
            yield view.hit(f"it compresses {ratio:.1f} times, over {MAX_COMPRESSION} ({len(views):,} rows looked at)")


def _idle(monotony: Monotony) -> Iterator[Hit]:
    if monotony.setting.task.kind in ("text", "code"):
        yield from monotony.idle.hits("the answer is {!r}", of=monotony.rows)


def _of(name: str, message: str) -> Callable[[Monotony], Iterator[Hit]]:
    def run(monotony: Monotony) -> Iterator[Hit]:
        rare: Rare = getattr(monotony, name)
        yield from rare.hits(message, of=monotony.rows)

    return run


def _check(
    id_: str, title: str, why: str, *, run: Callable[[Monotony], Iterator[Hit]], drop: bool = False, info: bool = False
) -> DatasetCheck:
    return DatasetCheck(
        id=id_,
        severity="info" if info else "warning",
        family="text",
        title=title,
        why=why,
        observer=Monotony,
        run=run,
        fix=Fix(what="drop the row", drop=True) if drop else None,
    )


CHECKS: tuple[Check, ...] = (
    _check(
        "repeated-phrases",
        "the same phrases again and again",
        "Such text teaches to repeat oneself (Rae et al. 2021, arxiv.org/abs/2112.11446, A1.1).",
        run=_of("phrases", "{}"),
        drop=True,
    ),
    _check(
        "character-run",
        "one sign on and on",
        "It is a slip or noise, and models that start such a run hardly stop.",
        run=_of("runs", "the answer has {}"),
    ),
    _check(
        "many-symbols",
        "many hashes or ellipses",
        "More than one to ten words is navigation or cut text (Rae et al. 2021, arxiv.org/abs/2112.11446, A1.1).",
        run=_of("symbols", "the answer has {}"),
    ),
    _check(
        "mostly-signs",
        "an answer of signs, where the others are words",
        "A dump, a code or a table among sentences came in by mistake, mostly (after Rae et al. 2021, A1.1).",
        run=_of("signs", "{}"),
    ),
    _check(
        "idle-answer",
        "an answer that says nothing",
        "The model learns that saying nothing is an answer; where not to know is one, say it in the prompt.",
        run=_idle,
        info=True,
    ),
    _check(
        "low-information",
        "an answer that says little for its length",
        "What compresses so well repeats itself (Radford et al. 2022, arxiv.org/abs/2212.04356, 4.5; "
        f"of {DRAWN:,} answers drawn).",
        run=_low_information,
        info=True,
    ),
)
