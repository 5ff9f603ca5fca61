"""Swear words and slurs in the answers: a short list of English words that have no other sense, and no more than that.

It understands nothing: what is hateful without such a word is not found, and a quotation is. So it only tells.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator

from dataset_tools.checks.base import Check, DatasetCheck, ExampleView, Hit
from dataset_tools.checks.monotony import Monotony

DRAWN = 2_000
# Words with a plain sense beside (of animals, food, the Bible, technology) are left out; published lists have many.
WORDS = re.compile(
    r"\b(?:(?:mother ?|cluster)?fuck\w{0,8}|(?:bull|dip|dumb)?shit(?:s|ty|ting|ted|head)?|cunts?|assholes?|arseholes?|"
    r"dickheads?|dumbass(?:es)?|wankers?|twats?|sluts?|niggers?|niggas?|kikes?|wetbacks?|ragheads?|towelheads?)\b",
    re.IGNORECASE,
)
_SHOWN = 20
_COMMON = 0.05  # of the answers: then it is the tone of the file, and told once
_LONGEST = 20_000


def masked(word: str) -> str:
    """The first and the last letter."""
    return f"{word[0]}{'*' * (len(word) - 2)}{word[-1]}"


def _swear_words(monotony: Monotony) -> Iterator[Hit]:
    setting = monotony.setting
    views = setting.views if len(setting.views) <= DRAWN else random.Random(0).sample(setting.views, DRAWN)
    found = [(view, match.group()) for view in views if (match := WORDS.search(view.completion[:_LONGEST]))]
    if len(found) > max(_COMMON * len(views), _SHOWN):
        yield Hit(f"{len(found)} of {len(views):,} answers have a swear word")
        return
    yield from _each(found, len(views))


def _each(found: list[tuple[ExampleView, str]], looked: int) -> Iterator[Hit]:
    for view, word in sorted(found, key=lambda pair: pair[0].record):
        yield view.hit(f"the answer has {masked(word)!r} ({looked:,} rows looked at)")


CHECKS: tuple[Check, ...] = (
    DatasetCheck(
        id="swear-word",
        severity="info",
        family="text",
        title="a swear word or a slur",
        why="The model learns to use it; a short list of English words, which tells nothing of what is hateful without "
        f"them (in {DRAWN:,} rows drawn).",
        observer=Monotony,
        run=_swear_words,
    ),
)
