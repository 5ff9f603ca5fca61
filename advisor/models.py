"""The models of a comparison: what answers, what is trained, where answers are kept. Loaded when first asked for."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from advisor.answering import Answerer, AnswerStore, EndpointAnswerer, LocalAnswerer, StoredAnswerer, model_key
from advisor.approaches import Prompt
from dataset_tools.errors import RunError
from dataset_tools.example import Example
from dataset_tools.writing import write_text_atomically
from training.models.loading import load_config, load_model, load_tokenizer, load_tuned, machine
from training.planning import plan_rows
from training.runs import warm
from training.runs.folder import RunFolder
from training.runs.supervisor import resume, start_training, state_of, watch

OnTraining = Callable[[dict[str, Any]], None]
# The longest context that prompts are made for: longer ones take minutes a row on a CPU.
_CPU_CONTEXT, _GPU_CONTEXT = 2048, 8192


@dataclass(frozen=True, slots=True)
class Trained:
    """What a training run made: the adapter's folder, and what the run says of itself."""

    adapter: Path
    outcome: dict[str, Any]


class Models(Protocol):
    """What a comparison asks of models. A test may hand in answerers that follow a rule."""

    @property
    def name(self) -> str:
        """The base model's name."""
        ...

    @property
    def tokenizer(self) -> Any:
        """The base model's tokenizer."""
        ...

    @property
    def context(self) -> int:
        """Tokens that a prompt and its answer may take."""
        ...

    def base(self) -> Answerer:
        """The base model."""
        ...

    def tuned(self, adapter: Path) -> Answerer:
        """The base model with an adapter."""
        ...

    def endpoint(self) -> Answerer | None:
        """Another model, that is asked over HTTP; None where there is none."""
        ...

    def judge(self) -> Answerer | None:
        """The model whose opinion is the metric; None where there is none."""
        ...

    def nll(
        self, prompts: Sequence[Prompt], completions: Sequence[str], *, adapter: Path | None = None
    ) -> list[tuple[float, int]] | None:
        """Of each answer the sum of its tokens' negative log likelihoods, and their count; None where not to be had."""
        ...

    def sample(
        self, prompts: Sequence[Prompt], *, count: int, temperature: float, seed: int, max_new_tokens: int
    ) -> list[tuple[str, ...]] | None:
        """Of each prompt several answers of the base model that were drawn with this seed; None where not to be had."""
        ...

    def training_memory(self, rows: Sequence[Example], held_out: Sequence[Example]) -> int | None:
        """Bytes that training on such rows takes, as an estimate; None where it is not known."""
        ...

    def expect_trainings(self) -> None:
        """Make ready for several trainings, one after the other."""
        ...

    def train(
        self,
        arm: str,
        rows: Sequence[Example],
        held_out: Sequence[Example],
        *,
        seconds: float | None,
        seed: int,
        on_event: OnTraining,
    ) -> Trained:
        """Train on rows, in so many seconds at most."""
        ...


class LocalModels:
    """A base model on this machine, and perhaps an endpoint. Answers are kept in the comparison's folder.

    Attributes:
        name: The base model's name.
        folder: The comparison's.
    """

    def __init__(
        self,
        name: str,
        folder: Path,
        *,
        endpoint: EndpointAnswerer | None = None,
        judge: EndpointAnswerer | str | None = None,
    ) -> None:
        """Nothing is loaded yet. A judge on this machine is named as the base is."""
        self.name = name
        self.folder = folder
        self._endpoint = endpoint
        self._judge = judge
        self._loaded: dict[Path | None, LocalAnswerer] = {}

    @cached_property
    def tokenizer(self) -> Any:
        """The base model's tokenizer."""
        return load_tokenizer(self.name)

    @cached_property
    def context(self) -> int:
        """Tokens that a prompt and its answer may take."""
        most = _GPU_CONTEXT if machine().has_accelerator else _CPU_CONTEXT
        return int(min(load_config(self.name).max_position_embeddings, most))

    @cached_property
    def _store(self) -> AnswerStore:
        return AnswerStore(self.folder / "answers.sqlite3")

    def base(self) -> Answerer:
        """The base model."""
        return self._stored(None)

    def tuned(self, adapter: Path) -> Answerer:
        """The base model with an adapter."""
        return self._stored(adapter)

    def _stored(self, adapter: Path | None) -> Answerer:
        """A model that is loaded once something is asked that is not stored."""
        return StoredAnswerer(lambda: self._local(adapter), self._store, model_key=model_key(self.name, adapter))

    def endpoint(self) -> Answerer | None:
        """The model that is asked over HTTP; None where there is none."""
        if self._endpoint is None:
            return None
        return StoredAnswerer(self._endpoint, self._store, model_key=self._endpoint.identity)

    def judge(self) -> Answerer | None:
        """The model whose opinion is the metric; None where there is none."""
        judge = self._judge
        if judge is None:
            return None
        if isinstance(judge, EndpointAnswerer):
            return StoredAnswerer(judge, self._store, model_key=judge.identity)
        if judge == self.name:
            return self._stored(None)
        return StoredAnswerer(lambda: LocalAnswerer(load_model(judge)), self._store, model_key=model_key(judge))

    def nll(
        self, prompts: Sequence[Prompt], completions: Sequence[str], *, adapter: Path | None = None
    ) -> list[tuple[float, int]] | None:
        """Of each answer the sum of its tokens' negative log likelihoods, and their count."""
        return self._local(adapter).nll(prompts, completions)

    def sample(
        self, prompts: Sequence[Prompt], *, count: int, temperature: float, seed: int, max_new_tokens: int
    ) -> list[tuple[str, ...]] | None:
        """Of each prompt several answers of the base model that were drawn with this seed."""
        return self._local(None).sample(
            prompts, count=count, temperature=temperature, seed=seed, max_new_tokens=max_new_tokens
        )

    def training_memory(self, rows: Sequence[Example], held_out: Sequence[Example]) -> int | None:
        """Bytes that training on such rows takes, as an estimate."""
        return plan_rows(rows, held_out, model=self.name, tokenizer=self.tokenizer).estimate.memory

    def _local(self, adapter: Path | None) -> LocalAnswerer:
        """A model, loaded once; of the tuned ones the last alone is kept in memory."""
        if adapter not in self._loaded:
            for other in [key for key in self._loaded if key is not None]:
                del self._loaded[other]
            loaded = load_tuned(self.name, adapter, tokenizer=self.tokenizer) if adapter else None
            self._loaded[adapter] = LocalAnswerer(loaded or load_model(self.name, tokenizer=self.tokenizer))
        return self._loaded[adapter]

    def expect_trainings(self) -> None:
        """Load the training libraries once for all; the first, which is about to start, does not wait for it."""
        warm.prepare()

    def train(
        self,
        arm: str,
        rows: Sequence[Example],
        held_out: Sequence[Example],
        *,
        seconds: float | None,
        seed: int,
        on_event: OnTraining,
    ) -> Trained:
        """Train in a process of its own; a run of this arm that was begun before is gone on with.

        ``on_event`` is told of the run's events, and of the plan first: ``{"event": "plan", "sentence": ...}``.

        Raises:
            RunError: the training failed.
        """
        noted = self.folder / "training" / f"{arm}.json"
        plan = plan_rows(rows, held_out, model=self.name, max_seconds=seconds, seed=seed, tokenizer=self.tokenizer)
        on_event({"event": "plan", "sentence": plan.sentence})
        run = _begun(noted)
        if run is None:
            facts = {"quick": True, "part_of": self.folder.name}
            run = start_training(plan.recipe, plan.train, validation=plan.validation, **facts)  # type: ignore[arg-type]
            noted.parent.mkdir(exist_ok=True)
            write_text_atomically(noted, json.dumps({"run": str(run.path)}) + "\n")
        outcome = watch(run, on_event)
        return Trained(run.adapter, {**outcome, "epochs": plan.recipe.epochs})


def _begun(noted: Path) -> RunFolder | None:
    """The training run of an arm that was begun before and can be gone on with."""
    try:
        run = RunFolder(Path(json.loads(noted.read_text("utf-8"))["run"]))
        state = state_of(run)
    except (OSError, ValueError, KeyError, RunError):
        return None
    if state == "failed":
        return None
    return resume(run) if state in ("interrupted", "stopped") else run
