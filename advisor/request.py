"""What a comparison is asked to do, and the fingerprint that tells one comparison from another."""

from __future__ import annotations

import json
import math
import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import xxhash

from advisor.answering import EndpointAnswerer
from advisor.cost import Prices, Situation
from advisor.lineup import ARM_TITLES, ARMS, NO_DOCUMENTS, NO_ENDPOINT
from advisor.metrics import metric_for, metric_named
from advisor.metrics.registry import JUDGE
from advisor.verdict import DEFAULT_MARGIN
from dataset_tools.errors import ModelError, UsageError
from dataset_tools.formats.detection import format_for
from training.models import embedded
from training.models.loading import default_model, load_config, locate

# Raised when what arms do changes, so that finished arms of an older version are not taken for today's.
_VERSION = 3
# What changes how the scores are judged, and none of the answers: another comparison need not be made for it.
_JUDGEMENT = ("margin", "situation", "prices", "learning_curve")
MOST_FOLDS = 10
ENDPOINT_KEY, JUDGE_KEY = "FITTING_ROOM_ENDPOINT_KEY", "FITTING_ROOM_JUDGE_KEY"


@dataclass(frozen=True)
class ComparisonRequest:
    """A comparison, as the command line or the page asks for it. None means "decide for me".

    Attributes:
        data: The examples.
        test: The user's own test rows.
        documents: A folder or file of documents.
        arms: Names of approaches; all that fit by default.
        limit: Most test rows.
        budget_minutes: Time for everything; 10 without an accelerator, unlimited with one. 0 or less is refused.
        model: The base model's name.
        task_type: Overrides the detected kind of task.
        metric: Overrides the kind's metric.
        judge: Of the metric "judge" the model: one on this machine, or ``URL#MODEL`` at an OpenAI-compatible server
            (its key is in the environment). Prompts, answers and wanted answers are shown to it.
        seed: For splits, draws and training.
        columns: Which column holds what, in the examples and in the test rows: ``{"prompt": "Review Text", ...}``.
        instructions: Instructions to try beside those that are found.
        endpoint: Address of an OpenAI-compatible server whose model is compared too; its key is in the environment.
        endpoint_model: The model's name there.
        folds: Answer every row as a test row once, in so many folds, in place of a split; 1 for a split. By itself
            where rows are few, there are no test rows of their own, and nothing is trained.
        learning_curve: Train on a quarter and on half of the rows as well, to say whether more would help.
        margin: The smallest difference that matters; .03 is three points.
        situation: How much it will be asked, how often answers change, and where it will run.
        prices: In dollars; assumed where they are not given.
    """

    data: Path
    test: Path | None = None
    documents: Path | None = None
    arms: tuple[str, ...] | None = None
    limit: int | None = None
    budget_minutes: float | None = None
    model: str | None = None
    task_type: str | None = None
    metric: str | None = None
    judge: str | None = None
    seed: int = 0
    columns: dict[str, str] | None = None
    instructions: tuple[str, ...] = ()
    endpoint: str | None = None
    endpoint_model: str | None = None
    folds: int | None = None
    learning_curve: bool = False
    margin: float = DEFAULT_MARGIN
    situation: Situation = field(default_factory=Situation)
    prices: Prices = field(default_factory=Prices)

    def __post_init__(self) -> None:
        check_choices(
            test=self.test,
            documents=self.documents,
            arms=self.arms,
            limit=self.limit,
            budget_minutes=self.budget_minutes,
            task_type=self.task_type,
            metric=self.metric,
            judge=self.judge,
            columns=self.columns,
            endpoint=self.endpoint,
            endpoint_model=self.endpoint_model,
            margin=self.margin,
            folds=self.folds,
        )
        _require_file(self.data)
        if self.metric and self.judge is None:  # by its full name: a metric.py is then found from any folder
            object.__setattr__(self, "metric", metric_named(self.metric).name)

    def fingerprint(self) -> str:
        """Changes with the request, and with the content of every file it names."""
        asked = {**self.to_dict(), "model": self.model or default_model()}  # the default is not always the same
        for name in _JUDGEMENT:
            del asked[name]
        digest = xxhash.xxh3_128(json.dumps([_VERSION, asked], sort_keys=True).encode())
        for path in (self.data, self.test, self.documents):
            for file in sorted(path.rglob("*")) if path and path.is_dir() else [path]:
                if file and file.is_file():
                    digest.update(file.name.encode() + file.read_bytes())
        return digest.hexdigest()[:12]

    def to_dict(self) -> dict[str, Any]:
        """Plain data, for request.json."""
        return {
            name: str(value.resolve()) if isinstance(value, Path) else value for name, value in asdict(self).items()
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> ComparisonRequest:
        """The request that `to_dict` wrote."""
        paths = {name: Path(values[name]) for name in ("data", "test", "documents") if values.get(name)}
        made: dict[str, Any] = {"arms": tuple(values["arms"]) if values.get("arms") else None}
        made["instructions"] = tuple(values.get("instructions", ()))
        made["situation"] = Situation(**values.get("situation", {}))
        made["prices"] = Prices(**values.get("prices", {}))
        known = {each.name for each in fields(cls)}
        return cls(**{**{key: value for key, value in values.items() if key in known}, **paths, **made})

    def command(self) -> str:
        """The command line that makes this comparison."""
        words = ["fitting-room", "compare", str(self.data)]
        plain, asked, paid = type(self)(self.data), self.situation, self.prices
        usual, assumed = plain.situation, plain.prices
        for option, value, default in (
            ("--test", self.test, None),
            ("--docs", self.documents, None),
            ("--arms", ",".join(self.arms) if self.arms else None, None),
            ("--limit", self.limit, None),
            ("--budget", self.budget_minutes, None),
            ("--model", self.model, None),
            ("--endpoint", self.endpoint, None),
            ("--endpoint-model", self.endpoint_model, None),
            ("--folds", self.folds, None),
            ("--task", self.task_type, None),
            ("--metric", self.metric, None),
            ("--judge", self.judge, None),
            ("--margin", self.margin, plain.margin),
            ("--requests", asked.requests_a_month, usual.requests_a_month),
            ("--answers-change", asked.answers_change, usual.answers_change),
            ("--runs-on", asked.runs_on, usual.runs_on),
            ("--seed", self.seed, 0),
        ):
            if value != default:
                words += [option, str(value)]
        switches = (("--must-cite", asked.must_cite), ("--learning-curve", self.learning_curve))
        words += [switch for switch, on in switches if on]
        for name in ("prompt", "cached_prompt", "answer", "machine_hour"):
            if getattr(paid, name) != getattr(assumed, name):
                words += ["--price", f"{name.replace('_', '-')}={getattr(paid, name):g}"]
        for text in self.instructions:
            words += ["--instruction", text]
        for meaning, column in (self.columns or {}).items():
            words += ["--column", f"{meaning}={column}"]
        return shlex.join(words)

    def asked_again(self, result: Mapping[str, Any]) -> bool:
        """Whether a finished comparison was judged as this request asks for."""
        cost = result.get("cost") or {}
        same = cost.get("situation") == asdict(self.situation) and cost.get("prices") == asdict(self.prices)
        curve = not self.learning_curve or result.get("learning_curve") is not None
        return same and curve and result.get("margin") == self.margin


def check_choices(
    *,
    test: Path | None = None,
    documents: Path | None = None,
    arms: Sequence[str] | None = None,
    limit: int | None = None,
    budget_minutes: float | None = None,
    task_type: str | None = None,
    metric: str | None = None,
    judge: str | None = None,
    columns: Mapping[str, str] | None = None,
    endpoint: str | None = None,
    endpoint_model: str | None = None,
    margin: float = DEFAULT_MARGIN,
    folds: int | None = None,
    **others: Any,
) -> None:
    """Refuse all that can be refused before the examples are at hand; the attributes of `ComparisonRequest`.

    ``others`` are those of its attributes that cannot be wrong by themselves.

    Raises:
        UsageError: there is no such approach, kind of task, metric, format or path; a number makes no sense; or none of
            the approaches can be run.
    """
    if arms is not None:
        _check_arms(arms, documents, endpoint)
    for name, value in (("limit", limit), ("budget", budget_minutes)):
        if value is not None and not 0 < value < math.inf:  # NaN is not either
            raise UsageError(
                f"The {name} must be a number above 0.",
                where=f"--{name}",
                found=str(value),
                expected="a number above 0",
                next_step=f"Leave --{name} out to have it chosen.",
            )
    if not 0 < margin < 1:
        raise UsageError(
            "The margin must be between 0 and 1.",
            where="--margin",
            found=str(margin),
            expected="a number such as 0.03 for three points",
        )
    _check_folds(folds, test)
    _check_endpoint(endpoint, endpoint_model)
    if task_type:
        metric_for(task_type)
    _check_metric(metric, judge)
    if columns:
        format_for(columns)
    if documents is not None:
        _require_there(documents)
    if test is not None:
        _require_file(test)


def endpoint_answerer(endpoint: str | None, model: str | None) -> EndpointAnswerer | None:
    """What asks the endpoint; None without one. Its key, if it needs one, is in FITTING_ROOM_ENDPOINT_KEY.

    Raises:
        UsageError: the address is none, or holds a secret.
    """
    if endpoint is None or model is None:
        return None
    return EndpointAnswerer(endpoint, model, key=os.environ.get(ENDPOINT_KEY) or None)


def judge_answerer(judge: str | None) -> EndpointAnswerer | None:
    """What asks the judge ``URL#MODEL``; None for one on this machine. Its key, if any, is in FITTING_ROOM_JUDGE_KEY.

    Raises:
        UsageError: the address is none, holds a secret, or names no model.
    """
    if not judge or not judge.startswith(("http://", "https://")):
        return None
    url, mark, model = judge.rpartition("#")
    if not mark or not model.strip():
        raise UsageError(
            "A judge at an address is the address and the model's name there.",
            where="--judge",
            found="no model's name",
            expected="http://localhost:11434/v1#qwen3:32b",
            next_step="Add # and the model's name to the address.",
        )
    return EndpointAnswerer(url, model.strip(), key=os.environ.get(JUDGE_KEY) or None)


def _check_metric(metric: str | None, judge: str | None) -> None:
    if judge is not None and metric != JUDGE:
        raise UsageError(
            "A judge is asked by the metric judge alone.",
            where="--judge",
            found=f"the metric {metric}" if metric else "no metric that was named",
            next_step="Add --metric judge, or leave --judge out.",
        )
    if judge is not None:
        judge_answerer(judge)
    elif metric:
        metric_named(metric)


def _check_folds(folds: int | None, test: Path | None) -> None:
    if folds is not None and not 1 <= folds <= MOST_FOLDS:
        raise UsageError(
            "Folds are a small whole number.",
            where="--folds",
            found=str(folds),
            expected=f"1 (one split) to {MOST_FOLDS}; 5 is usual",
        )
    if folds is not None and folds > 1 and test is not None:
        raise UsageError(
            "With test rows of your own there is nothing to fold.",
            where="--folds",
            found="--test as well",
            next_step="Leave one of the two out.",
        )


def _check_endpoint(endpoint: str | None, model: str | None) -> None:
    if (endpoint is None) != (model is None):
        raise UsageError(
            "An endpoint is an address and a model's name there.",
            found="--endpoint alone" if model is None else "--endpoint-model alone",
            expected="--endpoint http://localhost:11434/v1 --endpoint-model qwen3:4b",
            next_step="Give both, or neither.",
        )
    endpoint_answerer(endpoint, model)


def _check_arms(arms: Sequence[str], documents: Path | None, endpoint: str | None) -> None:
    known = ", ".join(ARM_TITLES)
    if not arms:
        raise UsageError("No approach was named.", expected=known, next_step="Leave --arms out for all.")
    unknown = [arm for arm in arms if arm not in ARM_TITLES]
    if unknown:
        raise UsageError(
            "There is no such approach.",
            found=", ".join(unknown),
            expected=known,
            next_step="Take one or more of these, separated by commas.",
        )
    reasons = {name: _lacking(name, documents, endpoint) for name in arms}
    if all(reasons.values()):
        raise UsageError(
            "None of these approaches can be run.",
            found="; ".join(f"{name}: {reason}" for name, reason in reasons.items()),
            expected="at least one approach that needs nothing more than the examples, such as zero-shot",
            next_step="Give --docs, or name other approaches with --arms.",
        )


def _lacking(name: str, documents: Path | None, endpoint: str | None) -> str:
    if documents is None and ARMS[name].approach.needs_documents:
        return NO_DOCUMENTS
    return NO_ENDPOINT if endpoint is None and ARMS[name].elsewhere else ""


def _require_there(path: Path) -> None:
    if not path.exists():
        raise UsageError("There is nothing at this path.", where=str(path), next_step="Check the path.")


def _require_file(path: Path) -> None:
    _require_there(path)
    if path.is_dir():
        raise UsageError(
            "This is a folder, not a file.",
            where=str(path),
            expected="one file with rows",
            next_step="Name the file inside the folder.",
        )


def require_model(name: str) -> None:
    """Make sure that there is such a model, without loading or preparing one: quick, but for an id on the hub.

    Raises:
        UsageError: it is neither the embedded model, nor a folder with a model, nor an id as the hub has them.
        ModelError: it is an id, but the hub does not have it or cannot be reached, and the cache has it not either.
    """
    if name == embedded.NAME:
        return
    try:
        where = locate(name)
    except ModelError as error:
        raise UsageError(
            error.what, where=error.where, found=error.found, expected=error.expected, next_step=error.next_step
        ) from error
    if not os.path.isdir(where):
        load_config(name)
