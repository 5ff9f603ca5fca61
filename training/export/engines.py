"""Two ways to run a model that is being proven: transformers, and llama.cpp itself where its binding is installed."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from dataset_tools.example import Example
from dataset_tools.rendering import prompt_text
from training.generation import Generated, generate
from training.models.loading import LoadedModel


class Engine(Protocol):
    """Something that answers, and says how likely it finds each token of a given text."""

    @property
    def name(self) -> str:
        """What it is, for the report."""

    def answer(self, examples: Sequence[Example], *, max_new_tokens: int) -> list[Generated]:
        """Greedy answers, in the examples' order."""

    def log_probs(self, ids: list[int], start: int) -> Any:
        """For each token of `ids` from `start` on, the log-probabilities of all tokens there: float32 on the CPU."""


class TransformersEngine:
    """A model in this process."""

    def __init__(self, loaded: LoadedModel, *, name: str = "transformers") -> None:
        self._loaded = loaded
        self._name = name

    @property
    def name(self) -> str:
        """What it is, for the report."""
        return self._name

    def answer(self, examples: Sequence[Example], *, max_new_tokens: int) -> list[Generated]:
        """Greedy answers, in the examples' order."""
        return generate(self._loaded.model, self._loaded.tokenizer, examples, max_new_tokens=max_new_tokens)

    def log_probs(self, ids: list[int], start: int) -> Any:
        """For each token of `ids` from `start` on, the log-probabilities of all tokens there: float32 on the CPU."""
        import torch

        model, wanted = self._loaded.model, len(ids) - start + 1
        base = model.get_base_model() if hasattr(model, "get_base_model") else model
        takes = "logits_to_keep" in inspect.signature(base.forward).parameters
        few = {"logits_to_keep": wanted} if takes else {}  # the head takes a good part of the time
        with torch.inference_mode():
            logits = model(input_ids=torch.tensor([ids], device=model.device), use_cache=False, **few).logits
        # Counted from the end, as virtual tokens (prompt tuning) may stand before the prompt.
        return logits[0, -wanted:-1].float().log_softmax(-1).cpu()


class LlamaCppEngine:
    """A GGUF file in llama.cpp, as it will be served. Needs the package llama-cpp-python (the extra "llama")."""

    def __init__(self, file: Path, tokenizer: Any, *, stops: Sequence[int], context: int) -> None:
        self._tokenizer = tokenizer
        self._stops = set(stops)
        binding = importlib.import_module("llama_cpp")  # where it is not installed, type checkers do not know it
        self._version = str(binding.__version__)
        self._llama = binding.Llama(
            str(file), n_ctx=context, n_batch=512, logits_all=True, verbose=False, n_gpu_layers=-1
        )

    @property
    def name(self) -> str:
        """What it is, for the report."""
        return f"llama.cpp (llama-cpp-python {self._version})"

    def close(self) -> None:
        """Free its memory now."""
        self._llama.close()

    def encode(self, text: str) -> list[int]:
        """llama.cpp's own tokens of a text with special tokens in it."""
        ids: list[int] = self._llama.tokenize(text.encode(), add_bos=False, special=True)
        return ids

    def answer(self, examples: Sequence[Example], *, max_new_tokens: int) -> list[Generated]:
        """Greedy answers, in the examples' order; the prompts are read with llama.cpp's own tokenizer."""
        prompts = [prompt_text(example.prompt, self._tokenizer, tools=example.tools) for example in examples]
        return [self._answer(self.encode(prompt), max_new_tokens) for prompt in prompts]

    def log_probs(self, ids: list[int], start: int) -> Any:
        """For each token of `ids` from `start` on, the log-probabilities of all tokens there: float32 on the CPU."""
        import torch

        self._llama.reset()
        self._llama.eval(ids)
        scores = torch.from_numpy(self._llama.scores[start - 1 : len(ids) - 1].copy())
        return scores.float().log_softmax(-1)

    def _answer(self, ids: list[int], max_new_tokens: int) -> Generated:
        written: list[int] = []
        for token in self._llama.generate(ids, temp=0.0, repeat_penalty=1.0, reset=True):
            written.append(int(token))
            if written[-1] in self._stops or len(written) >= max_new_tokens:
                break
        ended = bool(written) and written[-1] in self._stops
        text = self._tokenizer.decode(written[:-1] if ended else written, skip_special_tokens=True)
        return Generated(text.strip(), len(written), ended)


def has_llama_cpp() -> bool:
    """Whether llama.cpp can be called from here."""
    return importlib.util.find_spec("llama_cpp") is not None
