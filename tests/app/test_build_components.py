"""What the Build page is made of: everything escaped, and what comes back from the browser never trusted."""

from __future__ import annotations

import pytest

from app.components.actions import Act, act_button, text_field
from app.components.dataset_panel import findings, panel, replaces_card, said, used_card
from app.components.rows import candidates_list, page_of, pager, reasons_in, row_form, rows_table
from app.components.sources import sources_table, writing_view
from app.components.talk import talk_state, talk_view
from app.drafts import Checked
from app.jobs import Job
from app.question_writing import Source, Writing
from app.workspace import Project, StoredFile
from dataset_tools import Example, Finding, Report, UsageError
from dataset_tools.building import Conversation, DraftRow, DraftSummary
from dataset_tools.checks.base import Hit

HOSTILE = '</textarea><img src=x onerror="hit()">'


def row(row_id: str = "a", text: str = HOSTILE, **changes: object) -> DraftRow:
    fields: dict[str, object] = {"passage": text, "place": text, "reason": f"unsupported: {text}", "tags": (text,)}
    pair = Example(Example.of(text, text).messages, rejected=Example.of(text, text).messages[-1:])
    return DraftRow(id=row_id, example=pair, **{**fields, **changes})  # type: ignore[arg-type]


def conversation() -> Conversation:
    talk = Conversation().send(HOSTILE, lambda prompts: [HOSTILE])
    return talk.edit_answer(f"{HOSTILE}2").send(HOSTILE, lambda prompts: [HOSTILE])


def report() -> Report:
    finding = Finding("x", "warning", HOSTILE, HOSTILE, 1, (Hit(HOSTILE, 1, 1),))
    return Report(HOSTILE, "messages", 12, 12, "train", (finding,), ())


def test_what_users_and_models_wrote_is_escaped_everywhere(tmp_path: object) -> None:
    summary = DraftSummary(1, {"accepted": 1}, {}, {}, {}, 1, 1, 0)
    project = Project(tmp_path, title=HOSTILE)  # type: ignore[arg-type]
    checked = Checked(report(), report(), ("a",), (("a", HOSTILE),))
    source = Source(StoredFile("draft/a", HOSTILE), True, problems=(HOSTILE,))
    shown = [
        talk_view(conversation(), editing=(1, "answer"), job=Job(what=HOSTILE, text=HOSTILE)),
        talk_view(conversation(), editing=(0, "user")),
        rows_table([row("a"), row("b")], editing="b"),
        candidates_list([row("a"), row("b")], {}, editing="a"),
        panel(project, summary, checked, [row()]),
        sources_table([source], frozenset()),
        writing_view(Writing(state="failed", model=HOSTILE, error={"what": HOSTILE, "found": HOSTILE})),
        replaces_card(HOSTILE, 3),
        used_card(project, 3, 1),
        said(HOSTILE),
        act_button("do", HOSTILE, label=HOSTILE, row=HOSTILE),
        text_field("name", HOSTILE, label=HOSTILE, hint=HOSTILE),
    ]
    for part in shown:
        assert "<img" not in part
        assert part.count("</textarea>") == part.count("<textarea")


def test_a_text_in_a_field_keeps_its_first_empty_line() -> None:
    assert ">\n\ntext</textarea>" in text_field("name", "\ntext", label="")  # browsers drop the first line end


@pytest.mark.parametrize("sent", [None, 3, [], {"data": 3}, {"data": {"do": 3, "row": None}}, {"fields": "x"}])
def test_an_act_that_makes_no_sense_does_nothing(sent: object) -> None:
    assert Act.of(sent) == Act()


def test_an_act_holds_texts_alone() -> None:
    act = Act.of({"data": {"do": "save", "row": "a", "x": 3}, "fields": {"text": "t", "y": ["z"]}})
    assert act == Act("save", {"do": "save", "row": "a"}, {"text": "t"})
    assert (act.get("row"), act.get("missing")) == ("a", "")


@pytest.mark.parametrize("text", ["", "-1", "1.5", "x", "1e9", "99999999999", "\u0663"])
def test_a_number_of_an_act_is_one_or_refused(text: str) -> None:
    assert Act("x", {"turn": "7"}).number("turn") == 7
    with pytest.raises(UsageError, match="does not belong"):
        Act("x", {"turn": text}).number("turn")


def test_only_the_answers_that_do_not_stand_can_be_chosen_or_judged() -> None:
    talk = Conversation().send("Hi", lambda prompts: ["one"]).edit_answer("two").prefer(1, 0)
    shown = talk_view(talk)
    assert shown.count('data-do="choose"') == 1
    assert shown.count('data-do="better"') == 1
    assert 'data-do="worse"' not in shown, "it is the worse one already"
    assert "preference pair is kept" in shown


def test_nothing_can_be_clicked_while_an_answer_is_written() -> None:
    talk = Conversation().send("Hi", lambda prompts: ["one"])
    assert " disabled" not in talk_view(talk)
    shown = talk_view(talk, job=Job(what="more", text="so far"))
    assert shown.count("<button") == shown.count(" disabled") == 3
    assert "so far" in shown


def test_the_standing_of_a_conversation_is_told() -> None:
    talk = Conversation().send("Hi", lambda prompts: ["one"]).edit_answer("two").prefer(1, 0)
    assert talk_state((), "new") == ""
    assert "not in the dataset yet" in talk_state(talk.turns, "new")
    assert "1 turn, 1 preference pair" in talk_state(talk.turns, "kept")


def test_a_list_is_cut_into_pages_and_the_last_one_is_kept_when_rows_go() -> None:
    rows = [row(str(number)) for number in range(7)]
    assert [one.id for one in page_of(rows, 1, 3)[1]] == ["3", "4", "5"]
    assert page_of(rows[:3], 9, 3) == (0, rows[:3])
    assert page_of([], 4, 3) == (0, [])
    assert "4 to 6 of 7" in pager(1, 3, 7)
    assert pager(0, 3, 3) == ""


def test_reasons_are_listed_in_the_order_of_the_checks() -> None:
    rows = [row(reason="off-topic: x; mine: y"), row(reason="unsupported: z"), row(reason=None)]
    assert reasons_in(rows) == ["unsupported", "off-topic", "mine"]


def test_the_form_of_a_row_has_a_field_for_each_message() -> None:
    shown = row_form(row())
    assert [name in shown for name in ('name="m0"', 'name="m1"', 'name="r0"', 'name="tags"')] == [True] * 4
    assert 'name="system"' in row_form(None)


def test_a_small_dataset_is_not_blamed_for_being_small() -> None:
    few = Finding("too-few-rows", "error", "too few rows", "", 1, (Hit("1 usable row"),))
    small = Checked(Report("f", "messages", 1, 1, "do_not_train", (few,), ()))
    summary = DraftSummary(1, {"accepted": 1}, {}, {}, {}, 0, 1, 0)
    shown = panel(None, summary, small, ())
    assert "growing" in shown
    assert "1 row of at least 10" in shown
    assert findings(small) == ""


def test_a_finding_with_rows_can_be_shown() -> None:
    shown = findings(Checked(report(), None, ("a",)))
    assert 'data-do="show"' in shown
    assert 'data-check="x"' in shown
