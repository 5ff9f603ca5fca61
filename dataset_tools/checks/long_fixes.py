"""Conversations cut to the model's limit, from their beginning: what is asked last, and its answer, stay whole.

Only the last answer of a row is trained on, so what goes is what the model would have read before it. A row of one
question has nothing that can go.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import Any

from dataset_tools.checks.base import ExampleView, Setting
from dataset_tools.checks.fix import Fix, RowFix
from dataset_tools.checks.lengths import Lengths
from dataset_tools.checks.turns import CONVERSATIONS, Turns, meant_role
from dataset_tools.formats.base import to_example

Row = Mapping[str, Any]


def without_first_turns(setting: Setting) -> RowFix:
    """The function that leaves out as few of the first turns of a row as make it fit; None where none do."""
    lengths = setting.share(Lengths)

    def fits(row: Row) -> bool:
        example = to_example(setting.format, row) if setting.format is not None else None
        if example is None:
            return False
        view = ExampleView.of(example)
        return lengths.refusal(view) is None and lengths.over_limit(view) is None

    def fix(row: Row) -> Row | None:
        field = next((key for key in CONVERSATIONS if key in row), None)
        shorter = _shorter(row[field]) if field is not None else []
        rows = [{**row, field: turns} for turns in shorter]
        first = bisect_left(rows, True, key=fits)  # what is shorter than one that fits does as well
        return rows[first] if first < len(rows) else None

    return fix


def _shorter(turns: object) -> Sequence[Turns]:
    """The turns without the first of them: from each later question on, behind the system's. The longest is first."""
    if not isinstance(turns, list) or not all(isinstance(turn, dict) for turn in turns):
        return []
    roles = [meant_role(str(turn.get("role", turn.get("from", "")))) for turn in turns]
    start = next((place for place, role in enumerate(roles) if role != "system"), len(turns))
    return [turns[:start] + turns[place:] for place in range(start + 1, len(turns)) if roles[place] == "user"]


FIX = Fix(
    what="leave out the first turns of the conversation, until the row fits",
    name="shorten",
    start=without_first_turns,
    otherwise=Fix(what="drop the row", name="drop", drop=True),
)
