"""Whole training runs on the tiny model, in processes of their own as the product starts them."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from dataset_tools.errors import DataError, RunError
from dataset_tools.example import Example, Message, ToolCall
from training.models.loading import check_adapter, load_tuned, machine
from training.recipe import Recipe
from training.runs import session, worker
from training.runs.folder import ENDED, RunFolder
from training.runs.process import is_alive, launch
from training.runs.supervisor import runs_folder, start_training, state_of, stop, watch

pytestmark = pytest.mark.usefixtures("one_thread")
ROWS = [Example.of(f"what is the colour of number {i}", "red" + " blue" * (i % 4)) for i in range(16)]
HELD_OUT = [Example.of(f"and of number {i}", "red" + " blue" * (i % 4)) for i in range(6)]


def recipe_of(model: Path, **knobs: Any) -> Recipe:
    return Recipe(str(model), **{"batch_size": 4, "micro_batch_size": 2, "max_steps": 5, "evaluations": 2, **knobs})


@pytest.fixture(scope="module")
def finished(one_thread: None, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A run that has ended well: its folder, its result, and the events that `watch` told of."""
    run = start_training(recipe_of(tiny_model), ROWS, validation=HELD_OUT, folder=tmp_path_factory.mktemp("runs") / "a")
    told: list[dict[str, Any]] = []
    return run, watch(run, told.append), told


def named(events: Sequence[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    return [event for event in events if event["event"] == name]


def test_a_run_tells_what_it_does_from_the_first_phase_to_done(finished: Any) -> None:
    run, _, told = finished
    written = [json.loads(line) for line in (run.path / "events.jsonl").read_text().splitlines()]
    told = [event for event in told if event["event"] != "waiting"]
    assert told == written
    assert [event["time"] for event in told] == sorted(event["time"] for event in told)
    order = list(dict.fromkeys(event["event"] for event in told))
    assert order == [
        *("state", "phase", "dry_run", "training", "sample_prompts", "samples", "step", "evaluation", "chosen"),
        *("saved", "health", "done"),
    ]
    assert [event["state"] for event in named(told, "state")] == ["queued", "preparing", "running", "done"]
    assert [event["event"] for event in told[-2:]] == ["done", "state"]


def test_a_silent_run_gives_a_sign_of_life_while_its_process_starts(tmp_path: Path) -> None:
    (tmp_path / "silent.py").write_text("import time; time.sleep(600)")
    run = RunFolder(tmp_path)
    run.update(state="preparing")
    pid = launch("silent", tmp_path)
    told: list[dict[str, Any]] = []

    def listen(event: dict[str, Any]) -> None:
        told.append(event)
        if event["event"] == "waiting":
            os.kill(pid, signal.SIGKILL)

    with pytest.raises(RunError):
        watch(run, listen)
    signs = [event for event in told if event["event"] == "waiting"]
    assert signs and signs[0]["seconds"] > 0


def test_each_step_has_its_loss_speed_and_time_left(finished: Any) -> None:
    _, _, told = finished
    steps = named(told, "step")
    assert [step["step"] for step in steps] == [1, 2, 3, 4, 5]
    assert {step["steps"] for step in steps} == {5}
    assert all(step["loss"] > 0 and step["tokens_per_second"] > 0 and step["gradient_norm"] > 0 for step in steps)
    assert all(step["eta"] >= 0 for step in steps) and steps[-1]["eta"] == 0
    assert steps[1]["learning_rate"] > steps[-1]["learning_rate"] > 0  # the first is the warm-up's


def test_the_validation_loss_is_taken_during_the_run_and_at_its_end(finished: Any) -> None:
    _, result, told = finished
    taken = named(told, "evaluation")
    assert [event["step"] for event in taken] == [2, 4, 5]
    assert result["validation_loss"] == taken[-1]["validation_loss"] > 0


def test_the_result_says_what_was_made_and_how(finished: Any) -> None:
    run, result, _ = finished
    assert (result["run"], result["state"], result["steps"], result["passes"]) == ("a", "done", 5, 5 * 4 / 16)
    assert Path(result["adapter"]) == run.adapter and Path(result["recipe"]) == run.adapter / "recipe.yaml"
    assert 0 < result["training_seconds"] <= result["seconds"]
    assert result["tokens_per_second"] > 0 and result["loss"] > 0
    assert set(result["health"]) >= {"alive", "logit_change", "stop_rate"}
    assert 0 <= result["health"]["stop_rate"] <= 1
    assert state_of(run) == run.status()["state"] == "done"
    assert watch(run) == result  # a run that has ended can be asked again


def test_the_adapter_is_safetensors_with_its_recipe_and_no_pickle_lies_anywhere(finished: Any) -> None:
    run, _, _ = finished
    names = {path.name for path in run.adapter.iterdir()}
    assert {"adapter_model.safetensors", "adapter_config.json", "recipe.yaml"} <= names
    check_adapter(run.adapter)
    assert Recipe.load(run.adapter / "recipe.yaml") == Recipe.load(run.path / "recipe.yaml")
    files = [path for path in run.path.rglob("*") if path.is_file()]
    assert not [path for path in files if path.suffix in {".bin", ".pt", ".pth", ".pkl", ".ckpt", ".part"}]
    pickles = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05", b"PK\x03\x04")  # also torch's, which is a zip
    assert not [path for path in files if path.read_bytes().startswith(pickles)]
    assert not run.checkpoints.exists()  # there is nothing to go on with


def test_the_saved_adapter_changes_the_answers_of_the_base(finished: Any, tiny_model: Path) -> None:
    import torch

    run, _, _ = finished
    tuned = load_tuned(str(tiny_model), run.adapter, dtype="float32")
    ids = torch.tensor([tuned.tokenizer("what is the colour")["input_ids"]], device=tuned.model.device)
    with torch.inference_mode():
        changed = tuned.model(ids).logits
        with tuned.model.disable_adapter():
            plain = tuned.model(ids).logits
    assert not torch.allclose(changed, plain, atol=1e-3)


def test_the_same_seed_gives_the_same_losses_and_the_same_adapter(
    finished: Any, tiny_model: Path, tmp_path: Path
) -> None:
    """The second run is computed in this process, the first was in one of its own."""
    if machine().has_accelerator:
        pytest.skip("the sums of an accelerator's kernels come in no fixed order")
    first, _, told = finished
    again = RunFolder(tmp_path)
    Recipe.load(first.path / "recipe.yaml").save(tmp_path / "recipe.yaml")
    again.write_rows("train", ROWS)
    again.write_rows("validation", HELD_OUT)
    again.update(state="running")
    session.train(again)
    events, _ = again.events()
    for name, value in (("step", "loss"), ("step", "gradient_norm"), ("evaluation", "validation_loss")):
        assert [event[value] for event in named(events, name)] == [event[value] for event in named(told, name)]
    weights = "adapter_model.safetensors"
    assert (again.adapter / weights).read_bytes() == (first.adapter / weights).read_bytes()


def test_a_budget_sets_the_steps(tiny_model: Path, tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    recipe_of(tiny_model, max_steps=None, epochs=1.0, max_seconds=600.0).save(tmp_path / "recipe.yaml")
    run.update(state="preparing", quick=True)
    run.write_rows("train", ROWS)
    run.write_rows("validation", [])
    result = session.train(run)
    assert (result["steps"], result["passes"], result["validation_loss"]) == (4, 1.0, None)
    assert Recipe.load(run.adapter / "recipe.yaml").max_steps == 4


def test_a_held_out_row_that_does_not_fit_is_left_out_of_the_validation(tiny_model: Path, tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    recipe_of(tiny_model, max_steps=1, max_length=64).save(tmp_path / "recipe.yaml")
    run.update(state="preparing", quick=True)
    run.write_rows("train", ROWS)
    run.write_rows("validation", [Example.of("what is the colour " * 50, "red")])
    assert session.train(run)["validation_loss"] is None


@pytest.fixture
def endless(tiny_model: Path, tmp_path: Path) -> Iterator[RunFolder]:
    """A run that would go on for hours."""
    run = start_training(recipe_of(tiny_model, max_steps=10**6, evaluations=1), ROWS, folder=tmp_path / "endless")
    yield run
    if state_of(run) not in ENDED:
        stop(run, patience=0)


def wait_for(run: RunFolder, name: str) -> dict[str, Any]:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        found = named(run.events()[0], name)
        if found:
            return found[0]
        assert state_of(run) not in ENDED, (run.path / "worker.log").read_text()
        time.sleep(0.05)
    raise AssertionError(f"no event {name!r} came")


def test_a_stopped_run_keeps_what_it_has_learnt(endless: RunFolder) -> None:
    wait_for(endless, "step")
    assert state_of(endless) == "running"
    assert stop(endless) == "stopped"
    result = watch(endless)
    assert result["state"] == "stopped" and 0 < result["steps"] < 10**6
    check_adapter(endless.adapter)
    assert named(endless.events()[0], "stopped")


def test_a_killed_worker_is_seen_as_interrupted(endless: RunFolder) -> None:
    wait_for(endless, "phase")
    os.kill(int((endless.path / "pid").read_text()), signal.SIGKILL)
    with pytest.raises(RunError, match=r"(?s)The training process died.*worker\.log"):
        watch(endless)
    assert state_of(endless) == endless.status()["state"] == "interrupted"
    assert not endless.adapter.exists()


def test_a_run_that_does_not_heed_the_request_is_killed(endless: RunFolder) -> None:
    wait_for(endless, "phase")
    pid = int((endless.path / "pid").read_text())
    os.kill(pid, signal.SIGSTOP)  # it cannot heed anything now
    assert stop(endless, patience=0) == "interrupted"
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="pinning a process to one core is Linux's")
def test_a_process_counts_as_alive_from_its_first_moment(tmp_path: Path) -> None:
    """Nobody who looks between its start and its first instruction may take it for dead."""
    (tmp_path / "sleeper.py").write_text("import time\ntime.sleep(60)\n")
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})  # one core for both makes the moment likely to be seen
    try:
        for _ in range(300):
            pid = launch("sleeper", tmp_path)
            alive = is_alive(tmp_path)
            os.kill(pid, signal.SIGKILL)
            assert alive
            while is_alive(tmp_path):
                time.sleep(0.001)
    finally:
        os.sched_setaffinity(0, cores)


def test_rows_that_all_lose_their_answer_fail_with_what_to_do(tiny_model: Path, tmp_path: Path) -> None:
    run = start_training(recipe_of(tiny_model, max_length=8), ROWS, folder=tmp_path / "run")
    with pytest.raises(RunError, match=r"(?s)No row is left to train on.*all 16 rows lose.*Raise max_length"):
        watch(run)
    assert state_of(run) == "failed"
    assert named(run.events()[0], "failed")[0]["error"]["kind"] == "DataError"
    assert not run.adapter.exists()


def test_a_folder_and_a_model_given_from_here_are_found_by_the_worker(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "model").symlink_to(tiny_model)
    monkeypatch.chdir(tmp_path)
    run = start_training(recipe_of(Path("model"), max_length=8), ROWS, folder=Path("run"))
    assert run.path == tmp_path / "run"
    with pytest.raises(RunError, match="No row is left"):  # it has found its rows and the model's tokenizer
        watch(run)


def test_a_folder_with_a_run_is_not_used_again(finished: Any, tiny_model: Path) -> None:
    run, _, _ = finished
    before = {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}
    with pytest.raises(RunError, match="holds a run already"):
        start_training(recipe_of(tiny_model), ROWS, folder=run.path)
    assert {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()} == before


def test_no_rows_start_no_run(tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no row to train on"):
        start_training(recipe_of(tiny_model), [], folder=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_runs_are_kept_in_the_home_by_default(fitting_room_home: Path) -> None:
    assert runs_folder() == fitting_room_home / "runs"


def test_a_folder_without_a_run_says_so(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no run here"):
        state_of(RunFolder(tmp_path))


def test_rows_come_back_as_they_were_kept(tmp_path: Path) -> None:
    chat = (Message("system", "s"), Message("user", "line\nbreak \u2028 \x85 \U0001f600"), Message("assistant", "a"))
    call = Message("assistant", "", tool_calls=(ToolCall("time", '{"zone": "UTC"}', "call_1"),))
    tools = '[{"type": "function", "function": {"name": "time"}}]'
    kept = [Example(chat, group="g"), ROWS[0], Example((Message("user", "what time is it?"), call), tools=tools)]
    RunFolder(tmp_path).write_rows("train", kept)
    rows = RunFolder(tmp_path).read_rows("train")
    assert [(row.messages, row.group) for row in rows] == [(row.messages, row.group) for row in kept]
    assert [row.line for row in rows] == [1, 2, 3]
    assert rows[2].tool_schemas == kept[2].tool_schemas


def test_a_row_that_nothing_can_be_learnt_from_is_named(tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_text('{"messages": []}\n')
    with pytest.raises(RunError, match=r"train\.jsonl:1"):
        RunFolder(tmp_path).read_rows("train")


def test_events_are_read_on_from_where_the_last_look_ended_and_a_half_written_line_waits(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    assert run.events() == ([], 0)
    run.log("one", text="é")
    first, position = run.events()
    with (tmp_path / "events.jsonl").open("ab") as stream:
        stream.write(b'{"event": "tw')
        stream.flush()
        assert run.events(position) == ([], position)
        stream.write(b'o"}\n')
    second, end = run.events(position)
    assert [event["event"] for event in [*first, *second]] == ["one", "two"]
    assert end == (tmp_path / "events.jsonl").stat().st_size


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (MemoryError(), "ran out of memory"),
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), "ran out of memory"),
        (OSError(28, "No space left on device"), "disk is full"),
        (ZeroDivisionError("by zero"), "ZeroDivisionError"),
        (KeyError(), "KeyError"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_an_error_of_a_library_becomes_one_that_helps(error: Exception, said: str) -> None:
    explained = worker.explain(error)
    assert said in explained.what and explained.next_step


@pytest.mark.parametrize(
    ("batch", "micro", "smaller"), [(8, 8, 4), (8, 2, 1), (12, 6, 3), (6, 3, 1), (15, 15, 5), (8, 1, None)]
)
def test_less_at_once_still_divides_the_batch(batch: int, micro: int, smaller: int | None) -> None:
    assert worker.smaller_micro_batch(Recipe("m", batch_size=batch, micro_batch_size=micro)) == smaller


def test_another_program_is_told_and_what_it_wrote_stays_with_the_run(tiny_model: Path) -> None:
    pytest.importorskip("tensorboard")
    recipe = Recipe(str(tiny_model), method="lora", max_steps=2, report_to="tensorboard", dry_run=False)
    run = start_training(recipe, ROWS, quick=True)
    watch(run)
    written = list((run.path / "tensorboard").rglob("events.out.tfevents.*"))
    assert written and all(file.stat().st_size > 0 for file in written)
    assert not run.checkpoints.exists()
