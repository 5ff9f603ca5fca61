"""The files of exports, given to a browser: each by itself, or all of a small export in one archive."""

from __future__ import annotations

import os
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.components.exporting import MOST_DOWNLOADED
from app.exports import Made, form_named, made_in
from app.run_reading import known_runs

if TYPE_CHECKING:
    from fastapi import FastAPI


def found(run: str, form: str) -> Made | None:
    """The export of this run in this form, at its usual place; None where there is none."""
    wanted = form_named(form)
    there = next((each for each in known_runs() if each.path.name == run), None)
    return made_in(there, wanted) if there is not None and wanted is not None else None


def file_of(run: str, form: str, name: str) -> Path | None:
    """A file of an export that a browser is offered; None where there is none of this name."""
    made = found(run, form)
    size = made.files.get(name) if made is not None else None
    return made.folder / name if made is not None and size is not None and size <= MOST_DOWNLOADED else None


def archive_of(run: str, form: str) -> Path | None:
    """All files of an export in a new archive, for the caller to remove; None where there is none or it is large."""
    made = found(run, form)
    if made is None or sum(made.files.values()) > MOST_DOWNLOADED:
        return None
    handle, name = tempfile.mkstemp(suffix=".zip")
    with os.fdopen(handle, "wb") as file, zipfile.ZipFile(file, "w") as archive:  # weights do not get smaller by it
        for each in made.files:
            archive.write(made.folder / each, f"{made.folder.name}/{each}")
    return Path(name)


def add_downloads(server: FastAPI) -> None:
    """Let the server answer to ``/exported/RUN/FORM.zip`` and ``/exported/RUN/FORM/NAME``."""
    from fastapi import HTTPException
    from fastapi.responses import FileResponse
    from starlette.background import BackgroundTask

    fresh = {"Cache-Control": "no-cache"}  # it may be exported again

    @server.get("/exported/{run}/{form}.zip", response_model=None)
    def archive(run: str, form: str) -> Any:
        file = archive_of(run, form)
        if file is None:
            raise HTTPException(404, "There is no such file.")
        away = BackgroundTask(file.unlink, missing_ok=True)
        kind = "application/zip"
        return FileResponse(file, filename=f"{run}-{form}.zip", media_type=kind, headers=fresh, background=away)

    @server.get("/exported/{run}/{form}/{name:path}", response_model=None)
    def exported(run: str, form: str, name: str) -> Any:
        file = file_of(run, form, name)
        if file is None:
            raise HTTPException(404, "There is no such file.")
        return FileResponse(file, filename=file.name, media_type="application/octet-stream", headers=fresh)
