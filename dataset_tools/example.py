"""The one internal form of a training row. Every foreign format becomes this, and is written from this."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

ROLES = ("system", "user", "assistant", "tool")


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call that the assistant makes: the function's name, and its arguments as JSON text (as the model writes it)."""

    name: str
    arguments: str
    id: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """The form of chat files (OpenAI's): the arguments stay text."""
        call: dict[str, Any] = {"type": "function", "function": {"name": self.name, "arguments": self.arguments}}
        return call if self.id is None else {"id": self.id, **call}


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation.

    ``content`` may be empty only where there are ``tool_calls``. ``tool_call_id`` says which call a message of the
    role ``tool`` answers. ``weight`` is 0 for an answer that is read but not trained on, else None or 1.
    """

    role: str
    content: str
    name: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    weight: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """The form that chat templates take and chat files hold; what is not there is left out."""
        message: dict[str, Any] = {"role": self.role, "content": self.content}
        if self.name is not None:
            message["name"] = self.name
        if self.tool_calls:
            message["tool_calls"] = [call.to_dict() for call in self.tool_calls]
        if self.tool_call_id is not None:
            message["tool_call_id"] = self.tool_call_id
        return message


@dataclass(frozen=True, slots=True)
class Example:
    """One training row: a conversation whose last message is the wanted answer.

    ``line`` is the 1-based physical line in the source where the row starts, ``record`` its 1-based number (a header
    is not counted). ``group`` names what the row belongs to (a document, a user); rows of one group stay on one side
    of a split. ``tools`` are the declared tools as JSON text. ``rejected`` is the worse answer of a preference pair
    (the wanted answer is the better one), and ``desirable`` the thumb of a judged answer: False is a thumb down, and
    then the last message is an answer that is *not* wanted.
    """

    messages: tuple[Message, ...]
    line: int = 0
    record: int = 0
    group: str | None = None
    tools: str | None = None
    rejected: tuple[Message, ...] = ()
    desirable: bool | None = None

    def __post_init__(self) -> None:
        if len(self.messages) < 2 or self.messages[-1].role != "assistant":
            raise ValueError("an example has a prompt and ends with the assistant's answer")

    @classmethod
    def of(cls, prompt: str, completion: str, *, line: int = 0, record: int = 0) -> Example:
        """A one-turn example."""
        return cls((Message("user", prompt), Message("assistant", completion)), line=line, record=record)

    @property
    def prompt(self) -> tuple[Message, ...]:
        """All messages before the wanted answer."""
        return self.messages[:-1]

    @property
    def completion(self) -> str:
        """The wanted answer."""
        return self.messages[-1].content

    @property
    def question(self) -> str:
        """The text of the last user message: what is asked now."""
        for message in reversed(self.prompt):
            if message.role == "user":
                return message.content
        return self.prompt[-1].content

    @property
    def prompt_text(self) -> str:
        """All user text of the prompt (system messages left out), for comparing rows with each other."""
        return "\n".join(message.content for message in self.prompt if message.role != "system")

    @property
    def tool_schemas(self) -> list[dict[str, Any]]:
        """The declared tools, parsed; empty where there are none."""
        return json.loads(self.tools) if self.tools else []


@dataclass(frozen=True, slots=True)
class Split:
    """The three parts of a dataset. ``dropped`` counts the exact duplicates removed before splitting."""

    train: tuple[Example, ...]
    validation: tuple[Example, ...]
    test: tuple[Example, ...]
    dropped: int = 0
