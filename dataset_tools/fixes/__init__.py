"""Fixes of files of rows: planned with their diffs, applied to another file, logged, and undone."""

from dataset_tools.fixes.applying import (
    FixPlan,
    FixResult,
    apply_fixes,
    fixed_path,
    iterate_log,
    plan_fixes,
    undo,
)
from dataset_tools.fixes.catalogue import KINDS, FixKind
from dataset_tools.fixes.changes import apply_changes, plan_changes, with_answer
from dataset_tools.fixes.log import Undone
from dataset_tools.fixes.opened import Needs
from dataset_tools.fixes.tally import Diff, PlannedFix, Unread

__all__ = [
    "KINDS",
    "Diff",
    "FixKind",
    "FixPlan",
    "FixResult",
    "Needs",
    "PlannedFix",
    "Undone",
    "Unread",
    "apply_changes",
    "apply_fixes",
    "fixed_path",
    "iterate_log",
    "plan_changes",
    "plan_fixes",
    "undo",
    "with_answer",
]
