"""An export sent to the Hugging Face hub. The token goes to the hub alone: into no log, message or command line."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from dataset_tools.errors import UsageError
from training.export.placing import MANIFEST
from training.export.report import ExportError

_REPO = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}", re.ASCII)


def push(folder: Path, repo_id: str, token: str, *, private: bool = True, endpoint: str | None = None) -> str:
    """Send an export's folder to a repository of the hub, which is made where it is missing; the repository's address.

    Args:
        folder: A proven export.
        repo_id: "org/name".
        token: With the right to write there.
        private: Whether a repository that is made now is private.
        endpoint: Another hub than the public one.

    Raises:
        UsageError: the name is none, or the token is missing.
        ExportError: the folder is no export, has changed since it was proven, or the hub refuses or is out of reach.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HTTPError  # type: ignore[attr-defined]  # its HTTP library's

    check_repo_id(repo_id)
    if not token.strip():
        raise UsageError(
            "The hub wants a token.", next_step="Set HF_TOKEN to one with the right to write, or type it when asked."
        )
    require_untouched(folder)
    api = HfApi(token=token, endpoint=endpoint)
    try:
        address = str(api.create_repo(repo_id, private=private, exist_ok=True))
        api.upload_folder(repo_id=repo_id, folder_path=folder, commit_message="Add a model made with Fitting Room")
    except HfHubHTTPError as error:
        raise _refused(repo_id, error, token) from None  # its cause holds the request, and that the token
    except (HTTPError, OSError, ValueError) as error:
        raise ExportError(
            "The hub cannot be reached.",
            found=_without(token, str(error) or type(error).__name__),
            expected=f"a connection to {api.endpoint}",
            next_step=f"Check the network. The export itself is done: {folder}",
        ) from None
    return address


def check_repo_id(repo_id: str) -> None:
    """Refuse what is no repository's name.

    Raises:
        UsageError: it is not of the form org/name.
    """
    if not _REPO.fullmatch(repo_id) or ".." in repo_id or "--" in repo_id:
        raise UsageError("This is no repository's name.", found=ascii(repo_id[:100]), expected="ORG/NAME")


def require_untouched(folder: Path) -> None:
    """Refuse a folder that is no export, or whose files are not those that were proven.

    Raises:
        ExportError: with what differs.
    """
    from training.export.source import data_hash

    try:
        files: dict[str, Any] = json.loads((folder / MANIFEST).read_text("utf-8"))["sha256"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ExportError("This folder is no export.", where=str(folder), found=str(error)[:200]) from error
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} - {MANIFEST}
    changed = [name for name in files if name not in there or data_hash(folder / name) != files[name]]
    if changed or there - set(files):
        raise ExportError(
            "The export is not what was proven: files were changed, added or removed.",
            where=str(folder),
            found=", ".join(sorted([*changed, *(there - set(files))])[:5]),
            next_step="Export again, then push.",
        )


def _refused(repo_id: str, error: Any, token: str) -> ExportError:
    status = getattr(getattr(error, "response", None), "status_code", None)
    hint = "Check that the token may write there." if status in (401, 403, 404) else "Try again later."
    said = _without(token, (str(error).strip().splitlines() or [type(error).__name__])[0])
    return ExportError(f"The hub refused {repo_id}.", found=f"{said} (status {status})", next_step=hint)


def _without(token: str, text: str) -> str:
    return text.replace(token, "***")[:300]
