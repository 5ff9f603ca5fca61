"""Scores for answers that are JSON: which fields are there with the right value.

A field is a leaf: the path to it and its value. Values compare by type (``"1"`` is not ``1``, ``true`` is not ``1``;
``1`` and ``1.0`` are the same JSON number). The elements of a list share one path, so lists compare as multisets: order
does not matter, how often a value occurs does. The price is that fields swapped between two objects of one list go
unseen; ``exact_object`` in the details, where order counts, sees them.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NoReturn

from advisor.metrics.base import Metric, check_items, f1, share
from advisor.metrics.json_schema import read_schema, validator_of

_FENCE = re.compile(r"```[a-zA-Z]*\s*\n(.*?)```", re.DOTALL)
_INVALID = object()

Leaf = tuple[tuple[str, ...], str, object]
"""(path, type, value)."""


def field_f1(answer: str, wanted: str) -> float:
    """F1 over the leaves of one answer. 0.0 for an answer that is not JSON, fenced or wrapped in prose included.

    A wanted answer that is not JSON itself is matched as text.
    """
    want = _parsed(wanted)
    if want is _INVALID:
        return float(answer.strip() == wanted.strip())
    found = _parsed(answer)
    if found is _INVALID:
        return 0.0
    found_leaves, wanted_leaves = leaves(found), leaves(want)
    return f1((found_leaves & wanted_leaves).total(), found_leaves.total(), wanted_leaves.total())


def exact_object(answer: str, wanted: str) -> float:
    """1.0 when both are the same JSON value, types and the order of lists included, else 0.0.

    The order of keys does not matter. A wanted answer that is not JSON itself is matched as text.
    """
    want, found = _parsed(wanted), _parsed(answer)
    if want is _INVALID:
        return float(answer.strip() == wanted.strip())
    return float(found is not _INVALID and leaves(found, ordered=True) == leaves(want, ordered=True))


def field_details(
    answers: Sequence[str], wanted: Sequence[str], *, schema: Mapping[str, Any] | None = None
) -> dict[str, float]:
    """Figures over all items.

    Returns:
        ``validity``, the share of answers that are JSON; ``repairable``, the share that are not but hold an object or a
        list in a fence, or an object in prose; ``exact_object``, the share equal to the wanted answer, list order
        included; ``micro_f1``, F1 over the leaves of all items together. With a JSON Schema ``schema_validity``, the
        share of all answers that are JSON and valid against it.

    Raises:
        ValueError: there is no item, or the two differ in length.
    """
    check_items(answers, wanted)
    against: dict[str, float] = {}
    if schema is not None:
        is_valid = validator_of(schema)
        values = [value for answer in answers if (value := _parsed(answer)) is not _INVALID]
        against["schema_validity"] = share(sum(map(is_valid, values)), len(answers))
    valid = repairable = exact = matched = found_total = wanted_total = 0
    for answer, want_text in zip(answers, wanted, strict=True):
        found, want = _parsed(answer), _parsed(want_text)
        found_leaves = Counter[Leaf]() if found is _INVALID else leaves(found)
        wanted_leaves = Counter[Leaf]() if want is _INVALID else leaves(want)
        valid += found is not _INVALID
        repairable += found is _INVALID and unwrapped(answer) is not None
        exact += (
            found is not _INVALID and want is not _INVALID and leaves(found, ordered=True) == leaves(want, ordered=True)
        )
        matched += (found_leaves & wanted_leaves).total()
        found_total += found_leaves.total()
        wanted_total += wanted_leaves.total()
    return {
        "validity": share(valid, len(answers)),
        "repairable": share(repairable, len(answers)),
        "exact_object": share(exact, len(answers)),
        "micro_f1": f1(matched, found_total, wanted_total),
        **against,
    }


def leaves(value: object, *, ordered: bool = False) -> Counter[Leaf]:
    """The leaves of a parsed JSON value, with how often each occurs. An empty object or list is a leaf of its own.

    With ``ordered`` the position in a list is part of the path: two values then have equal leaves exactly when they are
    equal, types included.
    """
    found: Counter[Leaf] = Counter()
    pending: list[tuple[tuple[str, ...], object]] = [((), value)]
    while pending:  # not recursive: an answer may be nested deeper than the interpreter's stack
        path, node = pending.pop()
        if isinstance(node, dict) and node:
            pending.extend(((*path, f".{key}"), child) for key, child in node.items())
        elif isinstance(node, list) and node:
            pending.extend(((*path, f"[{place}]" if ordered else "[]"), child) for place, child in enumerate(node))
        else:
            found[(path, _kind(node), _scalar(node))] += 1
    return found


def unwrapped(answer: str) -> str | None:
    """The JSON text inside a Markdown fence, or the first object inside prose; None when there is none."""
    for block in _FENCE.findall(answer):
        if isinstance(_parsed(block), dict | list):
            return str(block).strip()
    start = answer.find("{")
    if start < 0:
        return None
    try:
        _, end = json.JSONDecoder(parse_constant=_refuse).raw_decode(answer, start)
    except (ValueError, RecursionError):
        return None
    return answer[start:end]


def _parsed(text: str) -> Any:
    # ValueError also stands for a number of more digits than Python converts; RecursionError for very deep nesting.
    try:
        return json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return _INVALID


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")  # Python's reader takes NaN and Infinity, JSON does not


def _kind(node: object) -> str:
    # bool before number: to Python, True is an int.
    for kind, types in (("bool", bool), ("number", int | float), ("text", str), ("null", type(None)), ("list", list)):
        if isinstance(node, types):
            return kind
    return "object"


def _scalar(node: object) -> object:
    return None if isinstance(node, dict | list) else node


def with_schema(metric: Metric, path: str) -> Metric:
    """The same metric, with the answers' validity against a JSON Schema in its details.

    Raises:
        UsageError: the file cannot be read, or holds no JSON Schema.
    """
    file, schema = read_schema(path)
    details = partial(field_details, schema=schema)
    return replace(metric, name=f"{metric.name}:{file}", details=details, schema=schema)


JSON_FIELD_F1 = Metric("json-field-f1", "Field F1 (JSON)", field_f1, field_details)
JSON_EXACT = Metric("json-exact", "Same JSON", exact_object, field_details)
