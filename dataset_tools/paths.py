"""From text that a user typed to a path: the only way. It does not look whether the file is there."""

from __future__ import annotations

from pathlib import Path, PureWindowsPath

from dataset_tools.errors import UsageError

MAX_NAME_BYTES = 255  # NAME_MAX of the usual file systems


def resolve_inside(root: Path, name: str) -> Path:
    """The path of ``name`` under ``root``, links followed; it may or may not exist.

    Raises:
        UsageError: ``name`` is empty, holds a control character, is absolute (on any system), is too long, or leads
            out of ``root`` by ``..`` or by a link.
    """
    reason = _reason_to_refuse(name)
    if reason is None:
        base = root.resolve()
        try:
            path = (base / name).resolve()
        except (OSError, RuntimeError, ValueError):  # a loop of links, or text that no file name can hold
            reason = "it cannot be a path"
        else:
            if base in path.parents:
                return path
            reason = "it leads out of the folder"
    raise UsageError(
        f"this name is refused: {reason}",
        where=str(root),
        found=ascii(name[:200]),
        expected="a plain name inside the folder",
        next_step="use a name without '..', a drive or a leading '/'",
    )


def _reason_to_refuse(name: str) -> str | None:
    if not name.strip():
        return "it is empty"
    if any(ord(char) < 32 or ord(char) == 127 for char in name):
        return "it holds a control character"
    if name.startswith(("/", "\\", "~")) or PureWindowsPath(name).drive:
        return "it is absolute"
    parts = name.replace("\\", "/").split("/")
    if ".." in parts:
        return "it leads upwards"
    if any(len(part.encode("utf-8", errors="surrogatepass")) > MAX_NAME_BYTES for part in parts):
        return f"a part of it is longer than {MAX_NAME_BYTES} bytes"
    return None
