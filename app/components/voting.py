"""Blind votes as HTML: the list of sessions, a rater's page, the question before the end, and the result.

Pure functions. What is drawn for a rater is a `Task`, which does not know the arms; names come with the result alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from markupsafe import Markup

from advisor.human import Feedback, Progress, Session, SessionResult, Task
from advisor.human.tallies import Tally
from advisor.statistics import Interval
from app.components.actions import act_button
from app.components.cards import badge, banner, empty, link, section, tiles
from app.components.evidence import table
from app.components.markup import NOTHING, counted, html, joined
from app.components.results import answer_box
from dataset_tools.example import Message

_WAYS = (
    ("left", "←", "Left is better"),
    ("right", "→", "Right is better"),
    ("tie", "t", "Tie"),
    ("both_bad", "b", "Both bad"),
    ("skip", "s", "Skip"),
)
_ANSWERS = (("left", "Left"), ("right", "Right"), ("tie", "Same"))
_ASK = "Tell which answer is better. Names are hidden, and the sides are drawn anew for each prompt."


@dataclass(frozen=True, slots=True)
class SessionLine:
    """A session as the list shows it: no arm among it."""

    id: str
    title: str
    created: float
    votes: int
    wanted: int
    closed: bool


def sessions_table(lines: Sequence[SessionLine]) -> Markup:
    """All sessions of this machine; an empty list says what to do."""
    heads = Markup('<th>Session</th><th>Made</th><th class="fr-number">Votes</th><th></th><th></th>')
    shown = table(heads, joined(map(_session_row, lines))) if lines else empty("No session yet. Start one above.")
    return joined([section("Sessions on this machine", "Open one to vote, or to read its result."), shown])


def _session_row(line: SessionLine) -> Markup:
    made = datetime.fromtimestamp(line.created).strftime("%d %b %Y, %H:%M")
    state = badge("closed") if line.closed else badge("open", "good")
    button = act_button("open", "Result" if line.closed else "Open", label=f"Open {line.title}", session=line.id)
    return html(
        '<tr><td><b>{}</b></td><td>{}</td><td class="fr-number">{} of {}</td><td>{}</td><td>{}</td></tr>',
        *(line.title, made, line.votes, line.wanted, state, button),
    )


def joining(session: Session, progress: Progress) -> Markup:
    """A rater's door to a session: the rater's name."""
    place = html(
        "{} of {} so far. Each rater has a queue of their own.", _votes(progress.counted), session.votes_wanted
    )
    field = Markup(
        '<label class="fr-field"><span>Your name</span>'
        '<input name="rater" maxlength="80" autocomplete="off" placeholder="Any name, the same when you come back">'
        "</label>"
    )
    buttons = joined(
        [act_button("join", "Start voting", kind="main enter", session=session.id), *_others(session.id, "")]
    )
    form = html('<div data-form class="fr-joining">{}<div class="fr-acts">{}</div></div>', field, buttons)
    return html("{}<div class='fr-card'><p>{}</p>{}</div>", section(session.title, _ASK), place, form)


def voting(  # a page of its own
    session: Session, rater: str, *, tasks: Sequence[Task], progress: Progress, address: str, batch: str = ""
) -> Markup:
    """A rater's page.

    Args:
        session: the session; of it only the title and the id are shown.
        rater: who votes.
        tasks: the next ones; the first is shown, the others lie ready, hidden.
        progress: how far the rater is, and all raters.
        address: the session's, for others.
        batch: names the votes that this answers; the browser waits for it.
    """
    body = joined(_task(task, hidden=bool(number)) for number, task in enumerate(tasks))
    waiting = Markup('<p class="fr-status fr-working" data-waiting hidden>One moment …</p>')
    whole = progress.of and not tasks
    ending = empty("You have voted on everything in your queue. Thank you.") if whole else waiting
    parts = (session.id, rater, batch, progress.done, progress.of)
    return html(
        '<div data-voting data-session="{}" data-rater="{}" data-batch="{}" data-done="{}" data-of="{}">'
        "{}{}{}{}{}{}</div>",
        *parts,
        section(session.title, _ASK),
        body,
        ending,
        _ways(voted=progress.done > 0, free=bool(tasks)),
        _how_far(rater, progress),
        html(
            '<div class="fr-acts">{}<span class="fr-quiet">For another rater: <a href="{}">{}</a></span></div>',
            joined(_others(session.id, rater)),
            address,
            address,
        ),
    )


def _task(task: Task, *, hidden: bool) -> Markup:
    questions = joined(_question(number, text) for number, text in enumerate(task.questions))
    return html(
        '<div data-task="{}"{}><div class="fr-item"><div class="fr-text">{}</div></div>'
        '<div class="fr-answers">{}{}</div>{}'
        '<label class="fr-field fr-said"><span>Comment (Esc gives the keys back)</span>'
        '<textarea name="comment" rows="1" maxlength="2000"></textarea></label></div>',
        task.token,
        Markup(" hidden") if hidden else NOTHING,
        _prompt(task.prompt),
        answer_box("Left", task.left),
        answer_box("Right", task.right),
        questions,
    )


def _question(number: int, text: str) -> Markup:
    buttons = joined(
        html(
            '<button type="button" class="fr-act" data-question="{}" data-answer="{}" aria-pressed="false">{}</button>',
            *(number, answer, title),
        )
        for answer, title in _ANSWERS
    )
    return html('<div class="fr-ask" role="group" aria-label="{}"><span>{}</span>{}</div>', text, text, buttons)


def _prompt(prompt: Sequence[Message]) -> str:
    if len(prompt) == 1 and prompt[0].role == "user":
        return prompt[0].content
    return "\n\n".join(f"{message.role}: {message.content}" for message in prompt)


def _ways(*, voted: bool, free: bool) -> Markup:
    closed = Markup(" disabled")
    votes = joined(
        html(
            '<button type="button" class="fr-act" data-vote="{}"{}><kbd>{}</kbd>{}</button>',
            *(kind, NOTHING if free else closed, key, title),
        )
        for kind, key, title in _WAYS
    )
    undo = html(
        '<button type="button" class="fr-act" data-undo{}><kbd>u</kbd>Undo</button>', NOTHING if voted else closed
    )
    return html('<div class="fr-ways">{}{}</div>', votes, undo)


def _how_far(rater: str, progress: Progress) -> Markup:
    share = 100 * progress.done / max(1, progress.of)
    return html(
        '<div class="fr-far"><div class="fr-bar"><span style="width:{:.0f}%"></span></div>'
        '<p class="fr-quiet">{}: <span data-count>{}</span> of {} seen. All raters: {} of {} planned.</p></div>',
        *(share, rater, progress.done, progress.of, _votes(progress.counted), progress.wanted),
    )


def _others(session: str, rater: str) -> list[Markup]:
    who: dict[str, Any] = {"session": session, "rater": rater}
    return [act_button("standing", "How it stands, and end", **who), act_button("home", "All sessions")]


def standing(result: SessionResult, rater: str) -> Markup:
    """How an open session stands, without a name, and whether it shall be ended."""
    who: dict[str, Any] = {"session": result.session, "rater": rater}
    buttons = [
        act_button("open", "Go on voting", kind="main", **who),
        act_button("end", "End and reveal", kind="bad", **who),
        act_button("home", "All sessions"),
    ]
    asked = "Ending takes no vote any more, from any rater, and tells which answers were whose. It cannot be undone."
    said = html("{} <br>{}", f"{_votes(result.counted)} of {result.wanted} that are planned.", asked)
    card = banner("good" if result.decided else "plain", result.sentence, said)
    return joined([section(result.title), card, html('<div class="fr-acts">{}</div>', joined(buttons))])


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
    session: str, pairs: Feedback, thumbs: Feedback, *, taken: bool, training: str | None = None
) -> Markup:
    """The files of a closed session, and the way to training.

    Args:
        session: its id.
        pairs: preference pairs from its votes.
        thumbs: rated answers from its votes.
        taken: whether test rows were taken knowingly.
        training: the address of the Train page for the pairs, where a project was made of them.
    """
    ending = "-with-test-rows" if taken else ""
    files = [("Download votes.csv", "votes.csv")]
    files += [("Download dpo.jsonl", f"dpo{ending}.jsonl")] if pairs.examples else []
    files += [("Download kto.jsonl", f"kto{ending}.jsonl")] if thumbs.examples else []
    links = joined(link(f"/votes/{session}/{name}", text) for text, name in files)
    buttons = [act_button("home", "All sessions")]
    if pairs.left_out and not taken:
        buttons.insert(0, act_button("take", "Take these test rows all the same", session=session))
    if pairs.examples and training is None:
        use = act_button("train", "Train on these pairs", kind="main", session=session, taken="yes" if taken else "")
        buttons.insert(0, use)
    go = link(training, "Go to training, and choose Pairs (DPO) →", main=True) if training else NOTHING
    return html(
        '<div class="fr-card" id="votes-files"><h3>What the votes are good for</h3><p>{}</p>'
        '<div class="fr-links">{}{}</div><div class="fr-acts">{}</div></div>',
        *(pairs.sentence, links, go, joined(buttons)),
    )


def _votes(count: int) -> str:
    return counted(count, "vote")
