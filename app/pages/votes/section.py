"""Blind votes on the Evaluate page: what happens when a session is started, voted on, ended and used.

Who votes on what comes with each act from the browser, so that a server that was started again goes on with it. An act
is looked up in the store by its token and its rater's name, never trusted.
"""

from __future__ import annotations

import functools
import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from advisor.human import (
    VoteStore,
    close_session,
    edited_examples,
    marks_of,
    preference_pairs,
    result_of,
    thumbs,
)
from advisor.human.votes import SIDES
from advisor.lineup import ARM_TITLES
from app.components import vote_outcome, voting
from app.components.actions import Act, found_at, on_act
from app.components.cards import error_card
from app.components.layout import address
from app.components.markup import NOTHING, joined
from app.components.voting_script import SCRIPT, STYLE
from app.components.wiring import asked_for, on
from app.pages.votes.files import session_file
from app.pages.votes.starting import StartForm
from app.workspace import Workspace
from dataset_tools import UsageError

Updates = dict[Any, Any]
_AHEAD = 3  # the item that is shown, and the two that follow
_LONGEST_NAME = 80
_MOST_AT_ONCE = 100


class VotesSection:
    """The components, and what happens when they are used."""

    def __init__(self, workspace: Workspace, *, beside: Sequence[Any] = (), hide: Callable[[], Updates] = dict) -> None:
        """Nothing is laid out yet.

        Args:
            workspace: Where comparisons are, and projects are made.
            beside: Components of the page that may name what is compared; they are known once the page is laid out.
            hide: What these show where somebody votes.
        """
        self.workspace, self.form = workspace, StartForm(workspace)
        self._beside, self._hide = beside, hide

    @functools.cached_property
    def store(self) -> VoteStore:
        """Where votes are kept; opened when it is first needed.

        Raises:
            VotesError: it cannot be used.
        """
        return VoteStore.open()

    def build(self, gr: Any) -> None:
        """Lay the components out."""
        self.form.build(gr)
        self.view = gr.HTML(js_on_load=SCRIPT, css_template=STYLE, elem_id="votes")

    def wire(self, blocks: Any, notice: Any) -> None:
        """Say what happens when they are used."""
        self.notice, form = notice, self.form
        outputs = [self.view, *form.outputs, *self._beside]
        # Votes come faster than the queue of Gradio forgives; see `on`.
        base: dict[str, Any] = {"outputs": outputs, "notice": notice, "direct": True}
        on(blocks.load, self.open, quiet=True, **base)
        on(form.comparison.input, form.choose, inputs=[form.comparison], **base)
        on(form.start.click, self.start, inputs=form.inputs, **base)
        on_act(self.view, self.act, inputs=[], **base)

    def open(self) -> Updates:
        """As the page is opened: the session of the address, for the rater of the address; else all sessions."""
        session = asked_for("session")
        if not session:
            return self.home()
        try:
            return self.show(session, (asked_for("rater") or "").strip())
        except UsageError as error:
            return self.home() | {self.notice: error_card(error)}

    def start(self, *values: Any) -> Updates:
        """Make the session that the form asks for."""
        return self.show(self.store.add(self.form.session(*values)).id)

    def act(self, act: Act) -> Updates:
        """A button or a key."""
        session, rater = act.get("session"), act.get("rater")
        does: dict[str, Callable[[], Updates]] = {
            "home": lambda: self.home(place=found_at(address("evaluate"))),
            "open": lambda: self.show(session, rater),
            "join": lambda: self.join(session, act.fields.get("rater", "")),
            "vote": lambda: self.vote(act),
            "undo": lambda: self.vote(act),
            "standing": lambda: self.standing(session, rater),
            "end": lambda: self.end(session),
            "take": lambda: {self.view: self.result(session, taken=True)},
            "train": lambda: self.train(session, act.get("form"), taken=act.get("taken") == "yes"),
        }
        return does[act.do]() if act.do in does else {}

    def home(self, *, place: Markup = NOTHING) -> Updates:
        """The form, and all sessions; at this place, where another session was shown before."""
        return {self.view: joined([place, self.all_sessions()]), **self.form.fill()}

    def all_sessions(self) -> Markup:
        """The list of the sessions of this machine."""
        lines = []
        for session in self.store.sessions():
            progress = self.store.progress(session.id, "")
            votes, closed = (progress.counted, progress.wanted), session.closed is not None
            lines.append(voting.SessionLine(session.id, session.title, session.created, *votes, closed))
        return voting.sessions_table(lines)

    def show(self, session_id: str, rater: str = "") -> Updates:
        """One session: its result where it is closed, a rater's page, or the question for the rater's name.

        Raises:
            UsageError: there is no such session, or this is no name.
        """
        rater = rater.strip()[:_LONGEST_NAME]
        session = self.store.session(session_id)
        away = {**self.form.emptied(), **self._hide()}
        if session.closed is not None:
            return {self.view: self.result(session_id), **self.form.emptied()}
        if rater:
            return {self.view: self.page(session_id, rater), **away}
        door = voting.joining(session, self.store.progress(session_id, ""))
        return {self.view: joined([_found(session_id), door]), **away}

    def join(self, session_id: str, name: str) -> Updates:
        """Go in, under a name.

        Raises:
            UsageError: there is no name.
        """
        if not name.strip():
            raise UsageError("There is no name yet.", next_step="Type one: your votes are kept under it.")
        return self.show(session_id, name)

    def page(self, session_id: str, rater: str, *, batch: str = "") -> Markup:
        """A rater's page with the next items; the result where the session was closed meanwhile."""
        session = self.store.session(session_id)
        if session.closed is not None:
            return self.result(session_id)
        tasks = self.store.tasks(session_id, rater, count=_AHEAD)
        shown = voting.voting(
            session,
            rater,
            tasks=tasks,
            progress=self.store.progress(session_id, rater),
            place=address("evaluate", session=session_id),
            batch=batch,
            wanted={task.token: self.store.wanted(task.token, rater=rater) for task in tasks},
        )
        return joined([_found(session_id, rater), shown])

    def vote(self, act: Act) -> Updates:
        """Keep what was voted, in its order; where it is to be undone, take the last vote back. Then the next items.

        A vote that is refused is told of, and its item comes again; the others are kept.
        """
        session, rater = act.get("session"), act.get("rater")
        told: Updates = {}
        for given in _votes_in(act.get("votes")):
            try:
                self.store.vote(given.pop("token"), given.pop("kind"), rater=rater, **given)
            except UsageError as error:
                told = {self.notice: error_card(error)}
        # As many as the page has seen: an undo that is sent once more takes no second vote back.
        as_seen = str(self.store.progress(session, rater).done) == act.get("done")
        if act.do == "undo" and as_seen and self.store.session(session).closed is None:
            self.store.undo(session, rater)
        return {self.view: self.page(session, rater, batch=act.get("batch")), **told}

    def standing(self, session_id: str, rater: str) -> Updates:
        """How it stands, without names, before it is ended."""
        session = self.store.session(session_id)
        if session.closed is not None:
            return {self.view: self.result(session_id)}
        return {self.view: voting.standing(result_of(session, self.store.votes(session_id)), rater)}

    def end(self, session_id: str) -> Updates:
        """Close a session, and tell which arm was which."""
        close_session(self.store, session_id)
        return {self.view: self.result(session_id)}

    def result(self, session_id: str, *, taken: bool = False, training: str | None = None) -> Markup:
        """The result of a closed session and its files; empty while it is open.

        Args:
            session_id: of the session.
            taken: whether test rows are taken for training, which the user has asked for.
            training: the address where its rows can be trained on; the page goes there.
        """
        session = self.store.session(session_id)
        if session.closed is None:
            return NOTHING
        votes = self.store.votes(session_id)
        pairs, rated, edits = (
            turn(session, votes, use_test_rows=taken) for turn in (preference_pairs, thumbs, edited_examples)
        )
        said: dict[str, Any] = {"edits": edits, "marks": marks_of(session, votes), "training": training}
        files = vote_outcome.to_take_along(session_id, pairs, rated, taken=taken, **said)
        return joined([_found(session_id), vote_outcome.result_card(result_of(session, votes), ARM_TITLES), files])

    def train(self, session: str, form: str, *, taken: bool) -> Updates:
        """Make a project whose rows are what the votes became, and lead to the Train page with its objective chosen.

        Args:
            session: of a closed session.
            form: ``kto`` for rated answers; anything else means pairs (``dpo``).
            taken: whether test rows are taken for training, which the user has asked for.

        Raises:
            UsageError: there is no such row, or the session is open.
        """
        objective = "kto" if form == "kto" else "dpo"
        name = f"{objective}{'-with-test-rows' if taken else ''}.jsonl"
        rows = session_file(self.store, session, name)
        if not rows:
            raise UsageError("There is no row to train on.", next_step="Vote on more items, or take the test rows.")
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / f"votes-{name}"
            file.write_bytes(rows)
            project = self.workspace.create().add_rows("training", file)
        place = address("train", project=project.id, objective=objective)
        return {self.view: self.result(session, taken=taken, training=place)}


def _found(session: str, rater: str = "") -> Markup:
    """Where the page is found again."""
    return found_at(address("evaluate", session=session, rater=rater))


def _votes_in(text: str) -> list[dict[str, Any]]:
    """The votes that a browser sent, as arguments of `VoteStore.vote`; what is none is left out."""
    try:
        given = json.loads(text or "[]")
    except ValueError:
        return []
    votes = []
    for each in given[:_MOST_AT_ONCE] if isinstance(given, list) else ():
        if not isinstance(each, dict) or not all(isinstance(each.get(key), str) for key in ("token", "kind")):
            continue
        answers, seconds = each.get("answers"), each.get("seconds")
        edited = each.get("edited") if each.get("edited") in SIDES else ""
        votes.append(
            {
                "token": each["token"],
                "kind": each["kind"],
                "answers": [str(answer) for answer in answers] if isinstance(answers, list) else [],
                "comment": str(each.get("comment") or ""),
                "edit": str(each.get("edit") or "") if edited else "",
                "edited": edited,
                "bad_label": each.get("bad_label") is True,
                "right_answer": str(each.get("right_answer") or ""),
                "seconds": float(seconds) if isinstance(seconds, (int, float)) else 0.0,
            }
        )
    return votes
