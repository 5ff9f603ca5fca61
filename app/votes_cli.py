"""The commands for human evaluation: ``fitting-room votes import | result | export``, and ``fitting-room evaluate``.

The work is in `advisor.human`; here are options, progress, and how it looks in a terminal.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, cast

import typer
from rich.table import Table

from advisor.human import VoteStore, feedback_as, read_votes, result_of, votes_csv, votes_jsonl
from advisor.human.automatic import Contestant
from advisor.human.automatic import evaluate as evaluate_models
from advisor.metrics import metric_for, metric_named
from advisor.task import LeakGuard
from app import commands
from app.cli_options import Debug, Json, Limit, MetricName, Overwrite, run
from app.data_commands import require_new
from app.progress import working
from app.run_reading import find_run, has_artefact, model_title
from dataset_tools.dataset import load_examples
from dataset_tools.errors import DataError, RunError, UsageError
from dataset_tools.example import Example
from dataset_tools.task_type import detect_task_type
from dataset_tools.writing import json_line, write_text_atomically
from training.home import cache
from training.models import embedded
from training.recipe import Recipe
from training.runs.folder import RunFolder

FORMATS = ("csv", "jsonl", "dpo", "kto", "sft")
_LONGEST_SHOWN = 200

votes = typer.Typer(name="votes", help="Votes of blind comparisons: import, result and export.", no_args_is_help=True)
_Session = Annotated[
    str, typer.Argument(metavar="SESSION", help="Its id, the beginning of its id, or its comparison's folder.")
]


@votes.command("import")
def import_votes(
    file: Annotated[Path, typer.Argument(help="CSV or JSONL: exported votes, or rows of prompt, a, b and winner.")],
    title: Annotated[str, typer.Option("--title", help="Of the session; the file's name by default.")] = "",
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Take votes from a file, as a session that is closed."""

    def work() -> dict[str, Any]:
        read = read_votes(file, title=title)
        with VoteStore.open() as store:
            store.add(read.session, read.votes)
        about = {"title": read.session.title, "arms": list(read.session.arms), "items": len(read.session.items)}
        return {"session": read.session.id, **about, "votes": len(read.votes)}

    run(work, _print_imported, as_json, debug)


@votes.command()
def result(
    named: _Session,
    close: Annotated[bool, typer.Option("--close", help="End the voting, and tell which arm was which.")] = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """What the votes of a session say. Arms have letters for names until the session is closed."""

    def work() -> dict[str, Any]:
        with VoteStore.open() as store:
            session = store.find(named)
            session = store.end(session.id) if close else session
            return result_of(session, store.votes(session.id)).to_dict()

    run(work, _print_result, as_json, debug)


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
    overwrite: Overwrite = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Votes as a table, or as rows to train on: preference pairs (dpo), rated answers (kto), edits (sft)."""

    def work() -> dict[str, Any]:
        return export_votes(named, form, out=out, test=test, use_test_rows=use_test_rows, overwrite=overwrite)

    run(work, _print_export, as_json, debug)


def export_votes(
    named: str,
    form: str,
    *,
    out: Path | None = None,
    test: Path | None = None,
    use_test_rows: bool = False,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Write votes in a form of `FORMATS` to ``out``; without it the text is in the result, as "text".

    Raises:
        UsageError: there is no such session or form, or the file is there already.
    """
    if form not in FORMATS:
        raise UsageError("There is no such form of votes.", found=repr(form), expected=f"one of {', '.join(FORMATS)}")
    if out is not None:
        require_new(out, overwrite=overwrite)
    with VoteStore.open() as store:
        session = store.find(named)
        given = store.votes(session.id)
    about: dict[str, Any] = {"session": session.id, "format": form}
    if form in ("csv", "jsonl"):
        text = (votes_csv if form == "csv" else votes_jsonl)(session, given)
        about |= {"rows": len(given), "sentence": f"{len(given)} votes.", "left_out": [], "to_replace": []}
    else:
        tests = load_examples(test).examples if test else ()
        training_form = cast(Literal["dpo", "kto", "sft"], form)
        feedback = feedback_as(training_form, session, given, test_rows=tests, use_test_rows=use_test_rows)
        text = b"".join(map(json_line, feedback.rows())).decode()
        about |= {"rows": len(feedback.examples), "sentence": feedback.sentence}
        about |= {"left_out": list(feedback.left_out), "to_replace": list(feedback.to_replace)}
    if out is None:
        return {**about, "file": None, "text": text}
    write_text_atomically(out, text)
    return {**about, "file": str(out)}


def evaluate(
    named: Annotated[str, typer.Argument(metavar="RUN", help="Its id, the beginning of its id, or its folder.")],
    against: Annotated[
        str, typer.Option("--against", help="Another run, or a model; the run's base model by default.")
    ] = "base",
    test: Annotated[
        Path | None, typer.Option("--test", help="Your own test rows; those that the run kept back without.")
    ] = None,
    metric: MetricName = None,
    limit: Limit = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Let a run's model and another answer held-out rows, and say which is better by the task's metric."""
    options: dict[str, Any] = {"test": test, "metric": metric, "limit": limit}
    run(lambda: evaluate_run(named, against=against, **options), _print_evaluation, as_json, debug)


def evaluate_run(
    named: str, *, against: str = "base", test: Path | None = None, metric: str | None = None, limit: int | None = None
) -> dict[str, Any]:
    """Evaluate a run with progress; what ``--json`` says.

    Raises:
        UsageError: there is no such run or model, or an option is wrong.
        RunError: a run has made nothing that could answer.
        DataError: there is no row that the run was not trained on.
        ModelError: a model cannot be loaded.
    """
    if limit is not None and limit < 1:
        raise UsageError("At least one row is answered.", where="--limit", found=str(limit))
    found = find_run(named)
    one = _contestant(found)
    other, trained = _other(found, against)
    rows, notes = _rows(found, test, trained)
    rows = rows[:limit]
    wanted = [row.completion for row in rows]
    asked = metric or found.status().get("metric")
    chosen = metric_named(str(asked)) if asked else metric_for(detect_task_type(wanted).kind)
    with working(commands.console, f"Answering {len(rows)} rows ...", at_once=True) as say:
        evaluation = evaluate_models(
            one,
            other,
            rows=rows,
            metric=chosen,
            folder=cache() / "evaluations",
            tell=lambda title, done, total: say(f"{title}: answering {done} of {total}"),
        )
    return {"run": found.path.name, **evaluation.to_dict(), "notes": notes}


def _contestant(found: RunFolder) -> Contestant:
    """What a run has made.

    Raises:
        RunError: nothing, so far.
    """
    if not has_artefact(found):
        raise RunError(
            "This run has made nothing that could answer.",
            where=str(found.path),
            found=f"state {found.status().get('state')!r}",
            next_step=f"`fitting-room runs show {found.path.name}` tells how it stands.",
        )
    recipe = Recipe.load(found.path / "recipe.yaml")
    return Contestant(found.path.name, recipe.model, found.artefact(recipe.method))


def _other(found: RunFolder, against: str) -> tuple[Contestant, list[RunFolder]]:
    """What a run is held against, and the runs whose training rows must not be asked."""
    if against == "base":
        model = Recipe.load(found.path / "recipe.yaml").model
        return Contestant(f"its base, {model_title(model)}", model), [found]
    if against == embedded.NAME or os.path.isfile(os.path.join(os.path.expanduser(against), "config.json")):
        return Contestant(model_title(against), against), [found]
    other = find_run(against)
    return _contestant(other), [found, other]


def _rows(found: RunFolder, test: Path | None, trained: Iterable[RunFolder]) -> tuple[list[Example], list[str]]:
    """The rows to ask, without those that a run was trained on, and what is to be known of them."""
    notes = []
    if test is not None:
        given: Sequence[Example] = load_examples(test).examples
    elif (found.path / "validation.jsonl").is_file():
        given = [row for row in found.read_rows("validation") if row.desirable is not False]
        notes.append("These rows checked the training as it ran: rows of your own with --test tell more surely.")
    else:
        given = []
    learnt = [row for other in trained for row in other.read_rows("train")]
    kept = list(LeakGuard(learnt, given).clean(given)) if learnt and given else list(given)
    if len(kept) < len(given):
        left = len(given) - len(kept)
        notes.append(f"{left} of {len(given)} rows were left out: they, or nearly the same, were trained on.")
    if not kept:
        raise DataError(
            "There is no row to evaluate on that was not trained on.",
            where=str(test or found.path),
            found=f"{len(given)} rows, all of them trained on" if given else "no held-out row",
            next_step="Give test rows of your own with --test.",
        )
    return kept, notes


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


def _print_evaluation(told: dict[str, Any]) -> None:
    commands.output.print(f"[bold]{commands.escape(told['sentence'])}[/]", highlight=False, soft_wrap=True)
    for title, key in ((told["title"], "score"), (told["against"], "against_score")):
        mean, low, high = (100 * value for value in told[key])
        _say(f"{title}: {told['metric']} {mean:.1f} ({low:.1f} to {high:.1f}) on {told['rows']} rows")
    for heading, rows in (("Better", told["best"]), ("Worse", told["worst"])):
        for row in rows:
            _show_row(heading, row, _say)
    for note in told["notes"]:
        _say(f"- {note}")


def _show_row(heading: str, row: dict[str, Any], say: Callable[[str], None]) -> None:
    say("")
    say(f"{heading} ({100 * row['score']:.0f}, the other {100 * row['against_score']:.0f}): {_short(row['prompt'])}")
    for label, key in (("wanted", "wanted"), ("answer", "answer"), ("other", "against")):
        say(f"  {label}: {_short(row[key])}")


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST_SHOWN else line[: _LONGEST_SHOWN - 1] + "…"


def _say(text: str) -> None:
    commands.output.print(commands.escape(text), highlight=False, soft_wrap=True)
