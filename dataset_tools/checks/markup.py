"""Checks for marks that do not belong to a text: of chat templates, of web pages, of programs, of unfilled forms."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterable, Iterator

from dataset_tools.checks.base import Check, ExampleCheck, ExampleView, Setting
from dataset_tools.checks.fix import Fix
from dataset_tools.checks.scan import AMPERSAND, ANGLE, BACKSLASH, LOREM, SQUARE, TEMPLATE, Scan, place, when
from dataset_tools.checks.texts import Change, Row, is_rendered, row_fix, until_stable

# ChatML, Llama 2 to 4, Mistral, Gemma, Phi, DeepSeek, Command R, gpt-oss: the marks of their published templates.
_TEMPLATE_MARKS = re.compile(
    r"<\|(?:im_start|im_end|im_sep|start_header_id|end_header_id|header_start|header_end|eot_id|eot|eom_id|eom|"
    r"begin_of_text|end_of_text|endoftext|endofprompt|system|user|assistant|observation|end|start|channel|message|"
    r"return|call|start_of_role|end_of_role|START_OF_TURN_TOKEN|END_OF_TURN_TOKEN|USER_TOKEN|CHATBOT_TOKEN|"
    r"SYSTEM_TOKEN)\|>"
    r"|(?:<s> {0,2})?\[/?INST\]|<</?SYS>>|\[/?(?:AVAILABLE_TOOLS|TOOL_RESULTS|SYSTEM_PROMPT)\]|\[TOOL_CALLS\]"
    r"|<(?:start|end)_of_turn>|<(?:bos|eos)>|</s>(?=\s{0,4}\Z)|<\uff5c[^\uff5c\n]{1,40}\uff5c>"
)
# The role that a mark announces goes with it.
_ANNOUNCED = re.compile(
    r"<\|im_start\|>(?:system|user|assistant|tool)\b\n?"
    r"|<\|(?:start_header_id|header_start)\|>\w{1,20}<\|(?:end_header_id|header_end)\|>\n{0,2}"
    r"|<start_of_turn>(?:user|model)\b\n?"
)
_HEADINGS = re.compile(r"^### ?(?:Instruction|Response|Human|Assistant|User)s?:[ \t]*\n?", re.MULTILINE)
_SPEAKERS = re.compile(r"^(?:Human|Assistant): ?", re.MULTILINE)
_VICUNA = re.compile(r"\b(?:USER|ASSISTANT): ?")
_TAG = re.compile(
    r"</?(?:p|br|div|span|b|i|u|em|strong|a|ul|ol|li|h[1-6]|table|tr|td|th|tbody|thead|img|hr|font|center|sup|sub|"
    r"blockquote|script|style|iframe|input|form|body|head|html|meta|link|nav|section|article|footer|button)"
    r"(?:\s[^<>]{0,300})?/?>",
    re.IGNORECASE,
)
_LINE_BREAK = re.compile(r"<(?:br|/p|/div|/li|/tr|/h[1-6])\s?/?>", re.IGNORECASE)
_ENTITY = re.compile(
    r"&(?:nbsp|amp|lt|gt|quot|apos|[lr]squo|[lr]dquo|[mn]dash|hellip|copy|reg|bull|#\d{2,6}|#x[\da-fA-F]{2,5});"
)
_ABOUT_MARKUP = re.compile(
    r"```|<!DOCTYPE|\b(?:html|xml|css|svg|jsx|javascript|markup|markdown|web ?page|web ?site|tags?|react|php)\b",
    re.IGNORECASE,
)
_ESCAPED_BREAK = re.compile(r"(?<!\\)(?:\\r)?\\n(?![a-z\"'])")
_UNFILLED = re.compile(
    r"[<\[](?:(?<=<)(?i:no ?input|insert [^<>\n]{1,60}|placeholder)>|(?<=\[)(?:[Ii]nsert|INSERT) [^\[\]\n]{1,60}\])"
)
_LOREM = "orem ipsum dolor"
_UNFILLED_ANSWER = re.compile(
    r"[<\[](?:(?:[Yy]our|[Ee]nter) [^<>\[\]\n]{1,40}[>\]]"
    r"|(?<=\[)(?:Name|Date|Company|Company Name|Address|City|Phone Number|Email|Email Address|Title|Recipient|"
    r"Recipient's Name|Link|URL)\])"
)
_STAND_INS = frozenset({"todo", "tbd", "fixme", "xxx", "...", "\u2026", "[todo]", "<todo>", "todo.", "tbd."})
_STAND_IN_SIZE = 6


def without_template(text: str) -> str:
    """The text without the control marks of chat templates, and without the roles that they announce."""
    return _TEMPLATE_MARKS.sub("", _ANNOUNCED.sub("", text))


def without_headings(text: str) -> str:
    """The text without the headings of templates that are made of plain text (Alpaca, Vicuna)."""
    text = _HEADINGS.sub("", text)
    for pattern, both in ((_SPEAKERS, ("Human:", "Assistant:")), (_VICUNA, ("USER:", "ASSISTANT:"))):
        if all(speaker in text for speaker in both):
            text = pattern.sub("", text)
    return text


def without_html(text: str) -> str:
    """The text of a web page's piece: breaks for what ends a line, letters for entities, and no other tags."""
    text = _ENTITY.sub(lambda match: html.unescape(match.group()), text)
    return _TAG.sub("", _LINE_BREAK.sub("\n", text))


def with_line_breaks(text: str) -> str:
    r"""The text with real line breaks for ``\n`` in letters, where it has none and does not look like a program."""
    if "\n" in text or text.lstrip()[:1] in ("{", "["):
        return text
    found = _ESCAPED_BREAK.findall(text)
    return _ESCAPED_BREAK.sub("\n", text) if len(found) > 1 or ". \\n" in text or ".\\n" in text else text


def _unless_rendered(change: Change) -> Callable[[Row], Row | None]:
    """The fix of a row's texts; a row that is one rendered text needs its marks, which tell its turns."""
    fix = row_fix(until_stable(change))
    return lambda value: None if is_rendered(value) else fix(value)


def _template_marks(setting: Setting) -> Callable[[ExampleView], Iterable[str]]:
    scan = setting.share(Scan)
    own = frozenset(filter(None, getattr(setting.tokenizer, "all_special_tokens", ())))

    def run(view: ExampleView) -> Iterable[str]:
        if not scan.look(view) & TEMPLATE:
            return ()
        for index, content in enumerate(view.contents):
            found = next((match for match in _TEMPLATE_MARKS.findall(content) if match not in own), None)
            if found:
                return [f"{place(view, index)} has {found!r}"]
        return ()

    return run


def _headings(view: ExampleView) -> Iterator[str]:
    for index, content in enumerate(view.contents):
        if without_headings(content) != content:
            found = _HEADINGS.search(content) or _SPEAKERS.search(content) or _VICUNA.search(content)
            yield f"{place(view, index)} has {found.group().strip() if found else 'a heading'!r}"
            return


def _html(view: ExampleView) -> Iterator[str]:
    for index, content in enumerate(view.contents):
        found = _TAG.search(content) or _ENTITY.search(content)
        if found and not _ABOUT_MARKUP.search(view.text):
            yield f"{place(view, index)} has {found.group()[:40]!r}"
            return


def _escaped(view: ExampleView) -> Iterator[str]:
    for index, content in enumerate(view.contents):
        if "\\n" in content and with_line_breaks(content) != content:
            yield f"{place(view, index)} has a backslash and an n for a line break"
            return


def _unfilled(setting: Setting) -> Callable[[ExampleView], Iterable[str]]:
    scan = setting.share(Scan)

    def run(view: ExampleView) -> Iterable[str]:
        answer = view.contents[-1]
        if len(answer) <= _STAND_IN_SIZE and answer.strip().casefold() in _STAND_INS:
            return [f"the answer is {answer.strip()!r}"]
        if not scan.look(view) & (ANGLE | SQUARE | LOREM):
            return ()
        for index, content in enumerate(view.contents):
            found = _UNFILLED.search(content) or (content is answer and _UNFILLED_ANSWER.search(content))
            if found:
                return [f"{place(view, index)} has {found.group()[:60]!r}"]
            if _LOREM in content:
                return [f"{place(view, index)} has {_LOREM!r}"]
        return ()

    return run


CHECKS: tuple[Check, ...] = (
    ExampleCheck(
        id="template-marks",
        severity="error",
        title="control marks of a chat template in the text",
        why="The row was rendered for some model already; rendered again, turns begin and end within a text.",
        family="text",
        start=_template_marks,
        fix=Fix(what="take the marks out", row=_unless_rendered(without_template)),
    ),
    ExampleCheck(
        id="template-headings",
        severity="warning",
        title="headings of a plain-text template in the text",
        why="The row carries a template of its own (Alpaca, Vicuna) inside the model's, and will need it when used.",
        family="text",
        start=when(TEMPLATE, _headings),
        fix=Fix(what="take the headings out", row=_unless_rendered(without_headings)),
    ),
    ExampleCheck(
        id="html-remains",
        severity="warning",
        title="remains of a web page",
        why="Tags and entities that are not what the row is about are learnt as part of the language.",
        family="text",
        start=when(ANGLE | AMPERSAND, _html),
        fix=Fix(what="take tags out and write entities as letters", row=row_fix(until_stable(without_html))),
    ),
    ExampleCheck(
        id="escaped-line-breaks",
        severity="warning",
        title="a backslash and an n where a line should end",
        why="The text was escaped twice, and the model learns to write the two signs.",
        family="text",
        start=when(BACKSLASH, _escaped),
        fix=Fix(what="write real line breaks", row=row_fix(with_line_breaks)),
    ),
    ExampleCheck(
        id="placeholder",
        severity="warning",
        title="a form that was not filled in",
        why="The model learns to write the placeholder, or to answer without having been asked.",
        family="text",
        start=_unfilled,
        fix=Fix(what="drop the row", drop=True),
    ),
)
