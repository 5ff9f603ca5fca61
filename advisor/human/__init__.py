"""People's own eyes as the measure: blind sessions, votes, their result, and what they are good for afterwards.

No page and no server: those are in ``app``. Nothing here loads a model; a judge is handed in.
"""

from __future__ import annotations

from advisor.human.importing import Imported, read_votes, vote_rows, votes_csv, votes_jsonl
from advisor.human.judge import JudgeResult, judge_pairs, judge_result
from advisor.human.pairs import Feedback, edited_examples, feedback_as, preference_pairs, thumbs
from advisor.human.result import SessionResult, result_of, winners
from advisor.human.session import Item, Session, Task, new_session
from advisor.human.sources import from_answers, from_comparison
from advisor.human.store import Progress, VotesError, VoteStore
from advisor.human.votes import KINDS, Kind, Vote

__all__ = [
    "KINDS",
    "Feedback",
    "Imported",
    "Item",
    "JudgeResult",
    "Kind",
    "Progress",
    "Session",
    "SessionResult",
    "Task",
    "Vote",
    "VoteStore",
    "VotesError",
    "edited_examples",
    "feedback_as",
    "from_answers",
    "from_comparison",
    "judge_pairs",
    "judge_result",
    "new_session",
    "preference_pairs",
    "read_votes",
    "result_of",
    "thumbs",
    "vote_rows",
    "votes_csv",
    "votes_jsonl",
    "winners",
]
