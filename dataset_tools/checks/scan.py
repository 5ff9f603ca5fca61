"""One cheap look at each row for the marks that many checks wait for. What a mark means is decided by the checks."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from dataset_tools.checks.base import ExampleView, Setting

# What a row has, one bit each: a check whose bits are not set need not look at the row.
CONTROL = 1 << 0  # a control character
INVISIBLE = 1 << 1  # a character without a glyph of its own, or for private use, or U+FFFD
GARBLED = 1 << 2  # pairs of letters that come from a wrong encoding
AT = 1 << 3  # @
ANGLE = 1 << 4  # <
AMPERSAND = 1 << 5  # &
SQUARE = 1 << 6  # [
CURLY = 1 << 7  # {
BACKSLASH = 1 << 8
TEMPLATE = 1 << 9  # perhaps a mark of a chat template
NUMBER = 1 << 10  # seven digits or more with nothing between them that has a vowel
SECRET = 1 << 11  # perhaps a key or a password
COMMAND = 1 << 12  # words that injected prompts have
LEGAL = 1 << 13  # words that legal notices have
BIRTH = 1 << 14  # words of a date of birth, and digits
LOREM = 1 << 15  # the words "Lorem ipsum"
ADDRESS = 1 << 16  # the number of a house and a postal code, perhaps

Find = Callable[[ExampleView], Iterable[str]]

_SIGNS = b"-_@<>[]{}#|\\`*&=/+$%^~"
_KEPT = (
    frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789" + _SIGNS) | frozenset(range(32)) - frozenset(b"\n\t\r") | {127}
)
_DROPPED = bytes(code for code in range(256) if code not in _KEPT)
_ASCII = bytes(range(128))
_DIGITS = b"0123456789"
_VOWELS = b"aeiouyAEIOUY"
_VOWELS_BLANK = bytes.maketrans(_VOWELS, b" " * len(_VOWELS))
_NO_NUMBER = bytes(code for code in range(256) if code not in _DIGITS + _VOWELS)
_MARKS_BLANK = bytes(code if code in _DIGITS else 32 for code in range(256))
_BEFORE_HYPHEN = ("sk", "xoxb", "xoxp", "xoxa", "xoxr", "xoxs", "xoxe", "glpat", "pypi", "GOCSPX")
_SPECIAL = re.compile(r"[<@\[{\\&#|=_\x01-\x1f\x7f]|--")
_CONTROL = re.compile(r"[\x01-\x1f\x7f]")
# "12 High Street, Reading RG1 2AB" is 12HSRRG12AB here, "1 Main St, Austin, TX 78701" 1MSATX78701.
_POSTAL = re.compile(r"\d[A-Z]{4,12}(?:\d{5}|\d\d?[A-Z]?\d[A-Z]{2})")
_HEADING = re.compile("(?<!#)###[IRHAU]")
_ODD = re.compile(
    "[\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ue000-\uf8ff\ufdd0-\ufdef\ufeff\ufff0-\uffff"
    "\U000e0000-\U000e01ef\U000f0000-\U0010ffff]"
)
# Pairs of which ftfy may call one bad (the categories of ftfy.badness). Left out is what sound text has: two small
# accented letters (Portuguese), and curly or angle quotes beside letters.
_SMALL = "\u00df-\u00f1\u00f8-\u00ff\u0101-\u017f\u0370-\u03ff\u0400-\u045f"
_OTHER = (
    "\u0080-\u009f\u00a1-\u00aa\u00ac\u00ae-\u00b6\u00b8-\u00ba\u00bc-\u00de\u00f7\u0152\u0160\u0178\u017d\u0192\u02c6"
    "\u02c7\u02d8-\u02dd\u2020-\u2022\u2030\u2044\u20a7\u20ac\u2116\u2122\u2202\u2206\u220f\u2211\u221a\u221e\u2229"
    "\u222b\u2248\u2260\u2261\u2264\u2265\u2310\u2550-\u256c\u2580-\u2593\u25ca\ufb01\ufb02\ufffd"
)
_GARBLED = re.compile(
    f"[{_OTHER}][{_OTHER}{_SMALL}\u00a0\u00ad\u2013-\u201e]|[{_SMALL}][{_OTHER}]|[\u0080-\u009f\u00c2\u00c3]"
    "|[\u00c2-\u00df][\u00a0-\u00bf]|[\u0152\u0153](?![A-Za-z])|[\u0412\u0432]\u0402"
)


class Scan:
    """Looks at each row once, whichever check asks first.

    ``flags`` are the bits above, ``marks`` the capitals, digits, signs and control characters of the row in order.
    To search a text of 1,000 characters for one word takes a third of a microsecond, and there are dozens of words:
    most are settled by the few characters that are left once small letters, blanks and plain punctuation are gone.
    """

    __slots__ = ("flags", "marks", "view")

    def __init__(self, setting: Setting | None = None) -> None:
        self.view: ExampleView | None = None
        self.flags = 0
        self.marks = ""

    def look(self, view: ExampleView) -> int:
        """The bits of a row."""
        if self.view is view:
            return self.flags
        text = view.text
        raw = text.encode("utf-8", "surrogatepass")
        kept = raw.translate(None, _DROPPED)
        marks = kept.decode("ascii")
        flags = 0 if text.isascii() else _foreign(raw, text)
        if marks.count("\x00") >= len(view.contents):
            flags |= CONTROL
        if _SPECIAL.search(marks):
            flags |= _signs(marks)
        digits = len(kept) - len(kept.translate(None, _DIGITS))
        if _may_have_secret(text, marks, digits):
            flags |= SECRET
        if digits > 3:
            flags |= _numbers(raw, text, kept, marks=marks, digits=digits)
        if "L" in marks and "orem ipsum" in text:
            flags |= LOREM
        if ("A" in marks and "H" in marks and "\nAssistant:" in text) or "ASSISTANT" in marks:
            flags |= TEMPLATE
        if "nstructions" in text or "ailbreak" in text or "ystem prompt" in text or "INSTR" in marks or "DAN" in marks:
            flags |= COMMAND
        if "CONFID" in marks or "INTERNAL" in marks or "PROPRIET" in marks or "RIGHTS" in marks or "SPDX" in marks:
            flags |= LEGAL
        self.view, self.flags, self.marks = view, flags, marks
        return flags


def when(bits: int, find: Find) -> Callable[[Setting], Find]:
    """A check's ``start``: ``find`` is asked only about rows that have one of the bits."""

    def start(setting: Setting) -> Find:
        scan = setting.share(Scan)

        def run(view: ExampleView) -> Iterable[str]:
            if scan.view is not view:
                scan.look(view)
            return find(view) if scan.flags & bits else ()

        return run

    return start


def place(view: ExampleView, index: int) -> str:
    """What a report calls a text of the row."""
    count = len(view.contents)
    if index == count - 1:
        return "the answer"
    return "the prompt" if count == 2 else f"message {index + 1}"


def _foreign(raw: bytes, text: str) -> int:
    """The bits of a text that is not ASCII; its other characters alone are a short text, mostly."""
    rare = raw.translate(None, _ASCII).decode("utf-8", "surrogatepass")
    flags = INVISIBLE if _ODD.search(rare) else 0
    if _GARBLED.search(rare) and _GARBLED.search(text):
        flags |= GARBLED
    if "\u00a9" in rare:
        flags |= LEGAL
    return flags | TEMPLATE if "\uff5c" in rare else flags


def _signs(marks: str) -> int:
    """The bits that signs set. Small letters are gone: ``</s>`` is ``</>`` here, and ``<start_of_turn>`` ``<__>``."""
    flags = AT if "@" in marks else 0
    if "<" in marks:
        flags |= ANGLE
        if "<|" in marks or "<<SYS" in marks or "<__" in marks or "<>" in marks or "</>" in marks:
            flags |= TEMPLATE
    if "[" in marks:
        flags |= SQUARE
        if "[INST" in marks or "[/INST" in marks or "_T" in marks or "[SYSTEM_" in marks:
            flags |= TEMPLATE
    if "###" in marks and _HEADING.search(marks):
        flags |= TEMPLATE
    for sign, bit in (("{", CURLY), ("&", AMPERSAND), ("\\", BACKSLASH)):
        if sign in marks:
            flags |= bit
    if "-BEGIN" in marks or ("@" in marks and "//" in marks):
        flags |= SECRET
    return flags | CONTROL if _CONTROL.search(marks) else flags


def _numbers(raw: bytes, text: str, kept: bytes, *, marks: str, digits: int) -> int:
    """The bits of a text with more than three digits."""
    flags = ADDRESS if digits > 2 and _POSTAL.search(marks) else 0
    if digits > 6 and _longest(kept.translate(_MARKS_BLANK, b"-+/")) > 6:
        apart = raw.translate(_VOWELS_BLANK, _NO_NUMBER)  # a word between two numbers leaves its vowels here
        flags |= NUMBER if _longest(apart) > 6 else 0
    if "birth" in text or "DOB" in marks:
        flags |= BIRTH
    if "opyright" in text:
        flags |= LEGAL
    return flags


def _longest(digits: bytes) -> int:
    return max(map(len, digits.split()))


def _may_have_secret(text: str, marks: str, digits: int) -> bool:
    """Whether one of the signs is there that the patterns of `dataset_tools.checks.secrets` begin with."""
    if "_" in marks or "AKIA" in marks or "ASIA" in marks:
        return True
    if "-" in marks:
        for part in text.split("-"):
            if part.endswith(_BEFORE_HYPHEN):
                return True
    if digits < 3:
        return False
    if ("J" in marks and "eyJ" in text) or ("AI" in marks and "AIza" in text) or ("SG" in marks and "SG." in text):
        return True
    return "=" in marks and ("key" in text or "assw" in text or "ecret" in text or "oken" in text or "KEY" in marks)
