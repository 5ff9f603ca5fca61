"""A conversation that several answer beside each other: their answers, what each took, and where they differ."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from app.asking import Pane
from app.components.actions import act_button
from app.components.cards import empty, error_card
from app.components.diffs import word_difference
from app.components.markup import NOTHING, counted, duration, html, joined
from app.models import MOST_STREAMED
from app.streaming import Streamed

Turn = tuple[str, Sequence[Pane]]
_REASONS = {"ended": "ended by itself", "limit": "cut off at the limit", "stopped": "stopped by you"}
_STATES = {
    "waiting": "Waits until the one before has answered.",
    "preparing": "Loading what it needs. The first answer takes longest.",
    "writing": "Writing …",
}
_NOTHING_ASKED = "Type a prompt. All that you chose answer it, and you read the answers beside each other."


def decoding_note(*, remote: bool) -> Markup:
    """How all of them answer, said once."""
    there = " The endpoint is asked with temperature 0, and what you type is sent to it." if remote else ""
    return html(
        '<p class="fr-quiet fr-decoding"><b>Decoding, the same for all:</b> greedy (each time the likeliest token), '
        "no penalty, at most {} tokens.{}</p>",
        MOST_STREAMED,
        there,
    )


def panes_view(turns: Sequence[Turn], *, free: bool, differences: bool) -> Markup:
    """The turns, each with all answers.

    Args:
        turns: What was said, each with its answers in one order.
        free: Whether all answers are there, so that something can be done with them.
        differences: Whether the words are marked in which an answer differs from the first one.
    """
    if not turns:
        return empty(_NOTHING_ASKED)
    return joined(
        _turn(number, turn, free=free or number < len(turns) - 1, differences=differences)
        for number, turn in enumerate(turns)
    )


def _turn(number: int, turn: Turn, *, free: bool, differences: bool) -> Markup:
    said, panes = turn
    first = panes[0].text if panes else ""
    boxes = joined(
        _pane(pane, number, place, free=free, against=first if differences and place else None, alone=len(panes) < 2)
        for place, pane in enumerate(panes)
    )
    return html(
        '<div class="fr-turn" data-turn="{}"><div class="fr-bubble fr-user"><small>you</small><div>{}</div></div>'
        '<div class="fr-answers fr-panes">{}</div></div>',
        number,
        said,
        boxes,
    )


def _pane(pane: Pane, turn: int, place: int, *, free: bool, against: str | None, alone: bool) -> Markup:
    if pane.error is not None:
        body = error_card(pane.error)
    elif not pane.text and pane.told is None:
        body = html('<span class="fr-working fr-quiet">{}</span>', _STATES.get(pane.state, ""))
    elif pane.told is not None and against is not None:
        body = word_difference(pane.text, against) or _nothing()
    else:
        cursor = NOTHING if pane.told is not None else Markup('<span class="fr-cursor"></span>')
        body = html("{}{}", pane.text or _nothing(), cursor)
    actions = NOTHING if pane.told is None else _actions(pane, turn, place, free=free, alone=alone)
    return html(
        '<div class="fr-answer fr-pane" data-pane="{}" data-state="{}"><small><span>{}</span>{}</small>'
        '<div class="fr-said-text">{}</div>{}{}</div>',
        place,
        pane.state,
        pane.speaker.title,
        html("<i>{}</i>", "marked against the first") if against is not None else NOTHING,
        body,
        took(pane.told) if pane.told is not None else NOTHING,
        actions,
    )


def _nothing() -> Markup:
    return Markup('<span class="fr-quiet">(empty)</span>')


def took(told: Streamed) -> Markup:
    """What an answer took, and why it stopped."""
    facts = [counted(told.answer_tokens, "token") if told.answer_tokens else "tokens not told"]
    facts += [duration(told.seconds), _REASONS[told.reason]]
    facts += [f"prompt of {counted(told.prompt_tokens, 'token')}"] if told.prompt_tokens else []
    return html('<p class="fr-quiet fr-took">{}</p>', " · ".join(facts))


def _actions(pane: Pane, turn: int, place: int, *, free: bool, alone: bool) -> Markup:
    title, whole = pane.speaker.title, free and bool(pane.text.strip())
    buttons = [
        act_button("keep", "Add to dataset", free=whole, turn=turn, pane=place, label=f"Add to dataset: {title}")
    ]
    if not alone:
        buttons.insert(
            0,
            act_button(
                "best", "Best of these", kind="good", free=whole, turn=turn, pane=place, label=f"Best of these: {title}"
            ),
        )
    return html('<div class="fr-acts">{}</div>', joined(buttons))
