"""A model as the metric: it lays an answer beside the wanted one, in both orders. Its scores are that model's opinion.

What the opinion is worth only people can tell: their blind votes on the same answers put it right (`corrected`). The
judge of votes' own pairs is `advisor.human.judge`, whose question and reading are used here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from advisor.answering import Answerer
from advisor.human.judge import JUDGE_PROMPT, JudgeResult, Verdict, judge_result, read_choice
from advisor.human.session import Session
from advisor.human.store import VotesError, VoteStore
from advisor.human.votes import Vote, counted
from advisor.metrics.base import Metric, Prompt, check_items
from advisor.metrics.registry import JUDGE
from advisor.report.figures import prompt_text
from dataset_tools.example import Message
from training.models import embedded

OF_ITS_OWN = "The judge is the model that is compared: models tend to prefer what they wrote. Take another one."
TOO_WEAK = (
    "The judge is the embedded model: its agreement was measured too low to use (docs/metrics.md). Read these scores "
    "as noise, and judge by a larger model."
)

_MOST_TOKENS = 8
# What a choice is worth to the answer that stands as A, and to the one that stands as B; nothing readable is a tie.
_AS_A = {"A": 1.0, "B": 0.0}
_AS_B = {"A": 0.0, "B": 1.0}
_SAME = 1e-9


@dataclass(frozen=True)
class Judge:
    """A model that scores answers.

    Attributes:
        answerer: The model; one that stores its answers is asked nothing twice.
        model: Its name, as it was given.
    """

    answerer: Answerer
    model: str

    @property
    def metric(self) -> Metric:
        """The metric of the name "judge".

        An item's score is the mean over both orders of 1 (the answer is preferred to the wanted one), 0.5 (a tie, or
        nothing readable was said) and 0: a judge that contradicts itself gives 0.5, and 0.5 is as good as the wanted
        answer. Where the two are the same text it is 0.5 without a question.
        """

        def score(answer: str, wanted: str) -> float:
            return self.scores([answer], [wanted])[0]

        def details(answers: Sequence[str], wanted: Sequence[str]) -> dict[str, float]:
            check_items(answers, wanted)
            return {}

        return Metric(JUDGE, "a judge's opinion", score, details, many=self.scores, judged=self.scores)

    def scores(
        self, answers: Sequence[str], wanted: Sequence[str], prompts: Sequence[Prompt] | None = None
    ) -> tuple[float, ...]:
        """The score of each item, in order; without prompts the judge does not see what was asked.

        Raises:
            ValueError: there is no item, or the lengths differ.
            ModelError: the judge cannot be asked.
        """
        said = self.said(answers, wanted, prompts)
        return tuple(
            0.5 if one is None else (_AS_A.get(one[0] or "", 0.5) + _AS_B.get(one[1] or "", 0.5)) / 2 for one in said
        )

    def said(
        self, answers: Sequence[str], wanted: Sequence[str], prompts: Sequence[Prompt] | None = None
    ) -> list[tuple[str | None, str | None] | None]:
        """What it says (A, B, TIE; None: nothing readable) with the answer as A, and with the answer as B.

        None in place of both where answer and wanted answer are the same text, about which it is not asked.
        """
        check_items(answers, wanted)
        asked: Sequence[Prompt] = prompts if prompts is not None else [()] * len(answers)
        places = [place for place, answer in enumerate(answers) if answer.strip() != wanted[place].strip()]
        questions = [
            question(asked[place], *pair)
            for place in places
            for pair in ((answers[place], wanted[place]), (wanted[place], answers[place]))
        ]
        found = self.answerer.answer(questions, max_new_tokens=_MOST_TOKENS) if questions else []
        choices = [read_choice(answer.text) for answer in found]
        said: list[tuple[str | None, str | None] | None] = [None] * len(answers)
        for at, place in enumerate(places):
            said[place] = (choices[2 * at], choices[2 * at + 1])
        return said

    def about(
        self, prompts: Sequence[Prompt], wanted: Sequence[str], answers: Sequence[Sequence[str]], *, base: str
    ) -> dict[str, Any]:
        """What ``result.json`` says of the judge: its name, its question, and how steady it was over all arms.

        Args:
            prompts: Of the test rows.
            wanted: Their answers.
            answers: Of each arm, as far as it went.
            base: The name of the model that is compared.
        """
        said = [
            one
            for each in answers
            for one in self.said(each, wanted[: len(each)], prompts[: len(each)])
            if one is not None
        ]
        readable = [(first, second) for first, second in said if first and second]
        steady = sum({first, second} in ({"TIE"}, {"A", "B"}) for first, second in readable)
        return {
            "model": self.model,
            "prompt": JUDGE_PROMPT,
            "compared": len(said),
            "consistent": round(steady / len(said), 4) if said else None,
            "unreadable": round(1 - len(readable) / len(said), 4) if said else None,
            "warning": " ".join(self._warnings(base)) or None,
        }

    def _warnings(self, base: str) -> list[str]:
        return [TOO_WEAK] * (self.model == embedded.NAME) + [OF_ITS_OWN] * (self.model == base)


def question(prompt: Prompt, first: str, second: str) -> tuple[Message, ...]:
    """What the judge is asked, with one text as answer A and the other as B: its prompt of `advisor.human.judge`."""
    request = prompt[0].content if len(prompt) == 1 else prompt_text([message.to_dict() for message in prompt])
    values = {"request": request or "(not given)", "a": first.strip(), "b": second.strip()}
    # In one pass: what the texts say is never read as a place of the prompt.
    return (Message("user", re.sub(r"\{(request|a|b)\}", lambda place: values[place[1]], JUDGE_PROMPT)),)


def votes_on(folder: Path) -> list[tuple[Session, list[Vote]]]:
    """The closed blind sessions over a comparison's answers, with their votes; none where the votes cannot be read."""
    try:
        with VoteStore.open() as store:
            closed = [one for one in store.sessions() if one.closed and one.source == str(folder.resolve())]
            return [(session, store.votes(session.id)) for session in closed]
    except VotesError:
        return []


def corrected(session: Session, votes: Sequence[Vote], rows: Sequence[Mapping[str, Any]]) -> list[JudgeResult]:
    """The judge beside people's votes, for each two arms of a session: agreement, and the win rate put right (PPI++).

    The judge prefers the answer that it has given the higher score; equal scores are a tie. Only pairs of different
    answers count, as people vote on no others.

    Args:
        session: Over a comparison that was scored by a judge.
        votes: Of the session.
        rows: The lines of the comparison's ``items.jsonl``.
    """
    seen: dict[tuple[str, str], list[Verdict]] = {}
    # By what they are: a session may be of some of the rows alone.
    known = {_row_key(row["prompt"], str(row.get("wanted", ""))): row["arms"] for row in rows}
    for item, a, b in session.pairs():
        asked = session.items[item]
        arms = known.get(_row_key([message.to_dict() for message in asked.prompt], asked.wanted), {})
        same = all((arms.get(arm) or {}).get("answer", "").strip() == session.answer(item, arm) for arm in (a, b))
        if not same:  # the comparison was run again since
            continue
        gap = arms[a]["score"] - arms[b]["score"]
        winner = None if abs(gap) < _SAME else a if gap > 0 else b
        seen.setdefault((a, b), []).append(Verdict(item, a, b, winner, consistent=True, readable=True))
    pairs = [pair for pair in combinations(session.arms, 2) if pair in seen]
    return [judge_result(session, votes, seen[a, b], a=a, b=b) for a, b in pairs]


def _row_key(prompt: object, wanted: str) -> str:
    """A row by its prompt and its wanted answer; a prompt of one message is kept as its text alone."""
    if isinstance(prompt, list) and len(prompt) == 1:
        prompt = prompt[0]["content"]
    return json.dumps([prompt, wanted.strip()], ensure_ascii=False, sort_keys=True)


def put_right(folder: Path, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What votes say of the judge, for ``result.json``: how many count, and `corrected` of the session with the most.

    Args:
        folder: The comparison's.
        rows: The lines of its ``items.jsonl``.
    """
    sessions = votes_on(folder)
    judged = [[one for one in corrected(session, votes, rows) if one.compared] for session, votes in sessions]
    most = max(judged, key=lambda found: sum(one.compared for one in found), default=[])
    shown = ("a", "b", "compared", "agreement", "chance", "usable", "rectified", "sentence")
    plain = [{name: value for name, value in one.to_dict().items() if name in shown} for one in most]
    return {"votes": _count(sessions), "corrected": plain}


def as_an_opinion(sentence: str, judge: Mapping[str, Any]) -> str:
    """A verdict's sentence with whose opinion it rests on, and whether people have looked at that."""
    usable = [one["usable"] for one in judge["corrected"]]
    checked = "people's votes on it are in the report" if any(usable) else "no person has checked it"
    if usable and not any(usable):
        checked = "people's votes, in the report, do not show that opinion to be good enough to go by"
    return f"{sentence} This is by the opinion of a model, {judge['model']}; {checked}."


def has_new_votes(folder: Path, result: Mapping[str, Any]) -> bool:
    """Whether people have voted on a judged comparison since its result was written."""
    judge = result.get("judge")
    return judge is not None and _count(votes_on(folder)) != judge.get("votes", 0)


def _count(sessions: Sequence[tuple[Session, Sequence[Vote]]]) -> int:
    return sum(len(counted(votes)) for _, votes in sessions)
