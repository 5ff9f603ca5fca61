"""Sending an export to the hub: against a small hub of our own, with a token that nobody else may see."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from dataset_tools.errors import UsageError
from tests.training.export_support import tiny_run
from training.export import ExportError, check_repo_id, export, push

TOKEN = "hf_canary0123456789"
pytestmark = pytest.mark.usefixtures("one_thread")


class Hub(ThreadingHTTPServer):
    """What a hub answers to `create_repo` and `upload_folder`; it keeps what it was sent."""

    def __init__(self, *, refuse: bool) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.refuse, self.asked, self.files, self.private = refuse, list[str](), set[str](), None

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: Hub

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length) if length else self._chunks()
        self.server.asked.append(f"{self.path} {self.headers.get('Authorization')}")
        if self.server.refuse:
            return self._send(403, {"error": f"forbidden for {TOKEN}"})
        if self.path.endswith("/api/repos/create"):
            self.server.private = json.loads(body).get("private", json.loads(body).get("visibility"))
            return self._send(200, {"url": f"{self.server.address}/org/name"})
        if "preupload" in self.path:
            names = [file["path"] for file in json.loads(body)["files"]]
            return self._send(
                200, {"files": [{"path": name, "uploadMode": "regular", "shouldIgnore": False} for name in names]}
            )
        if "/commit/" in self.path:
            lines = [json.loads(line) for line in body.splitlines() if line.strip()]
            self.server.files |= {line["value"]["path"] for line in lines if line["key"] == "file"}
            commit = {"commitUrl": f"{self.server.address}/org/name/commit/1", "commitOid": "1" * 40}
            return self._send(200, {**commit, "pullRequestUrl": None, "hookOutput": "", "success": True})
        return self._send(200, {})

    def do_GET(self) -> None:
        self.server.asked.append(f"{self.path} {self.headers.get('Authorization')}")
        self._send(200, {"id": "org/name", "sha": "0" * 40, "siblings": [], "tags": [], "private": True})

    def _chunks(self) -> bytes:
        data = b""
        while size := int(self.rfile.readline() or b"0", 16):
            data += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return data

    def _send(self, status: int, values: dict[str, Any]) -> None:
        data = json.dumps(values).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        """Nothing is printed."""


def _serving(refuse: bool) -> Iterator[Hub]:
    with Hub(refuse=refuse) as hub:
        thread = threading.Thread(target=hub.serve_forever, daemon=True)
        thread.start()
        yield hub
        hub.shutdown()
        thread.join()


@pytest.fixture
def hub() -> Iterator[Hub]:
    yield from _serving(refuse=False)


@pytest.fixture
def refusing_hub() -> Iterator[Hub]:
    yield from _serving(refuse=True)


@pytest.fixture(scope="module")
def exported(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hub")
    return export(tiny_run(folder / "run", tiny_model), "adapter", folder / "out", rows=1).folder


def test_every_file_of_the_export_is_sent_to_a_private_repository(exported: Path, hub: Hub) -> None:
    assert push(exported, "org/name", TOKEN, endpoint=hub.address) == f"{hub.address}/org/name"
    assert hub.files == {path.name for path in exported.iterdir()} and hub.private in (True, "private")
    assert all(TOKEN in line for line in hub.asked if "/api/" in line)


def test_the_token_is_in_no_message_and_no_file(
    exported: Path, refusing_hub: Hub, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    import traceback

    for endpoint in (refusing_hub.address, "http://127.0.0.1:9"):
        with pytest.raises(ExportError) as raised:
            push(exported, "org/name", TOKEN, endpoint=endpoint)
        told = (
            str(raised.value) + json.dumps(raised.value.to_dict()) + "".join(traceback.format_exception(raised.value))
        )
        assert TOKEN not in told and ("refused" in told or "cannot be reached" in told)
    shown = capsys.readouterr()
    assert TOKEN not in shown.out + shown.err + caplog.text
    assert not any(TOKEN.encode() in path.read_bytes() for path in exported.rglob("*") if path.is_file())


def test_what_is_no_export_or_was_changed_is_not_sent(exported: Path, tmp_path: Path, hub: Hub) -> None:
    import shutil

    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "secret.txt").write_text("mine")
    with pytest.raises(ExportError, match="no export"):
        push(tmp_path / "mine", "org/name", TOKEN, endpoint=hub.address)
    for change in ("README.md", "added.txt"):
        copy = Path(shutil.copytree(exported, tmp_path / change))
        (copy / change).write_text("changed")
        with pytest.raises(ExportError, match=f"not what was proven(.|\n)*{change}"):
            push(copy, "org/name", TOKEN, endpoint=hub.address)
    assert hub.asked == []


@pytest.mark.parametrize(
    "name",
    ["", "name", "org/", "/name", "org/name/more", "../name", "org/..", "--public/x", "org/na me", "org/n\n", "o--g/x"],
)
def test_a_repository_is_named_org_and_name(name: str) -> None:
    with pytest.raises(UsageError, match="repository's name"):
        check_repo_id(name)


def test_without_a_token_nothing_is_sent(exported: Path, hub: Hub) -> None:
    with pytest.raises(UsageError, match="HF_TOKEN"):
        push(exported, "org/name", " ", endpoint=hub.address)
    assert hub.asked == []
