"""What lint found, as the Data page shows it: the verdict, the five largest findings with three rows each, the rest."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from app.components.actions import act_button
from app.components.cards import Tone, badge, banner, empty
from app.components.markup import NOTHING, counted, html, joined, shortened
from dataset_tools import Finding, Report
from dataset_tools.checks import Hit

_VERDICTS: dict[str, tuple[Tone, str, str]] = {
    "train": ("good", "Ready to use", "No errors were found."),
    "fix_first": ("warn", "Fix first", "Some rows have errors. They are left out until they are fixed."),
    "do_not_train": ("bad", "Do not train on this", "Too few rows can be used, or most of them have errors."),
}
_TONES: dict[str, Tone] = {"error": "bad", "warning": "warn", "info": "plain"}
_LARGEST, _ROWS_EACH, _LINES_SHOWN, _MESSAGE_SHOWN = 5, 3, 6, 240
OPEN_ROW = "open-row"  # the act of a button that opens a row; its data has the row's number as ``record``


def verdict_banner(report: Report) -> Markup:
    """The verdict of a report, in colour and in words."""
    tone, title, text = _VERDICTS[report.verdict]
    if report.usable < report.rows:
        text = f"{text} {report.usable:,} of {counted(report.rows, 'row')} can be used."
    can_fix = tone != "good" and any(finding.fix for finding in report.findings)
    return banner(tone, title, html('{} <a href="#fixing">See the fixes</a>', text) if can_fix else text)


def findings_view(report: Report, *, note: Markup = NOTHING) -> Markup:
    """The findings, the worst first: five with their first rows, the others folded, then what was not checked.

    Args:
        report: What was found.
        note: What else is to be said about the checks: that some are still running.
    """
    largest, others = report.findings[:_LARGEST], report.findings[_LARGEST:]
    parts = [_table(largest, rows=_ROWS_EACH) if largest else empty("Nothing to report: no errors, no warnings.")]
    if others:
        more = counted(len(others), "more finding")
        parts.append(html('<details class="fr-fold"><summary>{}</summary>{}</details>', more, _table(others, rows=1)))
    return joined([*parts, note, _skipped(report)])


def _table(findings: Sequence[Finding], *, rows: int) -> Markup:
    heads = Markup('<th>Finding</th><th class="fr-number">Rows</th><th>Lines</th>')
    return html(
        '<div class="fr-scroll fr-findings"><table class="fr-table"><thead><tr>{}</tr></thead>'
        "<tbody>{}</tbody></table></div>",
        heads,
        joined(_finding(finding, rows) for finding in findings),
    )


def _finding(finding: Finding, rows: int) -> Markup:
    fix = html('<div class="fr-quiet">Can be fixed: {}.</div>', finding.fix) if finding.fix else NOTHING
    return html(
        '<tr><td>{} <b>{}</b> <code>{}</code><div class="fr-quiet">{}</div><ul class="fr-hits">{}</ul>{}</td>'
        '<td class="fr-number">{}</td><td class="fr-lines">{}</td></tr>',
        badge(finding.severity, _TONES.get(finding.severity, "plain")),
        finding.title,
        finding.check,
        finding.why,
        joined(_hit(hit) for hit in finding.hits[:rows]),
        fix,
        f"{finding.count:,}" if any(hit.line for hit in finding.hits) else "",
        _lines(finding),
    )


def _hit(hit: Hit) -> Markup:
    return html("<li>{}{}</li>", html("{} ", _place(hit, "line ")) if hit.line else NOTHING, _message(hit))


def _message(hit: Hit) -> str:
    return shortened(hit.message, _MESSAGE_SHOWN)


def _place(hit: Hit, before: str = "") -> Markup:
    """The line of a hit, as a button that opens the row there."""
    text = f"{before}{hit.line}"
    if hit.record is None:
        return html("<span>{}</span>", text)
    return act_button(OPEN_ROW, text, label=f"Show the row at line {hit.line}", record=hit.record)


def _lines(finding: Finding) -> Markup:
    hits = {hit.line: hit for hit in finding.hits if hit.line is not None}
    if not hits:
        return Markup("whole file")
    places = [_place(hit) for hit in hits.values()]
    if len(places) <= _LINES_SHOWN:
        return joined(places, " ")
    kept = len(places) - _LINES_SHOWN
    more = finding.count - _LINES_SHOWN
    of_these = f" ({kept:,} of them kept)" if more > kept else ""
    return html(
        '{}<details class="fr-fold"><summary>and {:,} more</summary>{}{}</details>',
        joined(places[:_LINES_SHOWN], " "),
        max(kept, more),
        joined(places[_LINES_SHOWN:], " "),
        of_these,
    )


def _skipped(report: Report) -> Markup:
    """The checks that were not run, by the reason why."""
    by_reason: dict[str, list[str]] = {}
    for line in report.skipped:
        check, _, reason = line.partition(": ")
        by_reason.setdefault(reason, []).append(check)
    return joined(
        html(
            '<details class="fr-fold"><summary>{} skipped: {}</summary><span class="fr-quiet">{}</span></details>',
            counted(len(checks), "check"),
            reason,
            ", ".join(checks),
        )
        for reason, checks in by_reason.items()
    )
