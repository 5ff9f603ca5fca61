"""What lint found: findings with their places, and a verdict. How they are found and shown is decided elsewhere."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from dataset_tools.checks.base import Check, Family, Hit, Severity

Verdict = Literal["train", "fix_first", "do_not_train"]
SHOWN = 100  # first places kept per finding, and as many drawn from the rest: a report must stay readable
_RANK: dict[Severity, int] = {"error": 0, "warning": 1, "info": 2}


@dataclass(frozen=True, slots=True)
class Finding:
    """All hits of one check in a file: their number, the first 100 of them, and 100 drawn from the rest, in order."""

    check: str
    severity: Severity
    title: str
    why: str
    count: int
    hits: tuple[Hit, ...]
    family: Family = "structure"
    fix: str | None = None
    safe: bool = False

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
        """The 1-based physical lines of the hits that were kept, without repeats."""
        return list(dict.fromkeys(hit.line for hit in self.hits if hit.line is not None))

    @property
    def records(self) -> list[int]:
        """The 1-based records of the hits that were kept (a header is not counted), without repeats."""
        return list(dict.fromkeys(hit.record for hit in self.hits if hit.record is not None))

    def to_dict(self) -> dict[str, Any]:
        """The finding as JSON, with its first three hits as examples. ``fix`` says what would put it right."""
        return {
            "check": self.check,
            "severity": self.severity,
            "message": self.message,
            "count": self.count,
            "lines": self.lines,
            "records": self.records,
            "title": self.title,
            "why": self.why,
            "family": self.family,
            "fix": self.fix,
            "safe": self.safe,
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
class _Kept:
    """The hits of one check and severity: all counted, the first ones and a random draw of the others kept."""

    check: Check
    count: int = 0
    first: list[Hit] = field(default_factory=list)
    drawn: list[Hit] = field(default_factory=list)

    def add(self, hit: Hit, rng: random.Random) -> None:
        """Count a hit, and keep it or not (Vitter's algorithm R for those behind the first)."""
        self.count += 1
        if len(self.first) < SHOWN:
            self.first.append(hit)
        elif len(self.drawn) < SHOWN:
            self.drawn.append(hit)
        else:
            place = rng.randrange(self.count - SHOWN)
            if place < SHOWN:
                self.drawn[place] = hit

    def hits(self) -> tuple[Hit, ...]:
        """What was kept; the drawn ones in the order of the file."""
        return (*self.first, *sorted(self.drawn, key=lambda hit: (hit.line or 0, hit.record or 0)))


class Collector:
    """Gathers hits while a file is looked at, in memory that does not grow with them."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, Severity], _Kept] = {}
        self._bad = bytearray()  # by record: 1 where it has an error
        self._rng = random.Random(0)

    def add(self, check: Check, hits: Iterable[Hit]) -> int:
        """Take the hits of a check and return how many of them are errors."""
        errors = 0
        for hit in hits:
            severity = hit.severity or check.severity
            self._kept.setdefault((check.id, severity), _Kept(check)).add(hit, self._rng)
            if severity == "error":
                errors += 1
                self._mark(hit.record)
        return errors

    def pack(self) -> tuple[dict[tuple[str, Severity], tuple[int, list[Hit]]], bytes]:
        """What `absorb` takes, for another process: checks hold functions, which cannot be pickled."""
        kept = {key: (kept.count, [*kept.first, *kept.drawn]) for key, kept in self._kept.items()}
        return kept, bytes(self._bad)

    def absorb(self, packed: Any, *, by_id: Mapping[str, Check], lines: int, records: int) -> None:
        """Take what was gathered in a later part of the file, whose lines and records were counted from its start."""
        found, bad = packed
        for key, (count, hits) in found.items():
            mine = self._kept.setdefault(key, _Kept(by_id[key[0]]))
            for hit in hits:
                mine.add(_moved(hit, lines=lines, records=records), self._rng)
            mine.count += count - len(hits)
        for record, is_bad in enumerate(bad):
            if is_bad:
                self._mark(records + record)

    def _mark(self, record: int | None) -> None:
        if record is None:
            return
        if record >= len(self._bad):
            self._bad.extend(bytes(record + 1 - len(self._bad)))
        self._bad[record] = 1

    @property
    def bad_records(self) -> int:
        """How many records have an error."""
        return self._bad.count(1)

    def findings(self) -> tuple[Finding, ...]:
        """The findings, the worst first, then those with most hits."""
        made = (_finding(kept, severity) for (_, severity), kept in self._kept.items())
        return tuple(sorted(made, key=lambda finding: (_RANK[finding.severity], -finding.count)))


def _fixes(check: Check, hits: Iterable[Hit]) -> str | None:
    """What can be done about a check's hits, in words; None where nothing can, or for none of these."""
    if check.fix is None or not any(hit.fixable for hit in hits):
        return None
    other = check.fix.otherwise
    return check.fix.what if other is None else f"{check.fix.what}, or {other.what}"


def _moved(hit: Hit, *, lines: int, records: int) -> Hit:
    line = None if hit.line is None else hit.line + lines
    return replace(hit, line=line, record=None if hit.record is None else hit.record + records)


def _finding(kept: _Kept, severity: Severity) -> Finding:
    check = kept.check
    return Finding(
        check=check.id,
        severity=severity,
        title=check.title,
        why=check.why,
        count=kept.count,
        hits=kept.hits(),
        family=check.family,
        fix=_fixes(check, kept.hits()),
        safe=check.fix.safe if check.fix else False,
    )
