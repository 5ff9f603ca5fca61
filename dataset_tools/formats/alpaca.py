"""Alpaca rows: an instruction, an input for it or none, and the output.

LLaMA-Factory's ``system`` and ``history`` (pairs of a question and its answer) are read and written as well.
Instruction and input become one user message, with a line end between them, as LLaMA-Factory joins them
(github.com/hiyouga/LLaMA-Factory, ``data/converter.py``). Where one ended is then not known any more.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import ClassVar

from dataset_tools.example import Example
from dataset_tools.formats.base import MISSING, Format, Parts, ShapeError, Turn, Value, refuse_thumb_down, type_name
from dataset_tools.formats.chat import SYSTEM_KEYS, system_turn
from dataset_tools.formats.messages import NOT_PLAIN

NAME = "alpaca"
_NO_HISTORY: tuple[object, ...] = (None, "", [])  # the second is an empty cell of a table
_NOT_PLAIN = (NOT_PLAIN - {*SYSTEM_KEYS, "prompt", "completion"}) | {"messages", "conversations"}


@dataclass(frozen=True, slots=True)
class Alpaca(Format):
    """``{"instruction": ..., "input": ..., "output": ...}``, or the columns that stand for them."""

    instruction: str = "instruction"
    input: str = "input"
    output: str = "output"
    name: ClassVar[str] = NAME

    def reads(self, value: Value) -> Collection[str]:
        """The paths that reading makes use of."""
        inside = ("instances[].input", "instances[].output") if _nested(value) else (self.input, self.output)
        return {self.instruction, *inside, *SYSTEM_KEYS, "history", "group"}

    def matches(self, value: Value) -> bool:
        """Whether the row has at least two of the columns, and no conversation."""
        if _nested(value):
            return self.instruction in value
        found = (self.instruction in value) + (self.input in value) + (self.output in value)
        return found > 1 and not ("messages" in value or "conversations" in value)

    def parts(self, value: Value) -> Parts:
        """A system turn, the turns of the history, one user turn of instruction and input, and the answer.

        Raises:
            ShapeError: Input or history are of the wrong type, or there are several instances.
        """
        inside = _instance(value) if _nested(value) else value
        extra = inside.get(self.input)
        if extra is not None and not isinstance(extra, str):
            raise ShapeError("wrong-type", f"{self.input} is {type_name(extra)}, not a string")
        prompt = value.get(self.instruction, MISSING)
        if isinstance(prompt, str) and extra:
            prompt = f"{prompt}\n{extra}" if prompt else extra
        turns = [
            *system_turn(value),
            *_history(value),
            Turn("user", prompt, self.instruction),
            Turn("assistant", inside.get(self.output, MISSING), self.output),
        ]
        return Parts(turns)

    def sound(self, value: Value) -> Sequence[str] | None:
        """The texts of a plain row."""
        if not _NOT_PLAIN.isdisjoint(value) or value.get("history") not in _NO_HISTORY:
            return None
        prompt, extra, answer = value.get(self.instruction), value.get(self.input), value.get(self.output)
        if type(prompt) is not str or type(answer) is not str or (extra is not None and type(extra) is not str):
            return None
        if extra:
            prompt = f"{prompt}\n{extra}" if prompt else extra
        if not prompt or prompt.isspace() or not answer or answer.isspace():
            return None
        if "system" not in value and "system_prompt" not in value:
            return [prompt, answer]
        before = system_turn(value)
        system = before[0].content if before else ""
        if type(system) is not str:
            return None
        return [system, prompt, answer] if before else [prompt, answer]

    def from_example(self, example: Example) -> dict[str, object]:
        """The last question as the instruction, the answer as the output, and what was said before as the history.

        Raises:
            ValueError: A tool is called, or the answer was marked as not wanted.
        """
        refuse_thumb_down(example)
        messages = list(example.messages)
        system = messages.pop(0).content if messages[0].role == "system" else None
        if any(message.tool_calls or message.role == "tool" for message in messages):
            raise ValueError("an Alpaca row holds no calls of tools")
        texts = [message.content for message in messages]
        row: dict[str, object] = {self.instruction: texts[-2], self.input: "", self.output: texts[-1]}
        if system is not None:
            row["system"] = system
        if len(texts) > 2:
            row["history"] = [[texts[place], texts[place + 1]] for place in range(0, len(texts) - 2, 2)]
        if example.group is not None:
            row["group"] = example.group
        return row

    def mapped(self) -> list[str]:
        """How columns with other names were read."""
        pairs = ((self.instruction, "instruction"), (self.input, "input"), (self.output, "output"))
        return [f"{column} -> {meaning}" for column, meaning in pairs if column != meaning]


def _nested(value: Value) -> bool:
    """Whether input and output stand in a list, as in Stanford Alpaca's seed tasks."""
    return isinstance(value.get("instances"), list) and "output" not in value


def _instance(value: Value) -> Value:
    instances = value["instances"]
    if isinstance(instances, list) and len(instances) == 1 and isinstance(instances[0], dict):
        return instances[0]
    raise ShapeError("wrong-type", "instances is not one object, and a row is one example")


def _history(value: Value) -> list[Turn]:
    history = value.get("history")
    if history in _NO_HISTORY:
        return []
    if not isinstance(history, list):
        raise ShapeError("wrong-type", f"history is {type_name(history)}, not an array")
    turns = []
    for place, pair in enumerate(history):
        if not isinstance(pair, list) or len(pair) != 2:
            raise ShapeError("wrong-type", f"history[{place}] is no pair of a question and its answer")
        turns.append(Turn("user", pair[0], f"history[{place}][0]"))
        turns.append(Turn("assistant", pair[1], f"history[{place}][1]"))
    return turns
