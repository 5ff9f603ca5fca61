"""Whether an artefact that was loaded again is what it should be: the bounds, each with its reason, and the verdict.

Two questions are asked. Is the file a true copy? It is held against the adapter on the same 16-bit base, where only
rounding may differ. And does it serve as the adapter did? It is held against the adapter as it was trained, where for
QLoRA the base differs too (4 bits then, 16 now), so that some answers may change, but the task's score may not fall.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dataset_tools.example import Example
from dataset_tools.rendering import Rendered
from training.export.engines import Engine, TransformersEngine
from training.export.fidelity import Trace, compare, render_answers, trace
from training.export.report import ExportError, Fidelity, Proof, Scores
from training.generation import Generated
from training.models.loading import LoadedModel
from training.scoring import Scorer

# Nats a token by which a true copy may differ. llama.cpp's table for Llama 3 8B (tools/perplexity/README.md) has 0.0014
# for q8_0, 0.005 for 6 bits, 0.011 for 5 and 0.03 for 4. Small models round worse: of the embedded one, measured here,
# weights in bfloat16 and in q8_0 take 0.003 each. A copy that is worse than one in 5 bits has lost more than rounding.
# Both sides are computed in float32 where it fits.
MOST_DIVERGENCE = 0.02
# Share of next tokens that must be the adapter's own, unless the task's score says that the others are as good. A 4-bit
# base and its 16-bit form agree on nine tokens in ten or more; two models that were not meant to be one, on few.
LEAST_NEXT_TOKEN = 0.75
_DRAWS, _SEED = 4000, 0


@dataclass(frozen=True)
class Reference:
    """What an artefact is held against: the adapter's answers to the rows, and its view of each of their tokens."""

    examples: tuple[Example, ...]
    held_out: bool
    max_new_tokens: int
    answers: list[Generated]
    rendered: list[Rendered]
    """The rows with these answers."""
    trained: list[Trace]
    """By the adapter on the base that it was trained on."""
    on_16_bit: list[Trace] | None = None
    """By the adapter on the base's 16-bit weights, not merged; None for the proof of an adapter."""
    scores: tuple[float, ...] | None = None


def take_reference(
    loaded: LoadedModel, examples: Sequence[Example], *, held_out: bool, max_new_tokens: int, scorer: Scorer | None
) -> Reference:
    """Have the adapter, as it was trained, answer the rows."""
    engine = TransformersEngine(loaded)
    answers = engine.answer(examples, max_new_tokens=max_new_tokens)
    rendered = render_answers(examples, answers, loaded.tokenizer)
    scores = tuple(scorer(examples, [answer.text for answer in answers])) if scorer else None
    traced = trace(engine, rendered)
    return Reference(tuple(examples), held_out, max_new_tokens, answers, rendered, traced, scores=scores)


def prove(
    reference: Reference, engine: Engine, *, tokenizer: Any, scorer: Scorer | None, checks: Sequence[str] = ()
) -> Proof:
    """Hold an artefact that was loaded again against the reference.

    Args:
        reference: What to hold it against.
        engine: What runs the artefact.
        tokenizer: For counting answers' tokens.
        scorer: The task's metric.
        checks: What was found right already, in words.

    Raises:
        ExportError: it is not what it should be.
    """
    answers = engine.answer(reference.examples, max_new_tokens=reference.max_new_tokens)
    against_adapter = compare(
        reference.trained, engine, reference.rendered, answers=(reference.answers, answers), tokenizer=tokenizer
    )
    against_16_bit = None
    if reference.on_16_bit is not None:
        against_16_bit = compare(reference.on_16_bit, engine, reference.rendered)
    scores = None
    if scorer is not None and reference.scores is not None:
        found = scorer(reference.examples, [answer.text for answer in answers])
        scores = _paired(reference.scores, found)
    _require_copy(against_16_bit or against_adapter)
    _require_use(against_adapter, scores, rows=len(answers))
    return Proof(engine.name, len(answers), reference.held_out, against_adapter, against_16_bit, scores, tuple(checks))


def _require_copy(found: Fidelity) -> None:
    if not found.divergence <= MOST_DIVERGENCE:
        raise ExportError(
            "The exported model is not the trained one: it finds other tokens likely.",
            found=f"divergence {found.divergence:.3g} nats a token, the same next token in {found.next_token:.0%}",
            expected=f"at most {MOST_DIVERGENCE:g} nats, as rounding leaves it",
            next_step="Export again; where it stays so, export the adapter and report this base model.",
        )


def _require_use(found: Fidelity, scores: Scores | None, *, rows: int) -> None:
    if scores is not None and scores.interval[1] < 0:
        low, high = scores.interval
        raise ExportError(
            "The exported model does the task worse than the adapter.",
            found=f"score {scores.artefact:.3f} against {scores.adapter:.3f} on {rows} rows"
            f" (difference from {low:+.3f} to {high:+.3f})",
            expected="a difference whose 95% interval reaches 0",
            next_step="Export the adapter and serve it on the base as it was trained.",
        )
    as_good = scores is not None and scores.artefact >= scores.adapter
    if not as_good and not found.next_token >= LEAST_NEXT_TOKEN:
        raise ExportError(
            "The exported model answers otherwise than the adapter, and nothing says that it is as good.",
            found=f"the same next token in {found.next_token:.0%}, the same answer in {found.same_answers or 0:.0%}",
            expected=f"the same next token in at least {LEAST_NEXT_TOKEN:.0%}, or a score that is not lower",
            next_step="Prove it on more rows (--rows), or export the adapter and serve it on its base as trained.",
        )


def _paired(adapter: Sequence[float], artefact: Sequence[float]) -> Scores:
    """Both means, and the interval of the difference by a Bayesian bootstrap with two pseudo-rows, at +1 and -1.

    The pseudo-rows keep a few rows without any difference from looking like certainty: from simulations for the
    comparison of approaches, where this keeps its 95% on 20 to 100 rows. An artefact that is as good is refused in
    1 of 40 exports at most, and with fewer than 5 rows none is refused by its score.
    """
    import numpy as np

    differences = [mine - other for other, mine in zip(adapter, artefact, strict=True)]
    weights = np.random.default_rng(_SEED).dirichlet(np.ones(len(differences) + 2), size=_DRAWS)
    low, high = np.quantile(weights @ np.array([*differences, 1.0, -1.0]), [0.025, 0.975])
    return Scores(float(np.mean(adapter)), float(np.mean(artefact)), (round(float(low), 4), round(float(high), 4)))
