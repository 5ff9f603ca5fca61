"""A file as examples, for everything that needs rows. What is wrong with the others stands in its report."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dataset_tools.errors import DataError
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


def load_examples(path: Path | str) -> Dataset:
    """Read a file of training rows; rows with an error of their own are left out.

    Rows that contradict or repeat another stay: only a person can tell which one is right. Rows with a thumb down are
    left out too: their answer is not wanted.

    Raises:
        UsageError: The path is missing, is a folder, or may not be read.
        DataError: The file is empty or binary, or has no usable row.
    """
    path = Path(path)
    report, read = examine(path, checks=("structure",))
    examples = tuple(example for example in read if example.desirable is not False)
    if not examples:
        first = report.findings[0].message if report.findings else "no rows"
        raise DataError(
            "the file has no usable row",
            where=str(path),
            found=first,
            expected='rows like {"prompt": "...", "completion": "..."} or {"messages": [...]}, or CSV columns',
            next_step=f"fitting-room lint {path}",
        )
    return Dataset(path, report.format, examples, report)
