"""What a comparison's verdict rests on, beyond the scores. Pure functions of result.json, which may lack any of it.

The sentences are those of the report (`advisor.report.facts`); a part that a result does not have is empty.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from markupsafe import Markup

from advisor.report import facts, figures, plots
from app.components.comparison_plan import sure_gaps
from app.components.markup import NOTHING, counted, html, joined

Result = Mapping[str, Any]
MOST_LABELS = 12  # of a confusion table that is still read


def number_tiles(result: Result) -> Markup:
    """The three numbers: the gain with its interval, the chance to be the best, what 1,000 requests cost."""
    each = (
        html('<div class="fr-tile"><b>{}</b><span>{}</span><small>{}</small></div>', tile.number, tile.what, tile.note)
        for tile in facts.tiles(result)
    )
    return html('<div class="fr-tiles" id="numbers">{}</div>', joined(each))


def conditions_card(result: Result) -> Markup:
    """What is to be done before the advised approach is used: the gates that it failed."""
    conditions = result["verdict"].get("conditions") or ()
    if not conditions:
        return NOTHING
    each = (html("<li><b>{}</b> {}</li>", condition["what_to_do"], condition["sentence"]) for condition in conditions)
    return html(
        '<div class="fr-card fr-warn" id="conditions"><h3>Before you use it</h3><ul>{}</ul></div>', joined(each)
    )


def judge_card(result: Result) -> Markup:
    """That the scores are a model's opinion, and what people's votes say of it; empty where no judge scored."""
    said = facts.judge_lines(result)
    if not said:
        return NOTHING
    return html('<div class="fr-card fr-warn" id="judge-told"><h3>What a judge thinks</h3>{}</div>', bullets(said))


def reasons_list(result: Result) -> Markup:
    """Why the verdict is what it is."""
    reasons = result["verdict"].get("reasons") or ()
    return html("<h4>Why this verdict</h4>{}", bullets(reasons)) if reasons else NOTHING


def gaps_title(result: Result) -> str:
    """The heading of the gap profile, which names what was surely found."""
    return f"What holds the model back: {sure_gaps(result.get('gaps') or ())}"


def gap_profile(result: Result) -> Markup:
    """What each gap costs, as bars around zero with their intervals, each with its finding; the rest in a fold."""
    if not result.get("gaps"):
        return NOTHING
    bars, others = plots.gaps_plot(result), plots.gap_lines(result)
    shown = [html('<p class="fr-quiet">{}</p>', _ABOUT_GAPS)]
    if bars:
        shown += [_gap(bar, zero=bars.mark or 0.0) for bar in bars.rows]
    if others:
        summary = "Not measured, or on another scale"
        shown.append(html('<details class="fr-fold"><summary>{}</summary>{}</details>', summary, bullets(others)))
    return joined(shown)


_ABOUT_GAPS = (
    "How many points each gap costs the model before any training, with 95% intervals, on rows held back for it. "
    "This explains the scores; it decides nothing."
)


def _gap(bar: plots.Bar, *, zero: float) -> Markup:
    _, _, finding = bar.note.partition(": ")
    return html(
        '<div class="fr-gap{}"><b>{}</b><span class="fr-track" role="img" aria-label="{} points">'
        '<i class="fr-zero" style="left:{}%"></i><i class="fr-range" style="left:{}%;width:{:.2f}%"></i>'
        '<i class="fr-dot" style="left:{}%"></i></span><b class="fr-number">{}</b><p>{}</p></div>',
        " fr-sure" if bar.tone == "best" else "",
        bar.title,
        bar.text,
        zero,
        bar.low,
        max(0.0, bar.high - bar.low),
        bar.at,
        bar.text,
        finding[:1].upper() + finding[1:] if finding else bar.note,
    )


def cost_text(result: Result) -> Markup:
    """What would turn the advice, what speaks for and against in the user's situation, on which prices."""
    flips, pros = facts.changes(result)
    parts = []
    if flips:
        parts.append(html("<h4>What would change the advice</h4>{}", bullets(flips)))
    if pros:
        parts.append(html("<h4>For and against, in your situation</h4>{}", bullets(pros)))
    if facts.is_paid(result) and (result.get("cost") or {}).get("assumed", True):
        parts.append(html('<p class="fr-quiet">{}</p>', "The prices are assumed: give yours under “Your situation”."))
    return joined(parts)


def holding(result: Result) -> Markup:
    """How far the scores hold: on rows that had no part in the choice, on rows like and unlike the examples."""
    said = [line for line in (facts.confirmed_sentence(result), facts.power_sentence(result)) if line]
    parts = [reasons_list(result), html("<h4>How far to trust the scores</h4>{}", bullets(said)) if said else NOTHING]
    return joined([*parts, parts_table(result)])


def parts_table(result: Result) -> Markup:
    """The scores on rows that are like one of the examples, and on those that are not."""
    arms = [arm for arm in facts.scored(result) if arm.get("near") or arm.get("far")]
    if not arms:
        return NOTHING
    rows = joined(
        html(
            '<tr><td>{}</td><td class="fr-number">{}</td><td class="fr-number">{}</td></tr>',
            arm["title"],
            facts.part_text(arm.get("near")),
            facts.part_text(arm.get("far")),
        )
        for arm in arms
    )
    heads = Markup('<th>Approach</th><th class="fr-number">Like an example</th><th class="fr-number">Unlike all</th>')
    about = "Scores with 95% intervals and the number of rows. A gain on the first kind alone may be copying."
    return html(
        '<h4>Rows like your examples, and others</h4>{}<p class="fr-quiet fr-note">{}</p>', table(heads, rows), about
    )


def setups_table(result: Result) -> Markup:
    """How each approach was set up or trained, and which other settings were tried for it."""
    rows = [row for arm in facts.scored(result) if (row := _setup(arm))]
    if not rows:
        return NOTHING
    return table(Markup("<th>Approach</th><th>How it was set up</th>"), joined(rows))


def _setup(arm: Mapping[str, Any]) -> Markup | None:
    notes = facts.arm_notes({**arm, "dropped": None})
    if not notes:
        return None
    trials = (arm.get("tuning") or {}).get("trials") or ()
    return html("<tr><td>{}</td><td>{}{}</td></tr>", arm["title"], " ".join(notes), _trials(trials))


def _trials(trials: Sequence[Mapping[str, Any]]) -> Markup:
    """The settings that were tried; one that got on to more rows stands with all of its rows alone."""
    last = {trial["name"]: trial for trial in trials}
    if len(last) < 2:
        return NOTHING
    lines = (
        f"{trial['name']}: {figures.points(trial['score'])} on {counted(trial['rows'], 'row')}"
        + (f", {trial['tokens']:,.0f} tokens" if trial.get("tokens") else "")
        for trial in last.values()
    )
    return html('<details class="fr-fold"><summary>What was tried</summary>{}</details>', bullets(lines))


def confusion_table(result: Result) -> Markup:
    """Which label the shown approach answered for which; empty where there are too many labels to read."""
    arm = facts.shown_arm(result)
    found = (arm or {}).get("confusion")
    if not found or not 2 <= len(found["labels"]) <= MOST_LABELS:
        return NOTHING
    heads = joined(html('<th class="fr-number">{}</th>', label) for label in (*found["labels"], "other"))
    others = [lost + unknown for lost, unknown in zip(found["others"], found["unknown"], strict=True)]
    rows = joined(
        _confusion_row(label, [*counts, other], right=place)
        for place, (label, counts, other) in enumerate(zip(found["labels"], found["counts"], others, strict=True))
    )
    about = f"{(arm or {}).get('title', '')}: a row for each wanted label, a column for each that was answered."
    return html(
        '<p class="fr-quiet">{}</p><div class="fr-confusion">{}</div>',
        about,
        table(html("<th>wanted \\ answered</th>{}", heads), rows),
    )


def _confusion_row(label: str, counts: Sequence[int], *, right: int) -> Markup:
    cells = joined(
        html('<td class="fr-number{}">{}</td>', _look(place == right, count), count or "")
        for place, count in enumerate(counts)
    )
    return html("<tr><th>{}</th>{}</tr>", label, cells)


def _look(is_right: bool, count: int) -> str:
    return (" fr-right" if is_right else " fr-wrong") if count else ""


def curve_text(result: Result) -> Markup:
    """Whether more examples would help, in a sentence."""
    curve = result.get("learning_curve") or {}
    if not curve.get("sentence"):
        return NOTHING
    about = "Dots were measured, with 95% intervals. The bands hold half and 90% of the curves that fit them."
    drawn = html('<p class="fr-quiet">{}</p>', about) if curve.get("points") and curve.get("fan") else NOTHING
    lost = (curve.get("loss") or {}).get("sentence")
    losses = html("<p>{} {}</p>", lost, _ABOUT_LOSSES) if lost else NOTHING
    return html("<p>{}</p>{}{}", curve["sentence"], drawn, losses)


_ABOUT_LOSSES = (
    "The loss of the wanted answers, drawn below, varies far less from row to row than scores do; a lower one is no "
    "better answer yet."
)


def bullets(lines: Iterable[str]) -> Markup:
    """Sentences as a list."""
    return html('<ul class="fr-bullets">{}</ul>', joined(html("<li>{}</li>", line) for line in lines))


def table(heads: Markup, rows: Markup) -> Markup:
    """A table that scrolls where it is wider than its place."""
    return html(
        '<div class="fr-scroll"><table class="fr-table"><thead><tr>{}</tr></thead><tbody>{}</tbody></table></div>',
        heads,
        rows,
    )
