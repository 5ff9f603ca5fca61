"""A metric of the user's own: a Python function in a file, ``score(answer, wanted)`` to a number in [0, 1].

The file is run as it is, with all that this process may do: it is the user's program, like one that they start. Nothing
here calls it for a name that is not a path.
"""

from __future__ import annotations

import inspect
import math
import sys
import types
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from advisor.metrics.base import Metric, check_items
from dataset_tools.errors import UsageError

# What mistakes in a function raise. Anything else is left to the edge of the process.
_MISTAKES = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    ImportError,
    LookupError,
    NameError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
)
_FUNCTION = "score"


def is_own(name: str) -> bool:
    """Whether a metric's name means a file: ``path/to/metric.py`` or ``path/to/metric.py:function``."""
    return _parts(name) is not None


def own_metric(name: str) -> Metric:
    """The metric in a file of the user's. Its name is the full path with the function, so that it is found again.

    Raises:
        UsageError: there is no such file, it cannot be run, or it has no such function of two arguments.
    """
    parts = _parts(name)
    if parts is None:
        raise _unusable(name, found="no path to a Python file")
    file, function_name = Path(parts[0]).expanduser().resolve(), parts[1]
    function = _function(file, function_name)
    where = f"{file}:{function_name}"

    def score(answer: str, wanted: str) -> float:
        return _scored(function, answer, wanted, where=where)

    def many(answers: Sequence[str], wanted: Sequence[str]) -> tuple[float, ...]:
        rows = enumerate(zip(answers, wanted, strict=True), 1)
        return tuple(_scored(function, answer, want, where=f"{where}, row {row}") for row, (answer, want) in rows)

    return Metric(where, f"{function_name} of {file.name}", score, _no_details, many=many)


def _parts(name: str) -> tuple[str, str] | None:
    """The path and the function of a reference to a file; None for another name."""
    if name.endswith(".py"):
        return name, _FUNCTION
    path, mark, function = name.rpartition(":")
    return (path, function) if mark and path.endswith(".py") and function.isidentifier() else None


def _function(file: Path, name: str) -> Callable[[str, str], Any]:
    if not file.is_file():
        raise _unusable(str(file), found="no such file")
    function = getattr(_module(file), name, None)
    if not callable(function):
        found = f"no function {name}" if function is None else f"{name} is a {type(function).__name__}, no function"
        raise _unusable(str(file), found=found)
    try:
        inspect.signature(function).bind("answer", "wanted")
    except TypeError as error:
        raise _unusable(f"{file}:{name}", found=f"a function that does not take two arguments: {error}") from None
    except ValueError:  # one that is written in C tells nothing of its arguments
        pass
    return function  # type: ignore[no-any-return]


def _module(file: Path) -> Any:
    module = types.ModuleType(f"fitting_room_metric_{file.stem}")
    module.__file__ = str(file)
    sys.modules[module.__name__] = module  # dataclasses in the file look their module up
    try:
        # Not by importlib, which would leave a __pycache__ in the user's folder.
        exec(compile(file.read_bytes(), file, "exec", dont_inherit=True), module.__dict__)
    except _MISTAKES as error:
        raise _unusable(str(file), found=f"{type(error).__name__}: {error}"[:300]) from error
    return module


def _scored(function: Callable[[str, str], Any], answer: str, wanted: str, *, where: str) -> float:
    """One item's score, checked.

    Raises:
        UsageError: the function fails, or gives something else than a number in [0, 1].
    """
    try:
        value = function(answer, wanted)
    except _MISTAKES as error:
        raise _unscored(where, f"{type(error).__name__}: {error}", answer, wanted) from error
    try:
        number = math.nan if isinstance(value, str | bytes) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not 0.0 <= number <= 1.0:  # NaN is not either
        raise _unscored(where, repr(value), answer, wanted)
    return number


def _no_details(answers: Sequence[str], wanted: Sequence[str]) -> dict[str, float]:
    check_items(answers, wanted)
    return {}


def _unusable(where: str, *, found: str) -> UsageError:
    return UsageError(
        "The metric of your own cannot be used.",
        where=where,
        found=found,
        expected="a Python file with a function score(answer, wanted) that gives a number from 0 to 1; "
        "write path.py:name for a function of another name",
        next_step="Correct the file or its path.",
    )


def _unscored(where: str, found: str, answer: str, wanted: str) -> UsageError:
    return UsageError(
        "The metric of your own gave no score.",
        where=where,
        found=f"{found[:200]} for the answer {answer[:80]!r}, where {wanted[:80]!r} is wanted",
        expected="a number from 0 to 1, for any answer: an empty one as well",
        next_step="Correct the function, then run the same command again.",
    )
