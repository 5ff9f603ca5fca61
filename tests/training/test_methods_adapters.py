"""Every method: it trains what it should and nothing else, is saved without a pickle, and comes back as it was."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dataset_tools.errors import ModelError
from tests.training.methods_support import METHODS, logged, recipe_of, trainer_of, weights
from training.methods import load_for_training, save_artefact
from training.models.loading import load_model, load_tokenizer, load_tuned
from training.recipe import Recipe

pytestmark = pytest.mark.usefixtures("one_thread")
PROMPT = "what is the colour of the river"


@pytest.fixture(scope="module", params=METHODS)
def trained(
    request: pytest.FixtureRequest, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Any]:
    """Of one method: recipe, weights at the start, trainer after three steps, and the saved artefact."""
    folder = tmp_path_factory.mktemp(request.param)
    recipe = recipe_of(tiny_model, method=request.param, dropout=0.0)
    loaded, trainer = trainer_of(recipe, folder)
    before = weights(loaded.model)
    trainer.train()
    save_artefact(trainer.model, folder / "artefact", recipe)
    yield recipe, before, trainer, folder / "artefact"
    shutil.rmtree(folder)


def logits(model: Any, tokenizer: Any) -> Any:
    import torch

    ids = torch.tensor([tokenizer(PROMPT)["input_ids"]])
    with torch.inference_mode():
        given = model.eval()(input_ids=ids, attention_mask=torch.ones_like(ids)).logits.float()
    return given[:, -ids.shape[1] :]  # prompt tuning scores its virtual tokens too


def test_a_method_changes_its_own_weights_and_nothing_else(trained: Any) -> None:
    import torch

    recipe, before, trainer, _ = trained
    after = dict(trainer.model.named_parameters())
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {name for name, weight in after.items() if weight.requires_grad}
    mark = {"prefix": "prompt_encoder", "prompt": "prompt_encoder", "ia3": "ia3_", "full": ""}
    assert changed and all(mark.get(recipe.method, "lora_") in name for name in changed)
    assert {after[name].dtype for name in changed} == {torch.float32}


def test_the_losses_are_finite_and_move(trained: Any) -> None:
    import math

    _, _, trainer, _ = trained
    losses = logged(trainer, "loss")
    assert len(losses) == 3 and all(map(math.isfinite, losses)) and len(set(losses)) == 3
    assert math.isfinite(logged(trainer, "eval_loss")[-1])


def test_the_artefact_is_safetensors_with_its_recipe_and_no_pickle(trained: Any) -> None:
    recipe, _, _, folder = trained
    names = {path.name for path in folder.rglob("*") if path.is_file()}
    assert not {name for name in names if Path(name).suffix in {".bin", ".pt", ".pth", ".pkl", ".ckpt"}}
    assert Recipe.load(folder / "recipe.yaml") == recipe
    whole = {"model.safetensors", "config.json", "tokenizer.json", "chat_template.jinja"}
    assert names >= (whole if recipe.method == "full" else {"adapter_model.safetensors", "adapter_config.json"})


def test_the_artefact_comes_back_as_it_was_trained(trained: Any, tiny_model: Path) -> None:
    import torch

    recipe, _, trainer, folder = trained
    tuned = load_tuned(str(tiny_model), folder, dtype="float32")
    now = logits(tuned.model, tuned.tokenizer)
    base = load_model(str(tiny_model), dtype="float32", four_bit=recipe.method == "qlora")
    assert torch.allclose(now, logits(trainer.model, tuned.tokenizer), atol=1e-4)
    assert not torch.allclose(now, logits(base.model, tuned.tokenizer), atol=1e-2)


def test_an_adapter_is_continued_from_its_weights(trained: Any) -> None:
    import torch

    recipe, _, trainer, folder = trained
    if recipe.method == "full":
        assert Recipe.load(folder / "recipe.yaml").method == "full"  # its folder is named as the model instead
        again = load_for_training(replace(recipe, model=str(folder))).model
    else:
        again = load_for_training(replace(recipe, start_from=str(folder))).model
    ended = dict(trainer.model.named_parameters())
    started = {name: weight for name, weight in again.named_parameters() if weight.requires_grad}
    assert started.keys() == {name for name, weight in ended.items() if weight.requires_grad}
    assert all(torch.equal(weight, ended[name]) for name, weight in started.items())


@pytest.mark.parametrize("method", ["lora", "prefix", "prompt", "full"])
def test_a_resumed_run_of_any_method_ends_as_an_unbroken_one(method: str, tiny_model: Path, tmp_path: Path) -> None:
    import torch

    recipe = recipe_of(tiny_model, method=method, max_steps=4, evaluations=2, dropout=0.1)
    whole = trainer_of(recipe, tmp_path)[1]
    whole.train()
    resumed = trainer_of(recipe, tmp_path)[1]
    resumed.train(resume_from_checkpoint=str(tmp_path / "checkpoints" / "checkpoint-2"))
    assert logged(resumed, "loss") == logged(whole, "loss")
    ended = dict(resumed.model.named_parameters())
    assert all(torch.equal(weight, ended[name]) for name, weight in whole.model.named_parameters())


@pytest.mark.parametrize("method", ["qlora", "lora", "prompt", "prefix"])
def test_the_start_follows_from_the_seed(method: str, tiny_model: Path) -> None:
    import torch

    def start(seed: int) -> list[Any]:
        model = load_for_training(recipe_of(tiny_model, method=method, seed=seed)).model
        return [weight for name, weight in model.named_parameters() if weight.requires_grad and "lora_B" not in name]

    one, same, other = start(1), start(1), start(2)
    assert all(torch.equal(a, b) for a, b in zip(one, same, strict=True))
    differ = [not torch.equal(a, b) for a, b in zip(one, other, strict=True)]
    assert not any(differ) if method == "prefix" else all(differ)  # a prefix starts at zero


def test_one_model_can_be_given_to_several_trainers(tiny_model: Path, tmp_path: Path) -> None:
    import torch

    recipe = recipe_of(tiny_model, method="full", precision="bf16")
    loaded, first = trainer_of(recipe, tmp_path / "first")
    before = weights(loaded.model)
    first.train()
    with torch.no_grad():
        for name, weight in loaded.model.named_parameters():
            weight.copy_(before[name])
    second = trainer_of(recipe, tmp_path / "second", loaded=loaded)[1]
    second.train()
    assert logged(second, "loss") == logged(first, "loss")


@pytest.fixture
def adapter(tiny_model: Path, tmp_path: Path) -> Path:
    recipe = recipe_of(tiny_model, method="lora")
    save_artefact(load_for_training(recipe).model, tmp_path / "adapter", recipe)
    return tmp_path / "adapter"


def test_an_adapter_of_another_method_is_not_continued(adapter: Path, tiny_model: Path) -> None:
    for method in ("qlora", "dora", "rslora", "ia3", "prompt"):
        with pytest.raises(ModelError, match="made by another method"):
            load_for_training(recipe_of(tiny_model, method=method, start_from=str(adapter)))
    (adapter / "recipe.yaml").unlink()  # without a recipe its configuration tells qlora and lora not apart
    load_for_training(recipe_of(tiny_model, method="qlora", start_from=str(adapter)))
    with pytest.raises(ModelError, match=r"(?s)made by another method.*LORA"):
        load_for_training(recipe_of(tiny_model, method="dora", start_from=str(adapter)))


@pytest.mark.parametrize("with_recipe", [True, False], ids=["its recipe says so", "its configuration says so"])
def test_an_adapter_of_another_base_is_not_continued(
    with_recipe: bool, adapter: Path, tiny_model: Path, tmp_path: Path
) -> None:
    other = shutil.copytree(tiny_model, tmp_path / "other")
    if not with_recipe:
        (adapter / "recipe.yaml").unlink()
    with pytest.raises(ModelError, match=r"(?s)belongs to another base.*other"):
        load_for_training(recipe_of(other, method="lora", start_from=str(adapter)))


def test_a_folder_with_a_pickle_is_not_continued(adapter: Path, tiny_model: Path) -> None:
    (adapter / "adapter_model.bin").write_bytes(b"\x80\x04N.")
    with pytest.raises(ModelError, match="pickled files"):
        load_for_training(recipe_of(tiny_model, method="lora", start_from=str(adapter)))


@pytest.mark.parametrize("content", ["{", "[]", "{}"])
def test_a_broken_configuration_is_refused_in_words(content: str, adapter: Path, tiny_model: Path) -> None:
    (adapter / "adapter_config.json").write_text(content)
    with pytest.raises(ModelError, match="configuration cannot be read"):
        load_for_training(recipe_of(tiny_model, method="lora", start_from=str(adapter)))


def test_weights_of_another_shape_are_refused_in_words(adapter: Path, tiny_model: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights_file = adapter / "adapter_model.safetensors"
    save_file({name: value[:1] for name, value in load_file(weights_file).items()}, weights_file)
    with pytest.raises(ModelError, match="does not fit this base"):
        load_for_training(recipe_of(tiny_model, method="lora", start_from=str(adapter)))


def test_a_method_that_the_architecture_does_not_take_is_explained(tmp_path: Path, tiny_model: Path) -> None:
    from transformers import CohereConfig, CohereForCausalLM

    tokenizer = load_tokenizer(str(tiny_model))
    folder = tmp_path / "unknown-to-ia3"
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}
    CohereForCausalLM(CohereConfig(vocab_size=len(tokenizer), **sizes)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    with pytest.raises(ModelError, match="The method ia3 cannot be applied"):
        load_for_training(recipe_of(folder, method="ia3"))
