"""What a comparison is asked to do, and the fingerprint that tells one comparison from another."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import xxhash

from advisor.approaches import ARM_TITLES
from advisor.metrics import metric_for, metric_named
from dataset_tools.errors import UsageError
from training.models.loading import default_model

# Raised when what arms do changes, so that finished arms of an older version are not taken for today's.
_VERSION = 1


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

    def __post_init__(self) -> None:
        if self.arms is not None and not self.arms:
            raise UsageError(
                "No approach was named.", expected=", ".join(ARM_TITLES), next_step="Leave --arms out for all."
            )
        unknown = [arm for arm in self.arms or () if arm not in ARM_TITLES]
        if unknown:
            raise UsageError(
                "There is no such approach.",
                found=", ".join(unknown),
                expected=", ".join(ARM_TITLES),
                next_step="Take one or more of these, separated by commas.",
            )
        for name, value in (("limit", self.limit), ("budget", self.budget_minutes)):
            if value is not None and not 0 < value < math.inf:  # NaN is not either
                raise UsageError(
                    f"The {name} must be a number above 0.",
                    where=f"--{name}",
                    found=str(value),
                    expected="a number above 0",
                    next_step=f"Leave --{name} out to have it chosen.",
                )
        if self.task_type:
            metric_for(self.task_type)
        if self.metric:
            metric_named(self.metric)
        for path in (self.data, self.test, self.documents):
            if path is not None and not path.exists():
                raise UsageError("There is nothing at this path.", where=str(path), next_step="Check the path.")
        for path in (self.data, self.test):
            if path is not None and path.is_dir():
                raise UsageError(
                    "This is a folder, not a file.",
                    where=str(path),
                    expected="one file with rows",
                    next_step="Name the file inside the folder.",
                )

    def fingerprint(self) -> str:
        """Changes with the request, and with the content of every file it names."""
        asked = {**self.to_dict(), "model": self.model or default_model()}  # the default is not always the same
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
