"""What the commands for datasets do, and how their results look in a terminal: lint, fix, convert, split, card."""

from __future__ import annotations

import contextlib
import shutil
import sys
import tempfile
from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from app.building_commands import build_file
from app.commands import PREPARING_LINE, console, input_file, is_unprepared, output, prepare_model
from app.progress import working
from dataset_tools.checks import CHECKS
from dataset_tools.conversion import convert
from dataset_tools.data_card import data_card
from dataset_tools.dataset import load_examples
from dataset_tools.errors import UsageError
from dataset_tools.fixes import KINDS, FixPlan, Needs, apply_fixes, fixed_path, plan_fixes, undo
from dataset_tools.formats import WRITTEN
from dataset_tools.lint import lint
from dataset_tools.reading import Reading
from dataset_tools.reading.opening import open_file
from dataset_tools.split_files import split_file
from dataset_tools.writing import write_text_atomically
from training.models.loading import default_model, load_config, load_tokenizer, machine

_SHOWN_DIFFS = 3
STDIN = "-"
_FEW_KEPT = 0.2  # of the candidates; our choice, as the embedded model is mostly below it
CONTAINERS = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet", ".jsonl.gz", ".jsonl.zst")


def columns_of(pairs: Collection[str] | None) -> dict[str, str] | None:
    """``["prompt=Review Text", "completion=Label"]`` -> which column holds what."""
    if not pairs:
        return None
    wrong = [pair for pair in pairs if "=" not in pair]
    if wrong:
        raise UsageError(
            "A column is named like prompt=COLUMN.",
            found=repr(wrong[0]),
            expected='--column "prompt=Review Text" --column completion=Label',
        )
    return dict(pair.split("=", 1) for pair in pairs)


def require_new(path: Path, *, overwrite: bool) -> None:
    """Refuse to write over a file that is there.

    Raises:
        UsageError: There is such a file, and it may not be replaced.
    """
    if path.is_file() and not overwrite:
        raise UsageError(
            "This file is there already.",
            where=str(path),
            next_step="Choose another name with --out, or replace it with --overwrite.",
        )


def names_in(text: str | None) -> tuple[str, ...] | None:
    """``"structure,privacy"`` -> the names; None where nothing was asked."""
    return None if text is None else tuple(name.strip() for name in text.split(",") if name.strip())


def model_needs(model: str | None) -> dict[str, Any]:
    """The tokenizer of the model, and the most tokens that a row is trained on. It takes long, so it is said."""
    name = model or default_model()
    prepare_model(name)
    with working(console, "Loading the tokenizer ..."):
        context = min(load_config(name).max_position_embeddings, 2048 if not machine().has_accelerator else 8192)
        return {"tokenizer": load_tokenizer(name), "max_length": context}


@contextlib.contextmanager
def rows_file(file: str | Path) -> Iterator[Path]:
    """The file that a name stands for; what comes in on stdin, for ``-``, as a file for as long as the block lasts."""
    if str(file) != STDIN:
        yield input_file(file)
        return
    with tempfile.TemporaryDirectory(prefix="fitting-room-") as folder:
        path = Path(folder) / "stdin"
        with path.open("wb") as copy:
            shutil.copyfileobj(sys.stdin.buffer, copy)
        yield path


def lint_file(
    file: str | Path,
    *,
    model: str | None = None,
    checks: tuple[str, ...] | None = None,
    test: Path | None = None,
    columns: dict[str, str] | None = None,
    reading: Reading | None = None,
) -> dict[str, Any]:
    """Lint a file, with the model's own tokenizer where a check asks for one."""
    with rows_file(file) as path:
        open_file(path).close()  # a file that is not there is said at once, before a model is loaded
        test_rows = load_examples(test).examples if test else None
        needs = model_needs(model) if _ask_for(checks, "tokenizer") else {}
        with working(console, f"Checking {path.name} ...") as say:
            report = lint(
                path,
                checks=checks,
                columns=columns,
                test_rows=test_rows,
                reading=reading,
                progress=lambda rows: say(f"Checking {path.name}: {rows:,} rows ..."),
                **needs,
            ).to_dict()
    return {**report, "file": STDIN} if str(file) == STDIN else report


def _ask_for(checks: tuple[str, ...] | None, need: str) -> bool:
    chosen = [check for check in CHECKS if checks is None or check.family in checks or check.id in checks]
    return any(need in getattr(check, "needs", ()) for check in chosen)


def convert_file(
    source: str | Path,
    target: Path,
    *,
    to: str,
    columns: dict[str, str] | None = None,
    reading: Reading | None = None,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Convert a file; its losses are part of the result."""
    suffix = "".join(target.suffixes[-2:]) if target.suffix in (".gz", ".zst") else target.suffix
    if suffix not in CONTAINERS:
        raise UsageError(
            "The name of the file to write says what it is.", found=target.name, expected=", ".join(CONTAINERS)
        )
    require_new(target, overwrite=overwrite)
    with rows_file(source) as path, working(console, f"Writing {target.name} ..."):
        return {**convert(path, target, to=to, columns=columns, reading=reading).to_dict(), "source": str(source)}


def plan_file(
    file: Path, *, columns: dict[str, str] | None, test: Path | None = None, reading: Reading | None = None
) -> FixPlan:
    """What could be fixed in a file."""
    with rows_file(file) as path, working(console, f"Looking for what can be fixed in {path.name} ..."):
        plan = plan_fixes(path, columns=columns, needs=_needs(None, test), reading=reading)
    return replace(plan, file=str(file))


def _needs(model: str | None, test: Path | None) -> Needs:
    rows = load_examples(test).examples if test else None
    return Needs(**model_needs(model), test_rows=rows) if model else Needs(test_rows=rows)


def fix_file(
    file: Path,
    *,
    out: Path | None,
    fixes: Collection[str] | None,
    drop_bad: bool,
    columns: dict[str, str] | None,
    model: str | None = None,
    test: Path | None = None,
    reading: Reading | None = None,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Write the fixed file, its log and its rejects."""
    if str(file) == STDIN and out is None:
        raise UsageError("What comes in on stdin has no name to fix it beside.", next_step="Name a file with --out.")
    if out is not None and not out.is_dir() and out.suffix not in (".jsonl", ".ndjson"):
        raise UsageError(
            "A fixed file is JSON lines.",
            found=out.name,
            expected="a name that ends with .jsonl, or a folder",
            next_step="Fix into .jsonl, then write another container with: fitting-room convert",
        )
    with rows_file(file) as path:
        target = fixed_path(path) if out is None else out / fixed_path(path).name if out.is_dir() else out
        require_new(target, overwrite=overwrite)
        needs = _needs(model, test)
        with working(console, f"Fixing {path.name} ..."):
            done = apply_fixes(
                path, out, fixes=fixes, drop_bad=drop_bad, columns=columns, needs=needs, reading=reading
            ).to_dict()
    return {**done, "source": str(file)} if str(file) == STDIN else done


def every_fix() -> tuple[str, ...]:
    """The ids of all fixes."""
    return tuple(KINDS)


def undo_file(target: Path) -> dict[str, Any]:
    """Take all fixes of a file back."""
    undone = undo(target)
    return {"file": str(undone.file), "restored": undone.restored, "exact": undone.exact}


def split(file: str | Path, folder: Path, **options: Any) -> dict[str, Any]:
    """Write train, validation and test rows into a folder."""
    path = input_file(file)
    with working(console, f"Splitting {path.name} ..."):
        return {"folder": str(folder), **split_file(path, folder, **options).to_dict()}


def card(
    file: str | Path,
    *,
    out: Path | None,
    licence: str | None,
    columns: dict[str, str] | None,
    model: str | None,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Describe a dataset; the card is written where a file is named, else its Markdown is in the result."""
    path = input_file(file)
    open_file(path).close()
    if out is not None and out.suffix not in (".md", ".html"):
        raise UsageError("A card is a .md or a .html file.", found=str(out))
    if out is not None:
        require_new(out, overwrite=overwrite)
    needs = model_needs(model)
    with working(console, f"Describing {path.name} ..."):
        made = data_card(path, licence=licence, columns=columns, **needs)
    if out is None:
        return {**made.to_dict(), "markdown": made.to_markdown()}
    write_text_atomically(out, made.to_html() if out.suffix == ".html" else made.to_markdown())
    return {**made.to_dict(), "written": str(out)}


def build(documents: Path, out: Path, *, overwrite: bool = False, **options: Any) -> dict[str, Any]:
    """Write rows from documents, with the passages that were read as progress."""
    require_new(out, overwrite=overwrite)
    unprepared = is_unprepared(options.get("model") or default_model())
    with working(
        console, PREPARING_LINE if unprepared else "Asking the model about the documents ...", at_once=unprepared
    ) as say:
        return build_file(
            documents,
            out,
            progress=lambda done, total: say(f"Asked about {done} of {total} passages ..."),
            **options,
        )


def print_lint(report: dict[str, Any], *, out: Console = output) -> None:
    """A lint report for people: the verdict, the five largest findings with three rows each, then the rest."""
    words = {"train": "[green]Ready to train[/]", "fix_first": "[yellow]Fix first[/]"}
    verdict = words.get(report["verdict"], "[red]Do not train on this[/]")
    counts = f"{report['rows']:,} rows of {report['format']}, {report['usable']:,} usable"
    out.print(f"{verdict}: {escape(report['file'])}, {counts}", soft_wrap=True, highlight=False)
    findings = report["findings"]
    for finding in findings[:5]:
        _print_finding(finding, out)
    if len(findings) > 5:
        out.print("\nAlso:")
        table = Table("", "check", "times", "what", "lines", box=None, pad_edge=False)
        for finding in findings[5:]:
            lines = ", ".join(map(str, finding["lines"][:6])) + (" ..." if len(finding["lines"]) > 6 else "")
            times = f"{finding['count']:,}" if lines else "whole file"
            table.add_row(_severity(finding), finding["check"], times, escape(finding["title"]), lines)
        out.print(table)
    _print_skipped(report["skipped"], out)
    fixable = len({finding["check"] for finding in findings if finding["fix"] and finding["family"] != "leaks"})
    if fixable and report["file"] != STDIN:
        kinds = "1 kind of fault" if fixable == 1 else f"{fixable} kinds of faults"
        out.print(f"\nA program can fix {kinds}: fitting-room fix {escape(report['file'])}", soft_wrap=True)


def _print_skipped(skipped: list[str], out: Console) -> None:
    """The checks that were not run, one line a reason."""
    by_reason: dict[str, list[str]] = {}
    for line in skipped:
        check, _, reason = line.partition(": ")
        by_reason.setdefault(reason, []).append(check)
    for reason, checks in by_reason.items():
        hint = " (give one with --test)" if "test file" in reason else ""
        out.print(f"\n[dim]skipped, as {escape(reason)}{hint}: {', '.join(checks)}[/]", soft_wrap=True, highlight=False)


def _print_finding(finding: dict[str, Any], out: Console) -> None:
    times = f", {finding['count']:,} times" if finding["count"] > 1 else ""
    out.print(f"\n{_severity(finding)} [bold]{escape(finding['title'])}[/]{times}  [dim]{finding['check']}[/]")
    for example in finding["examples"]:
        place = f"line {example['line']}: " if example["line"] is not None else ""
        out.print(f"  {place}{escape(example['message'])}", soft_wrap=True, highlight=False)
    more = finding["count"] - len(finding["examples"])
    if more > 0:
        lines = ", ".join(map(str, finding["lines"][3:12]))
        out.print(f"  and {more:,} more" + (f": lines {lines}" + (" ..." if more > 9 else "") if lines else ""))
    out.print(f"  [dim]{escape(finding['why'])}[/]", soft_wrap=True, highlight=False)


def _severity(finding: dict[str, Any]) -> str:
    colour = {"error": "red", "warning": "yellow"}.get(finding["severity"], "dim")
    return f"[{colour}]{finding['severity']}[/]"


def print_conversion(result: dict[str, Any]) -> None:
    """A conversion for people, with its losses."""
    mapped = f" ({'; '.join(result['mapped'])})" if result["mapped"] else ""
    output.print(
        f"{result['written']:,} rows written to {escape(result['target'])}: "
        f"{result['read_as']}{escape(mapped)} -> {result['written_as']}",
        soft_wrap=True,
        highlight=False,
    )
    if result["rejected"]:
        rejects = escape(str(result["rejects"]))
        output.print(
            f"[yellow]{result['rejected']:,} rows were left out[/], with the reasons: {rejects}", soft_wrap=True
        )
    if not result["losses"]:
        output.print("Nothing of the rows that were written was lost.")
        return
    table = Table("what did not survive", "how", "rows", "for example", box=None, pad_edge=False)
    for loss in result["losses"]:
        table.add_row(escape(loss["path"]), loss["kind"], str(loss["rows"]), escape(str(loss["sample"])[:60]))
    output.print(table)


def print_plan(plan: FixPlan) -> None:
    """A plan of fixes for people, each with the first rows before and after."""
    if not plan.fixes:
        output.print("There is nothing that a program can fix.")
    for fix in plan.fixes:
        mark = "[green]safe[/]" if fix.safe else "[yellow]to be confirmed[/]"
        output.print(f"\n[bold]{escape(fix.what)}[/] ({fix.scope}, {mark})  [dim]{fix.id}[/]", highlight=False)
        if fix.note:
            output.print(f"  {escape(fix.note)}", soft_wrap=True, highlight=False)
        for diff in fix.samples[:_SHOWN_DIFFS]:
            start = _first_difference(diff.before, diff.after[0]) if len(diff.after) == 1 else 0
            output.print(
                f"  [red]- line {diff.line}: {_window(diff.before, start)}[/]", soft_wrap=True, highlight=False
            )
            for after in diff.after or ("(dropped)",):
                output.print(f"  [green]+ {_window(after, start)}[/]", soft_wrap=True, highlight=False)
    if plan.unread:
        shown = ", ".join(str(unread.line) for unread in plan.unread_shown[:10])
        more = " ..." if plan.unread > 10 else ""
        output.print(
            f"\n[yellow]{plan.unread:,} records cannot be read and are left out by any fix[/]: lines {shown}{more}"
        )
    if plan.left:
        left = ", ".join(f"{check} ({count:,})" for check, count in plan.left.items())
        output.print(f"\nLeft for you: {escape(left)}", soft_wrap=True, highlight=False)


def _first_difference(before: str, after: str) -> int:
    return next((at for at, (one, other) in enumerate(zip(before, after, strict=False)) if one != other), 0)


def _window(text: str, start: int) -> str:
    """The part of a row around a change, on one line."""
    begin = max(0, start - 60) if start > 100 else 0
    cut = text[begin : begin + 160].replace("\n", "\\n")
    return escape(("... " if begin else "") + cut + (" ..." if begin + 160 < len(text) else ""))


def print_fixed(result: dict[str, Any]) -> None:
    """What was fixed, for people."""
    output.print(f"{result['rows']:,} rows written to {escape(result['target'])}", soft_wrap=True, highlight=False)
    output.print(f"{result['changed']:,} changed, {result['dropped']:,} dropped; the source is as it was")
    for name, count in result["counts"].items():
        if name in KINDS:
            output.print(f"  {escape(KINDS[name].what)}: {KINDS[name].scope(count)}", soft_wrap=True, highlight=False)
    if result["rejects"]:
        output.print(f"Dropped rows, with the reasons: {escape(result['rejects'])}", soft_wrap=True, highlight=False)
    output.print(f"Undo: fitting-room fix {escape(result['target'])} --undo", soft_wrap=True, highlight=False)


def print_split(result: dict[str, Any]) -> None:
    """A split for people."""
    for name, count in result["counts"].items():
        groups = result["groups"].get(name)
        of = f" of {groups:,} groups" if groups else ""
        output.print(f"{name}: {count:,} rows{of}", highlight=False)
    labels = {label for counts in (result["labels"] or {}).values() for label in counts}
    if labels:
        output.print(f"{len(labels)} labels: {_missing_labels(result['labels'], labels)}", highlight=False)
    dropped = result["dropped"]
    if dropped["duplicates"] or dropped["unusable"]:
        output.print(f"left out: {dropped['duplicates']:,} duplicates, {dropped['unusable']:,} rows with errors")
    leaks = result["leaks"]
    clean = "[green]no leak between them[/]" if leaks["clean"] else "[red]they leak, see split.json[/]"
    output.print(f"Written to {escape(str(result['folder']))}: {clean}", soft_wrap=True, highlight=False)


def _missing_labels(labels: dict[str, dict[str, int]], known: set[str]) -> str:
    """Which sets lack a label, in words."""
    missing = {name: len(known - counts.keys()) for name, counts in labels.items() if counts}
    told = [f"{name} lacks {count}" for name, count in missing.items() if count]
    return ", ".join(told) if told else "each set has rows of all"


def print_card(result: dict[str, Any]) -> None:
    """A data card for people."""
    if "written" in result:
        output.print(f"Written to {escape(result['written'])}", soft_wrap=True, highlight=False)
    else:
        output.print(result["markdown"], markup=False, highlight=False, soft_wrap=True)


def print_built(result: dict[str, Any]) -> None:
    """What came of the documents, for people."""
    output.print(f"{result['rows']:,} rows written to {escape(str(result['file']))}", soft_wrap=True, highlight=False)
    output.print(escape(result["summary"]), soft_wrap=True, highlight=False)
    output.print(f"All candidates: {escape(str(result['candidates_file']))}", soft_wrap=True, highlight=False)
    if result["candidates"] and result["rows"] < _FEW_KEPT * result["candidates"]:
        output.print("Small models write few that are worth a row; name a larger one with --model.")
    if result["passages"] < result["of"]:
        output.print(f"{result['passages']:,} of {result['of']:,} passages were read.", highlight=False)
    for failure in result["failures"]:
        said = ", ".join(str(failure[key]) for key in ("file", "what", "found") if failure[key])
        output.print(f"[yellow]not read[/]: {escape(said)}", soft_wrap=True, highlight=False)
    if result["skipped"]:
        named = ", ".join(map(str, result["skipped"][:5])) + (" ..." if len(result["skipped"]) > 5 else "")
        output.print(f"[dim]of another kind: {escape(named)}[/]", soft_wrap=True, highlight=False)


def format_names() -> str:
    """The formats that can be written."""
    return ", ".join(WRITTEN)
