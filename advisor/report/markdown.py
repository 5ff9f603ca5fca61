"""A comparison's result as a Markdown page: the verdict, the table, the pairs, what was left out, how to repeat it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from advisor.report import facts, votes
from advisor.report.figures import points, writable
from advisor.request import ComparisonRequest


def to_markdown(result: dict[str, Any], request: ComparisonRequest) -> str:
    """The report of a finished comparison; the sections of the HTML page in short, without rows to read."""
    task, verdict = result["task"], result["verdict"]
    rows = task["rows"]
    baseline = f"For comparison: {result['baseline']['name']} scores {points(result['baseline']['score'])}."
    parts = [
        "# Fitting Room: do I need to fine-tune?",
        f"**{verdict['sentence']}**",
        verdict["next_step"],
        _bullets(f"{tile.number} {tile.what} ({tile.note})" for tile in facts.tiles(result)),
        *_section("Before you use it", [f"{c['sentence']} {c['what_to_do']}" for c in verdict.get("conditions") or ()]),
        "## Scores",
        f"Task: {task['type']} ({task['why']}). Metric: {task['metric']}. Model: {result['model']}. "
        f"{rows['train']} training, {rows['validation']} validation and {rows['test']} test rows; "
        f"{task['removed_as_leaks']} rows removed because they were test rows, or nearly.",
        arms_table(result),
        facts.ABOUT_NLL if facts.has_nll(result) else "",
        " ".join(filter(None, [baseline, facts.power_sentence(result), facts.confirmed_sentence(result)])),
        *_section("A judge's opinion", facts.judge_lines(result)),
        _bullets(_notes(result)),
        *_section("What people said", votes.people_said(result)),
        "## Differences",
        pairs_table(result),
        "Intervals are paired 95% intervals on the same rows (Bayesian bootstrap with two pseudo-items).",
        *_section("What holds the model back", [gap["sentence"] for gap in result.get("gaps") or ()]),
        *_section("Would more help?", _learning(result)),
        *_section("What would change the advice", facts.changes(result)[0]),
        *_section("For and against, in your situation", facts.changes(result)[1]),
        "## Left out",
        _bullets(result["left_out"]) or "Nothing.",
        "## Again",
        f"    {result.get('command') or request.command()}\n\n"
        "Every row with every answer and score is in items.jsonl (for a spreadsheet: items.csv) beside this report.",
    ]
    return writable("\n\n".join(part for part in parts if part) + "\n")


def arms_table(result: dict[str, Any]) -> str:
    """The arms as a Markdown table."""
    likely = facts.has_nll(result)
    lines = [
        "| approach | score | 95% interval | tokens a request | seconds a request | set-up |" + " NLL |" * likely,
        "|---|---:|---:|---:|---:|---:|" + "---:|" * likely,
    ]
    for arm in result["arms"]:
        if arm["skipped"]:
            lines.append(f"| {arm['title']} | skipped | {_cell(arm['skipped'])} | | | |{' |' if likely else ''}")
            continue
        low, high = arm["interval"]
        name = f"**{arm['title']}**" if arm["name"] == result["verdict"]["arm"] else arm["title"]
        lines.append(
            f"| {name} | {points(arm['score'])} | {points(low)} to {points(high)} | {arm['tokens_per_request']:.0f} "
            f"| {arm['seconds_per_request']:.2f} | {arm['setup_seconds']:.0f} s |"
            + (f" {facts.nll_text(arm)} |" if likely else "")
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


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _notes(result: dict[str, Any]) -> list[str]:
    """What is to be known of each arm beyond the table."""
    found = []
    for arm in facts.scored(result):
        notes = facts.arm_notes(arm)
        if arm.get("near") or arm.get("far"):
            near, far = facts.part_text(arm.get("near")), facts.part_text(arm.get("far"))
            notes.append(f"On rows like its examples: {near}; on other rows: {far}.")
        found += [f"{arm['title']}: {' '.join(notes)}"] if notes else []
    return found


def _learning(result: dict[str, Any]) -> list[str | None]:
    curve = result.get("learning_curve") or {}
    return [curve.get("sentence"), (curve.get("loss") or {}).get("sentence")]


def _section(title: str, lines: Iterable[str | None]) -> list[str]:
    """A heading with bullets; nothing where there is nothing to say."""
    told = [line for line in lines if line]
    return [f"## {title}", _bullets(told)] if told else []


def _bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)
