from __future__ import annotations

from pathlib import Path

import pytest

from dataset_tools.rendering import render
from tests.training.methods_support import EXAMPLES, recipe_of, trainer_of
from training.models.loading import load_tokenizer
from training.runs.probe import probe_seconds_per_token

pytestmark = pytest.mark.usefixtures("one_thread")


def test_the_probe_gives_a_time_and_leaves_no_trace(tiny_model: Path, tmp_path: Path) -> None:
    import torch

    _, trainer = trainer_of(recipe_of(tiny_model, dropout=0.5), tmp_path)  # which draws random numbers
    tokenizer = load_tokenizer(str(tiny_model))
    rows = [render(example, tokenizer) for example in EXAMPLES]
    before = [weight.detach().clone() for weight in trainer.model.parameters()]
    state = torch.get_rng_state()
    seconds = probe_seconds_per_token(trainer.model, rows, pad=tokenizer.pad_token_id, count=4)
    assert seconds > 0
    assert torch.equal(torch.get_rng_state(), state)
    assert all(weight.grad is None for weight in trainer.model.parameters())
    assert all(torch.equal(old, new) for old, new in zip(before, trainer.model.parameters(), strict=True))
