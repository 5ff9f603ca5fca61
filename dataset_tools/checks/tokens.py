"""Checks with the model's own tokenizer and chat template: what training will really see. It loads no tokenizer."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from dataset_tools.checks import long_fixes, token_facts
from dataset_tools.checks.base import Check, ExampleCheck, ExampleView, Setting
from dataset_tools.checks.fix import Fix
from dataset_tools.checks.lengths import Lengths

Run = Callable[[ExampleView], Iterable[str]]


def _over_long(setting: Setting) -> Run:
    lengths = setting.share(Lengths)

    def run(view: ExampleView) -> Iterable[str]:
        row = lengths.over_limit(view)
        if row is not None and row.answer_left:
            yield f"{row.tokens} tokens, more than {setting.max_length}: the end of the answer is cut off"

    return run


def _answer_truncated(setting: Setting) -> Run:
    lengths = setting.share(Lengths)

    def run(view: ExampleView) -> Iterable[str]:
        row = lengths.over_limit(view)
        if row is not None and not row.answer_left:
            limit = setting.max_length
            yield f"the prompt alone has {row.prompt_tokens} tokens of {limit}: nothing of the answer is left"

    return run


def _nothing_trained(setting: Setting) -> Run:
    lengths = setting.share(Lengths)

    def run(view: ExampleView) -> Iterable[str]:
        reason = lengths.untrained(view)
        return [reason] if reason else ()

    return run


def _special_tokens(setting: Setting) -> Run:
    tokens = sorted(filter(None, setting.tokenizer.all_special_tokens), key=len, reverse=True)
    pattern = re.compile("|".join(map(re.escape, tokens)) or r"(?!)")

    def run(view: ExampleView) -> Iterable[str]:
        found = pattern.search(view.text)
        return [f"the text contains {found.group()!r}"] if found else ()

    return run


def _template_refuses(setting: Setting) -> Run:
    lengths = setting.share(Lengths)

    def run(view: ExampleView) -> Iterable[str]:
        reason = lengths.refusal(view)
        return [reason] if reason else ()

    return run


def _template_drops(setting: Setting) -> Run:
    lengths = setting.share(Lengths)

    def run(view: ExampleView) -> Iterable[str]:
        return [f"the template leaves out {what}" for what in lengths.dropped(view)]

    return run


CHECKS: tuple[Check, ...] = (
    ExampleCheck(
        id="template-refuses-row",
        severity="error",
        title="the model's chat template does not take the row",
        why="What cannot be rendered cannot be trained on.",
        family="tokens",
        start=_template_refuses,
        needs=("tokenizer",),
    ),
    ExampleCheck(
        id="template-drops",
        severity="warning",
        title="the model's chat template leaves something out",
        why="What the template does not print is neither read nor trained on, without a word.",
        family="tokens",
        start=_template_drops,
        needs=("tokenizer",),
    ),
    ExampleCheck(
        id="over-long",
        severity="warning",
        title="longer than the model is trained on",
        why="What is over the limit is cut off, so the model learns to stop in the middle.",
        family="tokens",
        start=_over_long,
        needs=("tokenizer", "max_length"),
        fix=long_fixes.FIX,
    ),
    ExampleCheck(
        id="answer-truncated",
        severity="error",
        title="the answer is cut away entirely",
        why="A row without a trained token teaches nothing; TRL drops such rows without a word.",
        family="tokens",
        start=_answer_truncated,
        needs=("tokenizer", "max_length"),
        fix=long_fixes.FIX,
    ),
    ExampleCheck(
        id="no-trained-token",
        severity="error",
        title="nothing of the row is trained on",
        why="Trainers drop such a row without a word, or count it as a step that teaches nothing.",
        family="tokens",
        start=_nothing_trained,
        needs=("tokenizer",),
        fix=Fix(what="drop the row", drop=True),
    ),
    ExampleCheck(
        id="special-tokens-in-text",
        severity="warning",
        title="a special token of the model in the text",
        why="The tokenizer takes it for a control mark: a turn ends in the middle of a sentence, or a new one begins.",
        family="tokens",
        start=_special_tokens,
        needs=("tokenizer",),
    ),
    *token_facts.CHECKS,
)
