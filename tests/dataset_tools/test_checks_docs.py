"""The published list of checks names each of them as it is."""

from __future__ import annotations

import re
from pathlib import Path

from dataset_tools.checks import CHECKS
from dataset_tools.checks.fix import Fix

LIST = Path(__file__).parents[2] / "docs" / "checks.md"


def _fixes(fix: Fix | None) -> str:
    if fix is None:
        return ""
    return fix.what + " (safe)" * fix.safe + (f", or {_fixes(fix.otherwise)}" if fix.otherwise else "")


def test_the_list_of_checks_names_each_with_its_severity_title_and_fix() -> None:
    rows = re.findall(r"^\| `([^`]+)` \| (\w+) \| (.*) \| (.*) \|$", LIST.read_text("utf-8"), re.MULTILINE)
    listed = {name: (severity, title, fix) for name, severity, title, fix in rows}
    assert listed == {check.id: (check.severity, check.title, _fixes(check.fix)) for check in CHECKS}
    assert len(rows) == len(CHECKS)


def test_every_family_has_a_heading_of_its_own() -> None:
    headings = re.findall(r"^## `(\w+)`", LIST.read_text("utf-8"), re.MULTILINE)
    assert set(headings) == {check.family for check in CHECKS} and len(headings) == len(set(headings))
