"""Rows with a whole conversation rendered into one text: ``{"text": "<s>[INST] ... [/INST] ... </s>"}``."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import ClassVar

from dataset_tools.example import Example
from dataset_tools.formats.base import MISSING, Format, Parts, ShapeError, Turn, Value, conversation_faults, type_name
from dataset_tools.formats.templates import parse_template, template_of

NAME = "text"
_NOT_PLAIN = ("messages", "chat_template", "chat_template_kwargs")


@dataclass(frozen=True, slots=True)
class Text(Format):
    """A column of rendered texts. It is read, and never written: trainers render the conversation themselves."""

    column: str = "text"
    name: ClassVar[str] = NAME

    def reads(self, value: Value) -> Collection[str]:
        """The paths that reading makes use of."""
        return {self.column, "group"}

    def matches(self, value: Value) -> bool:
        """Whether the column has a text that starts like a chat template."""
        text = value.get(self.column)
        return isinstance(text, str) and template_of(text) is not None

    def parts(self, value: Value) -> Parts:
        """The turns that were rendered.

        Raises:
            ShapeError: The column is missing, no text, or the marks of its template do not add up.
        """
        text = value.get(self.column, MISSING)
        if text is MISSING:
            raise ShapeError("missing-field", f"{self.column} is missing")
        if not isinstance(text, str):
            raise ShapeError("empty-field" if text is None else "wrong-type", f"{self.column} is {type_name(text)}")
        if not text.strip():
            raise ShapeError("empty-field", f"{self.column} is empty")
        return Parts([Turn(role, content, self.column) for role, content in parse_template(text).turns])

    def sound(self, value: Value) -> Sequence[str] | None:
        """The texts of a plain row."""
        if any(key in value for key in _NOT_PLAIN):
            return None
        try:
            turns = self.parts(value).turns
        except ShapeError:
            return None
        roles = [str(turn.role) for turn in turns]
        if "tool" in roles or not all(turn.usable for turn in turns) or conversation_faults(roles):
            return None
        return [str(turn.content) for turn in turns]

    def from_example(self, example: Example) -> dict[str, object]:
        """Nothing.

        Raises:
            ValueError: Always.
        """
        raise ValueError("rendered text is read, not written: write messages, and let the trainer render them")

    def mapped(self) -> list[str]:
        """That turns were taken out of a text."""
        return [f"{self.column} -> messages"]
