"""What a model wrote -> pairs of question and answer, in whatever form it wrote them. Nothing is judged here."""

from __future__ import annotations

import ast
import itertools
import json
import re
from collections.abc import Iterator

_THOUGHT = re.compile(r"<think>.*?(?:</think>|\Z)", re.DOTALL | re.IGNORECASE)
_LIST_MARK = r"[ \t>#*_-]{0,6}(?:\d{1,3}[.)][ \t]{0,3})?[*_]{0,3}"
# "Q:", "**Question 2:**", "3. Answer:", "A1."; also an "A:" on the line of its question.
_MARK = re.compile(
    rf"(?:^{_LIST_MARK}|(?<=\?)[ \t*_]{{1,6}})"
    r"(?:(Q|Question)|(A|Answer))(?:[ \t]{0,2}\d{1,3}[ \t*_]{0,3}[.):\uff1a]|[ \t*_]{0,3}[:\uff1a])[*_]{0,3}",
    re.MULTILINE | re.IGNORECASE,
)
_ITEM = re.compile(rf"^{_LIST_MARK}")
_QUESTION_KEYS = ("question", "q", "prompt", "instruction")
_ANSWER_KEYS = ("answer", "a", "completion", "response", "output")
_MOST_READ = 50_000  # characters of one answer
_MOST_OBJECTS = 1_000  # braces looked at
_MOST_OBJECT = 5_000  # characters of an object as Python writes it

Pair = tuple[str, str]


def find_pairs(text: str) -> list[Pair]:
    """The pairs of question and answer in the text, in order; an answer that is not there is an empty text.

    Understood are JSON (lines, an array, inside a code fence, with single quotes), ``Q:`` and ``A:`` in their usual
    spellings, and lines that end with a question mark and are followed by others. What a model says while it thinks
    (``<think>``) is left out.
    """
    text = _THOUGHT.sub("", text[:_MOST_READ])
    return list(_json_pairs(text)) or list(_marked_pairs(text)) or list(_bare_pairs(text))


def _json_pairs(text: str) -> Iterator[Pair]:
    """The pairs in all objects of the text that have a question and an answer."""
    decoder = json.JSONDecoder(strict=False)
    at = text.find("{")
    for _ in range(_MOST_OBJECTS):
        if at < 0:
            return
        try:
            value, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            value, end = _python_object(text, at)
        pair = _pair(value)
        if pair:
            yield pair
        # An object without a question may hold some: look inside it.
        at = text.find("{", end if pair else at + 1)


def _python_object(text: str, at: int) -> tuple[object, int]:
    """An object on one line as Python writes it (single quotes), or None."""
    line = text[at : at + _MOST_OBJECT].split("\n", 1)[0].rstrip().rstrip(",")
    if not line.endswith("}"):
        return None, at + 1
    try:
        return ast.literal_eval(line), at + len(line)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return None, at + 1


def _pair(value: object) -> Pair | None:
    if not isinstance(value, dict):
        return None
    fields = {str(key).casefold(): found for key, found in value.items()}
    question = next((fields[key] for key in _QUESTION_KEYS if isinstance(fields.get(key), str)), None)
    answer = next((fields[key] for key in _ANSWER_KEYS if isinstance(fields.get(key), str | int | float)), "")
    return None if question is None else (question.strip(), str(answer).strip())


def _marked_pairs(text: str) -> Iterator[Pair]:
    """The pairs of ``Q:`` and ``A:``. A question whose answer has no mark is its first line.

    An answer ends at an empty line: behind it small models add remarks.
    """
    marks = list(_MARK.finditer(text))
    question: str | None = None
    for mark, behind in itertools.zip_longest(marks, marks[1:]):
        said = _bare(text[mark.end() : behind.start() if behind else len(text)])
        if mark[2] is not None:
            if question is not None:
                yield question, said.split("\n\n")[0].strip()
            question = None
            continue
        if question is not None:
            yield _first_line(question)
        question = said
    if question is not None:
        yield _first_line(question)


def _bare_pairs(text: str) -> Iterator[Pair]:
    """Lines that end with a question mark, each with the lines behind it."""
    question, answer = "", list[str]()
    for line in text.split("\n"):
        said = _ITEM.sub("", line).strip(" \t*_")
        if said.endswith(("?", "\uff1f")):
            if question:
                yield question, " ".join(answer)
            question, answer = said, []
        elif said:
            answer.append(said)
    if question:
        yield question, " ".join(answer)


def _first_line(question: str) -> Pair:
    first, _, rest = question.partition("\n")
    return _bare(first), _bare(rest)


def _bare(text: str) -> str:
    """The text without blanks and marks of emphasis around it, and without what follows a rule or a fence."""
    text = re.split(r"^(?:```|-{3,}|\*{3,})", text, maxsplit=1, flags=re.MULTILINE)[0]
    return re.sub(r"\n[ \t]+\n", "\n\n", text).strip().removeprefix("**").removesuffix("**").strip()
