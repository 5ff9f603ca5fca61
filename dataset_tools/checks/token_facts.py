"""What the model's tokenizer and template make of a draw of the rows: lengths, ends of turns, odd rows."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import median
from typing import Any

from dataset_tools.checks.base import Check, DatasetCheck, Hit, Setting, hit_at
from dataset_tools.errors import DataError
from dataset_tools.example import Example
from dataset_tools.rendering import Rendered, render, row_texts

DRAWN = 2_000  # rows: their 95th percentile is within one percentile of the file's, 19 times of 20
MIN_ROWS = 30  # of fewer nothing can be called usual
_TRIED = 50  # rows that tell how the template writes them
_BYTES = 200  # of a row; the tokens of a shorter one tell nothing
_OFF = 2.5  # times fewer bytes a token than usual
_POOR = 2.0  # bytes a token; English has 4 to 5, and scripts that a tokenizer knows have 2.5 or more
_MANY = 0.02


@dataclass(frozen=True, slots=True)
class Drawn:
    """A row of the draw, its tokens, and its bytes as rendered."""

    example: Example
    rendered: Rendered
    bytes: int

    @property
    def bytes_per_token(self) -> float:
        """How many bytes a token stands for."""
        return self.bytes / max(1, len(self.rendered.ids))


class TokenFacts:
    """The rows of a draw, rendered once for all checks that ask; ask when the rows have passed."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self.tokenizer: Any = setting.tokenizer

    @cached_property
    def drawn(self) -> list[Drawn]:
        """Up to 2,000 rows that the template takes."""
        views = self._setting.views
        drawn = views if len(views) <= DRAWN else random.Random(0).sample(views, DRAWN)
        made = []
        for example in (view.example for view in drawn):
            try:
                rendered = render(example, self.tokenizer)
            except DataError:
                continue
            size = sum(len(turn.content.encode("utf-8", errors="surrogatepass")) for turn in example.messages)
            made.append(Drawn(example, rendered, size))
        return made

    def answer_ids(self, row: Drawn) -> list[int]:
        """The tokens that are trained."""
        return [token for token, on in zip(row.rendered.ids, row.rendered.mask, strict=True) if on]


def _lengths(setting: Setting) -> Iterator[Hit]:
    drawn = setting.share(TokenFacts).drawn
    if not drawn:
        return
    sizes = sorted(len(row.rendered.ids) for row in drawn)
    trained = sorted(row.rendered.trained for row in drawn)
    total = sum(sizes) / len(sizes) * setting.usable
    of = "all rows" if len(drawn) == setting.usable else f"{len(drawn):,} rows drawn of {setting.usable:,}"
    yield Hit(
        f"tokens a row, prompt and answer: 5% have {_at(sizes, 0.05):,} or fewer, half {_at(sizes, 0.5):,}, 95% "
        f"{_at(sizes, 0.95):,}, the longest {sizes[-1]:,}; trained of these: half have {_at(trained, 0.5):,} or fewer, "
        f"95% {_at(trained, 0.95):,} ({of}; about {_rounded(total)} tokens an epoch)"
    )


def _stop_token(setting: Setting) -> Iterator[Hit]:
    facts = setting.share(TokenFacts)
    tokenizer = facts.tokenizer
    ends = {answer[-1] for row in facts.drawn[:_TRIED] if (answer := facts.answer_ids(row))}
    other = sorted(ends - {tokenizer.eos_token_id})
    if other:
        named = ", ".join(repr(tokenizer.convert_ids_to_tokens(token)) for token in other[:3])
        yield Hit(f"answers end with {named}, and the tokenizer's end token is {tokenizer.eos_token!r}")


def _pad_is_stop(setting: Setting) -> Iterator[Hit]:
    tokenizer = setting.tokenizer
    if tokenizer.pad_token_id is not None and tokenizer.pad_token_id == tokenizer.eos_token_id:
        yield Hit(f"{tokenizer.eos_token!r} is both; here the end is trained, as the loss goes by place, not by token")


def _double_start(setting: Setting) -> Iterator[Hit]:
    facts = setting.share(TokenFacts)
    start = facts.tokenizer.bos_token_id
    for row in facts.drawn if start is not None else ():
        if row.rendered.ids[:2] == [start, start]:
            yield hit_at(row.example, f"the row begins with {facts.tokenizer.bos_token!r} twice")


def _boundary(setting: Setting) -> Iterator[Hit]:
    """Rows whose prompt has other tokens when prompt and answer are tokenised in one piece."""
    facts = setting.share(TokenFacts)
    rows = facts.drawn[:_TRIED]
    moved = 0
    for row in rows:
        before, after = row_texts(row.example, facts.tokenizer)
        prompt, whole = facts.tokenizer([before, before + after], add_special_tokens=False)["input_ids"]
        moved += list(whole[: len(prompt)]) != list(prompt)
    if moved:
        yield Hit(f"{moved} of {len(rows)} prompts end in other tokens when the answer is tokenised with them")


def _unknown_tokens(setting: Setting) -> Iterator[Hit]:
    facts = setting.share(TokenFacts)
    unknown = facts.tokenizer.unk_token_id
    if unknown is None or unknown == facts.tokenizer.eos_token_id:
        return
    for row in facts.drawn:
        count = row.rendered.ids.count(unknown)
        if count:
            yield hit_at(row.example, f"{count} of {len(row.rendered.ids)} tokens are {facts.tokenizer.unk_token!r}")


def _poor_fit(setting: Setting) -> Iterator[Hit]:
    """A file whose text the tokenizer cuts to pieces, or single rows of which that can be said."""
    rows = [row for row in setting.share(TokenFacts).drawn if row.bytes >= _BYTES]
    if len(rows) < MIN_ROWS:
        return
    usual = median(row.bytes_per_token for row in rows)
    if usual < _POOR:
        yield Hit(f"half of the rows have {usual:.1f} bytes a token or fewer; text that it knows has 3 to 5")
        return
    odd = [row for row in rows if row.bytes_per_token < usual / _OFF]
    if len(odd) <= _MANY * len(rows):
        for row in odd:
            yield hit_at(row.example, f"{row.bytes_per_token:.1f} bytes a token, where {usual:.1f} is usual")


def _at(ordered: Sequence[int], share: float) -> int:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _rounded(number: float) -> str:
    for size, name in ((1e9, "billion"), (1e6, "million")):
        if number >= size:
            return f"{number / size:.1f} {name}"
    return f"{round(number, -2 if number >= 1_000 else 0):,.0f}"


CHECKS: tuple[Check, ...] = (
    DatasetCheck(
        id="token-lengths",
        severity="info",
        family="tokens",
        title="how long the rows are",
        why="Memory and time of training go by the longest rows and by their sum.",
        run=_lengths,
        needs=("tokenizer",),
    ),
    DatasetCheck(
        id="end-of-turn-is-not-end-token",
        severity="info",
        family="tokens",
        title="answers do not end with the tokenizer's end token",
        why="Programs that stop at the end token alone will let the model talk on; the end of the turn has to stop it.",
        run=_stop_token,
        needs=("tokenizer",),
    ),
    DatasetCheck(
        id="padding-is-end-token",
        severity="info",
        family="tokens",
        title="padding and end are one token",
        why="A trainer that takes padding out of the loss by its token takes the end out too: the model never stops.",
        run=_pad_is_stop,
        needs=("tokenizer",),
    ),
    DatasetCheck(
        id="start-token-twice",
        severity="warning",
        family="tokens",
        title="the start token comes twice",
        why="The model was never trained so; text and template both bring one.",
        run=_double_start,
        needs=("tokenizer",),
    ),
    DatasetCheck(
        id="prompt-tokens-differ",
        severity="info",
        family="tokens",
        title="where the prompt ends depends on how it is tokenised",
        why="Here prompt and answer are tokenised apart, as when it is asked; other trainers mask one token off.",
        run=_boundary,
        needs=("tokenizer",),
    ),
    DatasetCheck(
        id="unknown-tokens",
        severity="warning",
        family="tokens",
        title="text that the tokenizer does not know",
        why="All unknown signs are one token, so the model cannot learn to read or write them.",
        run=_unknown_tokens,
        needs=("tokenizer",),
    ),
    DatasetCheck(
        id="poor-tokenizer-fit",
        severity="warning",
        family="tokens",
        title="many tokens for little text",
        why="Text that is cut to single bytes is of a script or kind that the model hardly saw, and costs more.",
        run=_poor_fit,
        needs=("tokenizer",),
    ),
)
