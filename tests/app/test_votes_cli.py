"""``fitting-room votes`` and ``fitting-room evaluate``: what they print and write, and the exit codes."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from advisor.human import VoteStore, close_session, from_comparison, said_of_run
from app.command_line import cli
from tests.advisor.human_support import comparison_folder
from tests.advisor.test_endpoint import Server, completion
from tests.training.export_support import HELD_OUT, TRAIN, tiny_run
from training.runs.checkpoints import seal
from training.runs.folder import RunFolder
from training.runs.supervisor import runs_folder

PAIRS = [
    {
        "prompt": f"Say something of {number}.",
        "a": f"one {number}",
        "b": f"two {number}",
        "winner": "ab"[number % 4 == 0],
    }
    for number in range(24)
]
pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def call() -> Callable[..., Any]:
    return lambda *words: CliRunner().invoke(cli, [str(word) for word in words])


@pytest.fixture
def pairs_file(tmp_path: Path) -> Path:
    file = tmp_path / "pairs.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in PAIRS))
    return file


@pytest.fixture
def imported(call: Callable[..., Any], pairs_file: Path) -> str:
    return str(json.loads(call("votes", "import", pairs_file, "--json").stdout)["session"])


def test_imported_votes_have_a_result_in_one_document(call: Callable[..., Any], imported: str) -> None:
    result = call("votes", "result", imported, "--json")
    told = json.loads(result.stdout)
    assert result.exit_code == 0 and told["session"] == imported and told["counted"] == 24
    assert told["decided"] and told["winner"] == "a"
    (pair,) = told["pairs"]
    assert {pair["tally"]["wins"], pair["tally"]["losses"]} == {6, 18}
    shown = call("votes", "result", imported[:-1])
    assert shown.exit_code == 0 and "You can stop: decided. a is preferred in 75%" in shown.stdout


@pytest.mark.parametrize(("form", "rows"), [("csv", 25), ("jsonl", 24), ("dpo", 24), ("kto", 48), ("sft", 0)])
def test_votes_are_exported_in_each_form(
    form: str, rows: int, call: Callable[..., Any], imported: str, tmp_path: Path
) -> None:
    out = tmp_path / f"out.{form}"
    result = call("votes", "export", imported, "--format", form, "--out", out, "--json")
    told = json.loads(result.stdout)
    assert result.exit_code == 0 and told["file"] == str(out) and len(out.read_text().splitlines()) == rows
    printed = call("votes", "export", imported, "--format", form)
    assert printed.exit_code == 0 and printed.stdout.splitlines() == out.read_text().splitlines()
    again = call("votes", "export", imported, "--format", form, "--out", out)
    assert again.exit_code == 2 and call("votes", "export", imported, "--out", out, "--overwrite").exit_code == 0


def test_an_export_can_be_imported_again(call: Callable[..., Any], imported: str, tmp_path: Path) -> None:
    out = tmp_path / "votes.csv"
    call("votes", "export", imported, "--out", out)
    again = json.loads(call("votes", "import", out, "--json").stdout)
    assert again["votes"] == 24 and again["session"] != imported
    both = [json.loads(call("votes", "result", name, "--json").stdout) for name in (imported, again["session"])]
    assert both[0]["winner"] == both[1]["winner"] == "a"


def test_test_rows_are_not_exported_for_training_unasked(
    call: Callable[..., Any], imported: str, tmp_path: Path
) -> None:
    test = tmp_path / "test.jsonl"
    rows = [{"prompt": row["prompt"], "completion": "x"} for row in PAIRS]
    test.write_text("".join(json.dumps(row) + "\n" for row in rows))
    told = json.loads(call("votes", "export", imported, "--format", "dpo", "--test", test, "--json").stdout)
    assert told["rows"] == 0 and len(told["left_out"]) == 24 and "test rows" in told["sentence"]
    taken = call("votes", "export", imported, "--format", "dpo", "--test", test, "--use-test-rows", "--json")
    assert json.loads(taken.stdout)["rows"] == 24 and len(json.loads(taken.stdout)["to_replace"]) == 24


def test_arms_are_revealed_once_the_session_is_closed(call: Callable[..., Any], tmp_path: Path) -> None:
    folder = comparison_folder(tmp_path / "c")
    with VoteStore.open() as store:
        made = store.add(from_comparison(folder))
        task = store.tasks(made.id, "ann")[0]
        store.vote(task.token, "left", rater="ann")
    for words in (("result", folder), ("result", made.id, "--json"), ("export", folder)):
        told = call("votes", *words)
        assert told.exit_code == 0 and "qlora" not in told.stdout and "rag" not in told.stdout
    told = call("votes", "result", folder, "--close", "--json")
    assert set(json.loads(told.stdout)["reveal"].values()) == {"qlora", "rag"}


@pytest.mark.parametrize(
    "words",
    [
        *(("result", "nothing"), ("export", "nothing"), ("import", "missing.csv"), ("result", "a\0b")),
        ("export", "nothing", "--format", "xlsx"),
    ],
)
def test_wrong_use_is_told(words: tuple[str, ...], call: Callable[..., Any]) -> None:
    result = call("votes", *words, "--json")
    assert result.exit_code == 2 and json.loads(result.stdout)["error"]["what"]


def test_a_file_that_holds_no_votes_is_an_error_of_the_data(call: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text('{"prompt": "x"}\n')
    result = call("votes", "import", tmp_path / "x.jsonl", "--json")
    assert result.exit_code == 1 and json.loads(result.stdout)["error"]["where"].endswith("x.jsonl:1")


@pytest.fixture
def tuned(tiny_model: Path, fitting_room_home: Path) -> RunFolder:
    runs_folder().mkdir(parents=True, exist_ok=True)
    return tiny_run(runs_folder() / "20260101-000000-abcdef", tiny_model, scale=0.5)


def test_a_run_is_evaluated_against_its_base_on_the_rows_that_it_kept_back(
    call: Callable[..., Any], tuned: RunFolder
) -> None:
    result = call("evaluate", tuned.path.name, "--metric", "chrf", "--json")
    told = json.loads(result.stdout)
    assert result.exit_code == 0
    assert (told["run"], told["metric"], told["rows"]) == (tuned.path.name, "chrf", len(HELD_OUT))
    assert told["wins"] + told["losses"] + told["ties"] == len(HELD_OUT)
    assert told["difference"][0] == pytest.approx(told["score"][0] - told["against_score"][0])
    assert told["difference"][1] < told["difference"][0] < told["difference"][2]
    assert len(told["best"]) == min(5, told["wins"]) and len(told["worst"]) == min(5, told["losses"])
    assert told["wins"] + told["losses"] > 0  # the adapter is random, but it says something else
    assert "checked the training" in told["notes"][0]
    shown = call("evaluate", tuned.path, "--metric", "chrf")
    assert shown.exit_code == 0 and told["sentence"] in shown.stdout


def test_a_model_against_itself_is_no_better(call: Callable[..., Any], tuned: RunFolder) -> None:
    told = json.loads(call("evaluate", tuned.path.name, "--against", tuned.path.name, "--json").stdout)
    assert (told["wins"], told["losses"], told["ties"]) == (0, 0, len(HELD_OUT))
    assert told["difference"][0] == 0 and "not shown to differ" in told["sentence"]


def test_rows_that_were_trained_on_are_left_out(call: Callable[..., Any], tuned: RunFolder, tmp_path: Path) -> None:
    rows = [*TRAIN[:3], *HELD_OUT[:2]]
    test = tmp_path / "test.jsonl"
    test.write_text("".join(json.dumps({"prompt": row.question, "completion": row.completion}) + "\n" for row in rows))
    told = json.loads(call("evaluate", tuned.path.name, "--test", test, "--json").stdout)
    assert told["rows"] == 2 and "3 of 5 rows were left out" in told["notes"][0]
    test.write_text(json.dumps({"prompt": TRAIN[0].question, "completion": "x"}) + "\n")
    result = call("evaluate", tuned.path.name, "--test", test, "--json")
    assert result.exit_code == 1 and "not trained on" in json.loads(result.stdout)["error"]["what"]


@pytest.mark.parametrize("words", [("nothing",), ("{run}", "--against", "nothing"), ("{run}", "--limit", "0")])
def test_a_wrong_call_to_evaluate_is_told(words: tuple[str, ...], call: Callable[..., Any], tuned: RunFolder) -> None:
    result = call("evaluate", *(word.format(run=tuned.path.name) for word in words), "--json")
    assert result.exit_code == 2 and json.loads(result.stdout)["error"]["what"]


def test_a_run_that_has_made_nothing_cannot_be_evaluated(call: Callable[..., Any], tuned: RunFolder) -> None:
    tuned.adapter.rename(tuned.path / "elsewhere")
    result = call("evaluate", tuned.path.name, "--json")
    assert result.exit_code == 1 and "made nothing" in json.loads(result.stdout)["error"]["what"]


@pytest.fixture
def comparison(tmp_path: Path) -> Path:
    """A comparison with its data, in which every row has a topic."""
    folder = comparison_folder(tmp_path / "c", answer=lambda row, name: f"{name}{row}")
    rows = [{"prompt": f"question {row}", "completion": f"w{row}", "topic": "ab"[row % 2]} for row in range(12)]
    write_rows(tmp_path / "data.jsonl", rows)
    (folder / "request.json").write_text(json.dumps({"data": str(tmp_path / "data.jsonl"), "test": None}))
    return folder


def write_rows(file: Path, rows: list[dict[str, Any]]) -> Path:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def vote_for(session: str, arm: str, *, other: str = "", rater: str = "ann", **more: Any) -> None:
    """Votes on everything, all for an arm, or for the other on every second item; each with the same words."""
    with VoteStore.open() as store:
        made = store.session(session)
        while tasks := store.tasks(session, rater):
            (task,) = tasks
            item = next(at for at, one in enumerate(made.items) if one.prompt == task.prompt)
            best = made.answer(item, other if other and item % 2 else arm)
            store.vote(task.token, "left" if task.left == best else "right", rater=rater, **more)


def test_a_session_is_made_from_a_comparison_and_its_page_is_told(call: Callable[..., Any], comparison: Path) -> None:
    words = ("--arms", "qlora,rag", "--rows", 10, "--votes", 7, "--question", "Kinder?", "--question", "Shorter?")
    result = call("votes", "new", comparison, *words, "--title", "Blind", "--json")
    told = json.loads(result.stdout)
    assert result.exit_code == 0 and told["address"].endswith(f"/evaluate?session={told['session']}")
    assert (told["items"], told["pairs"], told["wanted"], set(told["tags"])) == (10, 10, 7, {"a", "b"})
    with VoteStore.open() as store:
        made = store.session(told["session"])
    assert made.arms == ("qlora", "rag") and made.questions == ("Kinder?", "Shorter?") and made.title == "Blind"
    shown = call("votes", "new", comparison, "--tag-column", "prompt")
    assert shown.exit_code == 0 and "http://127.0.0.1:7860/evaluate?session=" in shown.stdout
    assert "other" in shown.stdout and "qlora" not in shown.stdout


def test_results_are_told_by_tag(call: Callable[..., Any], comparison: Path) -> None:
    session = json.loads(call("votes", "new", comparison, "--json").stdout)["session"]
    vote_for(session, "qlora")
    told = json.loads(call("votes", "result", session, "--json").stdout)
    assert {tag: one["wins"] + one["losses"] for tag, (one,) in told["by_tag"].items()} == {"a": 6, "b": 6}
    shown = call("votes", "result", session, "--close").stdout
    assert "a: " in shown and "b: " in shown and " against " in shown and "qlora" in shown


def test_a_session_is_made_from_two_files_of_answers(call: Callable[..., Any], tmp_path: Path) -> None:
    for name in ("one", "other"):
        write_rows(tmp_path / f"{name}.jsonl", [{"prompt": f"q {at}", "answer": f"{name} {at}"} for at in range(4)])
    files = (tmp_path / "one.jsonl", tmp_path / "other.jsonl")
    kept, free = (
        json.loads(call("votes", "new", *files, *more, "--json").stdout)["session"]
        for more in ((), ("--for-training",))
    )
    with VoteStore.open() as store:
        assert store.session(kept).held_out and not store.session(free).held_out
    listed = json.loads(call("votes", "list", "--json").stdout)["sessions"]
    assert {line["session"] for line in listed} == {kept, free} and not any(line["arms"] for line in listed)
    shown = call("votes", "list").stdout
    assert kept in shown and "0 of 4" in shown and "other" not in shown
    call("votes", "result", kept, "--close")
    assert "one, other" in call("votes", "list").stdout


@pytest.mark.parametrize(
    "words",
    [
        *((), ("{c}", "{c}", "{c}"), ("{c}", "--arms", "qlora,nothing"), ("{c}", "--arms", "qlora"), ("nothing",)),
        *(("{c}", "--rows", "0"), ("{c}", "--votes", "0"), ("{c}", "--tag-column", "nothing"), ("{data}",)),
        *(("{c}", "--contestants", "base"), ("--contestants", "base,base", "--test", "{data}")),
        *(("--contestants", "nothing,base"), ("--contestants", "http://x/v1", "--test", "{data}")),
        ("{c}", *("--question", "?") * 6),
    ],
)
def test_a_wrong_wish_for_a_session_is_told(words: tuple[str, ...], call: Callable[..., Any], comparison: Path) -> None:
    places = {"c": comparison, "data": comparison.with_name("data.jsonl")}
    result = call("votes", "new", *(word.format(**places) for word in words), "--json")
    assert result.exit_code == 2 and json.loads(result.stdout)["error"]["what"]
    assert call("votes", "list").stdout.startswith("No session yet")


def test_a_run_and_its_base_answer_for_a_session(call: Callable[..., Any], tuned: RunFolder, tiny_model: Path) -> None:
    name = tuned.path.name
    result = call("votes", "new", "--contestants", f"{name},base", "--json")
    told = json.loads(result.stdout)
    assert result.exit_code == 0 and told["items"] == len(HELD_OUT) and "checked the training" in told["notes"][0]
    with VoteStore.open() as store:
        made = store.session(told["session"])
        assert made.arms == (name, tiny_model.name) and made.held_out
        assert [item.wanted for item in made.items] == [row.completion for row in HELD_OUT]
        assert all(answer for item in made.items for answer in item.answers)
        vote_for(made.id, name)
        assert "so far" in said_of_run(store, tuned)[0]  # no more before it is closed
        close_session(store, made.id)
        said = said_of_run(store, tuned)
    assert "this model was preferred to tiny in 100% of" in said[0] and "one rater" in said[-1]
    again = json.loads(call("evaluate", name, "--json").stdout)  # the same answers, kept
    assert {row["answer"] for row in again["best"]} <= {item.answers[0] for item in made.items}


def test_models_behind_an_address_answer_for_a_session_by_the_rows_of_a_file(
    call: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [{"prompt": f"q {at}", "completion": f"w {at}", "topic": "ab"[at % 2]} for at in range(6)]
    test = write_rows(tmp_path / "test.jsonl", rows)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = Server()
    server.reply = lambda body, times: completion(f"{body['model']} to {body['messages'][-1]['content']}")
    words = ("--contestants", f"{server.url}#large,{server.url}#small", "--test", test, "--rows", 4, "--json")
    told = json.loads(call("votes", "new", *words).stdout)
    server.close()
    assert told["items"] == 4 and set(told["tags"]) <= {"a", "b"} and len(server.requests) == 8
    with VoteStore.open() as store:
        made = store.session(told["session"])
    assert made.arms == ("large", "small") and made.source == str(test)
    for item in made.items:
        assert item.answers == tuple(f"{arm} to {item.prompt[0].content}" for arm in made.arms)
        assert item.wanted == rows[item.record - 1]["completion"] and item.tags == (rows[item.record - 1]["topic"],)


def test_a_checkpoint_of_a_run_answers_too(call: Callable[..., Any], tuned: RunFolder) -> None:
    kept = tuned.checkpoints / "checkpoint-2"
    shutil.copytree(tuned.adapter, kept)
    (kept / "optimizer.pt").write_bytes(b"\x80 a pickle that is never read")
    seal(kept, inputs={})
    for step in ("2", "3"):
        told = call("votes", "new", "--contestants", f"{tuned.path.name}@{step},base", "--json")
        assert told.exit_code == (0 if step == "2" else 2), told.stdout
    with VoteStore.open() as store:
        (made,) = store.sessions()
    tuned_too = json.loads(call("votes", "new", "--contestants", f"{tuned.path.name},base", "--json").stdout)
    with VoteStore.open() as store:
        other = store.session(tuned_too["session"])
    assert made.arms[0] == f"{tuned.path.name}@2"
    assert [item.answers for item in made.items] == [item.answers for item in other.items]
    (kept / "adapter_model.safetensors").write_bytes(b"torn")
    assert call("votes", "new", "--contestants", f"{tuned.path.name}@2,base", "--json").exit_code == 2


def test_a_model_judges_a_session_and_its_worth_comes_first(
    call: Callable[..., Any], comparison: Path, tiny_model: Path
) -> None:
    session = json.loads(call("votes", "new", comparison, "--json").stdout)["session"]
    vote_for(session, "qlora")
    told = json.loads(call("votes", "judge", session, "--judge", tiny_model, "--json").stdout)
    (pair,) = told["pairs"]
    assert {pair["a"], pair["b"]} == {"A", "B"} and pair["judged"] == pair["compared"] == 12  # names are hidden
    assert list(pair).index("agreement") < list(pair).index("score") < list(pair).index("rectified")
    assert not pair["usable"] and "too low" in pair["sentence"]  # a random model
    few = json.loads(call("votes", "judge", session, "--judge", tiny_model, "--rows", 3, "--json").stdout)
    assert few["pairs"][0]["judged"] == 3
    call("votes", "result", session, "--close")
    shown = call("votes", "judge", session, "--judge", tiny_model)
    assert shown.exit_code == 0 and "The judge agrees with people on" in shown.stdout and "qlora" in shown.stdout
    for wrong in (
        ("--judge", "nothing here"),
        ("--judge", "http://localhost:1/v1"),
        ("--judge", tiny_model, "--rows", 0),
    ):
        assert call("votes", "judge", session, *wrong, "--json").exit_code == 2


def test_a_judge_behind_an_address_is_asked_and_its_answers_are_kept(
    call: Callable[..., Any], comparison: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = json.loads(call("votes", "new", comparison, "--json").stdout)["session"]
    vote_for(session, "qlora", other="rag")

    def agrees(body: dict[str, Any], times: int) -> Any:
        name, item = re.search(r"Answer A\]\n(\D+)(\d+)", body["messages"][-1]["content"]).groups()  # type: ignore[union-attr]
        return completion("A" if (name == "rag") == bool(int(item) % 2) else "B")

    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = Server()
    server.reply, url = agrees, server.url
    first = json.loads(call("votes", "judge", session, "--judge", f"{url}#large", "--json").stdout)
    assert len(server.requests) == 24
    server.close()
    again = json.loads(call("votes", "judge", session, "--judge", f"{url}#large", "--json").stdout)
    assert first == again and first["pairs"][0]["agreement"][0] == 1.0 and first["pairs"][0]["usable"]
    assert "put right by people's votes" in first["pairs"][0]["sentence"]


def test_marked_labels_become_a_corrected_dataset(call: Callable[..., Any], comparison: Path, tmp_path: Path) -> None:
    session = json.loads(call("votes", "new", comparison, "--json").stdout)["session"]
    data, out = comparison.with_name("data.jsonl"), tmp_path / "fixed.jsonl"
    assert call("votes", "fixes", session, data, "--json").exit_code == 2  # nobody has marked anything
    vote_for(session, "qlora", bad_label=True, right_answer="what it should be")
    shown = call("votes", "fixes", session, data)
    assert shown.exit_code == 0 and "12 rows get the right answer" in shown.stdout and "--out" in shown.stdout
    told = json.loads(call("votes", "fixes", session, data, "--out", out, "--json").stdout)
    assert len(told["diffs"]) == 12 and told["written"]["target"] == str(out) and not told["unresolved"]
    assert {json.loads(line)["completion"] for line in out.read_text().splitlines()} == {"what it should be"}
    assert '"completion": "w0"' in data.read_text()
    assert call("votes", "fixes", session, data, "--out", out).exit_code == 2
    assert call("votes", "fixes", session, data, "--out", tmp_path / "x.csv").exit_code == 2
    other = write_rows(tmp_path / "other.jsonl", [{"prompt": "else", "completion": "x"}])
    assert call("votes", "fixes", session, other, "--json").exit_code == 1
    assert call("fix", out, "--undo").exit_code == 0 and out.read_text() == data.read_text()


def test_a_new_test_set_is_written_without_the_rows_that_were_taken(
    call: Callable[..., Any], imported: str, tmp_path: Path
) -> None:
    rows = [{"prompt": row["prompt"], "completion": "x"} for row in PAIRS[:6]]
    test = write_rows(tmp_path / "test.jsonl", [*rows, {"prompt": "one that nobody voted on", "completion": "x"}])
    new = tmp_path / "new.jsonl"
    words = ("export", imported, "--format", "dpo", "--out", tmp_path / "dpo.jsonl", "--test", test, "--new-test", new)
    assert call("votes", *words, "--json").exit_code == 2  # without --use-test-rows nothing is taken
    told = json.loads(call("votes", *words, "--use-test-rows", "--json").stdout)
    assert len(told["to_replace"]) == 6 and told["new_test"]["dropped"] == 6
    assert [json.loads(line)["prompt"] for line in new.read_text().splitlines()] == ["one that nobody voted on"]
