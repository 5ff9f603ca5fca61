"""Every metric: bounds, perfect answers, and the traps of its family."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from advisor.metrics import Metric, metric_for, metric_named, metric_names
from advisor.metrics.json_fields import unwrapped
from dataset_tools.errors import UsageError
from dataset_tools.task_type import TaskKind

KINDS = get_args(TaskKind)
NAMES = (
    *("accuracy", "sample-f1", "json-field-f1", "json-exact", "numeric", "exact-match", "token-f1"),
    *("rouge-l", "bleu", "chrf", "code-tests"),
)
METRICS = [metric_named(name) for name in NAMES if name != "code-tests"]  # that one has tests of its own
each_metric = pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)

JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=8,
)


@each_metric
@settings(deadline=None)  # the first call loads a library
@given(answer=st.text(max_size=40), wanted=st.text(max_size=40))
def test_a_score_of_any_text_lies_in_0_1(metric: Metric, answer: str, wanted: str) -> None:
    assert 0.0 <= metric.score(answer, wanted) <= 1.0


@each_metric
@settings(deadline=None)  # the first call loads a library
@given(text=st.text(max_size=40))
def test_the_wanted_answer_itself_scores_1(metric: Metric, text: str) -> None:
    assert metric.score(text, text) == 1.0


@each_metric
@pytest.mark.parametrize("wanted", ["A", "The", "+", "?", "{}", "no", "はい", "ja"])
def test_no_answer_at_all_scores_0_where_one_is_wanted(metric: Metric, wanted: str) -> None:
    assert metric.score("", wanted) == 0.0
    assert metric.score(" \n", wanted) == 0.0


@each_metric
def test_scores_are_per_item_and_in_order(metric: Metric) -> None:
    assert metric.scores(["3", "x", "5"], ["3", "4", "5"]) == (1.0, 0.0, 1.0)


@each_metric
@pytest.mark.parametrize(("answers", "wanted"), [([], []), (["a"], ["a", "b"]), (["a", "b"], ["a"])])
def test_answers_that_do_not_pair_up_are_refused(metric: Metric, answers: list[str], wanted: list[str]) -> None:
    with pytest.raises(ValueError, match="one answer for each wanted answer"):
        metric.scores(answers, wanted)
    with pytest.raises(ValueError, match="one answer for each wanted answer"):
        metric.details(answers, wanted)


@each_metric
def test_details_of_perfect_answers_are_finite_figures_for_a_report(metric: Metric) -> None:
    texts = ['{"a": 1}', '{"a": 2}']
    details = metric.details(texts, texts)
    assert json.loads(json.dumps(details, allow_nan=False)) == details
    assert all(isinstance(value, float) for value in details.values())
    assert set(details.values()) <= {0.0, 1.0}


def test_every_metric_is_found_by_its_name_and_by_its_kind_of_task() -> None:
    assert metric_names() == NAMES
    assert [metric_named(name).name for name in NAMES if name != "code-tests"] == [metric.name for metric in METRICS]
    assert {kind: metric_for(kind).name for kind in KINDS} == {
        "classification": "accuracy",
        "multi-label": "sample-f1",
        "json": "json-field-f1",
        "numeric": "numeric",
        "short-answer": "token-f1",
        "code": "chrf",
        "text": "rouge-l",
    }


@pytest.mark.parametrize("look_up", [metric_for, metric_named])
def test_an_unknown_name_is_answered_with_the_names_there_are(look_up: object) -> None:
    with pytest.raises(UsageError) as caught:
        look_up("bleurgh")  # type: ignore[operator]
    names = KINDS if look_up is metric_for else metric_names()
    assert all(name in str(caught.value) for name in (*names, "bleurgh"))


def test_importing_the_metrics_loads_no_heavy_library() -> None:
    heavy = "{'torch', 'sklearn', 'scipy', 'rouge_score', 'sacrebleu', 'nltk'}"
    program = f"import sys, advisor.metrics; print(sorted({heavy} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


# --- classification


@pytest.mark.parametrize(
    "answer",
    [
        "Refund",
        " refund ",
        '"Refund"',
        '"refund."',
        '"Refund".',
        "`refund`",
        "**Refund**",
        "refund!\nBecause …",
        "\n\nREFUND",
    ],
)
def test_a_label_matches_in_spite_of_its_dress(answer: str) -> None:
    assert metric_named("accuracy").score(answer, "refund") == 1.0


@pytest.mark.parametrize("answer", ["It is a refund", "Label: refund", "refunds", "return", "not refund"])
def test_a_label_in_a_sentence_or_another_label_is_no_match(answer: str) -> None:
    assert metric_named("accuracy").score(answer, "refund") == 0.0


def test_labels_of_punctuation_alone_stay_apart() -> None:
    score = metric_named("accuracy").score
    assert score("!", "!") == 1.0
    assert score("!", "?") == 0.0
    assert score("C", "C++") == 0.0


def test_macro_f1_and_label_validity_match_a_count_by_hand() -> None:
    details = metric_named("accuracy").details(["a", "a", "b", "what?"], ["a", "b", "b", "b"])
    # a: precision 1/2, recall 1; b: precision 1, recall 1/3.
    assert details["macro_f1"] == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert details["label_validity"] == 3 / 4


# --- JSON


@pytest.mark.parametrize(
    ("answer", "wanted", "score"),
    [
        ('{"a": 1, "b": "x"}', '{"b": "x", "a": 1.0}', 1.0),  # key order and 1 against 1.0 do not matter
        ('{"a": 1}', '{"a": "1"}', 0.0),
        ('{"a": true}', '{"a": 1}', 0.0),
        ('{"a": null}', '{"a": ""}', 0.0),
        ('{"a": 1}', '{"a": 1, "b": 2}', 2 / 3),
        ('{"a": 1, "b": 3}', '{"a": 1, "b": 2}', 1 / 2),
        ('{"a": [2, 1]}', '{"a": [1, 2]}', 1.0),  # lists are multisets
        ('{"a": [1, 1]}', '{"a": [1]}', 2 / 3),
        ('{"a": {"b": 1}}', '{"a": {"c": 1}}', 0.0),
        ('{"a": []}', '{"a": {}}', 0.0),
        ("{}", "{}", 1.0),
        ('{"a": NaN}', '{"a": NaN}', 1.0),  # not JSON on either side: the same text
        ('{"a": NaN}', '{"a": 1}', 0.0),
        ('```json\n{"a": 1}\n```', '{"a": 1}', 0.0),
        ('{"a": 1', '{"a": 1}', 0.0),
        ("[" * 100_000, '{"a": 1}', 0.0),
        ("[" * 900 + "]" * 900, '{"a": 1}', 0.0),
        ("9" * 5000, '{"a": 1}', 0.0),
    ],
)  # fmt: skip
def test_fields_are_compared_by_path_type_and_value(answer: str, wanted: str, score: float) -> None:
    assert metric_named("json-field-f1").score(answer, wanted) == pytest.approx(score)


@settings(deadline=None)  # the first call loads a library
@given(value=JSON_VALUES, other=JSON_VALUES)
def test_field_f1_is_symmetric_and_1_for_any_layout_of_the_same_value(value: object, other: object) -> None:
    score = metric_named("json-field-f1").score
    assert score(json.dumps(value, indent=3), json.dumps(value, ensure_ascii=False)) == 1.0
    assert score(json.dumps(value), json.dumps(other)) == score(json.dumps(other), json.dumps(value))


def test_json_details_match_a_count_by_hand() -> None:
    wanted = ['{"a": 1, "b": 2}', '{"a": [1, 2]}', '{"a": 1}', '{"a": 1}']
    answers = ['{"a": 1, "b": 2}', '{"a": [2, 1]}', '```json\n{"a": 1}\n```', "none"]
    details = metric_named("json-field-f1").details(answers, wanted)
    assert details == {
        "validity": 2 / 4,
        "repairable": 1 / 4,
        "exact_object": 1 / 4,  # the swapped list is not the same object
        "micro_f1": pytest.approx(2 * 4 / (4 + 6)),
    }


@pytest.mark.parametrize(
    ("answer", "inner"),
    [
        ('```json\n{"a": 1}\n```', '{"a": 1}'),
        ("```\n[1, 2]\n```", "[1, 2]"),
        ('Here you are: {"a": {"b": 1}}. Enjoy!', '{"a": {"b": 1}}'),
        ("As said in [1].", None),
        ("{so to speak}", None),
        ("", None),
    ],
)
def test_json_is_found_in_a_fence_or_in_prose(answer: str, inner: str | None) -> None:
    assert unwrapped(answer) == inner


# --- short answers


@pytest.mark.parametrize(
    ("answer", "wanted", "score"),
    [
        ("The Eiffel Tower.", "eiffel tower", 1.0),
        ("in Paris, France", "Paris", 1 / 2),
        ("paris paris", "paris", 2 / 3),
        ("London", "Paris", 0.0),
        ("B", "A", 0.0),
        ("a", "A.", 1.0),
    ],
)
def test_token_f1_follows_squad(answer: str, wanted: str, score: float) -> None:
    assert metric_named("token-f1").score(answer, wanted) == pytest.approx(score)


def test_short_answer_details_match_a_count_by_hand() -> None:
    answers = ["The 42", "it is 42, I think", "420", "", "Paris in spring"]
    wanted = ["42", "42", "42", "42", "in Paris"]
    assert metric_named("token-f1").details(answers, wanted) == {"exact_match": 1 / 5, "containment": 2 / 5}


# --- longer text


@pytest.mark.parametrize(
    ("answer", "wanted", "score"),
    [
        ("the cat sat", "the cat sat on the mat", 2 / 3),
        ("mat the", "the mat", 1 / 2),
        ("그 고양이가 앉았다", "그 고양이가 갔다", 2 / 3),  # not only a-z
        ("东京塔", "东京铁塔", 6 / 7),  # no spaces: by character
        ("", "the cat", 0.0),
        ("🙂", "🙂", 1.0),
    ],
)
def test_rouge_l_is_the_longest_common_subsequence_in_any_script(answer: str, wanted: str, score: float) -> None:
    assert metric_named("rouge-l").score(answer, wanted) == pytest.approx(score)


@settings(deadline=None)  # the first call loads a library
@given(answer=st.text("ab Z9.-", max_size=30), wanted=st.text("ab Z9.-", max_size=30))
def test_rouge_l_of_ascii_text_is_that_of_rouge_score(answer: str, wanted: str) -> None:
    from rouge_score.rouge_scorer import RougeScorer

    plain = RougeScorer(["rougeL"]).score(wanted, answer)["rougeL"].fmeasure
    equal = answer.strip() == wanted.strip()
    assert metric_named("rouge-l").score(answer, wanted) == (1.0 if equal else plain)


def test_text_details_are_chrf_and_length_ratio() -> None:
    details = metric_named("rouge-l").details(["abcdef", "abc"], ["abcdef", "abcdef"])
    assert details["length_ratio"] == 9 / 12
    assert 0 < details["chrf"] < 1
    assert metric_named("rouge-l").details(["x"], ["x"]) == {"chrf": 1.0, "length_ratio": 1.0}
