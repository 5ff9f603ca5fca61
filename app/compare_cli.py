"""The command that compares: what it takes, and how that becomes a request."""

from __future__ import annotations

from typing import Annotated, Any, cast

import typer

from advisor.cost import AnswersChange, RunsOn, Situation
from advisor.verdict import DEFAULT_MARGIN
from app import commands, data_commands
from app.cli_options import (
    AnswersChanging,
    Arms,
    Budget,
    Columns,
    Curve,
    Debug,
    Docs,
    Endpoint,
    EndpointModel,
    File,
    Folds,
    Instructions,
    Json,
    Kind,
    Limit,
    Margin,
    MetricName,
    Model,
    MustCite,
    Out,
    PricesGiven,
    Requests,
    RunningOn,
    Seed,
    Test,
    run,
)

_USUAL = Situation()
JudgeName = Annotated[
    str | None,
    typer.Option(
        "--judge",
        help="With --metric judge: the model whose opinion scores answers, on this machine or at an address as "
        "URL#MODEL (its key in FITTING_ROOM_JUDGE_KEY). Your rows are shown to it.",
    ),
]


def compare(
    file: File,
    test: Test = None,
    docs: Docs = None,
    arms: Arms = None,
    limit: Limit = None,
    budget: Budget = None,
    model: Model = None,
    endpoint: Endpoint = None,
    endpoint_model: EndpointModel = None,
    instruction: Instructions = None,
    task: Kind = None,
    metric: MetricName = None,
    judge: JudgeName = None,
    margin: Margin = DEFAULT_MARGIN,
    folds: Folds = None,
    learning_curve: Curve = False,
    requests: Requests = _USUAL.requests_a_month,
    answers_change: AnswersChanging = _USUAL.answers_change,
    must_cite: MustCite = False,
    runs_on: RunningOn = _USUAL.runs_on,
    price: PricesGiven = None,
    column: Columns = None,
    out: Out = None,
    seed: Seed = 0,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Run every approach on the same rows and give one measured verdict."""

    def work() -> dict[str, Any]:
        where, often = cast(RunsOn, runs_on), cast(AnswersChange, answers_change)
        options: dict[str, Any] = {"test": test, "documents": docs, "limit": limit, "budget_minutes": budget}
        options |= {"model": model, "endpoint": endpoint, "endpoint_model": endpoint_model, "seed": seed}
        options |= {
            "task_type": task,
            "metric": metric,
            "judge": judge,
            "margin": margin,
            "learning_curve": learning_curve,
        }
        options |= {"folds": folds}
        options |= {"arms": commands.arm_names(arms), "instructions": tuple(instruction or ())}
        options |= {"situation": Situation(requests, often, must_cite, where), "prices": commands.prices_of(price)}
        return commands.compare_file(file, {**options, "columns": data_commands.columns_of(column)}, out=out)

    run(work, commands.print_comparison, as_json, debug)


COMMANDS = (compare,)
