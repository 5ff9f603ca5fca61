"""Checks for stock wording: refusals, an assistant's set phrases, injected commands, legal notices. English only."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

from dataset_tools.checks.base import Check, ExampleCheck, ExampleView, Setting
from dataset_tools.checks.fix import Fix
from dataset_tools.checks.scan import COMMAND, LEGAL, Scan, place, when

# The openings and phrases by which refusals are told in red-teaming work (Zou et al. 2023, arxiv.org/abs/2307.15043,
# appendix B), narrowed to what an assistant cannot *do*, so that "I can't hear you" is none.
_SORRY = r"(?:(?:i['\u2019]m|i am|we are)(?: really| very| so| truly)? sorry|sorry|i apologi[sz]e|unfortunately)?"
_CANNOT = (
    r"(?:i(?:['\u2019]m| am) (?:unable|not able|not allowed|not programmed) to"
    r"|i (?:can ?not|can['\u2019]?t|will not|won['\u2019]t))"
)
_DO = (
    r"(?: be able to| in good conscience)? (?:assist|help|provide|fulfil|comply|answer|generate|create|write|discuss|"
    r"engage|do that|continue with|support|offer|share|give|respond|participate|produce|complete|process|satisfy|"
    r"access|browse|recommend|condone)"
)
_REFUSAL = re.compile(
    rf"\A\s{{0,8}}{_SORRY}[,.;:!]? ?(?:but |as an? [^.!?\n,]{{1,60}}, ?)?"
    rf"(?:{_CANNOT}{_DO}|i must (?:decline|refuse)"
    r"|i do(?:n['\u2019]t| not) feel comfortable|i(?:['\u2019]m| am) not comfortable)",
    re.IGNORECASE,
)
_SELF = re.compile(
    r"\bas an? (?:ai\b|artificial intelligence|(?:large )?language model)|\bi(?:['\u2019]m| am) (?:just |only )?an? "
    r"(?:ai\b|artificial intelligence|(?:large )?language model)|\bmy (?:knowledge cut-?off|training data)\b",
    re.IGNORECASE,
)
_OPENING = re.compile(
    r"(?:Certainly|Sure(?: thing)?|Absolutely|Of course|Great question|Good question|No problem)[!,.]|"
    r"(?:Here(?: is|'s) (?:a|an|the|one) (?:possible|sample|revised|example)\b)"
)
_CLOSINGS = (
    "hope this helps",
    "hope that helps",
    "Let me know if you",
    "let me know if you",
    "Feel free to",
    "feel free to",
)
_COMMAND = re.compile(
    r"\b(?:ignore|disregard|forget|override|bypass)\b[^.!?\n]{0,30}?"
    r"\b(?:previous|prior|above|earlier|preceding|all|your|any|the)\b[^.!?\n]{0,30}?"
    r"\b(?:instructions|system prompts?|guidelines|directions)\b"
    r"|\b(?:reveal|print|show|repeat|output|tell me)\b[^.!?\n]{0,20}?"
    r"\byour (?:system prompt|(?:initial |hidden )?instructions)\b"
    r"|\bdo anything now\b|\byou are (?:now )?DAN\b|\bjailbr(?:eak|oken)",
    re.IGNORECASE,
)
_LEGAL = re.compile(
    r"\b(?:STRICTLY |COMPANY |HIGHLY )?CONFIDENTIAL\b|\bINTERNAL USE ONLY\b|\bPROPRIETARY\b"
    r"|\u00a9 ?\d{4}\b|(?i:\bcopyright (?:\(c\)|\u00a9|\d{4})|\ball rights reserved\b|\bSPDX-License-Identifier\b)"
)
_STARTS = frozenset({"i ", "i'", "i\u2019", "so", "un", "my", "as", "ap", "we", " i", "\ni"})  # of a refusal
_TAIL = 140  # characters in which an assistant takes its leave


def _refusal(setting: Setting) -> Callable[[ExampleView], Iterable[str]]:
    scan = setting.share(Scan)

    def run(view: ExampleView) -> Iterable[str]:
        answer = view.contents[-1]
        found = _REFUSAL.match(answer) if answer[:2].lower() in _STARTS else None
        if found is None:
            scan.look(view)
            found = _SELF.search(answer) if "AI" in scan.marks else None
        return [f"the answer says {found.group().strip()[:60]!r}"] if found else ()

    return run


def _stock_phrase(view: ExampleView) -> Iterable[str]:
    answer = view.contents[-1]
    opening = _OPENING.match(answer) if answer[:1] in "CSAOGNH" else None
    if opening:
        return [f"the answer begins {opening.group()!r}"]
    tail = answer[-_TAIL:]
    if "elp" in tail or "ree to" in tail or "know if" in tail:
        return [f"the answer ends with {phrase!r}" for phrase in _CLOSINGS if phrase in tail][:1]
    return ()


def _search(pattern: re.Pattern[str], says: str) -> Callable[[ExampleView], Iterator[str]]:
    def find(view: ExampleView) -> Iterator[str]:
        for index, content in enumerate(view.contents):
            found = pattern.search(content)
            if found:
                yield f"{place(view, index)} {says} {found.group()[:80]!r}"
                return

    return find


CHECKS: tuple[Check, ...] = (
    ExampleCheck(
        id="refusal",
        severity="warning",
        title="the answer refuses, or speaks of itself as an AI",
        why="A few such rows teach a model to refuse what it could do; keep them only where refusing is meant.",
        family="text",
        start=_refusal,
        fix=Fix(what="drop the row", drop=True),
    ),
    ExampleCheck(
        id="stock-phrase",
        severity="info",
        title="an assistant's set phrase",
        why="Openings and farewells without content cost tokens in every answer that the model will give.",
        family="text",
        run=_stock_phrase,
    ),
    ExampleCheck(
        id="injected-command",
        severity="warning",
        title="words of a prompt injection",
        why="A model trained to follow such commands follows them from any document (OWASP LLM01).",
        family="text",
        start=when(COMMAND, _search(_COMMAND, "says")),
    ),
    ExampleCheck(
        id="legal-notice",
        severity="warning",
        title="a mark of confidentiality or copyright",
        why="The text may not be meant for training, and a model repeats such notices word for word.",
        family="text",
        start=when(LEGAL, _search(_LEGAL, "is marked")),
    ),
)
