"""Example -> text -> token ids + loss mask, with the model's own chat template.

The one place that does this: lint, training and answering all come here, so what lint shows is what trains, and what
trains is what is asked for at answering time. Prompt and answer are tokenised apart and joined, so the prompt of a
training row is token for token the prompt that the model will be given.

A tokenizer is passed in (transformers' fast tokenizer or anything of that shape); this package never loads one.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from dataset_tools.errors import DataError
from dataset_tools.example import Example, Message


@dataclass(frozen=True, slots=True)
class Rendered:
    """A training row as the model sees it: token ids, and for each whether it is trained on (1) or only read (0)."""

    ids: list[int]
    mask: list[int]

    @property
    def trained(self) -> int:
        """How many tokens carry loss."""
        return sum(self.mask)

    def truncated(self, max_length: int) -> Rendered:
        """The row cut to its first `max_length` tokens, as the trainer cuts it (TRL's "keep_start")."""
        return Rendered(self.ids[:max_length], self.mask[:max_length])


def prompt_text(messages: Sequence[Message], tokenizer: Any, *, tools: str | None = None) -> str:
    """The prompt as text, ending where the model's answer begins. ``tools`` are declared tools, as JSON text.

    Raises:
        DataError: the model's template refuses these messages, or the tokenizer has no template.
    """
    return _apply(messages, tokenizer, tools=tools, add_generation_prompt=True)


def render_prompts(
    prompts: Iterable[Sequence[Message]], tokenizer: Any, *, tools: Iterable[str | None] | None = None
) -> list[list[int]]:
    """Prompts -> token ids, one list each, without padding. ``tools`` are those declared for each prompt, if any."""
    declared = itertools.repeat(None) if tools is None else tools
    texts = [prompt_text(messages, tokenizer, tools=given) for messages, given in zip(prompts, declared, strict=False)]
    if not texts:
        return []
    ids: list[list[int]] = tokenizer(texts, add_special_tokens=False)["input_ids"]
    return ids


def row_texts(example: Example, tokenizer: Any) -> tuple[str, str]:
    """A training row as the template writes it: the prompt up to where the answer begins, and the rest.

    Raises:
        DataError: the model's template refuses the row, or renders the prompt differently once the answer follows
            (training and serving would then differ).
    """
    before = prompt_text(example.prompt, tokenizer, tools=example.tools)
    whole = _apply(example.messages, tokenizer, tools=example.tools, add_generation_prompt=False)
    if not whole.startswith(before):
        raise DataError(
            "The model's chat template renders this prompt differently when the answer follows.",
            where=f"line {example.line}",
            expected="a template whose prompt is a prefix of prompt + answer; else it learns what it is never asked",
            next_step="Choose another base model, or remove what the template rewrites (such as an earlier reasoning).",
        )
    return before, whole[len(before) :]


def render(example: Example, tokenizer: Any) -> Rendered:
    """A training row -> ids and mask: the prompt is read, the answer and its end-of-turn token are trained.

    Nothing is trained where the answer has weight 0, or was judged as one that is not wanted.

    Raises:
        DataError: as `row_texts` does.
    """
    prompt_ids, answer_ids = tokenizer(list(row_texts(example, tokenizer)), add_special_tokens=False)["input_ids"]
    answer_ids = _end_at_stop_token(list(answer_ids), tokenizer)
    trained = 0 if example.messages[-1].weight == 0 or example.desirable is False else 1
    return Rendered(list(prompt_ids) + answer_ids, [0] * len(prompt_ids) + [trained] * len(answer_ids))


def _end_at_stop_token(answer_ids: list[int], tokenizer: Any) -> list[int]:
    """Cut what a template writes after the end-of-turn token (a newline), or add the token where it writes none.

    Special tokens inside the answer's own text stay: the last special token of the row is the end of the turn.
    """
    special = set(tokenizer.all_special_ids)
    for index in range(len(answer_ids) - 1, -1, -1):
        if answer_ids[index] in special:
            return answer_ids[: index + 1]
    return [*answer_ids, tokenizer.eos_token_id]


def _apply(messages: Sequence[Message], tokenizer: Any, *, tools: str | None, add_generation_prompt: bool) -> str:
    from jinja2 import TemplateError

    if tokenizer.chat_template is None:
        raise DataError(
            "The tokenizer has no chat template.",
            expected="a model that was made for conversations",
            next_step="Choose the instruct or chat version of the model.",
        )
    options: dict[str, Any] = {} if tools is None else {"tools": json.loads(tools)}
    plain = [_for_template(message) for message in messages]
    try:
        text: str = tokenizer.apply_chat_template(
            plain, tokenize=False, add_generation_prompt=add_generation_prompt, **options
        )
    except TemplateError as error:
        raise DataError(
            "The model's chat template refuses these messages.",
            found=f"{' -> '.join(message.role for message in messages)}: {error}",
            expected="the roles and the order that this model was trained with",
            next_step="Merge the system message into the first user message, or choose another base model.",
        ) from error
    return text


def _for_template(message: Message) -> dict[str, Any]:
    """The message for a template: arguments of calls as an object, as templates write them as JSON themselves.

    That is what transformers asks for (huggingface.co/docs/transformers/chat_extras): text would be escaped again.
    """
    made = message.to_dict()
    for call in made.get("tool_calls", ()):
        try:
            arguments = json.loads(call["function"]["arguments"])
        except (ValueError, RecursionError):
            continue
        if isinstance(arguments, dict):
            call["function"]["arguments"] = arguments
    return made
