"""Where the app of this home is served now, noted by the server for those who print links to its pages.

    <home>/served.json    the address, and the server's process; there for as long as it serves

It starts no server, and asks none more than whether somebody listens.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from dataset_tools.errors import UsageError
from dataset_tools.writing import write_text_atomically
from training.home import home

USUAL = "http://127.0.0.1:7860"
"""Where ``fitting-room serve`` has its pages, unless it is told otherwise."""

_PATIENCE = 0.3  # seconds for a connection to this machine itself


@contextlib.contextmanager
def noted(address: str) -> Iterator[None]:
    """Note that the app is served at an address, until the context ends."""
    file, ours = _file(), {"address": address, "process": os.getpid()}
    file.parent.mkdir(parents=True, exist_ok=True)
    write_text_atomically(file, json.dumps(ours) + "\n")
    try:
        yield
    finally:
        if _read(file) == ours:  # else another server has come since
            file.unlink(missing_ok=True)


def served_at() -> str | None:
    """The address where the app of this home is served now; None where nobody listens there (any more)."""
    address = str(_read(_file()).get("address", ""))
    with contextlib.suppress(OSError, ValueError):
        parts = urlsplit(address)
        with socket.create_connection((parts.hostname or "", parts.port or 80), timeout=_PATIENCE):
            return address
    return None


def page_address(place: str, url: str | None = None) -> tuple[str, bool]:
    """The whole address of a page of the app, and whether it is served there now as far as can be told.

    Args:
        place: the page's path, as `app.components.layout.address` gives it.
        url: where people reach the app, such as the address of a tunnel; found out by itself without.

    Raises:
        UsageError: ``url`` is no address of the web.
    """
    if url is None:
        found = served_at()
        return (found or USUAL) + place, found is not None
    with contextlib.suppress(ValueError):
        parts = urlsplit(url.strip())
        host, _ = parts.hostname, parts.port  # a port that is none raises
        if parts.scheme in ("http", "https") and host and not parts.query and not parts.fragment:
            return url.strip().rstrip("/") + place, True
    raise UsageError(
        "This is no address of the app.",
        where="--url",
        found=repr(url)[:200],
        expected="such as http://127.0.0.1:7861, or that of a tunnel to it",
    )


def _file() -> Path:
    return home() / "served.json"


def _read(file: Path) -> dict[str, object]:
    try:
        found = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
