"""How the pages of the whole app are wired."""

from __future__ import annotations

import asyncio
import inspect
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from app.server import build_app
from app.workspace import Workspace


def test_only_what_answers_in_several_steps_goes_through_the_queue(tmp_path: Path) -> None:
    async def build() -> list[tuple[str, bool, bool]]:
        blocks = build_app(Workspace(tmp_path / "home"))
        return [(str(fn.name), bool(fn.queue), inspect.isgeneratorfunction(fn.fn)) for fn in blocks.fns.values()]

    with ThreadPoolExecutor(1) as pool:  # see tests/app/test_build_page.py
        wired = pool.submit(asyncio.run, build()).result()
    assert len(wired) > 50
    assert [name for name, queued, steps in wired if queued != steps] == []
