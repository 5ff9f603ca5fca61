"""What can answer rows: a base model, a run, a checkpoint of one, or a model behind an address; and its answers.

Answers are kept, so that asking again costs nothing. It scores none of them.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from advisor.answering import Answerer, AnswerStore, StoredAnswerer
from advisor.models import LocalModels
from advisor.request import endpoint_answerer
from dataset_tools.errors import UsageError
from dataset_tools.example import Example
from training.home import cache
from training.recipe import Recipe
from training.runs.checkpoints import all_of, fault
from training.runs.folder import RunFolder

Telling = Callable[[str, int, int], None]

_LEAST_TOKENS, _MOST_TOKENS, _SLACK = 24, 512, 1.5
_CHARS_A_TOKEN = 2  # fewer than tokenizers need on average, so that no answer is cut off where theirs is not known
_ANSWERING = ("*.safetensors", "*.json", "*.jinja", "*.model", "*.txt")  # of a checkpoint, what answers take


@dataclass(frozen=True, slots=True)
class Contestant:
    """A model that answers.

    Attributes:
        title: its name for people.
        model: its base, or the model's name at ``endpoint``.
        adapter: the folder of what a run, or a checkpoint of one, made of the base; None for the base itself.
        endpoint: the address of an OpenAI-compatible server; None for a model on this machine.
    """

    title: str
    model: str
    adapter: Path | None = None
    endpoint: str | None = None

    def answerer(self, folder: Path) -> Answerer:
        """What answers for it; answers are kept in the folder, which is there.

        Raises:
            UsageError: the endpoint's address is none.
        """
        asked = endpoint_answerer(self.endpoint, self.model)
        if asked is not None:
            return StoredAnswerer(asked, AnswerStore(folder / "answers.sqlite3"), model_key=asked.identity)
        models = LocalModels(self.model, folder)
        return models.tuned(self.adapter) if self.adapter else models.base()

    def room(self, rows: Sequence[Example]) -> int:
        """Tokens of an answer: half more than the longest wanted one has, within bounds."""
        wanted = [row.completion for row in rows]
        if self.endpoint:
            longest = max(len(text) for text in wanted) // _CHARS_A_TOKEN
        else:
            tokenizer = LocalModels(self.model, Path()).tokenizer
            longest = max(len(ids) for ids in tokenizer(wanted, add_special_tokens=False)["input_ids"])
        return max(_LEAST_TOKENS, min(_MOST_TOKENS, int(_SLACK * longest) + 8))


def answers_of(
    contestant: Contestant, rows: Sequence[Example], folder: Path, *, tell: Telling | None = None
) -> list[str]:
    """A contestant's answers to the rows' own prompts, greedily.

    Args:
        contestant: who answers.
        rows: one or more.
        folder: where answers are kept; made where missing.
        tell: told (its title, rows answered, rows in all), often.

    Raises:
        ModelError: the model cannot be loaded, or the endpoint does not answer.
    """
    folder.mkdir(parents=True, exist_ok=True)
    answers = contestant.answerer(folder).answer(
        [row.prompt for row in rows],
        max_new_tokens=contestant.room(rows),
        progress=(lambda done, total: tell(contestant.title, done, total)) if tell else None,
        tools=[row.tools for row in rows],
    )
    return [answer.text for answer in answers]


def checkpoint_of(run: RunFolder, step: int) -> Contestant:
    """A checkpoint of a run as a contestant, called ``RUN@STEP``.

    Only what answers take is laid into a folder of its own: a checkpoint holds pickles beside it, to go on training.

    Raises:
        UsageError: the run has no whole checkpoint of this step (any more).
    """
    folders = all_of(run.checkpoints)
    wrong = fault(folders[step]) if step in folders else "there is none"
    if wrong is not None:
        raise UsageError(
            "This run has no such checkpoint.",
            where=str(run.path),
            found=f"step {step}: {wrong}",
            expected=f"one of {', '.join(map(str, sorted(folders)))}" if folders else "a run that keeps checkpoints",
        )
    recipe = Recipe.load(run.path / "recipe.yaml")
    place = _laid_out(folders[step], recipe)
    return Contestant(f"{run.path.name}@{step}", recipe.model, place)


def _laid_out(checkpoint: Path, recipe: Recipe) -> Path:
    """A folder of links to what answers take of a checkpoint; made once, in one step, as several may ask at once."""
    files = sorted(file.resolve() for pattern in _ANSWERING for file in checkpoint.glob(pattern))
    marks = [(str(file), file.stat().st_mtime_ns, file.stat().st_size) for file in files]
    place = cache() / "checkpoints" / hashlib.sha256(repr((marks, recipe)).encode()).hexdigest()[:20]
    if place.is_dir():
        return place
    place.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(dir=place.parent))
    for file in files:
        (made / file.name).symlink_to(file)
    recipe.save(made / "recipe.yaml")
    try:
        made.rename(place)
    except OSError:  # another was quicker
        shutil.rmtree(made)
    return place
