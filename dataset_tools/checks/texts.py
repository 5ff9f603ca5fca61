"""Changing the texts of a row as it stands in the file, in any format. What is changed is decided by the fixes."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dataset_tools.formats.columns import COMPLETION_NAMES, PROMPT_NAMES, SYSTEM_NAMES, TEXT_NAMES
from dataset_tools.formats.text import Text

Change = Callable[[str], str]
Row = Mapping[str, Any]

_CHOSEN = ("chosen", "preferred_output")
_REJECTED = ("rejected", "non_preferred_output", "rejected_response")
_TURNS = frozenset(
    {"messages", "conversations", "conversation", "history", "prompt", "completion", *_CHOSEN, *_REJECTED}
)
_CONTENTS = ("content", "value")
_SPEAKERS = ("role", "from")
_ASSISTANTS = frozenset({"assistant", "gpt", "model", "bot", "ai", "chatgpt"})
_WORD = re.compile(r"[^\W_]+")
_ROUNDS = 20


def map_texts(value: Row, change: Change) -> Row:
    """The row with all its texts changed, and all else as it was; the row itself where nothing changes.

    Texts are the columns that formats read, by their names, the contents of turns in a list, and the text parts of a
    content. A text that is empty, or would be left blank, stays as it is.
    """
    columns = _columns(value, PROMPT_NAMES) | _columns(value, COMPLETION_NAMES)
    columns |= {name for name in (*SYSTEM_NAMES, *TEXT_NAMES, *_CHOSEN, *_REJECTED) if name in value}
    changed: dict[str, Any] = {}
    for key, old in value.items():
        if isinstance(old, str):
            changed[key] = _changed_text(old, change) if key in columns else old
        elif isinstance(old, list) and key in _TURNS:
            changed[key] = _changed_list(old, lambda turn: _changed_turn(turn, change))
        elif isinstance(old, dict) and (key in _TURNS or key == "input"):  # one turn, or the prompt of a pair
            changed[key] = map_texts(old, change)
    return _with(value, changed)


def map_answers(value: Row, change: Change) -> Row:
    """The same for the wanted answer alone: the column that holds it, or else the last turn of the assistant."""
    columns = _columns(value, COMPLETION_NAMES) | {name for name in _CHOSEN if name in value}
    changed: dict[str, Any] = {}
    for key, old in value.items():
        if isinstance(old, str) and key in columns:
            changed[key] = _changed_text(old, change)
        elif isinstance(old, list) and key in _TURNS and key not in _REJECTED:
            changed[key] = _last_answer(old, change, whoever=key in columns)
    return _with(value, changed)


def row_fix(change: Change, *, answers_only: bool = False) -> Callable[[Row], Row | None]:
    """A fix's ``row`` out of a change to a text; None where it changes nothing."""
    mapped = map_answers if answers_only else map_texts

    def fix(value: Row) -> Row | None:
        fixed = mapped(value, change)
        return None if fixed is value else fixed

    return fix


def is_rendered(value: Row) -> bool:
    """Whether the row is a conversation rendered into one text, whose marks tell the turns."""
    return Text().matches(value) and not _columns(value, COMPLETION_NAMES) and not _TURNS & value.keys()


def until_stable(change: Change) -> Change:
    """The change made again until it changes nothing, as taking a part out can join another one.

    A text that does not come to rest after 20 rounds was made for it, and stays as it is.
    """

    def changed(text: str) -> str:
        now = text
        for _ in range(_ROUNDS):
            before, now = now, change(now)
            if now == before:
                return now
        return text

    return changed


def _columns(value: Row, tiers: Sequence[Sequence[str]]) -> set[str]:
    """The columns that are named like a text: of the first two tiers, or else of the rest."""
    words = {key: _WORD.findall(key) for key in value}
    last = {key: found[-1].casefold() for key, found in words.items() if found}
    sure = {key for key, word in last.items() if any(word in names for names in tiers[:2])}
    return sure or {key for key, word in last.items() if any(word in names for names in tiers[2:])}


def _with(value: Row, changed: Mapping[str, Any]) -> Row:
    if all(value[key] is new for key, new in changed.items()):
        return value
    return {key: changed.get(key, old) for key, old in value.items()}


def _changed_turn(turn: Any, change: Change) -> Any:
    """A turn is an object with a content, or (an Alpaca history) a pair of texts."""
    if isinstance(turn, list):
        return _changed_list(turn, lambda text: _changed_text(text, change) if isinstance(text, str) else text)
    if not isinstance(turn, dict):
        return turn
    return _with(turn, {key: _changed_content(turn[key], change) for key in _CONTENTS if key in turn})


def _changed_content(content: Any, change: Change) -> Any:
    if isinstance(content, str):
        return _changed_text(content, change)
    return _changed_list(content, lambda part: _changed_part(part, change)) if isinstance(content, list) else content


def _changed_part(part: Any, change: Change) -> Any:
    if not isinstance(part, dict) or not isinstance(part.get("text"), str):
        return part
    return _with(part, {"text": _changed_text(part["text"], change)})


def _last_answer(turns: list[Any], change: Change, *, whoever: bool) -> list[Any]:
    for index in range(len(turns) - 1, -1, -1):
        turn = turns[index]
        speaker = next((turn[key] for key in _SPEAKERS if key in turn), None) if isinstance(turn, dict) else None
        if whoever or (isinstance(speaker, str) and speaker.casefold() in _ASSISTANTS):
            changed = _changed_turn(turn, change)
            return turns if changed is turn else [*turns[:index], changed, *turns[index + 1 :]]
    return turns


def _changed_list(items: list[Any], change: Callable[[Any], Any]) -> list[Any]:
    changed = [change(item) for item in items]
    return items if all(new is old for new, old in zip(changed, items, strict=True)) else changed


def _changed_text(old: str, change: Change) -> str:
    new = change(old) if old else old
    return old if new == old or (not new.strip() and old.strip()) else new
