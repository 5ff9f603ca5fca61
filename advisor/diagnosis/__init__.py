"""Diagnosis: what a model lacks on a task, found by changing its prompt. It explains and orders; it never decides."""

from __future__ import annotations

from advisor.diagnosis.gap import Gap, main_gap
from advisor.diagnosis.probes import diagnose

__all__ = ["Gap", "diagnose", "main_gap"]
