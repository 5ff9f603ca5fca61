"""A file of rows -> files for training, validation and test, with a record of how it was split."""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dataset_tools.errors import DataError, UsageError
from dataset_tools.example import Example, Split
from dataset_tools.fixes.log import file_hash
from dataset_tools.fixes.opened import Opened, open_with_format
from dataset_tools.fixes.rows import RowFixer, line_of
from dataset_tools.fixes.segments import segments
from dataset_tools.reading import Reading
from dataset_tools.split_leaks import LeakCheck, find_leaks
from dataset_tools.splitting import split
from dataset_tools.task_type import detect_task_type
from dataset_tools.writing import open_atomically, write_text_atomically

SETS = ("train", "validation", "test")
RECORD = "split.json"
_LINES_SHOWN = 100
_LABELS_SHOWN = 1_000


@dataclass(frozen=True, slots=True)
class SplitResult:
    """What a split made: the files by set, how many rows each has, what was left out, and the check for leaks.

    ``unusable`` counts the records that have errors, ``duplicates`` the rows that were there before; the lines of the
    first of these are in ``duplicate_lines``. ``labels`` has the answers of each set by count, where they are labels.
    """

    folder: Path
    files: dict[str, Path]
    source: str
    sha256: str
    seed: int
    group_by: str | None
    counts: dict[str, int]
    groups: dict[str, int]
    duplicates: int
    duplicate_lines: tuple[int, ...]
    unusable: int
    labels: dict[str, dict[str, int]] | None
    leaks: LeakCheck

    def to_dict(self) -> dict[str, Any]:
        """The record of the split as JSON; it names no folder, so that the same split has the same record."""
        return {
            "source": self.source,
            "sha256": self.sha256,
            "seed": self.seed,
            "group_by": self.group_by,
            "files": {name: path.name for name, path in self.files.items()},
            "counts": self.counts,
            "groups": self.groups,
            "dropped": {
                "duplicates": self.duplicates,
                "duplicate_lines": list(self.duplicate_lines),
                "unusable": self.unusable,
            },
            "labels": self.labels,
            "leaks": self.leaks.to_dict(),
        }


@dataclass(frozen=True, slots=True)
class _Rows:
    """The examples of a file, the line of each by its record, and how many records have none."""

    examples: list[Example]
    lines: dict[int, bytes]
    unusable: int
    columns: set[str]


def split_file(
    path: Path | str,
    folder: Path | str,
    *,
    test: float | None = None,
    validation: float | None = None,
    seed: int = 0,
    group_by: str | None = None,
    stratify: bool | None = None,
    exact: bool = False,
    columns: Mapping[str, str] | None = None,
    reading: Reading | None = None,
    overwrite: bool = False,
) -> SplitResult:
    """Write train.jsonl, validation.jsonl and test.jsonl, each in a random order, and split.json, into a folder.

    Rows of JSON lines are copied as they stand; those of other files become JSON lines. All rows are held in memory.

    Args:
        path: A file in any form that lint takes. Rows with an error of their own are left out.
        folder: Where the files go; it is made if it is missing.
        test: The size of the test set, in rows (1 or more) or as a share (below 1); see `split` for the default.
        validation: The size of the validation set.
        seed: The same seed gives the same split.
        group_by: The column whose value says what a row belongs to; by default ``group``, where a row has it.
        stratify: Whether each set has its share of each answer; by default where answers are labels.
        exact: Refuse to make a set smaller than asked.
        columns: Which columns hold what, where the guess is wrong.
        reading: Which sheet, or in which encoding, where the guess is wrong.
        overwrite: Replace files of an earlier split.

    Raises:
        UsageError: There is no such file or column; or a file would be overwritten.
        DataError: The file is empty, binary or too large, or its rows cannot be split so.
        LeakError: A row of one set stands in another after all, which is a defect of ours; nothing is written.
    """
    path, folder = Path(path), Path(folder)
    targets = {name: folder / f"{name}.jsonl" for name in SETS}
    _refuse_to_overwrite(path, [*targets.values(), folder / RECORD], overwrite=overwrite)
    opened = open_with_format(path, columns=columns, reading=reading)
    rows = _read(opened, group_by)
    if not rows.examples:
        raise DataError("the file has no usable row", where=str(path), next_step=f"fitting-room lint {path}")
    if group_by is not None and group_by not in rows.columns:
        raise UsageError(
            "no row has the column to group by",
            where=str(path),
            found=repr(group_by),
            expected=", ".join(sorted(rows.columns)[:20]),
            next_step="name one of these columns",
        )
    parts = split(rows.examples, test=test, validation=validation, seed=seed, stratify=stratify, exact=exact)
    leaks = find_leaks(parts)
    leaks.require_clean()
    result = _result(path, targets, rows, parts, leaks=leaks, seed=seed, group_by=group_by)
    _write(result, rows, parts, targets)
    return result


def _refuse_to_overwrite(path: Path, targets: Sequence[Path], *, overwrite: bool) -> None:
    for target in targets:
        is_source = target.exists() and path.exists() and target.samefile(path)
        if is_source or (target.exists() and not overwrite):
            raise UsageError(
                "the file would overwrite its own source" if is_source else "there is a file of that name already",
                where=str(target),
                expected="a folder without the files of a split",
                next_step="name another folder" + ("" if is_source else ", or allow to overwrite"),
            )


def _read(opened: Opened, group_by: str | None) -> _Rows:
    fixer = RowFixer(opened, ())
    rows = _Rows([], {}, 0, set())
    unusable = 0
    for segment in segments(opened.stream, lambda problem: None):
        value = segment.value
        example = opened.example(value, line=segment.line, record=segment.record)
        if segment.problem is not None or not isinstance(value, dict) or example is None:
            unusable += 1
            continue
        if not fixer.is_good(example, value):
            unusable += 1
            continue
        if group_by is not None:
            named = value.get(group_by)
            example = replace(example, group=None if named is None or named == "" else str(named))
        rows.columns.update(value)
        rows.examples.append(example)
        raw = segment.raw if opened.stream.container == "jsonl" else None
        rows.lines[segment.record] = raw.strip() if raw else line_of(value)
    return replace(rows, unusable=unusable)


def _result(
    path: Path,
    targets: Mapping[str, Path],
    rows: _Rows,
    parts: Split,
    *,
    leaks: LeakCheck,
    seed: int,
    group_by: str | None,
) -> SplitResult:
    sides = _sides(parts)
    kept = {example.record for side in sides.values() for example in side}
    again = [example.line for example in rows.examples if example.record not in kept]
    labelled = detect_task_type([example.completion for example in rows.examples]).kind == "classification"
    labels = {name: _labels(side) for name, side in sides.items()} if labelled else None
    return SplitResult(
        folder=targets["train"].parent,
        files={name: targets[name] for name, side in sides.items() if side},
        source=path.name,
        sha256=file_hash(path),
        seed=seed,
        group_by=group_by,
        counts={name: len(side) for name, side in sides.items()},
        groups={name: len({row.group for row in side if row.group is not None}) for name, side in sides.items()},
        duplicates=parts.dropped,
        duplicate_lines=tuple(again[:_LINES_SHOWN]),
        unusable=rows.unusable,
        labels=labels,
        leaks=leaks,
    )


def _sides(parts: Split) -> dict[str, tuple[Example, ...]]:
    return {"train": parts.train, "validation": parts.validation, "test": parts.test}


def _labels(side: Sequence[Example]) -> dict[str, int]:
    counts = Counter(example.completion.strip() for example in side)
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:_LABELS_SHOWN])


def _write(result: SplitResult, rows: _Rows, parts: Split, targets: Mapping[str, Path]) -> None:
    """Write all files, or none; a set without rows has no file."""
    with contextlib.ExitStack() as stack:
        for name, side in _sides(parts).items():
            if side:
                file = stack.enter_context(open_atomically(targets[name]))
                file.writelines(rows.lines[example.record] + b"\n" for example in side)
    for name, target in targets.items():
        if name not in result.files:
            target.unlink(missing_ok=True)
    write_text_atomically(result.folder / RECORD, json.dumps(result.to_dict(), indent=2, ensure_ascii=False) + "\n")
