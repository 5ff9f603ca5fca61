"""Wrong use, bad data, no model, a full disk, Ctrl-C: one message that helps, an honest exit code, no traceback."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from training.runs.folder import ENDED, RunFolder
from training.runs.supervisor import is_alive, runs_folder

pytestmark = pytest.mark.usefixtures("one_thread")
Call = Callable[..., Any]
PARTS = {"kind", "what", "where", "found", "expected", "next_step"}


@pytest.fixture
def bad(tmp_path: Path, rows_file: Path) -> Path:
    """A folder of things that go wrong."""
    folder = tmp_path / "bad"
    (folder / "empty-docs").mkdir(parents=True)
    (folder / "binary-docs").mkdir()
    (folder / "empty.jsonl").touch()
    (folder / "binary.jsonl").write_bytes(bytes(range(256)) * 30)
    (folder / "one.jsonl").write_text(rows_file.read_text().splitlines()[0] + "\n")
    (folder / "none-valid.jsonl").write_text('{"question": "a"}\n[1]\n{"prompt": 5}\n')
    (folder / "binary-docs" / "notes.txt").write_bytes(bytes(range(256)) * 30)
    (folder / "broken.pdf").write_bytes(b"%PDF-1.4 and then nothing")
    rows = rows_file.read_text().replace('"prompt"', '"what"').replace('"completion"', '"then"')
    (folder / "columns.jsonl").write_text(rows)
    (folder / "no-text.jsonl").write_text('{"what": 1, "then": []}\n' * 30)
    (folder / "recipe.yaml").write_text("model: embedded\nspeed: 9000\n")
    return folder


NAMED = "--column prompt=what --column completion=then"
# Words after the command (BAD is the folder above, ROWS a good file), exit code, kind of error, what it must say.
CASES = [
    ("lint BAD/nowhere.jsonl", 2, "UsageError", "no such file.*nowhere.jsonl"),
    ("lint BAD", 2, "UsageError", "folder, not a file"),
    ("lint ROWS --model BAD", 1, "ModelError", "This folder holds no model.*config.json"),
    ("compare BAD/nowhere.jsonl", 2, "UsageError", "nothing at this path.*nowhere.jsonl"),
    ("compare BAD", 2, "UsageError", "folder, not a file"),
    ("compare BAD/empty.jsonl", 1, "DataError", "no usable row.*empty"),
    ("compare BAD/binary.jsonl", 1, "DataError", "no usable row.*binary"),
    ("compare BAD/none-valid.jsonl", 1, "DataError", "no usable row.*fitting-room lint"),
    ("compare BAD/one.jsonl", 1, "DataError", "too few rows to split.*1 distinct rows"),
    ("compare ROWS --test BAD/empty.jsonl", 1, "DataError", "no usable row.*empty.jsonl"),
    ("compare ROWS --test ROWS", 1, "DataError", "No row is left to learn from.*--test"),
    ("compare ROWS --arms zero-shot,magic", 2, "UsageError", "no such approach.*magic.*qlora-rag"),
    ("compare ROWS --arms ,", 2, "UsageError", "No approach was named.*zero-shot"),
    ("compare ROWS --limit 0", 2, "UsageError", "limit must be a number above 0"),
    ("compare ROWS --budget -1", 2, "UsageError", "budget must be a number above 0"),
    ("compare ROWS --budget nan", 2, "UsageError", "budget must be a number above 0.*nan"),
    ("compare ROWS --budget inf", 2, "UsageError", "budget must be a number above 0.*inf"),
    ("compare ROWS --task poetry", 2, "UsageError", "no such kind of task.*poetry.*classification"),
    ("compare ROWS --metric beauty", 2, "UsageError", "no such metric.*beauty.*accuracy"),
    ("compare ROWS --docs BAD/nowhere", 2, "UsageError", "nothing at this path.*nowhere"),
    ("compare ROWS --docs BAD/empty-docs", 1, "DocumentsError", "no text in these documents.*Markdown"),
    ("compare ROWS --docs BAD/binary-docs", 1, "DocumentsError", "not text.*notes.txt"),
    ("compare ROWS --docs BAD/broken.pdf", 1, "DocumentsError", "PDF cannot be read.*broken.pdf"),
    ("compare ROWS --arms rag", 2, "UsageError", "None of these.*no documents.*--docs"),
    ("compare ROWS --arms rag,qlora-rag", 2, "UsageError", "None of these.*rag: there.*qlora-rag: there.*--docs"),
    ("compare ROWS --model BAD/empty-docs", 2, "UsageError", "holds no model.*empty folder"),
    ("compare ROWS --model no/such/model", 2, "UsageError", "neither a folder nor a model id.*no/such/model"),
    ("compare ROWS --test BAD/nowhere.jsonl", 2, "UsageError", "nothing at this path.*nowhere.jsonl"),
    ("compare no-such-owner/rows --metric beauty", 2, "UsageError", "no such metric.*beauty"),
    ("compare ROWS --column prompt", 2, "UsageError", "named like prompt=COLUMN"),
    ("compare ROWS --column colour=x", 2, "UsageError", "make no format.*colour=x.*prompt"),
    (f"compare ROWS {NAMED}", 2, "UsageError", "no such column.*rows.jsonl.*'what'.*'prompt', 'completion'"),
    (f"compare BAD/columns.jsonl {NAMED} --test ROWS", 2, "UsageError", "no such column.*rows.jsonl.*'what'"),
    (f"compare BAD/no-text.jsonl {NAMED}", 1, "DataError", "no usable row.*no-text.jsonl.*prompt in the column 'what'"),
    ("compare ROWS --out BAD", 2, "UsageError", "holds other files.*--out"),
    ("compare ROWS --out BAD/one.jsonl", 2, "UsageError", "a file, not a folder"),
    ("compare ROWS --out BAD/one.jsonl/deeper", 1, "FittingRoomError", "system refused.*permissions"),
    ("train BAD/nowhere.jsonl", 2, "UsageError", "no such file"),
    ("train BAD/empty.jsonl", 1, "DataError", "no usable row.*empty"),
    ("train BAD/binary.jsonl", 1, "DataError", "no usable row.*binary"),
    ("train BAD/none-valid.jsonl", 1, "DataError", "no usable row"),
    ("train BAD/one.jsonl", 1, "DataError", "too few rows to train on"),
    ("train ROWS --budget 0", 2, "UsageError", "budget must be a number above 0"),
    ("train ROWS --budget nan", 2, "UsageError", "above 0.*nan"),
    ("train ROWS --budget inf", 2, "UsageError", "above 0.*inf"),
    ("train ROWS --recipe BAD/recipe.yaml", 2, "UsageError", "unknown.*speed"),
    ("train ROWS --recipe BAD/binary.jsonl", 2, "UsageError", "recipe cannot be read"),
    ("train ROWS --recipe BAD/nowhere.yaml", 2, "UsageError", "recipe cannot be read"),
    ("train ROWS --model BAD", 2, "UsageError", "holds no model"),
    ("train ROWS --model no/such/model", 2, "UsageError", "neither a folder nor a model id"),
    ("train ROWS --out BAD", 2, "UsageError", "holds other files.*--out"),
    ("train ROWS --out BAD/one.jsonl", 2, "UsageError", "a file, not a folder"),
    ("train ROWS --column prompt", 2, "UsageError", "named like prompt=COLUMN"),
    (f"train ROWS {NAMED}", 2, "UsageError", "no such column.*rows.jsonl.*'what'.*'prompt', 'completion'"),
    (f"train BAD/no-text.jsonl {NAMED}", 1, "DataError", "no usable row.*no-text.jsonl"),
    ("demo no-such-example", 2, "UsageError", "no such example.*support-desk"),
    ("demo --budget 0", 2, "UsageError", "budget must be a number above 0"),
]


@pytest.mark.parametrize(("line", "code", "kind", "message"), CASES, ids=[case[0] for case in CASES])
def test_an_error_says_what_where_and_what_next(
    line: str, code: int, kind: str, message: str, call: Call, bad: Path, rows_file: Path
) -> None:
    words = [word.replace("BAD", str(bad)).replace("ROWS", str(rows_file)) for word in line.split()]
    result = call(*words, "--json")
    error = json.loads(result.stdout)["error"]
    assert set(error) == PARTS and error["kind"] == kind
    assert result.exit_code == code
    for text in (" ".join(str(part) for part in error.values() if part), " ".join(result.stderr.split())):
        assert re.search(message, text, re.DOTALL), text
    assert "Traceback" not in result.stderr
    people = call(*words)
    assert (people.exit_code, people.stdout) == (code, "")
    assert "Error: " in people.stderr


@pytest.mark.parametrize(("line", "code"), [case[:2] for case in CASES if not case[0].startswith("lint")])
def test_an_error_is_told_before_a_model_is_prepared_and_wrong_use_leaves_nothing_behind(
    line: str, code: int, call: Call, bad: Path, rows_file: Path, fitting_room_home: Path, monkeypatch: Any
) -> None:
    monkeypatch.delenv("FITTING_ROOM_MODEL")  # the embedded model, which this home has not prepared
    before = sorted(bad.rglob("*"))
    result = call(*(word.replace("BAD", str(bad)).replace("ROWS", str(rows_file)) for word in line.split()))
    assert result.exit_code == code
    left = {path.name for path in fitting_room_home.iterdir() if path.is_file() or any(path.iterdir())}
    if code == 1 or "no such column" in result.stderr:  # the rows were read: it is kept, with its place in the index
        left = {name for name in left - {"comparisons", "datasets"} if not name.startswith("runs.sqlite3")}
    assert left == set()
    assert sorted(bad.rglob("*")) == before


def test_a_folder_whose_comparison_failed_with_nothing_finished_can_be_used_again(
    call: Call, bad: Path, rows_file: Path, tmp_path: Path
) -> None:
    words = ("--arms", "zero-shot", "--limit", 2, "--out", tmp_path / "out", "--json")
    assert call("compare", rows_file, "--test", bad / "empty.jsonl", *words).exit_code == 1
    assert call("compare", rows_file, *words).exit_code == 0
    again = call("compare", rows_file, "--seed", 1, *words)
    assert again.exit_code == 2 and "holds another comparison" in again.stderr


@pytest.mark.parametrize("name", ["empty.jsonl", "binary.jsonl", "none-valid.jsonl", "one.jsonl"])
def test_lint_reports_a_hopeless_file_instead_of_failing(name: str, call: Call, bad: Path) -> None:
    result = call("lint", bad / name, "--json")
    report = json.loads(result.stdout)
    assert (result.exit_code, report["verdict"]) == (1, "do_not_train")
    assert report["findings"][0]["severity"] == "error"
    assert call("lint", bad / name).stdout.startswith("Do not train on this: ")


@pytest.mark.parametrize("line", ["compare ROWS --limit few", "compare ROWS --colour", "compare", "lint", "fly"])
def test_words_that_cannot_be_understood_are_wrong_use(line: str, call: Call, rows_file: Path) -> None:
    result = call(*line.replace("ROWS", str(rows_file)).split())
    assert (result.exit_code, result.stdout) == (2, "")
    assert "Usage" in result.stderr and "Traceback" not in result.stderr


def test_half_a_character_in_the_data_does_no_harm(call: Call, rows_file: Path, tmp_path: Path) -> None:
    odd = tmp_path / "odd.jsonl"
    odd.write_text(rows_file.read_text() + '{"prompt": "a \\ud800 b", "completion": "\\udfff"}\n')
    result = call("lint", odd, "--json")
    assert (result.exit_code, json.loads(result.stdout)["usable"]) == (1, 48)
    assert call("compare", odd, "--arms", "zero-shot", "--limit", 2, "--json").exit_code == 0


def test_an_error_of_our_own_making_is_one_message_and_a_traceback_only_on_request(
    call: Call, rows_file: Path, tmp_path: Path
) -> None:
    words = ["compare", rows_file, "--arms", "zero-shot", "--limit", 2, "--out", tmp_path / "out"]
    assert call(*words).exit_code == 0
    (tmp_path / "out" / "arms" / "zero-shot.json").write_text('{"answers": [], "sco')
    (tmp_path / "out" / "result.json").unlink()  # else it is finished, and only read
    result = call(*words, "--json")
    error = json.loads(result.stdout)["error"]
    assert (result.exit_code, error["kind"]) == (1, "RunError")
    assert "should not have happened" in error["what"] and "JSONDecodeError" in error["found"]
    assert "--debug" in error["next_step"] and "Traceback" not in result.stderr
    assert isinstance(call(*words, "--debug").exception, ValueError)


def test_a_model_that_cannot_be_had_is_not_asked_for_again_and_again(start: Any, rows_file: Path) -> None:
    process = start("compare", rows_file, "--model", "org/no-such-model", "--json")
    stdout, stderr = (stream.decode() for stream in process.communicate())
    error = json.loads(stdout)["error"]
    assert (process.returncode, error["kind"]) == (1, "ModelError")
    assert "org/no-such-model" in error["what"] and "network" in error["next_step"]
    assert "Retrying" not in stderr and "Traceback" not in stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_disk_that_fills_up_in_the_middle_is_named_and_finished_arms_are_kept(
    call: Call, rows_file: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    words = ["compare", rows_file, "--arms", "zero-shot,few-shot", "--limit", 2, "--out", out, "--json"]
    assert call(*words).exit_code == 0
    (out / "arms" / "few-shot.json").unlink()
    (out / "events.jsonl").unlink()
    (out / "events.jsonl").symlink_to("/dev/full")
    result = call(*words)
    error = json.loads(result.stdout)["error"]
    assert (result.exit_code, error["kind"]) == (1, "DiskFullError")
    assert "disk is full" in error["what"] and error["where"].endswith("events.jsonl")
    (out / "events.jsonl").unlink()
    assert call(*words).exit_code == 0  # once there is space again, it goes on


_ON_A_SMALL_DISK = """
mount -t tmpfs -o size=$1 tmpfs "$2" || exit 77
folder="$2"; listing="$3"; shift 3
"$@"; code=$?
cp -r "$folder" "$listing"
exit $code
"""


def test_a_full_disk_is_named_and_nothing_half_written_stays(start: Any, rows_file: Path, tmp_path: Path) -> None:
    if not shutil.which("unshare") or subprocess.run(["unshare", "-Urm", "true"], capture_output=True).returncode:
        pytest.skip("a disk of its own needs user namespaces")
    (tmp_path / "small").mkdir()
    before = (
        "unshare",
        "-Urm",
        "sh",
        "-c",
        _ON_A_SMALL_DISK,
        "sh",
        "28k",
        str(tmp_path / "small"),
        str(tmp_path / "left"),
    )
    words = ("compare", rows_file, "--arms", "zero-shot,few-shot", "--out", tmp_path / "small" / "out", "--json")
    process = start(*words, before=before)
    stdout, stderr = (stream.decode() for stream in process.communicate())
    if process.returncode == 77:
        pytest.skip("a disk of its own cannot be mounted here")
    error = json.loads(stdout)["error"]
    assert (process.returncode, error["kind"]) == (1, "DiskFullError"), stderr
    assert "disk is full" in error["what"] and "free some space" in error["next_step"].lower()
    assert "Traceback" not in stderr
    left = [file for file in (tmp_path / "left").rglob("*") if file.is_file()]
    assert left and not [file for file in left if file.suffix == ".part" or file.name == "result.json"]
    for file in left:
        if file.suffix == ".json":
            json.loads(file.read_text())


def test_ctrl_c_keeps_finished_arms_and_leaves_no_process_behind(start: Any, rows_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    process = start(
        *("compare", rows_file, "--arms", "zero-shot,qlora", "--limit", "4", "--out", out, "--json"),
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a test run in the background ignores it
    )
    deadline = time.monotonic() + 200
    while not _has_told(out, "loading the model in 4 bits"):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=200)
    assert process.returncode == 130
    error = json.loads(stdout)["error"]
    assert set(error) == PARTS and (error["kind"], error["what"]) == ("Stopped", "Stopped.")
    assert "What was finished is kept" in error["next_step"]
    assert b"Stopped. What was finished is kept" in stderr and b"Traceback" not in stderr
    assert (out / "arms" / "zero-shot.json").exists() and not (out / "result.json").exists()
    assert RunFolder(out).status()["state"] == "interrupted"
    (training,) = runs_folder().iterdir()
    assert RunFolder(training).status()["state"] in ENDED
    while is_alive(training):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def _has_told(folder: Path, phase: str) -> bool:
    return any(event.get("phase") == phase for event in RunFolder(folder).events()[0])
