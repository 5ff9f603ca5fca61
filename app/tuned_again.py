"""Models that were tuned again on people's votes, and the next blind session: beside the parent, on rows new to both.

It trains nothing and loads nothing until a session is asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from advisor.human import Session, TunedArm, VoteStore, from_contestants, named_arm
from advisor.human.contestants import Telling
from app.contestants import PARENT, answers_folder, not_trained_on
from app.run_reading import has_artefact, known_runs, status_of
from dataset_tools.errors import DataError, UsageError
from dataset_tools.example import Example, Message
from training.runs.folder import RunFolder

FROM_VOTES = "from_votes"
"""In a run's run.json: the session whose votes it learns from."""

MOST_ROWS = 60
"""Rows that both answer for the next session, where there are more: what people vote on in half an hour."""


@dataclass(frozen=True)
class Offer:
    """A run that was tuned again, which nobody has voted on beside its parent yet.

    Attributes:
        run: the run.
        parent: what it goes on from.
        session: the session whose votes it learnt from.
    """

    run: RunFolder
    parent: TunedArm
    session: Session


def offers(store: VoteStore) -> list[Offer]:
    """The runs that wait for a blind session beside their parents, the newest first.

    Raises:
        VotesError: the votes cannot be read.
    """
    runs = known_runs()
    asked = [run for run in runs if status_of(run).get(FROM_VOTES) and status_of(run).get(PARENT)]
    if not asked:
        return []
    sessions = store.sessions()
    known = {session.id: session for session in sessions}
    found = []
    for run in asked:
        parent, session = parent_of_run(run, runs), known.get(str(status_of(run)[FROM_VOTES]))
        if parent is None or session is None or not has_artefact(run):
            continue
        if not any({run.path.name, parent.name} <= set(other.arms) for other in sessions):
            found.append(Offer(run, parent, session))
    return found


def parent_of_run(run: RunFolder, runs: Sequence[RunFolder]) -> TunedArm | None:
    """The tuned model that a run goes on from, among these runs; None where it goes on from none that is known."""
    return named_arm(str(status_of(run).get(PARENT) or ""), runs)


def rows_for(offer: Offer) -> tuple[list[Example], list[str]]:
    """The rows that both can be asked, and what is to be known of them.

    They are those of the session before, and those that the parent kept back, without all that one of the two was
    trained on, or nearly the same.

    Raises:
        DataError: there is none.
    """
    given = [
        Example((*item.prompt, Message("assistant", item.wanted)), record=item.record)
        for item in offer.session.items
        if item.wanted.strip()
    ]
    for run in (offer.parent.run, offer.run):
        if (run.path / "validation.jsonl").is_file():
            given += [row for row in run.read_rows("validation") if row.desirable is not False]
    rows = list({row.prompt: row for row in reversed(given)}.values())[::-1]
    kept, notes = not_trained_on(rows, (offer.run, offer.parent.run))
    if not kept:
        raise DataError(
            "There is no row left on which the two can be told apart.",
            where=offer.run.path.name,
            found=f"{len(rows)} rows, all of them trained on by one of the two" if rows else "no row with an answer",
            next_step="Give new rows: fitting-room votes new --contestants "
            f"{offer.run.path.name},{offer.parent.name} --test FILE",
        )
    return kept, notes


def next_session(offer: Offer, *, tell: Telling | None = None) -> Session:
    """The next blind session: both answer the rows now; it is not stored yet.

    Raises:
        DataError: there is no row for it, or no two answers differ.
        ModelError: one of them cannot be loaded.
        UsageError: a checkpoint is gone.
        RunError: a run has left no model any more.
    """
    rows, _ = rows_for(offer)
    new = named_arm(offer.run.path.name, [offer.run])
    assert new is not None
    title = f"{offer.session.title}, once more"
    return from_contestants(
        [new.contestant(), offer.parent.contestant()],
        rows,
        folder=answers_folder(),
        rows=MOST_ROWS,
        tell=tell,
        title=title,
        questions=offer.session.questions,
        source=str(offer.run.path),
    )


def offer_named(store: VoteStore, run: str) -> Offer:
    """The offer of a run.

    Raises:
        UsageError: there is none (any more).
    """
    for offer in offers(store):
        if offer.run.path.name == run:
            return offer
    raise UsageError(
        "This model does not wait for a session any more.",
        found=run[:80],
        next_step="Look at the list of sessions: it may have one already.",
    )
