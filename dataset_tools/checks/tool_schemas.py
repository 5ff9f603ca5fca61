"""Do a call's arguments fit the schema that the row declares? JSON Schema, without the patterns of the data's own.

A file can hold any schema: one that refers to the net is not followed, a pattern, which could take for ever, is not
tried, and one that refers to itself again and again is given up.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

MAX_FAULTS = 3
MAX_SCHEMA = 100_000  # characters; a larger one is not tried
MAX_REFERENCES = 1_000  # that are followed for one call
_MAX_ARGUMENTS = 1_000_000
_PATTERNS = ("pattern", "patternProperties", "unevaluatedProperties")
_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")


def argument_faults(arguments: object, schema: object) -> list[str]:
    """What is wrong with the arguments, with the place in them; empty where all is well, or it cannot be told."""
    from referencing.exceptions import Unresolvable

    prepared = _prepared(_text_of(schema))
    if prepared is None or len(_text_of(arguments)) > _MAX_ARGUMENTS:
        return []
    prepared.references.left = MAX_REFERENCES
    try:
        errors = sorted(prepared.validator.iter_errors(arguments), key=lambda error: error.json_path)
    except (Unresolvable, RecursionError):
        return []
    return [f"arguments{error.json_path[1:]}: {_shortened(error.message)}" for error in errors[:MAX_FAULTS]]


def schema_fault(schema: object) -> str | None:
    """Why the schema is none, or None."""
    return _fault(_text_of(schema))


@dataclass(slots=True)
class _References:
    """How many references may still be followed."""

    left: int = MAX_REFERENCES

    def take(self) -> None:
        """Follow one more.

        Raises:
            RecursionError: There were too many.
        """
        self.left -= 1
        if self.left < 0:
            raise RecursionError("too many references in a schema")


@dataclass(frozen=True, slots=True)
class _Prepared:
    validator: Any
    references: _References


@lru_cache(maxsize=512)
def _fault(text: str) -> str | None:
    from jsonschema import SchemaError
    from jsonschema.validators import Draft202012Validator, validator_for

    if not text or len(text) > MAX_SCHEMA:
        return None
    schema = json.loads(text)
    if not isinstance(schema, dict):
        return "it is no object"
    try:
        validator_for(schema, default=Draft202012Validator).check_schema(schema)
    except SchemaError as error:
        return f"{error.json_path[1:].lstrip('.') or 'it'}: {_shortened(error.message)}"
    except RecursionError:
        return "it is nested too deep"
    return None


@lru_cache(maxsize=512)
def _prepared(text: str) -> _Prepared | None:
    from jsonschema.validators import Draft202012Validator, extend, validator_for
    from referencing import Registry

    if not text or len(text) > MAX_SCHEMA or _fault(text) is not None:
        return None
    schema = json.loads(text)
    kind = validator_for(schema, default=Draft202012Validator)
    references = _References()
    quiet = extend(kind, _tamed(kind, references))  # type: ignore[no-untyped-call]
    return _Prepared(quiet(schema, registry=Registry()), references)


def _tamed(kind: Any, references: _References) -> dict[str, Any]:
    """Keywords that try no pattern (``additionalProperties`` does, beside patterns), and count the references."""

    def nothing(validator: Any, wanted: Any, instance: Any, schema: Any) -> Iterable[Any]:
        return ()

    def additional(validator: Any, wanted: Any, instance: Any, schema: Any) -> Any:
        return () if schema.get("patternProperties") else plain(validator, wanted, instance, schema)

    def counted(follow: Any) -> Any:
        def reference(validator: Any, wanted: Any, instance: Any, schema: Any) -> Any:
            references.take()
            return follow(validator, wanted, instance, schema)

        return reference

    known = kind.VALIDATORS
    plain = known["additionalProperties"]
    followed = {name: counted(known[name]) for name in _REFERENCES if name in known}
    return {**dict.fromkeys(_PATTERNS, nothing), "additionalProperties": additional, **followed}


def _text_of(value: object) -> str:
    try:
        return json.dumps(value, sort_keys=True)
    except (TypeError, ValueError, RecursionError):
        return ""


def _shortened(message: str) -> str:
    return message if len(message) <= 160 else f"{message[:120]} ... {message[-30:]}"
