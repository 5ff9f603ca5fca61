"""Scores for short free answers: token F1 and exact match, as in SQuAD (https://arxiv.org/abs/1606.05250).

Tokens are what spaces separate: for a language written without spaces this is the exact match.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence

from advisor.metrics.base import Metric, check_items, f1, share

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normal_tokens(text: str) -> list[str]:
    """The tokens of an answer by SQuAD's rule: lower case, no ASCII punctuation, no English article.

    One change to the rule: when this leaves nothing (the answer ``A`` of a multiple choice, the answer ``+``) the step
    that emptied it is left out. By the letter of it, no answer at all would be a match for ``A``.
    """
    lowered = text.lower()
    bare = lowered.translate(_PUNCTUATION)
    return _ARTICLES.sub(" ", bare).split() or bare.split() or lowered.split()


def token_f1(answer: str, wanted: str) -> float:
    """F1 over the tokens of both, counted as often as they occur. Two empty answers match."""
    found, want = normal_tokens(answer), normal_tokens(wanted)
    if not found or not want:
        return float(found == want)
    return f1((Counter(found) & Counter(want)).total(), len(found), len(want))


def short_answer_details(answers: Sequence[str], wanted: Sequence[str]) -> dict[str, float]:
    """Figures over all items.

    Returns:
        ``exact_match``, the share of answers with the wanted tokens, in order; ``containment``, the share that hold
        them as one run of tokens, whatever stands around (no token at all is held only by an empty answer).

    Raises:
        ValueError: there is no item, or the two differ in length.
    """
    check_items(answers, wanted)
    pairs = [(normal_tokens(answer), normal_tokens(want)) for answer, want in zip(answers, wanted, strict=True)]
    return {
        "exact_match": share(sum(found == want for found, want in pairs), len(pairs)),
        "containment": share(sum(_holds(found, want) for found, want in pairs), len(pairs)),
    }


def exact_match(answer: str, wanted: str) -> float:
    """1.0 when both have the same tokens in the same order, by SQuAD's rule, else 0.0.

    So case, punctuation, blanks and English articles do not matter; ``verbatim`` in the details, where they do, tells
    how often they made no difference.
    """
    return float(normal_tokens(answer) == normal_tokens(wanted))


def exact_match_details(answers: Sequence[str], wanted: Sequence[str]) -> dict[str, float]:
    """Figures over all items.

    Returns:
        ``verbatim``, the share of answers that are the wanted text to the letter, but for blanks at the ends;
        ``token_f1``, the mean of it; ``containment`` as in ``short_answer_details``.

    Raises:
        ValueError: there is no item, or the two differ in length.
    """
    containment = short_answer_details(answers, wanted)["containment"]
    pairs = list(zip(answers, wanted, strict=True))
    return {
        "verbatim": share(sum(answer.strip() == want.strip() for answer, want in pairs), len(pairs)),
        "token_f1": sum(token_f1(answer, want) for answer, want in pairs) / len(pairs),
        "containment": containment,
    }


def _holds(found: list[str], want: list[str]) -> bool:
    if not want:
        return not found
    return any(found[start : start + len(want)] == want for start in range(len(found) - len(want) + 1))


TOKEN_F1 = Metric("token-f1", "Token F1", token_f1, short_answer_details)
EXACT_MATCH = Metric("exact-match", "Exact match", exact_match, exact_match_details)
