"""Where models come from, and what is refused: bad names, unsafe adapters, damaged files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from dataset_tools.errors import ModelError
from training.models.loading import (
    check_adapter,
    default_model,
    load_model,
    load_tokenizer,
    load_tuned,
    locate,
    machine,
)

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        "\n",
        "org/model\n",
        "a b",
        "../model",
        "./model",
        "/no/such/folder",
        "~/no/such/folder",
        "~no_such_user/model",
        "org/model/extra",
        "org//model",
        "/",
        "-model",
        ".hidden/model",
        "https://example.org/model",
        "org\\model",
        "модель",
        "model;rm",
        "a\0b",
        "x" * 5000 + "/!",
        "x/" * 3000,
    ],
    ids=lambda name: repr(name[:20]),
)
def test_a_bad_name_is_refused_before_anything_is_looked_up(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match="next:"):
        locate(name)


@pytest.mark.parametrize("name", ["gpt2", "org/model", "HuggingFaceTB/SmolLM2-135M-Instruct", "a_b/c-d.e"])
def test_a_hub_id_is_passed_on(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert locate(name) == name


def test_a_folder_wins_over_an_id_and_must_hold_a_model(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny").symlink_to(tiny_model)
    assert locate("tiny") == locate(str(tiny_model)) == str(tiny_model)
    (tmp_path / "other").mkdir()
    with pytest.raises(ModelError, match="an empty folder"):
        locate("other")
    (tmp_path / "other" / "notes.txt").touch()
    with pytest.raises(ModelError, match=r"notes\.txt"):
        locate("other")


def test_the_default_model_can_be_named_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert default_model() == "embedded"
    monkeypatch.setenv("FITTING_ROOM_MODEL", "org/model")
    assert default_model() == "org/model"


def test_the_tokenizer_is_padded_with_another_token_than_the_stop_token_where_there_is_one(
    tiny_model: Path, tiny_model_padded_with_stop: Path, tmp_path: Path
) -> None:
    assert load_tokenizer(str(tiny_model)).pad_token == "<|endoftext|>"
    only_stop = load_tokenizer(str(tiny_model_padded_with_stop))
    assert only_stop.pad_token == only_stop.eos_token == "<|im_end|>"
    folder = shutil.copytree(tiny_model_padded_with_stop, tmp_path / "with-unknown")
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps({**settings, "unk_token": "<|endoftext|>"}))
    assert load_tokenizer(str(folder)).pad_token == "<|endoftext|>"


def test_a_model_without_a_chat_template_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_model, tmp_path / "base")
    (folder / "chat_template.jinja").unlink()
    with pytest.raises(ModelError, match="has no chat template"):
        load_tokenizer(str(folder))


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("model.safetensors", None),
        ("model.safetensors", b""),
        ("model.safetensors", b"\xff" * 100),
        ("config.json", b"{not json"),
        ("config.json", b'{"model_type": "no-such-architecture"}'),
        ("config.json", b"{}"),
    ],
    ids=["no weights", "empty weights", "weights of noise", "broken config", "unknown architecture", "empty config"],
)
def test_a_damaged_model_is_refused_in_words(
    tiny_model: Path, tmp_path: Path, file: str, content: bytes | None
) -> None:
    tokenizer = load_tokenizer(str(tiny_model))
    folder = shutil.copytree(tiny_model, tmp_path / "damaged")
    (folder / file).unlink()
    if content is not None:
        (folder / file).write_bytes(content)
    with pytest.raises(ModelError, match="cannot be loaded"):
        load_model(str(folder), tokenizer=tokenizer)


def test_pickled_weights_are_not_read(tiny_model: Path, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file

    folder = shutil.copytree(tiny_model, tmp_path / "pickled")
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="cannot be loaded"):
        load_model(str(folder))


def test_code_that_comes_with_a_model_is_not_run(tiny_model: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_model, tmp_path / "with-code")
    config = json.loads((folder / "config.json").read_text())
    config["auto_map"] = {"AutoConfig": "evil.Config", "AutoModelForCausalLM": "evil.Model"}
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "evil"}))
    (folder / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()\n")
    with pytest.raises(ModelError, match="cannot be loaded"):
        load_model(str(folder), tokenizer=load_tokenizer(str(tiny_model)))
    assert not (tmp_path / "ran").exists()


@pytest.fixture
def adapter(tiny_model: Path, tmp_path: Path) -> Path:
    """A fresh adapter of the tiny model, as a run saves it."""
    from training.methods.adapters import add_adapter
    from training.recipe import Recipe

    model = add_adapter(load_model(str(tiny_model), four_bit=True), Recipe(str(tiny_model), rank=4))
    model.save_pretrained(tmp_path / "adapter")
    return tmp_path / "adapter"


def test_a_tuned_model_computes_what_the_four_bit_model_computes(tiny_model: Path, adapter: Path) -> None:
    import torch
    from peft import PeftModel

    four_bit = load_model(str(tiny_model), dtype="float32", four_bit=True)
    trained = PeftModel.from_pretrained(four_bit.model, str(adapter)).eval()
    unpacked = load_tuned(str(tiny_model), adapter, dtype="float32")
    assert unpacked.context == 1024
    ids = torch.tensor(
        [unpacked.tokenizer("what is the colour of the river")["input_ids"]], device=unpacked.model.device
    )
    with torch.inference_mode():
        assert torch.allclose(trained(ids).logits, unpacked.model(ids).logits, atol=1e-4)


def test_an_adapter_of_another_base_is_refused(tiny_model: Path, adapter: Path, tmp_path: Path) -> None:
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.from_pretrained(tiny_model)
    config.intermediate_size = 192
    other = shutil.copytree(tiny_model, tmp_path / "other")
    AutoModelForCausalLM.from_config(config).save_pretrained(other)
    with pytest.raises(ModelError, match="does not fit this base"):
        load_tuned(str(other), adapter)


@pytest.mark.parametrize("name", ["adapter_model.bin", "extra.pt", "old.pth", "x.pkl", "last.ckpt"])
def test_an_adapter_folder_with_a_pickle_is_refused(adapter: Path, name: str) -> None:
    check_adapter(adapter)
    (adapter / name).write_bytes(b"\x80\x04N.")
    with pytest.raises(ModelError, match=f"pickled files: {name}"):
        check_adapter(adapter)


@pytest.mark.parametrize("missing", ["adapter_model.safetensors", "adapter_config.json"])
def test_an_adapter_folder_that_lacks_a_file_is_refused(adapter: Path, missing: str, tiny_model: Path) -> None:
    (adapter / missing).unlink()
    with pytest.raises(ModelError, match="not an adapter that can be loaded"):
        load_tuned(str(tiny_model), adapter)


def test_a_folder_that_is_none_is_no_adapter(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    for name in ("empty", "file", "absent"):
        with pytest.raises(ModelError, match="found: nothing"):
            check_adapter(tmp_path / name)


@pytest.mark.parametrize("content", [b"", b"\xff" * 64], ids=["empty", "noise"])
def test_a_damaged_adapter_is_refused_in_words(adapter: Path, tiny_model: Path, content: bytes) -> None:
    (adapter / "adapter_model.safetensors").write_bytes(content)
    with pytest.raises(ModelError):
        load_tuned(str(tiny_model), adapter)


def test_the_machine_names_a_device_and_a_dtype_that_torch_knows() -> None:
    import torch

    here = machine()
    assert torch.zeros(1, device=here.device, dtype=getattr(torch, here.dtype)).isfinite().all()
    assert here.has_accelerator == torch.cuda.is_available()
