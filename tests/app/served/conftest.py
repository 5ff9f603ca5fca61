"""What the tests of the served app share: the real server in a process of its own, and a real Chromium."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
_SERVE = "from app.server import serve; serve(port=0, ready=lambda url: print(url, flush=True))"
PATIENCE = 120_000  # milliseconds, as the browser's driver counts; only a hung page waits so long


@contextmanager
def _serving(home: Path, **environment: str) -> Iterator[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", _SERVE],
        cwd=ROOT,
        env={**os.environ, "FITTING_ROOM_HOME": str(home), **environment},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        address = process.stdout.readline().strip()
        assert address.startswith("http://127.0.0.1:"), "the server did not start"
        yield address.rstrip("/")
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


@pytest.fixture(scope="session")
def serving() -> Callable[..., AbstractContextManager[str]]:
    """Serves the app from a home, with further environment variables, and gives its address."""
    return _serving


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("served-home")


@pytest.fixture(scope="module")
def app(home: Path, tiny_model: Path) -> Iterator[str]:
    with _serving(home, FITTING_ROOM_MODEL=str(tiny_model)) as address:
        yield address


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A fresh page that fails its test if it asks anybody but the app for anything."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page, elsewhere = context.new_page(), []
    page.set_default_timeout(PATIENCE)
    ours = ("http://127.0.0.1:", "data:", "blob:")
    page.on("request", lambda request: elsewhere.append(request.url) if not request.url.startswith(ours) else None)
    yield page
    context.close()
    assert elsewhere == []


@pytest.fixture
def jsonl(tmp_path: Path) -> Callable[[str, list[str]], Path]:
    """Write lines to a file of this name."""

    def write(name: str, lines: list[str]) -> Path:
        path = tmp_path / name
        path.write_text("\n".join(lines) + "\n", "utf-8")
        return path

    return write
