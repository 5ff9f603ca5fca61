"""People's own eyes as the measure: blind sessions, votes, their result, and what they are good for afterwards.

No page and no server: those are in ``app``. Nothing here loads a model; a judge is handed in.
"""

from __future__ import annotations

from advisor.human.contestants import Contestant, answers_of, checkpoint_of
from advisor.human.importing import Imported, read_votes, vote_rows, votes_csv, votes_jsonl
from advisor.human.judge import JudgeResult, judge_pairs, judge_result
from advisor.human.lineage import TunedArm, named_arm, parent_of, tuned_arms
from advisor.human.pairs import Feedback, edited_examples, feedback_as, preference_pairs, thumbs
from advisor.human.relabelling import Mark, Relabelling, marks_of, relabel, taken_and_left, write_replaced_test_set
from advisor.human.reporting import close_session, people_said, said_of_run, tell_newest
from advisor.human.result import SessionResult, result_of, winners
from advisor.human.session import Item, Session, Task, new_session
from advisor.human.sources import from_answers, from_comparison, from_contestants
from advisor.human.store import Progress, VotesError, VoteStore
from advisor.human.votes import KINDS, Kind, Vote

__all__ = [
    "KINDS",
    "Contestant",
    "Feedback",
    "Imported",
    "Item",
    "JudgeResult",
    "Kind",
    "Mark",
    "Progress",
    "Relabelling",
    "Session",
    "SessionResult",
    "Task",
    "TunedArm",
    "Vote",
    "VoteStore",
    "VotesError",
    "answers_of",
    "checkpoint_of",
    "close_session",
    "edited_examples",
    "feedback_as",
    "from_answers",
    "from_comparison",
    "from_contestants",
    "judge_pairs",
    "judge_result",
    "marks_of",
    "named_arm",
    "new_session",
    "parent_of",
    "people_said",
    "preference_pairs",
    "read_votes",
    "relabel",
    "result_of",
    "said_of_run",
    "taken_and_left",
    "tell_newest",
    "thumbs",
    "tuned_arms",
    "vote_rows",
    "votes_csv",
    "votes_jsonl",
    "winners",
    "write_replaced_test_set",
]
