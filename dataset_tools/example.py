"""The one internal form of a training row. Every foreign format becomes this, and is written from this."""

from __future__ import annotations

from dataclasses import dataclass

ROLES = ("system", "user", "assistant")


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: str
    content: str

    def to_dict(self) -> dict[str, str]:
        """The form that chat templates take."""
        return {"role": self.role, "content": self.content}


@dataclass(frozen=True, slots=True)
class Example:
    """One training row: a conversation whose last message is the wanted answer.

    ``line`` is the 1-based physical line in the source where the row starts, ``record`` its 1-based number (a header
    is not counted). ``group`` names what the row belongs to (a document, a user); rows of one group stay on one side
    of a split.
    """

    messages: tuple[Message, ...]
    line: int = 0
    record: int = 0
    group: str | None = None

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


@dataclass(frozen=True, slots=True)
class Split:
    """The three parts of a dataset. ``dropped`` counts the exact duplicates removed before splitting."""

    train: tuple[Example, ...]
    validation: tuple[Example, ...]
    test: tuple[Example, ...]
    dropped: int = 0
