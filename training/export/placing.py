"""Where an export is made, and how it takes its place: whole, in one step, or not at all.

It is made in a hidden folder beside its target and moved there when it is proven. An earlier export stays as it was
until that moment, and a reader that has one of its files open can go on reading it. Nothing but an earlier export is
ever replaced.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import glob
import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dataset_tools.errors import DiskFullError, UsageError
from training.runs import locks

MANIFEST = "export.json"
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_RENAME_EXCHANGE, _AT_FDCWD = 2, -100  # linux/fs.h, linux/fcntl.h
# Seconds after which a workshop without a lock was left behind, and is not just being made.
_ABANDONED = 3600.0


@dataclass(frozen=True)
class Workshop:
    """The hidden folder in which one export is made."""

    path: Path

    @property
    def export(self) -> Path:
        """What will be moved to the target."""
        return self.path / "export"

    @property
    def scratch(self) -> Path:
        """What is only needed on the way."""
        return self.path / "scratch"

    @property
    def replaced(self) -> Path:
        """Where the earlier export waits, on systems that cannot swap two folders."""
        return self.path / "replaced"


@contextlib.contextmanager
def placed(out: Path) -> Iterator[Workshop]:
    """A workshop beside `out`; what its `export` holds when the block ends well takes the place of `out`.

    When the block fails, or the process dies, `out` is as it was.

    Raises:
        UsageError: `out` is there and is no earlier export.
        DiskFullError: no space is left.
    """
    out = out.expanduser().absolute()
    out = out.parent.resolve() / out.name
    check_target(out)
    with disk_full_named(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        _clear_abandoned(out)
        workshop = Workshop(Path(tempfile.mkdtemp(prefix=_prefix(out), dir=out.parent)))
        lock = locks.take(workshop.path / "lock")
        try:
            workshop.export.mkdir()
            workshop.scratch.mkdir()
            yield workshop
            check_target(out)  # it took a while
            _sync(workshop.export)
            _move(workshop, out)
        finally:
            shutil.rmtree(workshop.path, ignore_errors=True)
            if lock is not None:
                os.close(lock)


def check_target(out: Path) -> None:
    """Refuse a target that holds anything but an earlier export.

    Raises:
        UsageError: with what is there.
    """
    if not os.path.lexists(out):
        return
    is_folder = out.is_dir() and not out.is_symlink()
    foreign = _foreign(out) if is_folder else ["no folder"]
    if foreign:
        raise UsageError(
            "There is something at this place that is no export, and it is not overwritten.",
            where=str(out),
            found=", ".join(foreign[:6]),
            expected="a new name, an empty folder, or an earlier export",
            next_step="Choose another folder with --out.",
        )


def _foreign(folder: Path) -> list[str]:
    """What is in a folder that an export did not put there, as its export.json tells."""
    try:
        ours = {*json.loads((folder / MANIFEST).read_text("utf-8"))["sha256"], MANIFEST}
    except (OSError, ValueError, KeyError, TypeError):
        ours = set()
    return sorted({path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()} - ours)


def require_space(folder: Path, needed: int) -> None:
    """Refuse to begin what the disk has no room for.

    Raises:
        DiskFullError: fewer than `needed` bytes are free.
    """
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise DiskFullError(
            "There is no room for this export.",
            where=str(folder),
            found=f"{free / 1e9:.1f} GB free",
            expected=f"{needed / 1e9:.1f} GB while it is made",
            next_step="Free some space, or choose a folder on another disk with --out.",
        )


@contextlib.contextmanager
def disk_full_named(where: Path) -> Iterator[None]:
    """Turn "no space left", in whichever words a library says it, into an error that names the folder.

    safetensors reports it as an error of its own, with the system's message inside; numpy's ``tofile`` keeps the
    system's message to itself and says how much it could write.
    """
    from safetensors import SafetensorError

    try:
        yield
    except (OSError, SafetensorError) as error:
        full = isinstance(error, OSError) and error.errno in _NO_SPACE
        full = full or any(os.strerror(number) in str(error) for number in _NO_SPACE)
        if not full and not re.fullmatch(r"\d+ requested and \d+ written", str(error)):
            raise
        raise DiskFullError(
            "The disk is full: the export could not be written.",
            where=str(where.parent),
            found=str(error)[:200],
            next_step="Free some space, or choose a folder on another disk with --out. What was there is unchanged.",
        ) from error


def _prefix(out: Path) -> str:
    return f".{out.name[:100]}.exporting-"


def _clear_abandoned(out: Path) -> None:
    """Remove the workshops of exports that died; put back an earlier export that one of them had set aside."""
    for path in out.parent.glob(glob.escape(_prefix(out)) + "*"):
        lock, workshop = path / "lock", Workshop(path)
        if not path.is_dir():
            continue
        if locks.is_taken(lock) or (not lock.exists() and time.time() - path.stat().st_mtime < _ABANDONED):
            continue
        if workshop.replaced.is_dir() and not out.exists():
            workshop.replaced.rename(out)
        shutil.rmtree(path, ignore_errors=True)


def _move(workshop: Workshop, out: Path) -> None:
    if not out.exists():
        workshop.export.rename(out)
    elif not any(out.iterdir()):
        os.replace(workshop.export, out)  # the system replaces an empty folder in one step
    elif not _exchange(workshop.export, out):
        out.rename(workshop.replaced)
        workshop.export.rename(out)
    _sync_folder(out.parent)


def _exchange(first: Path, second: Path) -> bool:
    """Swap two folders in one step where the system can (renameat2 of Linux); whether it could."""
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        return False
    done = rename(_AT_FDCWD, os.fsencode(first), _AT_FDCWD, os.fsencode(second), _RENAME_EXCHANGE)
    return bool(done == 0)


def _sync(folder: Path) -> None:
    """Have the disk hold what was written before its name changes; readable for whom a plain ``open`` would make it so.

    safetensors makes its files readable for their owner alone.
    """
    mask = os.umask(0o077)
    os.umask(mask)
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            path.chmod(0o666 & ~mask)
            with path.open("rb") as file:
                os.fsync(file.fileno())
    _sync_folder(folder)


def _sync_folder(folder: Path) -> None:
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
