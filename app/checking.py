"""The checks of a project's rows, in threads: first those that need no model, then those of its tokenizer.

What was found is kept for the last few files, so a page that is opened again shows it at once. Files never change.
"""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from app.jobs import Job, Jobs
from app.row_reading import as_columns, guess_task
from app.versions import own_rows, said_columns, said_reading
from app.workspace import Project
from dataset_tools import DataError, Example, FittingRoomError, Report, UsageError, lint, load_examples
from dataset_tools.checks import CHECKS
from dataset_tools.fixes import Needs
from dataset_tools.reading import Reading
from dataset_tools.report import Finding
from dataset_tools.task_type import TaskTypeGuess
from training.models.embedded import NAME, TITLE
from training.models.loading import default_model

_KEPT = 8
_BY_TOKENIZER = frozenset(
    check.id for check in CHECKS if {"tokenizer", "max_length"} & set(getattr(check, "needs", ()))
)
_SEVERITIES = ("error", "warning", "info")
_VERDICTS = ("train", "fix_first", "do_not_train")  # the worst last
_loading = threading.Lock()
Tokens = Literal["waiting", "checked", "skipped"]


@dataclass(frozen=True)
class Checked:
    """What is known of a file at one moment.

    Attributes:
        report: What the checks found; None until the first of them are done.
        task: The kind of task that the rows look like.
        tokens: How the checks with the tokenizer stand.
        rows: How many rows were seen so far.
        settled: Whether nothing more will be found.
        error: Why the checks failed.
    """

    report: Report | None = None
    task: TaskTypeGuess | None = None
    tokens: Tokens = "waiting"
    rows: int = 0
    settled: bool = False
    error: FittingRoomError | None = None

    @property
    def mark(self) -> str:
        """Another text whenever there is more to show; with ``report`` in it where there is one."""
        return f"{'report' if self.report else self.rows} {self.tokens} {self.settled}"


@dataclass
class _Running:
    """The same while a thread works on it."""

    job: Job = field(default_factory=Job)
    found: Checked = field(default_factory=Checked)
    first: threading.Event = field(default_factory=threading.Event)

    def now(self) -> Checked:
        """What is known. The job is asked first: where it has ended, what it found is complete."""
        settled, error = not self.job.running, self.job.error
        return replace(self.found, rows=self.job.done, settled=settled, error=error)


@dataclass(frozen=True)
class Said:
    """What the user said of how a file is to be read."""

    columns: dict[str, str] | None = None
    reading: Reading | None = None


class Checks:
    """The checks that run or ran, by what they hang on: file, how it is read, test rows, model."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[object, ...], _Running] = OrderedDict()
        self._jobs = Jobs()

    def of(self, project: Project, *, patience: float = 0.0) -> Checked:
        """What is known of the project's training rows; the checks are started where they were not.

        Args:
            project: A project with training rows.
            patience: Seconds to wait for the first of them; a small file needs less than one.

        Raises:
            UsageError: there are no training rows.
        """
        said = Said(said_columns(project), said_reading(project))
        path, test = own_rows(project), project.test_path
        key = (path, as_columns(said.columns), said.reading, test, default_model())
        with self._lock:
            running = self._kept.get(key)
            if running is None:
                running = self._kept[key] = self._start(path, said, test)
                while len(self._kept) > _KEPT:
                    self._kept.popitem(last=False)
            self._kept.move_to_end(key)
        running.first.wait(patience)
        return running.now()

    def _start(self, path: Path, said: Said, test: Path | None) -> _Running:
        running = _Running()
        key = (str(path), secrets.token_hex(4))  # two pages may ask for other columns of one file
        self._jobs.start(key, running.job, lambda job: _check(running, path, said=said, test=test))
        return running


def _check(running: _Running, path: Path, *, said: Said, test: Path | None) -> None:
    """Find what there is to find, and let pages see it as it comes."""
    columns = said.columns

    def tell(rows: int) -> None:
        running.job.done = rows

    try:
        plain = lint(path, columns=columns, test_rows=held_out_rows(test), reading=said.reading, progress=tell)
        task = guess_task(path, columns=as_columns(columns), reading=said.reading) if plain.usable else None
        if not plain.usable:
            plain = _skipping(plain, because="there is no usable row")
        running.found = Checked(plain, task, "waiting" if plain.usable else "skipped")
    finally:
        running.first.set()
    if not plain.usable:
        return
    try:
        needs = model_tools(default_model())
    except FittingRoomError as error:
        running.found = Checked(_skipping(plain, because=error.what), task, "skipped")
        return
    by_tokenizer = lint(path, columns=columns, checks=_BY_TOKENIZER, reading=said.reading, **needs)
    running.found = Checked(together(plain, by_tokenizer), task, "checked")


def model_tools(name: str) -> Mapping[str, Any]:
    """The tokenizer of a model and the most tokens of a row, loaded once (about 2 s; the model itself is not loaded).

    Raises:
        ModelError: it cannot be had.
    """
    with _loading:
        return _model_tools(name)


@lru_cache(maxsize=2)
def _model_tools(name: str) -> Mapping[str, Any]:
    from app.data_commands import model_needs

    return model_needs(name)


def model_title(name: str) -> str:
    """What a model is called for people: a folder by its last part."""
    return TITLE if name == NAME else name.rstrip("/").rsplit("/", 1)[-1]


def needs_of(project: Project) -> Needs:
    """What fixes may ask for: the tokenizer, where the model can be had, and the project's test rows."""
    try:
        tools = model_tools(default_model())
    except FittingRoomError:
        tools = {}
    return Needs(**tools, test_rows=held_out_rows(project.test_path))


@lru_cache(maxsize=4)
def held_out_rows(test: Path | None) -> tuple[Example, ...] | None:
    """The rows that must not be learnt from; None where there are none that can be read."""
    try:
        return tuple(load_examples(test).examples) if test else None
    except (DataError, UsageError):
        return None


def together(plain: Report, by_tokenizer: Report) -> Report:
    """One report of two on the same file: all checks but the tokenizer's, and those."""
    added = [finding for finding in by_tokenizer.findings if finding.check in _BY_TOKENIZER]
    findings = sorted([*plain.findings, *added], key=_rank)
    return replace(
        plain,
        findings=tuple(findings),
        verdict=max(plain.verdict, by_tokenizer.verdict, key=_VERDICTS.index),
        skipped=(*_others(plain), *(line for line in by_tokenizer.skipped if _check_in(line) in _BY_TOKENIZER)),
    )


def _rank(finding: Finding) -> tuple[int, int]:
    return _SEVERITIES.index(finding.severity), -finding.count


def _skipping(report: Report, *, because: str) -> Report:
    """The report with the real reason why checks were skipped, in place of "no model was chosen"."""
    mine = (f"{_check_in(line)}: {because}" for line in report.skipped if _check_in(line) in _BY_TOKENIZER)
    return replace(report, skipped=(*_others(report), *mine))


def _others(report: Report) -> tuple[str, ...]:
    return tuple(line for line in report.skipped if _check_in(line) not in _BY_TOKENIZER)


def waiting_report(report: Report) -> Report:
    """The first report while the tokenizer's checks are still to come: these are not skipped."""
    return replace(report, skipped=_others(report))


def _check_in(skipped: str) -> str:
    return skipped.partition(":")[0]
