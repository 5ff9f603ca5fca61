"""Sessions made from what there is: a comparison's folder, or two files of answers. They are not stored here."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from advisor.human.session import Item, Session, message_from, new_session
from dataset_tools.dataset import load_examples
from dataset_tools.errors import DataError, UsageError
from dataset_tools.example import Message


def from_comparison(folder: Path, arms: Sequence[str] | None = None, **options: Any) -> Session:
    """A session over the answers of a comparison (its ``items.jsonl`` and ``result.json``).

    Args:
        folder: the comparison's.
        arms: two or more of its arms; without them the two that score highest.
        options: title, votes_wanted, questions and seed, as `new_session` takes them.

    Raises:
        UsageError: it has no such arm, or fewer than two that have answered.
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
    items = [
        Item(
            _messages(line["prompt"]),
            tuple((line["arms"].get(name) or {}).get("answer") for name in chosen),
            str(line.get("wanted") or ""),
            tuple(str(tag) for tag in line.get("tags", ())),
            int(line.get("record") or 0),
        )
        for line in lines
    ]
    return new_session(chosen, items, held_out=True, source=str(folder.resolve()), **options)


def from_answers(first: Path, second: Path, *, held_out: bool = True, **options: Any) -> Session:
    """A session over two files of answers: rows of a prompt and an answer in any format that examples are read from.

    Rows are matched by their prompts; a prompt that only one file has, or that comes again, is left out. The arms are
    called by the files' names.

    Args:
        first: one file.
        second: the other.
        held_out: whether the prompts are test rows; taken for granted, so that none is trained on by accident.
        options: title, votes_wanted, questions and seed, as `new_session` takes them.

    Raises:
        DataError: a file cannot be used, they have no prompt in common, or no two answers differ.
    """
    names = [first.stem, second.stem]
    if names[0] == names[1]:
        names = [f"{first.parent.name}/{names[0]}", f"{second.parent.name}/{names[1]}"]
    if names[0] == names[1]:
        names[1] += " (2)"
    sides = [
        {example.prompt: example.completion for example in reversed(load_examples(file).examples)}
        for file in (first, second)
    ]
    shared = [prompt for prompt in reversed(sides[0]) if prompt in sides[1]]
    if not shared:
        raise DataError("The two files have no prompt in common.", where=f"{first}, {second}")
    items = [
        Item(prompt, (sides[0][prompt], sides[1][prompt]), record=number) for number, prompt in enumerate(shared, 1)
    ]
    return new_session(names, items, held_out=held_out, source=f"{first}, {second}", **options)


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
