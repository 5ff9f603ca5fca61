"""Scores for longer text: overlap with the wanted text, a floor under real quality and not a measure of it.

ROUGE-L is Lin 2004 (https://aclanthology.org/W04-1013), chrF is Popović 2015 (https://aclanthology.org/W15-3049).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from advisor.metrics.base import Metric, check_items

# Chinese characters and Japanese kana one by one, other words whole.
_TOKEN = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]|[^\W_\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]+")


class WordTokenizer:
    """Words of any script, in lower case. rouge-score's own tokenizer drops all but a-z and 0-9: Greek gets 0."""

    def tokenize(self, text: str) -> list[str]:
        """The words of ``text``; for ASCII text those of rouge-score's own tokenizer."""
        return _TOKEN.findall(text.lower())


def rouge_l(answer: str, wanted: str) -> float:
    """ROUGE-L F1 without stemming, by rouge-score. 1.0 for equal texts, texts without a word included.

    Time grows with the product of the two lengths.
    """
    if answer.strip() == wanted.strip():
        return 1.0
    return float(_scorer().score(wanted, answer)["rougeL"].fmeasure)


def text_details(answers: Sequence[str], wanted: Sequence[str]) -> dict[str, float]:
    """Figures over all items.

    Returns:
        ``chrf``, chrF over all items in [0, 1], by sacrebleu; ``length_ratio``, characters answered for each character
        wanted, over all items (1.0 is as long as wanted).

    Raises:
        ValueError: there is no item, or the two differ in length.
    """
    check_items(answers, wanted)
    from sacrebleu.metrics import CHRF

    chrf = CHRF().corpus_score(list(answers), [list(wanted)]).score / 100
    length_ratio = sum(map(len, answers)) / max(1, sum(map(len, wanted)))
    return {"chrf": float(chrf), "length_ratio": length_ratio}


@lru_cache(maxsize=1)
def _scorer() -> Any:
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(["rougeL"], tokenizer=WordTokenizer())


ROUGE_L = Metric("rouge-l", "ROUGE-L F1", rouge_l, text_details)
