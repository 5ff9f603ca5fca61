"""Few-shot: worked examples before the question, either the nearest to it, or one fixed, diverse block for all."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from advisor.approaches.approach import Tools, WithSettings
from advisor.approaches.tuning import Prompt, Setting, can_tune
from advisor.retrieval import embed, nearest
from dataset_tools.example import Example

# The grid of counts {1, 3, 5, 10, 20} of few-shot studies, without what is near a usual default; as tried.
_COUNTS = (3, 10, 1, 20)
# Under this, a block and a tail would be too small to be either.
_LEAST_WITH_TAIL = 4


def with_demonstrations(example: Example, shown: Sequence[Example]) -> Prompt:
    """The example's prompt with worked examples before it, as turns of the conversation that went well."""
    system = tuple(message for message in example.prompt if message.role == "system")
    rest = tuple(message for message in example.prompt if message.role != "system")
    turns = tuple(message for demo in shown for message in demo.messages if message.role != "system")
    return (*system, *turns, *rest)


class Demonstrations:
    """The pool's rows as worked examples: which are near a question, which are unlike each other, what fits."""

    def __init__(self, tools: Tools) -> None:
        self.tools = tools
        self.pool = tools.task.pool
        self._vectors = embed([tools.distinct(example) for example in self.pool])
        self._sizes: dict[int, int] = {}

    def within_budget(self, indices: Sequence[int], budget: int) -> list[int]:
        """As many of these rows, in their order, as this many tokens take; the first always."""
        chosen = list[int]()
        for index in indices:
            budget -= self._size(index)
            if chosen and budget < 0:
                break
            chosen.append(index)
        return chosen

    def size(self, indices: Sequence[int]) -> int:
        """Tokens of these rows."""
        return sum(self._size(index) for index in indices)

    def _size(self, index: int) -> int:
        if index not in self._sizes:
            self._sizes[index] = self.tools.tokens_of(self.pool[index].messages)
        return self._sizes[index]

    def nearest(self, examples: Sequence[Example], count: int) -> list[list[int]]:
        """For each example the rows that ask what is most like it, nearest first."""
        queries = embed([self.tools.distinct(example) for example in examples])
        found: list[list[int]] = nearest(queries, self._vectors, count=count).tolist()
        return found

    def block(self, count: int) -> list[Example]:
        """So many rows that are unlike each other, or as many as the tokens for worked examples take."""
        return [self.pool[index] for index in self.within_budget(self.diverse(count), self.tools.demonstrations[1])]

    def diverse(self, count: int) -> list[int]:
        """Rows that are unlike each other: those nearest to k-means centres, unlike labels first."""
        from sklearn.cluster import KMeans

        clusters = min(count, len(np.unique(self._vectors, axis=0)))  # equal questions are one point
        centres = KMeans(clusters, n_init=4, random_state=0).fit(self._vectors).cluster_centers_
        chosen: list[int] = []
        seen: set[str] = set()
        for centre in centres:
            order = np.argsort(np.linalg.norm(self._vectors - centre, axis=1), kind="stable").tolist()
            fresh = [index for index in order[:20] if self.pool[index].completion not in seen and index not in chosen]
            pick = fresh[0] if fresh else next(index for index in order if index not in chosen)
            chosen.append(pick)
            seen.add(self.pool[pick].completion)
        return chosen

    def fitting(self, example: Example, shown: Sequence[Example], *, keep_last: bool) -> Prompt:
        """The prompt with as many of these as leave room for the longest answer; for a long question some are cut.

        Args:
            example: Whose prompt it is. It is never shown as an example of itself.
            shown: The worked examples.
            keep_last: Cut at the beginning, not at the end.
        """
        others = [demo for demo in shown if demo.prompt != example.prompt]
        sizes = range(len(others), 0, -1)
        cuts = (others[-size:] if keep_last else others[:size] for size in sizes)
        prompts = (with_demonstrations(example, cut) for cut in cuts)
        return next((prompt for prompt in prompts if self.tools.fits(prompt)), example.prompt)

    def counts(self) -> list[int]:
        """How many examples may be shown, the usual number first; one only where counts cannot be compared."""
        usual = self.tools.demonstrations[0]
        if not can_tune(self.tools):
            return [usual]
        return [usual, *(count for count in _COUNTS if count != usual and count <= len(self.pool))]


class FewShotNearest(WithSettings):
    """The rows whose questions are nearest (KATE, arxiv.org/abs/2101.06804), the nearest last.

    Or a fixed block first, whose cache is shared, and only a few nearest last (Golchin et al. 2025, 2507.16217).
    """

    name = "few-shot"
    title = "Few-shot (nearest examples)"
    learns_rows = True

    def set_up(self, tools: Tools) -> None:
        """Embed the pool."""
        self.tools = tools
        self.shown = Demonstrations(tools)

    def settings(self) -> list[Setting]:
        """Only nearest rows, or a block before them; and how many."""
        usual, *others = self.shown.counts()
        settings = [self._of_nearest(usual)]
        if can_tune(self.tools):
            tails = [self._with_block(count) for count in (usual, *others) if count >= _LEAST_WITH_TAIL]
            settings = [*settings, *tails[:1], *(self._of_nearest(count) for count in others), *tails[1:]]
        return settings

    def _of_nearest(self, count: int) -> Setting:
        values = {"selection": "nearest", "count": count}
        return Setting(_counted(count, "nearest example"), values, partial(self._nearest_prompts, count))

    def _with_block(self, count: int) -> Setting:
        """A tail of 2 to 4, as in the paper; the rest is the block."""
        tail = min(4, max(2, count // 3))
        values = {"selection": "block + nearest tail", "count": count, "tail": tail}
        name = f"{count - tail} examples that are the same for all, then the {tail} nearest"
        return Setting(name, values, partial(self._prompts_with_block, count, tail))

    def _nearest_prompts(self, count: int, examples: Sequence[Example]) -> list[Prompt]:
        budget = self.tools.demonstrations[1]
        found = self.shown.nearest(examples, count)
        chosen = [self.shown.within_budget(row, budget) for row in found]
        return [self._prompt(example, row[::-1]) for example, row in zip(examples, chosen, strict=True)]

    def _prompts_with_block(self, count: int, tail: int, examples: Sequence[Example]) -> list[Prompt]:
        whole = self.tools.demonstrations[1]
        block = self.shown.within_budget(self.shown.diverse(count - tail), whole * (count - tail) // count)
        rest = whole - self.shown.size(block)
        prompts = []
        for example, row in zip(examples, self.shown.nearest(examples, count), strict=True):
            near = [index for index in row if index not in block][:tail]
            prompts.append(self._prompt(example, [*block, *self.shown.within_budget(near, rest)[::-1]]))
        return prompts

    def _prompt(self, example: Example, indices: Sequence[int]) -> Prompt:
        return self.shown.fitting(example, [self.shown.pool[index] for index in indices], keep_last=True)


class FewShotFixed(WithSettings):
    """One block for all prompts, so that its cache is shared: diverse rows, unlike labels first.

    Golchin et al. 2025 (arxiv.org/abs/2507.16217): diverse centroids as a cached block.
    """

    name = "few-shot-fixed"
    title = "Few-shot (one fixed block)"

    def set_up(self, tools: Tools) -> None:
        """Embed the pool."""
        self.tools = tools
        self.shown = Demonstrations(tools)

    def settings(self) -> list[Setting]:
        """How many examples the block has. Counts that the tokens cut to a block of the same size are one setting."""
        self._blocks: dict[int, list[Example]] = {}
        for count in self.shown.counts():
            block = self.shown.block(count)
            self._blocks.setdefault(len(block), block)
        return [
            Setting(f"{_counted(count, 'example')}, the same for all", {"count": count}, partial(self._prompts, block))
            for count, block in self._blocks.items()
        ]

    @property
    def block(self) -> list[Example]:
        """The examples that are shown, once one setting is chosen."""
        return self._blocks[self.tuned.setting.values["count"]]

    def _prompts(self, block: Sequence[Example], examples: Sequence[Example]) -> list[Prompt]:
        """Prompts that all start with the same block; before a long question it is cut at its end."""
        return [self.shown.fitting(example, block, keep_last=False) for example in examples]


def _counted(count: int, what: str) -> str:
    return f"1 {what}" if count == 1 else f"{count} {what}s"
