"""What stands beside the weights, read back from the files: the chat template, the tokens, and where answers stop."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dataset_tools.example import Example
from dataset_tools.rendering import render_prompts
from training.export.gguf_tensors import saved_tensors
from training.export.loading import read_tokenizer
from training.export.report import ExportError


def check_settings(folder: Path, tokenizer: Any, *, stops: Sequence[int], examples: Sequence[Example]) -> list[str]:
    """Read the tokenizer and the generation settings of an exported folder back; what was found right, in words.

    Args:
        folder: The export.
        tokenizer: The one that was trained with.
        stops: Tokens that end an answer, the one that was trained first.
        examples: Rows whose prompts both tokenizers must turn into the same tokens.

    Raises:
        ExportError: something is not as it should be.
    """
    try:
        found = read_tokenizer(folder)
    except (OSError, ValueError, KeyError) as error:
        raise failed("The exported tokenizer cannot be loaded.", folder, found=str(error)[:300]) from error
    if found.chat_template != tokenizer.chat_template:
        raise failed(
            "The chat template in the export is not the one that was trained with.",
            folder,
            found=repr(found.chat_template)[:120],
            expected=repr(tokenizer.chat_template)[:120],
        )
    prompts = [example.prompt for example in examples]
    tools = [example.tools for example in examples]
    if render_prompts(prompts, found, tools=tools) != render_prompts(prompts, tokenizer, tools=tools):
        raise failed("The exported tokenizer turns prompts into other tokens.", folder, found="other tokens")
    ends = stops_in(folder, found)
    if stops[0] not in ends or not ends <= set(stops):
        raise failed(
            "The export does not stop where the trained answers stop.",
            folder,
            found=", ".join(tokenizer.convert_ids_to_tokens(sorted(ends))) or "nothing",
            expected=", ".join(tokenizer.convert_ids_to_tokens(list(stops))),
        )
    names = ", ".join(f"`{token}`" for token in tokenizer.convert_ids_to_tokens(sorted(ends)))
    return [
        "the chat template in the folder is the one that was trained with",
        f"the prompts of {len(prompts)} rows come out as the same tokens",
        f"answers stop at {names}, as the files say",
    ]


def stops_in(folder: Path, tokenizer: Any) -> set[int]:
    """The tokens that end an answer, as the folder's files say."""
    file = folder / "generation_config.json"
    named = json.loads(file.read_text("utf-8")).get("eos_token_id") if file.exists() else None
    if named is None:
        named = tokenizer.eos_token_id
    return set(named) if isinstance(named, list) else {named} - {None}


def check_weights(folder: Path, model: Any) -> str:
    """Read every weight back from the files and compare it with the model that was written, bit for bit.

    Raises:
        ExportError: one differs or is missing.
    """
    wanted = dict(model.state_dict())
    tied = getattr(model, "all_tied_weights_keys", None) or {}
    same, renamed = 0, []
    for name, tensor in saved_tensors(folder):
        mine = wanted.pop(name, None)
        if mine is None:
            renamed.append(name)
        elif mine.dtype != tensor.dtype or not bool((mine.cpu() == tensor).all()):
            raise failed("A weight in the files is not the merged model's.", folder, found=name)
        else:
            same += 1
    missing = [name for name in wanted if name not in tied]
    # Where the library stores weights under other names (experts), both lists are filled, and the answers must do.
    if missing and not renamed:
        raise failed("Weights are missing in the files.", folder, found=", ".join(missing[:3]))
    return f"{same} of {same + len(renamed)} weights were read back and are the merged model's, bit for bit"


def failed(what: str, where: Path, *, found: str, expected: str | None = None) -> ExportError:
    """The error of a file that is not what was written."""
    return ExportError(
        what,
        where=str(where),
        found=found,
        expected=expected,
        next_step="Export again; where it stays so, look at the disk and report the base model.",
    )
