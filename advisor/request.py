"""What a comparison is asked to do, and the fingerprint that tells one comparison from another."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import xxhash

from advisor.approaches import APPROACHES, ARM_TITLES
from advisor.metrics import metric_for, metric_named
from dataset_tools.errors import ModelError, UsageError
from dataset_tools.formats.detection import format_for
from training.models import embedded
from training.models.loading import default_model, load_config, locate

# Raised when what arms do changes, so that finished arms of an older version are not taken for today's.
_VERSION = 1
NO_DOCUMENTS = "there are no documents; give them with --docs"


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
        seed: For splits, draws and training.
        columns: Which column holds what, in the examples and in the test rows: ``{"prompt": "Review Text", ...}``.
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
    seed: int = 0
    columns: dict[str, str] | None = None

    def __post_init__(self) -> None:
        check_choices(
            test=self.test,
            documents=self.documents,
            arms=self.arms,
            limit=self.limit,
            budget_minutes=self.budget_minutes,
            task_type=self.task_type,
            metric=self.metric,
            columns=self.columns,
        )
        _require_file(self.data)

    def fingerprint(self) -> str:
        """Changes with the request, and with the content of every file it names."""
        asked = {**self.to_dict(), "model": self.model or default_model()}  # the default is not always the same
        if not self.columns:
            del asked["columns"]  # so that comparisons from before there were any are still found
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
        arms = tuple(values["arms"]) if values.get("arms") else None
        known = {field.name for field in fields(cls)}
        return cls(**{**{key: value for key, value in values.items() if key in known}, **paths, "arms": arms})


def check_choices(
    *,
    test: Path | None = None,
    documents: Path | None = None,
    arms: Sequence[str] | None = None,
    limit: int | None = None,
    budget_minutes: float | None = None,
    task_type: str | None = None,
    metric: str | None = None,
    columns: Mapping[str, str] | None = None,
) -> None:
    """Refuse all that can be refused before the examples are at hand; the attributes of `ComparisonRequest`.

    Raises:
        UsageError: there is no such approach, kind of task, metric, format or path; a number makes no sense; or none of
            the approaches can be run.
    """
    if arms is not None:
        _check_arms(arms, documents)
    for name, value in (("limit", limit), ("budget", budget_minutes)):
        if value is not None and not 0 < value < math.inf:  # NaN is not either
            raise UsageError(
                f"The {name} must be a number above 0.",
                where=f"--{name}",
                found=str(value),
                expected="a number above 0",
                next_step=f"Leave --{name} out to have it chosen.",
            )
    if task_type:
        metric_for(task_type)
    if metric:
        metric_named(metric)
    if columns:
        format_for(columns)
    if documents is not None:
        _require_there(documents)
    if test is not None:
        _require_file(test)


def _check_arms(arms: Sequence[str], documents: Path | None) -> None:
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
    if documents is None and all(arm.needs_documents for arm in APPROACHES if arm.name in arms):
        raise UsageError(
            "None of these approaches can be run.",
            found="; ".join(f"{arm}: {NO_DOCUMENTS}" for arm in arms),
            expected="at least one approach that needs nothing more than the examples, such as zero-shot",
            next_step="Give --docs, or name other approaches with --arms.",
        )


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
