"""Scores for answers that are a set of labels: how many of the wanted ones are there, and how many others."""

from __future__ import annotations

import json
from collections.abc import Sequence

from advisor.metrics.base import Metric, check_items, f1, share
from advisor.metrics.classification import normal_label
from dataset_tools.task_type import split_labels


def label_set(text: str) -> frozenset[str]:
    """The labels of an answer, as ``accuracy`` compares them. Their order, and how often one occurs, is nothing.

    Labels are parted by line ends, else by ``|``, else by ``;``, else by commas; a JSON list of texts or numbers is
    read as well. An answer and its wanted answer may be written in different ways.
    """
    stripped = text.strip()
    listed = _listed(stripped)
    return frozenset(normal_label(label) for label in (split_labels(stripped) if listed is None else listed))


def sample_f1(answer: str, wanted: str) -> float:
    """F1 over the labels of one item: 2 * shared / (answered + wanted), as scikit-learn's ``average="samples"``.

    Two empty sets match. The order of the labels does not matter.
    """
    found, want = label_set(answer), label_set(wanted)
    if not found and not want:
        return 1.0
    return f1(len(found & want), len(found), len(want))


def multi_label_details(answers: Sequence[str], wanted: Sequence[str]) -> dict[str, float]:
    """Figures over all items.

    Returns:
        ``jaccard``, the mean of shared / all labels of both; ``exact_set``, the share with exactly the wanted labels;
        ``label_validity``, the share of the answered labels that are wanted anywhere (1.0 where none was answered).

    Raises:
        ValueError: there is no item, or the two differ in length.
    """
    check_items(answers, wanted)
    pairs = [(label_set(answer), label_set(want)) for answer, want in zip(answers, wanted, strict=True)]
    known = {label for _, want in pairs for label in want}
    answered = [label for found, _ in pairs for label in found]
    overlaps = [len(found & want) / len(found | want) if found | want else 1.0 for found, want in pairs]
    return {
        "jaccard": sum(overlaps) / len(overlaps),
        "exact_set": share(sum(found == want for found, want in pairs), len(pairs)),
        "label_validity": share(sum(label in known for label in answered), len(answered)) if answered else 1.0,
    }


def _listed(text: str) -> list[str] | None:
    """The items of a JSON list, unless it holds lists or objects."""
    if not text.startswith("["):
        return None
    try:
        items = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(items, list) or any(isinstance(item, dict | list) for item in items):
        return None
    return [item if isinstance(item, str) else json.dumps(item) for item in items]


SAMPLE_F1 = Metric("sample-f1", "F1 over labels", sample_f1, multi_label_details)
