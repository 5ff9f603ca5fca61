"""A conversation that is being made into training rows: its turns, their answers, and what can be done with each."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from app.components.actions import act_button, text_field
from app.components.cards import Tone, badge, empty
from app.components.markup import NOTHING, counted, html, joined
from app.jobs import Job
from dataset_tools.building import Answer, ChatTurn, Conversation

_NOTHING_SAID = (
    "Ask what your users will ask. Correct the answer until it is the one you want, then add it to the dataset: "
    "a few good rows teach more than many that are nearly right."
)
_CHOICES = (
    ("choose", "Use this", "", "Use answer {}"),
    ("better", "Better: keep the pair", "good", "Answer {} is better: keep the pair"),
    ("worse", "Worse: keep the pair", "", "Answer {} is worse: keep the pair"),
)

_STANDINGS: dict[str, tuple[Tone, str]] = {
    "new": ("warn", "not in the dataset yet"),
    "changed": ("warn", "changed since it was added"),
    "kept": ("good", "in the dataset"),
}


def talk_view(conversation: Conversation, *, editing: tuple[int, str] | None = None, job: Job | None = None) -> Markup:
    """The turns of a conversation, and the answer that is being written.

    Args:
        conversation: What was said.
        editing: The turn whose ``answer`` or ``user`` text stands in a form.
        job: The work that writes an answer, where it is going on.
    """
    busy = job is not None and job.running
    turns = conversation.turns
    shown = [
        _turn(turn, number, editing=editing, free=not busy, waiting=busy and job is not None and job.turn == number)
        for number, turn in enumerate(turns)
    ]
    if job is not None and busy:
        if job.turn is None:
            shown.append(_bubble("user", "you", _text(job.what)))
        shown.append(_bubble("assistant", "model", _written(job), extra="fr-writing"))
    if not shown:
        return empty(_NOTHING_SAID)
    return html('<div class="fr-chat">{}</div>', joined(shown))


def _turn(turn: ChatTurn, number: int, *, editing: tuple[int, str] | None, free: bool, waiting: bool) -> Markup:
    if editing == (number, "user"):
        user = _form("save-user", turn.user, number, label="What you say")
    else:
        label = f"Edit what you said in turn {number + 1}"
        action = act_button("edit-user", "Edit", turn=number, free=free, label=label)
        user = _bubble("user", "you", _text(turn.user), actions=action)
    if editing == (number, "answer"):
        return joined([user, _form("save-answer", turn.answer, number, label="The answer you want", wanted=True)])
    again = act_button("regenerate", "Another answer", turn=number, free=free)
    edit = act_button("edit-answer", "Edit", turn=number, free=free, label=f"Edit the answer of turn {number + 1}")
    if len(turn.answers) == 1:
        name = f"answer, {_author(turn.answers[0])}"
        answer = _bubble("assistant", name, _text(turn.answer), actions=joined([edit, again]), extra="fr-wanted")
    else:
        answer = _answers(turn, number, free=free, actions=joined([edit, again]))
    return joined([user, answer])


def _answers(turn: ChatTurn, number: int, *, free: bool, actions: Markup) -> Markup:
    """Several answers side by side: the one that stands, and what can be said of the others."""
    boxes = joined(_answer(turn, number, place, free=free) for place in range(len(turn.answers)))
    said = NOTHING
    if turn.worse is not None:
        said = html('<span class="fr-quiet">A preference pair is kept: it is added with the conversation.</span>')
    bar = html('<div class="fr-acts">{}{}</div>', actions, said)
    return html('<div class="fr-several"><div class="fr-answers">{}</div>{}</div>', boxes, bar)


def _answer(turn: ChatTurn, number: int, place: int, *, free: bool) -> Markup:
    answer, stands = turn.answers[place], place == turn.chosen
    marks = [badge("chosen", "good")] if stands else []
    if turn.worse is not None and stands:
        marks.append(badge("better", "good"))
    if place == turn.worse:
        marks.append(badge("worse", "bad"))
    actions = NOTHING
    if not stands:
        buttons = (
            act_button(do, text, kind=kind, label=label.format(place + 1), free=free, turn=number, answer=place)
            for do, text, kind, label in _CHOICES
            if do != "worse" or place != turn.worse
        )
        actions = html('<div class="fr-acts">{}</div>', joined(buttons))
    return html(
        '<div class="fr-answer{}" data-answer="{}"><small><span>Answer {}, {}</span><span>{}</span></small>'
        "<div>{}</div>{}</div>",
        " fr-hit" if stands else "",
        place,
        place + 1,
        _author(answer),
        joined(marks, " "),
        _text(answer.text),
        actions,
    )


def _form(do: str, text: str, turn: int, *, label: str, wanted: bool = False) -> Markup:
    lines = min(14, max(3, len(text) // 70 + text.count("\n") + 1))
    return html(
        '<div class="fr-bubble fr-editing{}" data-form>{}<div class="fr-acts">{}{}</div></div>',
        " fr-wanted" if wanted else "",
        text_field("text", text, label=label, lines=lines, focus=True),
        act_button(do, "Save", kind="main enter", turn=turn),
        act_button("cancel", "Cancel", kind="escape"),
    )


def _bubble(role: str, name: str, text: Markup, *, actions: Markup = NOTHING, extra: str = "") -> Markup:
    bar = html('<div class="fr-acts">{}</div>', actions) if actions else NOTHING
    return html(
        '<div class="fr-bubble fr-{} {}"><small>{}</small><div class="fr-said">{}</div>{}</div>',
        role,
        extra,
        name,
        text,
        bar,
    )


def _written(job: Job) -> Markup:
    if job.text:
        return html('{}<span class="fr-cursor"></span>', job.text)
    return html('<span class="fr-working fr-quiet">{}</span>', "Waiting for the model. The first answer loads it.")


def _text(text: str) -> Markup:
    return html("{}", text) if text.strip() else html('<span class="fr-quiet">(empty)</span>')


def _author(answer: Answer) -> str:
    return "by hand" if answer.by == "hand" else "by the model"


def talk_state(turns: Sequence[ChatTurn], standing: str) -> Markup:
    """Where the conversation stands: ``new``, ``kept`` in the dataset, or ``changed`` since."""
    if not turns:
        return NOTHING
    tone, words = _STANDINGS[standing]
    pairs = sum(turn.worse is not None for turn in turns)
    kept = f", {counted(pairs, 'preference pair')}" if pairs else ""
    return html('<p class="fr-status">{} {}{}</p>', badge(words, tone), counted(len(turns), "turn"), kept)
