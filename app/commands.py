"""What the commands do, and how their results look in a terminal. Messages and progress go to stderr."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from advisor.comparison import PREPARING, run_comparison
from advisor.cost import Prices
from advisor.request import ComparisonRequest, check_choices
from app.progress import TerminalProgress, working
from dataset_tools.errors import DiskFullError, FittingRoomError, RunError, UsageError
from dataset_tools.formats import schema, schema_names
from dataset_tools.reading.hub import fetch, is_hub_name
from training.home import home
from training.models import embedded

console = Console(stderr=True)
output = Console()
PREPARING_LINE = f"{PREPARING.capitalize()} ..."
# With the start of the libraries and the app, this keeps a first `make demo` under five minutes after the install.
DEMO_MINUTES = 4.0
DEMO_TEST_ROWS = 40
_GAPS_SHOWN = 3
EXAMPLES = {"support-desk": "support_desk", "ticket-routing": "ticket_routing"}

__all__ = ["escape"]


def input_file(name: str | Path) -> Path:
    """The file that a name stands for; a dataset's name on the Hugging Face hub is downloaded first."""
    path = Path(name)
    if path.exists() or not is_hub_name(str(name)):
        return path
    with working(console, f"Downloading {name} ...", at_once=True):
        return fetch(str(name), folder=home() / "datasets")


def compare_file(file: Path, options: dict[str, Any], *, out: Path | None = None) -> dict[str, Any]:
    """Run a comparison with progress bars. What is wrong with the options is told before anything is downloaded."""
    check_choices(**options)
    request = ComparisonRequest(input_file(file), **options)
    with TerminalProgress(console) as progress:
        return run_comparison(request, folder=out, on_event=progress)


def prices_of(given: Sequence[str] | None) -> Prices:
    """``["answer=0.4"]`` -> prices, the others assumed.

    Raises:
        UsageError: one has no such name, or no number.
    """
    known, values = ("prompt", "cached_prompt", "answer", "machine_hour"), dict[str, Any]()
    for text in given or ():
        name, equals, value = text.partition("=")
        name = name.strip().replace("-", "_")
        try:
            values[name] = float(value)
        except ValueError:
            equals = ""
        if not equals or name not in known:
            raise UsageError(
                "This is no price.",
                where="--price",
                found=text,
                expected=f"NAME=DOLLARS with one of {', '.join(name.replace('_', '-') for name in known)}",
                next_step="For example --price answer=0.40, a million answer tokens.",
            )
    return Prices(**values, assumed=len(values) < len(known))


def arm_names(text: str | None) -> tuple[str, ...] | None:
    """``"zero-shot,rag"`` -> the names; None where nothing was asked."""
    return None if text is None else tuple(name.strip() for name in text.split(",") if name.strip())


def run_demo(example: str, *, minutes: float) -> dict[str, Any]:
    """Run the comparison on a built-in example; one that was finished before is only read."""
    if example not in EXAMPLES:
        raise UsageError("There is no such example.", found=repr(example), expected=" or ".join(EXAMPLES))
    folder = example_folder(example)
    check_choices(budget_minutes=minutes)
    prepare_models()
    docs = folder / "docs"
    console.print(f"Comparing every approach on the built-in example {example!r}, in about {minutes:g} minutes.")
    options = {"test": folder / "test.jsonl", "documents": docs if docs.is_dir() else None}
    return compare_file(folder / "train.jsonl", {**options, "limit": DEMO_TEST_ROWS, "budget_minutes": minutes})


def example_folder(example: str) -> Path:
    """Where a built-in example lies."""
    import advisor

    return Path(advisor.__file__).parent / "examples" / EXAMPLES[example]


def prepare_models() -> dict[str, str]:
    """Prepare the embedded models; quick once they are."""
    prepare_model(embedded.NAME)
    return {"model": str(embedded.language_model()), "embedder": str(embedded.embedder())}


def prepare_model(name: str) -> None:
    """Prepare a model where that is still to be done, which is said: the embedded one, before its first use."""
    if is_unprepared(name):
        with working(console, PREPARING_LINE, at_once=True):
            embedded.language_model()


def is_unprepared(name: str) -> bool:
    """Whether using this model begins with preparing it."""
    return name == embedded.NAME and not embedded.is_prepared()


def serve_app(*, port: int, folder: Path | None = None) -> None:
    """Serve the app until Ctrl-C."""
    starting = contextlib.ExitStack()

    def ready(url: str) -> None:
        starting.close()
        console.print(f"\nThe app is at [bold]{url}[/]  (Ctrl-C ends it)", highlight=False)

    with starting:
        starting.enter_context(working(console, "Starting the app ...", at_once=True))
        from app.server import serve

        serve(port=port, open_result=folder, ready=ready)


def schema_of(name: str) -> dict[str, Any]:
    """The JSON Schema of a format."""
    if name not in schema_names():
        raise UsageError("There is no such format.", found=repr(name), expected=" or ".join(schema_names()))
    return schema(name)


def explain(error: Exception) -> FittingRoomError:
    """Any error -> one that says what to do: ours as it is, the system's in plain words, others as a defect."""
    if isinstance(error, FittingRoomError):
        return error
    if isinstance(error, OSError) and error.errno is not None:
        return explain_os_error(error)
    if isinstance(error, MemoryError) or "out of memory" in str(error).lower():
        return RunError(
            "The machine ran out of memory.",
            found=str(error)[:300] or None,
            next_step="Close other programs, or take a smaller model or shorter rows.",
        )
    return RunError(
        "This should not have happened: an error in Fitting Room itself.",
        found=f"{type(error).__name__}: {error}"[:300],
        next_step="Run the same command with --debug, and report what it shows.",
    )


def explain_os_error(error: OSError) -> FittingRoomError:
    """An error of the operating system -> one that says what to do."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFullError(
            "The disk is full.",
            where=str(error.filename) if error.filename else None,
            next_step="Free some space, then run the same command again: what was finished is kept.",
        )
    return FittingRoomError(
        f"The system refused: {error.strerror}.",
        where=str(error.filename) if error.filename else None,
        next_step="Check the path and its permissions.",
    )


def print_comparison(result: dict[str, Any]) -> None:
    """A comparison's table and verdict for people."""
    table = Table("approach", "score", "95% interval", "tokens", "seconds", "set-up", box=None, pad_edge=False)
    for arm in result["arms"]:
        if arm["skipped"]:
            table.add_row(f"[dim]{arm['title']}", "[dim]-", f"[dim]left out: {escape(arm['skipped'])}")
            continue
        low, high = arm["interval"]
        style = "bold green" if arm["name"] == result["verdict"]["arm"] else "dim" if arm.get("dropped") else ""
        table.add_row(
            f"[{style}]{arm['title']}[/]" if style else arm["title"],
            f"{100 * arm['score']:.1f}",
            f"{100 * low:.1f} to {100 * high:.1f}",
            f"{arm['tokens_per_request']:.0f}",
            f"{arm['seconds_per_request']:.2f}",
            f"{arm['setup_seconds']:.0f} s",
        )
    task = result["task"]
    output.print(f"\n{task['type']} task, {task['metric']} in points, {task['rows']['test']} test rows\n")
    output.print(table)
    output.print(f"\n[bold]{escape(result['verdict']['sentence'])}[/]\n{escape(result['verdict']['next_step'])}\n")
    for line in _evidence(result):
        output.print(escape(line), highlight=False)
    for line in result["left_out"]:
        output.print(f"[dim]left out: {escape(line)}[/]")
    output.print(f"\nReport: {escape(result['folder'])}/report.html", highlight=False, soft_wrap=True)


def _evidence(result: dict[str, Any]) -> list[str]:
    """What else is worth a line: arms that left the race, the largest gaps, what the choice is worth, what flips it."""
    dropped = [arm for arm in result["arms"] if arm.get("dropped")]
    lines = [f"{arm['title']} left the race: {arm['dropped']['sentence']}." for arm in dropped]
    sure = [gap for gap in result.get("gaps", ()) if gap["interval"] and gap["interval"][0] > 0]
    lines += [gap["sentence"] for gap in sure[:_GAPS_SHOWN]]
    confirmed = result.get("confirmed")
    if confirmed:
        low, high = (f"{100 * end:.1f}" for end in confirmed["interval"])
        worth = f"{100 * confirmed['estimate']:.1f} points ({low} to {high})"
        lines.append(f"Choosing the best approach like this is worth {worth} on rows that had no part in the choice.")
    lines += (result.get("cost") or {}).get("flips", ())
    curve = result.get("learning_curve")
    return [*lines, curve["sentence"]] if curve else lines
