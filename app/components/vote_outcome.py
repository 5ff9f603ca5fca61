"""What a closed blind session says, as HTML: the result, which arm was which, and what the votes are good for.

Pure functions; they are not called before the session is closed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from advisor.human import Feedback, Mark, SessionResult
from advisor.human.tallies import Tally
from advisor.statistics import Interval
from app.components.actions import act_button
from app.components.cards import banner, link, section, tiles
from app.components.diffs import word_difference
from app.components.evidence import table
from app.components.markup import NOTHING, counted, html, joined, shortened
from app.components.voting import prompt_of


def result_card(result: SessionResult, titles: Mapping[str, str]) -> Markup:
    """What a closed session says: win rates, strengths, agreement, and which arm was which.

    Args:
        result: of the session.
        titles: of arms that have one beside their names.
    """
    label = "decided" if result.decided else "not decided"
    facts = [("votes that count", result.counted), ("planned", result.wanted), ("skipped", result.skipped)]
    facts.append(("raters", result.agreement.raters))
    parts = [section(result.title), banner("good" if result.decided else "warn", result.sentence, badge=label)]
    parts += [tiles(facts), _pairs(result), _strengths(result), _agreement(result), _reveal(result, titles)]
    return html('<div id="votes-result">{}</div>', joined(parts))


def _pairs(result: SessionResult) -> Markup:
    heads = joined(
        html('<th class="fr-number">{}</th>', head)
        for head in ("Wins", "Losses", "Ties", "Both bad", "Win rate", "95% interval", "Ties of all items")
    )
    rows = [_pair_row(pair.tally, f"{100 * pair.tie_share:.0f}%") for pair in result.pairs]
    for name, tallies in (*result.by_question.items(), *result.by_tag.items()):
        rows += [_pair_row(found, "", before=f"{name}: ") for found in tallies if found.judged]
    return table(joined([Markup("<th>Pair</th>"), heads]), joined(rows))


def _pair_row(found: Tally, ties: str, *, before: str = "") -> Markup:
    rate, interval = "-", ""
    if found.win_rate is not None:
        rate = f"{100 * found.win_rate.estimate:.0f}%"
        interval = f"{100 * found.win_rate.low:.0f} to {100 * found.win_rate.high:.0f}"
    cells = (found.wins, found.losses, found.ties, found.both_bad, rate, interval, ties)
    return html(
        '<tr><td>{}{} <span class="fr-quiet">against</span> {}</td>{}</tr>',
        *(before, found.a, found.b, joined(html('<td class="fr-number">{}</td>', cell) for cell in cells)),
    )


def _strengths(result: SessionResult) -> Markup:
    if not result.strengths:
        return NOTHING
    heads = Markup(
        '<th>Strength (Bradley-Terry)</th><th class="fr-number">Log odds</th>'
        '<th class="fr-number">95% interval</th><th class="fr-number">Strongest in draws</th>'
    )
    rows = (
        html(
            '<tr><td>{}</td><td class="fr-number">{:+.2f}</td><td class="fr-number">{:+.2f} to {:+.2f}</td>'
            '<td class="fr-number">{:.0%}</td></tr>',
            *(one.arm, one.strength, one.low, one.high, one.best),
        )
        for one in result.strengths
    )
    return table(heads, joined(rows))


def _agreement(result: SessionResult) -> Markup:
    agreed = result.agreement
    alpha = "Agreement of raters: not known, as no item has votes of two raters."
    if agreed.alpha is not None:
        alpha = f"Agreement of raters: alpha {_spread(agreed.alpha)} on {counted(agreed.shared, 'item')}."
    own = "Self-consistency: not known, as no repeat was voted on."
    if agreed.consistency is not None:
        share = Interval(*(100 * value for value in agreed.consistency))
        own = f"Self-consistency: the same vote on {share.estimate:.0f}% of {counted(agreed.repeats, 'repeat')} "
        own += f"({share.low:.0f} to {share.high:.0f})."
    return html('<p class="fr-quiet fr-note">{} {}</p>', alpha, own)


def _spread(found: Interval) -> str:
    return f"{found.estimate:.2f} ({found.low:.2f} to {found.high:.2f})"


def _reveal(result: SessionResult, titles: Mapping[str, str]) -> Markup:
    rows = []
    for letter, arm in (result.reveal or {}).items():
        title = titles.get(arm, "")
        rows.append(html("<dt>{} was</dt><dd>{}{}</dd>", letter, arm, f": {title}" if title else ""))
    if not rows:
        return NOTHING
    return html(
        '<div class="fr-card" id="reveal"><h3>Which was which</h3><dl class="fr-facts">{}</dl></div>', joined(rows)
    )


def to_take_along(
    session: str,
    pairs: Feedback,
    thumbs: Feedback,
    *,
    taken: bool,
    training: str | None = None,
    edits: Feedback | None = None,
    marks: Sequence[Mark] = (),
) -> Markup:
    """The files of a closed session, and the way to training.

    Args:
        session: its id.
        pairs: preference pairs from its votes.
        thumbs: rated answers from its votes.
        taken: whether test rows were taken knowingly.
        edits: examples of the answers that raters wrote themselves.
        marks: the labels that raters call wrong.
        training: the address of the Train page for its rows, where a project was made of them: the page goes there.
    """
    ending = "-with-test-rows" if taken else ""
    files = [("Download votes.csv", "votes.csv")]
    files += [("Download dpo.jsonl", f"dpo{ending}.jsonl")] if pairs.examples else []
    files += [("Download kto.jsonl", f"kto{ending}.jsonl")] if thumbs.examples else []
    files += [("Download sft.jsonl (edited answers)", f"sft{ending}.jsonl")] if edits and edits.examples else []
    links = joined(link(f"/votes/{session}/{name}", text) for text, name in files)
    buttons = [act_button("home", "All sessions")]
    if pairs.left_out and not taken:
        buttons.insert(0, act_button("take", "Take these test rows all the same", session=session))
    who: dict[str, Any] = {"session": session, "taken": "yes" if taken else ""}
    if thumbs.examples and training is None:
        buttons.insert(0, act_button("train", "Train on each answer, liked or not (KTO)", form="kto", **who))
    if pairs.examples and training is None:
        buttons.insert(0, act_button("train", "Train on these pairs (DPO)", kind="main", form="dpo", **who))
    go = html("<span data-go>{}</span>", link(training, "Go to training →", main=True)) if training else NOTHING
    said = [pairs.sentence, *([edits.sentence] if edits and (edits.examples or edits.left_out) else [])]
    card = html(
        '<div class="fr-card" id="votes-files"><h3>What the votes are good for</h3>{}'
        '<div class="fr-links">{}{}</div><div class="fr-acts">{}</div></div>',
        *(joined(html("<p>{}</p>", each) for each in said), links, go, joined(buttons)),
    )
    return joined([card, _wrong_labels(session, marks)])


def _wrong_labels(session: str, marks: Sequence[Mark]) -> Markup:
    """The labels that raters call wrong, each with what it should be, and how the dataset is mended."""
    if not marks:
        return NOTHING
    rows = joined(
        html(
            '<div class="fr-diff"><small>{}, of the answer to: {}</small><div class="fr-new">{}</div></div>',
            counted(mark.raters, "rater"),
            shortened(prompt_of(mark.prompt), 300),
            word_difference(mark.right, mark.wanted) if mark.right else html("<del>{}</del>", mark.wanted),
        )
        for mark in marks
    )
    return html(
        '<div class="fr-card" id="votes-labels"><h3>{} called wrong</h3>{}<p>Nothing is changed yet. This shows the '
        "change, and writes the mended file: <code>fitting-room votes fixes {} YOUR-DATA --out MENDED</code></p></div>",
        *(counted(len(marks), "label"), rows, session),
    )
