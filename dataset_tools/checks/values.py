"""Mending the values of a row as it stands in the file: what should be text and is not, and what should not be there.

All functions give a new row, or None where they have nothing to do; what they are given stays as it is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from dataset_tools.checks.turns import CONVERSATIONS, Turns, map_turns
from dataset_tools.formats.columns import COMPLETION_NAMES, PROMPT_NAMES
from dataset_tools.formats.tools import json_text

Row = Mapping[str, Any]

TEMPLATE_KEYS = frozenset({"chat_template", "chat_template_kwargs"})
SINGLE_KEYS = frozenset({"prompt", "completion"})
_TEXTS = frozenset(name for tiers in (PROMPT_NAMES, COMPLETION_NAMES) for tier in tiers[:2] for name in tier)
_CONTENTS = ("content", "value")
_WEIGHTS = ("weight", "loss_weight")


def with_texts(value: Row) -> Row | None:
    """Numbers, lists of one text, and objects become the text they stand for; a conversation in a text is read."""
    changed: dict[str, Any] = {}
    for key, part in value.items():
        new = _conversation(part) if key in CONVERSATIONS else _text(key, part) if key in _TEXTS else None
        if new is not None:
            changed[key] = new
    made = {**value, **changed} if changed else value
    made = map_turns(made, lambda turns: [_turn_with_text(turn) for turn in turns]) or made
    return None if made is value else made


def with_flat_contents(value: Row) -> Row | None:
    """Contents that are lists of text parts become one text, the parts joined as they are read."""
    return map_turns(value, lambda turns: [_flat(turn) for turn in turns])


def with_plain_weights(value: Row) -> Row | None:
    """Weights become 0 or 1, whichever is nearer."""
    return map_turns(value, _plain_weights)


def without_template(value: Row) -> Row | None:
    """The row without a chat template of its own."""
    return _without(value, TEMPLATE_KEYS)


def without_single_turn(value: Row) -> Row | None:
    """The row without the prompt and completion that stand beside its messages."""
    return _without(value, SINGLE_KEYS) if "messages" in value else None


def joined_parts(content: Any) -> str | None:
    """The text of ``[{"type": "text", "text": ...}, ...]``; None for anything else."""
    if not isinstance(content, list) or not content:
        return None
    texts = []
    for part in content:
        text = part.get("text", part.get("value")) if isinstance(part, dict) and part.get("type") == "text" else None
        if not isinstance(text, str):
            return None
        texts.append(text)
    return "".join(texts)


def is_odd_weight(weight: Any) -> bool:
    """Whether a weight is a number other than 0 and 1."""
    return isinstance(weight, int | float) and not isinstance(weight, bool) and weight not in (0, 1)


def _without(value: Row, keys: frozenset[str]) -> Row | None:
    return {key: part for key, part in value.items() if key not in keys} if keys & value.keys() else None


def _conversation(part: Any) -> Turns | None:
    if not isinstance(part, str):
        return None
    try:
        turns = json.loads(part)
    except (ValueError, RecursionError):
        return None
    good = isinstance(turns, list) and bool(turns) and all(isinstance(turn, dict) for turn in turns)
    return turns if good else None


def _text(key: str, part: Any) -> str | None:
    if isinstance(part, bool):
        return None if key == "label" else json_text(part)  # a thumb up or down
    if isinstance(part, int | float):
        return json_text(part) if part == part and abs(part) != float("inf") else None
    if isinstance(part, list) and len(part) == 1 and not isinstance(part[0], dict):
        return part[0] if isinstance(part[0], str) else _text(key, part[0])
    if isinstance(part, dict) and part and "role" not in part and "from" not in part:
        return json_text(part)
    return None


def _turn_with_text(turn: dict[str, Any]) -> dict[str, Any]:
    for key in _CONTENTS:
        part = turn.get(key)
        if isinstance(part, list) and joined_parts(part) is not None:
            continue
        if turn.get("from") == "function_call":
            continue
        new = _text(key, part) if key in turn else None
        if new is not None:
            return {**turn, key: new}
    return turn


def _flat(turn: dict[str, Any]) -> dict[str, Any]:
    for key in _CONTENTS:
        text = joined_parts(turn.get(key))
        if text is not None:
            return {**turn, key: text}
    return turn


def _plain_weights(turns: Turns) -> Turns:
    made = []
    for turn in turns:
        odd = {key: int(turn[key] >= 0.5) for key in _WEIGHTS if is_odd_weight(turn.get(key))}
        made.append({**turn, **odd} if odd else turn)
    return made
