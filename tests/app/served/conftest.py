"""What the tests of the served app share: the real server in a process of its own, and a real Chromium."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from tests.app.served import forked

PATIENCE = 120_000  # milliseconds, as the browser's driver counts; only a hung page waits so long


@pytest.fixture(scope="session")
def serving() -> Callable[..., AbstractContextManager[str]]:
    """Serves the app from a home, with further environment variables, and gives its address."""
    return forked.serving


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("served-home")


@pytest.fixture(scope="module")
def app(home: Path, tiny_model: Path) -> Iterator[str]:
    with forked.serving(home, FITTING_ROOM_MODEL=str(tiny_model)) as address:
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
