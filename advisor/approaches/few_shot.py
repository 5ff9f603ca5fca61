"""Few-shot: worked examples before the question, either the nearest to it or one fixed, diverse block for all."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from advisor.approaches.approach import Approach, Tools
from advisor.retrieval import embed, nearest
from advisor.retrieval.embedding import Vectors
from dataset_tools.example import Example, Message


def with_demonstrations(example: Example, shown: Sequence[Example]) -> tuple[Message, ...]:
    """The example's prompt with worked examples before it, as turns of the conversation that went well."""
    system = tuple(message for message in example.prompt if message.role == "system")
    rest = tuple(message for message in example.prompt if message.role != "system")
    turns = tuple(message for demo in shown for message in demo.messages if message.role != "system")
    return (*system, *turns, *rest)


class _FewShot(Approach):
    """What both kinds share: the pool, its vectors, and the budget of tokens."""

    def prepare(self, tools: Tools) -> None:
        """Embed the pool."""
        self.tools = tools
        self.pool = tools.task.pool
        self.vectors: Vectors = embed([tools.distinct(example) for example in self.pool])
        self.sizes: dict[int, int] = {}

    def within_budget(self, indices: Sequence[int]) -> list[int]:
        """As many of these rows, in their order, as the token budget takes; the first always."""
        budget, chosen = self.tools.demonstrations[1], list[int]()
        for index in indices:
            if index not in self.sizes:
                self.sizes[index] = self.tools.tokens_of(self.pool[index].messages)
            budget -= self.sizes[index]
            if chosen and budget < 0:
                break
            chosen.append(index)
        return chosen

    def fits(self, prompt: tuple[Message, ...]) -> bool:
        """Whether the prompt leaves room for the longest answer in the model's context."""
        return self.tools.tokens_of(prompt) <= self.tools.context - self.tools.longest_answer


class FewShotNearest(_FewShot):
    """The rows whose questions are nearest (KATE, arxiv.org/abs/2101.06804), the nearest last."""

    name = "few-shot"
    title = "Few-shot (nearest examples)"

    def prompts(self, examples: Sequence[Example]) -> list[tuple[Message, ...]]:
        """Prompts with demonstrations chosen for each example."""
        queries = embed([self.tools.distinct(example) for example in examples])
        found = nearest(queries, self.vectors, count=self.tools.demonstrations[0])
        prompts = []
        for example, row in zip(examples, found.tolist(), strict=True):
            shown = [self.pool[index] for index in reversed(self.within_budget(row))]
            # For a long question the farthest examples are left out.
            cuts = (with_demonstrations(example, shown[count:]) for count in range(len(shown)))
            prompts.append(next((prompt for prompt in cuts if self.fits(prompt)), example.prompt))
        return prompts


class FewShotFixed(_FewShot):
    """One block for all prompts, so that its cache is shared: the rows nearest to k-means centres, unlike labels first.

    Golchin et al. 2025 (arxiv.org/abs/2507.16217): diverse centroids as a cached block.
    """

    name = "few-shot-fixed"
    title = "Few-shot (one fixed block)"

    def prepare(self, tools: Tools) -> None:
        """Choose the block."""
        super().prepare(tools)
        chosen = self.within_budget(self._diverse(tools.demonstrations[0]))
        self.block = [self.pool[index] for index in chosen]

    def _diverse(self, count: int) -> list[int]:
        from sklearn.cluster import KMeans

        clusters = min(count, len(self.pool))
        centres = KMeans(clusters, n_init=4, random_state=0).fit(self.vectors).cluster_centers_
        chosen: list[int] = []
        seen: set[str] = set()
        for centre in centres:
            order = np.argsort(np.linalg.norm(self.vectors - centre, axis=1), kind="stable").tolist()
            fresh = [index for index in order[:20] if self.pool[index].completion not in seen and index not in chosen]
            pick = fresh[0] if fresh else next(index for index in order if index not in chosen)
            chosen.append(pick)
            seen.add(self.pool[pick].completion)
        return chosen

    def prompts(self, examples: Sequence[Example]) -> list[tuple[Message, ...]]:
        """Prompts that all start with the same block; before a long question it is cut at its end."""
        return [self._fitting(example) for example in examples]

    def _fitting(self, example: Example) -> tuple[Message, ...]:
        cuts = (with_demonstrations(example, self.block[:count]) for count in range(len(self.block), 0, -1))
        return next((prompt for prompt in cuts if self.fits(prompt)), example.prompt)
