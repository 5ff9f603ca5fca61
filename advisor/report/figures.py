"""Figures as a report writes them: points, dollars, times. It reads no result."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

_CUT = " […] "


def points(share: float) -> str:
    """A share in points: .123 -> "12.3"."""
    return f"{100 * share:.1f}"


def signed(share: float) -> str:
    """A difference in points, with its sign: .123 -> "+12.3"."""
    return f"{100 * share:+.1f}" if round(100 * share, 1) else "0.0"


def between(interval: Sequence[float], *, sign: bool = False) -> str:
    """An interval in points: "12.3 to 45.6"; with ``sign``: "-1.0 to +2.0"."""
    low, high = interval
    return f"{signed(low)} to {signed(high)}" if sign else f"{points(low)} to {points(high)}"


def percent(share: float) -> str:
    """A share in per cent. What is not quite nothing or all is not shown as that: "under 1%", "over 99%"."""
    if 0 < share < 0.01:
        return "under 1%"
    return "over 99%" if 0.99 < share < 1 else f"{share:.0%}"


def money(dollars: float) -> str:
    """Dollars, small sums with two digits that say something: "$1,200", "$3.40", "$0.0042"."""
    if dollars >= 100:
        return f"${dollars:,.0f}"
    if dollars >= 0.1 or dollars <= 0:
        return f"${dollars:.2f}"
    return f"${dollars:.{1 - math.floor(math.log10(dollars))}f}"


def duration(seconds: float) -> str:
    """Seconds for people: "0.4 s", "35 s", "4 min 10 s", "2 h 5 min"."""
    if seconds < 10:
        return f"{seconds:.2g} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s" if whole % 60 else f"{whole // 60} min"
    return f"{whole // 3600:,} h {whole % 3600 // 60} min"


def counted(number: int, one: str) -> str:
    """A count with its noun: "1 row", "1,200 rows"."""
    return f"{number:,} {one}" + ("" if number == 1 else "s")


def roughly(number: float) -> str:
    """An estimate's count, to two leading digits: 15234 -> "15,000"."""
    whole = max(1, round(number))
    return f"{round(whole, 2 - len(str(whole))):,}"


def cut(text: str, limit: int) -> str:
    """A long text's beginning and end, with a mark between: of a long prompt the question often comes last."""
    if len(text) <= limit:
        return text
    tail = limit // 3
    return text[: limit - tail - len(_CUT)].rstrip() + _CUT + text[-tail:].lstrip()


def prompt_text(prompt: str | Sequence[Mapping[str, Any]]) -> str:
    """A prompt of ``items.jsonl`` as text; the messages of a conversation each with its role."""
    if isinstance(prompt, str):
        return prompt
    return "\n\n".join(f"{message['role']}: {message.get('content') or ''}" for message in prompt)


def writable(text: str) -> str:
    """The text without lone surrogates, which JSON may hold and no UTF-8 file can."""
    return text.encode("utf-8", "replace").decode("utf-8")
