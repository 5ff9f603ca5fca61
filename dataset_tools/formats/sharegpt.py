"""ShareGPT rows: ``{"conversations": [{"from": "human", "value": ...}, {"from": "gpt", "value": ...}]}``.

As FastChat reads them, with what LLaMA-Factory adds: ``function_call``, ``observation``, and ``system`` and ``tools``
beside the turns.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import ClassVar

from dataset_tools.example import Example
from dataset_tools.formats.base import Format, Parts, Value, refuse_thumb_down
from dataset_tools.formats.chat import FROM, SYSTEM_KEYS, chat_reads, list_turns, share_turn, system_turn
from dataset_tools.formats.messages import NOT_PLAIN
from dataset_tools.formats.tools import bare_tools, read_tools

NAME = "sharegpt"
_CALLS = "function_call"


@dataclass(frozen=True, slots=True)
class ShareGPT(Format):
    """A list of turns with speakers in ``field``."""

    field: str = "conversations"
    name: ClassVar[str] = NAME

    def reads(self, value: Value) -> Collection[str]:
        """The paths that reading makes use of."""
        return chat_reads(self.field, shared=True) | {*SYSTEM_KEYS, "tools", "functions", "group"}

    def matches(self, value: Value) -> bool:
        """Whether the row has the field, and its first turn, if any, has no role."""
        if self.field not in value:
            return False
        turns = value[self.field]
        if isinstance(turns, list) and turns and isinstance(turns[0], dict):
            return "role" not in turns[0]
        return self.field != "messages"

    def parts(self, value: Value) -> Parts:
        """The turns as they stand in the list, a system message beside them first.

        Raises:
            ShapeError: The field is missing, no list, or empty, or one of its members is no object.
        """
        turns = list_turns(value, self.field, shared=True)
        if len(value) == 1:
            return Parts(turns)
        return Parts([*system_turn(value), *turns], read_tools(value))

    def sound(self, value: Value) -> Sequence[str] | None:
        """The texts of a plain row."""
        if len(value) != 1 and (not NOT_PLAIN.isdisjoint(value) or "messages" in value):
            return None
        turns = value.get(self.field)
        if type(turns) is not list:
            return None
        contents = []
        wanted = "system" if len(turns) % 2 else "user"
        try:
            for turn in turns:
                content, speaker = turn["value"], turn["from"]
                if len(turn) != 2 or not content or str.isspace(content) or FROM[speaker] != wanted:
                    return None
                if speaker == _CALLS:
                    return None
                contents.append(content)
                wanted = "assistant" if wanted == "user" else "user"
        except (KeyError, TypeError):
            return None
        return contents if len(contents) > 1 else None

    def from_example(self, example: Example) -> dict[str, object]:
        """All messages of the example, and its tools as the JSON text that LLaMA-Factory takes.

        Raises:
            ValueError: A message has text beside its calls, or the answer was marked as not wanted.
        """
        refuse_thumb_down(example)
        row: dict[str, object] = {self.field: [share_turn(message) for message in example.messages]}
        if example.tools is not None:
            row["tools"] = bare_tools(example.tools)
        if example.group is not None:
            row["group"] = example.group
        return row
