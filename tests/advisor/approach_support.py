"""What tests of approaches share: documents, a way to train that trains nothing, and ways to look at a prompt."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from advisor.approaches import Approach, Tools
from advisor.retrieval import Document
from dataset_tools.example import Example, Message

DOCUMENTS = (
    Document("Printers", "# Printers\n\nToner and paper trays are changed by the print room. Call 4417 before noon."),
    Document(
        "Doors", "# Doors\n\nBadge readers and gates belong to the porter. A red light means the battery is empty."
    ),
    Document("Mail", "# Mail\n\nThe spam filter learns from what you mark. Calendars are shared by the mail desk."),
    Document("Kitchen", "# Kitchen\n\nDescale the kettle and the coffee machine on the first Monday of each month."),
)


class Trainer:
    """A way to train that only keeps what it was given."""

    def __init__(self, adapter: Path) -> None:
        self.adapter = adapter
        self.rows: list[Example] = []
        self.held_out: list[Example] = []

    def __call__(self, rows: Sequence[Example], held_out: Sequence[Example]) -> Path:
        self.rows, self.held_out = list(rows), list(held_out)
        return self.adapter


def prepared(kind: type[Approach], tools: Tools) -> Any:
    approach = kind()
    approach.prepare(tools)
    return approach


def shown(prompt: Sequence[Message]) -> list[tuple[str, str]]:
    """The worked examples of a prompt of one-turn rows: pairs of question and answer before the last question."""
    turns = [message.content for message in prompt[:-1]]
    return list(zip(turns[::2], turns[1::2], strict=True))


def chat(*contents: str, system: str | None = None) -> Example:
    roles = ("user", "assistant") * len(contents)
    messages = [Message(role, content) for role, content in zip(roles, contents, strict=False)]
    return Example((*([Message("system", system)] if system else []), *messages))
