"""What lint found, and the rows themselves, as the Data page shows them."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from app.components.cards import Tone, badge, banner, empty
from app.components.markup import NOTHING, counted, html, joined, shortened
from dataset_tools import Example

_VERDICTS: dict[str, tuple[Tone, str, str]] = {
    "train": ("good", "Ready to use", "No errors were found."),
    "fix_first": ("warn", "Fix first", "Some rows have errors. They are left out until they are fixed."),
    "do_not_train": ("bad", "Do not train on this", "Too few rows can be used, or most of them have errors."),
}
_TONES: dict[str, Tone] = {"error": "bad", "warning": "warn", "info": "plain"}
_LINES_SHOWN, _MESSAGE_SHOWN = 6, 300


def verdict_banner(report: dict[str, Any]) -> Markup:
    """The verdict of a report, in colour and in words."""
    tone, title, text = _VERDICTS[report["verdict"]]
    if report["usable"] < report["rows"]:
        text = f"{text} {report['usable']:,} of {counted(report['rows'], 'row')} can be used."
    return banner(tone, title, text)


def findings_table(report: dict[str, Any]) -> Markup:
    """The findings, the worst first, with their places in the file."""
    if not report["findings"]:
        return empty("Nothing to report: no errors, no warnings.")
    rows = joined(_finding_row(finding) for finding in report["findings"])
    heads = Markup('<th>Severity</th><th>Finding</th><th class="fr-number">Rows</th><th>Lines</th>')
    return html(
        '<div class="fr-scroll"><table class="fr-table"><thead><tr>{}</tr></thead><tbody>{}</tbody></table></div>{}',
        heads,
        rows,
        _skipped(report),
    )


def _finding_row(finding: dict[str, Any]) -> Markup:
    first = finding["examples"][0]["message"] if finding["examples"] else ""
    return html(
        '<tr><td>{}</td><td><b>{}</b> <code>{}</code><div class="fr-quiet">{}</div></td>'
        '<td class="fr-number">{:,}</td><td class="fr-lines">{}</td></tr>',
        badge(finding["severity"], _TONES.get(finding["severity"], "plain")),
        finding["title"],
        finding["check"],
        shortened(first, _MESSAGE_SHOWN),
        finding["count"],
        _lines(finding),
    )


def _lines(finding: dict[str, Any]) -> str:
    lines = finding["lines"]
    if not lines:
        return "whole file"
    shown = ", ".join(str(line) for line in lines[:_LINES_SHOWN])
    return shown + (f" and {finding['count'] - _LINES_SHOWN:,} more" if finding["count"] > _LINES_SHOWN else "")


def _skipped(report: dict[str, Any]) -> Markup:
    if not report["skipped"]:
        return NOTHING
    checks = counted(len(report["skipped"]), "check")
    return html('<p class="fr-quiet fr-note">{} not run: {}.</p>', checks, "; ".join(report["skipped"]))


def conversation(example: Example, number: int, total: int) -> Markup:
    """One example as chat bubbles; the wanted answer stands out."""
    bubbles = joined(
        html(
            '<div class="fr-bubble fr-{}{}"><small>{}</small><div>{}</div></div>',
            message.role,
            " fr-wanted" if message is example.messages[-1] else "",
            "wanted answer" if message is example.messages[-1] else message.role,
            message.content,
        )
        for message in example.messages
    )
    place = html(
        '<p class="fr-quiet fr-place">Row {:,} of {:,} · line {:,} of the file</p>', number, total, example.line
    )
    return html('{}<div class="fr-chat">{}</div>', place, bubbles)
