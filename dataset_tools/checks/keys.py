"""Keys that are not those that are read, but stand for them: other letters, a slip, another word for the same."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from dataset_tools.checks.base import RowView
from dataset_tools.checks.turns import CONVERSATIONS, Turns, map_turns
from dataset_tools.formats.base import MISSING
from dataset_tools.formats.columns import COMPLETION_NAMES, PROMPT_NAMES

Row = Mapping[str, Any]

_ALIKE = 85  # of 100, by rapidfuzz's ratio: one slip in a word of six letters
_SHORT = 5  # letters; in a shorter word a slip makes another word
_PROMPTS = frozenset(name for tier in PROMPT_NAMES for name in tier)
_COMPLETIONS = frozenset(name for tier in COMPLETION_NAMES for name in tier)
_ROLES = frozenset({"role", "from", "speaker", "sender", "author"})
_CONTENTS = frozenset({"content", "value", "text", "message", "utterance"})
_MEANINGS = (_PROMPTS, _COMPLETIONS, frozenset(CONVERSATIONS), _ROLES, _CONTENTS)
# The usual keys of rows: another spelling of one of them is meant for it.
_USUAL = (
    *("messages", "conversations", "prompt", "completion", "instruction", "input", "output", "question", "answer"),
    *("response", "label", "text", "system", "tools", "chosen", "rejected"),
)
_WHOLE = (
    ("messages",),
    ("conversations",),
    ("instruction", "output"),
    ("prompt", "completion"),
    ("chosen", "rejected"),
)


def misnamed_keys(row: RowView) -> Iterator[str]:
    """For each key that is missing, the key of the row that seems to be meant for it."""
    for container, expected, at in _missing(row):
        found = meant_for(expected, [key for key in container if key != expected])
        if found is not None:
            yield f"{found[:40]!r} stands where {expected!r} is expected{at}"


def meant_for(expected: str, keys: Collection[str]) -> str | None:
    """The key that stands for the expected one; None where there is none, or it cannot be told which."""
    spelt = [key for key in keys if _is_same_word(key, expected)]
    meanings = [meaning for meaning in _MEANINGS if _plain(expected) in meaning]
    same_meaning = [key for key in keys if any(_plain(key) in meaning for meaning in meanings)]
    return next((found[0] for found in (spelt, same_meaning) if len(found) == 1), None)


def with_usual_keys(value: Row) -> Row | None:
    """The row with its keys named as usual; None where they are, or it cannot be told what they mean."""
    named = _spelt_as_usual(value)
    if not any(all(key in named for key in whole) for whole in _WHOLE):
        plain = _named(named, ("prompt", "completion"))
        named = plain if "prompt" in plain and "completion" in plain else named
    named = map_turns(named, _with_usual_turns) or named
    return None if named == value else named


def _spelt_as_usual(value: Row) -> Row:
    names: dict[str, str] = {}
    for key in value:
        if key not in _USUAL:
            meant = [usual for usual in _USUAL if usual not in value and _is_same_word(key, usual)]
            if len(meant) == 1 and meant[0] not in names.values():
                names[key] = meant[0]
    return _with_names(value, names)


def _named(value: Row, expected: Collection[str]) -> Row:
    """The row with the expected keys that it lacks, where others stand for them."""
    names: dict[str, str] = {}
    for key in expected:
        if key not in value:
            found = meant_for(key, [other for other in value if other not in expected and other not in names])
            if found is not None:
                names[found] = key
    return _with_names(value, names)


def _with_names(value: Row, names: Mapping[str, str]) -> Row:
    return {names.get(key, key): part for key, part in value.items()} if names else value


def _is_same_word(key: str, expected: str) -> bool:
    """Whether they differ in case, marks, or a slip."""
    from rapidfuzz import fuzz

    one, other = _plain(key), _plain(expected)
    return one == other or (len(one) > _SHORT and fuzz.ratio(one, other) >= _ALIKE)


def _with_usual_turns(turns: Turns) -> Turns:
    shared = any("from" in turn for turn in turns)
    pair = ("from", "value") if shared else ("role", "content")
    return [dict(_named(turn, pair)) for turn in turns]


def _missing(row: RowView) -> Iterator[tuple[Row, str, str]]:
    """What is missing: the object, the key, and where in the row, in words."""
    if row.shape is not None and row.shape.check == "missing-field":
        key, _, rest = str(row.shape).partition(" ")
        if rest == "is missing" and key.isidentifier():
            yield row.value, key, ""
    for turn in row.turns:
        inside: Any = row.value if turn.place is None else row.value.get(turn.field)
        if turn.place is not None:
            inside = inside[turn.place] if isinstance(inside, list) and turn.place < len(inside) else None
        if not isinstance(inside, Mapping):
            continue
        at = "" if turn.place is None else f" in {turn.field}[{turn.place}]"
        for part, key in ((turn.role, turn.keys[0]), (turn.content, turn.keys[1])):
            if part is MISSING:
                yield inside, key if turn.place is not None else turn.field, at


def _plain(key: str) -> str:
    return re.sub(r"[\W_]+", "", key).casefold()
