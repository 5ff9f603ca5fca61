"""What the tests of the command line share: calling it in this process, and in one of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

ROOT = Path(__file__).resolve().parents[2]
COLOURS = {
    "RED-1": "strawberry tomato cherry ruby",
    "BLUE-2": "ocean sapphire denim sky",
    "GREEN-3": "grass lime moss pea",
}
SAYINGS = [
    "What is the colour of a {} in the morning sun?",
    "My aunt painted her kitchen like a {}, which shade was it",
    "Tell me the code for anything that looks as a {} does.",
    "{}: sort it into a bin, and be quick about it!",
]


@pytest.fixture(scope="session")
def rows_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty-eight rows of three labels that can be trained on, without a fault."""
    pairs = [(label, word) for label, words in COLOURS.items() for word in words.split()]
    rows = [
        {"prompt": f"{saying.format(word)} ({word[:2]}{number}{word[::-1]})", "completion": label}
        for number, saying in enumerate(SAYINGS)
        for label, word in pairs
    ]
    file = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


@pytest.fixture
def call(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Call the command line in this process, with the tiny model as the default."""
    from app.cli import cli

    monkeypatch.setenv("FITTING_ROOM_MODEL", str(tiny_model))
    return lambda *words: CliRunner().invoke(cli, [str(word) for word in words])


@pytest.fixture
def environment(tiny_model: Path) -> dict[str, str]:
    """For a process of its own: the tiny model, the test's home, and a hub that nobody answers at."""
    kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    return {
        **kept,
        "FITTING_ROOM_MODEL": str(tiny_model),
        "PYTHONPATH": str(ROOT),
        "HF_ENDPOINT": "http://127.0.0.1:9",
        "HF_HOME": str(tiny_model.parent / "hub"),
    }


@pytest.fixture
def start(environment: dict[str, str], tmp_path: Path) -> Callable[..., Any]:
    """Start the command line in a process of its own."""

    def start_process(*words: object, before: tuple[str, ...] = (), **options: Any) -> subprocess.Popen[bytes]:
        command = [*before, sys.executable, "-m", "app.cli", *(os.fspath(word) for word in words)]  # type: ignore[call-overload]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen(command, cwd=tmp_path, env=environment, **pipes, **options)

    return start_process
