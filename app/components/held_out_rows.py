"""All held-out rows as a table: what was asked and wanted, two answers with their scores, and what can be done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from app.components.actions import act_button, text_field
from app.components.cards import badge, empty, tiles
from app.components.markup import NOTHING, html, joined, shortened
from app.components.results import answer_box
from app.components.rows import pager
from app.components.run_samples import common_beginning
from app.held_out import Cell, HeldOut, HeldRow, gain, mean_scores

PAGE_ROWS = 50
_SHOWN = 2_000  # characters of a text
_DEEDS = (("add", "Add to dataset"), ("fix", "Fix this answer"), ("label", "This label is wrong"))
_FORMS = {"fix": ("save-fix", "The answer as it should be"), "label": ("save-label", "What the label should be")}


@dataclass(frozen=True)
class Open:
    """What stands open in the list: a row that was jumped to, and the form of one (``fix`` or ``label``)."""

    row: int = 0
    form: str = ""


def score_tiles(held: HeldOut, rows: Sequence[HeldRow], *, one: str, other: str) -> Markup:
    """The means of two arms over the rows that both have answered, and how often which was better."""
    gains = [value for row in rows if (value := gain(row, one, other)) is not None]
    if not gains or one == other:
        return NOTHING
    part = HeldOut("", {}, tuple(row for row in rows if gain(row, one, other) is not None), tests=held.tests)
    means = mean_scores(part)
    better, worse = sum(value > 0 for value in gains), sum(value < 0 for value in gains)
    return tiles(
        [
            (f"{held.arms[one]}: mean score of 100", f"{100 * means[one]:.1f}"),
            (f"{held.arms[other]}: mean score of 100", f"{100 * means[other]:.1f}"),
            ("better / worse", f"{better} / {worse}"),
            ("rows: an impression, no proof" if len(gains) < PAGE_ROWS else "rows", f"{len(gains):,}"),
        ]
    )


def held_out_table(
    held: HeldOut, rows: Sequence[HeldRow], *, page: int, one: str, other: str, opened: Open | None = None
) -> Markup:
    """A page of the rows that were selected, with the way to the others.

    Args:
        held: All rows, and what their arms are called.
        rows: Those that were selected.
        page: Which 50 of them.
        one: The arm that is looked at.
        other: What it is held against.
        opened: What stands open.
    """
    if not rows:
        return empty("No row fits this filter and this search." if held.rows else "There is no answer to a row yet.")
    shown = rows[page * PAGE_ROWS : (page + 1) * PAGE_ROWS]
    begin = common_beginning([row.asked for row in shown])
    arms = list(dict.fromkeys(name for name in (other, one) if name in held.arms))
    names = ["Row", "Asked", "Wanted", *(held.arms[name] for name in arms)]
    heads = joined(html("<th>{}</th>", name) for name in names)
    body = joined(
        _row(held, row, arms, begin=begin, opened=opened if opened and opened.row == row.number else None)
        for row in shown
    )
    said = html('<p class="fr-quiet fr-note">All begin with: {}</p>', shortened(begin, 600)) if begin else NOTHING
    pages = pager(page, PAGE_ROWS, len(rows))
    return html(
        '{}<div class="fr-scroll fr-held"><table class="fr-table"><thead><tr>{}</tr></thead><tbody>{}</tbody>'
        "</table></div>{}",
        *(said, heads, body, pages),
    )


def _row(held: HeldOut, row: HeldRow, arms: Sequence[str], *, begin: str, opened: Open | None) -> Markup:
    asked = row.asked.strip().removeprefix(begin).strip()
    answers = joined(html('<td data-name="{}">{}</td>', held.arms[name], _cell(row.cells.get(name))) for name in arms)
    others = [name for name in row.cells if name not in arms]
    width = 3 + len(arms)
    focus = Markup(' tabindex="-1" autofocus') if opened is not None and not opened.form else NOTHING
    parts = html(
        '<tr data-held="{}" class="{}"{}><td class="fr-place-of"><b>{}</b>{}</td>'
        '<td data-name="Asked"><div class="fr-long">{}</div></td>'
        '<td data-name="Wanted"><div class="fr-long">{}</div></td>{}</tr>',
        row.number,
        "fr-jumped" if opened is not None else "",
        focus,
        row.number,
        _gain_badge(row, arms),
        shortened(asked, _SHOWN),
        shortened(row.wanted, _SHOWN),
        answers,
    )
    below = _form(row, arms, opened.form) if opened is not None and opened.form else _deeds(row, held, others)
    return html('{}<tr class="fr-deeds"><td colspan="{}">{}</td></tr>', parts, width, below)


def _gain_badge(row: HeldRow, arms: Sequence[str]) -> Markup:
    value = gain(row, arms[-1], arms[0]) if len(arms) == 2 else None
    if value is None:
        return NOTHING
    tone = "good" if value > 0 else "bad" if value < 0 else "plain"
    return badge(f"{100 * value:+.0f}" if value else "same", tone)  # type: ignore[arg-type]  # one of the tones


def _cell(cell: Cell | None) -> Markup:
    if cell is None:
        return html('<span class="fr-quiet">{}</span>', "not asked")
    marks = [html("<b>{:.0f}</b>", 100 * cell.score)] if cell.score is not None else []
    marks += [badge("does not stop", "warn")] if cell.stopped is False else []
    text = shortened(cell.text, _SHOWN) if cell.text.strip() else html('<span class="fr-quiet">(empty)</span>')
    return html('<div class="fr-scored">{}</div><div class="fr-long">{}</div>', joined(marks, " "), text)


def _deeds(row: HeldRow, held: HeldOut, others: Sequence[str]) -> Markup:
    buttons = joined(act_button(do, text, row=row.number, label=f"{text}: row {row.number}") for do, text in _DEEDS)
    more = NOTHING
    if others:
        boxes = joined(
            answer_box(held.arms[name], shortened(row.cells[name].text, _SHOWN), score=row.cells[name].score)
            for name in others
        )
        more = html(
            '<details class="fr-fold"><summary>The others ({})</summary><div class="fr-answers">{}</div></details>',
            *(len(others), boxes),
        )
    return html('<div class="fr-acts">{}</div>{}', buttons, more)


def _form(row: HeldRow, arms: Sequence[str], form: str) -> Markup:
    save, label = _FORMS[form]
    answered = row.cells.get(arms[-1]) if arms else None
    text = (answered.text if answered else "") if form == "fix" else row.wanted
    lines = min(12, max(2, len(text) // 90 + text.count("\n") + 1))
    return html(
        '<div class="fr-form" data-form>{}<div class="fr-acts">{}{}</div></div>',
        text_field("text", text, label=label, lines=lines, focus=True),
        act_button(save, "Save", kind="main enter", row=row.number),
        act_button("cancel", "Cancel", kind="escape"),
    )
