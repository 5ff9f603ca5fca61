"""Checks for characters that are no writing: control, invisible and private ones, and those of a wrong encoding."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from dataset_tools.checks.base import Check, ExampleCheck, ExampleView, Severity
from dataset_tools.checks.fix import Fix
from dataset_tools.checks.scan import CONTROL, GARBLED, INVISIBLE, place, when
from dataset_tools.checks.texts import Change, row_fix

_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufdd0-\ufdef\ufff9-\ufffb\ufffe\uffff]")
_RIGHT_TO_LEFT = re.compile("[\u0590-\u08ff\ufb1d-\ufdfb\ufe70-\ufefc]")
_DIRECTIONS = re.compile("[\u200e\u200f\u061c]")  # of use beside right-to-left letters only
_BIDI = re.compile("[\u202a-\u202e\u2066-\u2069]")
_OVERRIDES = re.compile("[\u202d\u202e]")
_PRIVATE = re.compile("[\ue000-\uf8ff\U000f0000-\U000ffffd\U00100000-\U0010fffd]")
_LOST = re.compile("\ufffd")
# A zero-width space may break lines where words have no blanks between them (Thai, Lao, Khmer, Burmese, Japanese);
# joiners shape Arabic and Indic letters and build emoji; tag characters spell the flags of countries within a country.
_ZERO_WIDTH = re.compile(
    "[\u00ad\u180e\u2060-\u2064\u206a-\u206f\ufeff]"
    "|(?<![\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3000-\u30ff\u4e00-\u9fff])\u200b"
    "|(?<![\u0600-\u1cff\ua800-\uabff\u2190-\u2bff\ufe0f\U0001f000-\U0001faff])[\u200c\u200d]"
    "|(?<![\U0001f3f4\U000e0020-\U000e007f])[\U000e0000-\U000e007f]+"
    "|[\U000e0100-\U000e01ef]{2,}"
)


def without_controls(text: str) -> str:
    """The text without control characters and the code points that are never characters (Unicode 23.7)."""
    return _CONTROLS.sub("", text)


def without_zero_width(text: str) -> str:
    """The text without invisible characters, but those that its script or its emoji need."""
    text = _ZERO_WIDTH.sub("", text)
    return text if _RIGHT_TO_LEFT.search(text) else _DIRECTIONS.sub("", text)


def without_bidi(text: str) -> str:
    """The text without marks that turn the direction of writing, but embeddings beside right-to-left letters."""
    if _RIGHT_TO_LEFT.search(text) and not _OVERRIDES.search(text):
        return text
    return _BIDI.sub("", text)


def without_private_use(text: str) -> str:
    """The text without characters that have a meaning in one font only."""
    return _PRIVATE.sub("", text)


def decoded(text: str) -> str:
    """The text with the letters that a wrong encoding has spoilt mended, where ftfy can tell which."""
    import ftfy

    return text if text.isascii() else ftfy.fix_encoding(text)


def _differs(change: Change, pattern: re.Pattern[str]) -> Callable[[ExampleView], Iterator[str]]:
    """Strikes where the change would change a text, and names the first character of the pattern that is in it."""

    def find(view: ExampleView) -> Iterator[str]:
        for index, content in enumerate(view.contents):
            changed = change(content)
            if changed != content:
                gone = [char for char in pattern.findall(content) if char[0] not in changed] or pattern.findall(content)
                yield f"{place(view, index)} has U+{ord(gone[0][0]):04X}"
                return

    return find


def _garbled(view: ExampleView) -> Iterator[str]:
    for index, content in enumerate(view.contents):
        mended = decoded(content)
        if mended != content:
            at = next((at for at, (one, other) in enumerate(zip(content, mended, strict=False)) if one != other), 0)
            yield f"{place(view, index)} has {content[at : at + 12]!r} for {mended[at : at + 9]!r}"
            return


def _lost(view: ExampleView) -> Iterator[str]:
    for index, content in enumerate(view.contents):
        if _LOST.search(content):
            yield f"{place(view, index)} has U+FFFD {content.count(chr(0xFFFD))} times"
            return


_ANY_INVISIBLE = re.compile(f"{_ZERO_WIDTH.pattern}|{_DIRECTIONS.pattern}")


def _removal(
    id_: str,
    title: str,
    why: str,
    *,
    bit: int,
    change: Change,
    pattern: re.Pattern[str],
    severity: Severity = "warning",
) -> ExampleCheck:
    return ExampleCheck(
        id=id_,
        severity=severity,
        title=title,
        why=why,
        family="text",
        start=when(bit, _differs(change, pattern)),
        fix=Fix(what="take these characters out", row=row_fix(change)),
    )


CHECKS: tuple[Check, ...] = (
    # First, as a fix of the others would take characters out that tell which encoding it was.
    ExampleCheck(
        id="mojibake",
        severity="warning",
        title="letters out of a wrong encoding",
        why="UTF-8 was read as another encoding once, so the model learns to write the spoilt letters.",
        family="text",
        start=when(GARBLED, _garbled),
        fix=Fix(what="undo the wrong decoding (ftfy)", row=row_fix(decoded)),
    ),
    _removal(
        "control-character",
        "a control character in the text",
        "NUL and its like end a text early in some programs, and a model learns to write them.",
        bit=CONTROL | INVISIBLE,
        change=without_controls,
        pattern=_CONTROLS,
    ),
    _removal(
        "zero-width",
        "an invisible character in the text",
        "It splits words into other tokens than they look like, and can hide text from the eye.",
        bit=INVISIBLE,
        change=without_zero_width,
        pattern=_ANY_INVISIBLE,
    ),
    _removal(
        "bidi-control",
        "a mark that turns the direction of writing",
        "What is read is not what is trained on (Trojan Source, CVE-2021-42574).",
        bit=INVISIBLE,
        change=without_bidi,
        pattern=_BIDI,
    ),
    _removal(
        "private-use",
        "a character for private use",
        "It is a sign in one font only (an icon, a bullet out of a PDF) and means nothing elsewhere.",
        bit=INVISIBLE,
        change=without_private_use,
        pattern=_PRIVATE,
    ),
    ExampleCheck(
        id="replacement-character",
        severity="warning",
        title="a letter was lost in a wrong decoding",
        why="U+FFFD stands for bytes that could not be read; what stood there cannot be known any more.",
        family="text",
        start=when(INVISIBLE, _lost),
        fix=Fix(what="drop the row, as its letters are lost", drop=True),
    ),
)
