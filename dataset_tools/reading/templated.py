"""Plain text in a chat template, cut into records: each is a row with its raw ``text``. What a turn says is not known
here, nor whether the marks of a record pair up.

A record is one conversation. One surely starts at a begin-of-sequence mark or a system turn, at the start of a line.
A user turn may also go on with a conversation: what separates it from the text before it (an end-of-sequence mark,
blank lines) decides, compared with what separates the others. The thresholds for that are guesses.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from dataset_tools.reading.source import Parsed, Row

_LOOKED_AT = 2**20  # characters that tell whether a text is in a template
_MIN_TURNS = 3  # questions, and answers, in a text that does not start with a mark
_MAX_TURNS = 20  # of a conversation, on average, before its user turns are taken for conversations of their own
_MISTAKES = 0.2  # where fewer user turns than this lack the separator of the others, they lack it by mistake
_NEAR = 200  # characters before a mark that are looked at

# The marks are those of the chat templates that the models are published with, of Alpaca, guanaco and hh-rlhf.
_SYSTEM = (
    r"<\|im_start\|>system\b|<\|start_header_id\|>system<\|end_header_id\|>|<\|system\|>|\[SYSTEM_PROMPT\]"
    r"|###[ \t]*System[ \t]*:|Below is an instruction that describes a task"
)
_USER = (
    r"\[INST\]|<\|im_start\|>user\b|<\|start_header_id\|>user<\|end_header_id\|>|<start_of_turn>user\b|<\|user\|>"
    r"|###[ \t]*(?:Human|User|Instruction)[ \t]*:"
)
_ASSISTANT = (
    r"<\|im_start\|>assistant\b|<\|start_header_id\|>assistant<\|end_header_id\|>|<start_of_turn>model\b"
    r"|<\|assistant\|>|###[ \t]*(?:Assistant|Response|Output)[ \t]*:"
)
_BEGIN = r"(?:<s>|<\|begin_of_text\|>|<bos>|<\|endoftext\|>)"
_MARK = re.compile(
    rf"^[ \t]*(?=[<\[#B])(?:(?P<begin>(?:{_BEGIN}\s*){{1,2}})?"
    rf"(?:(?P<system>{_SYSTEM})|(?P<user>{_USER})|(?P<assistant>{_ASSISTANT}))|(?P<alone><\|begin_of_text\|>|<bos>))",
    re.MULTILINE,
)
_TRANSCRIPT = re.compile(r"^[ \t]*(?:(?P<user>Human:)|(?P<assistant>Assistant:))", re.MULTILINE)
_ANSWER_INSIDE = re.compile(rf"\[/INST\]|\S[ \t]*(?:{_ASSISTANT})")
_END = ("</s>", "<|endoftext|>", "<|end_of_text|>", "<eos>")
_OPENER = re.compile(rf"(?:{_BEGIN}\s*)*(?:\[INST\])?\s*")
_HEADER = re.compile(r"\s*\w+\s*")  # of a table with one column
_BEHIND_END = re.compile(r"(?:</s>|<\|endoftext\|>|<\|end_of_text\|>|<eos>)[ \t\r]*\n\s*(?=\S)")
_RULE = re.compile(r"\n[ \t]*(?:-{3,}|={3,}|\*{3,})[ \t\r]*\Z")


@dataclass(frozen=True, slots=True)
class _Mark:
    """Where a turn starts, whose it is, and how well it is separated from the text before: 0 to 3."""

    at: int
    role: str
    begins: bool
    separation: int


def is_templated(text: str) -> bool:
    """Whether a text is made of conversations in a chat template: it starts with a mark, or has several of them."""
    text = text[:_LOOKED_AT]
    marks = _marks(text)
    questions = sum(mark.role == "user" for mark in marks)
    answers = sum(mark.role == "assistant" for mark in marks)
    if not questions:
        return False
    answers += sum(1 for _ in _ANSWER_INSIDE.finditer(text))
    before = text[: marks[0].at]
    if not before.strip():
        return answers > 0
    in_a_quoted_cell = before.count('"') % 2 == 1
    return min(questions, answers) >= _MIN_TURNS and not in_a_quoted_cell and not _TRANSCRIPT.match(text, marks[0].at)


def read_templated(text: str) -> Parsed:
    """Cut a text into records, each with the line where it starts. Every character but blanks belongs to one."""
    if "\n" not in text:
        text = text.replace("\r", "\n")
    starts = _starts(text)
    rows = []
    line, counted = 1, 0
    for number, start in enumerate(starts, 1):
        line += text.count("\n", counted, start)
        counted = start
        end = starts[number] if number < len(starts) else len(text)
        rows.append(Row(line, number, {"text": _trimmed(text[start:end], last=end == len(text))}))
    return Parsed(rows, [], len(rows), ())


def _trimmed(record: str, *, last: bool) -> str:
    """The record without the line ends behind it, and without a line that rules it off from the next."""
    kept = record.rstrip()
    rule = None if last else _RULE.search(kept, max(0, len(kept) - _NEAR))
    if rule is not None:
        return kept[: rule.start()].rstrip()
    return kept + record[len(kept) :].split("\n")[0].rstrip("\r")


def _starts(text: str) -> list[int]:
    """The offsets where records start, in order."""
    marks = _marks(text)
    sure, maybe = [], []
    previous: _Mark | None = None
    for mark in marks:
        opened = previous is not None and (previous.role == "system" or _is_alone(text, previous, mark))
        if mark.begins or mark.role == "system":
            if not (previous is not None and _is_alone(text, previous, mark)):
                sure.append(mark)
        elif mark.role == "user" and not opened:
            maybe.append(mark)
        previous = mark
    starts = {mark.at for mark in sure} | {mark.at for mark in _conversations(marks, sure, maybe)}
    starts |= _behind_ends(text, starts, {mark.at for mark in marks})
    before = text[: min(starts, default=len(text))]
    if before.strip() and not (starts and _HEADER.fullmatch(before)):
        starts.add(len(before) - len(before.lstrip()))
    return sorted(starts)


def _conversations(marks: list[_Mark], sure: list[_Mark], maybe: list[_Mark]) -> list[_Mark]:
    """The user turns that start a conversation: those better separated than turns, and no worse than conversations."""
    turns = _usual_separation([mark for mark in marks if mark.role == "assistant"], default=0)
    enough = max(turns + 1, _usual_separation(sure[1:], default=0))
    apart = [mark for mark in maybe if mark.separation >= enough]
    if not apart:
        return [] if sure and len(maybe) < _MAX_TURNS * len(sure) else maybe
    return maybe if len(maybe) - len(apart) < _MISTAKES * len(maybe) else apart


def _usual_separation(marks: list[_Mark], *, default: int) -> int:
    common = Counter(mark.separation for mark in marks).most_common(1)
    return common[0][0] if common else default


def _behind_ends(text: str, starts: set[int], marks: set[int]) -> set[int]:
    """Where text without a mark follows an end-of-sequence mark: records in another template, or in none."""
    found = {match.end() for match in _BEHIND_END.finditer(text)}
    return found - marks if 2 * len(found & starts) >= len(starts) - 1 else set()


def _marks(text: str) -> list[_Mark]:
    """All marks at the start of a line. The plain words of a transcript are marks where there are no others."""
    return list(_found(text, _MARK)) or list(_found(text, _TRANSCRIPT))


def _found(text: str, pattern: re.Pattern[str]) -> Iterator[_Mark]:
    for match in pattern.finditer(text):
        whole = match[0]
        at = match.start() + len(whole) - len(whole.lstrip())
        groups = match.groupdict()
        role = next((name for name in ("system", "user", "assistant") if groups.get(name)), "none")
        begins = bool(groups.get("begin") or groups.get("alone"))
        yield _Mark(at, role, begins, _separation(text[max(0, at - _NEAR) : at]))


def _separation(before: str) -> int:
    """How well the text before a mark ends: 3 with an end-of-sequence mark or a rule, else the blank lines up to 2."""
    stripped = before.rstrip()
    if stripped.endswith(_END) or _RULE.search(stripped):
        return 3
    return min(2, max(0, before.count("\n", len(stripped)) - 1))


def _is_alone(text: str, mark: _Mark, following: _Mark) -> bool:
    """Whether a mark has a line for itself, and the next one belongs to it."""
    return _OPENER.fullmatch(text, mark.at, min(following.at, mark.at + _NEAR)) is not None
