"""Is what a text says in a passage? Judged by words and numbers alone: no model, and no understanding.

It finds answers that were made up from other words. It does not find a negation that was lost, two names swapped, or
a claim that is put together from words that stand in different sentences.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Collection, Iterator
from dataclasses import dataclass

_WORD = re.compile(r"\d(?:[\d.,]*\d)?(?![^\W_])|[^\W_]+")
_GROUPED = re.compile(r"\d{1,3}(?:([.,])\d{3})(?:\1\d{3})*")
# Scripts that put no blanks between words: Thai to Khmer, kana, and Chinese characters. Pairs of letters stand in.
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]+")
_NUMBERS = "zero one two three four five six seven eight nine ten eleven twelve"
_DIGITS = {word: str(number) for number, word in enumerate(_NUMBERS.split())}
# Endings of English, longest first; one is taken off where at least three letters are left.
_ENDINGS = re.compile(r"(?<=\w\w\w)(?:ations?|ings?|ies|ied|ed|es|ly|s|d|e|y)$")
_SAME_BEGINNING, _MORE_LETTERS = 4, 3  # configure, configured; Konto, Kontos: for endings that are not English


@dataclass(frozen=True, slots=True)
class Support:
    """How much of a text stands in a passage.

    ``score`` is the share of its distinct content words (numbers included) that do, 0 where it has none.
    ``missing`` are those that do not, ``numbers`` the missing ones that are numbers or hold a digit: a wrong number is
    a wrong answer, whatever the score.
    """

    score: float
    missing: tuple[str, ...]
    numbers: tuple[str, ...]


class PassageWords:
    """The words of a passage, ready to be asked for."""

    def __init__(self, text: str) -> None:
        tokens = list(words(text))
        self._stopwords = _stopwords(frozenset(tokens))
        self._words = set(tokens) | {_DIGITS[word] for word in tokens if word in _DIGITS}
        self._stems = {_stem(word) for word in self._words}
        self._beginnings = {
            word[:end]
            for word in self._words
            for end in range(max(_SAME_BEGINNING, len(word) - _MORE_LETTERS), len(word))
        }

    def content(self, text: str) -> list[str]:
        """The distinct words of a text that mean something, by the stopwords of the passage's language."""
        return [word for word in dict.fromkeys(words(text)) if word not in self._stopwords]

    def support(self, text: str) -> Support:
        """How much of a text stands in the passage."""
        content = self.content(text)
        missing = tuple(word for word in content if word not in self)
        score = 1 - len(missing) / len(content) if content else 0.0
        return Support(score, missing, tuple(word for word in missing if _is_number(word)))

    def __contains__(self, word: str) -> bool:
        """Whether the word stands there, in this or another form."""
        if word in self._words or _DIGITS.get(word) in self._words:
            return True
        if any(char.isdigit() for char in word):
            return False
        return (
            _stem(word) in self._stems
            or word in self._beginnings
            or any(
                word[:end] in self._words for end in range(max(_SAME_BEGINNING, len(word) - _MORE_LETTERS), len(word))
            )
        )


def words(text: str) -> Iterator[str]:
    """The words and numbers of a text, in lower case; a number in one form (1,000.50 is 1000.5)."""
    for token in _WORD.findall(unicodedata.normalize("NFKC", text).casefold()):
        if token[0].isdigit() and token[-1].isdigit() and not any(char.isalpha() for char in token):
            yield _number(token)
        elif _UNSPACED.search(token):
            for run in _UNSPACED.findall(token):
                yield from (run[at : at + 2] for at in range(max(1, len(run) - 1)))
            yield from (rest for rest in _UNSPACED.split(token) if rest)
        else:
            yield token


def _is_number(word: str) -> bool:
    """Whether a word has a digit, or is a number in words ("one" is too often none)."""
    return any(char.isdigit() for char in word) or (word in _DIGITS and word != "one")


def _number(token: str) -> str:
    """A number without the marks of its thousands and without zeros behind the point."""
    if _GROUPED.fullmatch(token):
        return token.replace(".", "").replace(",", "")
    whole, mark, rest = token.replace(",", ".").rpartition(".")
    whole = whole.replace(".", "") if token.count(",") and token.count(".") else whole
    return f"{whole}{mark}{rest}".rstrip("0").rstrip(".") if mark else token


def _stem(word: str) -> str:
    stem = _ENDINGS.sub("", word)
    return stem[:-1] if len(stem) > 3 and stem[-1] == stem[-2] else stem


def _stopwords(tokens: Collection[str]) -> frozenset[str]:
    """The stopwords of the language whose stopwords the text has most of; English where it has none."""
    return max(_all_stopwords(), key=lambda known: len(known & set(tokens)))


@functools.cache
def _all_stopwords() -> tuple[frozenset[str], ...]:
    from bm25s import stopwords

    lists = (
        stopwords.STOPWORDS_EN_PLUS, stopwords.STOPWORDS_GERMAN, stopwords.STOPWORDS_FRENCH,
        stopwords.STOPWORDS_SPANISH, stopwords.STOPWORDS_ITALIAN, stopwords.STOPWORDS_PORTUGUESE,
        stopwords.STOPWORDS_DUTCH, stopwords.STOPWORDS_SWEDISH, stopwords.STOPWORDS_NORWEGIAN,
        stopwords.STOPWORDS_DANISH, stopwords.STOPWORDS_RUSSIAN, stopwords.STOPWORDS_TURKISH,
    )  # fmt: skip
    return tuple(frozenset(word for entry in known for word in words(entry)) for known in lists)
