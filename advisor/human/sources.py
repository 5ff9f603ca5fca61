"""Sessions made from what there is: a comparison's folder, two files of answers, or models that answer rows now.

They are not stored here.
"""

from __future__ import annotations

import contextlib
import json
import random
import re
import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from advisor.human.contestants import Contestant, Telling, answers_of
from advisor.human.session import Item, Session, message_from, new_session, require_arms
from advisor.human.tags import Row, tags_of
from dataset_tools.dataset import load_examples
from dataset_tools.errors import DataError, FittingRoomError, UsageError
from dataset_tools.example import Example, Message
from dataset_tools.fixes.opened import open_with_format

T = TypeVar("T")


def from_comparison(
    folder: Path,
    arms: Sequence[str] | None = None,
    *,
    rows: int | None = None,
    tag_column: str | None = None,
    **options: Any,
) -> Session:
    """A session over the answers of a comparison (its ``items.jsonl`` and ``result.json``).

    Args:
        folder: the comparison's.
        arms: two or more of its arms; without them the two that score highest.
        rows: at most so many of its rows, drawn at random.
        tag_column: the column of its data that holds the tags; see `advisor.human.tags`.
        options: title, votes_wanted, questions and seed, as `new_session` takes them.

    Raises:
        UsageError: it has no such arm or column, or fewer than two arms that have answered.
        DataError: its files are missing or damaged, or no two answers differ.
    """
    lines, result = _lines(folder / "items.jsonl"), _json(folder / "result.json")
    scores = {
        str(arm["name"]): float(arm["score"])
        for arm in result.get("arms", ())
        if arm.get("score") is not None and not arm.get("skipped")
    }
    chosen = list(arms) if arms is not None else sorted(scores, key=lambda name: -scores[name])[:2]
    if unknown := [name for name in chosen if name not in scores]:
        raise UsageError(
            "This comparison has no such arm.",
            where=str(folder),
            found=", ".join(unknown),
            expected=f"two or more of {', '.join(scores) or 'none'}",
        )
    wanted = [str(line.get("wanted") or "") for line in lines]
    tags = _tags(_rows_behind(folder, lines, wanted), wanted, column=tag_column)
    items = [
        Item(
            _messages(line["prompt"]),
            tuple((line["arms"].get(name) or {}).get("answer") for name in chosen),
            answer,
            tuple(str(tag) for tag in line.get("tags", ())) or own,
            int(line.get("record") or 0),
        )
        for line, answer, own in zip(lines, wanted, tags, strict=True)
    ]
    options = {**options, "held_out": True, "source": str(folder.resolve())}
    return new_session(chosen, _drawn(items, rows, options.get("seed")), **options)


def from_answers(
    first: Path,
    second: Path,
    *,
    held_out: bool = True,
    rows: int | None = None,
    tag_column: str | None = None,
    **options: Any,
) -> Session:
    """A session over two files of answers: rows of a prompt and an answer in any format that examples are read from.

    Rows are matched by their prompts; a prompt that only one file has, or that comes again, is left out. The arms are
    called by the files' names.

    Args:
        first: one file.
        second: the other.
        held_out: whether the prompts are test rows; taken for granted, so that none is trained on by accident.
        rows: at most so many of the rows, drawn at random.
        tag_column: the column of the first file that holds the tags; see `advisor.human.tags`.
        options: title, votes_wanted, questions and seed, as `new_session` takes them.

    Raises:
        UsageError: there is no such file or column.
        DataError: a file cannot be used, they have no prompt in common, or no two answers differ.
    """
    names = [first.stem, second.stem]
    if names[0] == names[1]:
        names = [f"{first.parent.name}/{names[0]}", f"{second.parent.name}/{names[1]}"]
    if names[0] == names[1]:
        names[1] += " (2)"
    sides = [
        {example.prompt: example for example in reversed(load_examples(file).examples)} for file in (first, second)
    ]
    shared = [prompt for prompt in reversed(sides[0]) if prompt in sides[1]]
    if not shared:
        raise DataError("The two files have no prompt in common.", where=f"{first}, {second}")
    tags = tags_of_examples([sides[0][prompt] for prompt in shared], first, column=tag_column, answers=False)
    items = [
        Item(prompt, (sides[0][prompt].completion, sides[1][prompt].completion), tags=own, record=number)
        for number, (prompt, own) in enumerate(zip(shared, tags, strict=True), 1)
    ]
    options = {**options, "held_out": held_out, "source": f"{first}, {second}"}
    return new_session(names, _drawn(items, rows, options.get("seed")), **options)


def from_contestants(
    contestants: Sequence[Contestant],
    examples: Sequence[Example],
    *,
    folder: Path,
    file: Path | None = None,
    rows: int | None = None,
    tag_column: str | None = None,
    tell: Telling | None = None,
    **options: Any,
) -> Session:
    """A session over the answers of models, which are asked now where their answers are not kept yet.

    Args:
        contestants: two or more; the arms are called by their titles.
        examples: rows that none of them was trained on.
        folder: where answers are kept; made where missing.
        file: where the rows were read from, for their tags.
        rows: at most so many of the rows, drawn at random.
        tag_column: the column of the file that holds the tags; see `advisor.human.tags`.
        tell: told (the model's title, rows answered, rows in all), often.
        options: title, votes_wanted, questions, seed, held_out and source, as `new_session` takes them.

    Raises:
        UsageError: there are fewer than two contestants, two of one name, or no such column.
        ModelError: a model cannot be loaded, or an endpoint does not answer.
        DataError: no two answers differ.
    """
    names = [contestant.title for contestant in contestants]
    require_arms(names)
    tags = tags_of_examples(examples, file, column=tag_column)
    bare = [
        Item(example.prompt, (), example.completion, own, example.record)
        for example, own in zip(examples, tags, strict=True)
    ]
    drawn = _drawn(list(range(len(bare))), rows, options.get("seed"))
    asked = [examples[place] for place in drawn]
    answers = [answers_of(contestant, asked, folder, tell=tell) for contestant in contestants]
    items = [replace(bare[place], answers=given) for place, *given in zip(drawn, *answers, strict=True)]
    return new_session(names, items, **options)


def tags_of_examples(
    examples: Sequence[Example], file: Path | None, *, column: str | None = None, answers: bool = True
) -> list[tuple[str, ...]]:
    """The tags of examples, with the rows of the file that they were read from.

    Args:
        examples: the examples.
        file: their file; None where there is none, or its rows say no more than the examples.
        column: the column that holds the tags.
        answers: whether their answers are wanted ones, which may tell them apart.

    Raises:
        UsageError: no row has this column.
    """
    raw = _raw_rows(file, None, {example.record for example in examples}) if file else {}
    found = [raw.get(example.record) for example in examples]
    return _tags(found, [example.completion if answers else "" for example in examples], column=column)


def _tags(
    found: Sequence[tuple[Example, Row, set[str]] | None], wanted: Sequence[str], *, column: str | None
) -> list[tuple[str, ...]]:
    used = {name for each in found if each for name in each[2]}
    return tags_of([each[1] if each else None for each in found], wanted, used=used, column=column)


def _rows_behind(
    folder: Path, lines: Sequence[Mapping[str, Any]], wanted: Sequence[str]
) -> list[tuple[Example, Row, set[str]] | None]:
    """The rows of its data that a comparison's items were; none that is another one by now, or cannot be read."""
    raw: dict[int, tuple[Example, Row, set[str]]] = {}
    records = [int(line.get("record") or 0) for line in lines]
    with contextlib.suppress(FittingRoomError, OSError, ValueError):
        asked = json.loads((folder / "request.json").read_text("utf-8"))
        raw = _raw_rows(Path(asked.get("test") or asked["data"]), asked.get("columns"), set(records))
    found = [raw.get(record) for record in records]
    return [each if each and each[0].completion == answer else None for each, answer in zip(found, wanted, strict=True)]


def _raw_rows(
    file: Path, columns: Mapping[str, str] | None, records: Collection[int]
) -> dict[int, tuple[Example, Row, set[str]]]:
    """These rows of a file by their numbers, each with its example and the names of the fields that this was read from.

    Raises:
        UsageError: the file is not there.
        DataError: it cannot be read.
    """
    opened = open_with_format(file, columns=columns)
    form = opened.format
    return {
        example.record: (example, row, {re.split(r"[.\[]", path)[0] for path in form.reads(row)} if form else set())
        for example, row in opened.examples()
        if example.record in records
    }


def _drawn(items: Sequence[T], rows: int | None, seed: int | None) -> list[T]:
    """At most so many of them, drawn at random, in their order."""
    if rows is None or rows >= len(items):
        return list(items)
    if rows < 1:
        raise UsageError("At least one row is voted on.", where="--rows", found=str(rows))
    places = sorted(random.Random(secrets.randbits(32) if seed is None else seed).sample(range(len(items)), rows))
    return [items[place] for place in places]


def _messages(prompt: object) -> tuple[Message, ...]:
    if isinstance(prompt, list):
        return tuple(message_from(message) for message in prompt)
    return (Message("user", str(prompt)),)


def _lines(file: Path) -> list[dict[str, Any]]:
    lines: list[dict[str, Any]] = []
    for number, text in enumerate(_text(file).split("\n"), 1):
        if text.strip():
            try:
                line = json.loads(text)
                lines.append({**line, "prompt": line["prompt"], "arms": dict(line["arms"])})
            except (ValueError, KeyError, TypeError) as error:
                raise DataError(
                    "This is no row of a comparison.", where=f"{file}:{number}", found=str(error)[:200]
                ) from error
    return lines


def _json(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(_text(file))
    except ValueError as error:
        raise DataError("This is no result of a comparison.", where=str(file), found=str(error)[:200]) from error
    if not isinstance(found, dict):
        raise DataError("This is no result of a comparison.", where=str(file), found=type(found).__name__)
    return found


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            "This comparison cannot be read.",
            where=str(file),
            found=str(error)[:200],
            expected="the folder of a comparison that is done",
        ) from error
