"""Scores for answers that are one label of a known set."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from advisor.metrics.base import Metric, check_items, share

_QUOTES = "\"'`*“”\u2018\u2019«»„"
_FINAL_PUNCTUATION = ".,;:!?。"


def normal_label(text: str) -> str:
    """A label as it is compared: the first line with text, casefolded, without outer quotes and final punctuation.

    Text that is nothing but punctuation stays as it is, so that the labels ``!`` and ``?`` are two labels.
    """
    lines = (line.strip() for line in text.splitlines())
    first = unicodedata.normalize("NFC", next((line for line in lines if line), "")).casefold()
    label, before = first, None
    while label != before:  # `"yes".` and `"yes."` both need more than one round
        before = label
        label = label.strip(_QUOTES).rstrip(_FINAL_PUNCTUATION).strip()
    return label or first


def label_match(answer: str, wanted: str) -> float:
    """1.0 when the answer is the wanted label (see ``normal_label``), else 0.0. A label in a sentence is none."""
    return float(normal_label(answer) == normal_label(wanted))


def label_details(answers: Sequence[str], wanted: Sequence[str]) -> dict[str, float]:
    """Figures over all items.

    Returns:
        ``macro_f1`` over the labels that occur among the wanted answers (scikit-learn, ``zero_division=0``), and
        ``label_validity``, the share of answers that are one of these labels.

    Raises:
        ValueError: there is no item, or the two differ in length.
    """
    check_items(answers, wanted)
    from sklearn.metrics import f1_score

    found = [normal_label(answer) for answer in answers]
    truth = [normal_label(want) for want in wanted]
    labels = sorted(set(truth))
    return {
        "macro_f1": float(f1_score(truth, found, labels=labels, average="macro", zero_division=0)),
        "label_validity": share(sum(label in set(labels) for label in found), len(found)),
    }


ACCURACY = Metric("accuracy", "Accuracy", label_match, label_details)
