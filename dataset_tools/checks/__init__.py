"""The catalogue of checks: one file a family. What runs them, and in which order, is `dataset_tools.lint`."""

from dataset_tools.checks import (
    columns,
    duplicates,
    fields,
    file,
    labels,
    leaks,
    long_rows,
    mixed_templates,
    near_duplicates,
    preference,
    privacy,
    reasoning,
    roles,
    text,
    tokens,
    tools,
)
from dataset_tools.checks.base import (
    Check,
    DatasetCheck,
    ExampleCheck,
    ExampleView,
    Hit,
    RowCheck,
    RowView,
    Setting,
    Severity,
)

CHECKS: tuple[Check, ...] = (
    *file.CHECKS,
    *fields.CHECKS,
    *columns.CHECKS,
    *mixed_templates.CHECKS,
    *roles.CHECKS,
    *duplicates.CHECKS,
    *near_duplicates.CHECKS,
    *long_rows.CHECKS,
    *reasoning.CHECKS,
    *tokens.CHECKS,
    *tools.CHECKS,
    *leaks.CHECKS,
    *preference.CHECKS,
    *text.CHECKS,
    *labels.CHECKS,
    *privacy.CHECKS,
)

__all__ = [
    "CHECKS",
    "Check",
    "DatasetCheck",
    "ExampleCheck",
    "ExampleView",
    "Hit",
    "RowCheck",
    "RowView",
    "Setting",
    "Severity",
]
