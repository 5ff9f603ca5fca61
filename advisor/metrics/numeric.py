r"""Scores for answers that are a number, or end in one: is it the wanted one?

The result of an answer is what stands in its last ``\boxed{}`` (as in MATH), else after its last ``####`` (as in
GSM8K), else its last number. Currency signs, percent signs and marks that group thousands are nothing: ``$1,200.00`` is
1200 and ``12%`` is 12. A comma is a decimal mark where it cannot group thousands: ``3,5`` is 3.5 and ``1,234`` is 1234.
Fractions (``3/4``, ``\frac{3}{4}``) and powers of ten (``1.2e-3``, ``1.2 \times 10^{-3}``) are read. Units, words
("five", "million") and algebra are not: a boxed expression that is no number is compared as text, without blanks.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from functools import partial

from advisor.metrics.base import Metric, check_items, share
from dataset_tools.errors import UsageError

TOLERANCE = 1e-6
"""How far a number may lie from the wanted one, as a share of that: room for rounding, and none for a mistake."""
_LARGEST = 1e100  # so that sums of errors stay finite; a larger number is compared as text

_DIGITS = (
    r"(?:[1-9]\d{0,2}(?:[,'\u2019\u00a0\u202f\u2009]\d{3})+(?!\d)(?:\.\d+)?"  # 1,234.5
    r"|[1-9]\d?(?:,\d{2})+,\d{3}(?!\d)(?:\.\d+)?"  # 12,34,567
    r"|[1-9]\d{0,2}(?:(?:\.\d{3})+,\d+|(?:\.\d{3}){2,}(?!\d))"  # 1.234,5 and 1.234.567
    r"|(?<![\d,])\d+,\d+(?!\d|,\d)"  # 3,5
    r"|\d+(?:\.\d+)?|\.\d+)"
)
_POWER = (
    r"(?:[eE](?P<e>[-+\u2212]?\d{1,3})(?!\w)"
    r"|\s?(?:\u00d7|x|\*|\\times|\\cdot)\s?10\s?(?:\^|\*\*)\s?\{?(?P<ten>[-+\u2212]?\d{1,3})\}?)?"
)
# A letter before it makes it part of a name (v2), ^ an exponent. A minus after a digit or a bracket takes away.
_NUMBER = (
    r"(?<![A-Za-z0-9_^])(?<!\^\{)(?P<sign>(?<![)\]}%])[-+\u2212])?(?:[$€£¥₹]\s?(?P<inner>[-\u2212])?)?"
    rf"(?P<digits>{_DIGITS}){_POWER}(?:\s?/\s?(?P<below>\d+(?:\.\d+)?)(?![\d/]))?"
)
_ANYWHERE = re.compile(_NUMBER)
_ALONE = re.compile(rf"\s*{_NUMBER}\s*[%$€£¥₹°]?(?:\s+[^\W\d_][^\d=+*/^\\]*)?[\s.$]*")  # a unit may stand behind it
_GROUPED = re.compile(r"[1-9]\d{0,2}(?:,\d{3})+|[1-9]\d?(?:,\d{2})+,\d{3}")
_GROUP_MARKS = str.maketrans("", "", "'\u2019\u00a0\u202f\u2009")
_LATEX = (
    (re.compile(r"\{,\}"), ","),
    (re.compile(r"\\[!,;:]"), ""),
    (re.compile(r"\\([$%])"), r"\1"),
    (re.compile(r"\^\s*\{?\\circ\}?"), "°"),
    (re.compile(r"\\(?:text|mathrm|textbf|mbox)\s*\{([^{}]*)\}"), r" \1"),
    (re.compile(r"\\[dt]?frac\s*\{([^{}]+)\}\s*\{([^{}]+)\}"), r"\1/\2"),
)


def result_of(text: str) -> float | str:
    """The number that an answer gives as its result; without one what it says instead, without blanks."""
    boxed = _boxed(text)
    if boxed is not None:
        alone = _ALONE.fullmatch(" ".join(_plain(boxed).rpartition("=")[2].split()))
        number = _value(alone) if alone else None
        return _squeezed(boxed) if number is None else number
    _, mark, tail = text.rpartition("####")
    marked = _ANYWHERE.search(_plain(tail.strip().partition("\n")[0])) if mark else None
    found = [marked] if marked else list(_ANYWHERE.finditer(_plain(text)))
    number = _value(found[-1]) if found else None
    return _squeezed(text) if number is None else number


def numeric_match(answer: str, wanted: str, *, tolerance: float = TOLERANCE) -> float:
    """1.0 when the results are the same number, or no number but the same text; else 0.0.

    Args:
        answer: The answer; its result counts (see the module).
        wanted: The wanted answer, read in the same way.
        tolerance: How far the number may lie from the wanted one, as a share of that. Up to the default, two whole
            numbers must be equal: 1,000,001 is not 1,000,000.
    """
    found, want = result_of(answer), result_of(wanted)
    if isinstance(found, str) or isinstance(want, str):
        return float(found == want)
    if tolerance <= TOLERANCE and found.is_integer() and want.is_integer():
        return float(found == want)
    return float(abs(found - want) <= tolerance * abs(want))


def numeric_details(answers: Sequence[str], wanted: Sequence[str]) -> dict[str, float]:
    """Figures over all items.

    Returns:
        ``number_found``, the share of answers with a number as their result; ``mean_absolute_error`` and
        ``median_absolute_error`` over the items where both sides have one, and not there where no item has.

    Raises:
        ValueError: there is no item, or the two differ in length.
    """
    check_items(answers, wanted)
    pairs = [(result_of(answer), result_of(want)) for answer, want in zip(answers, wanted, strict=True)]
    errors = sorted(abs(a - b) for a, b in pairs if isinstance(a, float) and isinstance(b, float))
    figures = {"number_found": share(sum(isinstance(found, float) for found, _ in pairs), len(pairs))}
    if errors:
        middle = len(errors) // 2
        figures["mean_absolute_error"] = math.fsum(errors) / len(errors)
        figures["median_absolute_error"] = (errors[middle] + errors[-middle - 1]) / 2
    return figures


def numeric_within(tolerance: str) -> Metric:
    """The metric with a tolerance of its own: ``numeric:0.01`` for 1% of the wanted number.

    Raises:
        UsageError: the tolerance is no number from 0 to below 1.
    """
    try:
        value = float(tolerance)
    except ValueError:
        value = math.nan
    if not 0 <= value < 1:
        raise UsageError(
            "The tolerance of the metric numeric makes no sense.",
            found=repr(tolerance),
            expected="a share of the wanted number, from 0 to below 1",
            next_step="Write for instance numeric:0.01, or numeric for the same number but for rounding.",
        )
    score = partial(numeric_match, tolerance=value)
    return Metric(f"numeric:{value}", f"Number within {100 * value:g}%", score, numeric_details)


def _boxed(text: str) -> str | None:
    r"""What stands in the last ``\boxed{}``; to the end of the text where it is not closed."""
    start = text.rfind("\\boxed{")
    if start < 0:
        return None
    inner, depth = text[start + len("\\boxed{") :], 1
    for place, char in enumerate(inner):
        depth += (char == "{") - (char == "}")
        if depth == 0:
            return inner[:place]
    return inner


def _plain(text: str) -> str:
    if "\\" in text or "{,}" in text:
        for pattern, plain in _LATEX:
            text = pattern.sub(plain, text)
    return text


def _value(found: re.Match[str]) -> float | None:
    """The number that was found; None where it is too large, or a fraction of zero."""
    exponent = (found["e"] or found["ten"] or "0").replace("\u2212", "-")
    value = float(f"{_decimal(found['digits'])}e{exponent}")
    below = float(found["below"] or 1)
    if below == 0 or not abs(value / below) < _LARGEST:
        return None
    negative = (found["sign"] or "") in ("-", "\u2212") or found["inner"] is not None
    return (-value if negative else value) / below


def _decimal(digits: str) -> str:
    """The digits with a point as the decimal mark and nothing that groups thousands."""
    digits = digits.translate(_GROUP_MARKS)
    comma, point = digits.rfind(","), digits.rfind(".")
    if comma > point >= 0:
        return digits.replace(".", "").replace(",", ".")
    if comma >= 0 and point < 0:
        return digits.replace(",", "" if _GROUPED.fullmatch(digits) else ".")
    if digits.count(".") > 1:
        return digits.replace(".", "")
    return digits.replace(",", "")


def _squeezed(text: str) -> str:
    return "".join(text.split()).strip("$.") or "".join(text.split())


NUMERIC = Metric("numeric", "Same number", numeric_match, numeric_details)
