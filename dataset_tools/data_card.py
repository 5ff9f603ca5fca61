"""A data card: what a file of rows holds, in numbers. How it looks as a page is in `data_card_pages`.

The sections are those of "Datasheets for Datasets" (Gebru et al. 2021, arxiv.org/abs/1803.09010) that a program can
fill in; what it cannot know (the licence, where the rows come from) is given by the user, or said to be not stated.
"""

from __future__ import annotations

import random
from array import array
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from dataset_tools.checks import language
from dataset_tools.errors import DataError
from dataset_tools.example import Example
from dataset_tools.fixes.log import file_hash
from dataset_tools.fixes.opened import Needs, Opened, open_with_format
from dataset_tools.fixes.rows import RowFixer
from dataset_tools.lint import lint
from dataset_tools.reading import Reading
from dataset_tools.rendering import render
from dataset_tools.report import Report
from dataset_tools.task_type import MAX_LABEL_CHARS, TaskTypeGuess, detect_task_type

NOT_STATED = "not stated"
NOT_TOLD = "not told"  # in place of a language, where a text is too short to guess it
SAMPLE_ROWS = 5_000  # rows that tell the kind of task, as in lint
RENDERED_ROWS = 2_000  # rows that are tokenized; a tokenizer takes a third of a second for them
MAX_LABELS = 10_000
LABELS_SHOWN = 50
BINS = 24
Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Bin:
    """How many values are at least ``low`` and less than ``high``; the last bin of a histogram has no upper end."""

    low: int
    high: int | None
    count: int


@dataclass(frozen=True, slots=True)
class Lengths:
    """Some lengths: their number, sum and mean, five of their quantiles (nearest rank), and a histogram."""

    count: int
    total: int
    mean: float
    least: int
    p5: int
    median: int
    p95: int
    most: int
    bins: tuple[Bin, ...]

    @classmethod
    def of(cls, values: Sequence[int]) -> Lengths:
        """Sum up at least one length."""
        ordered = sorted(values)
        count = len(ordered)
        p5, median, p95 = (ordered[min(count - 1, int(share * count))] for share in (0.05, 0.5, 0.95))
        total = sum(ordered)
        bins = _bins(ordered)
        return cls(count, total, round(total / count, 1), ordered[0], p5, median, p95, ordered[-1], bins)


@dataclass(frozen=True, slots=True)
class Tokens:
    """What the rows are in a model's tokens. ``estimated`` says that ``total`` and ``trained`` come from a sample.

    ``trained`` counts the tokens that carry loss, ``rows`` are the lengths of the rows looked at, and ``refused``
    counts those that the model's template does not take.
    """

    tokenizer: str
    total: int
    trained: int
    estimated: bool
    rows: Lengths
    refused: int


@dataclass(frozen=True, slots=True)
class CardFinding:
    """A finding of lint in one line."""

    check: str
    severity: str
    title: str
    count: int


@dataclass(frozen=True, slots=True)
class DataCard:
    """What a file holds. Lengths are in characters; ``labels`` and ``languages`` map to the number of rows.

    ``languages`` are guessed from the answers (or, where these are short, the questions) of at most 2,000 rows; None
    where the package that guesses them is missing, and empty where all texts are too short.
    """

    title: str
    file: str
    sha256: str
    bytes: int
    container: str
    encoding: str
    format: str
    licence: str
    description: str
    records: int
    rows: int
    groups: int
    task: str
    task_why: str
    messages: dict[str, int]
    prompts: Lengths
    answers: Lengths
    tokens: Tokens | None
    labels: dict[str, int] | None
    label_count: int
    languages: dict[str, int] | None
    exact_duplicates: int
    near_duplicates: int
    verdict: str
    findings: tuple[CardFinding, ...]
    skipped: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """The card as JSON."""
        return asdict(self)

    def to_markdown(self) -> str:
        """The card as Markdown, with the metadata block of a Hugging Face dataset card."""
        from dataset_tools.data_card_pages import to_markdown

        return to_markdown(self)

    def to_html(self) -> str:
        """The card as one HTML page with plots, that loads nothing and runs no script."""
        from dataset_tools.data_card_pages import to_html

        return to_html(self)


def data_card(
    path: Path | str,
    *,
    title: str | None = None,
    licence: str | None = None,
    description: str = "",
    tokenizer: Any = None,
    max_length: int | None = None,
    columns: Mapping[str, str] | None = None,
    reading: Reading | None = None,
    report: Report | None = None,
    progress: Progress | None = None,
) -> DataCard:
    """Describe a file of training rows. The same file gives the same card.

    Args:
        path: A file in any form that lint takes.
        title: The name of the data; by default that of the file.
        licence: What the user says of the licence.
        description: Where the rows come from, in the user's words.
        tokenizer: The tokenizer of a model, for the number of tokens.
        max_length: The tokens that training will keep of a row.
        columns: Which columns hold what, where the guess is wrong.
        reading: Which sheet, or in which encoding, where the guess is wrong.
        report: The report of lint on this file, where there is one already.
        progress: Called with the number of rows seen, now and then.

    Raises:
        UsageError: There is no such file.
        DataError: The file is empty, binary or too large, or no row of it can be used.
    """
    path = Path(path)
    opened = open_with_format(path, columns=columns, needs=Needs(tokenizer, max_length), reading=reading)
    if report is None:
        mapped = dict(columns) if columns else None
        report = lint(
            path, tokenizer=tokenizer, max_length=max_length, columns=mapped, reading=reading, progress=progress
        )
    tally = _Tally()
    tally.see_all(opened)
    if not tally.rows:
        raise DataError("the file has no usable row", where=str(path), next_step=f"fitting-room lint {path}")
    tokens = None if tokenizer is None else _tokens(tally, tokenizer)
    return _card(path, opened, report, tally, title=title, licence=licence, description=description, tokens=tokens)


def _card(
    path: Path,
    opened: Opened,
    report: Report,
    tally: _Tally,
    *,
    title: str | None,
    licence: str | None,
    description: str,
    tokens: Tokens | None,
) -> DataCard:
    task = detect_task_type([example.completion for example in tally.sample])
    found = {finding.check: finding.count for finding in report.findings}
    return DataCard(
        title=title or path.name,
        file=path.name,
        sha256=file_hash(path),
        bytes=path.stat().st_size,
        container=opened.stream.container,
        encoding=opened.stream.encoding,
        format=opened.format.name if opened.format else "unknown",
        licence=licence or NOT_STATED,
        description=description,
        records=max(report.rows, tally.rows),
        rows=tally.rows,
        groups=len(tally.groups),
        task=task.kind,
        task_why=task.why,
        messages=dict(sorted(tally.turns.items())),
        prompts=Lengths.of(tally.prompts),
        answers=Lengths.of(tally.answers),
        tokens=tokens,
        labels=_labels(tally, task),
        label_count=len(tally.labels) if task.kind == "classification" else 0,
        languages=_languages(tally.sample),
        exact_duplicates=found.get("exact-duplicate", 0),
        near_duplicates=found.get("near-duplicate", 0),
        verdict=report.verdict,
        findings=tuple(
            CardFinding(finding.check, finding.severity, finding.title, finding.count) for finding in report.findings
        ),
        skipped=report.skipped,
    )


@dataclass(slots=True)
class _Tally:
    """What is kept of the rows while they pass: eight bytes each, and a sample."""

    rows: int = 0
    prompts: array[int] = field(default_factory=lambda: array("L"))
    answers: array[int] = field(default_factory=lambda: array("L"))
    turns: Counter[str] = field(default_factory=Counter)
    labels: Counter[str] = field(default_factory=Counter)
    groups: set[int] = field(default_factory=set)
    sample: list[Example] = field(default_factory=list)
    _rng: random.Random = field(default_factory=lambda: random.Random(0))

    def see_all(self, opened: Opened) -> None:
        """Look at all good rows of a file."""
        fixer = RowFixer(opened, ())
        for example, value in opened.examples():
            if fixer.is_good(example, value):
                self._see(example)

    def _see(self, example: Example) -> None:
        self.rows += 1
        self.prompts.append(sum(len(message.content) for message in example.prompt))
        self.answers.append(len(example.completion))
        self.turns.update(message.role for message in example.messages)
        if example.group is not None:
            self.groups.add(hash(example.group))
        label = example.completion.strip()
        if len(label) <= MAX_LABEL_CHARS and (label in self.labels or len(self.labels) < MAX_LABELS):
            self.labels[label] += 1
        place = len(self.sample) if self.rows <= SAMPLE_ROWS else int(self._rng.random() * self.rows)
        if place == len(self.sample):
            self.sample.append(example)
        elif place < SAMPLE_ROWS:
            self.sample[place] = example


def _bins(ordered: Sequence[int]) -> tuple[Bin, ...]:
    """Bins of one round width from the least value up to twice the 95th percentile, and one for what is longer."""
    least, most = ordered[0], ordered[-1]
    top = min(most, max(2 * ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))], least))
    widths = (step * 10**power for power in range(10) for step in (1, 2, 5))
    width = next(width for width in widths if top // width - least // width < BINS)
    first, last = least // width, top // width
    counts = Counter(min(value // width, last) for value in ordered)
    made = [Bin(place * width, (place + 1) * width, counts[place]) for place in range(first, last)]
    is_open = most >= (last + 1) * width
    return (*made, Bin(last * width, None if is_open else (last + 1) * width, counts[last]))


def _tokens(tally: _Tally, tokenizer: Any) -> Tokens | None:
    """Tokens of the rows, or of a sample; None where the template takes none of them."""
    rows = tally.sample
    if len(rows) > RENDERED_ROWS:
        rows = random.Random(0).sample(rows, RENDERED_ROWS)
    lengths: list[int] = []
    trained = 0
    for example in rows:
        try:
            rendered = render(example, tokenizer)
        except DataError:
            continue
        lengths.append(len(rendered.ids))
        trained += rendered.trained
    if not lengths:
        return None
    scale = tally.rows / len(rows)
    return Tokens(
        tokenizer=str(getattr(tokenizer, "name_or_path", "") or type(tokenizer).__name__).rsplit("/", 1)[-1],
        total=round(sum(lengths) * scale),
        trained=round(trained * scale),
        estimated=tally.rows > len(rows),
        rows=Lengths.of(lengths),
        refused=round((len(rows) - len(lengths)) * scale),
    )


def _labels(tally: _Tally, task: TaskTypeGuess) -> dict[str, int] | None:
    """The most frequent labels with their rows, the most frequent first."""
    if task.kind != "classification":
        return None
    return dict(sorted(tally.labels.items(), key=lambda item: (-item[1], item[0]))[:LABELS_SHOWN])


def _languages(sample: Sequence[Example]) -> dict[str, int] | None:
    guess = language.guesser()
    if guess is None:
        return None
    rows = random.Random(0).sample(list(sample), language.SAMPLE) if len(sample) > language.SAMPLE else sample
    counts = Counter(guess(example.completion) or guess(example.question) or NOT_TOLD for example in rows)
    if counts.keys() == {NOT_TOLD}:
        return {}
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
