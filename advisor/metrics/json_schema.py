"""A JSON Schema that the user gave, and whether a value is valid against it. Schemas are never inferred here."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from dataset_tools.errors import UsageError


def read_schema(path: str) -> tuple[Path, dict[str, Any]]:
    """A JSON Schema from a file, with the file's full path.

    Raises:
        UsageError: the file cannot be read, or holds no JSON Schema.
    """
    from jsonschema import SchemaError
    from jsonschema.validators import Draft202012Validator, validator_for

    file = Path(path).expanduser().resolve()
    try:
        schema = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise _no_schema(file, str(error)) from None
    if not isinstance(schema, dict):
        raise _no_schema(file, f"a {type(schema).__name__}")
    try:
        validator_for(schema, default=Draft202012Validator).check_schema(schema)
    except SchemaError as error:
        raise _no_schema(file, f"{error.json_path}: {error.message}"[:300]) from None
    except RecursionError:
        raise _no_schema(file, "a schema that is nested too deep") from None
    return file, schema


def validator_of(schema: Mapping[str, Any]) -> Callable[[Any], bool]:
    """Whether a parsed value is valid against the schema. Nothing is fetched: what a schema refers to lies in it.

    A value that cannot be judged is not valid: a reference leads nowhere, it is nested too deep or is too large.
    """
    from jsonschema.validators import Draft202012Validator, validator_for
    from referencing import Registry
    from referencing.exceptions import Unresolvable

    validator = validator_for(schema, default=Draft202012Validator)(schema, registry=Registry())

    def is_valid(value: Any) -> bool:
        try:
            return bool(validator.is_valid(value))
        except (Unresolvable, RecursionError, ArithmeticError):
            return False

    return is_valid


def _no_schema(file: Path, found: str) -> UsageError:
    return UsageError(
        "The JSON Schema cannot be used.",
        where=str(file),
        found=found,
        expected="a JSON Schema: an object, by https://json-schema.org",
        next_step="Correct the file, or leave the schema out of the metric's name.",
    )
