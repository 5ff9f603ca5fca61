"""Votes as files, CSV or JSON lines: written from a session, and read back as one; others' preference pairs as well.

One line a vote. The arms go by their names only where the session is closed. It stores nothing.
"""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from advisor.human.result import shown_names
from advisor.human.session import Item, Session, message_from, new_session
from advisor.human.tags import few_tags
from advisor.human.votes import KINDS, Kind, Vote
from advisor.report.csv import FORMULA  # one rule for all tables that are written
from advisor.report.figures import writable
from dataset_tools.errors import DataError, UsageError
from dataset_tools.example import Message

COLUMNS = (
    *("number", "rater", "item", "record", "prompt", "wanted", "tags", "held_out", "left_arm", "right_arm"),
    *("left", "right", "kind", "preferred", "repeat", "rubric"),
    *("comment", "edit", "edited", "bad_label", "right_answer", "seconds", "at"),
)
"""What a line says of a vote; ``preferred`` is the arm of ``kind``, and is not read back."""

_NESTED = ("tags", "rubric")
_OTHERS: Mapping[str, Kind] = {"a": "left", "b": "right", "tie": "tie", "": "tie", "both_bad": "both_bad"}


@dataclass(frozen=True)
class Imported:
    """A session that was read from a file, closed, with its votes; neither is stored yet (`VoteStore.add`)."""

    session: Session
    votes: tuple[Vote, ...]


def vote_rows(session: Session, votes: Sequence[Vote]) -> list[dict[str, Any]]:
    """Each vote with its prompt and answers, as plain data with the keys of `COLUMNS`.

    A prompt is its text, or a list of messages where it is more than one of the user's.
    """
    names = shown_names(session)
    rows = []
    for vote in sorted(votes, key=lambda vote: vote.number):
        item = session.items[vote.item]
        plain = len(item.prompt) == 1 and item.prompt[0].role == "user"
        prompt = item.prompt[0].content if plain else [message.to_dict() for message in item.prompt]
        about = (vote.number, vote.rater, vote.item, item.record, prompt, item.wanted, list(item.tags))
        sides = (names[vote.left], names[vote.right])
        texts = (session.answer(vote.item, vote.left), session.answer(vote.item, vote.right))
        said = (vote.kind, names.get(vote.winner or "", ""), vote.repeat)
        rubric = dict(zip(session.questions, vote.answers, strict=False))
        written = (vote.comment, vote.edit, vote.edited, vote.bad_label, vote.right_answer)
        rest = (rubric, *written, vote.seconds, vote.at)
        rows.append(dict(zip(COLUMNS, (*about, session.held_out, *sides, *texts, *said, *rest), strict=True)))
    return rows


def votes_csv(session: Session, votes: Sequence[Vote]) -> str:
    """The votes as CSV (RFC 4180); write it with ``newline=""``.

    Lists are JSON. A text that a spreadsheet could take for a formula gets an apostrophe in front, as in
    `advisor.report.csv.items_csv`; so does one that looks as if it had one already, so that `read_votes` can take
    exactly one away.
    """
    written = io.StringIO(newline="")
    table = csv.writer(written)
    table.writerow(COLUMNS)
    for row in vote_rows(session, votes):
        cells = (json.dumps(value) if isinstance(value, (list, dict)) else value for value in row.values())
        table.writerow([f"'{cell}" if isinstance(cell, str) and _like_formula(cell) else cell for cell in cells])
    return writable(written.getvalue())


def votes_jsonl(session: Session, votes: Sequence[Vote]) -> str:
    """The votes as JSON lines."""
    return "".join(writable(json.dumps(row, ensure_ascii=False)) + "\n" for row in vote_rows(session, votes))


def read_votes(file: Path, *, title: str = "") -> Imported:
    """A file of votes as a closed session: what this program has exported, or rows of prompt, a, b and winner.

    Of the latter each row is an item with the arms "a" (on the left) and "b", and one vote by the rater "imported";
    winner is a, b, tie or both_bad, and a ``subset`` becomes a tag.

    Args:
        file: ``.csv``, else JSON lines.
        title: of the session; the file's name without one.

    Raises:
        UsageError: the file is not there.
        DataError: a row of it is no vote, which is named, or it has none.
    """
    if not file.is_file():
        raise UsageError("There is no such file of votes.", where=str(file), expected="CSV or JSON lines")
    lines = list(_csv_rows(file) if file.suffix.lower() == ".csv" else _json_rows(file))
    if not lines:
        raise DataError("There is no vote in this file.", where=str(file))
    rows: list[_Row] = []
    for number, line in lines:
        try:
            rows.append(_own(line) if "left_arm" in line else _pair(line, len(rows)))
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            raise DataError(
                "This row is no vote.",
                where=f"{file}:{number}",
                found=f"{type(error).__name__}: {error}"[:200],
                expected=f"what `votes export` writes (kind is one of {', '.join(KINDS)}), or prompt, a, b and winner",
            ) from error
    return _session(file, rows, title or file.stem)


@dataclass(frozen=True, slots=True)
class _Row:
    """A line that was read: its vote, and what it says of its item."""

    vote: Vote
    item: Item
    answers: dict[str, str]
    questions: tuple[str, ...] = ()
    held_out: bool = False


def _own(line: Mapping[str, Any]) -> _Row:
    """A line that this program has written."""
    kind = str(line["kind"])
    if kind not in KINDS:
        raise ValueError(f"kind {kind!r}")
    rubric = dict(line.get("rubric") or {})
    left, right = str(line["left_arm"]), str(line["right_arm"])
    if not left or not right or left == right:
        raise ValueError(f"arms {left!r} and {right!r}")
    vote = Vote(
        rater=str(line.get("rater") or "imported"),
        number=int(line.get("number") or 0),
        item=int(line["item"]),
        left=left,
        right=right,
        kind=kind,
        repeat=_truth(line.get("repeat")),
        answers=tuple(rubric.values()),
        comment=str(line.get("comment") or ""),
        edit=str(line.get("edit") or ""),
        edited=_side(line.get("edited")),
        bad_label=_truth(line.get("bad_label")),
        right_answer=str(line.get("right_answer") or ""),
        seconds=float(line.get("seconds") or 0),
        at=float(line.get("at") or 0),
    )
    tags = tuple(str(tag) for tag in line.get("tags") or ())
    item = Item(_prompt(line["prompt"]), (), str(line.get("wanted") or ""), tags, int(line.get("record") or 0))
    answers = {left: str(line["left"]), right: str(line["right"])}
    return _Row(vote, item, answers, tuple(rubric), _truth(line.get("held_out")))


def _pair(line: Mapping[str, Any], number: int) -> _Row:
    """A line of prompt, a, b and winner."""
    winner = str(line["winner"] or "").strip().lower()
    vote = Vote("imported", number + 1, number, "a", "b", _OTHERS[winner])
    tags = tuple(str(line[name]) for name in ("subset", "tag") if line.get(name))
    item = Item(_prompt(line["prompt"]), (), "", tags, number + 1)
    return _Row(vote, item, {"a": str(line["a"]), "b": str(line["b"])})


def _session(file: Path, rows: Sequence[_Row], title: str) -> Imported:
    arms = list(dict.fromkeys(arm for row in rows for arm in sorted(row.answers)))
    questions = list(dict.fromkeys(question for row in rows for question in row.questions))
    texts: dict[int, dict[str, str]] = {}
    items: dict[int, Item] = {}
    for row in rows:
        items.setdefault(row.vote.item, row.item)
        texts.setdefault(row.vote.item, {}).update(row.answers)
    places = {item: place for place, item in enumerate(items)}
    tags = few_tags(item.tags for item in items.values())
    session = new_session(
        arms,
        [
            replace(item, answers=tuple(texts[at].get(arm) for arm in arms), tags=own)
            for (at, item), own in zip(items.items(), tags, strict=True)
        ],
        title=title,
        votes_wanted=max(1, sum(row.vote.judged and not row.vote.repeat for row in rows)),
        questions=questions,
        held_out=any(row.held_out for row in rows),
        source=str(file.resolve()),
    )
    votes = []
    for number, row in enumerate(sorted(rows, key=lambda row: row.vote.number), 1):
        said = dict(zip(row.questions, row.vote.answers, strict=True))
        answers = tuple(said.get(question, "") for question in questions)
        votes.append(replace(row.vote, number=number, item=places[row.vote.item], answers=answers))
    return Imported(replace(session, closed=round(time.time(), 3)), tuple(votes))


def _csv_rows(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        with file.open("r", encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream)
            for row in reader:
                plain = {name: _cell_text(value) for name, value in row.items() if name is not None}
                yield reader.line_num, {name: _nested(name, value) for name, value in plain.items()}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError("This file of votes cannot be read.", where=str(file), found=str(error)[:200]) from error


def _cell_text(value: str | None) -> str:
    text = value or ""
    return text[1:] if text[:1] == "'" and _like_formula(text) else text


def _like_formula(text: str) -> bool:
    return text.lstrip("'").startswith(FORMULA)


def _nested(name: str, text: str) -> Any:
    """Lists are JSON in a table; so is a prompt of several messages."""
    if name in _NESTED or (name == "prompt" and text.startswith('[{"role"')):
        try:
            return json.loads(text or "null")
        except ValueError:
            return text
    return text


def _json_rows(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        lines = file.read_text("utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError("This file of votes cannot be read.", where=str(file), found=str(error)[:200]) from error
    for number, text in enumerate(lines, 1):
        if not text.strip():
            continue
        try:
            row = json.loads(text)
        except ValueError as error:
            raise DataError("This line is no JSON.", where=f"{file}:{number}", found=str(error)[:200]) from error
        if not isinstance(row, dict):
            raise DataError("This row is no vote.", where=f"{file}:{number}", found=type(row).__name__)
        yield number, row


def _prompt(value: object) -> tuple[Message, ...]:
    if isinstance(value, list):
        return tuple(message_from(message) for message in value)
    if not isinstance(value, str) or not value.strip():
        raise ValueError("there is no prompt")
    return (Message("user", value),)


def _side(value: object) -> Literal["left", "right", ""]:
    if value in (None, ""):
        return ""
    if value == "left" or value == "right":
        return "left" if value == "left" else "right"
    raise ValueError(f"edited {value!r}")


def _truth(value: object) -> bool:
    return value is True or str(value).strip().lower() in ("true", "1")
