"""No pattern and no check of texts, labels and privacy is slow, whatever a row holds."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from check_cases import CHECKS, said

from dataset_tools.checks import (
    answers,
    characters,
    code_answers,
    identities,
    json_answers,
    labels,
    language,
    markup,
    monotony,
    numbers,
    privacy,
    remains,
    repetition,
    scan,
    secrets,
    spacing,
    swearing,
    texts,
    vectors,
    wording,
)
from dataset_tools.checks.base import ExampleCheck

WALES = "\U0001f3f4\U000e0067\U000e0062\U000e0077\U000e006c\U000e0073\U000e007f"

MODULES = (
    *(answers, characters, json_answers, labels, language, markup, numbers, privacy, repetition, scan, secrets, texts),
    *(wording, code_answers, identities, monotony, remains, spacing, swearing, vectors),
)
UNITS = (
    "a", "A", "1", "@", " ", "\n", "-", "=", "_", "<", "&", "[", "{", "\\n", ".", "/", ":", "#", "`", "\x00", "\u00e9",
    "\u200d", "\ufffd", WALES, "1 ", "1-", "1.", "a.", "a@", "@a", "a@a.", "<a ", "<br ", "sk-", "sk-a1", "eyJa.", "a://a:",
    "eyJaaaaaaaaaa.eyJ", "```json\n", "i am sorry ", "as an a", "ignore all ", "ignore the previous ", "GB82 W ",
    "-----BEGIN PRIVATE KEY-----", "secret=", "password='", "+1 ", "(202) ", "202-", "phone ", "call 1", "born ",
    "<s>", "[INST", "<|im_start|>", "&amp;", "{{a_", "Human: ", "### ", "JAN 1 ", "2001:", "a b ", "\u00c3\u00a9", "a_",
    "1 High Street ", "A b ", "A ", "1 A", "X1", "12 ", "123.456.", "```\n", "[edit", "we use cookies ", "fuck", "!",
)  # fmt: skip
SIZE = 80_000


def _patterns() -> Iterator[tuple[str, re.Pattern[str] | re.Pattern[bytes]]]:
    for module in MODULES:
        for name, value in vars(module).items():
            if isinstance(value, re.Pattern):
                yield f"{module.__name__}.{name}", value
    yield from ((f"identities: {pattern.pattern[:20]}", pattern) for pattern in identities.OWN_FORM)
    yield from ((f"secrets: {kind.literal}", kind.pattern) for kind in secrets._KINDS)


# One that is not linear takes minutes for one of these; each of ours takes under a second for a million characters.
@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("name", "pattern"), list(_patterns()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_no_pattern_is_slow_on_hostile_text(name: str, pattern: re.Pattern[str]) -> None:
    for unit in UNITS:
        text = unit * (SIZE // len(unit)) + "!"
        subject: str | bytes = text.encode() if isinstance(pattern.pattern, bytes) else text
        ends = [match.end() for match in pattern.finditer(subject)]  # type: ignore[arg-type]
        assert ends == sorted(ends)


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "unit", ["a", "ab ", "\\n", "&amp;", "1 ", "no no ", "\u00c3\u00a9", "<p>", "a@", "sk-a1", "```"]
)
def test_no_check_is_slow_on_a_hostile_row(unit: str) -> None:
    text = unit * (10**6 // len(unit))
    for check in CHECKS.values():
        if isinstance(check, ExampleCheck):
            assert len(said(check.id, "Tell me.", text)) < 2
