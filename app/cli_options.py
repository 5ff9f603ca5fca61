"""What the commands share: their options, and the one way in which work is done, shown, and its errors are told."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any, get_args

import typer

from advisor import cost
from advisor.approaches import ARM_TITLES
from advisor.metrics import metric_names
from app import commands, stopping
from dataset_tools.task_type import TaskKind

_ARMS, _KINDS, _METRICS = (", ".join(names) for names in (ARM_TITLES, get_args(TaskKind), metric_names()))
_ARMS += "; and those that only prompt with @endpoint"

File = Annotated[Path, typer.Argument(help="Examples: JSONL, JSON, CSV, Excel, Parquet or text, packed or not.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document to stdout.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.", hidden=True)]
Model = Annotated[str | None, typer.Option("--model", help="Model id or folder; the embedded model by default.")]
Out = Annotated[Path | None, typer.Option("--out", help="Folder for the results; one under the home by default.")]
Test = Annotated[Path | None, typer.Option("--test", help="Your own test rows; the examples are split without.")]
Docs = Annotated[
    Path | None,
    typer.Option("--docs", help="Documents for RAG: a folder (text, Markdown, HTML, PDF, Word), or JSONL with 'text'."),
]
Arms = Annotated[
    str | None,
    typer.Option(
        "--arms",
        help=f"Approaches, separated by commas; all by default. There are: {_ARMS}.",
    ),
]
Kind = Annotated[
    str | None, typer.Option("--task", help=f"Kind of task, instead of the detected one. One of: {_KINDS}.")
]
MetricName = Annotated[
    str | None, typer.Option("--metric", help=f"Metric, instead of the kind's own. One of: {_METRICS}; or a metric.py.")
]
Limit = Annotated[int | None, typer.Option("--limit", help="Answer at most this many test rows.")]
Budget = Annotated[float | None, typer.Option("--budget", help="Minutes for everything; 10 without a GPU.")]
Seed = Annotated[int, typer.Option("--seed", help="For splits, draws and training.")]
Instructions = Annotated[
    list[str] | None,
    typer.Option("--instruction", help="An instruction to try beside those found; repeatable."),
]
Endpoint = Annotated[
    str | None,
    typer.Option("--endpoint", help="Compare a model behind an OpenAI-compatible address as well, such as Ollama's."),
]
EndpointModel = Annotated[str | None, typer.Option("--endpoint-model", help="That model's name there.")]
Margin = Annotated[float, typer.Option("--margin", help="The smallest difference that matters; .03 is three points.")]
Folds = Annotated[
    int | None, typer.Option("--folds", help="Answer each row as a test row once, in so many folds; 1 for one split.")
]
Curve = Annotated[
    bool, typer.Option("--learning-curve", help="Train on a quarter and on half of the rows too: would more help?")
]
Requests = Annotated[int, typer.Option("--requests", help="Requests a month.")]
AnswersChanging = Annotated[
    str,
    typer.Option("--answers-change", help=f"How often answers change: {', '.join(get_args(cost.AnswersChange))}."),
]
MustCite = Annotated[bool, typer.Option("--must-cite", help="Answers must name their source.")]
RunningOn = Annotated[str, typer.Option("--runs-on", help=f"Where it will run: {', '.join(get_args(cost.RunsOn))}.")]
PricesGiven = Annotated[
    list[str] | None,
    typer.Option(
        "--price",
        help="A price in dollars: prompt=0.10, cached-prompt=, answer= (a million tokens), machine-hour=.",
    ),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace files that are there.")]
Columns = Annotated[
    list[str] | None, typer.Option("--column", help="Which column holds what, as prompt=COLUMN or completion=COLUMN.")
]

_KEPT = "`compare` goes on from it, and `train` has saved its adapter. No file is half written."


def run(work: Any, show: Any, as_json: bool, debug: bool) -> Any:
    """Do the work, show or print its result, and turn errors into one message and an honest exit code."""
    stopping.let_work_end()
    try:
        result = work()
    except KeyboardInterrupt:
        if as_json:
            print(stopping.document(f"What was finished is kept: {_KEPT}"))
        commands.console.print(f"\nStopped. What was finished is kept: {_KEPT}", soft_wrap=True)
        raise typer.Exit(stopping.EXIT_CODE) from None
    except Exception as error:  # the edge of the process: whatever it was, one message that helps, and no traceback
        if debug:
            raise
        told = commands.explain(error)
        if as_json:
            print(json.dumps({"error": told.to_dict()}, indent=2))
        commands.console.print(f"[bold red]Error:[/] {commands.escape(str(told))}", highlight=False, soft_wrap=True)
        raise typer.Exit(told.exit_code) from error
    if as_json:
        _print_json(result)
    elif show is not None:
        show(result)
    if isinstance(result, dict) and result.get("verdict") in ("fix_first", "do_not_train"):
        raise typer.Exit(1)
    return result


def _print_json(value: Any) -> None:
    """Print as the terminal's encoding allows: a path may hold what no encoding can write."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        text = json.dumps(value, indent=2)
    print(text)
