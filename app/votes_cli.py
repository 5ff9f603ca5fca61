"""The commands for people's votes: ``fitting-room votes new | list | judge | result | fixes | import | export``.

Here are options, and how it looks in a terminal; the work is in `app.votes_commands` and `advisor.human`.
"""

from __future__ import annotations

import shlex
import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from app import commands
from app.cli_options import Columns, Debug, Json, Overwrite, run
from app.data_commands import columns_of, names_in
from app.votes_commands import (
    FORMATS,
    Wish,
    export_votes,
    fix_labels,
    judge_session,
    listed_sessions,
    new_session,
    session_result,
)
from app.votes_commands import import_votes as import_file

_SHOWN_DIFFS = 5
_LONGEST_SHOWN = 160

votes = typer.Typer(
    name="votes", help="Blind votes of people: sessions, results, and what they become.", no_args_is_help=True
)
_Session = Annotated[
    str, typer.Argument(metavar="SESSION", help="Its id, the beginning of its id, or its comparison's folder.")
]


@votes.command()
def new(
    sources: Annotated[
        list[str] | None,
        typer.Argument(metavar="[COMPARISON | FILE FILE]", help="A comparison, or two files of prompts and answers."),
    ] = None,
    arms: Annotated[
        str | None, typer.Option("--arms", help="A comparison's approaches, by commas; the two that score highest.")
    ] = None,
    contestants: Annotated[
        str | None,
        typer.Option(
            "--contestants",
            help="Models that answer now, by commas: RUN, RUN@STEP, base, parent, a model, URL#MODEL "
            "(its key in FITTING_ROOM_ENDPOINT_KEY).",
        ),
    ] = None,
    test: Annotated[
        Path | None, typer.Option("--test", help="The rows that contestants answer; those that a run kept back.")
    ] = None,
    rows: Annotated[int | None, typer.Option("--rows", help="At most so many rows, drawn at random.")] = None,
    wanted: Annotated[
        int | None, typer.Option("--votes", help="How many votes are wanted; by default one a pair, 194 at most.")
    ] = None,
    questions: Annotated[
        list[str] | None, typer.Option("--question", help="To be answered beside each vote; up to five.")
    ] = None,
    title: Annotated[str, typer.Option("--title", help="Raters read it: name nothing that is compared.")] = "",
    tag_column: Annotated[
        str | None, typer.Option("--tag-column", help="Tell results by this column; found by itself without.")
    ] = None,
    for_training: Annotated[
        bool, typer.Option("--for-training", help="The rows of the two files are no test rows: train on the votes.")
    ] = False,
    url: Annotated[
        str | None,
        typer.Option(
            "--url", envvar="FITTING_ROOM_URL", help="Where people reach the app; where it is served now by default."
        ),
    ] = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Make a blind session, and say where people vote."""
    wish = Wish(names_in(arms), rows, wanted, tuple(questions or ()), title, tag_column, for_training)
    models = names_in(contestants)
    run(lambda: new_session(sources or (), wish, contestants=models, test=test, url=url), _print_new, as_json, debug)


@votes.command("list")
def list_sessions(as_json: Json = False, debug: Debug = False) -> None:
    """All sessions of this machine."""
    run(listed_sessions, _print_list, as_json, debug)


@votes.command("import")
def import_votes(
    file: Annotated[Path, typer.Argument(help="CSV or JSONL: exported votes, or rows of prompt, a, b and winner.")],
    title: Annotated[str, typer.Option("--title", help="Of the session; the file's name by default.")] = "",
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Take votes from a file, as a session that is closed."""
    run(lambda: import_file(file, title=title), _print_imported, as_json, debug)


@votes.command()
def result(
    named: _Session,
    close: Annotated[
        bool,
        typer.Option("--close", help="End the voting, tell which arm was which, and tell the comparison's report."),
    ] = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """What the votes of a session say. Arms have letters for names until the session is closed."""
    run(lambda: session_result(named, close=close), _print_result, as_json, debug)


@votes.command()
def judge(
    named: _Session,
    model: Annotated[
        str,
        typer.Option("--judge", help="A model on this machine, or URL#MODEL (its key in FITTING_ROOM_JUDGE_KEY)."),
    ],
    rows: Annotated[
        int | None, typer.Option("--rows", help="Judge at most so many rows, those that people voted on first.")
    ] = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Let a model judge the same pairs: its agreement with people first, then its score, then that put right."""
    run(lambda: judge_session(named, model, rows=rows), _print_judged, as_json, debug)


@votes.command()
def fixes(
    named: _Session,
    data: Annotated[Path, typer.Argument(help="The dataset that the session's rows came from; it is not touched.")],
    out: Annotated[Path | None, typer.Option("--out", help="The corrected dataset; only the diff without.")] = None,
    drop: Annotated[
        bool, typer.Option("--drop", help="Move rows without a known right answer to the rejects; else they stay.")
    ] = False,
    columns: Columns = None,
    overwrite: Overwrite = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Wanted answers that raters marked as wrong, as changes of a dataset; `fix --undo` takes them back."""
    options: dict[str, Any] = {"out": out, "drop": drop, "overwrite": overwrite}
    run(lambda: fix_labels(named, data, columns=columns_of(columns), **options), _print_fixes, as_json, debug)


@votes.command()
def export(
    named: _Session,
    form: Annotated[str, typer.Option("--format", help=f"One of: {', '.join(FORMATS)}.")] = "csv",
    out: Annotated[Path | None, typer.Option("--out", help="A file; printed by default.")] = None,
    test: Annotated[
        Path | None, typer.Option("--test", help="Your test rows, which are left out of rows for training.")
    ] = None,
    use_test_rows: Annotated[
        bool, typer.Option("--use-test-rows", help="Take test rows for training; replace them in the test set.")
    ] = False,
    new_test: Annotated[
        Path | None, typer.Option("--new-test", help="Write --test there without the rows that were taken.")
    ] = None,
    overwrite: Overwrite = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Votes as a table, or as rows to train on: preference pairs (dpo), rated answers (kto), edits (sft)."""
    options: dict[str, Any] = {"out": out, "test": test, "use_test_rows": use_test_rows, "new_test": new_test}
    run(lambda: export_votes(named, form, **options, overwrite=overwrite), _print_export, as_json, debug)


def _print_new(told: dict[str, Any]) -> None:
    _say(f"Session {told['session']}: {told['pairs']} pairs to vote on, {told['wanted']} votes wanted.")
    if told["tags"]:
        _say(f"Results are told by: {', '.join(told['tags'])}.")
    for note in told["notes"]:
        _say(f"- {note}")
    _say(f"Vote at {told['address']}")
    if not told["served"]:
        _say("The app is not served now: start it with `fitting-room serve`, which says its address if this is taken.")


def _print_list(told: dict[str, Any]) -> None:
    if not told["sessions"]:
        _say("No session yet. `fitting-room votes new COMPARISON` makes one.")
        return
    table = Table("session", "title", "made", "votes", "", "arms", box=None, pad_edge=False)
    for line in told["sessions"]:
        made = datetime.fromtimestamp(line["created"]).strftime("%d %b %Y, %H:%M")
        arms = commands.escape(", ".join(line["arms"] or ()))
        state = "closed" if line["closed"] else "open"
        count = f"{line['votes']} of {line['wanted']}"
        table.add_row(line["session"], commands.escape(line["title"]), made, count, state, arms)
    commands.output.print(table)


def _print_judged(told: dict[str, Any]) -> None:
    for pair in told["pairs"]:
        _say(f"{pair['a']} against {pair['b']}: {pair['sentence']}")
        _say(f"It has seen {pair['judged']} pairs, and said the same in both orders on {pair['consistent']:.0%}.")
    if not told["pairs"]:
        _say("There is no pair to judge.")


def _print_fixes(told: dict[str, Any]) -> None:
    _say(told["sentence"])
    for diff in told["diffs"][:_SHOWN_DIFFS]:
        before, after = diff["before"], diff["after"][0] if diff["after"] else "(goes out)"
        letters = enumerate(zip(before, after, strict=False))
        start = next((at for at, (one, other) in letters if one != other), 0)
        lines = (("red", f"- line {diff['line']}: {_from(before, start)}"), ("green", f"+ {_from(after, start)}"))
        for colour, text in lines:
            commands.output.print(f"  [{colour}]{commands.escape(text)}[/]", soft_wrap=True, highlight=False)
    if len(told["diffs"]) > _SHOWN_DIFFS:
        _say(f"  and {len(told['diffs']) - _SHOWN_DIFFS} more")
    for row in told["unresolved"]:
        _say(f"right answer not known: {' '.join(row['prompt'].split())[:_LONGEST_SHOWN]}")
    if told["written"]:
        _say(f"Written: {told['written']['target']}")
    else:
        _say("Nothing is written: say where with --out.")


def _from(text: str, start: int) -> str:
    """A piece of a row, from a little before the first letter that changes."""
    first = max(0, start - _LONGEST_SHOWN // 4)
    piece = text[first : first + _LONGEST_SHOWN]
    return ("… " if first else "") + piece + (" …" if first + _LONGEST_SHOWN < len(text) else "")


def _print_imported(told: dict[str, Any]) -> None:
    _say(f"{told['votes']} votes on {told['items']} items are session {told['session']}.")
    _say(f"`fitting-room votes result {told['session']}` tells what they say.")


def _print_result(told: dict[str, Any]) -> None:
    commands.output.print(f"[bold]{commands.escape(told['title'])}[/]  {told['session']}", highlight=False)
    _say(told["sentence"])
    table = Table("", "wins", "losses", "ties", "both bad", "win rate", "95% interval", box=None, pad_edge=False)
    for pair in told["pairs"]:
        table.add_row(*_cells(pair["tally"]))
    for name, tallies in (*told["by_tag"].items(), *told["by_question"].items()):
        for found in tallies:
            table.add_row(*_cells(found, commands.escape(name) + ": "))
    commands.output.print(table)
    for pair in told["pairs"]:
        if pair["identical"]:
            _say(f"{pair['identical']} items have the same answer of both: ties without a vote.")
    for arm in told["strengths"]:
        low, high = arm["low"], arm["high"]
        _say(f"strength of {arm['arm']}: {arm['strength']:+.2f} ({low:+.2f} to {high:+.2f}), best {arm['best']:.0%}")
    agreed = told["agreement"]
    if agreed["consistency"]:
        share, low, high = (100 * value for value in agreed["consistency"])
        _say(f"same vote on repeats: {share:.0f}% of {agreed['repeats']} ({low:.0f} to {high:.0f})")
    if agreed["alpha"]:
        alpha, low, high = agreed["alpha"]
        _say(f"agreement of {agreed['raters']} raters: alpha {alpha:.2f} ({low:.2f} to {high:.2f})")
    for name, found in (*told["alpha_by_tag"].items(), *told["alpha_by_question"].items()):
        if found:
            alpha, low, high = found
            _say(f"agreement of raters, {name}: alpha {alpha:.2f} ({low:.2f} to {high:.2f})")
    if told["reveal"] is None:
        _say("Which arm is which is told once the session is closed (--close).")
    _say(f"{told['counted']} votes count, of {told['wanted']} that were planned.")


def _cells(found: dict[str, Any], before: str = "") -> tuple[str, ...]:
    name = f"{before}{commands.escape(found['a'])} against {commands.escape(found['b'])}"
    counts = tuple(str(found[key]) for key in ("wins", "losses", "ties", "both_bad"))
    if found["win_rate"] is None:
        return name, *counts, "-", ""
    rate, low, high = (100 * value for value in found["win_rate"])
    return name, *counts, f"{rate:.0f}%", f"{low:.0f} to {high:.0f}"


def _print_export(told: dict[str, Any]) -> None:
    if told["file"] is None:
        sys.stdout.write(told["text"])
        commands.console.print(commands.escape(told["sentence"]), highlight=False, soft_wrap=True)
        return
    _say(told["sentence"])
    _say(f"Written: {told['file']}")
    if told["new_test"]:
        _say(f"The test set without them ({told['new_test']['dropped']} rows went out): {told['new_test']['target']}")
    if told.get("note"):
        _say(told["note"])
    if told.get("parent"):
        parent = {name: shlex.quote(value) for name, value in told["parent"].items()}
        given = f"--objective {told['format']} --method {parent['method']} --model {parent['model']}"
        given += f" --set start_from={parent['start_from']}" if "start_from" in parent else ""
        _say(f"To train {told['parent']['run']} further: fitting-room train {shlex.quote(told['file'])} {given}")


def _say(text: str) -> None:
    commands.output.print(commands.escape(text), highlight=False, soft_wrap=True)
