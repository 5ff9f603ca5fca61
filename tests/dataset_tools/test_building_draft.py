from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataset_tools.building import Draft, NewRow
from dataset_tools.building.draft_rows import DraftRow
from dataset_tools.building.event_log import EventLog
from dataset_tools.building.stored import example_from_dict, example_to_dict
from dataset_tools.errors import UsageError
from dataset_tools.example import Example, Message, ToolCall
from dataset_tools.formats import Messages, Preference, PromptCompletion, to_example

PAIR = Example((Message("user", "say hi"), Message("assistant", "Hi!")), rejected=(Message("assistant", "No."),))
TALK = Example(
    (Message("system", "be kind"), Message("user", "a"), Message("assistant", "b"), Message("user", "c"),
     Message("assistant", "d")),
    group="g",
)  # fmt: skip

texts = st.text(min_size=1, max_size=8)
messages = st.builds(
    Message,
    st.sampled_from(["user", "assistant", "tool"]),
    st.text(max_size=8),
    name=st.none() | texts,
    tool_calls=st.lists(st.builds(ToolCall, texts, texts, id=st.none() | texts), max_size=2).map(tuple),
    tool_call_id=st.none() | texts,
    weight=st.sampled_from([None, 0, 1]),
)
examples = st.builds(
    Example,
    st.lists(messages, min_size=1, max_size=3).map(lambda said: (*said, Message("assistant", "x"))),
    group=st.none() | texts,
    tools=st.none() | st.just('[{"name": "f"}]'),
    rejected=st.lists(messages, max_size=2).map(tuple),
    desirable=st.sampled_from([None, True, False]),
)


@pytest.fixture
def draft(tmp_path: Path) -> Draft:
    return Draft(tmp_path / "draft")


def completions(rows: list[DraftRow]) -> list[str]:
    return [row.example.completion for row in rows]


@given(examples)
def test_any_example_comes_back_whole_from_its_stored_form(example: Example) -> None:
    assert example_from_dict(json.loads(json.dumps(example_to_dict(example)))) == example


other_values = st.recursive(
    st.none() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["messages", "role", "content", "weight"]), inner),
)


@given(other_values)
def test_any_other_value_is_refused_as_no_example(value: object) -> None:
    with pytest.raises(ValueError):
        example_from_dict({"messages": value})


def test_rows_keep_what_is_known_of_them_and_an_edit_of_a_models_row_is_marked(draft: Draft) -> None:
    row_id = draft.add(
        NewRow(
            example=Example.of("q", "a"),
            status="pending",
            source="document",
            tags=(" b ", "a", "b"),
            passage="The passage.",
            place="guide.md, line 3",
            reason="short-question: 1 words",
        )
    )
    by_hand = draft.add(Example.of("x", "y"))
    draft.edit(row_id, Example.of("q", "better"))
    draft.edit(by_hand, Example.of("x", "z"))
    row = Draft(draft.folder).row(row_id)
    assert (row.status, row.source, row.tags, row.passage) == ("pending", "edit", ("a", "b"), "The passage.")
    assert (row.place, row.reason, row.example) == (
        "guide.md, line 3",
        "short-question: 1 words",
        Example.of("q", "better"),
    )
    assert draft.row(by_hand).source == "hand"


def test_an_undo_takes_back_whole_steps_one_after_the_other_to_the_beginning(draft: Draft) -> None:
    ids = draft.add_all([Example.of(str(number), "a") for number in range(3)])
    draft.tag(ids[:2], add=["t"])
    draft.set_status(ids, "rejected", reason="dull: all")
    draft.delete(ids[1])
    assert [row.id for row in draft.rows()] == [ids[0], ids[2]]
    assert draft.undo() == "deleted 1 row"
    assert [row.id for row in draft.rows("rejected")] == ids
    assert draft.undo() == "set the status of 3 rows"
    assert [row.id for row in draft.rows(tag="t")] == ids[:2] and not draft.rows("rejected")
    assert draft.undo() == "tagged 2 rows"
    late = draft.add(PAIR)
    assert draft.undo() == "added 1 row" and late not in {row.id for row in draft.rows()}
    assert draft.undo() == "added 3 rows" and draft.rows() == []
    assert draft.undo() is None


def test_what_changes_nothing_is_no_step(draft: Draft) -> None:
    row_id = draft.add(Example.of("q", "a"))
    draft.edit(row_id, Example.of("q", "a"))
    assert draft.set_status(row_id, "accepted") == 0
    assert draft.tag(row_id, remove=["t"]) == 0
    assert draft.delete([]) == 0 and draft.add_all([]) == []
    assert draft.summary().undoable == 1


steps = st.lists(
    st.tuples(
        st.sampled_from(["add", "edit", "accept", "reject", "tag", "untag", "delete", "undo"]), st.integers(0, 9)
    ),
    max_size=25,
)


def take_step(draft: Draft, do: str, number: int) -> None:
    """One step on the row of that number, if there is any."""
    ids = [row.id for row in draft.rows()]
    if do == "add":
        draft.add(Example.of(f"q{number}", "a"))
    elif do == "undo":
        draft.undo()
    elif ids:
        row_id = ids[number % len(ids)]
        if do == "edit":
            draft.edit(row_id, Example.of("edited", str(number)))
        elif do in ("accept", "reject"):
            draft.set_status(row_id, "accepted" if do == "accept" else "rejected", reason=str(number))
        elif do in ("tag", "untag"):
            draft.tag(row_id, **{"add" if do == "tag" else "remove": [str(number % 3)]})
        else:
            draft.delete(row_id)


@settings(deadline=None)
@given(steps)
def test_after_any_steps_the_file_gives_the_same_rows_and_undoing_walks_back_through_each_state(
    taken: list[tuple[str, int]],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        draft = Draft(Path(folder))
        states: list[list[DraftRow]] = [[]]
        for do, number in taken:
            before = draft.summary().undoable
            take_step(draft, do, number)
            change = draft.summary().undoable - before
            assert change in ((-1, 0) if do == "undo" else (0, 1))
            if change == 1:
                states.append(draft.rows())
            elif change == -1:
                states.pop()
            assert draft.rows() == Draft(Path(folder)).rows() == states[-1]
        while draft.undo() is not None:
            states.pop()
            assert draft.rows() == states[-1]
        assert states == [[]]


def test_a_line_that_a_crash_cut_off_costs_only_itself(draft: Draft) -> None:
    draft.add(Example.of("one", "1"))
    path = draft.folder / "draft.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:-20])
    assert completions(Draft(draft.folder).rows()) == completions(draft.rows()) == ["1"]
    assert draft.summary().damaged == 0  # it might still be written to its end
    draft.add(Example.of("two", "2"))
    assert completions(draft.rows()) == completions(Draft(draft.folder).rows()) == ["1", "2"]
    assert draft.summary().damaged == 1


def test_a_last_line_that_lacks_only_its_line_end_counts_once(draft: Draft) -> None:
    draft.add(Example.of("one", "1"))
    path = draft.folder / "draft.jsonl"
    path.write_bytes(path.read_bytes().removesuffix(b"\n"))
    again = Draft(draft.folder)
    assert completions(again.rows()) == ["1"]
    draft.add(Example.of("two", "2"))
    assert completions(again.rows()) == completions(draft.rows()) == ["1", "2"]
    assert again.summary().damaged == 0


@given(st.lists(st.binary(max_size=30).filter(lambda line: b"\n" not in line), max_size=5))
def test_no_bytes_in_the_log_hide_the_rows_around_them(lines: list[bytes]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        draft = Draft(Path(folder))
        draft.add(Example.of("one", "1"))
        with (Path(folder) / "draft.jsonl").open("ab") as file:
            file.write(b"".join(line + b"\n" for line in lines))
        draft.add(Example.of("two", "2"))
        assert completions(Draft(Path(folder)).rows()) == ["1", "2"]


@pytest.mark.parametrize(
    "change",
    [{}, {"do": "add", "row": "r"}, {"do": "fly", "row": "r"}, {"do": "add", "row": "r", "example": {"messages": []}},
     {"do": "status", "row": "ROW", "status": "great"}, {"do": "tag", "row": "ROW", "add": [1]},
     {"do": "edit", "row": "ROW", "source": "hand", "example": {"messages": "?"}}],
)  # fmt: skip
def test_a_change_that_makes_no_sense_is_counted_and_the_others_stand(draft: Draft, change: dict[str, object]) -> None:
    row_id = draft.add(Example.of("one", "1"))
    before = draft.row(row_id)
    change = {name: row_id if value == "ROW" else value for name, value in change.items()}
    EventLog(draft.folder / "draft.jsonl").append([change, {"do": "tag", "row": row_id, "add": ["seen"]}])
    assert draft.row(row_id).tags == ("seen",) and draft.row(row_id).example == before.example
    assert draft.summary().damaged == 1


def test_a_draft_whose_file_was_replaced_is_read_anew(draft: Draft) -> None:
    draft.add(Example.of("one", "1"))
    path = draft.folder / "draft.jsonl"
    kept = path.read_bytes()
    draft.add(Example.of("two", "2"))
    assert len(draft.rows()) == 2
    path.write_bytes(kept)
    assert completions(draft.rows()) == ["1"]
    path.unlink()
    assert draft.rows() == []


def test_writers_in_two_processes_lose_nothing(draft: Draft) -> None:
    code = (
        "import sys; from pathlib import Path; from dataset_tools.building import Draft\n"
        "from dataset_tools.example import Example\n"
        "draft = Draft(Path(sys.argv[1]))\n"
        "for number in range(60): draft.add(Example.of(sys.argv[2] * 500, str(number)))\n"
    )
    root = Path(__file__).parents[2]
    running = [subprocess.Popen([sys.executable, "-c", code, str(draft.folder), name], cwd=root) for name in ("a", "b")]
    assert [process.wait() for process in running] == [0, 0]
    for name in ("a", "b"):
        assert completions(draft.rows(search=name * 500)) == [str(number) for number in range(60)]
    assert draft.summary().damaged == 0


def test_two_drafts_of_one_folder_see_each_other_and_an_undo_takes_back_the_last_of_both(draft: Draft) -> None:
    other = Draft(draft.folder)
    row_id = draft.add(Example.of("q", "a"))
    other.tag(row_id, add=["theirs"])
    draft.tag(row_id, add=["mine"])
    assert other.row(row_id).tags == ("mine", "theirs")
    other.delete(row_id)
    assert draft.rows() == []
    assert draft.undo() == "deleted 1 row" and other.row(row_id).tags == ("mine", "theirs")


def test_rows_are_found_by_status_tag_source_reason_and_words_in_any_case(draft: Draft) -> None:
    draft.add(NewRow(example=Example.of("How do I reset the router?", "Hold the BUTTON."), tags=("wifi",)))
    draft.add(NewRow(example=Example.of("reset?", "x"), status="rejected", source="chat", reason="yes-no: nothing"))
    draft.add(TALK)
    assert completions(draft.rows("accepted", "wifi")) == ["Hold the BUTTON."]
    assert completions(draft.rows(search="RESET")) == ["Hold the BUTTON.", "x"]
    assert completions(draft.rows(search="button  reset")) == ["Hold the BUTTON."]
    assert completions(draft.rows(search="wifi")) == ["Hold the BUTTON."]
    assert draft.rows(search="kind") == []  # said by the system alone
    assert completions(draft.rows(source="chat")) == completions(draft.rows(reason="yes-no")) == ["x"]
    assert draft.examples("rejected") == (Example.of("reset?", "x"),)


def test_a_row_that_is_not_there_and_a_status_that_is_none_are_refused(draft: Draft) -> None:
    row_id = draft.add(Example.of("q", "a"))
    for call in (
        lambda: draft.row("nothing"),
        lambda: draft.edit("nothing", PAIR),
        lambda: draft.delete([row_id, "nothing"]),
        lambda: draft.set_status(row_id, "great"),  # type: ignore[arg-type]
        lambda: draft.add(NewRow(example=PAIR, source="sky")),  # type: ignore[arg-type]
    ):
        with pytest.raises(UsageError):
            call()
    assert len(draft.rows()) == 1 and draft.summary().undoable == 1


SIMILAR = ["How do I reset my password?", "How can I reset the password?", "Where is my parcel?", "Reset!"]


def test_the_rows_most_like_a_row_come_first_and_never_the_row_itself(draft: Draft) -> None:
    ids = draft.add_all([Example.of(question, "Ask us.") for question in SIMILAR])
    found = draft.find_similar(draft.row(ids[0]), 2)
    assert found[0].row.id == ids[1] and len(found) == 2
    assert 1 >= found[0].similarity >= found[1].similarity >= 0
    by_text = draft.find_similar("where is the parcel", 1)
    assert by_text[0].row.id == ids[2]
    assert draft.find_similar("x", 0) == [] and Draft(draft.folder / "empty").find_similar("x") == []


def test_an_embedder_decides_what_is_similar_where_there_is_one(draft: Draft) -> None:
    ids = draft.add_all([Example.of(question, "-") for question in SIMILAR])

    def by_length(texts_: list[str]) -> np.ndarray:
        return np.array([[len(text), 40.0] for text in texts_], dtype=np.float32)

    found = draft.find_similar("x", 4, embed=by_length)  # type: ignore[arg-type]
    assert found[0].row.id == ids[3]  # the shortest
    assert all(0 < one.similarity <= 1.0001 for one in found)


def test_accepted_rows_are_exported_so_that_each_reads_back_as_its_example(draft: Draft, tmp_path: Path) -> None:
    tools = Example(
        (Message("user", "q"), Message("assistant", "", tool_calls=(ToolCall("f", "{}"),)), Message("tool", "r"),
         Message("assistant", "a", weight=0)),
        tools='[{"type": "function", "function": {"name": "f"}}]',
    )  # fmt: skip
    thumb_down = Example((Message("user", "q"), Message("assistant", "bad")), desirable=False)
    empty = Example.of("q", " ")
    good = [Example.of("one", "1"), TALK, tools]
    ids = draft.add_all([*good, PAIR, thumb_down, empty])
    draft.add(NewRow(example=Example.of("no", "no"), status="pending"))
    done = draft.export(tmp_path / "out.jsonl")
    rows = [json.loads(line) for line in done.path.read_text("utf-8").splitlines()]
    assert [to_example(Messages(), row) for row in rows] == good and done.rows == 3
    assert done.preferences_path is not None and done.preferences == 1
    pairs = [json.loads(line) for line in done.preferences_path.read_text("utf-8").splitlines()]
    assert [to_example(Preference(), row) for row in pairs] == [PAIR]
    assert {row_id for row_id, _ in done.left_out} == {ids[4], ids[5]}
    assert done.rows + done.preferences + len(done.left_out) == len(draft.rows("accepted"))


def test_conversations_are_named_where_prompt_and_completion_cannot_hold_them(draft: Draft, tmp_path: Path) -> None:
    single, talk = draft.add_all([Example.of("one", "1"), TALK])
    done = draft.export(tmp_path / "out.jsonl", "prompt_completion")
    rows = [json.loads(line) for line in done.path.read_text("utf-8").splitlines()]
    assert [to_example(PromptCompletion(), row) for row in rows] == [draft.row(single).example]
    assert [row_id for row_id, _ in done.left_out] == [talk] and "conversation" in done.left_out[0][1]


def test_pairs_of_an_earlier_export_are_not_left_to_be_taken_for_new(draft: Draft, tmp_path: Path) -> None:
    draft.add(Example.of("one", "1"))
    draft.add(PAIR)
    path = draft.export(tmp_path / "out.jsonl").preferences_path
    assert path is not None and path.stat().st_size
    draft.undo()
    done = draft.export(tmp_path / "out.jsonl")
    assert (done.preferences, done.preferences_path, path.read_bytes()) == (0, None, b"")


def test_the_draft_is_never_written_over_by_its_own_export(draft: Draft) -> None:
    draft.add(PAIR)
    with pytest.raises(UsageError, match="not written over"):
        draft.export(draft.folder / ".." / draft.folder.name / "draft.jsonl")
    with pytest.raises(UsageError, match="no such form"):
        draft.export(draft.folder / "out.jsonl", "yaml")  # type: ignore[arg-type]
    assert len(draft.rows()) == 1


def test_the_summary_counts_rows_by_status_source_tag_and_reason(draft: Draft) -> None:
    draft.add_all(
        [
            NewRow(example=PAIR, tags=("a", "b")),
            NewRow(example=TALK, status="rejected", source="chat", tags=("a",), reason="yes-no: x; off-topic: y: z"),
            NewRow(example=TALK, status="pending", source="chat", reason="yes-no: x"),
        ]
    )
    summary = draft.summary()
    assert summary.rows == 3 and summary.preferences == 1
    assert dict(summary.statuses) == {"accepted": 1, "pending": 1, "rejected": 1}
    assert dict(summary.sources) == {"hand": 1, "chat": 2}
    assert dict(summary.tags) == {"a": 2, "b": 1}
    assert dict(summary.reasons) == {"yes-no": 2, "off-topic": 1}
