"""The metric numeric: how a result is read, and when two are the same."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.metrics import metric_named
from advisor.metrics.numeric import result_of
from dataset_tools.errors import UsageError
from dataset_tools.task_type import detect_task_type

GSM8K = Path(__file__).parents[3] / "shared" / "data" / "dev" / "gsm8k"


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("42", 42),
        ("-42", -42),
        ("\u221242.", -42),
        ("+7", 7),
        (".5", 0.5),
        ("0.50", 0.5),
        ("007", 7),
        ("$1,200.50", 1200.5),
        ("-$5", -5),
        ("$-5", -5),
        ("€ 1.234,56", 1234.56),
        ("1.234.567", 1234567),
        ("1.234", 1.234),
        ("12,34,567", 1234567),
        ("1\u202f234\u00a0567", 1234567),
        ("1'234.5", 1234.5),
        ("3,5", 3.5),
        ("0,123", 0.123),
        ("1,2345", 1.2345),
        ("12%", 12),
        ("3/4", 0.75),
        ("-3 / 4", -0.75),
        ("1e3", 1000),
        ("1.5E-3", 0.0015),
        ("1.5 \u00d7 10^3", 1500),
        ("1.5 x 10**-3", 0.0015),
        ("1.5 \\times 10^{\u22123}", 0.0015),
        # in a text: the last one
        ("First 3, then 12 of them.", 12),
        ("10-5 = 5", 5),
        ("(3)-4", 4),
        ("It is 10\u201320", 20),
        ("1, 2, 3", 3),
        ("1,2,3", 3),
        ("the area is 36 cm^2", 36),
        ("x^{12} for 5 values of v2", 5),
        ("GPT4 says 17 or so", 17),
        ("共5个", 5),
        ("It costs 5€.", 5),
        # marked as the result
        ("He pays 10/5=2 dollars\n#### 2\nThat was 1 of 7.", 2),
        ("#### $1,000 (a 5% rise)", 1000),
        ("so \\boxed{42} after 3 steps", 42),
        ("first \\boxed{1}, then \\boxed{2}.", 2),
        ("\\boxed{x = 5}", 5),
        ("\\boxed{\\frac{3}{4}}", 0.75),
        ("\\boxed{-\\dfrac{1}{2}}", -0.5),
        ("\\boxed{10,\\!000}", 10000),
        ("\\boxed{1{,}000}", 1000),
        ("\\boxed{\\$12.50}", 12.5),
        ("\\boxed{25\\%}", 25),
        ("\\boxed{10\\text{ cm}}", 10),
        ("\\boxed{90^\\circ}", 90),
        ("\\boxed{5 apples}", 5),
        ("\\boxed{4", 4),
    ],
)
def test_a_result_is_read(text: str, number: float) -> None:
    assert result_of(text) == pytest.approx(number, rel=1e-12)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("no idea", "noidea"),
        ("", ""),
        ("v2", "v2"),
        ("1/0", "1/0"),
        ("9" * 400, "9" * 400),
        ("1e999", "1e999"),
        ("\\boxed{x + 1}", "x+1"),
        ("\\boxed{2x}", "2x"),
        ("\\boxed{\\sqrt{2}}", "\\sqrt{2}"),
        ("\\boxed{}", ""),
    ],
)
def test_what_is_no_number_is_compared_as_text(text: str, said: str) -> None:
    assert result_of(text) == said


@pytest.mark.parametrize(
    ("answer", "wanted", "score"),
    [
        ("The answer is $1,200.", "1200", 1.0),
        ("1200.0", "#### 1,200", 1.0),
        ("0.3333333333", "1/3", 1.0),
        ("0.333", "1/3", 0.0),
        ("1000001", "1000000", 0.0),  # whole numbers are equal or not
        ("1000000.5", "1000000", 1.0),
        ("0.0000001", "0", 0.0),
        ("-0", "0", 1.0),
        ("12%", "0.12", 0.0),
        ("5", "\\boxed{x+5}", 0.0),
        ("It is \\boxed{x + 5}", "\\boxed{x+5}", 1.0),
        ("5", "five", 0.0),
    ],
)
def test_results_are_the_same_but_for_rounding(answer: str, wanted: str, score: float) -> None:
    assert metric_named("numeric").score(answer, wanted) == score


def test_a_tolerance_of_ones_own_holds_for_whole_numbers_too() -> None:
    metric = metric_named("numeric:0.01")
    assert (metric.name, metric.title) == ("numeric:0.01", "Number within 1%")
    assert metric.scores(["101", "102", "99.1", "-100"], ["100"] * 4) == (1.0, 0.0, 1.0, 0.0)
    assert metric_named("numeric:0").score("0.1", "0.1000000001") == 0.0
    assert metric_named(metric_named("numeric:0.123456789").name).score("112.34", "100") == 1.0


@pytest.mark.parametrize("tolerance", ["", "x", "-0.1", "1", "nan", "inf"])
def test_a_tolerance_that_makes_no_sense_is_refused(tolerance: str) -> None:
    with pytest.raises(UsageError, match="tolerance") as caught:
        metric_named(f"numeric:{tolerance}")
    assert repr(tolerance) in str(caught.value)


def test_the_details_are_the_errors_over_what_has_a_number() -> None:
    details = metric_named("numeric").details(["10", "12", "it is 7", "no idea", "3"], ["10", "10", "10", "10", "n/a"])
    assert details == {
        "number_found": 4 / 5,
        "mean_absolute_error": pytest.approx((0 + 2 + 3) / 3),
        "median_absolute_error": 2.0,
    }
    assert metric_named("numeric").details(["1", "4"], ["1", "1"])["median_absolute_error"] == 1.5
    assert metric_named("numeric").details(["none"], ["no"]) == {"number_found": 0.0}


def test_errors_of_huge_numbers_stay_finite() -> None:
    details = metric_named("numeric").details(["9e99"] * 100, ["-9e99"] * 100)
    assert all(math.isfinite(value) for value in details.values())


@given(
    st.floats(-1e90, 1e90, allow_nan=False), st.sampled_from(["{}", "So it is {}.", "a 7\n#### {}", "\\boxed{{{}}}"])
)
def test_any_number_that_python_writes_is_read_back(number: float, form: str) -> None:
    assert result_of(form.format(repr(number))) == pytest.approx(number, rel=1e-12)


@given(st.integers(-(10**15), 10**15))
def test_thousands_may_be_grouped(number: int) -> None:
    assert metric_named("numeric").score(f"{number:,}", str(number)) == 1.0


@given(st.text("0123456789,.'/-+$%e^{}x* \u00a0", max_size=30), st.text("0123456789,.'/-+$%e^{}x* \u00a0", max_size=30))
def test_no_row_of_signs_breaks_it_and_the_score_is_symmetric_but_for_the_tolerance(one: str, other: str) -> None:
    metric = metric_named("numeric:0")
    assert metric.score(one, one) == 1.0
    assert metric.score(one, other) == metric.score(other, one)


def test_the_results_of_real_solutions_are_read() -> None:
    if not GSM8K.is_dir():
        pytest.skip("../shared/data/dev/gsm8k is not there")
    rows = [json.loads(line) for line in (GSM8K / "train.jsonl").read_text("utf-8").splitlines()]
    wanted = [row["completion"] for row in rows]
    assert detect_task_type(wanted).kind == "numeric"
    expected = [float(text.rpartition("####")[2].replace(",", "").replace("$", "")) for text in wanted]
    assert [result_of(text) for text in wanted] == expected
