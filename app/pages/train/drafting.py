"""The recipe that the form drafts: what is derived from the rows, with what the user changed. No components here."""

from __future__ import annotations

import math
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from app.components.run_form import BY_CARDS, KnobState
from dataset_tools.errors import UsageError
from dataset_tools.example import Example
from training.planning import Plan
from training.recipe import LORA_LIKE, METHODS, OBJECTIVES, Recipe
from training.recipe_file import read_values

_KINDS = {each.name: str(each.type) for each in fields(Recipe)}
_MINUTES = ("max_seconds",)  # kept in seconds, typed in minutes
_NAMED = re.compile(r"A recipe's (\w+)")
_LONGEST_RECIPE = 100_000  # characters


@dataclass(frozen=True)
class Choice:
    """What decides the derived recipe besides the rows.

    Attributes:
        model: The base model.
        method: What is trained.
        objective: What is learnt; empty where the rows shall decide it.
        start_from: The folder of an earlier adapter that is trained further; empty to start afresh.
        parent: What people call that earlier model.
        votes: The session of blind votes that the rows come from.
    """

    model: str
    method: str = "qlora"
    objective: str = ""
    start_from: str = ""
    parent: str = ""
    votes: str = ""

    def turned(self, **changes: str) -> Choice:
        """Another choice; an earlier adapter is trained further on its own base by its own method alone."""
        other = replace(self, **changes)
        same = (other.model, other.method) == (self.model, self.method)
        return other if same else replace(other, start_from="", parent="")


@dataclass(frozen=True)
class Draft:
    """A recipe as the form has it.

    ``wrong`` says of the knobs that cannot be as they are why, by the knob; ``recipe`` is without these. ``texts`` are
    the values as the form shows them, ``derived`` those that were derived.
    """

    recipe: Recipe
    texts: Mapping[str, str]
    derived: Mapping[str, str]
    wrong: Mapping[str, str] = field(default_factory=dict)

    @property
    def states(self) -> dict[str, KnobState]:
        """What the form shows of each knob."""
        idle = idle_knobs(self.recipe)
        return {
            name: KnobState(self.texts[name], self.derived[name], self.wrong.get(name, ""), idle.get(name, ""))
            for name in self.texts
            if name not in BY_CARDS
        }


def draft(plan: Plan, typed: Mapping[str, str]) -> Draft:
    """The derived recipe of a plan with what was typed into the form where that is something else."""
    derived = texts_of(plan.recipe)
    edits = {
        name: text.strip()
        for name, text in typed.items()
        if name in derived and name not in (*BY_CARDS, "model") and text.strip() != derived[name]
    }
    values, wrong = _parsed(edits)
    recipe, refused = _fitted(plan.recipe, _with_companions(plan.recipe, values))
    return Draft(recipe, {**texts_of(recipe), **edits}, derived, {**wrong, **refused})


def continuing(recipe: Recipe, adapter: Path) -> Recipe:
    """The recipe that trains an earlier adapter further, with that one's shape, which it keeps.

    Raises:
        UsageError: the recipe beside the adapter is gone.
    """
    earlier = Recipe.load(adapter / "recipe.yaml")
    shape = {name: getattr(earlier, name) for name in ("rank", "alpha", "virtual_tokens")}
    return replace(recipe, start_from=str(adapter), **shape)


def texts_of(recipe: Recipe) -> dict[str, str]:
    """Each knob's value as the form shows it."""
    return {name: as_text(name, value) for name, value in asdict(recipe).items()}


def as_text(name: str, value: Any) -> str:
    """A value as the form shows it; a time budget in minutes."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if name in _MINUTES and isinstance(value, (int, float)):
        value = value / 60
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _parsed(edits: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    """What the texts mean, and what is wrong with those that mean nothing."""
    values: dict[str, Any] = {}
    wrong: dict[str, str] = {}
    for name, text in edits.items():
        try:
            values[name] = value_of(name, text)
        except ValueError as error:
            wrong[name] = str(error)
    return values, wrong


def value_of(name: str, text: str) -> Any:
    """The value that a text of the form stands for.

    Raises:
        ValueError: it stands for none; says what is expected.
    """
    kind, _, optional = _KINDS[name].partition(" | ")
    if not text:
        if optional:
            return None
        raise ValueError("It needs a value.")
    if kind == "bool":
        if text.lower() not in ("true", "false"):
            raise ValueError("It is either true or false.")
        return text.lower() == "true"
    if kind == "str":
        return text
    try:
        number = float(text.replace(",", "."))
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ValueError("This is no number.")
    if kind == "int" and number != int(number):
        raise ValueError("It must be a whole number.")
    return 60 * number if name in _MINUTES else int(number) if kind == "int" else number


def _with_companions(derived: Recipe, values: Mapping[str, Any]) -> dict[str, Any]:
    """What follows from a changed knob, as long as it was not changed itself."""
    also: dict[str, Any] = {}
    rank, batch = values.get("rank"), values.get("batch_size")
    if rank and "alpha" not in values and derived.method in LORA_LIKE:
        also["alpha"] = derived.alpha if derived.method == "rslora" else max(1, rank * derived.alpha // derived.rank)
    if batch and batch > 0 and "micro_batch_size" not in values:
        also["micro_batch_size"] = math.gcd(int(batch), derived.micro_batch_size)
    return {**also, **values}


def _fitted(derived: Recipe, values: Mapping[str, Any]) -> tuple[Recipe, dict[str, str]]:
    """The recipe with these values; what cannot be is left out, and told by its knob."""
    left, wrong = dict(values), dict[str, str]()
    while True:
        try:
            return replace(derived, **left), wrong
        except UsageError as error:
            found = _NAMED.search(error.what)
            name = found.group(1) if found else ""
            expected = error.what.partition(" must be ")[2] or error.expected or error.what
            wrong[name or next(iter(left))] = f"It must be {expected.rstrip('.')}."
            if name not in left:
                return derived, wrong
            del left[name]


def idle_knobs(recipe: Recipe) -> dict[str, str]:
    """The knobs that have no effect in this recipe, each with the reason."""
    idle: dict[str, str] = {}
    if recipe.method not in LORA_LIKE:
        idle |= dict.fromkeys(("rank", "alpha", "dropout"), "No effect: for the LoRA methods only.")
    if recipe.method not in ("prefix", "prompt"):
        idle["virtual_tokens"] = "No effect: for prefix and prompt tuning only."
    if recipe.objective not in ("dpo", "kto"):
        idle["beta"] = "No effect: for pairs and thumbs only."
    if recipe.objective != "grpo":
        idle |= dict.fromkeys(("generations", "max_completion"), "No effect: for the task's score only.")
    if recipe.objective != "sft":
        idle["completion_only"] = "No effect: for wanted answers only."
    if recipe.max_steps is not None:
        idle["epochs"] = f"No effect: the {recipe.max_steps:,} steps set below win."
    return idle


def read_recipe(text: str) -> dict[str, str]:
    """The knobs that a pasted recipe.yaml names, as texts of the form.

    Raises:
        UsageError: it is no YAML mapping, or names a knob that does not exist.
    """
    if not text.strip() or len(text) > _LONGEST_RECIPE:
        raise UsageError(
            "There is no recipe to use.", expected="the text of a recipe.yaml", next_step="Paste it first."
        )
    numbers = {name for name, kind in _KINDS.items() if kind.startswith("float")}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "recipe.yaml"
        file.write_text(text, "utf-8", errors="replace")
        try:
            values = read_values(file, known=_KINDS, numbers=numbers)
        except UsageError as error:
            found = error.found.replace(str(file), "the pasted text") if error.found else None
            raise UsageError(error.what, where="the pasted text", found=found, expected=error.expected) from error
    for name, choices in (("method", METHODS), ("objective", OBJECTIVES)):
        if name in values and values[name] not in choices:
            raise UsageError(f"There is no such {name}.", found=str(values[name])[:80], expected=", ".join(choices))
    return {name: as_text(name, value) for name, value in values.items()}


def objectives_for(rows: Sequence[Example]) -> dict[str, str]:
    """Of each objective, why these rows do not serve it; empty where they do."""
    pairs = sum(bool(row.rejected) for row in rows)
    down = sum(row.desirable is False for row in rows)
    wanted = len(rows) - down
    return {
        "sft": "" if wanted else "The rows hold no wanted answer: all thumbs are down.",
        "dpo": "" if pairs else "Needs rows with a better and a worse answer; there are none here.",
        "kto": ""
        if (pairs or down) and wanted
        else "Needs answers that were liked and answers that were not; here all are alike.",
        "grpo": "" if wanted else "Needs wanted answers to score by; all thumbs are down.",
    }


def lacking_methods() -> dict[str, str]:
    """Of each method, what it needs and this machine has not got installed; empty where that is nothing."""
    lacking = "" if find_spec("bitsandbytes") else "Needs bitsandbytes, which is not installed."
    return {method: lacking if method == "qlora" else "" for method in METHODS}
