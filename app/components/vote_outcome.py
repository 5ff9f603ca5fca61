"""What a closed blind session says, as HTML: the result, which arm was which, and what the votes are good for.

Pure functions; they are not called before the session is closed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from advisor.human import Feedback, Mark, SessionResult
from advisor.human.tallies import Tally
from advisor.statistics import Interval
from app.components.actions import act_button
from app.components.cards import banner, link, section, tiles
from app.components.corrections import planned_corrections
from app.components.diffs import word_difference
from app.components.evidence import table
from app.components.markup import NOTHING, counted, html, joined, shortened
from app.components.voting import prompt_of

if TYPE_CHECKING:
    from app.relabelled import Correction


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
    apart = {**result.alpha_by_question, **result.alpha_by_tag}
    parts = [f"{name}: {_spread(found)}" for name, found in apart.items() if found is not None]
    each = f" Alpha apart: {'; '.join(parts)}." if parts else ""
    return html('<p class="fr-quiet fr-note">{} {}{}</p>', alpha, own, each)


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
    parent: str = "",
    token: str = "",
    leaving: str = "",
    mending: Markup = NOTHING,
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
        parent: the tuned model that is trained further; empty where none took part.
        token: of the buttons that start a run: a second click on the same one starts no other.
        leaving: the project whose test rows lose those that are taken; empty where none has them in a file of its own.
        mending: what the wrong labels change in the dataset of a project, or what was changed; how it is done on the
            command line where it is empty.
    """
    ending = "-with-test-rows" if taken else ""
    files = [("Download votes.csv", "votes.csv"), ("Download votes.jsonl", "votes.jsonl")]
    files += [("Download dpo.jsonl", f"dpo{ending}.jsonl")] if pairs.examples else []
    files += [("Download kto.jsonl", f"kto{ending}.jsonl")] if thumbs.examples else []
    files += [("Download sft.jsonl (edited answers)", f"sft{ending}.jsonl")] if edits and edits.examples else []
    links = joined(link(f"/votes/{session}/{name}", text) for text, name in files)
    buttons = [act_button("home", "All sessions")]
    if pairs.left_out and not taken:
        buttons.insert(0, act_button("take", "Take these test rows all the same", session=session))
    starts = _training_buttons(session, pairs, thumbs, taken=taken, token=token) if training is None else []
    buttons = [*starts, *buttons]
    go = html("<span data-go>{}</span>", link(training, "Go to training →", main=True)) if training else NOTHING
    said = [pairs.sentence, *([_further(parent)] if starts else [])]
    if starts and pairs.to_replace and leaving:
        said.append(f"They go out of the test rows of {leaving} with that. Bring others in their place on Data.")
    said += [edits.sentence] if edits and (edits.examples or edits.left_out) else []
    card = html(
        '<div class="fr-card" id="votes-files"><h3>What the votes are good for</h3>{}'
        '<div class="fr-links">{}{}</div><div class="fr-acts">{}</div></div>',
        *(joined(html("<p>{}</p>", each) for each in said), links, go, joined(buttons)),
    )
    return joined([card, _wrong_labels(session, marks, mending)])


def _training_buttons(session: str, pairs: Feedback, thumbs: Feedback, *, taken: bool, token: str) -> list[Markup]:
    who: dict[str, Any] = {"session": session, "taken": "yes" if taken else "", "token": token}
    found = []
    if pairs.examples:
        found.append(act_button("train", "Train on these pairs (DPO)", kind="main", form="dpo", **who))
    if thumbs.examples:
        found.append(act_button("train", "Train on each answer, liked or not (KTO)", form="kto", **who))
    if found:
        form = "dpo" if pairs.examples else "kto"
        found.append(act_button("train", "Look at the settings first", form=form, look="yes", **who))
    return found


def _further(parent: str) -> Markup:
    """What a training on the votes begins with."""
    if not parent:
        return Markup("No tuned model took part, so a training begins afresh, from the base model.")
    return html(
        "A training goes on from <b>{}</b>, the tuned model that was voted on. What comes of it waits here for the "
        "next blind session, beside it.",
        parent,
    )


def _wrong_labels(session: str, marks: Sequence[Mark], mending: Markup) -> Markup:
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
    how = mending or html(
        "<p>Nothing is changed yet. This shows the change, and writes the mended file: "
        "<code>fitting-room votes fixes {} YOUR-DATA --out MENDED</code></p>",
        session,
    )
    return html(
        '<div class="fr-card" id="votes-labels"><h3>{} called wrong</h3>{}{}</div>',
        *(counted(len(marks), "label"), rows, how),
    )


def mending_of(session: str, title: str, planned: Sequence[Correction]) -> Markup:
    """What the wrong labels of a session change in a project's files, and the button that does it."""
    if not planned:
        return NOTHING
    return html(
        '{}<p>Nothing is changed yet.</p><div class="fr-acts">{}</div>',
        planned_corrections(planned),
        act_button("put-right", f"Put right in {title}", kind="main", session=session),
    )
