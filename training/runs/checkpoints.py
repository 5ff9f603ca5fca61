"""Checkpoints of a run: sealed with a manifest that is written last, and the newest whole one found again.

transformers writes a checkpoint file by file, straight into its folder, and takes the highest number for the newest
one, whole or not (transformers 5.23, `Trainer._save_checkpoint`, `get_last_checkpoint`). Here a checkpoint counts from
the moment that its manifest is on the disk, and for as long as every file is as the manifest says.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dataset_tools.writing import write_text_atomically

MANIFEST = "COMPLETE.json"
_NAME = re.compile(r"checkpoint-(\d+)")
# A pickle that nothing needs to go on: transformers writes the arguments of the run there.
_NEEDLESS = "training_args.bin"


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that is whole: its folder, the step it was taken at, and what it was taken from."""

    path: Path
    step: int
    inputs: Mapping[str, str]
    """What the run trained on: the hash of each input, by name."""


def seal(folder: Path, *, inputs: Mapping[str, str]) -> None:
    """Put a checkpoint's files on the disk for good, then its manifest: sizes, sha256, and the hashes of the inputs."""
    (folder / _NEEDLESS).unlink(missing_ok=True)
    files = {str(path.relative_to(folder)): _measure(path) for path in sorted(folder.rglob("*")) if path.is_file()}
    manifest = {"files": files, "inputs": dict(inputs)}
    write_text_atomically(folder / MANIFEST, json.dumps(manifest, indent=2) + "\n")


def fault(folder: Path) -> str | None:
    """What is wrong with a checkpoint, naming the file; None for a whole one."""
    try:
        files = json.loads((folder / MANIFEST).read_text("utf-8"))["files"]
    except FileNotFoundError:
        return f"{MANIFEST} is missing: the checkpoint was still being written"
    except (OSError, ValueError, KeyError, TypeError):
        return f"{MANIFEST} cannot be read"
    for name, wanted in files.items():
        path = folder / name
        if not path.is_file():
            return f"{name} is missing"
        size = path.stat().st_size
        if size != wanted["bytes"]:
            return f"{name} has {size:,} bytes instead of {wanted['bytes']:,}"
        if _sha256(path) != wanted["sha256"]:
            return f"{name} is not what was written (its sha256 differs)"
    return None


def newest_whole(checkpoints: Path) -> tuple[Checkpoint | None, list[str]]:
    """The newest whole checkpoint, and a sentence about each newer one that is not.

    Those are moved aside, into a folder beside, so that nobody takes them for whole.
    """
    remarks = list[str]()
    for step, folder in sorted(all_of(checkpoints).items(), reverse=True):
        wrong = fault(folder)
        if wrong is None:
            inputs = json.loads((folder / MANIFEST).read_text("utf-8"))["inputs"]
            return Checkpoint(folder, step, inputs), remarks
        _set_aside(folder)
        remarks.append(f"The checkpoint of step {step} is not whole and was set aside: {wrong}.")
    return None, remarks


def all_of(checkpoints: Path) -> dict[int, Path]:
    """The checkpoints' folders by their steps, whole or not."""
    found = checkpoints.iterdir() if checkpoints.is_dir() else ()
    named = ((path, _NAME.fullmatch(path.name)) for path in found)
    return {int(match[1]): path for path, match in named if match}


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """The names whose values are not the same in both, each with its two values (hashes are shortened)."""
    changed = [name for name in sorted({*before, *now}) if before.get(name) != now.get(name)]
    return [f"{name}: {_short(before.get(name))} -> {_short(now.get(name))}" for name in changed]


def hash_of_file(path: Path) -> str:
    """The sha256 of a file's bytes, as hexadecimal digits."""
    return _sha256(path)


def _short(value: Any) -> str:
    return value[:12] if isinstance(value, str) and len(value) == 64 else str(value)


def _set_aside(folder: Path) -> None:
    place = folder.parent.with_name(f"{folder.parent.name}.bad")
    place.mkdir(exist_ok=True)
    target = place / folder.name
    shutil.rmtree(target, ignore_errors=True)
    folder.rename(target)


def _measure(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        os.fsync(file.fileno())
    return {"bytes": path.stat().st_size, "sha256": _sha256(path)}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
