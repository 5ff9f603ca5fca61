"""Where the app is served now: noted while it serves, asked for by who prints links, never made up."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from advisor.human import VoteStore, from_comparison
from app.command_line import cli
from app.served import USUAL, noted, page_address, served_at
from app.server import create_server
from app.workspace import Workspace
from dataset_tools import UsageError
from tests.advisor.human_support import comparison_folder
from tests.advisor.test_human_reporting import finished, vote_on


@pytest.fixture
def listening() -> Iterator[str]:
    """The address of a socket that listens, as the app's does."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def test_the_address_is_known_for_as_long_as_somebody_listens_there(fitting_room_home: Path, listening: str) -> None:
    assert served_at() is None and page_address("/evaluate") == (f"{USUAL}/evaluate", False)
    with noted(listening):
        assert served_at() == listening and page_address("/evaluate") == (f"{listening}/evaluate", True)
        with noted("http://127.0.0.1:1"):  # another one that has ended without a word
            assert served_at() is None
    assert not (fitting_room_home / "served.json").exists()
    (fitting_room_home / "served.json").write_text("[nonsense")
    assert served_at() is None


def test_a_server_that_ends_leaves_the_note_of_another_alone(fitting_room_home: Path, listening: str) -> None:
    with noted("http://127.0.0.1:1"):
        (fitting_room_home / "served.json").write_text(json.dumps({"address": listening, "process": 1}))
    assert served_at() == listening


@pytest.mark.parametrize("url", ["", "ftp://x", "desk", "http://", "http://x:port/", "http://x/?a=b"])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match="no address of the app"):
        page_address("/evaluate", url)


def test_the_link_of_a_new_session_leads_to_where_the_app_is(
    fitting_room_home: Path, listening: str, tmp_path: Path
) -> None:
    folder = str(comparison_folder(tmp_path / "comparison"))
    with noted(listening):
        told = CliRunner().invoke(cli, ["votes", "new", folder]).stdout
    assert f"Vote at {listening}/evaluate?session=" in told and "not served" not in told
    told = CliRunner().invoke(cli, ["votes", "new", folder, "--url", "https://tunnel.example/"]).stdout
    assert "Vote at https://tunnel.example/evaluate?session=" in told
    told = CliRunner().invoke(cli, ["votes", "new", folder], env={"FITTING_ROOM_URL": "http://desk:1"}).stdout
    assert "Vote at http://desk:1/evaluate?session=" in told
    refused = CliRunner().invoke(cli, ["votes", "new", folder, "--url", "desk"])
    assert refused.exit_code == 2
    told = CliRunner().invoke(cli, ["votes", "new", folder]).stdout
    assert f"Vote at {USUAL}" in told and "`fitting-room serve`" in told


def test_a_report_that_is_looked_at_says_how_many_votes_there_are_by_now(fitting_room_home: Path) -> None:
    from starlette.testclient import TestClient

    folder = fitting_room_home / "comparisons" / "20260101-000000-abcdef"
    folder.parent.mkdir()
    finished(folder)
    (folder / "run.json").write_text(json.dumps({"state": "done", "created": 1.0}))

    async def build() -> Any:
        return create_server(Workspace(fitting_room_home))

    with ThreadPoolExecutor(1) as pool:  # see tests/app/test_build_page.py
        server = pool.submit(asyncio.run, build()).result()
    client = TestClient(server, base_url="http://127.0.0.1:7860")
    with VoteStore.open() as store:
        made = store.add(from_comparison(folder, title="Towers"))
        for count in (1, 2):
            vote_on(store, made, "few-shot", count=1)
            for place in (f"/report/{folder.name}", f"/download/{folder.name}/report.md"):
                assert f"Towers: so far {count} vote" in client.get(place).text
