"""Memorised training text: three cheap signs. It finds copying by the word; a paraphrase of a training row escapes.

- Continuation: given a row's prompt and the first half of its answer, is the other half the greedy continuation, to
  the token? (Carlini et al. 2023, https://arxiv.org/abs/2202.07646, with up to their 50 tokens.) Some answers can be
  continued by anybody who knows the form, so the share is taken on held-out rows too and subtracted: what is left
  comes of having seen the row (counterfactual memorisation, Zhang et al. 2021, https://arxiv.org/abs/2112.12938).
- Copying: answers to prompts about something else that hold 16 tokens in a row of one training answer. The length is
  our judgement, between the 10 of Ippolito et al. 2023 (https://arxiv.org/abs/2210.17546) and the 50 of Carlini et
  al., as answers are short. What several different training answers share is their form, not one row's text.
- Variety: distinct-2 of these answers (Li et al. 2016, https://arxiv.org/abs/1510.03055) beside the base's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Any

from dataset_tools.example import Example
from dataset_tools.rendering import Rendered
from training.generation import generate
from training.health.card import HealthFinding, grey
from training.health.intervals import difference_interval
from training.health.likelihood import TokenScores, as_base, has_base
from training.health.texts import NEUTRAL_PROMPTS

_ID, _TITLE = "memorised", "Is training text repeated by the word"
RUN = 16
LONGEST_RUN = 50
# Judgement: shares of rows continued by the word, beyond those of held-out rows.
AMBER_EXCESS, RED_EXCESS = 0.2, 0.5
# Judgement: a drop of distinct-2 to this share of the base's.
COLLAPSE = 0.5
_FEWEST_ROWS, _FEWEST_WORDS, _NEW_TOKENS = 4, 60, 32
_PIECE = 4


@dataclass(frozen=True, slots=True)
class Memorised:
    """What was found.

    Attributes:
        train: (rows continued by the word, rows long enough) among training rows.
        validation: the same among held-out rows.
        copied: answers to neutral prompts that copy a training answer.
        asked: how many neutral prompts were asked.
        examples: the copied runs, as text.
        variety: distinct-2 of the answers to neutral prompts: (base's, tuned's, the training answers' own).
        skipped: why nothing was looked at.
    """

    train: tuple[int, int] = (0, 0)
    validation: tuple[int, int] = (0, 0)
    copied: int = 0
    asked: int = 0
    examples: tuple[str, ...] = ()
    variety: tuple[float, float, float] | None = None
    skipped: str | None = None


def too_short(completions: Sequence[Sequence[int]]) -> str | None:
    """Why different answers (as tokens) cannot tell memorised text from a label; None where they can."""
    long = sum(len(completion) >= RUN for completion in completions)
    if long >= _FEWEST_ROWS:
        return None
    middle = median(len(completion) for completion in completions) if completions else 0
    return (
        f"The training answers are too short or too few to be told from labels: {long} different ones have {RUN} "
        f"tokens or more, and half have {middle:.0f} or fewer."
    )


def continued(rows: Sequence[Rendered], scores: Sequence[TokenScores]) -> tuple[int, int]:
    """Of the rows with at least 2 x `RUN` answer tokens, how many have their second half as the greedy continuation.

    No token need be generated: greedy decoding from the first half gives the second half if, and only if, each of its
    tokens is the likeliest after those before it.

    Returns:
        (rows continued, rows long enough).
    """
    halves = [
        score.greedy[len(score.greedy) // 2 :][:LONGEST_RUN]
        for row, score in zip(rows, scores, strict=True)
        if row.trained >= 2 * RUN
    ]
    return sum(all(half) for half in halves), len(halves)


def copied_runs(
    answers: Sequence[Sequence[int]], completions: Sequence[Sequence[int]], known: Sequence[Sequence[int]] = ()
) -> list[tuple[int, ...] | None]:
    """For each answer the first run of `RUN` tokens that it copies from one training answer, or None.

    The run must occur in exactly one training answer, and so must half of the runs of four in it: a form with one
    word filled in is no copy.

    Args:
        answers: As tokens.
        completions: The training answers, as tokens; equal ones count as one.
        known: Answers of the base: their runs need no training.
    """
    runs = {run for answer in answers for run in _runs(answer, RUN)}
    runs -= {run for answer in known for run in _runs(answer, RUN)}
    different = {tuple(completion) for completion in completions}
    single = {run for run, owners in _owners(runs, different, RUN).items() if owners == 1}
    pieces = _owners({piece for run in single for piece in _runs(run, _PIECE)}, different, _PIECE)

    def is_own(run: tuple[int, ...]) -> bool:
        own = [pieces[piece] == 1 for piece in _runs(run, _PIECE)]
        return 2 * sum(own) >= len(own)

    copies = {run for run in single if is_own(run)}
    return [next((run for run in _runs(answer, RUN) if run in copies), None) for answer in answers]


def _runs(tokens: Sequence[int], length: int) -> Iterator[tuple[int, ...]]:
    return (tuple(tokens[at : at + length]) for at in range(len(tokens) - length + 1))


def _owners(runs: set[tuple[int, ...]], completions: set[tuple[int, ...]], length: int) -> dict[tuple[int, ...], int]:
    """How many of the answers hold each of the runs; what none holds is left out."""
    owners: dict[tuple[int, ...], int] = {}
    for completion in completions:
        for run in {run for run in _runs(completion, length) if run in runs}:
            owners[run] = owners.get(run, 0) + 1
    return owners


def distinct_2(texts: Sequence[str], *, words: int) -> float:
    """Different pairs of neighbouring words by all pairs, over `words` pairs (the figure falls with length)."""
    pairs: list[tuple[str, str]] = []
    for text in texts:
        pairs += pairwise(text.lower().split())
    pairs = pairs[:words]
    return len(set(pairs)) / len(pairs) if pairs else 0.0


def measure_memorised(
    model: Any,
    tokenizer: Any,
    train: Sequence[Example],
    *,
    halves: tuple[tuple[int, int], tuple[int, int]],
    base: Any = None,
) -> Memorised:
    """Ask neutral prompts and compare with the training answers.

    Args:
        model: The tuned model.
        tokenizer: Its tokenizer.
        train: All rows that it was trained on.
        halves: `continued` of training rows and of held-out rows.
        base: The model before training, where it is not the same with its adapter off.
    """
    texts = list(dict.fromkeys(example.completion for example in train if example.completion))
    completions = tokenizer(texts, add_special_tokens=False)["input_ids"] if texts else []
    skipped = too_short(completions)
    if skipped:
        return Memorised(skipped=skipped)
    questions = {example.question.strip().lower() for example in train}
    asked = [Example.of(prompt, "-") for prompt in NEUTRAL_PROMPTS if prompt.lower() not in questions]
    answers = _ask(model, tokenizer, asked)
    before: list[str] = []
    if has_base(model, base):
        with as_base(model, base) as untuned:
            before = _ask(untuned, tokenizer, asked)
    known = tokenizer(before, add_special_tokens=False)["input_ids"] if before else []
    runs = copied_runs(tokenizer(answers, add_special_tokens=False)["input_ids"], completions, known)
    copies = [run for run in runs if run]
    words = min(sum(len(answer.split()) for answer in several) for several in (before, answers, texts))
    variety = tuple(distinct_2(several, words=words) for several in (before, answers, texts))
    return Memorised(
        train=halves[0],
        validation=halves[1],
        copied=len(copies),
        asked=len(asked),
        examples=tuple(dict.fromkeys(tokenizer.decode(list(run)).strip() for run in copies)),
        variety=(variety[0], variety[1], variety[2]) if words >= _FEWEST_WORDS else None,
    )


def _ask(model: Any, tokenizer: Any, asked: Sequence[Example]) -> list[str]:
    given = generate(model, tokenizer, asked, max_new_tokens=_NEW_TOKENS, batch_size=len(asked) or 1)
    return [answer.text for answer in given]


def judge_memorised(seen: Memorised) -> HealthFinding:
    """The light: red for copies on unrelated prompts or many rows known by heart, amber for less of it."""
    if seen.skipped:
        return grey(_ID, _TITLE, seen.skipped)
    excess, low = _excess(seen)
    value = f"{seen.copied} of {seen.asked} unrelated prompts answered with training text"
    figures = {"copied": float(seen.copied), "asked": float(seen.asked)}
    if excess is not None:
        value += f"; {seen.train[0]} of {seen.train[1]} training answers known by heart"
        figures |= {"continued_train": seen.train[0] / seen.train[1]}
        figures |= {"continued_validation": seen.validation[0] / seen.validation[1]}
    if seen.variety:
        figures |= {"distinct_2_base": seen.variety[0], "distinct_2": seen.variety[1]}
    sure = excess is not None and low > 0
    reasons = _reasons(seen, excess if sure else None)
    if not reasons:
        note = "" if excess is not None else " Too few long answers to see whether rows are known by heart."
        return HealthFinding(_ID, "green", _TITLE, value, "No sign of it." + note, None, figures)
    heavy = seen.copied >= 2 or (excess is not None and sure and excess >= RED_EXCESS)
    reason = " ".join([*reasons, "Use fewer epochs, more rows, or a lower rank."])
    return HealthFinding(_ID, "red" if heavy else "amber", _TITLE, value, reason, "epochs", figures)


def _excess(seen: Memorised) -> tuple[float | None, float]:
    """How much more often training rows are continued than held-out rows, and the low end of its interval."""
    (hits, rows), (held_hits, held_rows) = seen.train, seen.validation
    if min(rows, held_rows) < _FEWEST_ROWS:
        return None, 0.0
    low, _ = difference_interval([1] * hits + [0] * (rows - hits), [1] * held_hits + [0] * (held_rows - held_hits))
    return hits / rows - held_hits / held_rows, low


def _reasons(seen: Memorised, excess: float | None) -> list[str]:
    """What speaks for memorising, one sentence a sign; empty where nothing does."""
    reasons = []
    if seen.copied:
        reasons.append(f'Answers to unrelated prompts copy training answers: "{seen.examples[0]}".')
    if excess is not None and excess >= AMBER_EXCESS:
        share = seen.validation[0] / seen.validation[1]
        reasons.append(
            f"{seen.train[0] / seen.train[1]:.0%} of training answers are continued to the token from their first "
            f"half, and {share:.0%} of held-out ones."
        )
    if seen.variety and seen.variety[1] <= COLLAPSE * min(seen.variety[0], seen.variety[2]):
        reasons.append(
            f"Answers vary less: distinct-2 is {seen.variety[1]:.2f}, the base's {seen.variety[0]:.2f}, that of the "
            f"training answers {seen.variety[2]:.2f}."
        )
    return reasons
