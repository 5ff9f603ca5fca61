"""The JSON Schemas (Draft 2020-12) of the formats: the documented contract, and the path to what is wrong in a row."""

from __future__ import annotations

import functools
import json
from importlib import resources
from typing import TYPE_CHECKING, Any

from dataset_tools.errors import UsageError

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator


def schema_names() -> tuple[str, ...]:
    """The formats that have a schema, in alphabetical order."""
    files = resources.files(__package__).iterdir()
    return tuple(sorted(file.name.removesuffix(".json") for file in files if file.name.endswith(".json")))


def schema(name: str) -> dict[str, Any]:
    """The schema of one row in the format of that name.

    Raises:
        UsageError: There is no such format.
    """
    if name not in schema_names():
        raise UsageError("there is no such format", found=repr(name), expected=", ".join(schema_names()))
    text = resources.files(__package__).joinpath(f"{name}.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def fault(name: str, value: object) -> str | None:
    """Where and how a row breaks its schema (``messages[1].role: ...``), or None where it does not."""
    from jsonschema.exceptions import best_match

    error = best_match(_validator(name).iter_errors(value))
    if error is None:
        return None
    path = error.json_path.removeprefix("$").removeprefix(".")
    return f"{path}: {error.message[:200]}" if path else error.message[:200]


@functools.cache
def _validator(name: str) -> Draft202012Validator:
    from jsonschema import Draft202012Validator

    return Draft202012Validator(schema(name))
