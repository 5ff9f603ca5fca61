"""What a chat template writes around messages, found by rendering a conversation of marks.

Servers that do not read a model's Jinja template (Ollama) are told these pieces instead. Where the pieces do not give
back what the template writes for real rows, that is said, and nothing is written for such a server.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dataset_tools.errors import DataError
from dataset_tools.example import Example, Message
from dataset_tools.rendering import prompt_text
from training.export.report import ExportError

# Marks that no template holds or changes.
_SYSTEM, _FIRST, _REPLY, _SECOND = "Mark-S-7401", "Mark-U-7402", "Mark-A-7403", "Mark-U-7404"
_TURNS = (Message("user", _FIRST), Message("assistant", _REPLY), Message("user", _SECOND))


class TemplateRefused(ExportError):
    """A chat template that cannot be said in pieces. The export goes on without what would need them."""


@dataclass(frozen=True)
class Pieces:
    """What a chat template writes around messages, in its own order."""

    begin: str
    """Before a conversation without a system message (some templates put one of their own here)."""
    before_user: str
    after_user: str
    """Up to where the answer begins."""
    before_answer: str
    """Between that and an answer of an earlier turn: a space, or nothing."""
    after_answer: str
    before_system: str | None
    """None where the template takes no system message."""
    after_system: str
    system_last: bool
    """Whether the system message goes into the last user message (as with Mistral), not to the beginning."""

    def render(self, messages: Sequence[Message]) -> str:
        """A prompt: what the template writes for these messages, if the pieces are right."""
        system = "".join(message.content for message in messages if message.role == "system")
        told = f"{self.before_system}{system}{self.after_system}" if system else ""
        text = told if told and not self.system_last else self.begin
        for index, message in enumerate(messages):
            if message.role == "user":
                inside = told if self.system_last and index == len(messages) - 1 else ""
                text += f"{self.before_user}{inside}{message.content}{self.after_user}"
            elif message.role == "assistant":
                text += f"{self.before_answer}{message.content}{self.after_answer}"
        return text


def learn_pieces(tokenizer: Any) -> Pieces:
    """What the tokenizer's template writes around messages.

    Raises:
        TemplateRefused: the template does not put fixed text around each message.
    """
    start, to_answer, between, after_user = _cut(prompt_text(_TURNS, tokenizer), (_FIRST, _REPLY, _SECOND))
    if not to_answer.startswith(after_user):
        raise refusal("an answer is asked for in another way after the first turn")
    try:
        told = prompt_text((Message("system", _SYSTEM), *_TURNS), tokenizer)
    except DataError:
        told = ""
    before_system, after_system, ends, system_last = _around_system(told, start, between)
    before_user = _common_end(ends, tokenizer)
    return Pieces(
        begin=start.removesuffix(before_user),
        before_user=before_user,
        after_user=after_user,
        before_answer=to_answer.removeprefix(after_user),
        after_answer=between.removesuffix(before_user),
        before_system=before_system,
        after_system=after_system if system_last else after_system.removesuffix(before_user),
        system_last=system_last,
    )


def check_pieces(pieces: Pieces, examples: Sequence[Example], tokenizer: Any) -> int:
    """Hold the pieces against what the template writes for real rows; how many were compared.

    Rows with tools are left out (servers say those in ways of their own), and so is white space at the ends of a
    message, which some templates cut.

    Raises:
        TemplateRefused: they differ.
    """
    compared = 0
    for example in examples:
        if example.tools or any(message.role == "tool" or message.tool_calls for message in example.prompt):
            continue
        messages = [Message(message.role, message.content.strip()) for message in example.prompt]
        if pieces.before_system is None and any(message.role == "system" for message in messages):
            raise refusal("the rows have system messages, which the template does not take")
        wanted, found = prompt_text(messages, tokenizer), pieces.render(messages)
        if found != wanted:
            at = _alike(found, wanted)
            raise refusal(f"a row's prompt comes out as {found[at : at + 40]!r}, not as {wanted[at : at + 40]!r}")
        compared += 1
    return compared


def refusal(reason: str) -> TemplateRefused:
    """The error that says why there are no pieces, and what to do without."""
    return TemplateRefused(
        "This model's chat template cannot be written down for Ollama.",
        found=reason,
        expected="a template that puts fixed text around each message",
        next_step="Serve the GGUF file with llama.cpp's server and --jinja: it reads the template from the file.",
    )


def _around_system(told: str, start: str, between: str) -> tuple[str | None, str, list[str], bool]:
    """What stands before and after a system message, the texts that end where a user message begins, and its place."""
    if not told:
        return None, "", [start, between], False
    if told.find(_SYSTEM) < told.find(_FIRST):
        before, to_user, *_ = _cut(told, (_SYSTEM, _FIRST, _REPLY, _SECOND))
        return before, to_user, [start, between, to_user], False
    _, _, to_system, to_user, _ = _cut(told, (_FIRST, _REPLY, _SYSTEM, _SECOND))
    return to_system.removeprefix(between), to_user, [start, between], True


def _cut(text: str, marks: Sequence[str]) -> list[str]:
    """The text between the marks, which must come once each and in this order."""
    pieces = []
    for mark in marks:
        before, found, text = text.partition(mark)
        if not found or mark in text:
            raise refusal(f"it does not write each message once and in its place (at {before[-60:]!r})")
        pieces.append(before)
    return [*pieces, text]


def _common_end(texts: Sequence[str], tokenizer: Any) -> str:
    """The longest text that all of them end with, and that begins inside no special token."""
    length = min(_alike(texts[0][::-1], text[::-1]) for text in texts)
    end = texts[0][len(texts[0]) - length :]
    special = [*tokenizer.get_added_vocab(), *tokenizer.all_special_tokens]
    while end and any(_splits(text, len(text) - len(end), token) for text in texts for token in special):
        end = end[1:]
    return end


def _alike(first: str, second: str) -> int:
    """How many characters both begin with."""
    return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(first, second, strict=False)))


def _splits(text: str, at: int, token: str) -> bool:
    """Whether cutting the text at this place would cut through this token."""
    first = max(0, at - len(token) + 1)
    return token in text[first : at + len(token) - 1]
