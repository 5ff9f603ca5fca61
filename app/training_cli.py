"""The commands ``fitting-room train`` and ``distill``: their options. What they do is in `app.training_commands`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app import data_commands
from app import training_commands as commands
from app.cli_options import Budget, Columns, Debug, File, Json, Model, Out, Seed, run
from training.recipe import METHODS, OBJECTIVES, REPORTERS

_Recipe = Annotated[Path | None, typer.Option("--recipe", help="A recipe.yaml instead of derived settings.")]
_Method = Annotated[str, typer.Option("--method", help=f"What is trained. One of: {', '.join(METHODS)}.")]
_Objective = Annotated[str, typer.Option("--objective", help=f"What is learnt. One of: {', '.join(OBJECTIVES)}.")]
_Set = Annotated[list[str] | None, typer.Option("--set", metavar="KNOB=VALUE", help="Change one knob of the recipe.")]
_Report = Annotated[
    str | None, typer.Option("--report-to", help=f"Tell another program too: {', '.join(REPORTERS[1:])}.")
]
_Also = Annotated[list[str] | None, typer.Option("--also", metavar="FILE=WEIGHT", help="Mix in rows of another file.")]


def train(
    file: File,
    model: Model = None,
    recipe: _Recipe = None,
    method: _Method = "qlora",
    objective: _Objective = "sft",
    knobs: _Set = None,
    also: _Also = None,
    report_to: _Report = None,
    budget: Budget = None,
    column: Columns = None,
    out: Out = None,
    seed: Seed = 0,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Fine-tune on the examples with settings derived from them, and check the result."""
    run(
        lambda: commands.train_file(
            file,
            commands.TrainingWishes(
                model=model,
                recipe=recipe,
                method=method,
                objective=objective,
                knobs=(*(knobs or ()), *([f"report_to={report_to}"] if report_to else ())),
                also=also or (),
                minutes=budget,
                columns=data_commands.columns_of(column),
                seed=seed,
            ),
            out=out,
        ),
        commands.print_training,
        as_json,
        debug,
    )


def distill(
    file: File,
    teacher: Annotated[str, typer.Option("--teacher", help="The larger model: an id or a folder.")],
    out: Annotated[Path, typer.Option("--out", help="The file of new rows.")],
    demonstrations: Annotated[int, typer.Option("--demonstrations", help="Rows to show the teacher.")] = 4,
    at_least: Annotated[float, typer.Option("--at-least", help="Lowest score to keep, 0 to 1.")] = 0.5,
    column: Columns = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Have a larger model answer the rows' prompts, and keep its good answers as training rows."""
    run(
        lambda: commands.distill_file(
            file,
            out,
            teacher=teacher,
            demonstrations=demonstrations,
            at_least=at_least,
            columns=data_commands.columns_of(column),
        ),
        commands.print_distilled,
        as_json,
        debug,
    )


COMMANDS = (train, distill)
