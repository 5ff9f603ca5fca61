"""The probes: one thing in the prompt is changed, and the change in the score is what the model lacked.

All on the untuned model, on validation rows or rows held out from the pool, never on a test row; all scores are
lenient, but for the one that the format is judged by. Asking a model what it knows gives answers that contradict each
other (arxiv.org/abs/2505.21701); so does a rule on the data, which hardly predicts what training gains (LoRA Land,
arxiv.org/abs/2405.00732, figure 8). The probes themselves are a judgement that was built on such findings.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean

from advisor.answering.answer import Answer
from advisor.approaches.approach import Tools
from advisor.approaches.few_shot import Demonstrations, with_demonstrations
from advisor.approaches.retrieval import nothing_shared, share_found, with_passages
from advisor.approaches.tuning import Prompt
from advisor.diagnosis.gap import Gap, among_tries, in_order, likelier, measured, unmeasured
from advisor.diagnosis.lenient import LenientReader
from advisor.diagnosis.noise import noise_of
from advisor.metrics import Metric
from advisor.retrieval import Passage, reranker
from advisor.statistics import Interval, paired_interval
from advisor.task import LeakGuard
from dataset_tools.example import Example

Ask = Callable[[Sequence[Prompt], Sequence[Example]], list[Answer]]
"""Answers prompts; each comes with its example, for the tools that it declares."""
Nll = Callable[[Sequence[Prompt], Sequence[str]], list[tuple[float, int]]]
"""Prompts and their wanted answers to sums of negative log likelihoods, in nats, and counts of tokens."""
Sample = Callable[[Sequence[Prompt]], list[tuple[str, ...]] | None]
"""Prompts to ``TRIES`` drawn answers each; None where nothing can be drawn."""
Scores = tuple[float, ...]

TRIES = 8
"""Drawn answers a prompt (SCIENCE 1: pass@8 at a temperature of about .7, with worked examples, against pass@1)."""

TEMPERATURE = 0.7
"""Of the drawn answers."""

_BY_LUCK = (
    0.5  # where as many guesses among the labels would be right as often as that, tries tell nothing. A judgement.
)

_FROM_DOCUMENTS = ("knowledge", "retrieval", "reading")
# A right answer in other words gets far less than 1 of these, so what is missing to 1 is no gap.
_NEVER_FULL = ("rouge-l", "bleu", "chrf")
# Passages hold an answer where they have half of its words: in a document they may stand in other forms. A judgement.
_HELD = 0.5
_ROUNDING = 1e-9


def diagnose(
    tools: Tools,
    *,
    metric: Metric,
    answer: Ask,
    rows: int,
    nll: Nll | None = None,
    larger: Ask | None = None,
    sample: Sample | None = None,
    sampled: int = 0,
    tell: Callable[[str], None] | None = None,
) -> tuple[Gap, ...]:
    """What keeps the untuned model from being right, the largest gap first. It explains; no verdict is made from it.

    Args:
        tools: Hand out rows, documents and the sizes of prompts; nothing of theirs is tuned.
        metric: Scores answers.
        answer: Answers with the untuned model. It is asked at most four times ``rows`` prompts; no prompt twice.
        rows: Examples to look at: the first of the validation rows; without any at most half of the pool, the other
            half serving as worked examples.
        nll: Gives likelihoods of wanted answers, where the model's are at hand.
        larger: Answers with a larger model, where one is allowed.
        sample: Draws answers of the untuned model, where it is at hand.
        sampled: On how many of the examples it may; 0: there is no time for it.
        tell: Told what is done next, in words.

    Returns:
        The seven gaps, those that could not be measured with a reason in place of a size, up to three differences
        of likelihoods, and what the best of several tries is worth. What was spent is in their ``answers``.

    Raises:
        UsageError: the metric cannot score an answer.
    """
    noise = _noise(tools, metric)
    tools, examples = _set_apart(tools, rows)
    if not examples:
        why = "there are no examples to spare for it"
        return in_order(
            [*(unmeasured(name, why) for name in ("format", "behaviour", *_FROM_DOCUMENTS, "capacity")), noise]
        )
    probes = _Probes(tools, metric, answer, examples, tell or (lambda phase: None))
    gaps = [*probes.without_documents(), *probes.with_documents(), probes.capacity(larger), noise]
    gaps += [*([probes.tries(sample, sampled)] if sample else []), *(probes.likelihoods(nll) if nll else [])]
    return in_order(gaps)


def _set_apart(tools: Tools, rows: int) -> tuple[Tools, tuple[Example, ...]]:
    """The rows to ask, and tools whose pool has none of them, nor a near-duplicate of one."""
    task = tools.task
    if task.validation or rows < 1:
        return tools, task.validation[: max(0, rows)]
    drawn = random.Random(0).sample(range(len(task.pool)), min(rows, len(task.pool) // 2))
    apart = tuple(task.pool[place] for place in sorted(drawn))
    rest = LeakGuard(apart, task.pool).clean(row for place, row in enumerate(task.pool) if place not in set(drawn))
    if not rest:
        return tools, ()
    return replace(tools, task=replace(task, pool=rest)), apart


def _noise(tools: Tools, metric: Metric) -> Gap:
    task = tools.task
    if metric.name == "code-tests":
        return unmeasured("noise", "the wanted answers are tests, and two sets of tests may both be right")
    found = noise_of([*task.pool, *task.validation], metric)
    if not found.repeated:
        return unmeasured("noise", "no prompt occurs more than once, and only such prompts show whether answers differ")
    what = "the commonest answer to each prompt would still miss {}"
    besides = (
        f"{found.repeated:,} have a prompt that occurs more than once, {found.disagreeing:,} one that occurs with "
        f"another answer; on examples like all these no approach can pass {100 - 100 * found.lost.estimate:.1f}."
    )
    return measured("noise", found.lost, rows=found.rows, what=what, besides=besides)


@dataclass
class _Probes:
    """The rows with what was answered and scored so far."""

    tools: Tools
    metric: Metric
    answer: Ask
    examples: tuple[Example, ...]
    tell: Callable[[str], None]
    _known: dict[tuple[Prompt, str | None], str] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        pool = self.tools.task.pool
        self.wanted = [example.completion for example in self.examples]
        labels = [row.completion for row in (*pool, *self.tools.task.validation)]
        self.reader = LenientReader(self.metric, kind=self.tools.task.kind, known=labels)
        self.shown = Demonstrations(self.tools)
        self.block = self.shown.block(self.tools.demonstrations[0])

    def without_documents(self) -> list[Gap]:
        """Format and behaviour. The prompts that score better, with or without worked examples, serve the rest."""
        zero, spent = self._ask([example.prompt for example in self.examples], "as it is")
        strict = self.metric.scores(zero, self.wanted)
        self.bare = self.reader.scores(zero, self.wanted, strict=strict)
        form = self._difference(
            "format", (self.bare, strict), what="reading its answers leniently would add {}", answers=spent
        )
        if not self.reader.can_read:
            form = unmeasured("format", f"the metric {self.metric.title} reads answers leniently itself", answers=spent)
        fixed, spent = self._answers([self._prompt(example, (), self.block) for example in self.examples], "examples")
        what = f"{_counted(len(self.block), 'worked example')}, the same for all, would add {{}}"
        behaviour = self._difference("behaviour", (fixed, self.bare), what=what, answers=spent)
        self.fixed = fixed
        helps = fmean(fixed) > fmean(self.bare) + _ROUNDING
        self.base, self.base_block = (fixed, self.block) if helps else (self.bare, [])
        return [form, behaviour]

    def with_documents(self) -> list[Gap]:
        """Knowledge, retrieval and reading: with passages that were found with the wanted answer, and without it."""
        reason = _no_documents(self.tools)
        if reason:
            return [unmeasured(name, reason) for name in _FROM_DOCUMENTS]
        best, found = self._passages(with_answer=True), self._passages(with_answer=False)
        oracle, spent = self._answers(self._with_passages(best, self.base_block), "the best passages")
        what = f"the best passages, found with the wanted answer as well, would add {{}}{self._beside()}"
        knowledge = self._difference(
            "knowledge", (oracle, self.base), what=what, answers=spent, besides=self._overlap()
        )
        real, spent = self._answers(self._with_passages(found, self.base_block), "passages that were searched for")
        what = "the best passages would add {} to what those add that the question alone finds"
        retrieval = self._difference(
            "retrieval", (oracle, real), what=what, answers=spent, besides=self._found(best, found)
        )
        return [knowledge, retrieval, self._reading(oracle, best)]

    def capacity(self, larger: Ask | None) -> Gap:
        """A larger model with the bare prompts."""
        if larger is None:
            return unmeasured("capacity", "no larger model was given")
        self.tell("looking for gaps: the larger model")
        answers = [one.text for one in larger([example.prompt for example in self.examples], self.examples)]
        scores = self.reader.scores(answers, self.wanted, strict=self.metric.scores(answers, self.wanted))
        what = "a larger model, asked without worked examples, would add {}"
        return self._difference("capacity", (scores, self.bare), what=what, answers=len(answers))

    def tries(self, sample: Sample, rows: int) -> Gap:
        """Whether one of several drawn answers is right where its own is not; rows with declared tools are left out."""
        places = [place for place, example in enumerate(self.examples) if example.tools is None][:rows]
        if not places:
            return unmeasured("tries", "there is no time for it")
        labels = {row.completion for row in self.tools.task.pool}
        if self.tools.task.kind == "classification" and 1 - (1 - 1 / len(labels)) ** TRIES >= _BY_LUCK:
            return unmeasured("tries", f"eight guesses among {len(labels)} labels are often right by luck")
        self.tell("looking for gaps: the best of eight tries")
        drawn = sample([self._prompt(self.examples[place], (), self.block) for place in places])
        if drawn is None:
            return unmeasured("tries", "this model's answers are not drawn")
        texts = [text for row in drawn for text in row]
        wanted = [self.wanted[place] for place in places for _ in range(TRIES)]
        scores = self.reader.scores(texts, wanted, strict=self.metric.scores(texts, wanted))
        best = [max(scores[start : start + TRIES]) for start in range(0, len(scores), TRIES)]
        own = [self.fixed[place] for place in places]
        return among_tries(paired_interval(best, own), best=fmean(best), rows=len(places), answers=len(texts))

    def likelihoods(self, nll: Nll) -> list[Gap]:
        """How much likelier the wanted answers get; of rows without declared tools, which ``nll`` does not take."""
        plain = [place for place, example in enumerate(self.examples) if example.tools is None]
        if not plain:
            return []
        bare = [example.prompt for example in self.examples]
        shown = {"likelihood-behaviour": [self._prompt(row, (), self.block) for row in self.examples]}
        if not _no_documents(self.tools):
            best = self._passages(with_answer=True)
            shown["likelihood-knowledge"] = self._with_passages(best, [])
            shown["likelihood-both"] = self._with_passages(best, self.block)
        self.tell("looking for gaps: how likely the wanted answers are")
        before = self._nats(nll, bare, plain)
        gaps = []
        for name, prompts in shown.items():
            after = self._nats(nll, prompts, plain)
            gains = [one - other for one, other in zip(before, after, strict=True)]
            gaps.append(likelier(name, _interval_of(gains), rows=len(plain)))
        return gaps

    def _nats(self, nll: Nll, prompts: Sequence[Prompt], plain: Sequence[int]) -> list[float]:
        sums = nll([prompts[place] for place in plain], [self.wanted[place] for place in plain])
        return [total / max(1, count) for total, count in sums]

    def _ask(self, prompts: Sequence[Prompt], what: str) -> tuple[list[str], int]:
        """The answers, and how many of them were new: of equal prompts one is asked."""
        keys = [(prompt, example.tools) for prompt, example in zip(prompts, self.examples, strict=True)]
        new = {key: example for key, example in zip(keys, self.examples, strict=True) if key not in self._known}
        if new:
            self.tell(f"looking for gaps: asked {what}, {_counted(len(new), 'answer')}")
            answers = self.answer([prompt for prompt, _ in new], list(new.values()))
            self._known.update(zip(new, (one.text for one in answers), strict=True))
        return [self._known[key] for key in keys], len(new)

    def _answers(self, prompts: Sequence[Prompt], what: str) -> tuple[Scores, int]:
        """The lenient scores of the answers, and how many answers were new."""
        texts, spent = self._ask(prompts, f"with {what}")
        return self.reader.scores(texts, self.wanted, strict=self.metric.scores(texts, self.wanted)), spent

    def _difference(
        self, name: str, scores: tuple[Scores, Scores], *, what: str, answers: int = 0, besides: str = ""
    ) -> Gap:
        size = paired_interval(*scores)
        return measured(name, size, rows=len(self.examples), what=what, besides=besides, answers=answers)

    def _reading(self, oracle: Scores, best: Sequence[Sequence[Passage]]) -> Gap:
        """What the best passages leave, on rows whose answer they hold; elsewhere there is nothing to read."""
        if self.metric.name.partition(":")[0] in _NEVER_FULL:
            missing = f"a right answer in other words does not get full marks of {self.metric.title} either"
            return unmeasured("reading", f"with the best passages it scores {100 * fmean(oracle):.1f}, and {missing}")
        shares = [share_found([answer], passages) for answer, passages in zip(self.wanted, best, strict=True)]
        held = [share is None or share >= _HELD for share in shares]
        if not any(held):
            return unmeasured("reading", "the best passages hold none of these wanted answers")
        could = tuple(1.0 if holds else score for holds, score in zip(held, oracle, strict=True))
        besides = f"The best passages hold {sum(held)} of these {_counted(len(held), 'wanted answer')}."
        what = "with the best passages it still misses {}"
        return self._difference("reading", (could, oracle), what=what, besides=besides)

    def _beside(self) -> str:
        return f", beside {_counted(len(self.base_block), 'worked example')}," if self.base_block else ""

    def _overlap(self) -> str:
        """Of the wanted answers, what the documents have at all."""
        share = share_found((row.completion for row in self.tools.task.pool), self.tools.index.passages)
        return "" if share is None else f"The documents have {share:.0%} of the words of the wanted answers."

    def _found(self, best: Sequence[Sequence[Passage]], found: Sequence[Sequence[Passage]]) -> str:
        first = sum(one[0] in other for one, other in zip(best, found, strict=True) if one)
        return f"The search finds the best passage for {first} of {_counted(len(found), 'question')}."

    def _passages(self, *, with_answer: bool) -> list[list[Passage]]:
        """The passages for each row, best first, as `rag` finds them; an oracle's query has the wanted answer too."""
        queries = [self.tools.distinct(example) for example in self.examples]
        if with_answer:
            queries = [f"{query}\n{answer}" for query, answer in zip(queries, self.wanted, strict=True)]
        return self.tools.index.search(queries, count=self.tools.passages[0], rerank=reranker())

    def _with_passages(self, passages: Sequence[Sequence[Passage]], block: Sequence[Example]) -> list[Prompt]:
        return [self._prompt(row, found, block) for row, found in zip(self.examples, passages, strict=True)]

    def _prompt(self, example: Example, passages: Sequence[Passage], block: Sequence[Example]) -> Prompt:
        """The prompt with passages after the block; what does not fit is left out, passages first, the worst first."""
        for count in range(len(passages), 0, -1):
            asked = Example((*with_passages(example, passages[:count]), example.messages[-1]))
            prompt = with_demonstrations(asked, [row for row in block if row.prompt != example.prompt])
            if self.tools.fits(prompt):
                return prompt
        return self.shown.fitting(example, block, keep_last=False)


def _no_documents(tools: Tools) -> str:
    """Why nothing can be told of documents; empty where something can."""
    if not tools.documents:
        return "there are no documents"
    if not tools.clean_passages(tools.passages[1]):
        return "all passages of the documents quote test rows"
    return nothing_shared(tools)


def _interval_of(differences: Sequence[float]) -> Interval:
    """The paired interval of differences without bounds, scaled to the largest that was seen: there the ends are."""
    largest = max(abs(difference) for difference in differences) or 1.0
    gains = [max(0.0, difference / largest) for difference in differences]
    losses = [max(0.0, -difference / largest) for difference in differences]
    return Interval(*(end * largest for end in paired_interval(gains, losses)))


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}" + ("" if count == 1 else "s")
