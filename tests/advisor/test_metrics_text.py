"""The metrics of text: exact match, BLEU, chrF++, and ROUGE-L where texts are long."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sacrebleu.metrics import CHRF

from advisor.metrics import metric_named
from advisor.metrics.chrf_counts import chrf_counts, counting

WORDS = st.lists(st.sampled_from(["the", "cat", "sat", "on", "mat", "big", ",", "."]), max_size=14).map(" ".join)


# --- exact match


@pytest.mark.parametrize(
    ("answer", "wanted", "score"),
    [
        ("The Eiffel Tower.", "eiffel tower", 1.0),
        ("tower eiffel", "eiffel tower", 0.0),
        ("in Paris", "Paris", 0.0),
        ("A", "a", 1.0),
        ("", "a", 0.0),
        ("ls -l", "ls l", 1.0),  # SQuAD's rule drops punctuation: `verbatim` tells
    ],
)
def test_exact_match_follows_squad(answer: str, wanted: str, score: float) -> None:
    assert metric_named("exact-match").score(answer, wanted) == score


def test_exact_match_details_match_a_count_by_hand() -> None:
    details = metric_named("exact-match").details(["Paris ", "paris", "in Paris", "x"], ["Paris"] * 4)
    assert details == {
        "verbatim": 1 / 4,
        "token_f1": pytest.approx((1 + 1 + 2 / 3 + 0) / 4),
        "containment": 3 / 4,
    }


@given(WORDS, WORDS)
def test_exact_match_is_the_detail_of_token_f1(answer: str, wanted: str) -> None:
    detail = metric_named("token-f1").details([answer], [wanted])["exact_match"]
    assert metric_named("exact-match").score(answer, wanted) == detail


# --- BLEU


@pytest.mark.parametrize(
    ("answer", "wanted", "score"),
    [
        # 5 of 6 words, 3 of 5 pairs, 1 of 4 threes; none of 3 fours, smoothed to 1 / (2 * 3)
        ("the cat sat on the mat", "the cat is on the mat", (5 / 6 * 3 / 5 * 1 / 4 * 1 / 6) ** (1 / 4)),
        ("the cat", "the cat sat on the mat", math.exp(1 - 6 / 2)),  # right, but a third as long
        ("the cat sat on the mat today", "the cat sat on the mat", (6 / 7 * 5 / 6 * 4 / 5 * 3 / 4) ** (1 / 4)),
        ("dogs bark", "the cat sat", 0.0),
        ("", "the cat sat", 0.0),
        ("the cat", "", 0.0),
        ("Rome", "Rome", 1.0),
        ("a  b", "a b", 1.0),
    ],
)
def test_bleu_matches_a_count_by_hand(answer: str, wanted: str, score: float) -> None:
    assert metric_named("bleu").score(answer, wanted) == pytest.approx(score)


def test_bleu_over_all_items_is_in_the_details() -> None:
    details = metric_named("bleu").details(["the cat sat", "x"], ["the cat sat", "y"])
    # 3 of 4 words, 2 of 2 pairs, 1 of 1 threes; there is no four
    assert details == {"corpus_bleu": pytest.approx((3 / 4) ** (1 / 3)), "length_ratio": 1.0}


# --- chrF++


@pytest.mark.parametrize(
    ("answer", "wanted", "score"),
    [
        # 2 of 2 and 1 of 1 runs of characters, of 3 and of 2 wanted ones, and no word: precision 2/3, recall 7/18
        ("ab", "abc", 5 * (2 / 3) * (7 / 18) / (4 * (2 / 3) + 7 / 18)),
        ("x", "y", 0.0),
        ("", "abc", 0.0),
        ("abc", "", 0.0),
        ("東京", "東京", 1.0),
    ],
)
def test_chrf_matches_a_count_by_hand(answer: str, wanted: str, score: float) -> None:
    assert metric_named("chrf").score(answer, wanted) == pytest.approx(score)


def test_chrf_counts_what_is_missing_more_than_what_is_too_much() -> None:
    score = metric_named("chrf").score
    assert score("the cat sat on", "the cat sat on the mat") < score("the cat sat on the mat", "the cat sat on")


def test_code_is_also_told_by_whether_it_parses() -> None:
    wanted = ["def f(x):\n    return x", "print(1)"]
    details = metric_named("chrf").details(["def f(x): return", "print(1"], wanted)
    assert details["parses"] == 1 / 2
    assert metric_named("chrf").details(["", "```python\nx = f(1)\n```"], wanted)["parses"] == 1 / 2
    assert set(metric_named("chrf").details(["a"], ["a cat"])) == {"length_ratio"}


@settings(max_examples=60)
@pytest.mark.parametrize("name", ["bleu", "chrf"])
@given(answer=WORDS, wanted=WORDS)
def test_scores_are_those_of_sacrebleu(name: str, answer: str, wanted: str) -> None:
    from sacrebleu.metrics import BLEU, CHRF

    plain = (BLEU(effective_order=True) if name == "bleu" else CHRF(word_order=2)).sentence_score(answer, [wanted])
    expected = 1.0 if answer == wanted else plain.score / 100
    assert metric_named(name).score(answer, wanted) == pytest.approx(expected)


# --- ROUGE-L


def test_rouge_l_of_long_texts_is_exact() -> None:
    wanted = [f"w{n}" for n in range(5000)]
    kept = [word for n, word in enumerate(wanted) if n % 3]
    total = len(wanted)
    score = metric_named("rouge-l").score(" ".join(kept), " ".join(wanted))
    assert score == pytest.approx(2 * len(kept) / (len(kept) + total))
    assert metric_named("rouge-l").score(" ".join(reversed(wanted)), " ".join(wanted)) == pytest.approx(1 / total)


# --- chrF of many texts at once

LETTERS = st.sampled_from(list("abc ABC\t\n.,!()'-é日本語" + "\u0130\ufb01\U0001f600\ud800\u200b"))
ODD_TEXTS = st.one_of(WORDS, st.text(LETTERS, max_size=40), st.text(max_size=30))


@given(pairs=st.lists(st.tuples(ODD_TEXTS, ODD_TEXTS), min_size=1, max_size=8))
@settings(max_examples=150)
def test_chrf_of_many_texts_is_sacrebleus_to_the_last_digit(pairs: list[tuple[str, str]]) -> None:
    answers, wanted = zip(*pairs, strict=True)
    metric = metric_named("chrf")
    assert metric.scores(answers, wanted) == tuple(metric.score(*pair) for pair in pairs)
    whole = CHRF(word_order=0).corpus_score(list(answers), [list(wanted)]).score / 100
    assert metric_named("rouge-l").details(answers, wanted)["chrf"] == float(whole)


def test_texts_that_are_too_varied_to_be_counted_at_once_have_the_same_counts() -> None:
    """2,000 different characters do not fit a key: the pairs are halved, and sacrebleu counts what is left."""
    varied = "".join(map(chr, range(0x4E00, 0x4E00 + 2_000)))
    answers, wanted = [varied, "a cat", varied[:500]], [varied[::-1], "a mat", varied[100:700]]
    found = chrf_counts(answers, wanted, words=2)
    reference = counting(2)
    for row, answer, want in zip(found, answers, wanted, strict=True):
        expected = reference._compute_segment_statistics(answer, reference._extract_reference_info([want]))
        assert row.tolist() == expected
