"""The checks of the text itself, gathered from their files: characters, marks, wording, repetition, form, language."""

from __future__ import annotations

from dataset_tools.checks import (
    answers,
    characters,
    language,
    markup,
    monotony,
    remains,
    repetition,
    spacing,
    swearing,
    wording,
)
from dataset_tools.checks.base import Check

CHECKS: tuple[Check, ...] = (
    *characters.CHECKS,
    *markup.CHECKS,
    *remains.CHECKS,
    *wording.CHECKS,
    *repetition.CHECKS,
    *monotony.CHECKS,
    *spacing.CHECKS,
    *swearing.CHECKS,
    *answers.CHECKS,
    *language.CHECKS,
)
