"""What was answered once is not answered again: after a kill, in two processes, and never for another question."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from advisor.answering import Answer, AnswerStore, LocalAnswerer, StoredAnswerer, model_key
from advisor.answering.store import answer_key
from dataset_tools.errors import ModelError, RunError
from dataset_tools.example import Message
from training.models.loading import load_model

pytestmark = pytest.mark.usefixtures("one_thread")
ROOT = Path(__file__).resolve().parents[2]
ONE, TWO = Answer("Paris", 12, 3, True), Answer('zwölf "quoted"\n東京 \U0001f600', 5, 9, False)
PROMPTS = [
    [Message("user", f"what is the colour of {thing}")] for thing in ("a cat", "a dog", "the river", "red", "Paris")
]

WRITER = """
import sys
from pathlib import Path
from advisor.answering import Answer, AnswerStore
store, name = AnswerStore(Path(sys.argv[1])), sys.argv[2]
for number in range(int(sys.argv[3])):
    store.put({f"{name}-{number}-{part}": Answer(f"{name} {number}", number, part, True) for part in range(3)})
    print(number, flush=True)
"""

OPENER = """
import sys, time
from pathlib import Path
from advisor.answering import Answer, AnswerStore
for turn in range(60):
    while time.time() < float(sys.argv[3]) + turn / 50:  # sleeping is not exact enough to meet the others
        pass
    AnswerStore(Path(sys.argv[1], f"{turn}.sqlite")).put({sys.argv[2]: Answer("", 0, 0, True)})
"""


@pytest.fixture
def store(tmp_path: Path) -> AnswerStore:
    return AnswerStore(tmp_path / "answers.sqlite")


@pytest.fixture(scope="module")
def local(tiny_model: Path) -> LocalAnswerer:
    return LocalAnswerer(load_model(str(tiny_model), dtype="float32"))


def write_in_a_process(path: Path, name: str, count: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, str(path), name, str(count)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def test_what_is_kept_comes_back_as_it_was_in_another_process_too(store: AnswerStore) -> None:
    store.put({"a": ONE, "b": TWO})
    assert store.get(["a", "b", "c"]) == {"a": ONE, "b": TWO}
    assert AnswerStore(store.path).get(["b"]) == {"b": TWO}
    assert len(store) == 2 and store.get([]) == {}


def test_the_first_answer_to_a_key_stays(store: AnswerStore) -> None:
    store.put({"a": ONE})
    store.put({"a": TWO, "b": TWO})
    assert store.get(["a", "b"]) == {"a": ONE, "b": TWO}


def test_more_keys_than_one_question_may_hold_are_all_found(store: AnswerStore) -> None:
    answers = {str(number): Answer(str(number), number, 1, True) for number in range(2_100)}
    store.put(answers)
    assert store.get(list(answers)) == answers


def test_after_a_kill_everything_that_was_kept_is_there(tmp_path: Path) -> None:
    path = tmp_path / "answers.sqlite"
    process = write_in_a_process(path, "x", 1_000_000)
    assert process.stdout is not None
    kept = [int(process.stdout.readline()) for _ in range(200)]
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    process.stdout.close()
    store = AnswerStore(path)
    keys = [f"x-{number}-{part}" for number in kept for part in range(3)]
    assert set(store.get(keys)) == set(keys)
    assert len(store) % 3 == 0, "a part of what was kept together"
    store.put({"new": ONE})
    assert store.get(["new"]) == {"new": ONE}


def test_two_processes_keep_into_one_file(tmp_path: Path) -> None:
    path = tmp_path / "answers.sqlite"
    processes = [write_in_a_process(path, name, 150) for name in ("x", "y", "z")]
    for process in processes:
        process.communicate()
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert len(AnswerStore(path)) == 3 * 150 * 3


def test_processes_that_make_a_file_at_the_same_moment_do_not_disturb_each_other(tmp_path: Path) -> None:
    """SQLite fails unasked where two switch a file to write-ahead mode at once: in a third of such moments."""
    began = time.time() + 3
    processes = [
        subprocess.Popen([sys.executable, "-c", OPENER, str(tmp_path), name, str(began)], cwd=ROOT) for name in "xyz"
    ]
    assert [process.wait() for process in processes] == [0, 0, 0]
    assert {len(AnswerStore(path)) for path in tmp_path.glob("*.sqlite")} == {3}


def test_a_file_that_is_no_store_is_named(tmp_path: Path) -> None:
    path = tmp_path / "answers.sqlite"
    path.write_text("not a database, but long enough to be looked at " * 50)
    with pytest.raises(RunError, match=r"(?s)answers\.sqlite.*not a database.*Remove the file"):
        AnswerStore(path)
    with pytest.raises(RunError, match="nowhere"):
        AnswerStore(tmp_path / "nowhere" / "answers.sqlite")


def test_a_store_that_was_closed_says_so_and_can_be_opened_again(store: AnswerStore) -> None:
    store.put({"a": ONE})
    store.close()
    with pytest.raises(RunError, match="closed"):
        store.get(["a"])
    assert AnswerStore(store.path).get(["a"]) == {"a": ONE}


def test_a_key_is_of_the_model_the_limit_the_messages_and_the_tools() -> None:
    prompt = [Message("system", "Be brief."), Message("user", "Hello")]
    keys = [
        answer_key("m", 8, prompt),
        answer_key("n", 8, prompt),
        answer_key("m", 9, prompt),
        answer_key("m", 8, prompt[1:]),
        answer_key("m", 8, [Message("user", "Be brief."), Message("user", "Hello")]),
        answer_key("m", 8, [Message("system", "Be brief.Hello")]),
        answer_key("m", 8, prompt, tools="[]"),
    ]
    assert len(set(keys)) == len(keys) and answer_key("m", 8, list(prompt)) == keys[0]
    assert {len(key) for key in keys} == {32}


def test_answers_are_those_of_the_model_and_asked_again_they_come_from_the_store(
    store: AnswerStore, local: LocalAnswerer
) -> None:
    plain = local.answer(PROMPTS, max_new_tokens=8)
    first = StoredAnswerer(local, store, model_key="tiny")
    assert first.answer(PROMPTS[:3], max_new_tokens=8) == plain[:3]
    assert (first.taken, len(store)) == (0, 3)
    again = StoredAnswerer(local, AnswerStore(store.path), model_key="tiny")
    told: list[tuple[int, int]] = []
    handed: dict[int, Answer] = {}
    answers = again.answer(
        PROMPTS, max_new_tokens=8, progress=lambda *both: told.append(both), on_answer=handed.__setitem__
    )
    assert answers == plain and handed == dict(enumerate(plain))
    assert (again.taken, len(store)) == (3, 5)
    assert told[0] == (3, 5) and told[-1] == (5, 5) and told == sorted(told)


def test_what_is_all_there_needs_no_model(store: AnswerStore, local: LocalAnswerer) -> None:
    plain = StoredAnswerer(local, store, model_key="tiny").answer(PROMPTS, max_new_tokens=8)
    without: Any = None
    stored = StoredAnswerer(without, store, model_key="tiny")
    assert stored.answer(PROMPTS[::-1], max_new_tokens=8) == plain[::-1]
    assert stored.answer([], max_new_tokens=8) == []
    with pytest.raises(TypeError):  # another limit is another question
        stored.answer(PROMPTS, max_new_tokens=9)
    with pytest.raises(TypeError):  # and so is another model
        StoredAnswerer(without, store, model_key="other").answer(PROMPTS, max_new_tokens=8)


def test_a_prompt_that_comes_twice_is_answered_once(store: AnswerStore, local: LocalAnswerer) -> None:
    twice = [PROMPTS[0], PROMPTS[1], PROMPTS[0], PROMPTS[0]]
    stored = StoredAnswerer(local, store, model_key="tiny")
    handed: dict[int, Answer] = {}
    told: list[tuple[int, int]] = []
    answers = stored.answer(
        twice, max_new_tokens=8, on_answer=handed.__setitem__, progress=lambda *both: told.append(both)
    )
    assert answers == local.answer(twice, max_new_tokens=8) and handed == dict(enumerate(answers))
    assert (stored.taken, len(store)) == (2, 2)
    assert told[-1] == (4, 4)


def test_declared_tools_go_to_the_model_with_their_prompts(store: AnswerStore, local: LocalAnswerer) -> None:
    declared = [None, "[]", None]
    stored = StoredAnswerer(local, store, model_key="tiny")
    stored.answer(PROMPTS[1:2], max_new_tokens=4)
    answers = stored.answer(PROMPTS[:3], max_new_tokens=4, tools=declared)
    assert answers == local.answer(PROMPTS[:3], max_new_tokens=4, tools=declared)
    assert (stored.taken, len(store)) == (0, 4)


def test_where_the_work_is_ended_the_batches_that_were_done_are_kept(store: AnswerStore, tiny_model: Path) -> None:
    local = LocalAnswerer(load_model(str(tiny_model), dtype="float32"))
    local._batch_rows = 2
    plain = local.answer(PROMPTS, max_new_tokens=6)

    def stop(done: int, total: int) -> None:
        if done >= 4:
            raise KeyboardInterrupt

    stored = StoredAnswerer(local, store, model_key="tiny")
    with pytest.raises(KeyboardInterrupt):
        stored.answer(PROMPTS, max_new_tokens=6, progress=stop)
    kept = len(store)
    assert 2 <= kept < 5 and kept % 2 == 0
    assert stored.answer(PROMPTS, max_new_tokens=6) == plain
    assert (stored.taken, len(store)) == (kept, 5)


def test_the_model_key_follows_what_is_in_the_folders_and_not_where_they_are(tiny_model: Path, tmp_path: Path) -> None:
    copy, adapter = tmp_path / "copy", tmp_path / "adapter"
    shutil.copytree(tiny_model, copy)
    adapter.mkdir()
    (adapter / "adapter_model.safetensors").write_bytes(b"weights")
    (adapter / "adapter_config.json").write_text("{}")
    key = model_key(str(copy), adapter)
    assert key.removeprefix(str(copy)) == model_key(str(tiny_model), adapter).removeprefix(str(tiny_model))
    assert key.startswith(model_key(str(copy)))
    (adapter / "adapter_config.json").write_text('{"lora_alpha": 1}')
    other = model_key(str(copy), adapter)
    (adapter / "adapter_model.safetensors").write_bytes(b"Weights")
    third = model_key(str(copy), adapter)
    settings = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps({**settings, "rope_theta": 1.0}))
    assert len({key, other, third, model_key(str(copy), adapter)}) == 4


def test_a_model_that_is_none_has_no_key() -> None:
    with pytest.raises(ModelError, match="neither a folder nor a model id"):
        model_key("no such: model")
    assert model_key("nobody/nothing").startswith("nobody/nothing:")


def test_a_stored_answer_counts_as_long_as_when_it_was_given(tmp_path: Path) -> None:
    class Slow:
        def answer(self, prompts: Any, *, on_answer: Any = None, **options: Any) -> list[Answer]:
            time.sleep(0.05 * len(prompts))
            answers = [Answer("yes", 1, 1, True) for _ in prompts]
            for place, answer in enumerate(answers):
                on_answer(place, answer)
            return answers

    prompts = [(Message("user", f"question {number}"),) for number in range(4)]
    store = AnswerStore(tmp_path / "answers.sqlite3")
    first = StoredAnswerer(Slow(), store, model_key="m")
    first.answer([*prompts, prompts[0]], max_new_tokens=4)
    again = StoredAnswerer(Slow(), store, model_key="m")
    again.answer([*prompts, prompts[0]], max_new_tokens=4)
    assert (first.taken, again.taken) == (1, 5)
    assert first.spent > 0.2 and again.spent == pytest.approx(first.spent)
    assert StoredAnswerer(Slow(), store, model_key="m").spent == 0
