"""Who can answer on the Evaluate page: the base bare or at its prompts, runs, checkpoints of runs, an endpoint.

What a browser sends is looked up here by its id, and never joined to a path. Nothing is loaded.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from advisor.human import checkpoint_of
from advisor.request import ENDPOINT_KEY
from app.best_prompt import BestPrompt, prompts_of
from app.components.runs import when
from app.run_reading import model_title, status_of
from app.watched_endpoint import WatchedEndpoint
from app.workspace import Project, Workspace, created
from dataset_tools.errors import UsageError
from dataset_tools.example import Message
from training.models.loading import default_model
from training.runs.checkpoints import MANIFEST, all_of
from training.runs.folder import RunFolder

ENDPOINT = "endpoint"
_ADAPTER = ("adapter_config.json", "adapter_model.safetensors")
_WHOLE = ("config.json",)  # beside weights in as many files as they take
_RUNS_WITH_CHECKPOINTS = 5


@dataclass(frozen=True)
class Speaker:
    """One that answers.

    Attributes:
        id: What the browser names it by.
        title: What people call it.
        model: The base model; the model's name at an endpoint.
        run: The run whose adapter it has; None for a base and an endpoint.
        step: The step of the run's checkpoint; None for what the run made in the end.
        best: The prompt that is put around what is asked.
        url: The endpoint's address.
    """

    id: str
    title: str
    model: str
    run: RunFolder | None = None
    step: int | None = None
    best: BestPrompt | None = None
    url: str = ""

    def prompt(self, messages: Sequence[Message]) -> tuple[Message, ...]:
        """What it is asked after this conversation; see `BestPrompt.dress`.

        Raises:
            UsageError: its best prompt cannot be made again.
        """
        return self.best.dress(messages) if self.best else tuple(messages)

    def adapter(self) -> Path | None:
        """The folder of its adapter, or of its whole model; None for a base.

        A checkpoint's is laid into a folder of its own; see `advisor.human.checkpoint_of`.

        Raises:
            UsageError: it is gone.
        """
        if self.run is None:
            return None
        if self.step is None:
            return self.run.adapter if self.run.adapter.is_dir() else self.run.path / "model"
        return checkpoint_of(self.run, self.step).adapter

    def endpoint(self) -> WatchedEndpoint:
        """What asks its server.

        Raises:
            UsageError: the address is none, or holds a secret.
        """
        return WatchedEndpoint(self.url, self.model, key=os.environ.get(ENDPOINT_KEY) or None)


@dataclass(frozen=True)
class Speakers:
    """All that can answer on this machine."""

    workspace: Workspace

    def all(self, project: Project | None, *, run: str | None = None, also: Sequence[str] = ()) -> list[Speaker]:
        """Those of a project first: bases, the best prompt, what runs made, and their checkpoints. No endpoint.

        Of long lists of checkpoints only those of a few runs are offered.

        Args:
            project: The page's project.
            run: The run that the page is about, whose checkpoints come first.
            also: Ids that are offered in any case, where they are there.
        """
        return self._known(project, run, most=_RUNS_WITH_CHECKPOINTS, also=also)

    def _known(
        self, project: Project | None, run: str | None = None, *, most: int | None = None, also: Sequence[str] = ()
    ) -> list[Speaker]:
        own = project.runs if project is not None else ()
        runs = sorted(self.workspace.runs(), key=lambda each: each.path.name not in own)
        tuned = [each for each in runs if each.adapter.is_dir() or (each.path / "model").is_dir()]
        having = [(each, steps) for each in runs if (steps := _steps(each))]
        having.sort(key=lambda each: each[0].path.name != run)
        models = (str(status_of(each).get("model") or "") for each in (*tuned, *(each for each, _ in having)))
        bases = [name for name in dict.fromkeys([default_model(), *models]) if name]
        found = [Speaker(f"base:{name}", f"Base, bare: {model_title(name)}", name) for name in bases]
        found += self._prompted(project)
        found += [self._run(each) for each in tuned]
        kept = [(place, self._checkpoint(each, step)) for place, (each, steps) in enumerate(having) for step in steps]
        return [*found, *(each for place, each in kept if most is None or place < most or each.id in also)]

    def endpoint(self, url: str, model: str) -> Speaker:
        """A model behind an address.

        Raises:
            UsageError: the address is none or holds a secret, or the model's name is missing.
        """
        if not url.strip() or not model.strip():
            raise UsageError(
                "An endpoint is an address and a model's name there.",
                expected="such as http://localhost:11434/v1 and qwen3:4b",
                next_step="Type both, or take the endpoint out.",
            )
        speaker = Speaker(ENDPOINT, f"{model.strip()} at the endpoint", model.strip(), url=url.strip())
        speaker.endpoint()
        return speaker

    def chosen(self, ids: Sequence[str], project: Project | None, *, url: str = "", model: str = "") -> list[Speaker]:
        """The speakers of these ids, in their order.

        Raises:
            UsageError: one is not there (any more), or the endpoint lacks its address.
        """
        known = {speaker.id: speaker for speaker in self._known(project)}
        found = []
        for name in dict.fromkeys(ids):
            if name != ENDPOINT and name not in known:
                raise UsageError(
                    "One of those that shall answer is not there any more.",
                    found=name[:80],
                    next_step="Reload the page, and choose again.",
                )
            found.append(self.endpoint(url, model) if name == ENDPOINT else known[name])
        return found

    def _prompted(self, project: Project | None) -> Iterator[Speaker]:
        """The base at the prompts of the project's newest comparison; without a project's, of the newest there is."""
        runs = self.workspace.comparisons()
        own = [run for run in runs if project is not None and self.workspace.owner_of(run) == project]
        candidates = own or ([] if project else runs)
        prompts = next((found for found in map(prompts_of, candidates) if found), [])
        for place, prompt in enumerate(prompts):
            if prompt.arm == "zero-shot":  # that is the bare base
                continue
            name = f"best:{prompt.comparison.name}" if not place else f"arm:{prompt.comparison.name}:{prompt.arm}"
            title = f"Base at {'its best prompt' if not place else 'another prompt'}: {prompt.title}"
            yield Speaker(name, title, prompt.model, best=prompt)

    def _run(self, run: RunFolder) -> Speaker:
        return Speaker(f"run:{run.path.name}", f"Tuned: {self._named(run)}", str(status_of(run).get("model")), run)

    def _named(self, run: RunFolder) -> str:
        owner = self.workspace.owner_of(run)
        return f"{owner.title if owner else run.path.name}, {when(created(run))}"

    def _checkpoint(self, run: RunFolder, step: int) -> Speaker:
        title = f"Checkpoint at step {step}: {self._named(run)}"
        return Speaker(f"step:{run.path.name}:{step}", title, str(status_of(run).get("model")), run, step)


def _steps(run: RunFolder) -> list[int]:
    """The steps of the whole checkpoints that a run has kept, the newest first: of an adapter, or of a whole model."""
    folders = all_of(run.checkpoints)
    whole = [
        step
        for step, folder in folders.items()
        if any(all((folder / name).is_file() for name in (MANIFEST, *parts)) for parts in (_ADAPTER, _WHOLE))
    ]
    return sorted(whole, reverse=True)
