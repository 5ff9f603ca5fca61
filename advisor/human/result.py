"""What the votes of a session say: who wins, how surely, how many more votes it takes, and how far raters agree.

Arms are called A, B, C, ... in an order that is drawn, and by their names only once the session is closed. It changes
no vote and no session.
"""

from __future__ import annotations

import random
import string
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from typing import Any

from advisor.human.agreement import USABLE_ALPHA, Agreement, agreement_of
from advisor.human.session import Session
from advisor.human.strengths import Strength, strengths_of
from advisor.human.tallies import Tally, decision, tally, votes_to_go
from advisor.human.votes import Vote, counted
from advisor.statistics import Interval

_CLUSTERED = 1.5  # from this design effect on, other items tell more than more raters on the same ones


@dataclass(frozen=True)
class PairResult:
    """Two arms against each other.

    Attributes:
        tally: the votes.
        identical: items on which both gave the same answer: ties without a vote.
        tie_share: of all items, identical ones among them: those on which neither was better.
        winner: the arm that the split rule has declared better; None where it has not.
        more_votes: about how many more would show the present win rate; 0 where it is decided.
    """

    tally: Tally
    identical: int
    tie_share: float
    winner: str | None
    more_votes: int


@dataclass(frozen=True)
class SessionResult:
    """The result of a session so far.

    Attributes:
        session: its id.
        title: its title.
        closed: whether it is.
        reveal: letters to names of arms; None while the session is open.
        pairs: each two arms against each other.
        strengths: Bradley-Terry, the strongest first; empty for two arms.
        agreement: between raters and with themselves.
        by_tag: of each tag, each two arms.
        by_question: of each question of the rubric, each two arms.
        alpha_by_tag: of each tag, how far raters agree; None where it is not known, as in `Agreement`.
        alpha_by_question: of each question of the rubric, likewise.
        counted: votes that count, of ``wanted``.
        wanted: votes that were planned.
        skipped: votes that were skips.
        winner: the arm that is declared better than every other; None where there is none.
        more_votes: about how many more it takes; 0 where it is decided.
        sentence: all this in a sentence or three.
    """

    session: str
    title: str
    closed: bool
    reveal: Mapping[str, str] | None
    pairs: tuple[PairResult, ...]
    strengths: tuple[Strength, ...]
    agreement: Agreement
    by_tag: Mapping[str, tuple[Tally, ...]]
    by_question: Mapping[str, tuple[Tally, ...]]
    alpha_by_tag: Mapping[str, Interval | None]
    alpha_by_question: Mapping[str, Interval | None]
    counted: int
    wanted: int
    skipped: int
    winner: str | None
    more_votes: int
    sentence: str

    @property
    def decided(self) -> bool:
        """Whether one can stop: an arm is declared better than every other."""
        return self.winner is not None

    def to_dict(self) -> dict[str, Any]:
        """Plain data for ``--json`` and reports; intervals as [estimate, low, high]."""
        plain = asdict(self)
        return {**plain, "decided": self.decided}


def shown_names(session: Session) -> dict[str, str]:
    """What each arm is called to people: its name once the session is closed, else a letter that is drawn."""
    return {arm: arm if session.closed is not None else letter for arm, letter in _letters(session).items()}


def result_of(session: Session, votes: Sequence[Vote]) -> SessionResult:
    """The result of a session from its votes.

    Every pair of arms is judged by the split rule at its own 5%. An arm wins a session of several if it is declared
    better than each other one: that needs no correction (an intersection-union test, SCIENCE 2).
    """
    names, valid = shown_names(session), counted(votes)
    letters = {letter: arm for arm, letter in _letters(session).items()}
    arms = [letters[letter] for letter in sorted(letters)]
    pairs = tuple(_pair(session, valid, a, b) for a, b in combinations(arms, 2))
    strengths = strengths_of(valid, arms) if len(arms) > 2 else []
    winner = next((arm for arm in arms if _beats_all(arm, pairs)), None)
    more = 0 if winner else max(pair.more_votes for pair in _still_open(pairs, strengths))
    agreed = agreement_of(votes)
    tags, questions = _by_tag(session, valid), _by_question(session, valid)
    told = [_told(session, pairs, winner, more, count=len(valid), names=names), *_agreement_told(agreed)]
    return SessionResult(
        session=session.id,
        title=session.title,
        closed=session.closed is not None,
        reveal=letters if session.closed is not None else None,
        pairs=tuple(replace(pair, tally=_named(pair.tally, names), winner=_name(pair.winner, names)) for pair in pairs),
        strengths=tuple(replace(one, arm=names[one.arm]) for one in strengths),
        agreement=agreed,
        by_tag={tag: _tallies(given, arms, names=names) for tag, given in tags.items()},
        by_question={question: _tallies(given, arms, names=names) for question, given in questions.items()},
        alpha_by_tag={tag: agreement_of(given).alpha for tag, given in tags.items()},
        alpha_by_question={question: agreement_of(given).alpha for question, given in questions.items()},
        counted=len(valid),
        wanted=session.votes_wanted,
        skipped=sum(not vote.judged for vote in votes),
        winner=_name(winner, names),
        more_votes=more,
        sentence=" ".join(told),
    )


def winners(votes: Sequence[Vote]) -> dict[int, str | None]:
    """The arm that most votes on an item prefer; None where two or more are preferred equally often, or none is."""
    by_item: dict[int, dict[str, int]] = {}
    for vote in counted(votes):
        wins = by_item.setdefault(vote.item, {})
        if vote.winner is not None:
            wins[vote.winner] = wins.get(vote.winner, 0) + 1
    found: dict[int, str | None] = {}
    for item, wins in by_item.items():
        most = max(wins.values(), default=0)
        first = [arm for arm, count in wins.items() if count == most]
        found[item] = first[0] if len(first) == 1 else None
    return found


def _letters(session: Session) -> dict[str, str]:
    """Each arm's letter. Beyond 26 arms letters are doubled."""
    arms = list(session.arms)
    random.Random(f"{session.seed}:letters").shuffle(arms)
    letters = string.ascii_uppercase
    return {arm: letters[at % 26] * (at // 26 + 1) for at, arm in enumerate(arms)}


def _pair(session: Session, valid: Sequence[Vote], a: str, b: str) -> PairResult:
    found, identical = tally(valid, a, b), session.identical(a, b)
    differing = sum({a, b} == {one, other} for _, one, other in session.pairs())
    # Identical items are known to be ties; of the others the votes tell the share.
    voted = (found.ties + found.both_bad) / found.judged if found.judged else 0.0
    ties = (identical + differing * voted) / max(1, identical + differing)
    planned = max(1, round(session.votes_wanted * differing / max(1, len(session.pairs()))))
    said = decision(valid, a, b, planned=planned)
    winner = {1: a, -1: b}.get(said)
    settled = winner is not None or not differing
    return PairResult(found, identical, ties, winner, 0 if settled else max(1, votes_to_go(found)))


def _beats_all(arm: str, pairs: Sequence[PairResult]) -> bool:
    return all(pair.winner == arm for pair in pairs if arm in (pair.tally.a, pair.tally.b))


def _still_open(pairs: Sequence[PairResult], strengths: Sequence[Strength]) -> list[PairResult]:
    """The undecided pairs of the leading arm; all undecided ones where it has none (a circle)."""
    leader = strengths[0].arm if strengths else None
    undecided = [pair for pair in pairs if pair.winner is None]
    of_leader = [pair for pair in undecided if leader in (None, pair.tally.a, pair.tally.b)]
    return of_leader or undecided or list(pairs)


def _told(
    session: Session,
    pairs: Sequence[PairResult],
    winner: str | None,
    more: int,
    *,
    count: int,
    names: Mapping[str, str],
) -> str:
    if not count:
        return f"No vote yet; {session.votes_wanted} are planned."
    if winner is not None:
        return f"You can stop: decided. {names[winner]} is preferred{_rate(pairs, winner)}."
    leading = max(pairs, key=lambda pair: abs(pair.tally.wins - pair.tally.losses)).tally
    seen = f"Not decided by {count} votes"
    if leading.win_rate is not None and len(pairs) == 1:
        ahead = names[leading.a] if leading.wins >= leading.losses else names[leading.b]
        seen += f": {ahead} {_percent(leading)}"
    told = f"{seen}. About {more} more votes would probably decide it, if it goes on like this."
    if max(pair.tally.design_effect for pair in pairs) > _CLUSTERED:
        told += " Votes on other items would tell more than more raters on the same ones."
    return told


def _rate(pairs: Sequence[PairResult], winner: str) -> str:
    if len(pairs) > 1:
        return " to every other"
    return f" in {_percent(pairs[0].tally)}"


def _percent(found: Tally) -> str:
    """The leader's win rate with its interval."""
    if found.win_rate is None:
        return "in no decisive vote"
    rate, low, high = (100 * value for value in found.win_rate)
    if found.losses > found.wins:
        rate, low, high = 100 - rate, 100 - high, 100 - low
    return f"{rate:.0f}% of {found.decisive} decisive votes ({low:.0f} to {high:.0f})"


def _agreement_told(agreed: Agreement) -> list[str]:
    told = []
    if agreed.alpha is not None and agreed.alpha.estimate < USABLE_ALPHA:
        told.append(f"Raters agree little (alpha {agreed.alpha.estimate:.2f}; {USABLE_ALPHA} is usable).")
    if agreed.raters == 1:
        told.append("One rater's taste: nobody else has voted.")
    return told


def _by_tag(session: Session, valid: Sequence[Vote]) -> dict[str, list[Vote]]:
    """The votes on the items of each tag."""
    tags = dict.fromkeys(tag for item in session.items for tag in item.tags)
    return {tag: [vote for vote in valid if tag in session.items[vote.item].tags] for tag in tags}


def _by_question(session: Session, valid: Sequence[Vote]) -> dict[str, list[Vote]]:
    """What was said to each question of the rubric, as votes."""
    found = {}
    for at, question in enumerate(session.questions):
        said = [(vote, vote.answers[at]) for vote in valid if len(vote.answers) > at]
        found[question] = [replace(vote, kind=answer) for vote, answer in said if answer != "" and answer != "skip"]
    return found


def _tallies(votes: Sequence[Vote], arms: Sequence[str], *, names: Mapping[str, str]) -> tuple[Tally, ...]:
    return tuple(_named(tally(votes, a, b), names) for a, b in combinations(arms, 2))


def _named(found: Tally, names: Mapping[str, str]) -> Tally:
    return replace(found, a=names[found.a], b=names[found.b])


def _name(arm: str | None, names: Mapping[str, str]) -> str | None:
    return None if arm is None else names[arm]
