"""A comparison's result as a Markdown page: the verdict, the table, the pairs, what was left out, how to repeat it."""

from __future__ import annotations

import shlex
from typing import Any

from advisor.request import ComparisonRequest


def to_markdown(result: dict[str, Any], request: ComparisonRequest) -> str:
    """The report of a finished comparison."""
    task, verdict = result["task"], result["verdict"]
    rows = task["rows"]
    parts = [
        "# Fitting Room: do I need to fine-tune?",
        f"**{verdict['sentence']}**",
        verdict["next_step"],
        "## Scores",
        f"Task: {task['type']} ({task['why']}). Metric: {task['metric']}. Model: {result['model']}. "
        f"{rows['train']} training, {rows['validation']} validation and {rows['test']} test rows; "
        f"{task['removed_as_leaks']} rows removed because they were test rows, or nearly.",
        arms_table(result),
        f"For comparison: {result['baseline']['name']} scores {points(result['baseline']['score'])}.",
        "## Differences",
        pairs_table(result),
        "Intervals are paired 95% intervals on the same rows (Bayesian bootstrap with two pseudo-items).",
        "## Left out",
        "\n".join(f"- {line}" for line in result["left_out"]) or "Nothing.",
        "## Again",
        f"    {command(request)}\n\nEvery row with every answer and score is in items.jsonl beside this report.",
    ]
    return "\n\n".join(parts) + "\n"


def points(share: float) -> str:
    """A share in points: .123 -> "12.3"."""
    return f"{100 * share:.1f}"


def arms_table(result: dict[str, Any]) -> str:
    """The arms as a Markdown table."""
    lines = [
        "| approach | score | 95% interval | tokens a request | seconds a request | set-up |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for arm in result["arms"]:
        if arm["skipped"]:
            lines.append(f"| {arm['title']} | skipped | {_cell(arm['skipped'])} | | | |")
            continue
        low, high = arm["interval"]
        name = f"**{arm['title']}**" if arm["name"] == result["verdict"]["arm"] else arm["title"]
        lines.append(
            f"| {name} | {points(arm['score'])} | {points(low)} to {points(high)} | {arm['tokens_per_request']:.0f} "
            f"| {arm['seconds_per_request']:.2f} | {arm['setup_seconds']:.0f} s |"
        )
    return "\n".join(lines)


def pairs_table(result: dict[str, Any]) -> str:
    """The paired differences as a Markdown table."""
    lines = ["| a | b | a - b | 95% interval |", "|---|---|---:|---:|"]
    for pair in result["pairs"]:
        low, high = pair["interval"]
        lines.append(
            f"| {pair['a']} | {pair['b']} | {100 * pair['difference']:+.1f} | {100 * low:+.1f} to {100 * high:+.1f} |"
        )
    return "\n".join(lines)


def command(request: ComparisonRequest) -> str:
    """The command line that makes this comparison."""
    words = ["fitting-room", "compare", str(request.data)]
    for option, value in (
        ("--test", request.test),
        ("--docs", request.documents),
        ("--arms", ",".join(request.arms) if request.arms else None),
        ("--limit", request.limit),
        ("--budget", request.budget_minutes),
        ("--model", request.model),
        ("--task", request.task_type),
        ("--metric", request.metric),
        ("--seed", request.seed or None),
    ):
        if value is not None:
            words += [option, str(value)]
    for meaning, column in (request.columns or {}).items():
        words += ["--column", f"{meaning}={column}"]
    return shlex.join(words)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
