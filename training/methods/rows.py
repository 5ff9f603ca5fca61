"""Examples -> the columns of token ids that each objective's trainer takes, with a count of what is left out.

All rendering is `dataset_tools.rendering`'s, so what lint shows is what trains: trl gets token ids, and neither
renders, truncates nor masks anything by rules of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from dataset_tools.errors import DataError
from dataset_tools.example import Example
from dataset_tools.rendering import Rendered, prompt_text, render
from training.recipe import Recipe

IGNORED = -100  # torch's label for "no loss here"


@dataclass(frozen=True)
class TrainingRows:
    """Rows as a trainer takes them.

    ``columns`` maps a column's name to its values, ``lengths`` are the rows' tokens (of a pair: of its longer half),
    and ``left_out`` counts the examples that give no row: nothing of theirs would be learnt.
    """

    columns: dict[str, list[Any]]
    lengths: tuple[int, ...]
    left_out: int

    def __len__(self) -> int:
        return len(self.lengths)

    def dataset(self) -> Any:
        """A `datasets.Dataset` of the columns."""
        from datasets import Dataset

        return Dataset.from_dict(self.columns)


def training_rows(examples: Sequence[Example], tokenizer: Any, recipe: Recipe) -> TrainingRows:
    """The rows that a run with this recipe trains on; may be none at all.

    - sft: ``input_ids`` and ``labels``; an answer of weight 0, one not wanted or one that is cut away gives no row.
    - dpo: ``prompt_ids``, ``chosen_ids``, ``rejected_ids``; only examples with a rejected answer that differs.
    - kto: ``prompt_ids``, ``completion_ids``, ``label``; a pair gives two rows, an example without a thumb is wanted.
    - grpo: ``prompt`` (text) and ``row``, the example's index; all whose prompt fits.

    Raises:
        DataError: the model's template refuses a row.
    """
    make = {"sft": _supervised, "dpo": _pairs, "kto": _thumbs, "grpo": _prompts}[recipe.objective]
    return make(examples, tokenizer, recipe)


def require_rows(rows: TrainingRows, examples: Sequence[Example], recipe: Recipe) -> None:
    """Refuse to train on nothing.

    Raises:
        DataError: no row is left, or (kto) all thumbs point the same way.
    """
    if not rows:
        wanted = {
            "sft": f"prompts short enough for the answer to fit in {recipe.max_length} tokens",
            "dpo": "rows with a better and a worse answer (chosen and rejected)",
            "kto": "rows with an answer and a thumb (label true or false)",
            "grpo": f"prompts shorter than {recipe.max_length} tokens",
        }[recipe.objective]
        raise DataError(
            "No row is left to train on.",
            found=f"all {len(examples)} rows lose their answer when cut to {recipe.max_length} tokens"
            if recipe.objective == "sft"
            else f"none of {len(examples)} rows serves the objective {recipe.objective}",
            expected=wanted,
            next_step="Raise max_length, or shorten the prompts."
            if recipe.objective in ("sft", "grpo")
            else "Choose the objective sft for rows that hold one wanted answer each.",
        )
    if recipe.objective == "kto" and len(set(rows.columns["label"])) == 1:
        way = "up" if rows.columns["label"][0] else "down"
        raise DataError(
            "All thumbs point the same way, so there is nothing to tell apart.",
            found=f"{len(rows)} thumbs {way}",
            expected="wanted and unwanted answers",
            next_step="Choose the objective sft for wanted answers, or add answers of the other kind.",
        )


def _supervised(examples: Sequence[Example], tokenizer: Any, recipe: Recipe) -> TrainingRows:
    rendered = (render(example, tokenizer).truncated(recipe.max_length) for example in examples)
    return supervised_rows(list(rendered), completion_only=recipe.completion_only)


def supervised_rows(rendered: Sequence[Rendered], *, completion_only: bool = True) -> TrainingRows:
    """Rendered (and cut) rows -> ``input_ids`` and ``labels``; rows without a trained token are left out."""
    kept = [row for row in rendered if row.trained]
    labels = [
        [token if on or not completion_only else IGNORED for token, on in zip(row.ids, row.mask, strict=True)]
        for row in kept
    ]
    columns = {"input_ids": [row.ids for row in kept], "labels": labels}
    return TrainingRows(columns, tuple(len(row.ids) for row in kept), len(rendered) - len(kept))


def _pairs(examples: Sequence[Example], tokenizer: Any, recipe: Recipe) -> TrainingRows:
    columns: dict[str, list[Any]] = {"prompt_ids": [], "chosen_ids": [], "rejected_ids": []}
    lengths = []
    for example in examples:
        if not example.rejected:
            continue
        prompt, chosen = _split(example, tokenizer)
        rejected = _after(prompt, _rejected(example), tokenizer)
        room = recipe.max_length - len(prompt)
        if room > 0 and rejected and chosen[:room] != rejected[:room]:
            for name, ids in zip(columns, (prompt, chosen[:room], rejected[:room]), strict=True):
                columns[name].append(ids)
            lengths.append(len(prompt) + min(room, max(len(chosen), len(rejected))))
    return TrainingRows(columns, tuple(lengths), len(examples) - len(lengths))


def _thumbs(examples: Sequence[Example], tokenizer: Any, recipe: Recipe) -> TrainingRows:
    columns: dict[str, list[Any]] = {"prompt_ids": [], "completion_ids": [], "label": []}
    lengths, left_out = [], 0
    for example in examples:
        prompt, answer = _split(example, tokenizer)
        room = recipe.max_length - len(prompt)
        answers = [(answer, example.desirable is not False)]
        if example.rejected:
            answers.append((_after(prompt, _rejected(example), tokenizer), False))
        kept = [(ids[:room], label) for ids, label in answers if room > 0 and ids]
        left_out += not kept
        for ids, label in kept:
            for name, value in zip(columns, (prompt, ids, label), strict=True):
                columns[name].append(value)
            lengths.append(len(prompt) + len(ids))
    return TrainingRows(columns, tuple(lengths), left_out)


def _prompts(examples: Sequence[Example], tokenizer: Any, recipe: Recipe) -> TrainingRows:
    texts = [prompt_text(example.prompt, tokenizer, tools=example.tools) for example in examples]
    ids = tokenizer(texts, add_special_tokens=False)["input_ids"] if texts else []
    kept = [row for row, tokens in enumerate(ids) if len(tokens) < recipe.max_length]
    columns: dict[str, list[Any]] = {"prompt": [texts[row] for row in kept], "row": kept}
    return TrainingRows(columns, tuple(len(ids[row]) for row in kept), len(examples) - len(kept))


def _split(example: Example, tokenizer: Any) -> tuple[list[int], list[int]]:
    """The tokens of the prompt, and those of the answer with its end of turn, whatever is to be learnt of it."""
    last = replace(example.messages[-1], weight=None)
    row = render(replace(example, messages=(*example.prompt, last), desirable=None), tokenizer)
    start = row.mask.index(1)
    return row.ids[:start], row.ids[start:]


def _rejected(example: Example) -> Example:
    return replace(example, messages=(*example.prompt, *example.rejected), rejected=(), desirable=None)


def _after(prompt: list[int], example: Example, tokenizer: Any) -> list[int]:
    """The tokens that follow this prompt in a rendered example; none where its own prompt is another."""
    row = render(replace(example, messages=(*example.prompt, replace(example.messages[-1], weight=None))), tokenizer)
    return row.ids[len(prompt) :] if row.ids[: len(prompt)] == prompt else []
