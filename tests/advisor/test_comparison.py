"""Whole comparisons on the tiny model: what they write, what they keep, how they stop, and how they go on."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from advisor.approaches import ARM_TITLES
from advisor.comparison import StoppedError, comparisons_folder, folder_for, run_comparison, start_comparison
from advisor.request import ComparisonRequest
from advisor.task import make_task
from dataset_tools.dataset import load_examples
from dataset_tools.errors import DataError, DocumentsError, ModelError, RunError, UsageError
from training.runs.folder import ENDED, RunFolder
from training.runs.supervisor import is_alive, runs_folder, state_of

pytestmark = pytest.mark.usefixtures("one_thread")
PROMISED_ARM = {
    "name": str,
    "score": float,
    "interval": list,
    "n": int,
    "tokens_per_request": float,
    "seconds_per_request": float,
    "setup_seconds": float,
    "skipped": type(None),
}
RUN = ["zero-shot", "instruction", "classifier", "few-shot-fixed", "few-shot", "qlora", "qlora-few-shot"]
NO_DOCUMENTS = "there are no documents; give them with --docs"
Event = dict[str, Any]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, make_tickets: Any, write_rows: Any) -> tuple[Path, Path]:
    """Twelve test rows, and sixteen training rows of which two are test rows."""
    folder = tmp_path_factory.mktemp("data")
    test = make_tickets(12, start=32)
    return write_rows(folder / "train.jsonl", [*make_tickets(14), test[3], test[7]]), write_rows(
        folder / "test.jsonl", test
    )


@pytest.fixture
def request_of(files: tuple[Path, Path], tiny_model: Path) -> Callable[..., ComparisonRequest]:
    def make(*arms: str, **options: Any) -> ComparisonRequest:
        return ComparisonRequest(files[0], test=files[1], arms=arms or None, model=str(tiny_model), **options)

    return make


@pytest.fixture(scope="module")
def finished(
    files: tuple[Path, Path], tiny_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, Any], list[Event]]:
    """All approaches without documents, a real training run among them: the folder, the result, the events."""
    events: list[Event] = []
    folder = tmp_path_factory.mktemp("comparisons") / "all"
    request = ComparisonRequest(files[0], test=files[1], model=str(tiny_model))
    return folder, run_comparison(request, folder=folder, on_event=events.append), events


@pytest.fixture
def again(finished: tuple[Path, dict[str, Any], list[Event]], tmp_path: Path) -> Path:
    """A copy of the finished comparison to go on with."""
    folder = tmp_path / "again"
    shutil.copytree(finished[0], folder)
    return folder


def read(folder: Path, name: str) -> Any:
    return json.loads((folder / name).read_text("utf-8"))


def items_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "items.jsonl").read_text("utf-8").splitlines()]


def arms_in(folder: Path) -> set[str]:
    return {file.stem for file in (folder / "arms").iterdir()} - {"plan", "gaps"}


def test_the_result_is_on_the_disk_and_has_every_promised_field(finished: Any) -> None:
    folder, result, _ = finished
    assert read(folder, "result.json") == result
    task = result["task"]
    assert (task["type"], task["metric"], task["removed_as_leaks"]) == ("classification", "accuracy", 2)
    assert task["rows"] == {"train": 14, "validation": 0, "test": 12}
    assert [arm["name"] for arm in result["arms"]] == list(ARM_TITLES)
    assert [arm["name"] for arm in result["arms"] if not arm["skipped"]] == RUN
    for arm in result["arms"]:
        assert set(PROMISED_ARM) <= set(arm)
        if arm["skipped"] is None:
            assert {name: type(arm[name]) for name in PROMISED_ARM} == PROMISED_ARM
            low, high = arm["interval"]
            assert 0 <= low <= arm["score"] <= high <= 1 and arm["n"] == 12
            assert (arm["tokens_per_request"] > 0) == (arm["name"] != "classifier")
            assert arm["seconds_per_request"] >= 0 <= arm["setup_seconds"]
    assert {"kind", "arm", "sentence", "rows_needed"} <= set(result["verdict"])
    assert result["verdict"]["kind"] in ("winner", "tie", "cheaper", "not_enough_evidence", "nothing_works")
    assert len(result["pairs"]) == len(RUN) * (len(RUN) - 1) / 2
    for pair in result["pairs"]:
        assert set(pair) == {"a", "b", "difference", "interval"}
        assert pair["interval"][0] <= pair["difference"] <= pair["interval"][1]


def test_arms_that_need_documents_are_skipped_with_the_reason(finished: Any) -> None:
    _, result, events = finished
    skipped = {arm["name"]: arm for arm in result["arms"] if arm["skipped"]}
    assert set(skipped) == {"corpus", "rag", "rag-few-shot", "qlora-rag"}
    for arm in skipped.values():
        assert (arm["skipped"], arm["n"], arm["score"], arm["interval"]) == (NO_DOCUMENTS, 0, None, None)
    told = {event["arm"]: event["reason"] for event in events if event.get("state") == "skipped"}
    assert told == dict.fromkeys(skipped, NO_DOCUMENTS)


def test_items_hold_each_test_row_once_with_every_arms_answer_and_score(finished: Any, files: Any) -> None:
    folder, result, _ = finished
    items = items_of(folder)
    test = load_examples(files[1]).examples
    assert [item["index"] for item in items] == list(range(12))
    assert sorted((item["prompt"], item["wanted"]) for item in items) == sorted(
        (row.question, row.completion) for row in test
    )
    assert {row.record: row.question for row in test} == {item["record"]: item["prompt"] for item in items}
    run = {arm["name"]: arm for arm in result["arms"] if not arm["skipped"]}
    for item in items:
        assert set(item["arms"]) == set(run)
        for answer in item["arms"].values():
            assert set(answer) == {"answer", "score", "prompt_tokens", "answer_tokens", "stopped"}
            assert answer["score"] == (answer["answer"].strip().casefold() == item["wanted"].casefold())
    for name, arm in run.items():
        answers = [item["arms"][name] for item in items]
        assert arm["score"] == pytest.approx(sum(answer["score"] for answer in answers) / 12, abs=1e-4)
        tokens = sum(answer["prompt_tokens"] + answer["answer_tokens"] for answer in answers) / 12
        assert arm["tokens_per_request"] == pytest.approx(tokens, abs=0.051)


def test_all_arms_answer_the_same_rows_in_the_same_order(finished: Any, files: Any, tokenizer: Any) -> None:
    """The tokens of a prompt tell which row it was made for: zero-shot and the tuned model read the bare question."""
    from dataset_tools.rendering import render_prompts

    folder, _, _ = finished
    train, test = (load_examples(file).examples for file in files)
    task = make_task(train, test)
    items = items_of(folder)
    assert [item["record"] for item in items] == [row.record for row in task.test]
    lengths = [len(ids) for ids in render_prompts([row.prompt for row in task.test], tokenizer)]
    assert len(set(lengths)) > 6
    for name in ("zero-shot", "qlora"):
        assert [item["arms"][name]["prompt_tokens"] for item in items] == lengths
    extra = {
        item["arms"]["few-shot-fixed"]["prompt_tokens"] - length for item, length in zip(items, lengths, strict=True)
    }
    assert len(extra) == 1 and extra.pop() > 0  # the same block before each question


def test_the_tuned_arm_was_really_trained_on_the_pool_without_the_test_rows(finished: Any, files: Any) -> None:
    _, result, events = finished
    training = next(arm for arm in result["arms"] if arm["name"] == "qlora")["training"]
    assert training["state"] == "done" and training["steps"] > 1 and training["health"]["alive"] is True
    run = RunFolder(Path(training["adapter"]).parent)
    asked = {row.question for row in load_examples(files[1]).examples}
    assert len(run.read_rows("train")) == 14
    assert not asked & {row.question for row in run.read_rows("train")}
    steps = [event for event in events if event["event"] == "step"]
    assert [step["step"] for step in steps if step["arm"] == "qlora"] == list(range(1, training["steps"] + 1))
    assert {step["arm"] for step in steps} == {"qlora", "qlora-few-shot"}


def test_what_happens_is_told_in_order_and_logged(finished: Any) -> None:
    folder, result, events = finished
    logged = [event for event in RunFolder(folder).events()[0] if event["event"] != "state"]
    told = [event for event in events if event["event"] != "waiting"]
    assert [{key: value for key, value in event.items() if key != "time"} for event in logged] == told
    said = [event["phase"] for event in events if event["event"] == "phase" and "arm" not in event]
    phases = list(dict.fromkeys(phase.split(":")[0] for phase in said))  # slow timing says how far it is
    prepared = ["reading the data", "loading the model", "timing a few answers to fit the budget"]
    assert phases == [*prepared, "probing what the base model lacks", "weighing the evidence"]
    done = [event["arm"] for event in events if event.get("state") == "done"]
    assert done == RUN
    for arm in done:
        answered = [event["done"] for event in events if event.get("arm") == arm and event.get("state") == "answering"]
        assert answered == sorted(answered) and (arm == "classifier" or answered[-1] == 12)
    assert [event["event"] for event in events[-2:]] == ["verdict", "done"]
    assert events[-2]["sentence"] == result["verdict"]["sentence"]
    assert RunFolder(folder).status()["state"] == state_of(RunFolder(folder)) == "done"


def test_the_report_says_the_verdict_the_scores_and_the_command(finished: Any, files: Any) -> None:
    folder, result, _ = finished
    report = (folder / "report.md").read_text("utf-8")
    assert f"**{result['verdict']['sentence']}**" in report
    assert all(arm["title"] in report for arm in result["arms"])
    assert f"fitting-room compare {files[0]} --test {files[1]} --model" in report
    assert "2 training rows that are test rows, or nearly" in report


def test_a_winner_is_named_in_the_verdict_and_in_the_report(again: Path, request_of: Any) -> None:
    kept = read(again, "arms/few-shot.json")
    kept["scores"] = [1.0] * 12
    (again / "arms" / "few-shot.json").write_text(json.dumps(kept))
    classifier = read(again, "arms/classifier.json")
    (again / "arms" / "classifier.json").write_text(json.dumps({**classifier, "scores": [0.0] * 12}))
    (again / "result.json").unlink()
    result = run_comparison(request_of(), folder=again)
    assert (result["verdict"]["kind"], result["verdict"]["arm"]) == ("winner", "few-shot")
    assert result["verdict"]["sentence"].startswith("Few-shot (nearest examples): it beats every other approach")
    report = (again / "report.md").read_text("utf-8")
    assert f"**{result['verdict']['sentence']}**" in report
    assert "| **Few-shot (nearest examples)** | 100.0 |" in report


def test_a_second_run_takes_every_finished_arm_as_it_is(again: Path, request_of: Any, finished: Any) -> None:
    before = {file.name: file.stat().st_mtime_ns for file in (again / "arms").iterdir() if file.stem != "plan"}
    events: list[Event] = []
    result = run_comparison(request_of(), folder=again, on_event=events.append)
    first = finished[1]
    assert result == first
    assert [event["event"] for event in events] == ["phase"]
    assert {file.name: file.stat().st_mtime_ns for file in (again / "arms").iterdir() if file.stem != "plan"} == before


def test_only_the_arm_that_is_missing_is_run_again(again: Path, request_of: Any, finished: Any) -> None:
    (again / "arms" / "few-shot.json").unlink()
    events: list[Event] = []
    result = run_comparison(request_of(), folder=again, on_event=events.append)
    assert {event["arm"] for event in events if event.get("state") == "answering"} == {"few-shot"}
    kept = [event["phase"].split(":")[0] for event in events if "kept" in event.get("phase", "")]
    assert kept == [ARM_TITLES[name] for name in RUN if name != "few-shot"]
    assert [arm["score"] for arm in result["arms"]] == [arm["score"] for arm in finished[1]["arms"]]
    answers = [[item["arms"]["few-shot"]["answer"] for item in items_of(folder)] for folder in (again, finished[0])]
    assert answers[0] == answers[1]


def test_a_finished_comparison_is_judged_anew_without_asking_or_training_anything(again: Path, request_of: Any) -> None:
    old = read(again, "result.json")
    left_out = next(arm for arm in old["arms"] if arm["name"] == "qlora-few-shot")
    left_out |= {"skipped": "too little time was left", "n": 0}
    (again / "result.json").write_text(json.dumps(old))
    (again / "arms" / "qlora-few-shot.json").unlink()
    answers = (again / "answers.sqlite3").read_bytes()
    events: list[Event] = []
    result = run_comparison(request_of(margin=0.2), folder=again, on_event=events.append)
    assert result["margin"] == 0.2 and result["gaps"] == old["gaps"]
    assert {arm["name"]: arm["skipped"] for arm in result["arms"]}["qlora-few-shot"] == "too little time was left"
    assert not [event for event in events if event.get("state") in ("answering", "training", "tuning", "preparing")]
    assert (again / "answers.sqlite3").read_bytes() == answers


def test_another_request_in_the_same_folder_is_refused_and_changes_nothing(again: Path, request_of: Any) -> None:
    before = {path: path.read_bytes() for path in again.rglob("*") if path.is_file()}
    with pytest.raises(UsageError, match=r"(?s)holds another comparison.*--out"):
        run_comparison(request_of(seed=1), folder=again)
    assert {path: path.read_bytes() for path in again.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("content", ["not json", "[]", "{}"])
def test_a_folder_with_other_files_is_refused_and_changes_nothing(
    content: str, request_of: Any, tmp_path: Path
) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"(?s)holds other files.*--out"):
        run_comparison(request_of(), folder=tmp_path)
    (tmp_path / "request.json").write_text(content)
    with pytest.raises(UsageError, match="holds another comparison"):
        run_comparison(request_of(), folder=tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"notes.txt", "request.json"}
    with pytest.raises(UsageError, match="a file, not a folder"):
        run_comparison(request_of(), folder=tmp_path / "notes.txt")


def test_without_a_folder_one_in_the_home_is_named_after_the_data_and_the_request(request_of: Any) -> None:
    one, other = folder_for(request_of("zero-shot")), folder_for(request_of("few-shot"))
    assert one.path != other.path and one == folder_for(request_of("zero-shot"))
    assert one.path.parent == comparisons_folder() and one.path.name.startswith("data")


def test_a_stop_file_stops_it_and_finished_arms_are_kept_for_the_next_run(request_of: Any, tmp_path: Path) -> None:
    request, run = request_of("zero-shot", "few-shot"), RunFolder(tmp_path / "run")

    def ask_to_stop(event: Event) -> None:
        if event.get("state") == "done":
            run.stop_request.touch()

    with pytest.raises(StoppedError, match=r"(?s)was stopped.*finished arms are kept"):
        run_comparison(request, folder=run.path, on_event=ask_to_stop)
    assert state_of(run) == "stopped"
    assert arms_in(run.path) == {"zero-shot"}
    assert not (run.path / "result.json").exists()
    events: list[Event] = []
    result = run_comparison(request, folder=run.path, on_event=events.append)
    assert {event["arm"] for event in events if event.get("state") == "answering"} == {"few-shot"}
    assert [arm["n"] for arm in result["arms"]] == [12, 12]
    assert state_of(run) == "done"


def test_ctrl_c_while_training_takes_the_training_process_along_and_keeps_finished_arms(
    request_of: Any, tmp_path: Path
) -> None:
    def press_ctrl_c(event: Event) -> None:
        if event["event"] == "phase" and event["phase"] == "loading the model in 4 bits":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_comparison(request_of("zero-shot", "qlora"), folder=tmp_path / "run", on_event=press_ctrl_c)
    assert state_of(RunFolder(tmp_path / "run")) == "interrupted"
    assert arms_in(tmp_path / "run") == {"zero-shot"}
    assert not (tmp_path / "run" / "result.json").exists()
    (training,) = runs_folder().iterdir()
    assert wait(RunFolder(training)) == "stopped"


def test_a_comparison_in_a_process_of_its_own_ends_done(request_of: Any, tmp_path: Path) -> None:
    run = start_comparison(request_of("zero-shot", "few-shot-fixed", limit=4), tmp_path / "run")
    with pytest.raises(RunError, match="running already"):
        start_comparison(request_of("zero-shot", "few-shot-fixed", limit=4), tmp_path / "run")
    assert wait(run) == "done", (run.path / "worker.log").read_text()
    result = read(run.path, "result.json")
    assert [arm["n"] for arm in result["arms"]] == [4, 4]
    assert (run.path / "report.md").exists() and len(items_of(run.path)) == 4


def test_a_process_of_its_own_heeds_a_request_to_stop_that_was_made_before_it_was_ready(
    request_of: Any, tmp_path: Path
) -> None:
    run = start_comparison(request_of("zero-shot"), tmp_path / "run")
    run.stop_request.touch()
    assert wait(run) == "stopped"
    assert arms_in(run.path) == set()


def wait(run: RunFolder) -> str:
    deadline = time.monotonic() + 180
    while state_of(run) not in ENDED:
        assert time.monotonic() < deadline, (run.path / "worker.log").read_text()
        time.sleep(0.1)
    while is_alive(run.path):  # it has said how it ended, and goes on to end
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return state_of(run)


def test_with_documents_the_retrieval_arms_answer_too(request_of: Any, tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "doors.md").write_text("# Doors\n\nBadge readers and gates belong to the porter.")
    leak = next(iter(load_examples(request_of().test).examples))
    (docs / "old.txt").write_text(f"{leak.question}\n{leak.completion}")
    request = request_of("zero-shot", "rag", "rag-few-shot", documents=docs, limit=5)
    result = run_comparison(request, folder=tmp_path / "run")
    assert [(arm["name"], arm["n"], arm["skipped"]) for arm in result["arms"]] == [
        ("zero-shot", 5, None),
        ("rag", 5, None),
        ("rag-few-shot", 5, None),
    ]
    tokens = [arm["prompt_tokens_per_request"] for arm in result["arms"]]
    assert tokens[0] < tokens[1] < tokens[2]
    assert result["removed_passages"] == 1
    assert "1 passages that quote test rows" in (tmp_path / "run" / "report.md").read_text("utf-8")


def test_a_limit_that_was_asked_for_is_kept_and_left_out_test_rows_stay_secret(request_of: Any, tmp_path: Path) -> None:
    result = run_comparison(request_of("zero-shot", limit=3), folder=tmp_path / "run")
    assert result["task"]["rows"]["test"] == 3
    assert result["task"]["removed_as_leaks"] == 2


def test_a_budget_too_small_to_train_in_leaves_the_tuned_arm_out_and_says_so(request_of: Any, tmp_path: Path) -> None:
    result = run_comparison(request_of("zero-shot", "qlora", budget_minutes=0.2), folder=tmp_path / "run")
    tuned = result["arms"][1]
    assert (tuned["name"], tuned["n"]) == ("qlora", 0)
    assert tuned["skipped"] == "too little of the 0.2 minutes is left to train; raise --budget"
    assert not runs_folder().exists()


def test_bad_documents_and_a_bad_model_fail_the_run_and_are_written_down(
    request_of: Any, tmp_path: Path, files: Any
) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    with pytest.raises(DocumentsError):
        run_comparison(request_of(documents=tmp_path / "docs"), folder=tmp_path / "one")
    with pytest.raises(ModelError):
        run_comparison(ComparisonRequest(files[0], model=str(tmp_path / "model")), folder=tmp_path / "two")
    for name, kind in (("one", "DocumentsError"), ("two", "ModelError")):
        status = RunFolder(tmp_path / name).status()
        assert (status["state"], status["error"]["kind"]) == ("failed", kind)
        assert "failed" in [event["event"] for event in RunFolder(tmp_path / name).events()[0][-2:]]


def test_a_model_that_cannot_be_one_is_refused_before_a_folder_is_made(tmp_path: Path, files: Any) -> None:
    with pytest.raises(UsageError, match="neither a folder nor a model id"):
        run_comparison(ComparisonRequest(files[0], model="no/such/model"), folder=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_the_embedded_model_is_said_to_be_prepared_before_its_first_use(
    tmp_path: Path, files: Any, fitting_room_home: Path
) -> None:
    """Stopped right then: what it takes to prepare it is tested with the model itself."""
    events: list[Event] = []

    def stop_there(event: Event) -> None:
        events.append(event)
        if event["event"] == "phase" and event["phase"] != "reading the data":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_comparison(ComparisonRequest(files[0], test=files[1], model="embedded"), on_event=stop_there)
    assert events[-1]["phase"] == "preparing the embedded model, once; about 40 s"


def test_a_folder_whose_comparison_failed_with_nothing_finished_takes_another_one(
    request_of: Any, tmp_path: Path
) -> None:
    (tmp_path / "docs").mkdir()
    with pytest.raises(DocumentsError):
        run_comparison(request_of("zero-shot", documents=tmp_path / "docs"), folder=tmp_path / "run")
    result = run_comparison(request_of("zero-shot", limit=2), folder=tmp_path / "run")
    assert result["arms"][0]["n"] == 2 and state_of(RunFolder(tmp_path / "run")) == "done"
    with pytest.raises(UsageError, match="holds another comparison"):
        run_comparison(request_of("zero-shot"), folder=tmp_path / "run")


def test_too_few_rows_to_split_are_refused(
    tmp_path: Path, make_tickets: Any, write_rows: Any, tiny_model: Path
) -> None:
    data = write_rows(tmp_path / "few.jsonl", make_tickets(4))
    with pytest.raises(DataError, match="too few rows to split"):
        run_comparison(ComparisonRequest(data, model=str(tiny_model)), folder=tmp_path / "run")
