"""What lint found: findings with their places, and a verdict. How they are found and shown is decided elsewhere."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from dataset_tools.checks.base import Check, Hit, Severity

Verdict = Literal["train", "fix_first", "do_not_train"]
SHOWN = 100  # places kept per finding: the report of a bad file of five million rows must stay readable
_RANK: dict[Severity, int] = {"error": 0, "warning": 1, "info": 2}


@dataclass(frozen=True, slots=True)
class Finding:
    """All hits of one check in a file: their number, and the first 100 of them."""

    check: str
    severity: Severity
    title: str
    why: str
    count: int
    hits: tuple[Hit, ...]

    @property
    def message(self) -> str:
        """One line: what is wrong, how often, and the first place."""
        first = self.hits[0]
        place = f" (line {first.line})" if first.line is not None else ""
        if self.count == 1:
            return f"{self.title}: {first.message}{place}"
        return f"{self.title}, {self.count} times; first: {first.message}{place}"

    @property
    def lines(self) -> list[int]:
        """The 1-based physical lines of the first 100 hits, without repeats."""
        return list(dict.fromkeys(hit.line for hit in self.hits if hit.line is not None))

    @property
    def records(self) -> list[int]:
        """The 1-based records of the first 100 hits (a header is not counted), without repeats."""
        return list(dict.fromkeys(hit.record for hit in self.hits if hit.record is not None))

    def to_dict(self) -> dict[str, Any]:
        """The finding as JSON, with its first three hits as examples."""
        return {
            "check": self.check,
            "severity": self.severity,
            "message": self.message,
            "count": self.count,
            "lines": self.lines,
            "records": self.records,
            "title": self.title,
            "why": self.why,
            "examples": [{"line": hit.line, "record": hit.record, "message": hit.message} for hit in self.hits[:3]],
        }


@dataclass(frozen=True, slots=True)
class Report:
    """The result of linting one file.

    ``rows`` counts all records, ``usable`` those without an error of their own. ``skipped`` names each check that was
    not run, and why.
    """

    file: str
    format: str
    rows: int
    usable: int
    verdict: Verdict
    findings: tuple[Finding, ...]
    skipped: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON."""
        return {
            "file": self.file,
            "format": self.format,
            "rows": self.rows,
            "usable": self.usable,
            "verdict": self.verdict,
            "findings": [finding.to_dict() for finding in self.findings],
            "skipped": list(self.skipped),
        }


@dataclass(slots=True)
class Collector:
    """Gathers hits while a file is looked at: counts all, keeps the first 100 of each check and severity."""

    error_records: set[int] = field(default_factory=set)
    _found: dict[tuple[str, Severity], tuple[Check, list[Hit]]] = field(default_factory=dict)
    _counts: dict[tuple[str, Severity], int] = field(default_factory=dict)

    def add(self, check: Check, hits: Iterable[Hit]) -> int:
        """Take the hits of a check and return how many of them are errors."""
        errors = 0
        for hit in hits:
            severity = hit.severity or check.severity
            key = (check.id, severity)
            kept = self._found.setdefault(key, (check, []))[1]
            self._counts[key] = self._counts.get(key, 0) + 1
            if len(kept) < SHOWN:
                kept.append(hit)
            if severity == "error":
                errors += 1
                if hit.record is not None:
                    self.error_records.add(hit.record)
        return errors

    def findings(self) -> tuple[Finding, ...]:
        """The findings, the worst first, then those with most hits."""
        made = (
            Finding(check.id, severity, check.title, check.why, self._counts[check.id, severity], tuple(hits))
            for (_, severity), (check, hits) in self._found.items()
        )
        return tuple(sorted(made, key=lambda finding: (_RANK[finding.severity], -finding.count)))
