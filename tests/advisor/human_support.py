"""Blind sessions and votes that are made up, for the tests of human evaluation."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from advisor.human.session import Item, Session, new_session
from advisor.human.votes import Kind, Vote
from dataset_tools.example import Message

ARMS = ("zebra-tuned", "quokka-base")


def items(count: int, *, arms: int = 2, tags: Sequence[str] = ()) -> list[Item]:
    """Items whose answers all differ."""
    return [
        Item(
            (Message("user", f"How high is tower number {number}?"),),
            tuple(f"It is {number * 10 + arm} metres high." for arm in range(arms)),
            tags=(tags[number % len(tags)],) if tags else (),
            record=number + 1,
        )
        for number in range(count)
    ]


def session(count: int = 20, *, arms: Sequence[str] = ARMS, tags: Sequence[str] = (), **options: Any) -> Session:
    """A session of so many items, all different."""
    return new_session(arms, items(count, arms=len(arms), tags=tags), **{"seed": 7, **options})


def vote(item: int, kind: Kind = "left", *, left: str = ARMS[0], right: str = ARMS[1], **said: Any) -> Vote:
    """A vote by one rater, in the order of the items."""
    return Vote(
        **{"rater": "ann", "number": item + 1, "item": item, "left": left, "right": right, "kind": kind, **said}
    )


def votes_for(values: Sequence[int], *, a: str = ARMS[0], b: str = ARMS[1]) -> list[Vote]:
    """One vote an item: 1 is a vote for ``a``, -1 for ``b``, 0 a tie; sides in turn."""
    made = []
    for item, value in enumerate(values):
        left, right = (a, b) if item % 2 else (b, a)
        kind: Kind = "tie" if value == 0 else "left" if (value > 0) == (left == a) else "right"
        made.append(vote(item, kind, left=left, right=right))
    return made


def comparison_folder(folder: Path, rows: int = 12, answer: Callable[[int, str], str | None] | None = None) -> Path:
    """The folder that a comparison of three arms leaves; every third item has the same answer of the first two."""
    folder.mkdir(parents=True)
    names = ("qlora", "zero-shot", "rag")
    scores = dict(zip(names, (0.9, 0.5, 0.7), strict=True))
    answer = answer or (lambda row, name: "same" if row % 3 == 0 and name != "rag" else f"{name[0]}{row}")
    with (folder / "items.jsonl").open("w", encoding="utf-8") as file:
        for row in range(rows):
            arms = {name: {"answer": answer(row, name), "score": scores[name]} for name in names}
            line = {"index": row, "record": row + 1, "prompt": f"question {row}", "wanted": f"w{row}", "arms": arms}
            file.write(json.dumps(line) + "\n")
    told = [{"name": name, "title": name, "score": scores[name], "skipped": None} for name in names]
    told.append({"name": "few-shot", "title": "Few-shot", "skipped": "no room"})
    (folder / "result.json").write_text(json.dumps({"arms": told}))
    return folder


def draws(seed: int) -> random.Random:
    """Random numbers that are the same each time."""
    return random.Random(seed)
