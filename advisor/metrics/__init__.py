"""Answers in, one score an item out: one module a family of metrics, over well-kept libraries."""

from __future__ import annotations

from advisor.metrics.base import Metric
from advisor.metrics.confusion import Confusion, confusion
from advisor.metrics.registry import metric_for, metric_named, metric_names

__all__ = ["Confusion", "Metric", "confusion", "metric_for", "metric_named", "metric_names"]
