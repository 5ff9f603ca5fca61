"""The chat rows that fine-tuning services take: OpenAI's shape, and what each of them allows in it.

- OpenAI: developers.openai.com/api/docs/guides/supervised-fine-tuning and .../direct-preference-optimization: names,
  tools, a weight of 0 or 1 on the assistant's messages, pairs as ``input`` and two outputs.
- Together: docs.together.ai/docs/fine-tuning/data-preparation and .../function-calling: no keys beside the known,
  content is a text, a weight of 0 or 1, one message an output in pairs.
- Fireworks: docs.fireworks.ai/fine-tuning/fine-tuning-models and .../dpo-fine-tuning: the same.
- Mistral: docs.mistral.ai/capabilities/finetuning and mistral-finetune's ``data/tokenize.py``: no pairs, ids of calls
  of nine letters and digits, and tools with a description and parameters.

Ids that a call lacks are made up, as all four ask for them. Reading is strict: what the service would refuse, or
silently leave out, is an error here, while the format ``messages`` reads the same rows leniently.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from dataset_tools.example import Example, Message
from dataset_tools.formats.base import Format, Parts, ShapeError, Value, refuse_thumb_down, type_name
from dataset_tools.formats.chat import chat_message, chat_reads
from dataset_tools.formats.messages import Messages
from dataset_tools.formats.preference import Preference, boundary

SHORT_ID = re.compile(r"[A-Za-z0-9]{9}")
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_PAIR = ("input", "preferred_output", "non_preferred_output")


@dataclass(frozen=True, slots=True)
class Flavour(Format):
    """A service's chat rows.

    ``names`` are the roles whose name is kept; ``pairs`` tells whether preference pairs are taken, and ``one_message``
    whether each of their answers is a single message. ``parts_allowed``: content may be a list of text parts.
    """

    names: tuple[str, ...] = ()
    pairs: bool = True
    one_message: bool = True
    parts_allowed: bool = False
    short_ids: bool = False
    row_keys: frozenset[str] = frozenset({"messages", "tools"})

    def reads(self, value: Value) -> Collection[str]:
        """The paths that reading makes use of."""
        if "messages" in value or not self.pairs:
            return chat_reads("messages") | {"tools"}
        inside = {f"input.{path}" for path in (*chat_reads("messages"), "tools")}
        return inside | chat_reads("preferred_output") | chat_reads("non_preferred_output")

    def matches(self, value: Value) -> bool:
        """Whether the row has messages, or is a pair where pairs are taken."""
        return "messages" in value or (self.pairs and "preferred_output" in value)

    def parts(self, value: Value) -> Parts:
        """What the row says, if the service takes it.

        Raises:
            ShapeError: As `Messages` and `Preference` do, and where a key or a value is not one that the service takes.
        """
        paired = self.pairs and "messages" not in value and any(key in value for key in _PAIR)
        if not paired:
            _only_known(value, self.row_keys, "the row")
            parts = Messages().parts(value)
            self._check_tools(value)
            self._check_messages(value["messages"], "messages")
            return parts
        _only_known(value, _PAIR, "the row")
        inside = value.get("input")
        if not isinstance(inside, dict):
            raise ShapeError("wrong-type", f"input is {type_name(inside)}, not an object")
        _only_known(inside, self.row_keys, "input")
        parts = Preference().parts(value)
        self._check_tools(inside)
        self._check_messages(inside["messages"], "input.messages")
        for field in _PAIR[1:]:
            answers = value[field]
            if not isinstance(answers, list) or (self.one_message and len(answers) != 1):
                raise ShapeError("wrong-type", f"{field} is no list of {'one message' if self.one_message else 'them'}")
            self._check_messages(answers, field)
        return parts

    def sound(self, value: Value) -> Sequence[str] | None:
        """The texts of a plain row."""
        return Messages().sound(value) if len(value) == 1 else None

    def from_example(self, example: Example) -> dict[str, object]:
        """The messages and tools, or the pair, with what the service does not know left out.

        Raises:
            ValueError: The answer was marked as not wanted; it is a pair of more messages than the service takes; a
                tool is no function, or a tool's result cannot be told which call it answers.
        """
        refuse_thumb_down(example)
        messages = list(self._held([*example.messages, *example.rejected]))
        tools = {} if example.tools is None else {"tools": self._held_tools(example.tools)}
        if not example.rejected or not self.pairs:
            return {"messages": messages[: len(example.messages)], **tools}
        at, end = boundary(example), len(example.messages)
        if self.one_message and (end - at != 1 or len(example.rejected) != 1):
            raise ValueError("each answer of a pair has to be a single message")
        inside = {"messages": messages[:at], **tools}
        return {"input": inside, "preferred_output": messages[at:end], "non_preferred_output": messages[end:]}

    def _held(self, messages: Sequence[Message]) -> Iterator[dict[str, object]]:
        """The messages as the service takes them. A result without an id answers the first call that has none yet."""
        waiting: list[str] = []
        for place, message in enumerate(messages):
            made = chat_message(message, weight=False)
            if message.role == "assistant" and message.weight is not None and message.weight in (0, 1):
                made["weight"] = message.weight
            if message.role not in self.names:
                made.pop("name", None)
            if message.tool_calls:
                ids = [call.id or f"call_{place}_{number}" for number, call in enumerate(message.tool_calls)]
                waiting = ids = [self._id(identity) for identity in ids]
                calls = [call.to_dict() for call in message.tool_calls]
                made["tool_calls"] = [{**call, "id": identity} for call, identity in zip(calls, ids, strict=True)]
            made.pop("tool_call_id", None)
            if message.role == "tool":
                if not message.tool_call_id and not waiting:
                    raise ValueError("a tool's result does not say which call it answers")
                answered = self._id(message.tool_call_id) if message.tool_call_id else waiting[0]
                waiting = [identity for identity in waiting if identity != answered]
                made["tool_call_id"] = answered
            yield made

    def _id(self, identity: str) -> str:
        """The id, or one of nine letters and digits that stands for it everywhere."""
        if not self.short_ids or SHORT_ID.fullmatch(identity):
            return identity
        number = int.from_bytes(hashlib.sha256(identity.encode("utf-8", "replace")).digest()[:8], "big")
        letters = []
        for _ in range(9):
            number, letter = divmod(number, len(_ALPHABET))
            letters.append(_ALPHABET[letter])
        return "".join(letters)

    def _held_tools(self, text: str) -> list[Any]:
        tools: list[Any] = json.loads(text)
        if self.short_ids:
            tools = [_described(tool) for tool in tools]
        self._check_tools({"tools": tools})  # a ShapeError is a ValueError
        return tools

    def _check_tools(self, value: Mapping[str, object]) -> None:
        """Refuse tools that the service would refuse."""
        tools = value.get("tools")
        if tools is not None and not isinstance(tools, list):
            raise ShapeError("wrong-type", f"tools is {type_name(tools)}, not an array")
        for tool in tools or []:
            _check_tool(tool, described=self.short_ids)

    def _check_messages(self, messages: object, at: str) -> None:
        """Refuse what the service would refuse in a list of messages."""
        for place, message in enumerate(messages if isinstance(messages, list) else []):
            if not isinstance(message, dict):
                raise ShapeError("wrong-type", f"{at}[{place}] is {type_name(message)}, not an object")
            self._check_message(message, f"{at}[{place}]")

    def _check_message(self, message: dict[str, Any], at: str) -> None:
        _only_known(message, ("role", "content", "name", "tool_calls", "tool_call_id", "weight"), at)
        role, weight, content = message.get("role"), message.get("weight"), message.get("content")
        if role == "function":
            raise ShapeError("wrong-type", f"{at}.role is function, which was replaced by tool")
        if weight is not None and (role != "assistant" or weight not in (0, 1)):
            raise ShapeError("wrong-type", f"{at}.weight has to be 0 or 1, on a message of the assistant")
        if message.get("name") is not None and role not in self.names:
            raise ShapeError("wrong-type", f"{at}.name is not known to {self.name}")
        if isinstance(content, list) and not (self.parts_allowed and all(_is_text_part(part) for part in content)):
            raise ShapeError("wrong-type", f"{at}.content is an array, not a string")
        ids = [call.get("id") for call in message.get("tool_calls") or []]
        if role == "tool":
            ids.append(message.get("tool_call_id"))
        elif message.get("tool_call_id") is not None:
            raise ShapeError("wrong-type", f"{at}.tool_call_id stands on no result of a tool")
        for identity in ids:
            if not identity or (self.short_ids and not SHORT_ID.fullmatch(identity)):
                expected = "nine letters and digits" if self.short_ids else "a text"
                raise ShapeError("wrong-type", f"{at}: the id of a call is {identity!r}, not {expected}")
        for call in message.get("tool_calls") or []:
            _only_known(call, ("id", "type", "function"), f"{at}.tool_calls")
            function = call.get("function")
            if call.get("type") != "function" or not isinstance(function, dict):
                raise ShapeError("wrong-type", f"{at}: a call is not of the type function")
            _only_known(function, ("name", "arguments"), f"{at}.tool_calls.function")
            if not isinstance(function["arguments"], str):
                raise ShapeError("wrong-type", f"{at}: the arguments of a call are no text")


@dataclass(frozen=True, slots=True)
class OpenAI(Flavour):
    """OpenAI's rows."""

    name: ClassVar[str] = "openai"
    names: tuple[str, ...] = ("system", "user", "assistant", "tool")
    one_message: bool = False
    parts_allowed: bool = True
    row_keys: frozenset[str] = frozenset({"messages", "tools", "parallel_tool_calls"})


@dataclass(frozen=True, slots=True)
class Together(Flavour):
    """Together's rows."""

    name: ClassVar[str] = "together"


@dataclass(frozen=True, slots=True)
class Fireworks(Flavour):
    """Fireworks' rows."""

    name: ClassVar[str] = "fireworks"


@dataclass(frozen=True, slots=True)
class Mistral(Flavour):
    """Mistral's rows."""

    name: ClassVar[str] = "mistral"
    names: tuple[str, ...] = ("tool",)
    pairs: bool = False
    short_ids: bool = True


def _only_known(value: Mapping[str, object], known: Collection[str], at: str) -> None:
    unknown = next((key for key in value if key not in known), None)
    if unknown is not None:
        raise ShapeError("wrong-type", f"{at} has the key {unknown[:40]!r}, which is not known")


def _is_text_part(part: object) -> bool:
    return isinstance(part, dict) and "text" in part


def _described(tool: dict[str, Any]) -> dict[str, Any]:
    function = tool.get("function")
    if not isinstance(function, dict):
        return tool
    return {**tool, "function": {**function, **{k: v for k, v in _DEFAULTS.items() if k not in function}}}


_DEFAULTS: dict[str, Any] = {"description": "", "parameters": {}}


def _check_tool(tool: object, *, described: bool) -> None:
    function = tool.get("function") if isinstance(tool, dict) else None
    if not isinstance(tool, dict) or tool.get("type") != "function" or not isinstance(function, dict):
        raise ShapeError("wrong-type", "a tool is not of the type function")
    if not isinstance(function.get("name"), str):
        raise ShapeError("wrong-type", "a tool's function has no name")
    described_well = isinstance(function.get("description"), str) and isinstance(function.get("parameters"), dict)
    if described and not described_well:
        raise ShapeError("wrong-type", "a tool's function needs a description and parameters")
