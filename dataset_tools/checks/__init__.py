"""The catalogue of checks: one file a family. What runs them, and in which order, is `dataset_tools.lint`."""

from dataset_tools.checks import duplicates, fields, file, roles, tokens
from dataset_tools.checks.base import Check, DatasetCheck, DatasetView, ExampleCheck, Hit, RowCheck, RowView, Severity

CHECKS: tuple[Check, ...] = (*file.CHECKS, *fields.CHECKS, *roles.CHECKS, *duplicates.CHECKS, *tokens.CHECKS)

__all__ = [
    "CHECKS",
    "Check",
    "DatasetCheck",
    "DatasetView",
    "ExampleCheck",
    "Hit",
    "RowCheck",
    "RowView",
    "Severity",
]
