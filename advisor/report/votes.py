"""What people said of a comparison's answers, as its folder keeps it in votes.json. It counts no vote."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

VOTES_FILE = "votes.json"
"""In a comparison's folder; `advisor.human.reporting` writes it."""


def people_said(result: Mapping[str, Any]) -> list[str]:
    """The lines of the section "What people said"; none where nobody has voted, or the folder is elsewhere."""
    try:
        kept = json.loads((Path(result["folder"]) / VOTES_FILE).read_text("utf-8"))
        return [str(line) for session in kept for line in session["lines"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []
