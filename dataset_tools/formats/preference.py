"""Preference pairs: one prompt, a better answer and a worse one.

Read in TRL's shapes (``prompt``, ``chosen`` and ``rejected`` as texts or lists of messages, with the prompt given or as
what the two have in common; huggingface.co/docs/trl/dataset_formats), in OpenAI's (``input``, ``preferred_output``,
``non_preferred_output``), in LLaMA-Factory's (``conversations`` or ``instruction`` beside ``chosen`` and
``rejected``), and with ``messages`` beside ``rejected_response``. Written as TRL's lists of messages.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import ClassVar

from dataset_tools.example import Example, Message
from dataset_tools.formats.base import (
    MISSING,
    Format,
    Parts,
    ShapeError,
    Turn,
    Value,
    conversation_faults,
    refuse_thumb_down,
)
from dataset_tools.formats.chat import (
    SYSTEM_KEYS,
    chat_message,
    chat_reads,
    is_shared,
    list_turns,
    side_reads,
    system_turn,
)
from dataset_tools.formats.messages import with_extras
from dataset_tools.formats.prompt_completion import answer_side, side
from dataset_tools.formats.templates import parse_template, template_of
from dataset_tools.formats.tools import read_tools

NAME = "preference"
_LISTS = ("messages", "conversations", "conversation")
_PROVIDER = ("preferred_output", "non_preferred_output")


@dataclass(frozen=True, slots=True)
class Preference(Format):
    """``{"prompt": ..., "chosen": ..., "rejected": ...}`` and its kin; ``texts`` writes texts in place of lists."""

    prompt: str = "prompt"
    texts: bool = False
    name: ClassVar[str] = NAME

    def reads(self, value: Value) -> Collection[str]:
        """The paths that reading makes use of."""
        shared = {*SYSTEM_KEYS, "tools", "functions", "group"}
        if isinstance(value.get("input"), dict):
            inside = {f"input.{path}" for path in (*chat_reads("messages"), "tools", "functions")}
            return shared | inside | side_reads(value, *_PROVIDER)
        if "rejected_response" in value:
            return shared | side_reads(value, "messages", "rejected_response")
        field = self._prompt_field(value)
        prompt = ("instruction", "input") if field == "instruction" else (field,) if field else ()
        return shared | side_reads(value, "chosen", "rejected", *prompt)

    def matches(self, value: Value) -> bool:
        """Whether the row has a better or a worse answer."""
        if "chosen" in value or "preferred_output" in value or "non_preferred_output" in value:
            return True
        if "rejected_response" in value:
            return True
        return "rejected" in value and (self.prompt in value or any(name in value for name in _LISTS))

    def parts(self, value: Value) -> Parts:
        """The turns of the prompt and the better answer; the worse answer is checked here.

        Raises:
            ShapeError: An answer is missing or has no message of the assistant, the worse one is empty or cannot
                follow the prompt, or no prompt can be told.
        """
        inside = value.get("input")
        tools = read_tools(value)
        if isinstance(inside, dict):
            before = list_turns(inside, "messages")
            before = [turn._replace(field="input.messages") for turn in before]
            tools = read_tools(inside) or tools
            prompt, chosen, rejected = before, *(_answer(value, name) for name in _PROVIDER)
        else:
            prompt, chosen, rejected = self._three(value)
        turns = [*system_turn(value), *prompt, *chosen]
        return Parts(turns, tools, _checked(rejected, [*system_turn(value), *prompt]))

    def _three(self, value: Value) -> tuple[list[Turn], list[Turn], list[Turn]]:
        """Prompt, better and worse answer of a row that is not in OpenAI's shape."""
        if "rejected_response" in value:
            turns = list_turns(value, "messages")
            return turns[:-1], turns[-1:], answer_side(value["rejected_response"], "rejected_response")
        chosen, rejected = _answer(value, "chosen"), _answer(value, "rejected")
        field = self._prompt_field(value)
        if field is None:
            return _implicit(chosen, rejected)
        if field in _LISTS:
            return list_turns(value, field, shared=is_shared(value[field])), chosen, rejected
        prompt, extra = value[field], value.get("input")
        if field != "instruction":
            return side(prompt, field, role="user"), chosen, rejected
        if isinstance(prompt, str) and isinstance(extra, str) and extra:
            prompt = f"{prompt}\n{extra}" if prompt else extra
        return [Turn("user", prompt, "instruction")], chosen, rejected

    def _prompt_field(self, value: Value) -> str | None:
        """Where the prompt stands: None if in both answers, whose first message is then not the assistant's."""
        chosen = value.get("chosen")
        first = chosen[0] if isinstance(chosen, list) and chosen else chosen
        if isinstance(first, dict) and isinstance(chosen, list):
            speaker = first.get("from", first.get("role"))
            if speaker not in ("assistant", "gpt", "function_call"):
                return None
        return next((field for field in (self.prompt, *_LISTS, "instruction") if field in value), None)

    def from_example(self, example: Example) -> dict[str, object]:
        """Prompt, better and worse answer as lists of messages; as texts, where asked for.

        Raises:
            ValueError: There is no worse answer; or texts were asked for, and it is a conversation.
        """
        refuse_thumb_down(example)
        if not example.rejected:
            raise ValueError("there is no worse answer to prefer the answer to")
        at = boundary(example)
        sides = {"prompt": example.messages[:at], "chosen": example.messages[at:], "rejected": example.rejected}
        if self.texts:
            return flat_row({self.prompt if name == "prompt" else name: side for name, side in sides.items()}, example)
        row: dict[str, object] = {
            self.prompt if name == "prompt" else name: [chat_message(message, weight=False) for message in messages]
            for name, messages in sides.items()
        }
        return with_extras(row, example)

    def mapped(self) -> list[str]:
        """How a prompt column with another name was read."""
        return [f"{self.prompt} -> prompt"] if self.prompt != "prompt" else []


def flat_row(sides: dict[str, tuple[Message, ...]], example: Example) -> dict[str, object]:
    """One text a side.

    Raises:
        ValueError: A side is more than one message, or one that calls a tool.
    """
    row: dict[str, object] = {}
    for name, messages in sides.items():
        if len(messages) != 1 or not messages[0].content or messages[0].tool_calls:
            raise ValueError(f"{name} is more than one text")
        row[name] = messages[0].content
    return row if example.group is None else {**row, "group": example.group}


def boundary(example: Example) -> int:
    """Where the better answer of a pair begins: where the worse one would, if both have the same roles."""
    roles = [message.role for message in example.messages]
    worse = [message.role for message in example.rejected]
    if len(worse) < len(roles) and roles[-len(worse) :] == worse:
        return len(roles) - len(worse)
    return len(roles) - roles[::-1].index("user")


def _answer(value: Value, field: str) -> list[Turn]:
    answer = value.get(field, MISSING)
    if answer is MISSING:
        raise ShapeError("missing-field", f"{field} is missing")
    return answer_side(answer, field)


def _implicit(chosen: list[Turn], rejected: list[Turn]) -> tuple[list[Turn], list[Turn], list[Turn]]:
    """The prompt that both answers begin with, and the rest of each."""
    first, second = chosen[0], rejected[0]
    if len(chosen) == 1 and len(rejected) == 1 and isinstance(first.content, str) and isinstance(second.content, str):
        if not (template_of(first.content) and template_of(second.content)):
            return _common_beginning(first, second)
        chosen, rejected = _rendered(first), _rendered(second)
    same = 0
    for one, other in zip(chosen[:-1], rejected[:-1], strict=False):
        if (one.role, one.content, one.calls) != (other.role, other.content, other.calls):
            break
        same += 1
    if not same:
        raise ShapeError("missing-field", "there is no prompt, and chosen and rejected do not begin with the same one")
    return chosen[:same], chosen[same:], rejected[same:]


def _rendered(turn: Turn) -> list[Turn]:
    return [Turn(role, content, turn.field) for role, content in parse_template(str(turn.content)).turns]


def _common_beginning(first: Turn, second: Turn) -> tuple[list[Turn], list[Turn], list[Turn]]:
    """Two texts with the same beginning, which ends at a blank: so no word is cut in two."""
    one, other = str(first.content), str(second.content)
    same = next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    while same and not one[same - 1].isspace():
        same -= 1
    prompt = one[:same].strip()
    if not prompt:
        raise ShapeError("missing-field", "there is no prompt, and chosen and rejected do not begin with the same one")
    answers = [Turn("assistant", text[same:].strip(), turn.field) for text, turn in ((one, first), (other, second))]
    return [Turn("user", prompt, first.field)], answers[:1], answers[1:]


def _checked(rejected: Sequence[Turn], prompt: Sequence[Turn]) -> tuple[Message, ...]:
    """The messages of the worse answer.

    Raises:
        ShapeError: One has no text or no known role, or they cannot follow the prompt.
    """
    for turn in rejected:
        if turn.usable:
            continue
        empty = turn.content is None or (isinstance(turn.content, str) and not turn.content.strip())
        fault = "is empty" if empty else "has a message without a text or a known role"
        raise ShapeError("empty-field" if empty else "wrong-type", f"{rejected[0].field} {fault}")
    roles = [turn.role for turn in (*prompt, *rejected) if isinstance(turn.role, str)]
    known = all(turn.usable for turn in prompt)
    faults = conversation_faults(roles) if known else []
    if faults:
        raise ShapeError("role-order", f"{rejected[0].field}, behind the prompt: {'; '.join(faults)}")
    return tuple([turn.message() for turn in rejected])
