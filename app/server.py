"""The server of the browser app: its pages, its downloads and what protects them. It imports no model library."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from advisor.human import tell_newest
from app import export_files
from app.components.layout import CSS, address, theme
from app.drafts import export
from app.pages.votes import add_downloads
from app.security import LOOPBACK, POLICY, SEALED, LocalOnly
from app.served import noted
from app.versions import downloads
from app.workspace import Workspace, find
from dataset_tools import UsageError

if TYPE_CHECKING:
    import gradio
    from fastapi import FastAPI

logger = logging.getLogger(__name__)
_DOWNLOADS = ("result.json", "report.md", "report.html", "items.jsonl", "items.csv")
_FRESH = {"Cache-Control": "no-cache"}  # a comparison may be judged again
_LARGEST_UPLOAD = "2gb"
_KEPT_SECONDS = 3600  # uploads are moved away at once; what is left in Gradio's cache goes after an hour
_TRIED_PORTS = 50
_FAREWELL_SECONDS = 1  # open pages hold a stream that never ends by itself


def build_app(workspace: Workspace | None = None) -> gradio.Blocks:
    """The pages. Building them loads no model and touches no project."""
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    import gradio as gr

    from app.models import Models
    from app.pages.build import BuildPage
    from app.pages.compare import ComparePage
    from app.pages.data import DataPage
    from app.pages.evaluate import EvaluatePage
    from app.pages.train import TrainPage

    workspace, models = workspace or Workspace(), Models()
    with gr.Blocks(
        title="Fitting Room", analytics_enabled=False, delete_cache=(_KEPT_SECONDS, _KEPT_SECONDS)
    ) as blocks:
        DataPage(workspace).build(blocks)
    pages: dict[str, Any] = {
        "Build": BuildPage(workspace, models),
        "Compare": ComparePage(workspace),
        "Train": TrainPage(workspace),
        "Evaluate": EvaluatePage(workspace, models),
    }
    for name, page in pages.items():
        with blocks.route(name, f"/{name.lower()}", show_in_navbar=False):
            page.build(blocks)
    return blocks


def create_server(workspace: Workspace | None = None) -> FastAPI:
    """The whole web application: pages, downloads, protection."""
    workspace = workspace or Workspace()
    blocks = build_app(workspace)
    import gradio as gr
    from fastapi import FastAPI

    server = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    server.add_middleware(LocalOnly)
    _add_files(server, workspace)
    add_downloads(server)
    export_files.add_downloads(server)
    # It says that several pages exclude rendering on the server, also where that is switched off.
    warnings.filterwarnings("ignore", message="SSR mode is not supported with multi-page apps")
    gr.mount_gradio_app(
        server,
        blocks,
        path="/",
        footer_links=[],
        show_error=False,  # the text of an exception would be shown as HTML
        max_file_size=_LARGEST_UPLOAD,
        enable_monitoring=False,
        ssr_mode=False,
        mcp_server=False,
        theme=theme(),
        css_paths=list(CSS),
    )
    return server


def _add_files(server: FastAPI, workspace: Workspace) -> None:
    """What a comparison, a draft and a project's versions give to be downloaded, and the report."""
    from fastapi import HTTPException
    from fastapi.responses import FileResponse

    @server.get("/download/{comparison}/{name}")
    def download(comparison: str, name: str) -> FileResponse:
        run = find(workspace.comparisons(), comparison)
        if run is not None and name == "report.md":
            tell_newest(run.path)
        if run is None or name not in _DOWNLOADS or not (run.path / name).is_file():
            raise HTTPException(404, "There is no such file.")
        kind = "application/octet-stream"
        return FileResponse(run.path / name, filename=f"{comparison}-{name}", media_type=kind, headers=_FRESH)

    @server.get("/report/{comparison}")
    def report(comparison: str) -> FileResponse:
        run = find(workspace.comparisons(), comparison)
        if run is not None:
            tell_newest(run.path)  # votes have come since it was made
        if run is None or not (run.path / "report.html").is_file():
            raise HTTPException(404, "There is no such report.")
        return FileResponse(run.path / "report.html", media_type="text/html", headers=_FRESH | {POLICY: SEALED})

    @server.get("/draft/{project}/{name}")
    def download_draft(project: str, name: str) -> FileResponse:
        owner = workspace.project(project)
        file = export(owner, name) if owner is not None and owner.id == project else None
        if file is None:
            raise HTTPException(404, "There is no such file.")
        return FileResponse(file, filename=name, media_type="application/octet-stream")

    @server.get("/files/{project}/{name:path}")
    def download_file(project: str, name: str) -> FileResponse:
        owner = workspace.project(project)
        file = downloads(owner).get(name) if owner is not None and owner.id == project else None
        if file is None:
            raise HTTPException(404, "There is no such file.")
        return FileResponse(file, filename=file.name, media_type="application/octet-stream")


def serve(
    *,
    host: str = "127.0.0.1",
    port: int = 7860,
    open_result: Path | None = None,
    ready: Callable[[str], None] | None = None,
) -> None:
    """Serve the app until it is interrupted.

    Args:
        host: A name of this machine itself. There is no login, so nothing else is served.
        port: The port; the next free one if it is taken.
        open_result: A comparison's folder that the Compare page shows at once.
        ready: Is given the address once the server answers.

    Raises:
        UsageError: the host is not this machine alone, or no port is free.
    """
    import uvicorn

    listener = listen(host, port)
    place = f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}"
    opened = open_result.resolve() if open_result else None
    page = address("compare", comparison=opened.name) if opened else address("data")
    server = create_server(Workspace(opened=opened))

    class Announcing(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if ready and self.started:
                ready(place + page)

    config = uvicorn.Config(server, log_level="warning", timeout_graceful_shutdown=_FAREWELL_SECONDS, ws="none")
    logging.getLogger("uvicorn.error").addFilter(_is_worth_saying)
    with noted(place):
        Announcing(config).run(sockets=[listener])


def _is_worth_saying(record: logging.LogRecord) -> bool:
    """Not that an open page's stream was cut off when the server was stopped: that is how it ends."""
    cut_off = record.exc_info is not None and isinstance(record.exc_info[1], asyncio.CancelledError)
    return not cut_off and "timeout graceful shutdown" not in record.getMessage()


def listen(host: str, port: int) -> socket.socket:
    """A listening socket on this port, or on the next free one.

    Raises:
        UsageError: the host is not this machine alone, or no port is free.
    """
    if host not in LOOPBACK:
        raise UsageError(
            "The app is served to this machine only: it has no login yet.",
            found=host,
            expected=" or ".join(LOOPBACK[:2]),
            next_step="To use it from another machine, forward the port: ssh -L 7860:localhost:7860 THIS_MACHINE",
        )
    last: Any = None
    for candidate in range(port, min(port + _TRIED_PORTS, 65536)):
        listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, candidate))
            listener.listen()
        except OSError as error:
            listener.close()
            last = error
            continue
        if candidate != port:
            logger.warning("Port %d is taken; using %d.", port, candidate)
        return listener
    raise UsageError(
        "No port is free.", found=str(last), expected=f"a free port from {port} on", next_step="Give --port."
    )
