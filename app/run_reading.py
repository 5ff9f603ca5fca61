"""Runs as their folders tell of them: found by what a user calls them, summed up, compared with each other.

What is particular to comparisons is in `app.comparisons`; the rest is about training runs. For the command line
and the pages alike. It starts, stops and changes nothing, but that a run whose process is gone without a word is marked
as interrupted (`training.runs.supervisor.state_of`).
"""

from __future__ import annotations

import contextlib
import difflib
import json
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from dataset_tools.errors import FittingRoomError, RunError, UsageError
from training.home import home
from training.models import embedded
from training.recipe import Recipe
from training.runs.checkpoints import hash_of_file
from training.runs.folder import ENDED, RunFolder
from training.runs.supervisor import state_of

T = TypeVar("T")
Event = Mapping[str, Any]
FIGURES = (
    ("rows", "rows"),
    ("steps", "steps"),
    ("passes", "passes over the rows"),
    ("loss", "training loss"),
    ("validation_loss", "validation loss"),
    ("tokens_per_second", "tokens a second"),
    ("training_seconds", "seconds of training"),
)
"""The figures that runs are compared by: their names in a result, and what they are called."""
_CLOSE, _LISTED = 3, 6
_INDEX_SECONDS = 5  # for so long, a run that was started outside the home may be missing from a list
_KEPT_LOGS = 16
_TAIL = 1 << 16  # bytes of a log's end that are read first for its last events


@dataclass(frozen=True)
class RunSummary:
    """A run in a line of a list. Times are in seconds, ``created`` since the epoch; None is what is not known (yet).

    ``kind`` is "training" or "comparison" (`app.comparisons`); ``verdict`` is what a comparison advises, in short.
    """

    run: str
    folder: str
    state: str
    model: str
    method: str
    objective: str
    rows: int | None
    step: int | None
    steps: int | None
    loss: float | None
    validation_loss: float | None
    created: float
    seconds: float | None
    eta: float | None
    tokens_per_second: float | None
    phase: str
    kind: str = "training"
    verdict: str = ""

    @property
    def live(self) -> bool:
        """Whether its process is at work, or waits."""
        return self.state not in ENDED


def known_runs() -> list[RunFolder]:
    """All training runs of this machine, the newest first: those in the home, and others that the index knows of."""
    return _known(home() / "runs", "training")


def known_comparisons() -> list[RunFolder]:
    """All comparisons of this machine, the newest first, likewise."""
    return _known(home() / "comparisons", "comparison")


def _known(root: Path, kind: str) -> list[RunFolder]:
    folders = {file.parent.resolve() for file in root.glob("*/run.json")}
    folders |= {Path(folder) for folder in _indexed(root, kind, int(time.time() / _INDEX_SECONDS))}
    return newest_first(RunFolder(folder) for folder in folders if (folder / "run.json").is_file())


def newest_first(runs: Iterable[RunFolder]) -> list[RunFolder]:
    """The runs in the order of lists."""
    return sorted(runs, key=lambda run: (float(status_of(run).get("created") or 0), run.path.name), reverse=True)


@lru_cache(maxsize=2)
def _indexed(root: Path, kind: str, moment: int) -> tuple[str, ...]:
    """The folders of the index of runs; none where it cannot be read, as the runs themselves do not depend on it."""
    from training.runs.store import RunStore

    with contextlib.suppress(FittingRoomError), RunStore.open() as store:
        return tuple(str(record.folder) for record in store.runs(kind=kind))
    return ()


def is_comparison(run: RunFolder) -> bool:
    """Whether a run is a comparison, and no training."""
    return (run.path / "request.json").is_file() and not (run.path / "recipe.yaml").is_file()


def status_of(run: RunFolder) -> Mapping[str, Any]:
    """What a run's run.json says; empty where it cannot be read. To be read only: it is kept until the file changes."""
    return kept(run.path / "run.json", _read_status) or {}


def recipe_of(run: RunFolder) -> Recipe | None:
    """How a run trains; None where that cannot be read (any more)."""
    return kept(run.path / "recipe.yaml", _read_recipe)


def kept(file: Path, read: Callable[[Path], T], *, large: bool = False) -> T | None:
    """What was read from a file, read again where it is another one by now; None where it is not there.

    Of ``large`` files the last few alone are kept in memory.
    """
    try:
        stat = file.stat()
    except OSError:
        return None
    read_once = _read_large_once if large else _read_once
    known: T = read_once(file, read, (stat.st_ino, stat.st_mtime_ns, stat.st_size))
    return known


@lru_cache(maxsize=1024)
def _read_once(file: Path, read: Callable[[Path], T], mark: tuple[int, ...]) -> T:
    return read(file)


@lru_cache(maxsize=3)
def _read_large_once(file: Path, read: Callable[[Path], T], mark: tuple[int, ...]) -> T:
    return read(file)


def _read_status(file: Path) -> dict[str, Any] | None:
    with contextlib.suppress(RunError):
        return RunFolder(file.parent).status()
    return None


def _read_recipe(file: Path) -> Recipe | None:
    with contextlib.suppress(UsageError, TypeError):
        return Recipe.load(file)
    return None


def _read_ended(file: Path) -> RunSummary | None:
    """The summary of a run that has ended: nothing changes in it any more."""
    run = RunFolder(file.parent)
    return _summary(run) if status_of(run).get("state") in ENDED else None


def find_run(named: str, *, comparisons: bool = False) -> RunFolder:
    """The training run that a user means by an id, the beginning of one, or a folder.

    Args:
        named: What was typed.
        comparisons: Whether it may be a comparison as well.

    Raises:
        UsageError: there is none, or several begin like this.
    """
    runs = known_runs() + (known_comparisons() if comparisons else [])
    ids = [run.path.name for run in runs]
    matching = [run for run in runs if run.path.name == named]
    matching = matching or [run for run in runs if named and run.path.name.startswith(named)]
    if len(matching) == 1:
        return matching[0]
    if matching:
        raise UsageError(
            "Several runs begin like this.",
            found=named,
            expected=_listed([run.path.name for run in matching]),
            next_step="Give more of the id.",
        )
    if ".." in Path(named).parts:
        raise UsageError(
            "A run is named by its id or its folder, and not by a way past other folders.",
            found=named,
            next_step="`fitting-room runs list` lists the runs of this machine.",
        )
    folder = Path(os.path.expanduser(named))
    if named and os.path.isfile(folder / "run.json"):
        return _of_folder(RunFolder(folder.resolve()), comparisons=comparisons)
    close = difflib.get_close_matches(named, ids, n=_CLOSE, cutoff=0.5)
    raise UsageError(
        "There is no such run.",
        found=repr(named),
        expected=_listed(close or ids) or "an id; there is no run on this machine yet",
        next_step="`fitting-room runs list` lists the runs of this machine.",
    )


def _of_folder(run: RunFolder, *, comparisons: bool) -> RunFolder:
    if not (run.path / "recipe.yaml").is_file() and not (comparisons and is_comparison(run)):
        raise UsageError(
            "What was run in this folder is no training.",
            where=str(run.path),
            next_step="`fitting-room runs list` lists the training runs of this machine.",
        )
    return run


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more


def summary_of(run: RunFolder) -> RunSummary:
    """How a run stands, from its run.json, its recipe and the end of its log."""
    return kept(run.path / "run.json", _read_ended) or _summary(run)


def _summary(run: RunFolder) -> RunSummary:
    state = state_to_tell(run)
    status, recipe, told = status_of(run), recipe_of(run), last_events(run, ("step", "evaluation", "training"))
    result = result_of(run, state)
    step, live = told.get("step", {}), state not in ENDED
    began, ended = status.get("started") or status.get("created"), time.time() if live else status.get("ended")
    if state == "interrupted":  # nobody knows when it ended; what it told last is the best guess
        ended = max((event["time"] for event in told.values() if "time" in event), default=None)
    model = str(status.get("model") or (recipe.model if recipe else ""))
    return RunSummary(
        run=run.path.name,
        folder=str(run.path),
        state=state,
        model=model_title(model),
        method=recipe.method if recipe else str(status.get("method") or ""),
        objective=recipe.objective if recipe else "",
        rows=status.get("rows"),
        step=result.get("steps", step.get("step")),
        steps=step.get("steps") or told.get("training", {}).get("steps"),
        loss=result.get("loss", step.get("loss")),
        validation_loss=result.get("validation_loss", told.get("evaluation", {}).get("validation_loss")),
        created=float(status.get("created") or 0),
        seconds=max(0.0, ended - began) if began and ended else None,
        eta=step.get("eta") if live and state != "queued" else None,
        tokens_per_second=step.get("tokens_per_second"),
        phase=str(last_events(run, ("phase",)).get("phase", {}).get("phase", "")) if live else "",
    )


def result_of(run: RunFolder, state: str) -> Mapping[str, Any]:
    """What a run tells of the artefact that it made; empty while it is at work, and where it made none.

    One that was stopped, resumed and stopped again while it waited still has its first artefact and result.
    """
    return (status_of(run).get("result") or {}) if state in ("done", "stopped") else {}


def has_artefact(run: RunFolder) -> bool:
    """Whether what a run has made lies there: an adapter, or a whole model."""
    return run.adapter.is_dir() or (run.path / "model").is_dir()


def model_title(model: str) -> str:
    """A model's name for people: a folder by its own name alone."""
    return embedded.TITLE if model == embedded.NAME else Path(model).name if os.path.isabs(model) else model


def state_to_tell(run: RunFolder) -> str:
    """The state; that of a run which cannot be marked, as on a disk that is read only, is what its folder says."""
    try:
        return state_of(run)
    except (OSError, FittingRoomError):
        return str(status_of(run).get("state", "interrupted"))


def last_events(run: RunFolder, kinds: Sequence[str]) -> dict[str, Event]:
    """The last event of each of these kinds, read from the end of the log; kinds that it has none of are left out."""
    found: dict[str, Event] = {}
    for event in _backwards(run.path / "events.jsonl"):
        if event.get("event") in kinds and event["event"] not in found:
            found[event["event"]] = event
            if len(found) == len(kinds):
                break
    return found


def _backwards(log: Path) -> Iterator[Event]:
    """The events of a log, the last one first. A line that a crash has torn is passed over."""
    try:
        with log.open("rb") as stream:
            end, rest, block = stream.seek(0, os.SEEK_END), b"", _TAIL
            while end > 0:
                start = max(0, end - block)
                stream.seek(start)
                lines = (stream.read(end - start) + rest).split(b"\n")
                end, block = start, 4 * block
                rest = lines.pop(0) if start else b""
                yield from _parsed(reversed(lines))
    except OSError:
        return


def _parsed(lines: Iterator[bytes]) -> Iterator[Event]:
    for line in lines:
        with contextlib.suppress(ValueError):
            event = json.loads(line)
            if isinstance(event, dict):
                yield event


class EventLogs:
    """The events of the runs that pages show, read once each and then only what is new; those of the last few stay."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._logs: OrderedDict[tuple[Path, int], tuple[int, list[Event]]] = OrderedDict()

    def of(self, run: RunFolder) -> list[Event]:
        """All events of a run so far. A line that is still being written waits, a torn one is left out."""
        log = run.path / "events.jsonl"
        with self._lock, contextlib.suppress(OSError), log.open("rb") as stream:
            key = (log, os.fstat(stream.fileno()).st_ino)
            position, events = self._logs.pop(key, (0, []))
            stream.seek(position)
            data = stream.read()
            whole = data[: data.rfind(b"\n") + 1]
            events = [*events, *_parsed(iter(whole.split(b"\n")))]
            self._logs[key] = (position + len(whole), events)
            while len(self._logs) > _KEPT_LOGS:
                self._logs.popitem(last=False)
            return events
        return []


def figures_of(run: RunFolder) -> dict[str, Any]:
    """The figures of a run by their names in `FIGURES`; those of a run without a result are its last ones."""
    summary = asdict(summary_of(run))
    known = {**summary, "steps": summary["step"], **result_of(run, summary["state"])}
    return {name: known.get(name) for name, _ in FIGURES}


def differing_settings(runs: Sequence[RunFolder]) -> list[tuple[str, list[Any]]]:
    """The knobs whose values are not the same in all of these runs, with the value of each run (None: not known)."""
    recipes = [asdict(recipe) if recipe else {} for recipe in map(recipe_of, runs)]
    names = list(dict.fromkeys(name for recipe in recipes for name in recipe))
    table = [(name, [recipe.get(name) for recipe in recipes]) for name in names]
    return [(name, values) for name, values in table if any(value != values[0] for value in values)]


def data_hash(run: RunFolder, part: str) -> str | None:
    """The sha256 of the rows that a run trains on ("train") or is checked on ("validation"); None without such rows."""
    file = run.path / f"{part}.jsonl"
    try:
        stat = file.stat()
    except OSError:
        return None
    return _hash(file, stat.st_mtime_ns, stat.st_size) if stat.st_size else None


@lru_cache(maxsize=64)
def _hash(file: Path, changed: int, size: int) -> str:
    return hash_of_file(file)
