"""The health card from a model and its rows: what is looked at, on how many rows, in which order."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dataset_tools.example import Example
from dataset_tools.rendering import Rendered, render
from training.generation import Generated, generate, padding_token
from training.health.alive import ALIVE_ABOVE, judge_alive, logit_change, moved_matrices
from training.health.card import HealthFinding, HealthReport, grey
from training.health.forgetting import judge_forgetting, measure_forgetting
from training.health.gap import gains, judge_gains, judge_losses, judge_score_gap
from training.health.likelihood import TokenScores, as_base, has_base, token_scores
from training.health.memorised import Memorised, continued, judge_memorised, measure_memorised
from training.health.refusals import judge_refusals, measure_refusals
from training.health.score import judge_score
from training.health.stopping import judge_stopping, measure_stopping
from training.health.texts import general_texts
from training.scoring import Scorer

_QUICK_ROWS, _ALIVE_ROWS, _FEWEST_ROWS = 8, 4, 4


@dataclass(frozen=True)
class _Effort:
    """How much is looked at: rows answered and tokens generated for them, rows read and their tokens, on each side.

    Of the general texts every `texts_step`-th is read.
    """

    answered: int
    new_tokens: int
    read: int
    tokens: int
    texts_step: int


# On a CPU half of the card's time goes into general texts; half of them widen its error 1.4 times.
_CPU, _GPU = _Effort(24, 3_072, 16, 2_048, 2), _Effort(96, 200_000, 64, 65_536, 1)


@dataclass(frozen=True)
class _Looked:
    """The rows that are looked at, as examples and as tokens, cut as in training."""

    examples: list[Example]
    rows: list[Rendered]


def check_health(
    model: Any,
    tokenizer: Any,
    *,
    train: Sequence[Example],
    validation: Sequence[Example],
    max_new_tokens: int,
    losses: tuple[float | None, float | None] = (None, None),
    scorer: Scorer | None = None,
    base_best: Mapping[str, Any] | None = None,
    quick: bool = False,
    base: Any = None,
    objective: str = "sft",
    max_length: int = 1024,
    on_progress: Callable[[str], None] | None = None,
) -> HealthReport:
    """Look at a model right after its training. The model is left as it was.

    Args:
        model: The trained model: a peft model, or a model all of whose weights were trained.
        tokenizer: The base's.
        train: All rows it was trained on.
        validation: Held-out rows. Without any, answers are looked at on training rows, and gap and score are grey.
        max_new_tokens: Where an answer is cut off; above the longest wanted answer.
        losses: The run's last losses (training, validation), for when rows are not read here.
        scorer: The task's metric; without one nothing is scored.
        base_best: ``name``, ``score`` and ``interval`` of the base's best prompt on held-out rows.
        quick: Only whether it is alive, how 8 answers end, and the gap of `losses`.
        base: The model before the training, where all weights were trained; adapters are switched off instead.
        objective: The recipe's. Only after "sft" is the likelihood of the answers what was trained.
        max_length: The recipe's; rows are cut there as in training.
        on_progress: Told what is looked at next.

    Raises:
        ValueError: there is no row, or none keeps a token of its answer at `max_length`.
        DataError: the model's template refuses a row.
    """
    if not train and not validation:
        raise ValueError("health is checked on rows, and there are none")
    tell = on_progress or (lambda phase: None)
    check = _Check(model, tokenizer, base, _CPU if model.device.type == "cpu" else _GPU, max_length, objective)
    tell("does the training show")
    held_out = check.answerable(validation, train, _QUICK_ROWS if quick else check.answer_rows(max_new_tokens))
    change = logit_change(model, tokenizer, held_out.examples[:_ALIVE_ROWS], base=base)
    findings = [judge_alive(change, moved_matrices(model))]
    tell("answering held-out rows")
    answers = check.answer(held_out, max_new_tokens)
    stopping = measure_stopping(model, tokenizer, answers, held_out.rows, limit=max_new_tokens)
    findings.append(judge_stopping(stopping))
    if quick:
        findings.append(judge_losses(*losses) if objective == "sft" else _no_likelihood())
    else:
        comparable = held_out.rows[0].trained and held_out.examples[0] in validation
        scored = (held_out, answers) if comparable else None
        findings += check.at_leisure(train, validation, losses, tell)
        findings += check.scores(train, scored, scorer, base_best, max_new_tokens, tell)
    return HealthReport(
        alive=None if change is None else change > ALIVE_ABOVE,
        logit_change=None if change is None or not math.isfinite(change) else round(change, 3),
        stop_rate=None if stopping.rate is None else round(stopping.rate, 3),
        findings=tuple(findings),
    )


def _no_likelihood() -> HealthFinding:
    reason = "This objective does not train the answers' likelihood; the score tells."
    return grey("gap", "Does it learn or memorise", reason)


@dataclass(frozen=True)
class _Check:
    """A model under examination, and how much of it is looked at."""

    model: Any
    tokenizer: Any
    base: Any
    effort: _Effort
    max_length: int
    objective: str

    def answer_rows(self, max_new_tokens: int) -> int:
        """How many rows to answer, so that the tokens to generate stay within bounds."""
        return max(_QUICK_ROWS, min(self.effort.answered, self.effort.new_tokens // max(1, max_new_tokens)))

    def sample(self, examples: Sequence[Example], most: int, *, trained: bool = True) -> _Looked:
        """Up to `most` rows drawn from all of them, always the same, within the bound of tokens (but at least four).

        Rows that train nothing are left out, or (not `trained`) only those that leave no room for an answer.
        """
        kept: list[Example] = []
        rows: list[Rendered] = []
        tokens = 0
        for index in random.Random(0).sample(range(len(examples)), len(examples)):
            row = render(examples[index], self.tokenizer).truncated(self.max_length)
            if not (row.trained if trained else len(row.ids) < self.max_length):
                continue
            tokens += len(row.ids)
            if len(kept) == most or (len(kept) >= _FEWEST_ROWS and tokens > self.effort.tokens):
                break
            kept.append(examples[index])
            rows.append(row)
        return _Looked(kept, rows)

    def answerable(self, validation: Sequence[Example], train: Sequence[Example], most: int) -> _Looked:
        """Rows to answer: held-out rows, else training rows, else (all are judged as unwanted) any.

        Raises:
            ValueError: no row keeps a token of its answer.
        """
        for rows in (validation, train):
            looked = self.sample(rows, most)
            if looked.rows:
                return looked
        looked = self.sample(validation or train, most, trained=False)
        if not looked.rows:
            raise ValueError(f"no row keeps its answer when cut to {self.max_length} tokens")
        return looked

    def answer(self, rows: _Looked, max_new_tokens: int) -> list[Generated]:
        """Greedy answers to the rows' prompts."""
        return generate(self.model, self.tokenizer, rows.examples, max_new_tokens=max_new_tokens, batch_size=32)

    def at_leisure(
        self,
        train: Sequence[Example],
        validation: Sequence[Example],
        losses: tuple[float | None, float | None],
        tell: Callable[[str], None],
    ) -> list[HealthFinding]:
        """Gap, forgetting, memorised text and refusals."""
        tell("reading training rows and held-out rows")
        own, held = self.sample(train, self.effort.read), self.sample(validation, self.effort.read)
        seen, held_seen = self._read(own.rows), self._read(held.rows)
        findings = [self._gap(own.rows, held.rows, seen, held_seen, losses)]
        tell("reading general texts with and without the training")
        texts = general_texts()[:: self.effort.texts_step]
        findings.append(judge_forgetting(measure_forgetting(self.model, self.tokenizer, base=self.base, texts=texts)))
        tell("asking unrelated questions")
        wanted = [example for example in train if example.desirable is not False]
        halves = (continued(own.rows, seen), continued(held.rows, held_seen))
        memorised = (
            measure_memorised(self.model, self.tokenizer, wanted, halves=halves, base=self.base)
            if wanted
            else Memorised(skipped="There are no wanted answers among the training rows.")
        )
        findings.append(judge_memorised(memorised))
        tell("asking what should be refused")
        completions = [example.completion for example in wanted]
        findings.append(judge_refusals(measure_refusals(self.model, self.tokenizer, completions, base=self.base)))
        return findings

    def _read(self, rows: list[Rendered], model: Any = None) -> list[TokenScores]:
        return token_scores(model or self.model, rows, pad=padding_token(self.tokenizer))

    def _gap(
        self,
        own: list[Rendered],
        held: list[Rendered],
        seen: list[TokenScores],
        held_seen: list[TokenScores],
        losses: tuple[float | None, float | None],
    ) -> HealthFinding:
        if self.objective != "sft":
            return _no_likelihood()
        if not has_base(self.model, self.base):
            return judge_losses(*losses)
        with as_base(self.model, self.base) as untuned:
            before, held_before = self._read(own, untuned), self._read(held, untuned)
        gained = gains(
            [(old.mean, new.mean) for old, new in zip(before, seen, strict=True)],
            [(old.mean, new.mean) for old, new in zip(held_before, held_seen, strict=True)],
        )
        return judge_gains(gained) if gained else judge_losses(*losses)

    def scores(
        self,
        train: Sequence[Example],
        held_out: tuple[_Looked, list[Generated]] | None,
        scorer: Scorer | None,
        base_best: Mapping[str, Any] | None,
        max_new_tokens: int,
        tell: Callable[[str], None],
    ) -> list[HealthFinding]:
        """The score beside the base's best prompt, and beside the score on as many training rows."""
        if scorer is None:
            return [judge_score(None, base_best)]
        if held_out is None:
            return [judge_score([], base_best)]
        looked, answers = held_out
        held_scores = list(scorer(looked.examples, [answer.text for answer in answers]))
        tell("answering training rows")
        own = self.sample(train, len(looked.examples))
        own_scores = list(scorer(own.examples, [answer.text for answer in self.answer(own, max_new_tokens)]))
        return [judge_score_gap(own_scores, held_scores), judge_score(held_scores, base_best)]
