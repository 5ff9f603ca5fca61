"""Checks for what pages leave in a text: notices of web sites, marks of Wikipedia, two kinds of quotation marks."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from dataset_tools.checks.answers import MIN_ROWS, Rare
from dataset_tools.checks.base import Check, DatasetCheck, ExampleCheck, ExampleView, Hit, Setting
from dataset_tools.checks.fix import Fix
from dataset_tools.checks.scan import SQUARE, Scan, place, when
from dataset_tools.checks.texts import row_fix, until_stable

# The notices that C4 took out of web pages (Raffel et al. 2020, arxiv.org/abs/1910.10683, 2.2), as whole phrases.
_NOTICE = re.compile(
    r"\b(?:(?:we|this (?:web)?site|our (?:web)?site)(?: also)? uses? (?:\w{1,12} )?cookies\b|accept (?:all )?cookies\b"
    r"|(?:please )?enable javascript\b|javascript (?:is|must be|has been) (?:disabled|enabled|required)"
    r"|(?:subscribe to|sign up for) our (?:\w{1,12} )?newsletter\b)",
    re.IGNORECASE,
)
_LINE = 200  # characters; a longer line says more than the notice, and stays
_WIKI = re.compile(
    r" ?\[(?:edit|edit source|citation needed|clarification needed|dubious ?[\u2013-] ?discuss|page needed|by whom\?|"
    r"when\?|who\?)\]"
)
_CURLY = re.compile("[\u2018\u2019\u201c\u201d]")
_OTHER = re.compile("[\u201a\u201e\u00ab\u00bb\u2039\u203a]")  # of languages that need their own
_STRAIGHT = str.maketrans({"\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"'})
_CODE_STARTS = ("{", "[", "`", "<")  # in which straight quotes have a meaning
_HALF = 0.5


class Quotes:
    """How many answers have straight quotation marks and apostrophes, and where those with curly ones are."""

    def __init__(self, setting: Setting) -> None:
        self.rows = self.straight_rows = self.curly_rows = 0
        self.curly = Rare(_HALF)

    def see(self, view: ExampleView) -> None:
        """Note a row."""
        answer = view.contents[-1]
        if answer[:1] in _CODE_STARTS:
            return
        self.rows += 1
        if not answer.isascii() and _is_curly(answer):
            self.curly_rows += 1
            self.curly.add(view)
        elif "'" in answer or '"' in answer:
            self.straight_rows += 1

    def pack(self) -> Any:
        """What it saw, to be taken in by another one."""
        return self.rows, self.straight_rows, self.curly_rows, self.curly

    def absorb(self, packed: Any, *, lines: int, records: int) -> None:
        """Take what was seen in a later part of the file, whose lines and records were counted from its start."""
        rows, straight_rows, curly_rows, curly = packed
        self.rows += rows
        self.straight_rows += straight_rows
        self.curly_rows += curly_rows
        self.curly.absorb(curly, lines=lines, records=records)


def _is_curly(text: str) -> bool:
    return _CURLY.search(text) is not None and _OTHER.search(text) is None and text[0] not in _CODE_STARTS


def with_straight_quotes(text: str) -> str:
    """The text with the quotation marks and apostrophes of a typewriter, where it has no others than curly ones."""
    return text.translate(_STRAIGHT) if not text.isascii() and _is_curly(text) else text


def without_notices(text: str) -> str:
    """The text without the short lines that are notices of a web site."""
    if not _NOTICE.search(text):
        return text
    return "\n".join(line for line in text.split("\n") if len(line) > _LINE or not _NOTICE.search(line))


def without_wiki_marks(text: str) -> str:
    """The text without the marks that Wikipedia's pages have beside theirs."""
    return _WIKI.sub("", text)


def _notices(setting: Setting) -> Callable[[ExampleView], Iterable[str]]:
    scan = setting.share(Scan)

    def run(view: ExampleView) -> Iterable[str]:
        if scan.view is not view:
            scan.look(view)
        text = view.text
        if (
            "ookies" in text
            or "ewsletter" in text
            or ("JS" in scan.marks or ("J" in scan.marks and "avascript" in text))
        ):
            for index, content in enumerate(view.contents):
                found = _NOTICE.search(content)
                if found:
                    return [f"{place(view, index)} has {found.group()!r}"]
        return ()

    return run


def _wiki_marks(view: ExampleView) -> Iterator[str]:
    for index, content in enumerate(view.contents):
        found = _WIKI.search(content)
        if found:
            yield f"{place(view, index)} has {found.group().strip()!r}"
            return


def _mixed_quotes(quotes: Quotes) -> Iterator[Hit]:
    if quotes.rows < MIN_ROWS or quotes.curly_rows >= quotes.straight_rows:
        return
    message = f"curly quotes or apostrophes have {quotes.curly_rows:,} answers, straight ones {quotes.straight_rows:,}"
    yield from quotes.curly.hits(message, of=quotes.rows)


CHECKS: tuple[Check, ...] = (
    ExampleCheck(
        id="web-notice",
        severity="warning",
        family="text",
        title="a notice of a web site",
        why="It came along when the page was copied (Raffel et al. 2020, arxiv.org/abs/1910.10683, 2.2).",
        start=_notices,
        fix=Fix(what="take out the lines that are nothing else", row=row_fix(without_notices)),
    ),
    ExampleCheck(
        id="wiki-marks",
        severity="warning",
        family="text",
        title="marks of Wikipedia's editors",
        why="They came along when the page was copied, and are learnt as part of the text.",
        start=when(SQUARE, _wiki_marks),
        fix=Fix(what="take the marks out", row=row_fix(until_stable(without_wiki_marks))),
    ),
    DatasetCheck(
        id="mixed-quotes",
        severity="info",
        family="text",
        title="curly quotes, where more answers have straight ones",
        why="They are other tokens for the same sign, and a comparison by letter takes one for a fault.",
        observer=Quotes,
        run=_mixed_quotes,
        fix=Fix(what="write straight quotes", row=row_fix(with_straight_quotes, answers_only=True)),
    ),
)
