"""Run the checks over a file, row by row, and say whether to train on it. The checks themselves are in `checks`."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from dataset_tools.checks import CHECKS, Check, DatasetCheck, ExampleCheck, ExampleView, Hit, RowCheck, RowView
from dataset_tools.checks.base import FAMILIES, Mergeable, Observer, RowObserver, Setting
from dataset_tools.checks.file import MIN_TRAINABLE
from dataset_tools.errors import UsageError
from dataset_tools.example import Example
from dataset_tools.formats import Detected, detect_format, to_example
from dataset_tools.formats.base import Format, Value, group_of
from dataset_tools.formats.schemas import fault
from dataset_tools.parallel import processes, run_parts
from dataset_tools.reading import Problem, Reading, RowStream, UnreadableError, open_rows
from dataset_tools.reading.json_lines import LineReader, cut_at_lines
from dataset_tools.reading.memory import without_garbage_collection
from dataset_tools.reading.source import Place
from dataset_tools.report import Collector, Finding, Report, Verdict

UNKNOWN = "unknown"
_NO_ROW: Value = {}
HEAD_ROWS = 2_000  # rows that tell the format; a file whose other rows disagree is read once more
PROGRESS_ROWS = 5_000
PARALLEL_BYTES = 32 * 2**20  # a smaller file is done before a second process is worth its start
SAMPLE_ROWS = 5_000  # rows that tell the kind of task
_BY_ID: dict[str, Check] = {check.id: check for check in CHECKS}
_NEEDS = {
    "tokenizer": "no model was chosen",
    "max_length": "no length limit was given",
    "test_rows": "no test file was given",
}
Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Selection:
    """The checks that are run, by the moment when they are."""

    row: Sequence[RowCheck]
    good_row: Sequence[RowCheck]
    example: Sequence[ExampleCheck]
    dataset: Sequence[DatasetCheck]

    @classmethod
    def of(cls, wanted: Collection[str] | None) -> Selection:
        """The checks of some families or ids; all where None. What reading and converting tell is always told.

        Raises:
            UsageError: There is no such family or check.
        """
        unknown = sorted(set(wanted or ()) - set(FAMILIES) - _BY_ID.keys())
        if unknown:
            raise UsageError(
                "there is no such check",
                found=", ".join(unknown),
                expected=f"families ({', '.join(FAMILIES)}) or check ids",
                next_step="fitting-room lint FILE --checks structure,duplicates",
            )
        chosen = [check for check in CHECKS if wanted is None or check.family in wanted or check.id in wanted]
        return cls(
            row=[check for check in CHECKS if isinstance(check, RowCheck) and not check.on_good_rows],
            good_row=[check for check in chosen if isinstance(check, RowCheck) and check.on_good_rows],
            example=[check for check in chosen if isinstance(check, ExampleCheck)],
            dataset=[check for check in chosen if isinstance(check, DatasetCheck)],
        )


def lint(
    path: Path | str,
    *,
    tokenizer: Any = None,
    max_length: int | None = None,
    checks: Collection[str] | None = None,
    test_rows: Sequence[Example] | None = None,
    columns: dict[str, str] | None = None,
    into: list[Example] | None = None,
    reading: Reading | None = None,
    progress: Progress | None = None,
) -> Report:
    """Check a file of training rows, in memory that does not grow with the file (but see `open_rows`).

    Args:
        path: A file in any form that `open_rows` takes. An empty or binary file gives a report that says so.
        tokenizer: The tokenizer of the model to be trained; without one the token checks are skipped.
        max_length: The tokens that training will keep of a row.
        checks: Families or ids of the checks to run; all by default.
        test_rows: Rows that must not be among those of the file.
        columns: Which column stands for ``prompt`` and ``completion``, where the guess is wrong.
        into: Takes the examples that have no error of their own; by default none is kept.
        reading: Which sheet, or in which encoding, where the guess is wrong.
        progress: Called with the number of rows seen, every few thousand rows.

    Raises:
        UsageError: The path is missing, is a folder, or may not be read; or there is no such check, column or sheet.
    """
    selection = Selection.of(checks)
    path = Path(path)
    collector = Collector()
    try:
        stream = open_rows(path, reading)
    except UnreadableError as error:
        collector.add(_BY_ID[error.check], [Hit(error.found or error.what)])
        return _report(path, collector, None)
    with without_garbage_collection():
        head = _head(stream)
        _require_columns(columns, head)
        detected: Detected | None = detect_format(head, columns=columns)
        fields = stream.columns or tuple(head[0] if head else ())
        for _ in range(2):
            setting = Setting(tokenizer, max_length=max_length, test_rows=test_rows, fields=fields)
            linter = _Pass(stream, detected, selection, setting, into=into, progress=progress)
            linter.run()
            better = linter.better_format()
            if better is None:
                break
            detected = better
            if into is not None:
                into.clear()
    return _report(path, linter.collector, setting, skipped=linter.skipped)


def examine(path: Path | str, **options: Any) -> tuple[Report, tuple[Example, ...]]:
    """The report, and the examples of all rows without an error of their own, which are held in memory."""
    examples: list[Example] = []
    report = lint(path, into=examples, **options)
    return report, tuple(examples)


def read_examples(stream: RowStream, detected: Detected, records: set[int]) -> Iterator[Example]:
    """The examples in some records of a file, in their order, in one more pass over it."""
    last = max(records, default=0)
    for line, record, value in stream.read(_ignore):
        if record > last:
            return
        if record in records and isinstance(value, dict):
            example = to_example(detected.format, value, line=line, record=record)
            if example is not None:
                yield example


def _head(stream: RowStream) -> list[Value]:
    head = itertools.islice(stream.read(_ignore), HEAD_ROWS)
    return [value for _, _, value in head if isinstance(value, dict)]


def _require_columns(columns: dict[str, str] | None, head: Sequence[Value]) -> None:
    """Check that each column that was named is one that some row has."""
    for column in (columns or {}).values():
        if head and not any(column in value for value in head):
            raise UsageError(
                "there is no such column",
                found=repr(column),
                expected="one of " + ", ".join(repr(name) for name in list(head[0])[:20]),
                next_step="name a column that is there",
            )


def _ignore(problem: Problem) -> None:
    """Problems are told in the pass that checks."""


@dataclass(frozen=True)
class _Part:
    """What was found in a stretch of the file."""

    lines: int
    records: int
    collector: Any = None
    usable: int = 0
    observers: Sequence[Any] = ()
    views: Sequence[ExampleView] = ()
    others: dict[str, int] = field(default_factory=dict)


@dataclass
class _Pass:
    """One pass over the rows of a file."""

    stream: RowStream
    detected: Detected | None
    selection: Selection
    setting: Setting
    into: list[Example] | None = None
    progress: Progress | None = None
    collector: Collector = field(default_factory=Collector)
    skipped: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._runnable: list[DatasetCheck] = []
        self._on_examples: list[tuple[ExampleCheck, Callable[[ExampleView], Iterable[str]]]] = []
        self._observers: dict[type[Observer], Observer] = {}
        self._others: dict[str, int] = {}  # rows by the format they have, where it is not that of most
        self._rng = random.Random(0)
        if self.detected is not None:
            detected = self.detected
            self.setting.format = detected.format
            self.setting.read_again = lambda records: read_examples(self.stream, detected, records)

    def run(self) -> None:
        """Look at all rows, then ask the checks of the whole file what they found."""
        for problem in self.stream.problems:
            self._note(problem)
        self._start()
        if self.detected is not None:
            parts = self._parts()
            if len(parts) > 1:
                self._look_at_parts(self.detected.format, parts)
            else:
                self._look_at_rows(self.detected.format, self.stream.read(self._note))
        else:
            for _, record, _ in self.stream.read(self._note):
                self.setting.rows = record
        for check in self._runnable:
            found = check.run(self.setting if check.observer is None else self._observers[check.observer])
            self.collector.add(check, found)

    def better_format(self) -> Detected | None:
        """The format that more rows have than the one that was assumed, if there is one."""
        most = max(self._others, key=self._others.__getitem__, default=None)
        if most is None or self.detected is None or self._others[most] <= self.setting.usable:
            return None
        form = next(form for form in self.detected.candidates if form.name == most)
        return Detected(form, self.detected.candidates)

    def _start(self) -> None:
        """Make what sees the rows; a check whose needs are not met is skipped, and said to be."""
        for check in self.selection.example:
            if self._can_run(check.id, check.needs):
                self._on_examples.append((check, check.start(self.setting) if check.start else check.run))
        for whole in self.selection.dataset:
            if self._can_run(whole.id, whole.needs):
                self._runnable.append(whole)
                if whole.observer is not None:
                    self._observers[whole.observer] = self.setting.share(whole.observer)

    def _can_run(self, check: str, needs: Sequence[str]) -> bool:
        missing = next((need for need in needs if getattr(self.setting, need) is None), None)
        if missing is not None:
            self.skipped.append(f"{check}: {_NEEDS[missing]}")
        return missing is None

    def _note(self, problem: Problem) -> None:
        self.setting.rows = max(self.setting.rows, problem.record or 0)
        self.collector.add(_BY_ID[problem.check], [Hit(problem.message, problem.line, problem.record)])

    def _parts(self) -> list[tuple[int, int]]:
        """The stretches of the file that are looked at in processes of their own; at most one where that cannot be."""
        file = self.stream.file
        if file is None or self.into is not None or file.stat().st_size < PARALLEL_BYTES:
            return []
        if not all(isinstance(observer, Mergeable) for observer in self._observers.values()):
            return []
        with file.open("rb") as opened:
            return cut_at_lines(opened, self.stream.start, processes())

    def _look_at_parts(self, form: Format, parts: Sequence[tuple[int, int]]) -> None:
        assert self.stream.file is not None
        if self.progress is not None:
            told = self.progress
            self.progress = lambda rows: told(rows * len(parts))
        first, *others = run_parts(partial(self._look_at_part, form, parts), range(len(parts)))
        lines, records = first.lines, first.records
        drawn: list[tuple[Sequence[ExampleView], int]] = [(self.setting.views, self.setting.usable)]
        for part in others:
            self.collector.absorb(part.collector, by_id=_BY_ID, lines=lines, records=records)
            for observer, packed in zip(self._observers.values(), part.observers, strict=True):
                observer.absorb(packed, lines=lines, records=records)  # type: ignore[attr-defined]
            for view in part.views:
                view.move(lines=lines, records=records)
            drawn.append((part.views, part.usable))
            self.setting.usable += part.usable
            for name, count in part.others.items():
                self._others[name] = self._others.get(name, 0) + count
            lines, records = lines + part.lines, records + part.records
        self.setting.rows = records
        self.setting.views = self._drawn_from(drawn)

    def _drawn_from(self, parts: Sequence[tuple[Sequence[ExampleView], int]]) -> list[ExampleView]:
        """Rows drawn at random from those that were drawn in each part, out of how many; all where there are few."""
        if sum(len(views) for views, _ in parts) <= SAMPLE_ROWS:
            return [view for views, _ in parts for view in views]
        counts = Counter(self._rng.sample(range(len(parts)), SAMPLE_ROWS, counts=[rows for _, rows in parts]))
        return [view for number, (views, _) in enumerate(parts) for view in self._rng.sample(views, counts[number])]

    def _look_at_part(self, form: Format, parts: Sequence[tuple[int, int]], number: int) -> _Part:
        """Look at one stretch: the first in this process, the others in forks of it, whose state starts empty."""
        start, end = parts[number]
        assert self.stream.file is not None
        with self.stream.file.open("rb") as file:
            file.seek(start)
            reader = LineReader(file, self._note, end - start)
            if number:
                self.collector, self.progress = Collector(), None
            self._look_at_rows(form, reader.rows())
            if number == 0:
                return _Part(reader.line, reader.records)
            return _Part(
                reader.line,
                reader.records,
                collector=self.collector.pack(),
                usable=self.setting.usable,
                observers=[observer.pack() for observer in self._observers.values()],  # type: ignore[attr-defined]
                views=self.setting.views,
                others=self._others,
            )

    def _look_at_rows(self, form: Format, rows: Iterator[Place]) -> None:
        setting, sound, progress = self.setting, form.sound, self.progress
        drawn = any(check.needs for check in self._runnable)  # such a check looks at the rows that are drawn
        lightly = not (self._on_examples or self._observers or drawn) and self.into is None
        see_rows = [observer.see_row for observer in self._observers.values() if isinstance(observer, RowObserver)]
        usable = record = 0
        for line, record, value in rows:
            if progress is not None and record % PROGRESS_ROWS == 0:
                progress(record)
            row: Value = value if isinstance(value, dict) else _NO_ROW
            if see_rows and row is not _NO_ROW:
                for see_row in see_rows:
                    see_row(line, record, row)
            contents = sound(row)
            if contents is None:
                example = self._explain(line, record, value, form)
                if example is None:
                    continue
                view = ExampleView.of(example)
            elif lightly:
                usable += 1
                continue
            else:
                view = ExampleView(contents, line=line, record=record, group=group_of(row))
            usable += 1
            self._look_at(view, usable)
        setting.usable = usable
        setting.rows = max(setting.rows, record)

    def _look_at(self, view: ExampleView, number: int) -> None:
        add = self.collector.add
        for check, run in self._on_examples:
            for message in run(view):
                add(check, [view.hit(message)])
        for observer in self._observers.values():
            observer.see(view)
        if number <= SAMPLE_ROWS:
            self.setting.views.append(view)
        else:
            place = int(self._rng.random() * number)
            if place < SAMPLE_ROWS:
                self.setting.views[place] = view
        if self.into is not None:
            self.into.append(view.example)

    def _explain(self, line: int, record: int, value: object, form: Format) -> Example | None:
        """The example of a row that is not plain, or None where its errors are now in the collector."""
        if not isinstance(value, dict):
            self.collector.add(_BY_ID["not-an-object"], [Hit("the row is no object", line, record)])
            return None
        if not form.matches(value) and self._is_of_another_format(line, record, value, form):
            return None
        example = to_example(form, value, line=line, record=record)
        if example is not None:
            errors = self._run_row_checks(self.selection.good_row, RowView(value), line, record)
            return None if errors else example
        errors = self._run_row_checks(
            [*self.selection.row, *self.selection.good_row], RowView.of(value, form), line, record
        )
        if not errors:
            message = fault(form.name, value) or "the row cannot be converted"
            self.collector.add(_BY_ID["wrong-type"], [Hit(message, line, record)])
        return None

    def _is_of_another_format(self, line: int, record: int, value: Value, form: Format) -> bool:
        candidates = self.detected.candidates if self.detected else ()
        other = next((candidate for candidate in candidates if candidate.matches(value)), None)
        if other is None:
            return False
        self._others[other.name] = self._others.get(other.name, 0) + 1
        message = f"{other.name}, where most rows are {form.name}"
        self.collector.add(_BY_ID["mixed-formats"], [Hit(message, line, record)])
        return True

    def _run_row_checks(self, checks: Sequence[RowCheck], view: RowView, line: int, record: int) -> int:
        """Run row checks on one row, one hit a check at most, and return how many errors they found."""
        errors = 0
        for check in checks:
            messages = list(check.run(view))
            if messages:
                errors += self.collector.add(check, [Hit("; ".join(messages), line, record)])
        return errors


def _report(path: Path, collector: Collector, setting: Setting | None, *, skipped: Sequence[str] = ()) -> Report:
    rows, usable = (setting.rows, setting.usable) if setting else (0, 0)
    form = setting.format if setting else None
    findings = collector.findings()
    return Report(
        file=str(path),
        format=form.name if form else UNKNOWN,
        rows=rows,
        usable=usable,
        verdict=_verdict(rows, usable, collector, findings),
        findings=findings,
        skipped=tuple(skipped),
    )


def _verdict(rows: int, usable: int, collector: Collector, findings: Sequence[Finding]) -> Verdict:
    if usable < MIN_TRAINABLE or 2 * collector.bad_records > rows:
        return "do_not_train"
    return "fix_first" if any(finding.severity == "error" for finding in findings) else "train"
