"""Text in a rendered chat template -> turns: the marks are taken out, and what does not add up is named.

Known are Llama 2 and Mistral (``[INST]``), ChatML, Llama 3, Gemma, Zephyr and Phi-3 (``<|user|>``), ``### Human:``,
``### Instruction:`` (Alpaca) and the bare transcript ``Human: ... Assistant: ...`` of hh-rlhf. How a file is cut
into such texts is not known here. The marks are those of the chat templates that the models are published with.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from dataset_tools.formats.base import ShapeError

BROKEN = "template-broken"
EMPTY = "empty-field"

_ROLES = {
    "human": "user",
    "instruction": "user",
    "input": "user",
    "gpt": "assistant",
    "model": "assistant",
    "bot": "assistant",
    "response": "assistant",
    "output": "assistant",
    "ipython": "tool",
    "environment": "tool",
}
_BEGIN = ("<|begin_of_text|>", "<bos>", "<s>")
_END = ("<|endoftext|>", "<|end_of_text|>", "<eos>", "</s>")
# Marks that are no part of anybody's words; <s> and </s> are also HTML, and only Llama 2 uses them between turns.
_MARKS = (
    "[INST]",
    "[/INST]",
    "<<SYS>>",
    "<</SYS>>",
    "[SYSTEM_PROMPT]",
    "[/SYSTEM_PROMPT]",
    "<|im_start|>",
    "<|im_end|>",
    "<|start_header_id|>",
    "<|end_header_id|>",
    "<|eot_id|>",
    "<|begin_of_text|>",
    "<|end_of_text|>",
    "<|endoftext|>",
    "<start_of_turn>",
    "<end_of_turn>",
    "<|system|>",
    "<|user|>",
    "<|assistant|>",
    "<|end|>",
)
_HUMAN = re.compile(r"###[ \t]*(Human|User|Assistant|System)[ \t]*:", re.IGNORECASE)
_HUMAN_START = re.compile(r"^###[ \t]*(?:Human|User)[ \t]*:", re.IGNORECASE | re.MULTILINE)
_ALPACA = re.compile(r"^###[ \t]*(Instruction|Input|Response|Output|System)[ \t]*:", re.IGNORECASE | re.MULTILINE)
_TRANSCRIPT = re.compile(r"(?:\A\s{0,8}|\n\n)(Human|Assistant):")
_ZEPHYR = re.compile(r"<\|(system|user|assistant)\|>")


@dataclass(frozen=True, slots=True)
class Parsed:
    """A text taken apart: the name of its template, and (role, content) for each turn, without a mark in it."""

    template: str
    turns: tuple[tuple[str, str], ...]


def template_of(text: str) -> str | None:
    """The template that a text is rendered in, told by how it starts; None for any other text.

    The names are ``llama2``, ``chatml``, ``llama3``, ``gemma``, ``zephyr``, ``human``, ``alpaca``, ``transcript``. A
    text may have a template and still be broken: `parse_template` says how.
    """
    start = _without_begin(text[:400].lstrip())
    if start.startswith("<|im_start|>"):
        return "chatml"
    if start.startswith("<|start_header_id|>"):
        return "llama3"
    if start.startswith("<start_of_turn>"):
        return "gemma"
    if start.startswith(("[INST]", "[SYSTEM_PROMPT]")) or "[/INST]" in text:
        return "llama2"
    if _ZEPHYR.match(start):
        return "zephyr"
    if "###" in text:
        if _HUMAN_START.search(text):
            return "human"
        if any(found[1].casefold() in ("instruction", "response") for found in _ALPACA.finditer(text)):
            return "alpaca"
    if start.startswith("Human:") and "\n\nAssistant:" in text:
        return "transcript"
    return None


def parse_template(text: str) -> Parsed:
    """The turns of a rendered text. Their order is not checked; an empty system turn is left out.

    Raises:
        ShapeError: ``template-broken``: the text is in no known template, or its marks do not pair (a nested
            ``[INST]``, no ``[/INST]``, a turn that is not closed, no end-of-sequence mark where there is a begin).
            ``empty-field``: a turn has no text.
    """
    template = template_of(text)
    if template is None:
        raise ShapeError(BROKEN, "the text is in no known chat template")
    turns = _PARSERS[template](text)
    turns = [(role, content) for role, content in turns if content or role != "system"]
    if not turns:
        raise ShapeError(EMPTY, "no turn has text")
    for place, (role, content) in enumerate(turns, 1):
        if not content or content.isspace():
            raise ShapeError(EMPTY, f"turn {place} ({role}) is empty")
        left = next((mark for mark in _MARKS if mark in content), None)
        if left:
            raise ShapeError(BROKEN, f"turn {place} ({role}) has {left} in its text")
    return Parsed(template, tuple(turns))


def _llama2(text: str) -> list[tuple[str, str]]:
    """``<s>[INST] <<SYS>> system <</SYS>> question [/INST] answer </s>``, once or several times."""
    closed = "</s>" in text or text.lstrip().startswith("<s>")
    before, *pieces = text.split("[INST]")
    if not pieces:
        raise ShapeError(BROKEN, "[/INST] without [INST]")
    turns = _mistral_system(before)
    for number, piece in enumerate(pieces, 1):
        question, end, answer = piece.partition("[/INST]")
        if not end:
            nested = number < len(pieces)
            what = "a second [INST] before the first is closed" if nested else "no [/INST] after [INST]"
            raise ShapeError(BROKEN, what)
        if "[/INST]" in answer:
            raise ShapeError(BROKEN, "a second [/INST] for one [INST]")
        system, question = _llama2_system(question)
        if system:
            turns.append(("system", system))
        answer = answer.strip().removesuffix("<s>").rstrip() if number < len(pieces) else answer.strip()
        if closed and not answer.endswith("</s>"):
            raise ShapeError(BROKEN, "no </s> after the answer, which may be cut off")
        answer = answer.removesuffix("</s>").rstrip()
        for content in (question, answer):
            if "</s>" in content or "<s>" in content:
                raise ShapeError(BROKEN, "<s> or </s> inside a turn")
        turns += [("user", question), ("assistant", answer)]
    return turns


def _llama2_system(question: str) -> tuple[str, str]:
    question = question.strip()
    if not question.startswith("<<SYS>>"):
        return "", question
    system, end, question = question.removeprefix("<<SYS>>").partition("<</SYS>>")
    if not end:
        raise ShapeError(BROKEN, "no <</SYS>> after <<SYS>>")
    return system.strip(), question.strip()


def _mistral_system(before: str) -> list[tuple[str, str]]:
    before = _without_begin(before.strip())
    if not before:
        return []
    if before.startswith("[SYSTEM_PROMPT]") and before.endswith("[/SYSTEM_PROMPT]"):
        return [("system", before.removeprefix("[SYSTEM_PROMPT]").removesuffix("[/SYSTEM_PROMPT]").strip())]
    raise ShapeError(BROKEN, "text before the first [INST]")


def _chatml(text: str) -> list[tuple[str, str]]:
    return _tagged(text, opening="<|im_start|>", header_end="\n", closing="<|im_end|>", strip=False)


def _llama3(text: str) -> list[tuple[str, str]]:
    return _tagged(text, opening="<|start_header_id|>", header_end="<|end_header_id|>", closing="<|eot_id|>")


def _gemma(text: str) -> list[tuple[str, str]]:
    return _tagged(text, opening="<start_of_turn>", header_end="\n", closing="<end_of_turn>")


def _tagged(text: str, *, opening: str, header_end: str, closing: str, strip: bool = True) -> list[tuple[str, str]]:
    """Turns of the form opening, role, header end, content, closing; ChatML alone renders content unstripped."""
    before, *pieces = text.split(opening)
    if _without_begin(before.strip()):
        raise ShapeError(BROKEN, f"text before the first {opening}")
    turns = []
    for number, piece in enumerate(pieces, 1):
        header, found, body = piece.partition(header_end)
        role = header.strip()
        if not found or len(role) > 40:
            if number == len(pieces) and len(role) <= 40 and role:
                raise ShapeError(EMPTY, f"turn {number} ({role}) is empty")
            raise ShapeError(BROKEN, f"turn {number} has no role after {opening}")
        content, closed, rest = body.partition(closing)
        if not closed:
            if number == len(pieces) and not body.strip():
                raise ShapeError(EMPTY, f"turn {number} ({role}) is empty")
            raise ShapeError(BROKEN, f"turn {number} ({role}) is not closed with {closing}")
        if _without_end(rest.strip()):
            raise ShapeError(BROKEN, f"text between turns, behind the {closing} of turn {number}")
        turns.append((_role(role), content.strip() if strip else content))
    return turns


def _zephyr(text: str) -> list[tuple[str, str]]:
    """``<|user|>`` and what follows it, closed with ``</s>`` (Zephyr) or ``<|end|>`` (Phi-3)."""
    turns = [(role, content.strip()) for role, content in _marked(text, _ZEPHYR)]
    closing = "<|end|>" if "<|end|>" in text else "</s>"
    closed = []
    for number, (role, content) in enumerate(turns, 1):
        content = _without_end(content) if closing == "<|end|>" else content
        if not content.endswith(closing):
            if not content:
                raise ShapeError(EMPTY, f"turn {number} ({role}) is empty")
            raise ShapeError(BROKEN, f"turn {number} ({role}) is not closed with {closing}")
        content = content.removesuffix(closing).strip()
        if closing in content:
            raise ShapeError(BROKEN, f"text behind the {closing} of turn {number}")
        closed.append((role, content))
    return closed


def _human(text: str) -> list[tuple[str, str]]:
    turns = _marked(text, _HUMAN)
    if all(role != "assistant" for role, _ in turns):
        raise ShapeError(BROKEN, "no ### Assistant: after ### Human:")
    return turns


def _alpaca(text: str) -> list[tuple[str, str]]:
    """``### Instruction:``, perhaps ``### Input:``, and ``### Response:``; what stands before them is a system turn."""
    turns: list[tuple[str, str]] = []
    for role, content in _marked(text, _ALPACA):
        if role == "user" and turns and turns[-1][0] == "user":
            turns[-1] = ("user", f"{turns[-1][1]}\n{content}".strip())
        else:
            turns.append((role, content))
    if all(role != "assistant" for role, _ in turns):
        raise ShapeError(BROKEN, "no ### Response: after ### Instruction:")
    if all(role != "user" for role, _ in turns):
        raise ShapeError(BROKEN, "no ### Instruction: before ### Response:")
    return turns


def _transcript(text: str) -> list[tuple[str, str]]:
    return _marked(text, _TRANSCRIPT)


def _marked(text: str, marks: re.Pattern[str]) -> list[tuple[str, str]]:
    """The text between marks; what stands before the first one is a system turn."""
    found = list(marks.finditer(text))
    before = _without_begin(text[: found[0].start()].strip())
    turns = [("system", before)] if before else []
    for number, mark in enumerate(found):
        last = number + 1 == len(found)
        content = text[mark.end() :] if last else text[mark.end() : found[number + 1].start()]
        keep_end = marks is _ZEPHYR
        turns.append((_role(mark[1]), content.strip() if keep_end else _without_end(content.strip())))
    return turns


def _role(name: str) -> str:
    plain = name.casefold()
    return _ROLES.get(plain, plain if plain in ("system", "user", "assistant", "tool") else name)


def _without_begin(text: str) -> str:
    for mark in _BEGIN:
        text = text.removeprefix(mark).lstrip()
    return text


def _without_end(text: str) -> str:
    for mark in _END:
        text = text.removesuffix(mark).rstrip()
    return text


_PARSERS = {
    "llama2": _llama2,
    "chatml": _chatml,
    "llama3": _llama3,
    "gemma": _gemma,
    "zephyr": _zephyr,
    "human": _human,
    "alpaca": _alpaca,
    "transcript": _transcript,
}
