"""Answer many prompts with a local model, greedily and fast.

Three levers over plain batches, largest first: the key-value cache of the prompts' common prefix is computed once and
shared; prompts are sorted by length and batched by a token budget, so little is padded; and a row that has ended
leaves its batch, so no step is spent on it.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from advisor.answering.answer import Answer, OnAnswer, Progress
from dataset_tools.example import Example, Message
from dataset_tools.rendering import render, render_prompts
from training.generation import may_pad, padding_token
from training.models.loading import LoadedModel

# Tokens held at once beside the shared prefix: enough to fill two cores; a GPU takes far more at the same speed.
_CPU_BATCH_TOKENS, _GPU_BATCH_TOKENS = 16_000, 131_072
_CPU_BATCH_ROWS, _GPU_BATCH_ROWS = 64, 256
# Prompt tokens read at once, padding included.
_CPU_READ_TOKENS, _GPU_READ_TOKENS = 768, 32_768
# Rows that have ended are taken out once this share or less goes on: taking out copies the cache.
_KEEP_SHARE = 0.75
# A shared prefix shorter than this costs more to expand for each batch than it saves.
_MIN_PREFIX = 16


class LocalAnswerer:
    """Greedy answers from a causal language model on this machine."""

    def __init__(self, loaded: LoadedModel) -> None:
        import torch

        self.model = loaded.model
        self.tokenizer = loaded.tokenizer
        on_cpu = self.model.device.type == "cpu"
        self._batch_tokens = _CPU_BATCH_TOKENS if on_cpu else _GPU_BATCH_TOKENS
        self._batch_rows = _CPU_BATCH_ROWS if on_cpu else _GPU_BATCH_ROWS
        self._read_tokens = _CPU_READ_TOKENS if on_cpu else _GPU_READ_TOKENS
        self._stops = stop_tokens(loaded)
        self._may_pad = may_pad(self.model)
        self._can_share = self._may_pad and share_prefixes(self.model)
        # The position to score, by its number: as a slice it has gaps in memory, and with a frozen head (below an
        # adapter) torch (2.13) then multiplies row by row and copies the whole head for each. Reading short prompts in
        # bfloat16 took three times as long on a CPU.
        self._last = torch.tensor([-1], device=self.model.device)
        self._pick: Callable[[Any], Any] = _likeliest

    def answer(
        self,
        prompts: Sequence[Sequence[Message]],
        *,
        max_new_tokens: int,
        progress: Progress | None = None,
        tools: Sequence[str | None] | None = None,
        on_answer: OnAnswer | None = None,
    ) -> list[Answer]:
        """Answer all prompts; see `Answerer.answer`. ``on_answer`` is told of a batch when all its rows have ended."""
        import torch

        rows = render_prompts(prompts, self.tokenizer, tools=tools)
        prefix = common_prefix(rows) if self._can_share else 0
        answers: list[Answer | None] = [None] * len(rows)
        done = 0
        with torch.inference_mode():
            cache = self._prefill(rows[0][:prefix]) if prefix else None
            for batch in self._batches(rows, prefix, max_new_tokens):
                suffixes = [rows[index][prefix:] for index in batch]
                tick = _ticker(progress, done, len(rows))
                if self._can_share:
                    outputs = self._generate(suffixes, prefix, cache, max_new_tokens, tick)
                else:
                    outputs = self._generate_plainly(suffixes, max_new_tokens)
                for index, tokens in zip(batch, outputs, strict=True):
                    answers[index] = answer = self._to_answer(tokens, len(rows[index]))
                    if on_answer:
                        on_answer(index, answer)
                tick(len(batch))  # after the answers are handed out: whoever is told may end the work
                done += len(batch)
        return [answer for answer in answers if answer is not None]

    def sample(
        self, prompts: Sequence[Sequence[Message]], *, count: int, temperature: float, seed: int, max_new_tokens: int
    ) -> list[tuple[str, ...]] | None:
        """Several drawn answers to each prompt: the same ones for the same prompts, settings and machine.

        Args:
            prompts: Messages, one list a prompt.
            count: Answers a prompt.
            temperature: Above 0; nothing else holds the draws back.
            seed: Of the draws.
            max_new_tokens: The most tokens of an answer.

        Returns:
            The answers of each prompt; None where the model does not serve shared prefixes: drawing would be too slow.
        """
        import torch

        if not self._can_share:
            return None
        draws = torch.Generator(self.model.device).manual_seed(seed)

        def drawn(logits: Any) -> Any:
            chances = torch.softmax(logits.float() / temperature, dim=-1)
            return torch.multinomial(chances, 1, generator=draws).squeeze(-1)

        self._pick = drawn
        try:
            repeated = [prompt for prompt in prompts for _ in range(count)]
            texts = [answer.text for answer in self.answer(repeated, max_new_tokens=max_new_tokens)]
        finally:
            self._pick = _likeliest
        return [tuple(texts[start : start + count]) for start in range(0, len(texts), count)]

    def nll(
        self,
        prompts: Sequence[Sequence[Message]],
        completions: Sequence[str],
        *,
        tools: Sequence[str | None] | None = None,
    ) -> list[tuple[float, int]]:
        """How unlikely the model finds these answers to these prompts: one forward pass a batch, nothing is generated.

        Args:
            prompts: Messages, one list a prompt.
            completions: The answer of each; its end-of-turn token is counted with it, as it is in training.
            tools: Those that each prompt declares, as JSON text.

        Returns:
            For each the sum of the negative log likelihoods of the answer's tokens, in nats, and their count.
        """
        from training.health.likelihood import token_scores

        declared = tools or [None] * len(prompts)
        examples = [
            Example((*prompt, Message("assistant", completion)), tools=given)
            for prompt, completion, given in zip(prompts, completions, declared, strict=True)
        ]
        rows = [render(example, self.tokenizer) for example in examples]
        scored = token_scores(self.model, rows, pad=padding_token(self.tokenizer))
        return [(sum(row.nll), len(row.nll)) for row in scored]

    def _batches(self, rows: list[list[int]], prefix: int, max_new_tokens: int) -> list[list[int]]:
        """Row numbers, longest first, cut where rows x (longest + new tokens) would pass the budget.

        Where padding would change the answers, only rows of one length come together.
        """
        order = sorted(range(len(rows)), key=lambda index: -len(rows[index]))
        batches: list[list[int]] = []
        for index in order:
            longest = len(rows[batches[-1][0]]) - prefix + max_new_tokens if batches else 0
            full = not batches or len(batches[-1]) >= self._batch_rows
            full = full or (len(batches[-1]) + 1) * longest > self._batch_tokens
            if full or (not self._may_pad and len(rows[index]) != len(rows[batches[-1][0]])):
                batches.append([])
            batches[-1].append(index)
        return batches

    def _prefill(self, ids: list[int]) -> Any:
        """The keys and values of the common prefix, layer by layer, for one row."""
        import torch
        from transformers import DynamicCache

        cache = DynamicCache(config=self.model.config)
        self.model(torch.tensor([ids], device=self.model.device), past_key_values=cache, logits_to_keep=1)
        return [(layer.keys, layer.values) for layer in cache.layers]

    def _generate(
        self, suffixes: list[list[int]], prefix: int, shared: Any, max_new_tokens: int, tick: Callable[[int], None]
    ) -> list[list[int]]:
        """Greedy decoding of one batch after the shared prefix; each row's tokens, its stop token included.

        `tick` is told how many rows have ended, after each group of prompts is read and after each step.
        """
        import torch

        chosen, mask, positions, state = self._read(suffixes, prefix, shared, room=max_new_tokens, tick=tick)
        stops = torch.tensor(sorted(self._stops), device=chosen.device)
        outputs: list[list[int]] = [[] for _ in suffixes]
        rows = list(range(len(suffixes)))  # which output each row of the batch writes to
        ended = torch.zeros(len(rows), dtype=torch.bool, device=chosen.device)
        for step in range(max_new_tokens):
            for row, token, over in zip(rows, chosen.tolist(), ended.tolist(), strict=True):
                if not over:
                    outputs[row].append(token)
            ended |= torch.isin(chosen, stops)
            going = (~ended).nonzero().flatten()
            tick(len(suffixes) - len(going))
            if len(going) == 0 or step + 1 == max_new_tokens:
                break
            if len(going) <= _KEEP_SHARE * len(rows):
                rows = [rows[index] for index in going.tolist()]
                state.batch_select_indices(going)
                chosen, mask, positions, ended = chosen[going], mask[going], positions[going], ended[going]
            positions = positions + 1
            mask = torch.cat([mask, mask.new_ones(len(rows), 1)], dim=-1)
            chosen = self._step(chosen[:, None], mask, positions, state, shared)
        return outputs

    def _generate_plainly(self, rows: list[list[int]], max_new_tokens: int) -> list[list[int]]:
        """The same by the library's own loop: slower, but right for every kind of attention and cache."""
        ids, mask = self._pad_left(rows)
        forward = inspect.signature(getattr(self.model, "get_base_model", lambda: self.model)().forward)
        keep = {"logits_to_keep": self._last} if "logits_to_keep" in forward.parameters else {}
        with warnings.catch_warnings():
            # peft says so at every step of prompt tuning; without padding the positions it ignores are the usual ones.
            warnings.filterwarnings("ignore", message="Position ids are not supported")
            output = self.model.generate(
                input_ids=ids,
                attention_mask=mask,
                max_new_tokens=max_new_tokens,
                do_sample=False,
                repetition_penalty=1.0,  # the model's own settings may hold one
                eos_token_id=sorted(self._stops),
                pad_token_id=self.tokenizer.pad_token_id,
                **keep,
            )
        answers: list[list[int]] = output[:, ids.shape[1] :].tolist()
        return [self._until_stop(answer) for answer in answers]

    def _until_stop(self, tokens: list[int]) -> list[int]:
        """Tokens up to the first that ends the answer, which is kept; behind it there is only padding."""
        return tokens[: next((at + 1 for at, token in enumerate(tokens) if token in self._stops), len(tokens))]

    def _read(
        self, suffixes: list[list[int]], prefix: int, shared: Any, *, room: int, tick: Callable[[int], None]
    ) -> tuple[Any, Any, Any, Any]:
        """Read the prompts in groups of like length, so that little is padded, and join their caches.

        Returns:
            The first token of each answer (rows,), the mask (rows, longest), each row's last position (rows, 1), and
            the cache of all rows with room for the answers.
        """
        import torch
        from transformers import DynamicCache

        width, chosen, masks, positions, caches = len(suffixes[0]), [], [], [], []
        for group in _groups(suffixes, self._read_tokens):
            ids, mask = self._pad_left(group)
            where = (mask.cumsum(-1) - 1).clamp(min=0) + prefix
            caches.append(DynamicCache(config=self.model.config))
            chosen.append(self._step(ids, mask, where, caches[-1], shared))
            masks.append(torch.nn.functional.pad(mask, (width - mask.shape[1], 0)))
            positions.append(where[:, -1:])
            tick(0)
        return torch.cat(chosen), torch.cat(masks), torch.cat(positions), self._join(caches, room)

    def _join(self, caches: list[Any], room: int) -> Any:
        from advisor.answering.shared_prefix import join_caches

        return join_caches(caches, room)

    def _step(self, ids: Any, mask: Any, positions: Any, state: Any, shared: Any) -> Any:
        """One forward pass; the next token of each row: the most likely one, unless answers are drawn."""
        options = {"shared_prefix": shared} if shared is not None else {}
        keep = 1 if ids.shape[1] == 1 else self._last
        logits = self.model(
            ids, attention_mask=mask, position_ids=positions, past_key_values=state, logits_to_keep=keep, **options
        ).logits
        return self._pick(logits[:, -1])

    def _pad_left(self, rows: list[list[int]]) -> tuple[Any, Any]:
        """Rows of different length -> (ids, mask), each of shape (rows, longest)."""
        import torch

        width, pad = max(len(row) for row in rows), self.tokenizer.pad_token_id
        ids = [[pad] * (width - len(row)) + row for row in rows]
        mask = [[0] * (width - len(row)) + [1] * len(row) for row in rows]
        return torch.tensor(ids, device=self.model.device), torch.tensor(mask, device=self.model.device)

    def _to_answer(self, tokens: list[int], prompt_tokens: int) -> Answer:
        stopped = bool(tokens) and tokens[-1] in self._stops
        text = self.tokenizer.decode(tokens[:-1] if stopped else tokens, skip_special_tokens=True)
        return Answer(text.strip(), prompt_tokens, len(tokens), stopped)


def _likeliest(logits: Any) -> Any:
    return logits.argmax(-1)


def _ticker(progress: Progress | None, done: int, total: int) -> Callable[[int], None]:
    """A function that tells `progress` how many of all rows have ended, given those of the current batch."""
    return lambda ended: progress(done + ended, total) if progress else None


def _groups(rows: list[list[int]], tokens: int) -> list[list[list[int]]]:
    """Rows, longest first -> runs of rows whose count times their longest stays within `tokens`."""
    groups: list[list[list[int]]] = []
    for row in rows:
        if not groups or (len(groups[-1]) + 1) * len(groups[-1][0]) > tokens:
            groups.append([])
        groups[-1].append(row)
    return groups


def share_prefixes(model: Any) -> bool:
    """Switch a model to shared-prefix attention, if it is of the kind that this serves.

    False, and nothing is switched, where a layer is more than full attention (a sliding window would see too far, a
    state space has no keys to share), where it attends in a way of its own (soft caps and sinks take "eager"), or
    where a trial shows that the architecture does not pass the prefix on.
    """
    from transformers import DynamicCache
    from transformers.cache_utils import DynamicLayer

    from advisor.answering import shared_prefix

    if any(type(layer) is not DynamicLayer for layer in DynamicCache(config=model.config).layers):
        return False
    before = model.config._attn_implementation
    if before not in ("sdpa", shared_prefix.NAME):
        return False
    model.set_attn_implementation(shared_prefix.NAME)
    if before == shared_prefix.NAME or shared_prefix.is_honoured(model):
        return True
    model.set_attn_implementation(before)
    return False


def stop_tokens(loaded: LoadedModel) -> set[int]:
    """The tokens that end an answer: the tokenizer's end-of-turn token and those of the generation settings."""
    configured = loaded.model.generation_config.eos_token_id
    several = configured if isinstance(configured, list) else [configured]
    return {int(token) for token in [*several, loaded.tokenizer.eos_token_id] if token is not None}


def common_prefix(rows: Sequence[list[int]]) -> int:
    """Tokens that all rows start with; at least one token of each row stays outside. 0 where it would not pay."""
    if len(rows) < 2:
        return 0
    first, last = min(rows), max(rows)  # the lexicographic extremes share exactly what all rows share
    length = min(min(len(row) for row in rows) - 1, len(first))
    shared = next((i for i in range(length) if first[i] != last[i]), length)
    return shared if shared >= _MIN_PREFIX else 0
