"""Rows with one prompt and one completion, under these names or under others that mean the same."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from dataset_tools.example import Example
from dataset_tools.formats.base import MISSING, Format, Parts, ShapeError, Turn, Value, refuse_thumb_down
from dataset_tools.formats.chat import is_shared, read_turns, side_reads, system_turn
from dataset_tools.formats.columns import COMPLETION_NAMES, PROMPT_NAMES, SYSTEM_NAMES, one_column, usual_columns
from dataset_tools.formats.messages import NOT_PLAIN
from dataset_tools.formats.tools import read_tools

__all__ = ["NAME", "PromptCompletion", "find_columns", "usual_columns"]

NAME = "prompt_completion"
_OTHERS = frozenset({"messages", "conversations", "chosen", "rejected", "preferred_output", "non_preferred_output"})
_NOT_PLAIN = (NOT_PLAIN - {"prompt", "completion", "label", "system", "system_prompt"}) | _OTHERS


@dataclass(frozen=True, slots=True)
class PromptCompletion(Format):
    """``{"prompt": ..., "completion": ...}``, or the two columns that stand for them, and perhaps one for the system.

    Prompt and completion may also be lists of messages, as TRL takes them.
    """

    prompt: str = "prompt"
    completion: str = "completion"
    system: str | None = None
    name: ClassVar[str] = NAME

    def reads(self, value: Value) -> Collection[str]:
        """The paths that reading makes use of."""
        system = {self.system} if self.system else set()
        return side_reads(value, self.prompt, self.completion) | system | {"tools", "functions", "group"}

    def matches(self, value: Value) -> bool:
        """Whether the row has one of the two columns, and none of a conversation, a preference or a thumb."""
        if not (self.prompt in value or self.completion in value) or not _OTHERS.isdisjoint(value):
            return False
        return self.completion == "label" or not isinstance(value.get("label"), bool)

    def parts(self, value: Value) -> Parts:
        """A user turn and an assistant turn, or those of the two lists.

        Raises:
            ShapeError: A list of messages has a member that is none, or the completion's has no answer.
        """
        turns = [
            *(system_turn(value, (self.system,)) if self.system else ()),
            *side(value.get(self.prompt, MISSING), self.prompt, role="user"),
            *answer_side(value.get(self.completion, MISSING), self.completion),
        ]
        return Parts(turns, read_tools(value))

    def sound(self, value: Value) -> Sequence[str] | None:
        """The texts of a plain row."""
        if len(value) != 2 and (not _NOT_PLAIN.isdisjoint(value) or type(value.get("label")) is bool):
            return None
        prompt, answer = value.get(self.prompt), value.get(self.completion)
        if type(prompt) is not str or not prompt or prompt.isspace():
            return None
        if type(answer) is not str or not answer or answer.isspace():
            return None
        if self.system is None:
            return [prompt, answer]
        system = value.get(self.system)
        if system is None or (type(system) is str and (not system or system.isspace())):
            return [prompt, answer]
        return [system, prompt, answer] if type(system) is str else None

    def from_example(self, example: Example) -> dict[str, object]:
        """The two columns of a one-turn example without a system message.

        Raises:
            ValueError: There is more than a question and its answer, or the answer was marked as not wanted.
        """
        refuse_thumb_down(example)
        if [message.role for message in example.messages] != ["user", "assistant"]:
            raise ValueError("a prompt/completion row holds one question and one answer, no conversation")
        if not example.completion:
            raise ValueError("a prompt/completion row holds no calls of tools")
        row: dict[str, object] = {self.prompt: example.question, self.completion: example.completion}
        return row if example.group is None else {**row, "group": example.group}

    def mapped(self) -> list[str]:
        """How columns with other names were read, for the report; empty for the plain names."""
        pairs = ((self.prompt, "prompt"), (self.completion, "completion"), (self.system, "system"))
        return [f"{column} -> {meaning}" for column, meaning in pairs if column and column != meaning]


def find_columns(columns: Iterable[str]) -> PromptCompletion | None:
    """The format for rows with these columns: exactly one must stand for the prompt and one for the completion."""
    columns = list(columns)
    system = next((name for name in SYSTEM_NAMES if name in columns), None)
    names = [name for name in columns if name != system]
    prompt, completion = one_column(names, PROMPT_NAMES), one_column(names, COMPLETION_NAMES)
    if prompt is None or completion is None or prompt == completion:
        return None
    return PromptCompletion(prompt, completion, system)


def side(value: object, field: str, *, role: str) -> list[Turn]:
    """One side of a row: a text is one turn of this role, a list of objects a conversation; one object is one turn.

    Raises:
        ShapeError: A list of objects has a member that is none.
    """
    if isinstance(value, dict) and ("role" in value or "from" in value):
        value = [value]
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return read_turns(value, field, shared=is_shared(value))
    return [Turn(role, value, field)]


def answer_side(value: object, field: str) -> list[Turn]:
    """The same for the side of the answer.

    Raises:
        ShapeError: As `side` does, or no message is the assistant's.
    """
    turns = side(value, field, role="assistant")
    if all(turn.role != "assistant" for turn in turns):
        raise ShapeError("missing-field", f"{field} has no message of the assistant")
    return turns
