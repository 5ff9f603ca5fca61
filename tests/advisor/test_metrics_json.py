"""The JSON metrics beyond field F1: the same object, and validity against a schema that the user gave."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from advisor.metrics import metric_named
from dataset_tools.errors import UsageError

PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"$ref": "#/$defs/age"}},
    "required": ["name"],
    "additionalProperties": False,
    "$defs": {"age": {"type": "integer", "minimum": 0}},
}


def schema_file(folder: Path, schema: Any) -> Path:
    file = folder / "schema.json"
    file.write_text(schema if isinstance(schema, str) else json.dumps(schema), "utf-8")
    return file


@pytest.mark.parametrize(
    ("answer", "wanted", "score"),
    [
        ('{"a": 1, "b": "x"}', '{"b": "x", "a": 1.0}', 1.0),
        ('{"a": [1, 2]}', '{"a": [2, 1]}', 0.0),
        ('[{"a": 1, "b": 2}, {"a": 3, "b": 4}]', '[{"a": 1, "b": 4}, {"a": 3, "b": 2}]', 0.0),
        ('{"a": 1}', '{"a": true}', 0.0),
        ('{"a": 1, "b": 2}', '{"a": 1}', 0.0),
        ('```json\n{"a": 1}\n```', '{"a": 1}', 0.0),
        ("[]", "{}", 0.0),
        ("no JSON", " no JSON", 1.0),
        ("[" * 100_000, "[]", 0.0),
    ],
)
def test_the_same_object_is_told_with_the_order_of_lists(answer: str, wanted: str, score: float) -> None:
    assert metric_named("json-exact").score(answer, wanted) == score


@pytest.mark.parametrize("name", ["json-field-f1", "json-exact"])
def test_validity_against_a_schema_is_in_the_details_and_changes_no_score(name: str, tmp_path: Path) -> None:
    file = schema_file(tmp_path, PERSON)
    metric = metric_named(f"{name}:{file}")
    answers = ['{"name": "Ada"}', '{"name": "Ada", "age": -1}', '{"age": 3}', "none", '{"name": "Bo", "age": 2}']
    wanted = ['{"name": "Ada"}'] * 5
    plain = metric_named(name)
    assert metric.scores(answers, wanted) == plain.scores(answers, wanted)
    assert metric.details(answers, wanted) == {**plain.details(answers, wanted), "schema_validity": 2 / 5}
    assert (metric.schema, plain.schema) == (PERSON, None)


def test_a_schema_is_found_again_by_the_metrics_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    schema_file(tmp_path, PERSON)
    monkeypatch.chdir(tmp_path)
    metric = metric_named("json-field-f1:schema.json")
    monkeypatch.chdir(tmp_path.parent)
    assert metric_named(metric.name).schema == PERSON


@pytest.mark.parametrize(
    ("schema", "found"),
    [
        ("{", "Expecting"),
        ("[1]", "a list"),
        ({"type": "objekt"}, "objekt"),
        ({"properties": 3}, "properties"),
        ({"properties": {"a": {"pattern": "("}}}, "regex"),
        ("[" * 100_000, "recursion"),
    ],
)
def test_a_file_without_a_schema_is_refused_with_what_it_holds(schema: Any, found: str, tmp_path: Path) -> None:
    file = schema_file(tmp_path, schema)
    with pytest.raises(UsageError, match="JSON Schema cannot be used") as caught:
        metric_named(f"json-field-f1:{file}")
    assert found in str(caught.value) and str(file) in str(caught.value)


def test_a_schema_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        metric_named(f"json-exact:{tmp_path / 'none.json'}")


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "https://example.org/none.json"},  # not fetched
        {"$ref": "#/$defs/none"},
        {"$ref": "#"},
    ],
)
def test_what_cannot_be_judged_is_not_valid(schema: dict[str, Any], tmp_path: Path) -> None:
    metric = metric_named(f"json-field-f1:{schema_file(tmp_path, schema)}")
    assert metric.details(['{"a": "b"}'], ['{"a": "b"}'])["schema_validity"] == 0.0
