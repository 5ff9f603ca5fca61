"""DPO and KTO on the tiny model: what is preferred becomes likelier, measured from where the run began."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dataset_tools.errors import DataError
from dataset_tools.example import Example
from tests.training.methods_support import EXAMPLES, METHODS, PAIRS, THUMBS, logged, recipe_of, trainer_of
from training.methods import save_artefact
from training.methods.preference import thumb_weights
from training.models.loading import check_adapter

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize("method", METHODS)
def test_dpo_learns_to_prefer_the_better_answer(method: str, tiny_model: Path, tmp_path: Path) -> None:
    _, trainer = trainer_of(recipe_of(tiny_model, method=method, objective="dpo"), tmp_path)
    trainer.train()
    losses = logged(trainer, "loss")
    assert losses[0] == pytest.approx(math.log(2), abs=0.01), "at the start the model is its own reference"
    assert losses[-1] < losses[0]
    assert logged(trainer, "eval_loss")[-1] < math.log(2)
    assert logged(trainer, "rewards/margins")[-1] > 0


@pytest.mark.parametrize("method", METHODS)
def test_kto_tells_wanted_answers_from_unwanted_ones(method: str, tiny_model: Path, tmp_path: Path) -> None:
    recipe = recipe_of(tiny_model, method=method, objective="kto", max_steps=6)
    _, trainer = trainer_of(recipe, tmp_path)
    trainer.train()
    losses = logged(trainer, "loss")
    assert losses[0] == pytest.approx(0.5, abs=0.01) and all(map(math.isfinite, losses))
    assert len(set(losses)) > 3
    assert logged(trainer, "kl")[0] == pytest.approx(0, abs=0.05)


@pytest.mark.parametrize("objective", ["dpo", "kto"])
def test_only_the_adapter_that_is_trained_is_kept(objective: str, tiny_model: Path, tmp_path: Path) -> None:
    recipe = recipe_of(tiny_model, method="lora", objective=objective)
    loaded, trainer = trainer_of(recipe, tmp_path)
    assert list(loaded.model.peft_config) == ["default"], "a fresh adapter needs no copy of itself as the reference"
    trainer.train()
    save_artefact(trainer.model, tmp_path / "adapter", recipe)
    check_adapter(tmp_path / "adapter")
    continued = replace(recipe, start_from=str(tmp_path / "adapter"))
    loaded, trainer = trainer_of(continued, tmp_path / "again")
    assert set(loaded.model.peft_config) == {"default", "ref"}, "the earlier adapter is the reference"
    trainer.train()
    assert logged(trainer, "loss")[0] == pytest.approx(math.log(2) if objective == "dpo" else 0.5, abs=0.01)
    save_artefact(trainer.model, tmp_path / "again" / "adapter", continued)
    assert {path.name for path in (tmp_path / "again" / "adapter").iterdir()} == {
        "adapter_config.json",
        "adapter_model.safetensors",
        "recipe.yaml",
    }


@pytest.mark.parametrize("method", ["qlora", "prompt"])
def test_a_resumed_run_keeps_its_reference(method: str, tiny_model: Path, tmp_path: Path) -> None:
    import torch

    first = recipe_of(tiny_model, method=method)
    loaded, _ = trainer_of(first, tmp_path / "first")
    save_artefact(loaded.model, tmp_path / "adapter", first)
    recipe = recipe_of(
        tiny_model, method=method, objective="dpo", max_steps=4, evaluations=2, start_from=str(tmp_path / "adapter")
    )
    whole = trainer_of(recipe, tmp_path)[1]
    whole.train()
    resumed = trainer_of(recipe, tmp_path)[1]
    resumed.train(resume_from_checkpoint=str(tmp_path / "checkpoints" / "checkpoint-2"))
    assert logged(resumed, "loss") == logged(whole, "loss")
    ended = dict(resumed.model.named_parameters())
    assert all(torch.equal(weight, ended[name]) for name, weight in whole.model.named_parameters())


def test_the_steps_of_a_continued_adapter_begin_at_its_exact_weights(tiny_model: Path, tmp_path: Path) -> None:
    """Trl rounds adapters on a 4-bit base to bfloat16, which may not touch what was learnt before."""
    import torch

    recipe = recipe_of(tiny_model)
    loaded, trainer = trainer_of(recipe, tmp_path)
    trainer.train()
    save_artefact(trainer.model, tmp_path / "adapter", recipe)
    learnt = {name: weight.detach().clone() for name, weight in loaded.model.named_parameters() if weight.requires_grad}
    continued = replace(recipe, objective="dpo", start_from=str(tmp_path / "adapter"))
    now = dict(trainer_of(continued, tmp_path / "again")[0].model.named_parameters())
    assert all(torch.equal(now[name], weight) for name, weight in learnt.items())
    assert all(torch.equal(now[name.replace(".default.", ".ref.")], weight) for name, weight in learnt.items())


def test_rows_without_a_worse_answer_are_left_out_of_dpo_and_counted(tiny_model: Path, tmp_path: Path) -> None:
    same = replace(EXAMPLES[0], rejected=(EXAMPLES[0].messages[-1],))
    recipe = recipe_of(tiny_model, method="lora", objective="dpo")
    _, trainer = trainer_of(recipe, tmp_path, train=[*PAIRS, EXAMPLES[0], same])
    assert trainer.left_out["train"] == 2 and len(trainer.train_dataset) == len(PAIRS)
    with pytest.raises(DataError, match=r"(?s)none of 12 rows serves the objective dpo.*objective sft"):
        trainer_of(recipe, tmp_path, train=EXAMPLES)


def test_thumbs_that_all_point_one_way_are_refused(tiny_model: Path, tmp_path: Path) -> None:
    recipe = recipe_of(tiny_model, method="lora", objective="kto")
    for wanted, named in ((True, "thumbs up"), (False, "thumbs down")):
        with pytest.raises(DataError, match=named):
            trainer_of(recipe, tmp_path, train=[replace(row, desirable=wanted) for row in EXAMPLES])


def test_pairs_serve_kto_as_two_thumbs_each(tiny_model: Path, tmp_path: Path) -> None:
    _, trainer = trainer_of(recipe_of(tiny_model, method="lora", objective="kto"), tmp_path, train=PAIRS)
    assert len(trainer.train_dataset) == 2 * len(PAIRS)
    assert sum(trainer.train_dataset["label"]) == len(PAIRS)


def test_each_row_of_a_kto_batch_is_weighed_against_its_neighbours_answer(tiny_model: Path, tmp_path: Path) -> None:
    _, trainer = trainer_of(recipe_of(tiny_model, method="lora", objective="kto"), tmp_path)
    rows = [trainer.train_dataset[index] for index in (0, 5, 9)]
    batch = trainer.data_collator(rows)
    for index, row in enumerate(rows):
        wanted = row["prompt_ids"] + rows[index - 1]["completion_ids"]
        assert batch["KL_input_ids"][index].tolist()[: len(wanted)] == wanted


def test_no_row_of_kto_is_ever_alone_in_its_batch(tiny_model: Path, tmp_path: Path) -> None:
    recipe = recipe_of(tiny_model, method="lora", objective="kto")
    for rows in (11, 12):
        _, trainer = trainer_of(recipe, tmp_path, train=THUMBS[:rows])
        sizes = {len(batch["label"]) for batch in trainer.get_train_dataloader()}
        assert sizes == {2}


@pytest.mark.parametrize("wanted", [1, 10, 100, 133, 134, 1000])
def test_the_rarer_kind_of_answer_is_weighted_up(wanted: int) -> None:
    up, down = thumb_weights(wanted, 100)
    assert min(up, down) == 1.0
    assert 1 - 1e-3 <= up * wanted / (down * 100) <= 4 / 3 + 1e-3


def test_the_prompt_of_a_pair_is_the_prompt_that_is_asked(tiny_model: Path, tmp_path: Path) -> None:
    from dataset_tools.rendering import render, render_prompts

    loaded, trainer = trainer_of(recipe_of(tiny_model, method="lora", objective="dpo"), tmp_path)
    asked = render_prompts([row.prompt for row in PAIRS], loaded.tokenizer)
    assert trainer.train_dataset["prompt_ids"][:] == asked
    for row, chosen, rejected in zip(
        PAIRS, trainer.train_dataset["chosen_ids"], trainer.train_dataset["rejected_ids"], strict=True
    ):
        assert render(Example(row.messages), loaded.tokenizer).ids[-len(chosen) :] == chosen
        assert loaded.tokenizer.decode(rejected) == "no idea<|im_end|>"


def test_a_long_row_of_a_pair_is_cut_and_a_prompt_that_fills_everything_is_left_out(
    tiny_model: Path, tmp_path: Path
) -> None:
    long: Any = replace(Example.of("what is the colour of " * 40, "red"), rejected=PAIRS[0].rejected)
    recipe = recipe_of(tiny_model, method="lora", objective="dpo", max_length=28)
    _, trainer = trainer_of(recipe, tmp_path, train=[*PAIRS, long])
    assert trainer.left_out["train"] == 1
    assert max(trainer.order.lengths) == 28
    assert max(len(row["prompt_ids"] + row["chosen_ids"]) for row in trainer.train_dataset) == 28
