"""The metrics of labels beyond accuracy: sets of labels, and the table of confusions."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from advisor.metrics import confusion, metric_named
from advisor.metrics.multi_label import label_set

LABELS = ["arts", "news", "science fiction", "sport", "war"]


@pytest.mark.parametrize(
    ("answer", "wanted", "score"),
    [
        ("news, sport", "sport, news", 1.0),
        ("News; SPORT.", "news, sport", 1.0),
        ("news\nsport", "news | sport", 1.0),
        ("- news\n- sport", "news, sport", 1.0),
        ('["news", "sport"]', "news, sport", 1.0),
        ("news, news", "news", 1.0),
        ("news", "news, sport", 2 / 3),
        ("news, sport, arts", "news", 1 / 2),
        ("news, war", "sport, arts", 0.0),
        ("Labels: news", "news", 0.0),
        ("1,200 metres", "1, 200 metres", 0.0),  # the comma groups thousands
        ("", "", 1.0),
        ("[]", "", 1.0),
        ("none", "", 0.0),
        ("[1, 2]", "2, 1", 1.0),
        ('[{"a": 1}]', "a", 0.0),
        ("[" * 100_000, "a", 0.0),
    ],
)
def test_sample_f1_counts_shared_labels_in_any_dress(answer: str, wanted: str, score: float) -> None:
    assert metric_named("sample-f1").score(answer, wanted) == pytest.approx(score)


@settings(max_examples=40)
@given(st.lists(st.tuples(st.sets(st.sampled_from(LABELS)), st.sets(st.sampled_from(LABELS))), min_size=1, max_size=9))
def test_sample_f1_and_jaccard_are_those_of_scikit_learn(pairs: list[tuple[set[str], set[str]]]) -> None:
    from sklearn.metrics import f1_score, jaccard_score

    found = np.array([[label in one for label in LABELS] for one, _ in pairs])
    truth = np.array([[label in other for label in LABELS] for _, other in pairs])
    answers, wanted = ([", ".join(sorted(sets[side])) for sets in pairs] for side in (0, 1))
    metric = metric_named("sample-f1")
    mean = sum(metric.scores(answers, wanted)) / len(pairs)
    assert mean == pytest.approx(f1_score(truth, found, average="samples", zero_division=1.0))
    jaccard = jaccard_score(truth, found, average="samples", zero_division=1.0)
    assert metric.details(answers, wanted)["jaccard"] == pytest.approx(jaccard)


def test_multi_label_details_match_a_count_by_hand() -> None:
    details = metric_named("sample-f1").details(["a, b", "a", "x, y"], ["b, a", "a, b", "b"])
    assert details == {
        "jaccard": pytest.approx((1 + 1 / 2 + 0) / 3),
        "exact_set": pytest.approx(1 / 3),
        "label_validity": pytest.approx(3 / 5),
    }


@given(st.sets(st.sampled_from(LABELS)), st.sampled_from(["\n", " | ", "; ", ",", ", "]))
def test_a_set_is_read_back_however_it_is_written(labels: set[str], mark: str) -> None:
    assert label_set(mark.join(labels)) == labels
    assert label_set(json.dumps(sorted(labels))) == labels


# --- confusion


def test_confusions_match_a_count_by_hand() -> None:
    wanted = ["Cat", "cat", "cat", "dog", "dog", "bird"]
    answers = ["cat", '"Dog."', "a cat", "dog", "bird", "cat"]
    found = confusion(answers, wanted, most=2)
    assert found.labels == ("Cat", "dog")
    assert found.counts == ((1, 1), (0, 1))
    assert (found.others, found.unknown, found.left_out) == ((0, 1), (1, 0), 1)
    assert json.loads(json.dumps(found.to_dict()))["counts"] == [[1, 1], [0, 1]]


@given(
    st.lists(st.tuples(st.sampled_from("abcdx"), st.sampled_from("abcd")), min_size=1, max_size=40),
    st.integers(1, 6),
)
def test_every_item_is_counted_once_and_the_diagonal_is_what_accuracy_counts(
    pairs: list[tuple[str, str]], most: int
) -> None:
    answers, wanted = [answer for answer, _ in pairs], [want for _, want in pairs]
    found = confusion(answers, wanted, most=most)
    assert sum(map(sum, found.counts)) + sum(found.others) + sum(found.unknown) + found.left_out == len(pairs)
    right = sum(a == w for a, w in pairs if w in found.labels)
    assert sum(found.counts[place][place] for place in range(len(found.labels))) == right
    assert len(found.labels) == min(most, len(set(wanted)))


@pytest.mark.parametrize(("answers", "wanted", "most"), [([], [], 3), (["a"], ["a", "b"], 3), (["a"], ["a"], 0)])
def test_confusions_of_nothing_are_refused(answers: list[str], wanted: list[str], most: int) -> None:
    with pytest.raises(ValueError, match="one"):
        confusion(answers, wanted, most=most)
