"""The growing dataset beside the tabs: how many rows, what the checks say, and what can be done with all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from app.components.actions import act_button, found_at
from app.components.cards import Tone, badge, link
from app.components.layout import address
from app.components.markup import NOTHING, counted, html, joined, shortened
from app.drafts import Checked
from app.workspace import Project
from dataset_tools import Report
from dataset_tools.building import DraftRow, DraftSummary
from dataset_tools.checks.file import MIN_ROWS

_VERDICTS: dict[str, tuple[Tone, str]] = {
    "train": ("good", "Ready to train on"),
    "fix_first": ("warn", "Fix these first"),
    "do_not_train": ("bad", "Do not train on this yet"),
}
_TONES: dict[str, Tone] = {"error": "bad", "warning": "warn", "info": "plain"}
_FINDINGS, _LATEST, _SHOWN = 5, 3, 90


def panel(project: Project | None, summary: DraftSummary, checked: Checked, latest: Sequence[DraftRow]) -> Markup:
    """The panel as a whole; without a project an empty dataset."""
    place = found_at(address("build", project=project.id)) if project else NOTHING
    title = html("<h3>Rows built here</h3>{}", _beside(project) if project and project.training else NOTHING)
    parts = [title, counts(summary), verdict(summary, checked), findings(checked), _left_out(checked)]
    return joined([*parts, _latest(latest), _files(project, summary), place])


def _beside(project: Project) -> Markup:
    """Says that what is built is not yet what the project trains on."""
    return html('<p class="fr-quiet fr-pairs">For {}, whose own rows stay as they are for now.</p>', project.title)


def counts(summary: DraftSummary) -> Markup:
    """Rows by their status, and preference pairs."""
    statuses = summary.statuses
    facts = [
        ("accepted", statuses.get("accepted", 0)),
        ("waiting", statuses.get("pending", 0)),
        ("rejected", statuses.get("rejected", 0)),
    ]
    tile = '<div data-count="{}"><b>{:,}</b><span>{}</span></div>'
    each = joined(html(tile, name, count, name) for name, count in facts)
    pairs = NOTHING
    if summary.preferences:
        text = f"with {counted(summary.preferences, 'preference pair')}, which go to a file of their own"
        pairs = html('<p class="fr-quiet fr-pairs">{}</p>', text)
    return html('<div class="fr-counts">{}</div>{}', each, pairs)


def verdict(summary: DraftSummary, checked: Checked) -> Markup:
    """Whether the accepted rows can be trained on; a dataset that only begins to grow is not blamed for it."""
    report = checked.report
    if report is None:
        waiting = summary.statuses.get("pending", 0)
        text = "Accept what waits, and it is checked." if waiting else "Nothing in it yet."
        return html('<p class="fr-quiet fr-verdict">{}</p>', text)
    others = [finding for finding in report.findings if finding.check != "too-few-rows"]
    if report.usable < MIN_ROWS and not any(finding.severity == "error" for finding in others):
        text = f"{counted(report.usable, 'row')} of at least {MIN_ROWS}; 50 to 100 are a good start."
        return html('<p class="fr-verdict">{} {}</p>', badge("growing"), text)
    tone, word = _VERDICTS[report.verdict]
    return html('<p class="fr-verdict">{} {}</p>', badge(word, tone), _usable(report))


def _usable(report: Report) -> str:
    if report.usable == report.rows:
        return counted(report.rows, "row")
    return f"{report.usable:,} of {counted(report.rows, 'row')} can be used"


def findings(checked: Checked) -> Markup:
    """The worst findings, each with a button that shows its rows."""
    shown = [(finding, "rows") for finding in checked.report.findings] if checked.report else []
    shown += [(finding, "pairs") for finding in checked.pairs.findings] if checked.pairs else []
    shown = [(finding, where) for finding, where in shown if finding.check != "too-few-rows"]
    if not shown:
        return NOTHING
    items = joined(_finding(finding, where) for finding, where in shown[:_FINDINGS])
    more = len(shown) - _FINDINGS
    rest = html('<p class="fr-quiet">and {} more</p>', counted(more, "finding")) if more > 0 else NOTHING
    return html('<ul class="fr-found">{}</ul>{}', items, rest)


def _finding(finding: Any, where: str) -> Markup:
    show = NOTHING
    if where == "rows" and finding.records:
        show = act_button("show", "Show", check=finding.check, label=f"Show the rows: {finding.title}")
    count = f"{finding.count:,} " if finding.records else ""
    return html(
        '<li title="{}">{} <span>{}{}{}</span> {}</li>',
        f"{finding.why} First: {shortened(finding.hits[0].message, 200)}" if finding.hits else finding.why,
        badge(finding.severity, _TONES.get(finding.severity, "plain")),
        count,
        finding.title,
        " (pairs)" if where == "pairs" else "",
        show,
    )


def _left_out(checked: Checked) -> Markup:
    if not checked.left_out:
        return NOTHING
    why = checked.left_out[0][1]
    text = f"{counted(len(checked.left_out), 'accepted row')} cannot be written and will be left out: {why}."
    return html('<p class="fr-verdict">{} {}</p>', badge("left out", "bad"), text)


def _latest(rows: Sequence[DraftRow]) -> Markup:
    rows = [row for row in rows if not row.example.rejected]
    if not rows:
        return NOTHING
    items = joined(
        html(
            "<li><b>{}</b><span>{}</span></li>",
            shortened(row.example.question, _SHOWN),
            shortened(row.example.completion, _SHOWN),
        )
        for row in reversed(rows[-_LATEST:])
    )
    return html('<p class="fr-label">Added last</p><ul class="fr-latest">{}</ul>', items)


def _files(project: Project | None, summary: DraftSummary) -> Markup:
    """Where the accepted rows can be downloaded."""
    if project is None or not summary.statuses.get("accepted"):
        return NOTHING
    files = [("dataset.jsonl", "Download JSONL"), ("dataset.prompts.jsonl", "Download prompt / completion")]
    if summary.preferences:
        files.append(("dataset.preferences.jsonl", "Download pairs"))
    links = joined(link(f"/draft/{project.id}/{name}", text) for name, text in files)
    return html('<div class="fr-links fr-downloads">{}</div>', links)


def replaces_card(name: str, rows: int | None) -> Markup:
    """What is asked before other training rows are replaced."""
    count = f" ({counted(rows, 'row')})" if rows is not None else ""
    text = f"This takes the place of {name}{count} in this project. Its rows that are not in this dataset are left out."
    buttons = [
        act_button("take-in", "Take its rows in first", kind="main"),
        act_button("replace", "Replace it", kind="bad"),
        act_button("close", "Cancel"),
    ]
    return html(
        '<div class="fr-card fr-warn" tabindex="-1" autofocus><h3>Replace the training examples?</h3><p>{}</p>'
        '<div class="fr-acts">{}</div></div>',
        text,
        joined(buttons),
    )


def used_card(project: Project, rows: int, pairs: int) -> Markup:
    """What was handed over, and where to look at it."""
    text = f"{counted(rows, 'row')} are the training examples of {project.title} now."
    text += f" {counted(pairs, 'preference pair')} stayed here: training does not use them yet." if pairs else ""
    links = joined(
        [
            link(address("data", project=project.id), "See them on Data"),
            link(address("compare", project=project.id), "Compare →", main=True),
        ]
    )
    return html(
        '<div class="fr-card fr-good" id="used"><h3>Handed over</h3><p>{}</p><div class="fr-links">{}</div></div>',
        text,
        links,
    )


def said(text: str) -> Markup:
    """One sentence about what was just done."""
    return html('<p class="fr-status" role="status">{}</p>', text)
