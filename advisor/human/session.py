"""A blind session: which answers are laid side by side, and in which order and on which sides a rater sees them.

All of it is drawn here, once, and kept by `advisor.human.store`; nothing is drawn again when a rater comes back. What
leaves for a rater is a `Task`, which does not know the arms.
"""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

from dataset_tools.errors import DataError, UsageError
from dataset_tools.example import Message

MOST_QUESTIONS = 5
REPEATED = 0.1
"""The share of pairs that a rater sees a second time, with sides swapped (SCIENCE 10)."""

_USUAL_VOTES = 194  # decisive ones show a win rate of 60% with 80% power
_FEWEST_TO_REPEAT = 5
# How many others lie between a pair and its repeat, where there are that many: few enough that the repeat is reached,
# enough that the first vote is not simply remembered. A judgement.
_BETWEEN = (8, 24)


@dataclass(frozen=True, slots=True)
class Item:
    """One prompt with the arms' answers.

    Attributes:
        prompt: its messages.
        answers: one an arm, in the session's order; None where the arm has not answered.
        wanted: the wanted answer; "" where none is known.
        tags: groups to tell results by.
        record: the row's number in its file, 0 where unknown.
    """

    prompt: tuple[Message, ...]
    answers: tuple[str | None, ...]
    wanted: str = ""
    tags: tuple[str, ...] = ()
    record: int = 0


@dataclass(frozen=True, slots=True)
class Place:
    """One place in a rater's queue: an item, and which arm is on which side."""

    item: int
    left: str
    right: str
    repeat: bool = False


@dataclass(frozen=True, slots=True)
class Task:
    """What a rater is handed for one vote. The token is drawn at random, and only the store knows what it stands for.

    Attributes:
        token: names this task when its vote comes back.
        prompt: the messages that were answered.
        left: one answer.
        right: the other.
        questions: of the rubric.
    """

    token: str
    prompt: tuple[Message, ...]
    left: str
    right: str
    questions: tuple[str, ...] = ()


@dataclass(frozen=True)
class Session:
    """A blind session. Make one with `new_session`, or with `advisor.human.sources`.

    Attributes:
        id: its name in the store.
        title: for people.
        arms: what is compared; hidden from raters.
        items: the prompts with all arms' answers.
        votes_wanted: how many votes (repeats and skips not counted) it is planned with.
        questions: of the rubric, beside the vote itself; five at most.
        seed: of the draws.
        held_out: whether its items are test rows, which must not be trained on.
        source: where the answers come from: a folder, or files.
        created: when, in seconds since the epoch.
        closed: when it was closed; None while it is open. Only then its result tells which arm was which.
    """

    id: str
    title: str
    arms: tuple[str, ...]
    items: tuple[Item, ...]
    votes_wanted: int
    questions: tuple[str, ...]
    seed: int
    held_out: bool = True
    source: str = ""
    created: float = 0.0
    closed: float | None = None

    def answer(self, item: int, arm: str) -> str | None:
        """An arm's answer to an item, without blanks around it."""
        text = self.items[item].answers[self.arms.index(arm)]
        return None if text is None else text.strip()

    def pairs(self) -> list[tuple[int, str, str]]:
        """What can be voted on: (item, arm, other arm) wherever both have answered, and differently."""
        return [(item, a, b) for item, a, b in self._answered() if self.answer(item, a) != self.answer(item, b)]

    def identical(self, a: str, b: str) -> int:
        """On how many items two arms gave the same answer, which is a tie without a vote."""
        return sum(
            {one, other} == {a, b} and self.answer(item, one) == self.answer(item, other)
            for item, one, other in self._answered()
        )

    def _answered(self) -> list[tuple[int, str, str]]:
        return [
            (number, a, b)
            for number in range(len(self.items))
            for a, b in combinations(self.arms, 2)
            if self.answer(number, a) is not None and self.answer(number, b) is not None
        ]

    def to_dict(self) -> dict[str, Any]:
        """The session as plain data; `session_from` reads it back."""
        plain = asdict(self)
        items = [{**asdict(item), "prompt": [message.to_dict() for message in item.prompt]} for item in self.items]
        return {**plain, "items": items}


def session_from(plain: Mapping[str, Any]) -> Session:
    """The session that `Session.to_dict` has written."""
    items = tuple(
        Item(
            tuple(message_from(message) for message in item["prompt"]),
            tuple(item["answers"]),
            item["wanted"],
            tuple(item["tags"]),
            item["record"],
        )
        for item in plain["items"]
    )
    rest = {"arms": tuple(plain["arms"]), "questions": tuple(plain["questions"]), "items": items}
    return Session(**{**plain, **rest})


def message_from(plain: Mapping[str, Any]) -> Message:
    """A message of chat files; calls of tools are kept as text, as a rater only reads them."""
    content = str(plain.get("content") or "")
    if plain.get("tool_calls"):
        content = f"{content}\n{plain['tool_calls']}".strip()
    return Message(str(plain.get("role", "user")), content)


def new_session(
    arms: Sequence[str],
    items: Sequence[Item],
    *,
    title: str = "",
    votes_wanted: int | None = None,
    questions: Sequence[str] = (),
    seed: int | None = None,
    held_out: bool = True,
    source: str = "",
) -> Session:
    """A session over these answers, not yet stored.

    Args:
        arms: two or more names.
        items: each with one answer an arm.
        title: for people; raters may see it, so it should not name what is compared.
        votes_wanted: without it one vote a pair that differs, and 194 at most: what a true win rate of 60% takes.
        questions: of the rubric.
        seed: of the draws; drawn itself without one, so that nobody can know it.
        held_out: whether the items are test rows.
        source: where the answers come from.

    Raises:
        UsageError: fewer than two arms, two of one name, too many questions, or no vote is wanted.
        DataError: there are no two different answers to vote on.
    """
    require_arms(arms)
    if len(questions) > MOST_QUESTIONS or not all(question.strip() for question in questions):
        raise UsageError(
            "These are not the questions of a rubric.",
            found=f"{len(questions)} questions",
            expected=f"at most {MOST_QUESTIONS}, none of them empty",
        )
    if votes_wanted is not None and votes_wanted < 1:
        raise UsageError("At least one vote is wanted.", found=str(votes_wanted))
    made = Session(
        id=f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(3)}",
        title=title or "Blind comparison",
        arms=tuple(arms),
        items=tuple(items),
        votes_wanted=votes_wanted or 1,
        questions=tuple(questions),
        seed=secrets.randbits(32) if seed is None else seed,
        held_out=held_out,
        source=source,
        created=round(time.time(), 3),
    )
    pairs = len(made.pairs())
    if not pairs:
        raise DataError(
            "There is nothing to vote on.",
            where=source or None,
            found=f"{len(items)} items on which no two of {', '.join(arms)} answered differently",
            next_step="Choose other arms, or more rows.",
        )
    return made if votes_wanted else session_from({**made.to_dict(), "votes_wanted": min(pairs, _USUAL_VOTES)})


def require_arms(arms: Sequence[str]) -> None:
    """Take only arms that can be told apart.

    Raises:
        UsageError: there are fewer than two, or two of one name.
    """
    if len(arms) < 2 or len(set(arms)) < len(arms):
        raise UsageError("A blind session needs two or more arms of different names.", found=", ".join(arms) or "none")


def draw_queue(session: Session, rater: str) -> tuple[Place, ...]:
    """What a rater is to see, in which order and on which sides; the same for the same rater and session.

    Pairs are shuffled and each side is drawn. A tenth of the pairs comes a second time with sides swapped. One item
    never comes twice in a row; a pair for which there is no such place (a session of a single item) is left out.
    """
    draw = random.Random(f"{session.seed}:{rater}")
    pairs = session.pairs()
    draw.shuffle(pairs)
    swapped = [draw.random() < 0.5 for _ in pairs]
    places = [
        Place(item, b, a) if swap else Place(item, a, b) for (item, a, b), swap in zip(pairs, swapped, strict=True)
    ]
    queue = _apart(places)
    count = max(1, round(REPEATED * len(queue))) if len(queue) >= _FEWEST_TO_REPEAT else 0
    # From the back, so that the places still to come stay where they are.
    for at in sorted(draw.sample(range(len(queue) - 2), count) if count else (), reverse=True):
        _repeat(queue, at, min(len(queue), at + 1 + draw.randint(*_BETWEEN)))
    return tuple(queue)


def _apart(places: Sequence[Place]) -> list[Place]:
    """The same places in nearly the same order, no item twice in a row."""
    placed: list[Place] = []
    waiting = list(places)
    while waiting:
        last = placed[-1].item if placed else None
        at = next((at for at, place in enumerate(waiting) if place.item != last), None)
        if at is None:
            break
        placed.append(waiting.pop(at))
    for place in waiting:
        at = next((at for at in range(len(placed)) if _fits(placed, at, place.item)), None)
        if at is not None:
            placed.insert(at, place)
    return placed


def _repeat(queue: list[Place], at: int, target: int) -> None:
    """Put the place at ``at`` a second time, near ``target`` and with sides swapped, where there is room behind it."""
    first = queue[at]
    spots = sorted(range(at + 2, len(queue) + 1), key=lambda spot: abs(spot - target))
    for spot in spots:
        if _fits(queue, spot, first.item):
            queue.insert(spot, Place(first.item, first.right, first.left, repeat=True))
            return


def _fits(queue: Sequence[Place], at: int, item: int) -> bool:
    return all(place.item != item for place in queue[max(0, at - 1) : at + 1])
