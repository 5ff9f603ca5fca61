"""What the tests of the advisor share: the tiny model's tokenizer, and rows of a made-up routing task."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from dataset_tools.example import Example

INSTRUCTION = "Sort this ticket into a queue. Reply with the queue only.\n\n"
QUEUES = {
    "PRINT": ["printer", "toner", "paper tray", "scanner", "copier", "label maker", "plotter", "fax"],
    "DOORS": ["front door", "badge reader", "gate", "turnstile", "door lock", "lift", "garage shutter", "intercom"],
    "MAIL": ["inbox", "newsletter", "spam filter", "calendar", "attachment", "signature", "outbox", "mailing list"],
    "CAFE": ["kettle", "coffee machine", "fridge", "dishwasher", "oven", "toaster", "juicer", "water cooler"],
}
FAULTS = [
    "stopped working this morning",
    "makes a strange noise whenever I come near",
    "was promised to us in spring, where is it",
    "needs a new part before Friday",
    "shows a red light and nothing else",
    "is much too slow for all of us",
]
PLACES = ["Attic", "East wing", "Second floor", "Workshop behind the yard", "Reception", "Basement", "Lab 12"]
ENDINGS = [
    "can you look?",
    "thanks a million.",
    "this is the third time I ask!",
    "Mr Okafor knows more about it.",
    "please reply by phone.",
    "no hurry.",
    "it blocks our whole team, visitors are waiting outside.",
    "see the photo.",
    "as agreed with your boss last Tuesday.",
    "what do I do now?",
    "it worked well until the holidays began.",
]


def tickets(count: int, *, start: int = 0) -> list[Example]:
    """Rows `start` to `start + count` of a list of 192: the queues in turn, no row like another."""
    rows = []
    for number in range(start, start + count):
        queue, place = list(QUEUES)[number % 4], number // 4 % 8
        thing, fault = QUEUES[queue][place], FAULTS[(number // 32 + place) % 6]
        question = f"{INSTRUCTION}{PLACES[number % 7]}: our {thing} {fault}, {ENDINGS[number % 11]}"
        rows.append(Example.of(question, queue, line=number + 1, record=number + 1))
    return rows


@pytest.fixture(scope="session")
def make_tickets() -> Callable[..., list[Example]]:
    return tickets


@pytest.fixture(scope="session")
def tokenizer(tiny_model: Path) -> Any:
    from training.models.loading import load_tokenizer

    return load_tokenizer(str(tiny_model))


@pytest.fixture(scope="session")
def write_rows() -> Callable[[Path, Sequence[Example]], Path]:
    def write(path: Path, examples: Sequence[Example]) -> Path:
        lines = [json.dumps({"prompt": example.question, "completion": example.completion}) for example in examples]
        path.write_text("".join(line + "\n" for line in lines))
        return path

    return write
