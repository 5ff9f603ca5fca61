"""What a question or an answer must not say: patterns of English above all, and a few words of other languages.

The lists are ours, made from what models are known to write; a phrase that is missing here lets a candidate pass.
"""

from __future__ import annotations

import re

_TEXTS = r"(?:text|paragraph|article|document|section|context|information|chapter)"
_GIVEN = r"(?:above|following|given|provided)"
_THE = rf"(?:the|this)\s+(?:{_GIVEN}\s+)?"
_NOT = r"(?:not|n['\u2019]t)"
_I_CANNOT = r"i (?:cannot|can['\u2019]?t|can not|am unable|do not know|don['\u2019]?t know)\b"

MENTION = re.compile(
    rf"\b(?:the|this|that)\s+(?:{_GIVEN}\s+)?(?:passage|excerpt)\b"
    rf"|\b(?:according to|based on|(?:mentioned|described|stated|discussed|given|provided) (?:in|by)) {_THE}{_TEXTS}\b"
    rf"|\b(?:topic|subject|purpose|theme|point|author|title) of {_THE}{_TEXTS}\b"
    r"|\bin this (?:text|paragraph|article|document|section|chapter)\b"
    rf"|\b{_GIVEN} {_TEXTS}\b|\b(?:mentioned|described|stated) above\b|\bthe author\b",
    re.IGNORECASE,
)
"""Words about the passage itself, which nobody sees who is asked the question."""

REFUSAL = re.compile(
    rf"^\W*(?:(?:i['\u2019]?m |i am )?sorry\b|{_I_CANNOT}|unfortunately,? i\b)"
    r"|\bas an ai\b"
    rf"|\b{_NOT} (?:\w+ )?(?:mentioned|specified|stated|given|provided) (?:in|by) the (?:passage|text|document)\b"
    r"|\b(?:cannot|can['\u2019]?t) be (?:determined|answered)\b|\bno information (?:is|was|about|on|given)\b"
    r"|^\W*(?:unknown|n/?a|none|not (?:specified|mentioned|stated|given|provided|known|sure))\W*$",
    re.IGNORECASE,
)
"""An answer that is none."""

MARKS = re.compile(
    r"<\|\w{1,30}\|>|\[/?INST\]|</?(?:start|end)_of_turn>|^#{2,} ?(?:Human|Assistant|Instruction)|^[QA]:",
    re.IGNORECASE | re.MULTILINE,
)
"""Marks of chat templates, and of the form that was asked for."""

PLACEHOLDER = re.compile(
    r"^\W*(?:(?:the|its|your|a|first|next) ){0,2}(?:question|answer)s?(?: here| goes here| text)?\W*$|^\W*$"
    r"|[\[<{](?:the |your |its )?(?:question|answer)[\]>}]",
    re.IGNORECASE,
)
"""The words of a form that was not filled in."""

YES_NO = {
    *("yes", "no", "true", "false", "maybe", "correct", "incorrect"),
    *("ja", "nein", "oui", "non", "si", "s\u00ed", "sim", "n\u00e3o"),
    *("\u0434\u0430", "\u043d\u0435\u0442"),  # Russian
    *("\u662f", "\u5426", "\u306f\u3044", "\u3044\u3044", "\u3044\u3048"),  # Chinese; Japanese, in pairs of letters
}
"""Words that decide and say nothing else."""
