"""A check for keys and passwords, by the prefixes that their makers publish and by what stands around them."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from dataset_tools.checks.base import Check, ExampleCheck, ExampleView
from dataset_tools.checks.fix import Fix
from dataset_tools.checks.scan import SECRET, place, when
from dataset_tools.checks.texts import row_fix, until_stable

STAND_IN = "[SECRET]"


class _Kind(NamedTuple):
    """A kind of secret: what must stand in a text that has one, its pattern, and its least bits a character and digits.

    The secret is group 1 where the pattern has one, else all of it. Random letters and digits have over 4 bits a
    character (Shannon), hexadecimal ones over 3; words have less, and hardly any digit.
    """

    name: str
    literal: str
    pattern: re.Pattern[str]
    bits: float
    digits: int


def _kind(name: str, literal: str, pattern: str, *, bits: float = 3.0, digits: int = 2) -> _Kind:
    return _Kind(name, literal, re.compile(pattern, re.ASCII), bits, digits)


_KINDS = (
    _kind("an AWS access key", "AKIA", r"(?<!\w)AKIA[A-Z2-7]{16}(?!\w)", digits=0),
    _kind("an AWS access key", "ASIA", r"(?<!\w)ASIA[A-Z2-7]{16}(?!\w)", digits=0),
    _kind("a GitHub token", "gh", r"(?<!\w)gh[pousr]_[A-Za-z0-9]{36,251}"),
    _kind("a GitHub token", "github_pat_", r"(?<!\w)github_pat_[A-Za-z0-9_]{22,251}"),
    _kind("a GitLab token", "glpat-", r"(?<!\w)glpat-[\w-]{20,64}", digits=1),
    _kind("a Slack token", "xox", r"(?<!\w)xox[abeoprs]-[A-Za-z0-9-]{10,250}"),
    _kind("a Google key", "AIza", r"(?<!\w)AIza[\w-]{35}"),
    _kind("a Google secret", "GOCSPX-", r"(?<!\w)GOCSPX-[\w-]{28}"),
    _kind("a Stripe key", "k_", r"(?<!\w)[sr]k_(?:live|test)_[A-Za-z0-9]{16,247}"),
    _kind("an Anthropic key", "sk-ant-", r"(?<!\w)sk-ant-[\w-]{20,200}"),
    _kind("an OpenAI key, or one like it", "sk-", r"(?<![\w-])sk-[\w-]{20,200}"),
    _kind("a Hugging Face token", "hf_", r"(?<!\w)hf_[A-Za-z0-9]{30,60}"),
    _kind("an npm token", "npm_", r"(?<!\w)npm_[A-Za-z0-9]{36}"),
    _kind("a PyPI token", "pypi-AgE", r"(?<!\w)pypi-AgE[\w-]{50,250}"),
    _kind("a SendGrid key", "SG.", r"(?<!\w)SG\.[\w-]{22}\.[\w-]{43}"),
    _kind("a DigitalOcean token", "_v1_", r"(?<!\w)do[opr]_v1_[a-f0-9]{64}"),
    _kind("a JSON web token", "eyJ", r"(?<![\w.])eyJ[\w-]{10,4000}\.eyJ[\w-]{10,4000}\.[\w-]{10,1000}"),
    _kind("an Azure key", "AccountKey=", r"(?<!\w)AccountKey=([A-Za-z0-9+/]{80,88}={0,2})"),
    _kind(
        "a private key",
        "PRIVATE KEY",
        r"-----BEGIN (?:[A-Z]{2,9} ){0,2}PRIVATE KEY(?: BLOCK)?-----[A-Za-z0-9+/=\s:,.-]{0,8000}"
        r"(?:-----END (?:[A-Z]{2,9} ){0,2}PRIVATE KEY(?: BLOCK)?-----)?",
        bits=0,
        digits=0,
    ),
    _kind(
        "a password in an address",
        "://",
        r"(?<![\w])[a-z][a-z0-9+.-]{1,20}://[^\s:/@<>{}$]{1,64}:([^\s/@<>{}$*]{6,128})@",
        bits=2.5,
    ),
    _kind(
        "a key or password",
        "=",
        r"(?i)(?<![a-z])(?:api[_-]?key|secret(?:[_-]?key)?|(?:access|auth)[_-]?token|passw(?:or)?d)[\"']?\s{0,3}=\s{0,3}"
        r"[\"']?([\w+/=.!@#%^&*-]{12,128})",
        digits=3,
    ),
)
_EXAMPLE = re.compile(r"example|your|placeholder|xxxx|changeme|password\Z", re.IGNORECASE)


def find_secrets(text: str) -> Iterator[tuple[str, str]]:
    """The kind and the wording of each secret in a text."""
    for kind in _KINDS:
        if kind.literal in text:
            for match in kind.pattern.finditer(text):
                if _counts(kind, match):
                    yield kind.name, match.group(match.lastindex or 0)


def without_secrets(text: str) -> str:
    """The text with a stand-in for each secret."""
    for kind in _KINDS:
        if kind.literal in text:
            text = kind.pattern.sub(lambda match, kind=kind: _replaced(kind, match), text)  # type: ignore[misc]
    return text


def entropy(text: str) -> float:
    """Bits a character, by the text's own letter counts (Shannon 1948)."""
    counts = Counter(text)
    return -sum(count / len(text) * math.log2(count / len(text)) for count in counts.values())


def _counts(kind: _Kind, match: re.Match[str]) -> bool:
    secret = match.group(match.lastindex or 0)
    if sum(map(str.isdigit, secret)) < kind.digits or _EXAMPLE.search(secret):
        return False
    return entropy(secret) >= kind.bits


def _replaced(kind: _Kind, match: re.Match[str]) -> str:
    if not _counts(kind, match):
        return match.group()
    start, end = match.span(match.lastindex or 0)
    return match.string[match.start() : start] + STAND_IN + match.string[end : match.end()]


def _secret(view: ExampleView) -> Iterator[str]:
    for index, content in enumerate(view.contents):
        found = next(find_secrets(content), None)
        if found:
            name, secret = found
            yield f"{place(view, index)} has {name}, {secret[:6]!r}...: rotate it, as whoever has the file has it"
            return


CHECKS: tuple[Check, ...] = (
    ExampleCheck(
        id="secret",
        severity="error",
        title="a key or a password",
        why="A model gives it to whoever asks, and a file of it is a leak; taking it out here does not make it safe.",
        family="privacy",
        start=when(SECRET, _secret),
        fix=Fix(what=f"write {STAND_IN} in its place (and rotate the key)", row=row_fix(until_stable(without_secrets))),
    ),
)
