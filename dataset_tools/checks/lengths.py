"""Which rows have more tokens than the limit? Rendered with the model's own template; most rows need no tokenizing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from dataset_tools.checks.base import ExampleView, Setting
from dataset_tools.errors import DataError
from dataset_tools.example import Example
from dataset_tools.rendering import Rendered, prompt_text, render, row_texts

_END_OF_TURN = 64  # bytes: more than any template writes behind an answer


@dataclass(frozen=True, slots=True)
class LongRow:
    """A row over the limit: its tokens, those of its prompt, and the tokens of its answer that are left when cut."""

    tokens: int
    prompt_tokens: int
    answer_left: int


class Lengths:
    """Renders the rows that may be over the limit, each once, for all checks that ask.

    A row of fewer bytes needs no look, because a token stands for at least one byte. That holds for byte-level BPE
    and for SentencePiece with byte fallback, the two kinds in use.
    """

    def __init__(self, setting: Setting) -> None:
        self._tokenizer = setting.tokenizer
        self._limit = setting.max_length or 0
        self._overheads: dict[Shape, int | None] = {}
        self._refusals: dict[Shape, str | None] = {}
        self._dropped: dict[Shape, tuple[str, ...]] = {}
        self._last: tuple[ExampleView | None, LongRow | None] = (None, None)
        self._seen: tuple[ExampleView | None, Shape] = (None, Shape((), False, False))

    def over_limit(self, view: ExampleView) -> LongRow | None:
        """The row's lengths where it is over the limit and the template takes it, else None."""
        if self._last[0] is not view:
            self._last = (view, self._over_limit(view))
        return self._last[1]

    def refusal(self, view: ExampleView) -> str | None:
        """Why the model's template refuses rows of this shape, or None where it takes them."""
        shape = self._shape(view)
        if shape not in self._refusals:
            try:
                row_texts(view.example, self._tokenizer)
                self._refusals[shape] = None
            except DataError as error:
                self._refusals[shape] = f"{error.what} {error.found or ''}".strip()
        return self._refusals[shape]

    def dropped(self, view: ExampleView) -> tuple[str, ...]:
        """What the model's template leaves out of rows of this shape: tools, calls, a reasoning."""
        shape = self._shape(view)
        if shape not in self._dropped:
            try:
                self._dropped[shape] = tuple(_left_out(view.example, *row_texts(view.example, self._tokenizer)))
            except DataError:
                self._dropped[shape] = ()
        return self._dropped[shape]

    def untrained(self, view: ExampleView) -> str | None:
        """Why training would learn nothing of a row however long it may be, or None where it learns something.

        Only answers that a template may empty are rendered: with a reasoning, or without a letter and a digit.
        An answer that was judged as one that is not wanted is none of these.
        """
        example = view.example
        answer = example.messages[-1]
        if answer.weight == 0:
            return "the answer has weight 0"
        if example.desirable is False or answer.tool_calls:
            return None
        if "think>" not in answer.content and any(map(str.isalnum, answer.content)):
            return None
        try:
            rendered = render(example, self._tokenizer)
        except DataError:
            return None
        trained = [token for token, on in zip(rendered.ids, rendered.mask, strict=True) if on]
        if self._tokenizer.decode(trained, skip_special_tokens=True).strip():
            return None
        return "the model's template leaves nothing of the answer but the end of the turn"

    def _shape(self, view: ExampleView) -> Shape:
        if self._seen[0] is not view:
            self._seen = (view, shape_of(view))
        return self._seen[1]

    def _over_limit(self, view: ExampleView) -> LongRow | None:
        shape = self._shape(view)
        if shape not in self._overheads:
            self._overheads[shape] = self._template_bytes(view.example)
        overhead = self._overheads[shape]
        if overhead is None or (not shape.has_tools and _content_bytes(view) + overhead <= self._limit):
            return None
        try:
            rendered: Rendered = render(view.example, self._tokenizer)
        except DataError:
            return None
        tokens = len(rendered.ids)
        if tokens <= self._limit or not rendered.trained:
            return None
        return LongRow(tokens, tokens - rendered.trained, rendered.truncated(self._limit).trained)

    def _template_bytes(self, example: Example) -> int | None:
        """What the template adds to rows with these roles, in bytes at most; None where it refuses them."""
        try:
            text = prompt_text(example.prompt, self._tokenizer, tools=example.tools)
        except DataError:
            return None
        contents = sum(len(message.content.encode()) for message in example.prompt)
        return max(0, len(text.encode()) - contents) + _END_OF_TURN


class Shape(NamedTuple):
    """What a template decides by, as far as can be told: the roles, and whether there are tools or a reasoning."""

    roles: tuple[str, ...]
    has_tools: bool
    reasons: bool


def shape_of(view: ExampleView) -> Shape:
    """The shape of a row."""
    example = view.example
    called = any(message.tool_calls or message.role == "tool" for message in example.messages)
    roles = tuple(message.role for message in example.messages)
    return Shape(roles, called or example.tools is not None, "think>" in view.text)


def _left_out(example: Example, before: str, answer: str) -> Iterator[str]:
    names = [str(tool.get("function", tool).get("name")) for tool in example.tool_schemas if isinstance(tool, dict)]
    if names and not any(name in before for name in names):
        yield "the declared tools"
    calls = [(message, call) for message in example.messages for call in message.tool_calls]
    if any(call.name not in (answer if message is example.messages[-1] else before) for message, call in calls):
        yield "a tool call"
    if "<think>" in example.completion and "<think>" not in answer and not before.rstrip().endswith("<think>"):
        yield "the reasoning of the answer"


def _content_bytes(view: ExampleView) -> int:
    text = view.text
    return len(text) if text.isascii() else len(text.encode("utf-8", errors="surrogatepass"))
