"""Blind votes as HTML: the list of sessions, a rater's page, and the question before the end. No result.

Pure functions. What is drawn for a rater is a `Task`, which does not know the arms.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from markupsafe import Markup

from advisor.human import Progress, Session, SessionResult, Task
from app.components.actions import act_button
from app.components.cards import badge, banner, empty, link, section
from app.components.evidence import table
from app.components.layout import address
from app.components.markup import NOTHING, counted, duration, html, joined
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
_FIRST_VOTES = 3  # before these, nobody's pace is known
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
    session: Session,
    rater: str,
    *,
    tasks: Sequence[Task],
    progress: Progress,
    place: str,
    batch: str = "",
    wanted: Mapping[str, str] | None = None,
) -> Markup:
    """A rater's page.

    Args:
        session: the session; of it only the title and the id are shown.
        rater: who votes.
        tasks: the next ones; the first is shown, the others lie ready, hidden.
        progress: how far the rater is, and all raters.
        place: the session's address, for others.
        batch: names the votes that this answers; the browser waits for it.
        wanted: the wanted answers of the tasks by their tokens, for who asks whether they are right.
    """
    labels = wanted or {}
    body = joined(_task(task, labels.get(task.token, ""), hidden=bool(at)) for at, task in enumerate(tasks))
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
            place,
            place,
        ),
    )


def _task(task: Task, wanted: str, *, hidden: bool) -> Markup:
    questions = joined(_question(number, text) for number, text in enumerate(task.questions))
    return html(
        '<div data-task="{}"{}><div class="fr-item"><div class="fr-text">{}</div></div>'
        '<div class="fr-answers">{}{}</div>{}{}'
        '<label class="fr-field fr-said"><span>Comment (Esc gives the keys back)</span>'
        '<textarea name="comment" rows="1" maxlength="2000"></textarea></label></div>',
        task.token,
        Markup(" hidden") if hidden else NOTHING,
        prompt_of(task.prompt),
        answer_box("Left", task.left),
        answer_box("Right", task.right),
        questions,
        _more(wanted),
    )


def _more(wanted: str) -> Markup:
    """What may be said beside a vote, folded away: a better answer, and that the label is wrong."""
    edits = joined(
        html(
            '<button type="button" class="fr-act" data-edit="{}" aria-pressed="false">Edit the {} answer</button>',
            side,
            side,
        )
        for side in ("left", "right")
    )
    look, label = NOTHING, NOTHING
    if wanted.strip():
        look = Markup('<button type="button" class="fr-act" data-label aria-expanded="false">Check the label</button>')
        label = html(
            '<div data-labelling hidden>{}<div class="fr-acts"><button type="button" class="fr-act" data-wrong '
            'aria-pressed="false">This label is wrong</button></div><label class="fr-field" data-righting hidden>'
            "<span>What it should be, if you know (Esc gives the keys back)</span>"
            '<textarea name="right_answer" rows="2" maxlength="8000"></textarea></label></div>',
            answer_box("Wanted, as the label says", wanted, target=True),
        )
    return html(
        '<div class="fr-more" data-more><div class="fr-acts">{}{}</div>'
        '<label class="fr-field" data-editing hidden><span>The answer as it should be (Esc gives the keys back)</span>'
        '<textarea name="edit" rows="4" maxlength="8000"></textarea></label>{}</div>',
        edits,
        look,
        label,
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


def prompt_of(prompt: Sequence[Message]) -> str:
    """A prompt as text; the messages of a conversation each with its role."""
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
        '<p class="fr-quiet">{}: <span data-count>{}</span> of {} seen{}. All raters: {} of {} planned.</p></div>',
        *(share, rater, progress.done, progress.of, _time(progress), _votes(progress.counted), progress.wanted),
    )


def _time(progress: Progress) -> str:
    """How long a rater has voted, and about how long the rest takes at this pace; nothing before the first votes."""
    if progress.done < _FIRST_VOTES or progress.seconds <= 0:
        return ""
    left = progress.seconds / progress.done * (progress.of - progress.done)
    told = f" in {duration(round(progress.seconds))}"
    return f"{told}, about {duration(60 * math.ceil(left / 60))} to go" if left else told


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


def not_while_voting() -> Markup:
    """What stands in place of anything that would tell a rater which approach has answered what."""
    text = "Open the page without the votes"
    return empty(html("Not shown where somebody votes blind. {}", link(address("evaluate"), text)))


def _votes(count: int) -> str:
    return counted(count, "vote")
