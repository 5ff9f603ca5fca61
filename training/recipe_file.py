"""A recipe's YAML file: a flat mapping from knobs to values, read with plain messages. It knows no knob by itself."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import yaml

from dataset_tools.errors import UsageError
from dataset_tools.writing import write_text_atomically


def write_values(path: Path, values: Mapping[str, Any]) -> None:
    """Write the knobs as YAML, in their order; the file is replaced in one step."""
    write_text_atomically(path, yaml.safe_dump(dict(values), sort_keys=False))


def read_values(path: Path, *, known: Collection[str], numbers: Collection[str]) -> dict[str, Any]:
    """Read a YAML mapping that holds known knobs alone.

    Args:
        path: The file.
        known: The knobs that may be there; none has to.
        numbers: Those that hold a number with a fraction: text that reads as one is turned into it.

    Raises:
        UsageError: it cannot be read, is no mapping, or names a knob that does not exist.
    """
    try:
        values = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UsageError("The recipe cannot be read.", where=str(path), found=str(error)) from error
    unknown = {str(key) for key in values if key not in known} if isinstance(values, dict) else {"no mapping of knobs"}
    if unknown:
        raise UsageError(
            "The recipe holds something unknown.",
            where=str(path),
            found=", ".join(sorted(unknown)),
            expected=", ".join(sorted(known)),
        )
    for name in (name for name in numbers if isinstance(values.get(name), str)):
        with contextlib.suppress(ValueError):  # YAML 1.1 reads 3e-4, without a dot, as text
            values[name] = float(values[name])
    return dict(values)
