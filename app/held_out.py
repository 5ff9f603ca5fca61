"""Held-out rows with all answers to them: of a comparison, or of a run that kept rows back; filtered, sorted, kept.

It asks no model. What becomes of a row is written to the rows that a project builds, and there it waits: a test row
must not become a training row by one click.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from advisor.human.session import message_from
from app.comparisons import read_result
from app.run_reading import kept
from dataset_tools import Example, Message
from dataset_tools.building import NewRow
from dataset_tools.writing import write_jsonl
from training.runs.folder import RunFolder

ANSWERS = "held-out-answers.jsonl"
"""The file in a run's folder with the answers of base and tuned to the rows that it kept back."""

BASE, TUNED = "base", "tuned"
FILTERS = (
    ("All rows", "all"),
    ("Changed", "changed"),
    ("Better", "better"),
    ("Worse", "worse"),
    ("Any disagree", "disagree"),
    ("Does not stop", "endless"),
    ("Invalid JSON", "invalid"),
)
ORDERS = (("As in the file", "file"), ("Largest gain first", "gain"), ("Largest loss first", "loss"))
_SAME = 1e-9
Deed = Literal["add", "fix", "label"]


@dataclass(frozen=True, slots=True)
class Cell:
    """One answer: its text, its score from 0 to 1, and whether it ended by itself (None: not known)."""

    text: str
    score: float | None = None
    stopped: bool | None = None


@dataclass(frozen=True, slots=True)
class HeldRow:
    """A row: its number in the list from 1, its record in its file (0: not known), and the answers by their arms."""

    number: int
    record: int
    prompt: tuple[Message, ...]
    wanted: str
    cells: Mapping[str, Cell]

    @property
    def asked(self) -> str:
        """The prompt as text; the messages of a conversation each with its role."""
        if len(self.prompt) == 1:
            return self.prompt[0].content
        return "\n\n".join(f"{message.role}: {message.content}" for message in self.prompt)


@dataclass(frozen=True)
class HeldOut:
    """All held-out rows of a source.

    Attributes:
        title: What the source is called.
        arms: Those that have answered, with their titles.
        rows: The rows.
        tests: Whether they are a comparison's test rows; else those that a run kept back.
    """

    title: str
    arms: Mapping[str, str]
    rows: tuple[HeldRow, ...]
    tests: bool

    def row(self, number: int) -> HeldRow | None:
        """The row of this number."""
        return self.rows[number - 1] if 0 < number <= len(self.rows) else None


def of_comparison(run: RunFolder, title: str) -> HeldOut:
    """The test rows of a comparison, with the answers of all approaches that were asked."""
    rows = kept(run.path / "items.jsonl", _read_rows, large=True) or ()
    titles = {str(arm["name"]): str(arm["title"]) for arm in (read_result(run) or {}).get("arms", ())}
    found = dict.fromkeys(name for row in rows for name in row.cells)
    return HeldOut(title, {name: titles.get(name, name) for name in found}, rows, tests=True)


def of_run(run: RunFolder, title: str) -> HeldOut:
    """The rows that a run kept back, with the answers that were asked for on the page; none are there before that."""
    rows = kept(run.path / ANSWERS, _read_rows, large=True) or ()
    return HeldOut(title, {BASE: "Base", TUNED: "Tuned"} if rows else {}, rows, tests=False)


def keep_answers(run: RunFolder, examples: Sequence[Example], arms: Mapping[str, Sequence[Cell]]) -> None:
    """Write down what base and tuned have answered to rows that a run kept back."""
    lines = []
    for place, example in enumerate(examples):
        cells = {name: cells[place] for name, cells in arms.items()}
        told = {
            name: {"answer": cell.text, "score": cell.score, "stopped": cell.stopped} for name, cell in cells.items()
        }
        prompt = [message.to_dict() for message in example.prompt]
        line = {"index": place, "record": example.record, "prompt": prompt, "wanted": example.completion}
        lines.append({**line, "arms": told})
    write_jsonl(run.path / ANSWERS, lines)


def _read_rows(file: Any) -> tuple[HeldRow, ...]:
    lines = (json.loads(line) for line in file.read_bytes().split(b"\n") if line.strip())
    return tuple(_row(number, line) for number, line in enumerate(lines, 1))


def _row(number: int, line: Mapping[str, Any]) -> HeldRow:
    prompt = line["prompt"]
    messages = tuple(map(message_from, prompt)) if isinstance(prompt, list) else (Message("user", str(prompt)),)
    cells = {
        str(name): Cell(str(arm.get("answer") or ""), arm.get("score"), arm.get("stopped"))
        for name, arm in line["arms"].items()
    }
    return HeldRow(number, int(line.get("record") or 0), messages, str(line.get("wanted") or ""), cells)


def usual_pair(held: HeldOut, scores: Mapping[str, float]) -> tuple[str, str]:
    """The two arms that are worth reading beside each other: what was tuned and the best of the others.

    Args:
        held: Whose arms they are.
        scores: The mean score of each arm.
    """
    ranked = sorted(held.arms, key=lambda name: -scores.get(name, 0.0))
    tuned = next((name for name in ranked if name.startswith(("qlora", TUNED))), None)
    one = tuned or (ranked[0] if ranked else "")
    return one, next((name for name in ranked if name != one), one)


def mean_scores(held: HeldOut) -> dict[str, float]:
    """Each arm's mean score over the rows that it has answered."""
    found: dict[str, list[float]] = {}
    for row in held.rows:
        for name, cell in row.cells.items():
            if cell.score is not None:
                found.setdefault(name, []).append(cell.score)
    return {name: sum(values) / len(values) for name, values in found.items()}


def gain(row: HeldRow, one: str, other: str) -> float | None:
    """How much higher one arm scores than the other on a row; None where not both are scored."""
    first, second = row.cells.get(one), row.cells.get(other)
    if first is None or second is None or first.score is None or second.score is None:
        return None
    return first.score - second.score


def selected(
    held: HeldOut, *, one: str, other: str, which: str = "all", order: str = "file", search: str = ""
) -> list[HeldRow]:
    """The rows that fit a filter and hold all words of a search, in the order that is asked for.

    Args:
        held: The rows.
        one: The arm that is looked at.
        other: What it is held against.
        which: A filter of `FILTERS`.
        order: One of `ORDERS`; rows without two scores come last where it goes by gain.
        search: Words, in any case, that must stand in the prompt, the wanted answer or one of the two answers.
    """
    words = search.casefold().split()
    fits = _FITS.get(which)
    found = [row for row in held.rows if fits is None or fits(row, one, other)]
    found = [row for row in found if _holds(row, words, (one, other))]
    if order in ("gain", "loss"):
        sign = -1 if order == "gain" else 1
        gains = {row.number: gain(row, one, other) for row in found}
        found.sort(key=lambda row: (gains[row.number] is None, sign * (gains[row.number] or 0.0)))
    return found


def _holds(row: HeldRow, words: Sequence[str], arms: Sequence[str]) -> bool:
    if not words:
        return True
    answers = [row.cells[name].text for name in arms if name in row.cells]
    text = "\n".join([row.asked, row.wanted, *answers]).casefold()
    return all(word in text for word in words)


def _changed(row: HeldRow, one: str, other: str) -> bool:
    both = [row.cells[name].text.strip() for name in (one, other) if name in row.cells]
    return len(both) == 2 and both[0] != both[1]


def _disagree(row: HeldRow, one: str, other: str) -> bool:
    return len({cell.text.strip() for cell in row.cells.values()}) > 1


def _endless(row: HeldRow, one: str, other: str) -> bool:
    return any(row.cells[name].stopped is False for name in (one, other) if name in row.cells)


def _invalid(row: HeldRow, one: str, other: str) -> bool:
    return any(not is_json(row.cells[name].text) for name in (one, other) if name in row.cells)


def is_json(text: str) -> bool:
    """Whether a text is a JSON value and nothing beside."""
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


_FITS: dict[str, Callable[[HeldRow, str, str], bool]] = {
    "changed": _changed,
    "better": lambda row, one, other: (gain(row, one, other) or 0.0) > _SAME,
    "worse": lambda row, one, other: (gain(row, one, other) or 0.0) < -_SAME,
    "disagree": _disagree,
    "endless": _endless,
    "invalid": _invalid,
}


def draft_row(held: HeldOut, row: HeldRow, deed: Deed, text: str) -> NewRow:
    """What becomes of a row in the dataset that is built; it waits there, as it measures and is not to be learnt from.

    Args:
        held: Where the row is from.
        row: The row.
        deed: It is added as it is, with a corrected answer of a model, or with another wanted answer.
        text: The answer.
    """
    kind = "test row" if held.tests else "held-out row"
    tags = {"add": (kind,), "fix": (kind, "corrected answer"), "label": (kind, "wrong label")}[deed]
    reasons = [f"{kind.replace(' ', '-')}: once it is learnt from, it measures nothing any more"]
    if deed == "label":
        reasons.append(f"wrong-label: the file says {row.wanted.replace(';', ',')[:200]}")
    return NewRow(
        example=Example((*row.prompt, Message("assistant", text))),
        status="pending",
        source="edit" if deed == "fix" else "hand",
        tags=tags,
        place=f"{kind} {row.number}" + (f", record {row.record} of its file" if row.record else ""),
        reason="; ".join(reasons),
    )
