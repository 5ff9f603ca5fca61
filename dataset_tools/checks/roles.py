"""Checks of a conversation's roles: known ones, in an order that chat templates take, with an answer at the end."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from dataset_tools.checks.base import Check, RowCheck, RowView
from dataset_tools.example import ROLES

ALIASES = {
    "human": "user",
    "customer": "user",
    "gpt": "assistant",
    "bot": "assistant",
    "model": "assistant",
    "ai": "assistant",
    "chatgpt": "assistant",
    "developer": "system",
}


def _unknown_role(row: RowView) -> Iterator[str]:
    for turn in row.turns:
        if isinstance(turn.role, str) and turn.role not in ROLES:
            plain = turn.role.strip().casefold()
            meant = plain if plain in ROLES else ALIASES.get(plain)
            hint = f"; {meant!r} is meant?" if meant else f"; known are {', '.join(ROLES)}"
            yield f"{turn.role_at} is {turn.role[:40]!r}{hint}"


def _role_order(row: RowView) -> Iterator[str]:
    roles = _known_roles(row)
    talk = [role for role in roles if role != "system"]
    if "system" in roles[1:]:
        yield f"a system message stands at place {roles.index('system', 1) + 1}; it can only be the first"
    if talk[:1] == ["assistant"]:
        yield "the assistant speaks before the user"
    for place, (one, other) in enumerate(itertools.pairwise(roles)):
        if one == other and one != "system":
            yield f"messages {place + 1} and {place + 2} are both of the role {one}"
            return


def _no_assistant(row: RowView) -> Iterator[str]:
    if row.turns and all(turn.role != "assistant" for turn in row.turns):
        yield "no message of the assistant"


def _ends_with_user(row: RowView) -> Iterator[str]:
    roles = [turn.role for turn in row.turns]
    if "assistant" in roles and roles[-1] in ("user", "system"):
        yield f"the last message is the {roles[-1]}'s"


def _known_roles(row: RowView) -> list[str]:
    """The roles, if all are known; else none, as their order says nothing then."""
    roles = [turn.role for turn in row.turns if isinstance(turn.role, str)]
    return roles if len(roles) == len(row.turns) and all(role in ROLES for role in roles) else []


CHECKS: tuple[Check, ...] = (
    RowCheck(
        id="unknown-role",
        severity="error",
        title="an unknown role",
        why="Chat templates drop such a message or fail on it.",
        run=_unknown_role,
    ),
    RowCheck(
        id="role-order",
        severity="error",
        title="roles out of order",
        why="Chat templates want a system message first or none, then user and assistant in turn; many fail otherwise.",
        run=_role_order,
    ),
    RowCheck(
        id="no-assistant-turn",
        severity="error",
        title="no answer in the row",
        why="Only the assistant's words are trained on, so nothing can be learnt from the row.",
        run=_no_assistant,
    ),
    RowCheck(
        id="ends-with-user",
        severity="error",
        title="the last message is not the assistant's",
        why="What is trained is the last answer; a question behind it is never answered.",
        run=_ends_with_user,
    ),
)
