from __future__ import annotations

import random

from dataset_tools.near_groups import EXACT_TEXTS, near_groups, sketched_groups
from dataset_tools.similarity import near_duplicate_groups

WORDS = ["".join(random.Random(n).choices("abcdefghijklmnopqrstuvwxyz", k=5 + n % 4)) for n in range(400)]


def _texts(count: int, *, copies: int) -> list[str]:
    rng = random.Random(7)
    texts = [" ".join(rng.choices(WORDS, k=30)) for _ in range(count)]
    near = [text.replace(text.split()[4], "changed", 1) for text in texts[:copies]]
    return texts + near


def _sets(groups: list[int]) -> set[frozenset[int]]:
    members: dict[int, set[int]] = {}
    for place, group in enumerate(groups):
        members.setdefault(group, set()).add(place)
    return {frozenset(found) for found in members.values()}


def test_sketches_find_the_same_groups_as_the_exact_search() -> None:
    texts = [*_texts(600, copies=200), "short", "short", "Short!", ""]
    assert _sets(sketched_groups(texts)) == _sets(near_duplicate_groups(texts))


def test_many_texts_are_grouped_by_their_sketches() -> None:
    texts = _texts(EXACT_TEXTS, copies=50)
    groups = near_groups(texts)
    assert all(groups[EXACT_TEXTS + n] == groups[n] for n in range(50))
    assert len(set(groups)) == EXACT_TEXTS


def test_texts_that_are_all_the_same_but_for_a_letter_are_one_group() -> None:
    base = "please tell me how to cancel the transfer that I made yesterday " * 3
    texts = [base[:n] + "x" + base[n + 1 :] for n in range(150)]
    assert set(sketched_groups(texts)) == {0}


def test_no_texts_have_no_groups() -> None:
    assert sketched_groups([]) == near_groups([]) == []
