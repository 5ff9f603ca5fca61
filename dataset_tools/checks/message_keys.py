"""Keys of a message beside those that are read: they are told, and taken out when that is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from dataset_tools.checks.base import Check, RowCheck, RowView
from dataset_tools.checks.fix import Fix
from dataset_tools.checks.turns import each_turn, map_turns

Row = Mapping[str, Any]

# What a turn may hold beside role and content; what is not read here is harmless and said by nobody.
_TURN_KEYS = frozenset(
    {
        *("role", "content", "name", "tool_calls", "tool_call_id", "function_call", "weight", "loss_weight"),
        *("from", "value", "id", "refusal", "audio", "annotations"),
    }
)
_PAIRS = (("role", "content"), ("from", "value"))
_CALLS = ("tool_calls", "function_call")
_OTHER_TEXT = "text"  # Mistral's other name of a content


def unread_keys(turn: Mapping[str, Any]) -> list[str]:
    """The keys of a turn that are not read; ``text`` beside a content has a check of its own."""
    unread = [key for key in turn if key not in _TURN_KEYS]
    return [key for key in unread if key != _OTHER_TEXT] if has_two_texts(turn) else unread


def has_two_texts(turn: Mapping[str, Any]) -> bool:
    """Whether a turn has both names of a text."""
    return _OTHER_TEXT in turn and any(key in turn for _, key in _PAIRS)


def without_unread_keys(row: Row) -> Row | None:
    """The row with the keys of its turns that are read; a turn that lacks one of those is left alone."""
    return map_turns(row, lambda turns: [_without(turn, unread_keys(turn)) for turn in turns])


def without_second_text(row: Row) -> Row | None:
    """The row whose turns have no ``text`` beside their content."""
    return map_turns(
        row, lambda turns: [_without(turn, [_OTHER_TEXT]) if has_two_texts(turn) else turn for turn in turns]
    )


def _without(turn: dict[str, Any], keys: list[str]) -> dict[str, Any]:
    """The turn without some keys, if what it says is known to stand in the others."""
    whole = any(role in turn and (content in turn or any(key in turn for key in _CALLS)) for role, content in _PAIRS)
    return {key: part for key, part in turn.items() if key not in keys} if keys and whole else turn


def _unread(row: RowView) -> Iterator[str]:
    for at, turn in each_turn(row.value):
        unread = unread_keys(turn)
        if unread:
            yield f"{at} has keys that are not read: {', '.join(repr(key[:40]) for key in unread[:5])}"


def _two_texts(row: RowView) -> Iterator[str]:
    for at, turn in each_turn(row.value):
        if has_two_texts(turn):
            read = "content" if "content" in turn else "value"
            same = "the same as" if turn[read] == turn[_OTHER_TEXT] else "another text than"
            yield f"{at}.{_OTHER_TEXT} is {same} its {read}; only {read} is read"


CHECKS: tuple[Check, ...] = (
    RowCheck(
        id="unread-message-keys",
        severity="info",
        title="keys of a message that are not read",
        why="What stands there is not trained on.",
        run=_unread,
        on_good_rows=True,
        fix=Fix(what="take the keys out that are not read", row=without_unread_keys),
    ),
    RowCheck(
        id="text-beside-content",
        severity="warning",
        title="a message with both text and content",
        why="Some trainers read the one and some the other (Mistral's fine-tuning takes either).",
        run=_two_texts,
        on_good_rows=True,
        fix=Fix(what="keep the content", row=without_second_text),
    ),
)
