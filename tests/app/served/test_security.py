"""What the server refuses, and what it adds to every reply. Over HTTP, against the real application."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from app.security import HEADERS, reason_to_refuse
from app.server import listen
from dataset_tools import UsageError

HOST = "127.0.0.1:7860"
BOUNDARY = "part"
BODY = (
    f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="files"; filename="a.txt"\r\n'
    f"Content-Type: text/plain\r\n\r\ntext\r\n--{BOUNDARY}--\r\n"
)


def ask(app: str, method: str, path: str, headers: dict[str, str]) -> tuple[int, dict[str, str]]:
    """The status and the headers of the reply; ``OWN`` stands for the app's own host and port."""
    own = app.removeprefix("http://")
    connection = http.client.HTTPConnection(own)
    sent = {name: value.replace("OWN", own) for name, value in headers.items()}
    form = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"} if method == "POST" else {}
    connection.request(method, path, BODY if method == "POST" else None, form | sent)
    reply = connection.getresponse()
    reply.read()
    connection.close()
    return reply.status, dict(reply.headers)


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://elsewhere.example"},
        {"Origin": "http://127.0.0.1:3"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "http://OWN", "Host": "rebound.example:7860"},
    ],
)
def test_a_post_that_another_site_sent_is_refused(app: str, headers: dict[str, str]) -> None:
    assert ask(app, "POST", "/gradio_api/upload", headers)[0] == 403


def test_a_post_of_the_apps_own_page_is_taken(app: str) -> None:
    headers = {"Origin": "http://OWN", "Sec-Fetch-Site": "same-origin"}
    assert ask(app, "POST", "/gradio_api/upload", headers)[0] == 200


@pytest.mark.parametrize("host", ["elsewhere.example", "127.0.0.1.elsewhere.example:7860", "", "[", "192.168.1.5:7860"])
def test_an_unknown_host_name_is_refused(host: str) -> None:
    assert reason_to_refuse("GET", {"host": host}) is not None


@pytest.mark.parametrize("host", ["127.0.0.1:7860", "localhost:7860", "localhost", "[::1]:7860"])
def test_this_machine_is_let_in_by_all_its_names(host: str) -> None:
    assert reason_to_refuse("GET", {"host": host}) is None
    assert reason_to_refuse("POST", {"host": host, "origin": f"http://{host}"}) is None


def test_a_link_from_elsewhere_opens_the_app_but_a_picture_tag_gets_nothing() -> None:
    foreign = {"host": HOST, "sec-fetch-site": "cross-site"}
    assert reason_to_refuse("GET", {**foreign, "sec-fetch-mode": "navigate"}) is None
    assert reason_to_refuse("GET", {**foreign, "sec-fetch-mode": "no-cors"}) is not None


@pytest.mark.parametrize("path", ["/", "/compare", "/config", "/no-such-page"])
def test_every_reply_has_the_protecting_headers(app: str, path: str) -> None:
    found = {name.lower(): value for name, value in ask(app, "GET", path, {})[1].items()}
    assert {name: found.get(name.lower()) for name in HEADERS} == HEADERS


@pytest.mark.parametrize("name", ["result.json", "run.json", "items.csv", "..%2F..%2Frun.json", "%2Fetc%2Fhostname"])
@pytest.mark.parametrize("comparison", ["no-such-comparison", "..%2Fruns", "..", "%2Fetc"])
def test_a_download_is_one_of_the_results_of_a_comparison_or_nothing(app: str, comparison: str, name: str) -> None:
    assert ask(app, "GET", f"/download/{comparison}/{name}", {})[0] == 404


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::", "example.org", ""])
def test_only_this_machine_is_served(host: str) -> None:
    with pytest.raises(UsageError, match="no login"):
        listen(host, 7860)


def test_a_taken_port_gives_way_to_the_next_free_one(caplog: pytest.LogCaptureFixture) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with listen("127.0.0.1", port) as found:
            assert found.getsockname()[1] > port
    assert f"Port {port} is taken" in caplog.text


def test_starting_the_server_loads_no_model_library(tmp_path: Path) -> None:
    code = "import sys; from app.server import create_server; create_server(); print('torch' in sys.modules)"
    environment = {**os.environ, "FITTING_ROOM_HOME": str(tmp_path)}
    root = Path(__file__).resolve().parents[3]
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, env=environment, capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "False", done.stderr
