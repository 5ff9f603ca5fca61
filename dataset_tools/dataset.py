"""A file as examples, for everything that needs rows. What is wrong with the others stands in its report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dataset_tools.errors import DataError, UsageError
from dataset_tools.example import Example
from dataset_tools.lint import examine
from dataset_tools.report import Report


@dataclass(frozen=True, slots=True)
class Dataset:
    """The usable examples of a file, in its order, with the report that says which rows were left out and why."""

    path: Path
    format: str
    examples: tuple[Example, ...]
    report: Report


def load_examples(path: Path | str, *, columns: Mapping[str, str] | None = None, thumbs_down: bool = False) -> Dataset:
    """Read a file of training rows; rows with an error of their own are left out.

    Rows that contradict or repeat another stay: only a person can tell which one is right.

    Args:
        path: The file.
        columns: Which column holds what, where the user says so: ``{"prompt": "Review Text", ...}``.
        thumbs_down: Keep rows with a thumb down as well; their answer is not wanted, and few want to see them.

    Raises:
        UsageError: The path is missing, is a folder, or may not be read; or a column is not in the file.
        DataError: The file is empty or binary, or has no usable row.
    """
    path = Path(path)
    try:
        report, read = examine(path, checks=("structure",), columns=dict(columns) if columns else None)
    except UsageError as error:
        error.where = error.where or str(path)  # several files may be read by the same columns
        raise
    examples = tuple(example for example in read if thumbs_down or example.desirable is not False)
    if not examples:
        first = report.findings[0].message if report.findings else "no rows"
        named = " and ".join(f"a {meaning} in the column {name!r}" for meaning, name in (columns or {}).items())
        raise DataError(
            "the file has no usable row",
            where=str(path),
            found=first,
            expected=named or 'rows like {"prompt": "...", "completion": "..."} or {"messages": [...]}, or CSV columns',
            next_step=f"fitting-room lint {path}{', with the same --column' if columns else ''}",
        )
    return Dataset(path, report.format, examples, report)
