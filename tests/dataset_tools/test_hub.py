"""Datasets of the Hub. Nothing here asks the Hub itself: a folder stands for it, or a port where nobody answers."""

from __future__ import annotations

import datetime
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dataset_tools.errors import DataError, FittingRoomError, UsageError
from dataset_tools.reading import hub, read_source

ROOT = Path(__file__).parents[2]
ROWS = [{"prompt": f"question {n} \u2028 ß", "completion": [{"n": n}]} for n in range(30)]


@pytest.mark.parametrize(
    "text",
    [
        "owner/name", "owner/name:validation", "hf://owner/name", "hf://datasets/owner/name:test",
        "Open-Orca/Slim_Orca.v2", "owner/name:config:split", "hf://owner/rows.jsonl",
    ],
)  # fmt: skip
def test_names_of_datasets_are_told(text: str) -> None:
    assert hub.is_hub_name(text)


@pytest.mark.parametrize(
    "text",
    [
        "", "name", "owner/", "/name", "a/b/c", "owner/name.jsonl", "owner/rows.JSON", "data/train.csv.gz", "./name",
        "../name", "~/name", "owner/na me", "owner/name:", "own--er/name", "owner/na..me", "-owner/name",
        "owner/name.git", "owner/name:a:b:c",
        "https://huggingface.co/datasets/owner/name", "hf://name", "hf://", "C:\\owner/name",
        "owner/name\n", "ow\x00er/name",
    ],
)  # fmt: skip
def test_other_texts_are_no_names(text: str) -> None:
    assert not hub.is_hub_name(text)


def test_what_is_a_path_or_would_be_one_in_a_folder_is_no_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert hub.is_hub_name("owner/name")
    (tmp_path / "owner").mkdir()
    assert not hub.is_hub_name("owner/name")
    assert hub.is_hub_name("hf://owner/name")


@pytest.fixture
def dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that `datasets` loads as it loads one of the Hub, and the working directory beside it."""
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "owner" / "name"
    folder.mkdir(parents=True)
    for split, rows in (("train", ROWS), ("test", ROWS[:3])):
        lines = [json.dumps(row, ensure_ascii=False) for row in rows]
        (folder / f"{split}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def test_a_dataset_becomes_a_file_of_json_lines(dataset: Path, tmp_path: Path) -> None:
    path = hub.fetch("owner/name", folder=tmp_path / "new" / "folder")
    assert path == tmp_path / "new" / "folder" / "owner--name--train.jsonl"
    source = read_source(path)
    assert [row.value for row in source.rows] == ROWS
    assert (source.container, source.problems) == ("jsonl", ())


def test_the_split_in_the_name_has_precedence(dataset: Path, tmp_path: Path) -> None:
    for path in (
        hub.fetch("hf://owner/name:test", split="train", folder=tmp_path),
        hub.fetch("owner/name", split="test", folder=tmp_path),
    ):
        assert path.name == "owner--name--test.jsonl"
        assert len(read_source(path).rows) == 3


def test_labels_get_their_names_and_other_values_are_plain(dataset: Path, tmp_path: Path) -> None:
    import datasets

    features = datasets.Features(
        text=datasets.Value("string"),
        label=datasets.ClassLabel(names=["ham", "spam"]),
        day=datasets.Value("date32"),
        score=datasets.Value("float32"),
        raw=datasets.Value("binary"),
    )
    columns = {
        "text": ["a", "b", "c"],
        "label": [1, 0, -1],
        "day": [None, datetime.date(1970, 1, 1), datetime.date(1970, 1, 2)],
        "score": [0.5, float("nan"), None],
        "raw": [b"x", b"\xff", None],
    }
    for file in dataset.iterdir():
        file.unlink()
    datasets.Dataset.from_dict(columns, features=features).to_parquet(str(dataset / "train.parquet"))
    assert [row.value for row in read_source(hub.fetch("owner/name", folder=tmp_path)).rows] == [
        {"text": "a", "label": "spam", "day": None, "score": 0.5, "raw": "x"},
        {"text": "b", "label": "ham", "day": "1970-01-01", "score": None, "raw": None},
        {"text": "c", "label": None, "day": "1970-01-02", "score": None, "raw": None},
    ]


@pytest.mark.parametrize(
    ("name", "split", "kind", "words"),
    [
        ("owner/name", "validation", UsageError, r"no such split[\s\S]*'train', 'test'"),
        ("owner", "train", UsageError, "no name of a dataset"),
        ("owner/empty", "train", DataError, "cannot be read"),
        ("owner/code", "train", DataError, "needs code"),
        ("owner/configs", "train", UsageError, r"several configurations[\s\S]*'first', 'second'"),
    ],
)
def test_what_is_wrong_with_a_dataset_is_said_with_a_next_step(
    dataset: Path, tmp_path: Path, name: str, split: str, kind: type[FittingRoomError], words: str
) -> None:
    (dataset.parent / "empty").mkdir()
    (dataset.parent / "code").mkdir()
    (dataset.parent / "code" / "code.py").write_text("raise SystemExit\n")
    configs = dataset.parent / "configs"
    configs.mkdir()
    for config in ("first", "second"):
        (configs / f"{config}.jsonl").write_text('{"a": 1}\n')
    listed = "".join(f"- config_name: {config}\n  data_files: {config}.jsonl\n" for config in ("first", "second"))
    (configs / "README.md").write_text(f"---\nconfigs:\n{listed}---\n")
    with pytest.raises(kind, match=words) as caught:
        hub.fetch(name, split=split, folder=tmp_path / "new")
    assert caught.value.next_step
    assert not (tmp_path / "new").exists()
    for path in (
        hub.fetch("owner/configs", config="second", folder=tmp_path),
        hub.fetch("owner/configs:second:train", folder=tmp_path),
    ):
        assert path.name == "owner--configs--second--train.jsonl"
        assert len(read_source(path).rows) == 1


def test_rows_that_break_off_leave_no_file(dataset: Path, tmp_path: Path) -> None:
    good = json.dumps({"prompt": "a" * 10_000, "completion": "b"}) + "\n"
    (dataset / "train.jsonl").write_text(good * 2500 + '{"prompt": \n')  # read 10 MB at a time
    with pytest.raises(DataError) as caught:
        hub.fetch("owner/name", folder=tmp_path / "new")
    assert caught.value.next_step
    assert list((tmp_path / "new").iterdir()) == []


def _fetch_elsewhere(tmp_path: Path, **environment: str) -> str:
    """What `fetch` says in a process of its own, where the settings of the Hub's library are read anew."""
    code = (
        "from pathlib import Path\n"
        "from dataset_tools.errors import FittingRoomError\n"
        "from dataset_tools.reading import hub\n"
        "try:\n    print(hub.fetch('owner/name', folder=Path('.')))\n"
        "except FittingRoomError as error:\n    print(type(error).__name__, error)\n"
    )
    settings = {**os.environ, "PYTHONPATH": str(ROOT), "HF_HOME": str(tmp_path / "hub"), **environment}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=settings, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_offline_mode_is_named(tmp_path: Path) -> None:
    said = _fetch_elsewhere(tmp_path, HF_HUB_OFFLINE="1")
    assert said.startswith("NotReachedError") and "offline mode" in said and "next: unset HF_HUB_OFFLINE" in said


def test_a_hub_that_does_not_answer_is_named(tmp_path: Path) -> None:
    said = _fetch_elsewhere(tmp_path, HF_HUB_OFFLINE="0", HF_ENDPOINT="http://127.0.0.1:9")
    assert said.startswith("NotReachedError") and "cannot be reached" in said and "next: check the connection" in said


def test_rows_that_were_downloaded_before_are_used_where_the_hub_is_not_reached(tmp_path: Path) -> None:
    (tmp_path / "owner--name--train.jsonl").write_text("{}\n")
    assert _fetch_elsewhere(tmp_path, HF_HUB_OFFLINE="1") == "owner--name--train.jsonl\n"


def test_a_dataset_that_the_hub_does_not_have_is_named(tmp_path: Path) -> None:
    import http.server
    import threading

    class Hub(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(404)
            self.send_header("X-Error-Code", "RepoNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_HEAD = do_GET

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        said = _fetch_elsewhere(tmp_path, HF_HUB_OFFLINE="0", HF_ENDPOINT=f"http://127.0.0.1:{server.server_port}")
        server.shutdown()
    assert said.startswith("UsageError") and "no such dataset" in said
