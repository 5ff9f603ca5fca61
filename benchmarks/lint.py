"""How fast linting is and how much memory it takes, beside other linters on the same file, each in its own process.

    python benchmarks/lint.py [--rows 150000] [--rounds 3] [--large]

Makes chat rows of about 1 KB (150,000 of them are about 150 MB) and lints them: structure alone, structure and exact
duplicates, all default checks without the token checks; then with what else is installed of cleanllm (its TRL
pre-flight and its turn check) and convmerge (validate), and a plain loop of json.loads and jsonschema. Prints MB/s
(the median of our rounds; the others are run once) and the peak memory of the process and its children. ``--large``
does ours again at ten times the rows.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import importlib.util
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # before this folder, whose files hide packages

from dataset_tools import lint, schema

DEFAULT_FAMILIES = ("structure", "columns", "duplicates", "text", "labels", "privacy", "tools", "preference")


def make_rows(path: Path, rows: int) -> None:
    """Chat rows of three to five turns, of words drawn from 20,000, all different and without a fault."""
    rng = random.Random(0)
    letters = "etaoinshrdlucmfwypvbgk"
    vocabulary = ["".join(rng.choices(letters, k=rng.randint(3, 9))) for _ in range(20_000)]

    def words(count: int) -> str:
        return " ".join(rng.choices(vocabulary, k=count)).capitalize() + "."

    with path.open("w", encoding="utf-8") as file:
        for _ in range(rows):
            messages = [{"role": "system", "content": "You are a helpful assistant of the library."}]
            for _ in range(rng.randint(1, 2)):
                messages.append({"role": "user", "content": words(rng.randint(15, 40))})
                messages.append({"role": "assistant", "content": words(rng.randint(35, 70))})
            file.write(json.dumps({"messages": messages}) + "\n")


def ours(*families: str) -> Callable[[Path], object]:
    """Our linter with some families of checks."""

    def run(path: Path) -> object:
        report = lint(path, checks=families)
        return {"usable": report.usable, "findings": {finding.check: finding.count for finding in report.findings}}

    return run


def plain_loop(path: Path) -> object:
    """json.loads and jsonschema, row by row."""
    from jsonschema import Draft202012Validator

    validator = Draft202012Validator(schema("messages"))
    with path.open("rb") as file:
        return sum(validator.is_valid(json.loads(line)) for line in file)


def cleanllm_turns(path: Path) -> object:
    """The check of the turns that cleanllm has."""
    from cleanllm.multiturn import check_turns_jsonl

    return check_turns_jsonl(str(path), show_progress=False)["total_records"]


def cleanllm_preflight(path: Path) -> object:
    """The pre-flight for TRL that cleanllm has."""
    from cleanllm.validate import preflight_jsonl

    return preflight_jsonl(str(path), "trl")["total_rows"]


def convmerge_validate(path: Path) -> object:
    """The validation that convmerge has."""
    from convmerge.convert import validate_file

    return validate_file(path).dropped


OURS = {
    "structure": ours("structure"),
    "structure + exact duplicates": ours("structure", "exact-duplicate", "conflicting-answers"),
    "all default checks but tokens": ours(*DEFAULT_FAMILIES),
}
OTHERS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "json.loads + jsonschema": ("jsonschema", plain_loop),
    "cleanllm check-turns": ("cleanllm", cleanllm_turns),
    "cleanllm preflight trl": ("cleanllm", cleanllm_preflight),
    "convmerge validate": ("convmerge", convmerge_validate),
}


def in_this_process(name: str, path: Path) -> None:
    """Run one of them, and print its seconds, its peak memory in MB, and what it found."""
    module, work = OTHERS[name] if name in OTHERS else ("numpy", OURS[name])
    importlib.import_module(module)  # starting is not what is measured
    over, peaks = threading.Event(), [0.0]
    watching = threading.Thread(target=watch_memory, args=(peaks, over))
    watching.start()
    began = time.perf_counter()
    with contextlib.redirect_stdout(sys.stderr):
        found = work(path)
    seconds = time.perf_counter() - began
    over.set()
    watching.join()
    print(json.dumps({"seconds": seconds, "peak": max(peaks), "found": found}))


def watch_memory(peaks: list[float], over: threading.Event) -> None:
    """Note what this process and its children hold, in MB: each page once, however many share it (Linux's PSS).

    The highest of what is seen five times a second, and of this process's own peak.
    """
    import resource

    while not over.wait(0.2):
        with contextlib.suppress(OSError):
            peaks.append(sum(pss(process) for process in ("self", *children())))
    peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def children() -> list[str]:
    """The ids of this process's children."""
    return [pid for file in Path("/proc/self/task").glob("*/children") for pid in file.read_text("ascii").split()]


def pss(process: str) -> float:
    """A process's proportional share of memory in MB; 0 where it is gone."""
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text("ascii").splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("Pss:")), 0.0)


def measured(name: str, path: Path, rounds: int) -> tuple[float, float, object]:
    """The median of the seconds, the highest peak memory, and what was found."""
    runs, places = [], [".", *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(places)}
    for _ in range(rounds):
        command = [sys.executable, __file__, "--run", name, "--file", str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
        runs.append(json.loads(done.stdout.splitlines()[-1]))
    return statistics.median(run["seconds"] for run in runs), max(run["peak"] for run in runs), runs[0]["found"]


def show(name: str, path: Path, rounds: int) -> None:
    """Measure and print one line."""
    seconds, peak, found = measured(name, path, rounds)
    size = path.stat().st_size / 1e6
    print(f"{name:32} {size / seconds:7.1f} MB/s {seconds:8.2f} s {peak:7.0f} MB   {found}", flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=150_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--run", help=argparse.SUPPRESS)
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        in_this_process(options.run, options.file)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.jsonl"
        make_rows(path, options.rows)
        print(f"{options.rows} rows, {path.stat().st_size / 1e6:.0f} MB")
        for name in OURS:
            show(name, path, options.rounds)
        for name, (module, _) in OTHERS.items():
            if importlib.util.find_spec(module):
                show(name, path, 1)
            else:
                print(f"{name:32} skipped: {module} is not installed")
        if options.large:
            make_rows(path, 10 * options.rows)
            print(f"{10 * options.rows} rows, {path.stat().st_size / 1e6:.0f} MB")
            for name in OURS:
                show(name, path, 1)


if __name__ == "__main__":
    main()
