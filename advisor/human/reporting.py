"""What people said, in sentences: for a comparison's report, for a model card, and for whoever ends a session.

A comparison's folder keeps it in votes.json, from which its reports read it (`advisor.report.votes`): so it stays there
where the folder is copied, or its report is made anew. It counts nothing itself: that is `advisor.human.result`.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from advisor.human.lineage import TunedArm, tuned_arms
from advisor.human.result import PairResult, SessionResult, result_of
from advisor.human.session import Session
from advisor.human.store import VoteStore
from advisor.human.votes import Vote, counted
from advisor.lineup import ARM_TITLES
from advisor.report import to_html, to_markdown
from advisor.report.votes import VOTES_FILE
from advisor.request import ComparisonRequest
from dataset_tools.errors import FittingRoomError
from dataset_tools.writing import write_text_atomically
from training.runs.folder import RunFolder

_THIS = "this model"


def people_said(session: Session, votes: Sequence[Vote], titles: Mapping[str, str] | None = None) -> list[str]:
    """What the votes of a session say, a line for each two arms and one for the raters; none without a vote.

    Of an open session it is one line: how many votes there are so far. What they say would be read by those who still
    vote, and by those who would end the voting where it pleases them.

    Args:
        session: the session.
        votes: its votes.
        titles: of arms; an arm without one goes by its name.
    """
    valid = counted(votes)
    if not valid:
        return []
    if session.closed is None:
        return [_so_far(session, valid)]
    result, names = result_of(session, votes), dict(titles or {})
    lines = [_pair_line(pair, names) for pair in result.pairs if pair.tally.judged]
    return [f"{' '.join(session.title.split())}: {lines[0]}", *lines[1:], _raters_line(result)]


def close_session(store: VoteStore, session_id: str) -> Session:
    """End a session (`VoteStore.end`), and where it came from a comparison, make that one's report anew.

    A report that cannot be written stays as it was: the session is closed all the same.

    Raises:
        UsageError: there is no such session.
    """
    session = store.end(session_id)
    with contextlib.suppress(FittingRoomError, OSError, ValueError, KeyError, TypeError):
        tell_comparison(store, Path(session.source))
    return session


def tell_comparison(store: VoteStore, folder: Path) -> bool:
    """Write into a comparison's folder what people said of its answers, and those of its reports anew that are there.

    Nothing is written where the folder says it already: so it may be called whenever a report is looked at.

    Returns:
        Whether it is the folder of a comparison that is done.

    Raises:
        FittingRoomError: the votes cannot be read, or nothing can be written.
        OSError: a file of it cannot be read; so a ValueError, a KeyError or a TypeError where one is damaged.
    """
    if not (folder / "result.json").is_file() or not (folder / "items.jsonl").is_file():
        return False
    place = str(folder.resolve())
    sessions = [session for session in store.sessions() if session.source == place]
    result = json.loads((folder / "result.json").read_text("utf-8"))
    titles = {str(arm["name"]): str(arm["title"]) for arm in result["arms"]}
    told = [(session, people_said(session, store.votes(session.id), titles)) for session in reversed(sessions)]
    kept = [
        {"session": session.id, "closed": session.closed is not None, "lines": lines}
        for session, lines in told
        if lines
    ]
    if kept == _told_before(folder):
        return True
    write_text_atomically(folder / VOTES_FILE, json.dumps(kept, indent=2) + "\n")
    here = {**result, "folder": place}  # it may have been moved since
    page, text = folder / "report.html", folder / "report.md"
    if page.is_file():  # comparisons of earlier versions have none, and their results lack what it shows
        with (folder / "items.jsonl").open("r", encoding="utf-8") as lines:
            write_text_atomically(page, to_html(here, [json.loads(line) for line in lines if line.strip()]))
    if text.is_file():
        write_text_atomically(text, to_markdown(here, _request(folder, result)))
    return True


def tell_newest(folder: Path) -> None:
    """Bring what a comparison's reports say of people's votes up to date; where that fails they stay as they are."""
    with contextlib.suppress(FittingRoomError, OSError, ValueError, KeyError, TypeError), VoteStore.open() as store:
        tell_comparison(store, folder)


def _told_before(folder: Path) -> list[dict[str, Any]]:
    try:
        found = json.loads((folder / VOTES_FILE).read_text("utf-8"))
    except (OSError, ValueError):
        return []
    return found if isinstance(found, list) else []


def said_of_run(store: VoteStore, run: RunFolder) -> list[str]:
    """What people said of a run's model: of the run itself, or of the arm that it was trained for.

    Of an open session it is only how many votes there are so far.

    Raises:
        VotesError: the votes cannot be read.
    """
    lines: list[str] = []
    for session in store.sessions():
        arm = next((each.arm for each in tuned_arms(session, [run]) if _is_run(each, run)), None)
        if arm is not None:
            lines += people_said(session, store.votes(session.id), {**ARM_TITLES, arm: _THIS})
    return lines


def _is_run(arm: TunedArm, run: RunFolder) -> bool:
    """Whether an arm is what a run made in the end."""
    return arm.step is None and arm.run.path.resolve() == run.path.resolve()


def _request(folder: Path, result: Mapping[str, Any]) -> ComparisonRequest:
    """What the comparison was asked for; only its command is told, which most results hold themselves."""
    if result.get("command"):
        return ComparisonRequest(folder / "result.json")  # its data may be gone by now
    return ComparisonRequest.from_dict(json.loads((folder / "request.json").read_text("utf-8")))


def _pair_line(pair: PairResult, names: Mapping[str, str]) -> str:
    found = pair.tally
    a, b = names.get(found.a, found.a), names.get(found.b, found.b)
    ties = f"neither was better on {100 * pair.tie_share:.0f}% of the items"
    if found.win_rate is None:
        return f"No vote preferred {a} or {b}; {ties}."
    rate, low, high = (100 * value for value in found.win_rate)
    if found.losses > found.wins:
        a, b, rate, low, high = b, a, 100 - rate, 100 - high, 100 - low
    votes = "1 decisive vote" if found.decisive == 1 else f"{found.decisive} decisive votes"
    decided = "which decides it" if pair.winner is not None else "which does not decide it"
    return (
        f"{a} was preferred to {b} in {rate:.0f}% of {votes} (95% interval {low:.0f} to {high:.0f}), {decided}; {ties}."
    )


def _raters_line(result: SessionResult) -> str:
    agreed = result.agreement
    told = [f"{result.counted} {'vote' if result.counted == 1 else 'votes'} by {_people(agreed.raters)}"]
    if agreed.alpha is not None:
        alpha, low, high = agreed.alpha
        told.append(f"their agreement: alpha {alpha:.2f} ({low:.2f} to {high:.2f})")
    elif agreed.raters > 1:
        told.append("their agreement is not known")
    if agreed.consistency is not None:
        told.append(f"the same vote again on {100 * agreed.consistency.estimate:.0f}% of {agreed.repeats} repeats")
    return f"{'; '.join(told)}. The session is closed."


def _so_far(session: Session, valid: Sequence[Vote]) -> str:
    """How many votes that count an open session has; nothing of what they say."""
    count, raters = len(valid), len({vote.rater for vote in valid})
    who = "one rater" if raters == 1 else f"{raters} raters"
    return (
        f"{' '.join(session.title.split())}: so far {count} {'vote' if count == 1 else 'votes'} by {who}, of "
        f"{session.votes_wanted} that are planned. The session is open: what they say is told once it is closed."
    )


def _people(count: int) -> str:
    return "one rater, whose taste it is" if count == 1 else f"{count} raters"
