"""Scores for longer text by overlap with the wanted text: a floor under real quality and not a measure of it.

ROUGE-L is Lin 2004 (https://aclanthology.org/W04-1013), BLEU is Papineni 2002 (https://aclanthology.org/P02-1040), chrF
is Popović 2015 (https://aclanthology.org/W15-3049) and chrF++ Popović 2017 (https://aclanthology.org/W17-4770). BLEU
and chrF are sacrebleu's. What each does not see is told in docs/metrics.md.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from advisor.metrics.base import Metric, check_items, share
from advisor.metrics.chrf_counts import chrf_counts, chrf_scores, counting
from dataset_tools.task_type import MIN_CODE, is_python, python_tree

# Chinese characters and Japanese kana one by one, other words whole.
_TOKEN = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]|[^\W_\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]+")


def words(text: str) -> list[str]:
    """The words of a text in any script, in lower case; for ASCII text those of rouge-score's own tokenizer.

    That one drops all but a-z and 0-9: Greek gets 0.
    """
    return _TOKEN.findall(text.lower())


def rouge_l(answer: str, wanted: str) -> float:
    """ROUGE-L F1 without stemming. 1.0 for equal texts, texts without a word included.

    The longest common subsequence is rapidfuzz's, 64 words at a step: rouge-score's takes seconds for texts of some
    thousand words, and gives the same.
    """
    if answer.strip() == wanted.strip():
        return 1.0
    from rapidfuzz.distance import LCSseq

    found, want = words(answer), words(wanted)
    common = LCSseq.similarity(found, want) if found and want else 0
    if not common:
        return 0.0
    precision, recall = common / len(found), common / len(want)
    return 2 * precision * recall / (precision + recall)


def bleu(answer: str, wanted: str) -> float:
    """BLEU of one sentence in [0, 1], by sacrebleu: its tokenizer 13a, exponential smoothing, and effective order.

    With effective order a text of two words is judged by its words and pairs, and not by fours that it cannot have.
    """
    if answer.strip() == wanted.strip():
        return 1.0
    return min(1.0, float(_bleu().sentence_score(answer, [wanted]).score) / 100)  # rounding gives 100.00000000000004


def chrf(answer: str, wanted: str) -> float:
    """chrF++ of one text in [0, 1], by sacrebleu: runs of 1 to 6 characters and of 1 to 2 words, recall twice."""
    if answer.strip() == wanted.strip():
        return 1.0
    return min(1.0, float(counting(2).sentence_score(answer, [wanted]).score) / 100)


def chrf_many(answers: Sequence[str], wanted: Sequence[str]) -> tuple[float, ...]:
    """`chrf` of each item, counted for many items at once: the same numbers, some times as fast."""
    scores = chrf_scores(chrf_counts(answers, wanted, words=2))
    return tuple(
        1.0 if answer.strip() == want.strip() else min(1.0, float(score) / 100)
        for answer, want, score in zip(answers, wanted, scores, strict=True)
    )


def text_details(answers: Sequence[str], wanted: Sequence[str]) -> dict[str, float]:
    """Figures over all items.

    Returns:
        ``chrf``, chrF over all items in [0, 1], by sacrebleu; ``length_ratio``, characters answered for each character
        wanted, over all items (1.0 is as long as wanted).

    Raises:
        ValueError: there is no item, or the two differ in length.
    """
    check_items(answers, wanted)
    counts = chrf_counts(answers, wanted, words=0).sum(axis=0, keepdims=True)
    return {"chrf": float(chrf_scores(counts)[0]) / 100, "length_ratio": _length_ratio(answers, wanted)}


def bleu_details(answers: Sequence[str], wanted: Sequence[str]) -> dict[str, float]:
    """Figures over all items.

    Returns:
        ``corpus_bleu``, BLEU over all items in [0, 1], which is not the mean of the items' scores; ``length_ratio`` as
        in ``text_details``.

    Raises:
        ValueError: there is no item, or the two differ in length.
    """
    check_items(answers, wanted)
    score = min(1.0, float(_bleu().corpus_score(list(answers), [list(wanted)]).score) / 100)
    return {"corpus_bleu": score, "length_ratio": _length_ratio(answers, wanted)}


def chrf_details(answers: Sequence[str], wanted: Sequence[str]) -> dict[str, float]:
    """Figures over all items.

    Returns:
        ``length_ratio`` as in ``text_details``; where 90% of the wanted answers are Python code also ``parses``, the
        share of answers that are not empty and parse.

    Raises:
        ValueError: there is no item, or the two differ in length.
    """
    check_items(answers, wanted)
    figures = {"length_ratio": _length_ratio(answers, wanted)}
    if sum(map(is_python, wanted)) >= MIN_CODE * len(wanted):
        figures["parses"] = parsing(answers)
    return figures


def parsing(answers: Sequence[str]) -> float:
    """The share of answers that are not empty and parse as Python, without a Markdown fence around all of them."""
    return share(sum(bool(answer.strip()) and python_tree(answer) is not None for answer in answers), len(answers))


def _length_ratio(answers: Sequence[str], wanted: Sequence[str]) -> float:
    return sum(map(len, answers)) / max(1, sum(map(len, wanted)))


@lru_cache(maxsize=1)
def _bleu() -> Any:
    from sacrebleu.metrics import BLEU

    return BLEU(effective_order=True)


ROUGE_L = Metric("rouge-l", "ROUGE-L F1", rouge_l, text_details)
BLEU = Metric("bleu", "BLEU", bleu, bleu_details)
CHRF = Metric("chrf", "chrF++", chrf, chrf_details, many=chrf_many)
