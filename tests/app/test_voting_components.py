"""What blind votes look like: no arm on a rater's page, nothing of a text run, names and figures in the result."""

from __future__ import annotations

import re
from typing import Any

import pytest

from advisor.human import Mark, Session, Task, edited_examples, preference_pairs, result_of, thumbs
from advisor.human.store import Progress
from app.components.vote_outcome import result_card, to_take_along
from app.components.voting import SessionLine, joining, sessions_table, standing, voting
from dataset_tools.example import Message
from tests.advisor.human_support import ARMS, session, vote, votes_for

HOSTILE = "<img src=x onerror=hit()>\"'</textarea><script>hit()</script>"
PLACE = Progress(3, 9, 5, 20)


def task(token: str = "t1", text: str = "an answer", **options: Any) -> Task:
    return Task(token, (Message("user", text),), text, f"{text}, otherwise", **options)


def rater_page(made: Session, *tasks: Task, rater: str = "ann", **options: Any) -> str:
    return str(voting(made, rater, tasks=tasks, progress=PLACE, place="/evaluate?session=1", **options))


def closed(made: Session) -> Session:
    return Session(**{**vars(made), "closed": 2.0})


def test_a_raters_page_holds_no_arm_and_shows_one_item_of_those_that_lie_ready() -> None:
    shown = rater_page(session(title="Towers"), task("t1"), task("t2"), task("t3"), batch="b7")
    assert not any(arm in shown for arm in ARMS)
    assert re.findall(r'data-task="(t\d)"( hidden)?', shown) == [("t1", ""), ("t2", " hidden"), ("t3", " hidden")]
    assert 'data-batch="b7"' in shown and re.findall("<kbd>(.)</kbd>", shown) == ["←", "→", "t", "b", "s", "u"]
    assert "5 votes of 20" in shown and shown.count("data-vote=") == 5


def test_no_text_of_a_model_a_rater_or_a_title_is_run() -> None:
    made = session(title=HOSTILE, questions=[HOSTILE])
    asked = task(HOSTILE, HOSTILE, questions=(HOSTILE,))
    line = SessionLine(HOSTILE, HOSTILE, 1.0, 1, 2, closed=False)
    done = closed(made)
    result = result_of(done, [vote(0)])
    pages = [rater_page(made, asked, rater=HOSTILE, batch=HOSTILE), joining(made, PLACE), sessions_table([line])]
    pages += [standing(result, HOSTILE), result_card(result, {ARMS[0]: HOSTILE})]
    for page in pages:
        assert "<img" not in page and "<script" not in page and "&lt;img" in page
        assert page.count("<textarea") == page.count("</textarea>")


def test_a_queue_that_is_through_says_so_and_takes_no_vote() -> None:
    shown = rater_page(session())
    assert "everything in your queue" in shown and "data-task" not in shown
    assert shown.count(" disabled") == 5  # only the last vote can be taken back


def test_how_it_stands_is_told_without_names() -> None:
    made = session(40)
    shown = standing(result_of(made, votes_for([1] * 30)), "ann")
    assert not any(arm in shown for arm in ARMS) and "You can stop: decided" in shown
    assert 'data-do="end"' in shown
    early = standing(result_of(made, votes_for([1, -1, 0])), "ann")
    assert re.search(r"About \d+ more votes", early) and not any(arm in early for arm in ARMS)


def test_the_result_tells_win_rate_ties_agreement_and_which_was_which() -> None:
    made = closed(session(40, questions=["Friendlier?"]))
    given = votes_for([1] * 20 + [-1] * 5 + [0] * 5)
    given = [vote(each.item, each.kind, left=each.left, right=each.right, answers=("left",)) for each in given]
    shown = result_card(result_of(made, given), {ARMS[0]: "Tuned, nicely"})
    assert all(arm in shown for arm in ARMS) and "A was" in shown and ": Tuned, nicely" in shown
    assert ">80%<" in shown and re.search(r">\d+ to \d+<", shown) and "Friendlier?: " in shown
    assert "Self-consistency: not known" in shown and "Bradley-Terry" not in shown


def test_three_arms_get_strengths_and_two_raters_an_alpha() -> None:
    arms = ("zebra", "quokka", "okapi")
    made = closed(session(12, arms=arms))
    given = [
        vote(item, "left" if item % 3 else "right", left=arms[item % 2], right=arms[2], rater=rater, number=number)
        for number, (item, rater) in enumerate([(item, rater) for item in range(12) for rater in ("ann", "bob")], 1)
    ]
    shown = result_card(result_of(made, given), {})
    assert "Bradley-Terry" in shown and "alpha 1.00" in shown


@pytest.mark.parametrize("taken", [False, True])
def test_test_rows_are_offered_for_training_only_to_who_takes_them_knowingly(taken: bool) -> None:
    made, given = closed(session(10)), votes_for([1] * 6)
    pairs, rated = (turn(made, given, use_test_rows=taken) for turn in (preference_pairs, thumbs))
    shown = to_take_along(made.id, pairs, rated, taken=taken)
    assert f"/votes/{made.id}/votes.csv" in shown and "test rows" in shown
    assert ('data-do="take"' in shown) is not taken
    assert (f"/votes/{made.id}/dpo-with-test-rows.jsonl" in shown) is taken
    assert ('data-do="train"' in shown) is taken
    led = to_take_along(made.id, pairs, rated, taken=taken, training="/train?project=p")
    assert "/train?project=p" in led and 'data-do="train"' not in led


def test_what_else_a_rater_may_say_is_hidden_until_it_is_asked_for_and_escaped() -> None:
    shown = rater_page(session(), task(text=HOSTILE), task("t2"), wanted={"t1": HOSTILE})
    assert shown.count("data-editing hidden") == 2 and shown.count('data-edit="left"') == 2
    assert shown.count("data-labelling hidden") == 1  # of an item without a label there is nothing to check
    assert "<img" not in shown and "<script" not in shown and shown.count("data-righting hidden") == 1


def test_edits_and_wrong_labels_are_told_with_their_difference() -> None:
    made = closed(session(10))
    given = [
        vote(0, edit="It is 7 metres high.", edited="left"),
        vote(1, bad_label=True, right_answer="two <b>words</b>"),
    ]
    marks = (Mark((Message("user", HOSTILE),), "one word", "two <b>words</b>", raters=2, said=("two <b>words</b>",)),)
    edits = edited_examples(made, given, use_test_rows=True)
    pairs = preference_pairs(made, given, use_test_rows=True)
    shown = to_take_along(made.id, pairs, pairs, taken=True, edits=edits, marks=marks)
    assert f"/votes/{made.id}/sft-with-test-rows.jsonl" in shown and edits.sentence in shown
    assert "1 label called wrong" in shown and "2 raters" in shown and f"votes fixes {made.id}" in shown
    assert "<del>one</del>" in shown and "<b>words" not in shown and "<img" not in shown


def test_a_rater_reads_how_long_it_took_and_about_how_long_the_rest_takes() -> None:
    def shown(*far: float) -> str:
        return str(voting(session(), "ann", tasks=[], progress=Progress(*far), place="/"))  # type: ignore[arg-type]

    assert "3</span> of 9 seen in 30 s, about 1 min to go. All raters" in shown(3, 9, 5, 20, 30.0)
    assert "9</span> of 9 seen in 1 min 30 s. All raters" in shown(9, 9, 9, 20, 90.0)
    assert "2</span> of 9 seen. All" in shown(2, 9, 5, 20, 30.0)  # too early to tell


def test_without_a_session_the_list_says_what_to_do() -> None:
    assert "Start one above" in sessions_table([])
    line = SessionLine("s1", "Towers", 1.0, 4, 20, closed=True)
    assert "4 of 20" in sessions_table([line]) and "Result" in sessions_table([line])
