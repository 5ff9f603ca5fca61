"""Judged answers: a prompt, an answer, and a thumb up or down. TRL's "unpaired preference", as KTO trains on.

Read with ``prompt`` and ``completion`` as texts or lists of messages, or with ``messages`` (or ``conversations``) as
LLaMA-Factory has them; the thumb is ``label`` or ``kto_tag``. Written as TRL's lists of messages.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import ClassVar

from dataset_tools.example import Example
from dataset_tools.formats.base import MISSING, Format, Parts, ShapeError, Value, type_name
from dataset_tools.formats.chat import SYSTEM_KEYS, chat_message, is_shared, list_turns, side_reads, system_turn
from dataset_tools.formats.messages import with_extras
from dataset_tools.formats.preference import flat_row
from dataset_tools.formats.prompt_completion import answer_side, side
from dataset_tools.formats.tools import read_tools

NAME = "kto"
_LISTS = ("messages", "conversations")
_THUMBS = ("label", "kto_tag")
_SHARED = (*SYSTEM_KEYS, "tools", "functions", "group")
# What tables make of a boolean.
_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}


@dataclass(frozen=True, slots=True)
class KTO(Format):
    """``{"prompt": ..., "completion": ..., "label": true}`` and its kin; ``texts`` writes texts in place of lists."""

    texts: bool = False
    name: ClassVar[str] = NAME

    def reads(self, value: Value) -> Collection[str]:
        """The paths that reading makes use of."""
        name = next((name for name in _LISTS if name in value), None)
        thumb = "label" if "label" in value else "kto_tag"
        return side_reads(value, *((name,) if name else ("prompt", "completion"))) | {thumb, *_SHARED}

    def matches(self, value: Value) -> bool:
        """Whether the row has an answer and a thumb."""
        answered = ("prompt" in value and "completion" in value) or any(name in value for name in _LISTS)
        return answered and ("kto_tag" in value or _thumb(value.get("label")) is not None)

    def parts(self, value: Value) -> Parts:
        """The turns of the prompt and of the answer, whatever the thumb says.

        Raises:
            ShapeError: The thumb is missing or no boolean, or the answer has no message of the assistant.
        """
        field = next((name for name in _THUMBS if name in value), None)
        if field is None:
            raise ShapeError("missing-field", "label is missing")
        thumb = _thumb(value[field])
        if thumb is None:
            raise ShapeError("wrong-type", f"{field} is {type_name(value[field])}, not true or false")
        name = next((name for name in _LISTS if name in value), None)
        if name is not None:
            turns = list_turns(value, name, shared=is_shared(value[name]))
        else:
            turns = side(value.get("prompt", MISSING), "prompt", role="user")
            turns += answer_side(value.get("completion", MISSING), "completion")
        return Parts([*system_turn(value), *turns], read_tools(value), desirable=thumb)

    def from_example(self, example: Example) -> dict[str, object]:
        """Prompt and answer as lists of messages, and the thumb; as texts, where asked for.

        Raises:
            ValueError: The answer was not judged; or texts were asked for, and it is a conversation.
        """
        if example.desirable is None:
            raise ValueError("the answer was not judged, and this format needs a thumb up or down")
        sides = {"prompt": example.prompt, "completion": example.messages[-1:]}
        if self.texts:
            row = flat_row(sides, example)
            return {"prompt": row.pop("prompt"), "completion": row.pop("completion"), "label": example.desirable, **row}
        row = {name: [chat_message(message, weight=False) for message in side] for name, side in sides.items()}
        row["label"] = example.desirable
        return with_extras(row, example)


def _thumb(value: object) -> bool | None:
    if isinstance(value, str):
        return _BOOLEANS.get(value)
    return value if isinstance(value, bool) else None
