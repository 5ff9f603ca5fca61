"""How much memory this machine has, and how much of it is free: of the GPU where there is one, else its own."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from training.models.loading import Machine, machine

# cgroup version 2 and 1: the limit of a group, what it uses, and the name of what it could give back at once.
_LIMITS = (("memory.max", "memory.current"), ("memory.limit_in_bytes", "memory.usage_in_bytes"))
_RECLAIMABLE = "inactive_file"


@dataclass(frozen=True)
class MachineMemory:
    """What a training run could use. ``total`` and ``free`` are in bytes; ``device`` is where it computes."""

    device: Machine
    total: int
    free: int

    @property
    def name(self) -> str:
        """What the memory belongs to, in a sentence."""
        return "this GPU" if self.device.has_accelerator else "this machine"


def machine_memory() -> MachineMemory:
    """Look at the memory that training would use.

    On a GPU, asking torch opens a context on it in this process, which takes some hundred MB of it until it ends.
    """
    here = machine()
    if not here.has_accelerator:
        return MachineMemory(here, *host_memory())
    import torch

    free, total = torch.cuda.mem_get_info()
    return MachineMemory(here, int(total), int(free))


def host_memory(root: Path = Path("/")) -> tuple[int, int]:
    """The host's memory: all there is for this process, and what is free of it, in bytes.

    A container's limit counts where it is lower (Linux control groups). Swap does not count: training in it would take
    forever.

    Args:
        root: Where ``proc`` and ``sys`` lie.
    """
    facts = _table(root / "proc" / "meminfo")
    if "MemTotal" in facts:
        total, free = 1024 * facts["MemTotal"], 1024 * facts.get("MemAvailable", facts["MemFree"])
    else:
        page, names = os.sysconf("SC_PAGE_SIZE"), os.sysconf_names
        total = page * os.sysconf("SC_PHYS_PAGES")
        # macOS does not tell what is free; what is lent to caches there is given back when it is asked for.
        free = page * os.sysconf("SC_AVPHYS_PAGES") if "SC_AVPHYS_PAGES" in names else total
    for group in _groups(root):
        for limit_file, used_file in _LIMITS:
            limit, used = _number(group / limit_file), _number(group / used_file)
            if limit is not None and used is not None:
                given_back = _table(group / "memory.stat").get(_RECLAIMABLE, 0)
                total, free = min(total, limit), min(free, max(0, limit - used + given_back))
    return total, free


def _groups(root: Path) -> list[Path]:
    """The control groups of this process, from its own up to the outermost, in both versions' trees."""
    try:
        lines = (root / "proc" / "self" / "cgroup").read_text("ascii").splitlines()
    except (OSError, UnicodeDecodeError):
        return []
    found = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers not in ("", "memory"):
            continue
        top = root / "sys" / "fs" / "cgroup" / controllers
        own = top / path.lstrip("/")
        found += [own, *(parent for parent in own.parents if parent.is_relative_to(top))]
    return found


def _number(file: Path) -> int | None:
    """The number in a file; None where there is none ("max": no limit)."""
    try:
        return int(file.read_text("ascii"))
    except (OSError, ValueError):
        return None


def _table(file: Path) -> dict[str, int]:
    """``name number`` lines, with or without a colon, as a mapping; empty where there is no such file."""
    try:
        lines = file.read_text("ascii").splitlines()
    except (OSError, UnicodeDecodeError):
        return {}
    rows = (line.replace(":", " ").split() for line in lines)
    return {row[0]: int(row[1]) for row in rows if len(row) >= 2 and row[1].isdigit()}
