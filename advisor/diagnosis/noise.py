"""Noise in the answers themselves: one prompt, and different wanted answers. No approach can be right on both."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from advisor.metrics import Metric
from advisor.statistics import Interval, cluster_interval
from dataset_tools.example import Example
from dataset_tools.similarity import fold


@dataclass(frozen=True, slots=True)
class Noise:
    """What the examples' own contradictions cost.

    Attributes:
        lost: the mean score that even the commonest answer to each prompt misses, with its interval.
        disagreeing: examples whose prompt occurs with answers that the metric tells apart.
        repeated: examples whose prompt occurs more than once. Only among these can noise be seen.
        rows: all examples.
    """

    lost: Interval
    disagreeing: int
    repeated: int
    rows: int


def noise_of(examples: Sequence[Example], metric: Metric) -> Noise:
    """How far the examples contradict each other; case, blanks and Unicode forms apart.

    The interval takes the examples of one prompt together, as a cluster; what it loses cannot be below 0.

    Raises:
        ValueError: there is no example.
        UsageError: as `Metric.scores` does.
    """
    groups: dict[Hashable, list[int]] = defaultdict(list)
    for place, example in enumerate(examples):
        asked = tuple((message.role, fold(message.content), message.tool_calls) for message in example.prompt)
        groups[asked, example.tools].append(place)
    lost, clusters, disagreeing = [0.0] * len(examples), [0] * len(examples), 0
    for number, places in enumerate(groups.values()):
        answers = [_answer(examples[place]) for place in places]
        usual = Counter(answers).most_common(1)[0][0]
        written = examples[places[answers.index(usual)]].completion
        for place, answer in zip(places, answers, strict=True):
            clusters[place] = number
            if answer != usual:
                lost[place] = 1 - metric.score(written, examples[place].completion)
        disagreeing += len(places) if any(lost[place] > 0 for place in places) else 0
    repeated = sum(len(places) for places in groups.values() if len(places) > 1)
    found = cluster_interval(lost, [0.0] * len(lost), clusters)
    bounded = Interval(found.estimate, max(0.0, found.low), max(0.0, found.high))
    return Noise(bounded, disagreeing, repeated, len(examples))


def _answer(example: Example) -> Hashable:
    return fold(example.completion), example.messages[-1].tool_calls
