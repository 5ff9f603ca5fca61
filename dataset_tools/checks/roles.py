"""Checks of a conversation's roles: known ones, in an order that chat templates take, with an answer at the end."""

from __future__ import annotations

from collections.abc import Iterator

from dataset_tools.checks.base import Check, RowCheck, RowView
from dataset_tools.checks.fix import Fix
from dataset_tools.checks.turns import meant_role, with_known_roles, with_turns_in_order, without_last_questions
from dataset_tools.example import ROLES
from dataset_tools.formats.base import conversation_faults


def _unknown_role(row: RowView) -> Iterator[str]:
    for turn in row.turns:
        if isinstance(turn.role, str) and turn.role not in ROLES:
            meant = meant_role(turn.role)
            hint = f"; {meant!r} is meant?" if meant else f"; known are {', '.join(ROLES)}"
            yield f"{turn.role_at} is {turn.role[:40]!r}{hint}"


def _role_order(row: RowView) -> Iterator[str]:
    yield from row.shape_fault("role-order")
    roles = _known_roles(row)
    faults = conversation_faults(roles) if roles else []
    ends_well = roles[-1:] == ["assistant"]
    yield from faults if ends_well else faults[:-1]  # the last one is told by the next two checks


def _no_assistant(row: RowView) -> Iterator[str]:
    if row.turns and all(turn.role != "assistant" for turn in row.turns):
        yield "no message of the assistant"


def _ends_with_user(row: RowView) -> Iterator[str]:
    roles = [turn.role for turn in row.turns]
    if "assistant" in roles and roles[-1] != "assistant" and roles[-1] in ROLES:
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
        fix=Fix(what="map the role to system, user, assistant or tool", safe=True, row=with_known_roles),
    ),
    RowCheck(
        id="role-order",
        severity="error",
        title="roles out of order",
        why="Chat templates want a system message first or none, then user and assistant in turn; many fail otherwise.",
        run=_role_order,
        fix=Fix(
            what="put one system message first, leave out what stands before the first question, and join turns of the "
            "same role",
            row=with_turns_in_order,
        ),
    ),
    RowCheck(
        id="no-assistant-turn",
        severity="error",
        title="no answer in the row",
        why="Only the assistant's words are trained on, so nothing can be learnt from the row.",
        run=_no_assistant,
        fix=Fix(what="drop the row", drop=True),
    ),
    RowCheck(
        id="ends-with-user",
        severity="error",
        title="the last message is not the assistant's",
        why="What is trained is the last answer; a question behind it is never answered.",
        run=_ends_with_user,
        fix=Fix(what="leave out what stands behind the last answer", row=without_last_questions),
    ),
)
