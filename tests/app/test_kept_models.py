"""Models that the pages answer with stay loaded as far as memory goes, and no further."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.models import Models
from dataset_tools import Message
from tests.training.export_support import tiny_run
from training.models.loading import machine
from training.models.machine_memory import MachineMemory

pytestmark = pytest.mark.usefixtures("one_thread")
PROMPTS = [(Message("user", "What colour?"),)]


@pytest.fixture(scope="module")
def adapters(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path | None]:
    """The base and two tuned models of it."""
    folder = tmp_path_factory.mktemp("tuned")
    return [None, *(tiny_run(folder / f"run-{number}", tiny_model).adapter for number in range(2))]


def asked(models: Models, name: str, adapters: list[Path | None]) -> list[object]:
    """The loaded models that answered, each of these in turn."""
    found = []
    for adapter in adapters:
        models.answer(name, PROMPTS, adapter=adapter, wanted=["red"])
        found.append(models._loaded[name, adapter])
    return found


def test_three_models_in_turn_are_loaded_once_where_they_fit(tiny_model: Path, adapters: list[Path | None]) -> None:
    models = Models(lambda: MachineMemory(machine(), 2**36, 2**35))
    first = asked(models, str(tiny_model), adapters)
    again = asked(models, str(tiny_model), adapters)
    assert all(one is other for one, other in zip(first, again, strict=True))


def test_what_does_not_fit_goes_the_one_asked_longest_ago_first(tiny_model: Path, adapters: list[Path | None]) -> None:
    name, memory = str(tiny_model), MachineMemory(machine(), 2**36, 2**35)
    models = Models(lambda: memory)
    base, _ = asked(models, name, adapters[:2])
    size = sum(part.numel() * part.element_size() for part in base.model.parameters())  # type: ignore[attr-defined]
    memory = MachineMemory(machine(), int(5.5 * size), 2**35)  # half of it holds two, and some of the adapters
    assert asked(models, name, adapters[:1]) == [base]
    asked(models, name, adapters[2:])
    assert list(models._loaded) == [(name, None), (name, adapters[2])]
    memory = MachineMemory(machine(), 2**36, 0)  # another program has taken all
    asked(models, name, adapters[1:2])
    assert list(models._loaded) == [(name, adapters[1])]
