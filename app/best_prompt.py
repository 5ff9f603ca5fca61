"""The base model at its best prompt, and at others: what a finished comparison found of those that only prompt.

The comparison keeps how an approach was set up, and its rows; from both the same prompts can be made for what is
asked now. Nothing is chosen anew, and no test row is shown.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from advisor.approaches import ZeroShot
from advisor.approaches.approach import WithSettings
from advisor.approaches.instruction import with_instruction
from advisor.course import Course
from advisor.lineup import ARMS, Arm
from advisor.models import LocalModels
from advisor.request import ComparisonRequest
from advisor.rows import read_rows
from app.comparisons import read_result, request_of
from dataset_tools.errors import DataError, UsageError
from dataset_tools.example import Example, Message
from dataset_tools.rendering import prompt_text
from training.models.loading import default_model
from training.runs.folder import RunFolder

Prompt = tuple[Message, ...]
Dress = Callable[[Sequence[Message]], Prompt]


@dataclass(frozen=True)
class BestPrompt:
    """One of a comparison's approaches that only prompt the base model, such as the best of them.

    Attributes:
        comparison: Its folder.
        arm: The approach's name.
        title: The same for people.
        setting: How it was set up, for people; empty where there is nothing to set up.
        model: The base model.
        score: Its score there, 0 to 1.
    """

    comparison: Path
    arm: str
    title: str
    setting: str
    model: str
    score: float

    def dress(self, messages: Sequence[Message]) -> Prompt:
        """The prompt that this approach makes of a conversation that ends with the user's words.

        The first time reads the comparison's rows and embeds them where it looks for like ones; seconds, or more.

        Raises:
            UsageError: the comparison's files are gone or others by now.
        """
        result = self.comparison / "result.json"
        return _dresser(self.comparison, self.arm, result.stat().st_mtime_ns)(messages)


def prompts_of(run: RunFolder) -> list[BestPrompt]:
    """All approaches of a comparison that only prompt and were not dropped, the best first."""
    result = read_result(run) or {}
    told = [row for row in result.get("arms", ()) if _only_prompts(row) and not row.get("dropped")]
    ranked = sorted(told, key=lambda row: (-float(row["score"]), ARMS[row["name"]].rank))
    model = str(request_of(run.path).get("model") or result.get("model") or default_model())
    return [
        BestPrompt(
            run.path,
            row["name"],
            str(row["title"]),
            str((row.get("tuning") or {}).get("setting") or ""),
            model,
            float(row["score"]),
        )
        for row in ranked
    ]


def _only_prompts(row: Mapping[str, Any]) -> bool:
    """Whether an arm has answered with the base model and a prompt, and nothing else."""
    arm = ARMS.get(str(row.get("name")))
    scored = row.get("score") is not None and not row.get("skipped")
    return scored and arm is not None and arm.approach.asks_model and not (arm.elsewhere or arm.approach.needs_training)


@lru_cache(maxsize=4)
def _dresser(folder: Path, name: str, changed: int) -> Dress:
    """What makes the prompts of an arm, by the comparison's folder and the time its result was changed."""
    result, arm = read_result(RunFolder(folder)) or {}, ARMS[name]
    row = next(row for row in result.get("arms", ()) if row["name"] == name)
    values = (row.get("tuning") or {}).get("values") or {}
    if name == ZeroShot.name:
        return tuple
    asked = request_of(folder)
    if not asked.get("data"):
        raise _gone(folder)
    request = ComparisonRequest.from_dict(asked)
    models = LocalModels(request.model or default_model(), folder)
    if "instruction" in values:
        text, in_system = str(values["instruction"]), _takes_system(models.tokenizer)
        return lambda messages: with_instruction(tuple(messages), text, in_system=in_system)
    return _with_rows(arm, values, Course(request, RunFolder(folder), models))


def _with_rows(arm: Arm, values: Mapping[str, Any], course: Course) -> Dress:
    """What makes prompts with the comparison's rows or documents in them, set up as they were there."""
    read = read_rows(course.request)
    course.documents = read.documents
    tools = course.tools_for(read.tasks[0])  # the sizes that the comparison went by
    tools.trial = lambda prompts, examples: ()  # nothing is tried: the choice was made
    tools.tuning_answers = _tuning_answers(course.run_folder.path)
    approach = arm.approach()
    assert isinstance(approach, WithSettings)
    approach.set_up(tools)
    known = approach.settings()  # without values, as older comparisons have none, it was the first
    setting = next((each for each in known if each.values == values), None if values else known[0])
    if setting is None:
        raise _gone(course.run_folder.path)
    chosen = setting

    def dress(messages: Sequence[Message]) -> Prompt:
        example = Example((*messages, Message("assistant", "")))
        return tuple(_first(chosen.prompts([example])))

    return dress


def _first(prompts: Iterable[Prompt]) -> Prompt:
    return next(iter(prompts))


def _tuning_answers(folder: Path) -> int:
    try:
        return int(json.loads((folder / "arms" / "plan.json").read_text("utf-8"))["tuning_answers"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0


def _takes_system(tokenizer: Any) -> bool:
    """Whether the model's template knows system messages."""
    try:
        prompt_text((Message("system", "Be brief."), Message("user", "Hello.")), tokenizer)
    except DataError:
        return False
    return True


def _gone(folder: Path) -> UsageError:
    return UsageError(
        "The best prompt of this comparison cannot be made again.",
        where=folder.name,
        found="its rows or its settings are gone, or others by now",
        next_step="Compare once more, or take the base without it.",
    )
