"""One vote: what a rater said of two answers, with the arms that the two came from. Nothing is stored or counted here.

A vote knows its arms, so it never goes to a rater: what a rater sees is a `advisor.human.session.Task`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

Kind = Literal["left", "right", "tie", "both_bad", "skip"]
KINDS: tuple[Kind, ...] = get_args(Kind)
"""What a rater can say of two answers."""

SIDES = ("left", "right")

_SIGNS = {"left": 1, "right": -1, "tie": 0, "both_bad": 0}


@dataclass(frozen=True, slots=True)
class Vote:
    """A vote on one item.

    Attributes:
        rater: who voted.
        number: its place in the order of the session's votes, from 1.
        item: the item's place in the session.
        left: the arm whose answer was on the left.
        right: the arm whose answer was on the right.
        kind: what was said.
        repeat: whether the rater has seen these two before, on swapped sides. Tells of the rater, and counts no more.
        answers: what was said to each question of the rubric, "" where nothing was.
        comment: in the rater's own words.
        edit: a better answer in the rater's own words; "" for none.
        edited: the side whose answer the edit was made from; "" for none, or where it is not known.
        bad_label: whether the rater says that the item's wanted answer is wrong.
        right_answer: what should be wanted in its place, in the rater's words; "" where they did not say.
        seconds: how long it took.
        at: when, in seconds since the epoch.
    """

    rater: str
    number: int
    item: int
    left: str
    right: str
    kind: Kind
    repeat: bool = False
    answers: tuple[Kind | Literal[""], ...] = ()
    comment: str = ""
    edit: str = ""
    edited: Literal["left", "right", ""] = ""
    bad_label: bool = False
    right_answer: str = ""
    seconds: float = 0.0
    at: float = 0.0

    @property
    def winner(self) -> str | None:
        """The arm that was preferred; None for a tie, for both bad, and for a skip."""
        return {"left": self.left, "right": self.right}.get(self.kind)

    @property
    def loser(self) -> str | None:
        """The arm that was not preferred; None where none was."""
        return {"left": self.right, "right": self.left}.get(self.kind)

    @property
    def judged(self) -> bool:
        """Whether anything was said: all but a skip."""
        return self.kind != "skip"

    def value_for(self, arm: str) -> int:
        """1 where ``arm`` was preferred, -1 where the other was, else 0.

        Raises:
            ValueError: the vote was not about this arm, or skipped.
        """
        if arm not in (self.left, self.right) or not self.judged:
            raise ValueError("the vote says nothing of this arm")
        return _SIGNS[self.kind] * (1 if arm == self.left else -1)


def counted(votes: Iterable[Vote]) -> list[Vote]:
    """The votes that count, in their order: neither skips nor repeats."""
    return sorted((vote for vote in votes if vote.judged and not vote.repeat), key=lambda vote: vote.number)
