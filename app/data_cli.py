"""The commands for datasets: lint, fix, convert, split, card, schema. What they do is in `app.data_commands`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from app import commands, data_commands
from app.cli_options import Columns, Debug, File, Json, Model, Overwrite, Seed, run
from dataset_tools.errors import UsageError
from dataset_tools.reading import Reading

_FORMATS = data_commands.format_names()
_Sheet = Annotated[str | None, typer.Option("--sheet", help="The sheet of a workbook; the first by default.")]
_Encoding = Annotated[str | None, typer.Option("--encoding", help="What the text is written in; guessed by default.")]
_Rows = Annotated[
    Path, typer.Argument(help="Examples: JSONL, JSON, CSV, Excel, Parquet or text, packed or not; - for stdin.")
]
_Share = Annotated[float | None, typer.Option(help="Rows (1 or more) or a share (below 1); derived by default.")]


def lint(
    file: _Rows,
    checks: Annotated[
        str | None,
        typer.Option("--checks", help="Families or ids, by commas; all by default. What reading finds is always told."),
    ] = None,
    test: Annotated[Path | None, typer.Option("--test", help="Rows that must not be in the file.")] = None,
    column: Columns = None,
    sheet: _Sheet = None,
    encoding: _Encoding = None,
    as_json: Json = False,
    model: Model = None,
    debug: Debug = False,
) -> None:
    """Say what is wrong with a dataset, row by row; exit code 1 where it should not be trained on as it is."""
    run(
        lambda: data_commands.lint_file(
            file,
            model=model,
            checks=data_commands.names_in(checks),
            test=test,
            columns=data_commands.columns_of(column),
            reading=Reading(sheet, encoding),
        ),
        data_commands.print_lint,
        as_json,
        debug,
    )


def fix(
    file: _Rows,
    safe: Annotated[bool, typer.Option("--safe", help="Make the fixes that change no meaning.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="Make all fixes.")] = False,
    only: Annotated[str | None, typer.Option("--only", help="Make these: ids separated by commas.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="File or folder; NAME.fixed.jsonl by default.")] = None,
    drop_bad: Annotated[bool, typer.Option("--drop-bad", help="Also drop rows that still have an error.")] = False,
    undo: Annotated[bool, typer.Option("--undo", help="Take the fixes of this fixed file back.")] = False,
    test: Annotated[Path | None, typer.Option("--test", help="Rows that must not be in the file.")] = None,
    overwrite: Overwrite = False,
    column: Columns = None,
    sheet: _Sheet = None,
    encoding: _Encoding = None,
    as_json: Json = False,
    model: Model = None,
    debug: Debug = False,
) -> None:
    """Show what can be fixed, with the rows before and after, or fix it; the source is never touched."""
    if undo:
        run(lambda: data_commands.undo_file(file), _print_undone, as_json, debug)
        return
    chosen = data_commands.names_in(only)
    reading = Reading(sheet, encoding)
    if not (safe or everything or chosen is not None or drop_bad):
        options: dict[str, Any] = {"columns": data_commands.columns_of(column), "test": test, "reading": reading}
        run(lambda: _show_plan(file, options, as_json), None, as_json, debug)
        return

    def work() -> dict[str, Any]:
        if sum((safe, everything, chosen is not None)) > 1:
            raise UsageError("Choose one of --safe, --all and --only.", next_step="Leave the others out.")
        fixes = data_commands.every_fix() if everything else chosen
        return data_commands.fix_file(
            file,
            out=out,
            fixes=fixes,
            drop_bad=drop_bad,
            columns=data_commands.columns_of(column),
            model=model,
            test=test,
            reading=reading,
            overwrite=overwrite,
        )

    run(work, data_commands.print_fixed, as_json, debug)


def _show_plan(file: Path, options: dict[str, Any], as_json: bool) -> dict[str, Any]:
    """The plan; in a terminal its fixes are asked for one by one, and those that are wanted are made."""
    plan = data_commands.plan_file(file, **options)
    if as_json:
        return plan.to_dict()
    data_commands.print_plan(plan)
    if not plan.fixes:
        return {}
    if not sys.stdin.isatty():
        commands.output.print("\nMake them with --safe, --all or --only ID,ID.")
        return {}
    wanted = [fix.id for fix in plan.fixes if typer.confirm(f"{fix.what} ({fix.scope})?", default=fix.safe)]
    if wanted:
        result = data_commands.fix_file(file, out=None, fixes=wanted, drop_bad=False, **options)
        data_commands.print_fixed(result)
    return {}


def _print_undone(result: dict[str, Any]) -> None:
    how = "byte for byte the source" if result["exact"] else "the rows are as they were, as JSON lines in UTF-8"
    commands.output.print(f"The fixes are undone: {commands.escape(result['file'])} ({how})", soft_wrap=True)


def convert(
    source: _Rows,
    target: Annotated[Path, typer.Argument(help="The file to write: .jsonl, .json, .csv, .tsv, .parquet, .jsonl.gz")],
    to: Annotated[str, typer.Option("--to", help=f"One of: {_FORMATS}.")],
    column: Columns = None,
    sheet: _Sheet = None,
    encoding: _Encoding = None,
    overwrite: Overwrite = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Write a dataset in another format, and say what did not survive."""
    run(
        lambda: data_commands.convert_file(
            source,
            target,
            to=to,
            columns=data_commands.columns_of(column),
            reading=Reading(sheet, encoding),
            overwrite=overwrite,
        ),
        data_commands.print_conversion,
        as_json,
        debug,
    )


def split(
    file: File,
    out: Annotated[Path, typer.Option("--out", help="Folder for train, validation and test.jsonl.")],
    test: _Share = None,
    validation: _Share = None,
    group_by: Annotated[
        str | None, typer.Option("--group-by", help="Rows with the same value of this field stay on one side.")
    ] = None,
    stratify: Annotated[bool | None, typer.Option("--stratify/--no-stratify", help="In proportion to labels.")] = None,
    exact: Annotated[bool, typer.Option("--exact", help="Exactly as many rows as asked.")] = False,
    overwrite: Overwrite = False,
    seed: Seed = 0,
    column: Columns = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Split a dataset into train, validation and test rows without a leak between them."""
    run(
        lambda: data_commands.split(
            file,
            out,
            test=test,
            validation=validation,
            group_by=group_by,
            stratify=stratify,
            exact=exact,
            overwrite=overwrite,
            seed=seed,
            columns=data_commands.columns_of(column),
        ),
        data_commands.print_split,
        as_json,
        debug,
    )


def card(
    file: File,
    out: Annotated[Path | None, typer.Option("--out", help="A .md or .html file; printed by default.")] = None,
    licence: Annotated[str | None, typer.Option("--licence", help="The licence of the data.")] = None,
    overwrite: Overwrite = False,
    column: Columns = None,
    as_json: Json = False,
    model: Model = None,
    debug: Debug = False,
) -> None:
    """Describe a dataset: rows, tokens, lengths, labels, duplicates, with plots."""
    run(
        lambda: data_commands.card(
            file,
            out=out,
            licence=licence,
            columns=data_commands.columns_of(column),
            model=model,
            overwrite=overwrite,
        ),
        data_commands.print_card,
        as_json,
        debug,
    )


def schema(name: Annotated[str, typer.Argument(help=f"One of: {_FORMATS}.")], debug: Debug = False) -> None:
    """Print the JSON Schema of a dataset format."""
    run(lambda: commands.schema_of(name), lambda value: print(json.dumps(value, indent=2)), False, debug)


def build(
    documents: Annotated[Path, typer.Argument(help="A Markdown, text, HTML, PDF or Word file, or a folder of them.")],
    out: Annotated[Path, typer.Option("--out", help="The file of rows to write.")],
    to: Annotated[str, typer.Option("--to", help="messages or prompt_completion.")] = "messages",
    questions: Annotated[int, typer.Option("--questions", help="How many are asked for in each passage.")] = 3,
    limit: Annotated[int | None, typer.Option("--limit", help="At most this many passages, drawn from all.")] = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Answer each question again, with and without its passage.")
    ] = False,
    overwrite: Overwrite = False,
    model: Model = None,
    seed: Seed = 0,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Have a model write questions about documents, and keep those that pass the checks as training rows."""
    run(
        lambda: data_commands.build(
            documents,
            out,
            overwrite=overwrite,
            model=model,
            to=to,
            questions=questions,
            limit=limit,
            verify=verify,
            seed=seed,
        ),
        data_commands.print_built,
        as_json,
        debug,
    )


COMMANDS = (lint, fix, convert, split, card, build, schema)
