"""Blind votes on the Evaluate page: what happens when a session is started, voted on, ended and used.

Who votes on what comes with each act from the browser, so that a server that was started again goes on with it. An act
is looked up in the store by its token and its rater's name, never trusted.
"""

from __future__ import annotations

import functools
import json
import secrets
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from markupsafe import Markup

from advisor.human import (
    Mark,
    Session,
    VoteStore,
    close_session,
    edited_examples,
    feedback_as,
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
from app.components.corrections import put_right_note
from app.components.layout import address
from app.components.markup import NOTHING, joined
from app.components.voting_script import SCRIPT, STYLE
from app.components.wiring import asked_for, on, on_steps
from app.components.working import while_working
from app.pages.train.from_votes import begun, choice_after, parent_in
from app.pages.train.section import on_slow_act
from app.pages.train.setting_up import Starts
from app.pages.votes.again import NextSessions
from app.pages.votes.files import session_file
from app.pages.votes.starting import MODELS, StartForm
from app.relabelled import corrections, project_behind, put_right
from app.taken_rows import without_taken
from app.workspace import Project, Workspace
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
        self.workspace, self.form, self.next = workspace, StartForm(workspace), NextSessions()
        self._starts = Starts()
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
        self.next.build(gr)
        self.form.build(gr)
        self.view = gr.HTML(js_on_load=SCRIPT, css_template=STYLE, elem_id="votes")

    def wire(self, blocks: Any, notice: Any) -> None:
        """Say what happens when they are used."""
        self.notice, form = notice, self.form
        outputs = [self.view, *form.outputs, *self.next.outputs, *self._beside]
        # Votes come faster than the queue of Gradio forgives; see `on`.
        base: dict[str, Any] = {"outputs": outputs, "notice": notice, "direct": True}
        on(blocks.load, self.open, quiet=True, **base)
        on(form.comparison.input, form.choose, inputs=[form.comparison], **base)
        on_steps(form.start.click, self.begin, inputs=form.inputs, outputs=outputs, notice=notice)
        on_act(self.view, self.act, inputs=[], **base)
        on_slow_act(self.next.cards.submit, self.start_next, inputs=[], outputs=outputs, notice=notice)

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

    def begin(self, name: str, arms: Sequence[str] | None, *wishes: str) -> Iterator[Updates]:
        """Make the session that the form asks for; models answer before, while the page says how far they are."""
        if name != MODELS:
            yield self.start(name, arms, *wishes)
            return
        made = yield from while_working(
            self.next.status,
            "The models answer rows",
            lambda tell: self.form.answered(lambda title, done, total: tell(done), arms, *wishes),
        )
        yield self.show(self.store.add(made).id)

    def start_next(self, act: Act) -> Iterator[Updates]:
        """Start the session of a model that was tuned again, beside its parent; both answer first."""
        for each in self.next.session(self.store, act.get("run")):
            yield self.show(self.store.add(each).id) if isinstance(each, Session) else each

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
            "train": lambda: self.train(act),
            "put-right": lambda: self.put_right(session),
        }
        return does[act.do]() if act.do in does else {}

    def home(self, *, place: Markup = NOTHING) -> Updates:
        """The form, and all sessions; at this place, where another session was shown before."""
        return {self.view: joined([place, self.all_sessions()]), **self.form.fill(), **self.next.fill(self.store)}

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
        emptied = {**self.form.emptied(), **self.next.emptied()}
        if session.closed is not None:
            return {self.view: self.result(session_id), **emptied}
        away = {**emptied, **self._hide()}
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

    def put_right(self, session_id: str) -> Updates:
        """Put the labels that raters called wrong right in the project that the session's rows are from.

        Raises:
            UsageError: there is no such session, it is open, or no project has its rows.
            DataError: none of the rows is there any more.
        """
        session = self.store.session(session_id)
        project = project_behind(self.workspace, session.source)
        if session.closed is None or project is None:
            raise UsageError("There is no dataset here to change.", next_step="End the session first.")
        project, done = put_right(project, marks_of(session, self.store.votes(session_id)))
        return {self.view: self.result(session_id, mended=put_right_note(project.id, done, closes=False))}

    def result(
        self, session_id: str, *, taken: bool = False, training: str | None = None, mended: Markup = NOTHING
    ) -> Markup:
        """The result of a closed session and its files; empty while it is open.

        Args:
            session_id: of the session.
            taken: whether test rows are taken for training, which the user has asked for.
            training: the address where its rows can be trained on; the page goes there.
            mended: what was just changed in the dataset.
        """
        session = self.store.session(session_id)
        if session.closed is None:
            return NOTHING
        votes = self.store.votes(session_id)
        pairs, rated, edits = (
            turn(session, votes, use_test_rows=taken) for turn in (preference_pairs, thumbs, edited_examples)
        )
        parent, marks = parent_in(self.store, session), marks_of(session, votes)
        said: dict[str, Any] = {"edits": edits, "marks": marks, "training": training}
        owner = project_behind(self.workspace, session.source) if taken else None
        said["leaving"] = owner.title if owner and owner.test_path else ""
        said["mending"] = mended or self._mending(session, marks)
        said |= {"parent": parent.name if parent else "", "token": secrets.token_hex(8)}
        files = vote_outcome.to_take_along(session_id, pairs, rated, taken=taken, **said)
        return joined([_found(session_id), vote_outcome.result_card(result_of(session, votes), ARM_TITLES), files])

    def _mending(self, session: Session, marks: Sequence[Mark]) -> Markup:
        project = project_behind(self.workspace, session.source) if marks else None
        if project is None:
            return NOTHING
        return vote_outcome.mending_of(session.id, project.title, corrections(project, marks))

    def train(self, act: Act) -> Updates:
        """Make a project whose rows are what the votes became, and start a run of them, which the Train page shows.

        The run goes on from the tuned model that was voted on. Where the settings are to be looked at first, or no run
        can be started as they are, the page leads to them instead.

        Test rows that are taken go out of the project's test rows.

        Raises:
            UsageError: there is no such row, or the session is open.
            DataError: no test row would be left.
        """
        session, taken, look = act.get("session"), act.get("taken") == "yes", act.get("look") == "yes"
        objective = "kto" if act.get("form") == "kto" else "dpo"
        name = f"{objective}{'-with-test-rows' if taken else ''}.jsonl"
        rows = session_file(self.store, session, name)
        if not rows:
            raise UsageError("There is no row to train on.", next_step="Vote on more items, or take the test rows.")
        content: bytes = rows

        def begin() -> str:
            there = self.store.session(session)
            self._replace_taken(there, "kto" if objective == "kto" else "dpo", taken=taken)
            project = self._project_of(content, f"votes-{name}")
            choice = choice_after(there, parent_in(self.store, there), objective)
            run = None if look else begun(project, choice)
            if run is not None:
                return address("train", run=run.path.name)
            return address("train", project=project.id, objective=objective, votes=session)

        token = act.get("token") or secrets.token_hex(8)
        place = self._starts.once(f"{token} {name} {look}", begin)
        return {self.view: self.result(session, taken=taken, training=place)}

    def _replace_taken(self, session: Session, form: Literal["dpo", "kto"], *, taken: bool) -> None:
        """Take the test rows that are trained on out of the project's, so that no score rests on them."""
        owner = project_behind(self.workspace, session.source) if taken else None
        if owner is None:
            return
        feedback = feedback_as(form, session, self.store.votes(session.id), use_test_rows=True)
        without_taken(owner, session, feedback)

    def _project_of(self, rows: bytes, name: str) -> Project:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / name
            file.write_bytes(rows)
            return self.workspace.create().add_rows("training", file)


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
