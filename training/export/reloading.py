"""Artefacts loaded again from their files and held against the adapter: what makes an export proven or failed."""

from __future__ import annotations

from pathlib import Path

from dataset_tools.rendering import prompt_text
from training.export import adapter, ollama
from training.export.engines import Engine, LlamaCppEngine, TransformersEngine, has_llama_cpp
from training.export.gguf_check import Checked
from training.export.job import Job
from training.export.loading import exact_dtype, load_as_trained, load_exactly, read_gguf_as, release
from training.export.proof import prove
from training.export.report import ExportError, Proof
from training.export.settings_check import check_settings
from training.models.loading import LoadedModel, first_line, load_config


def prove_adapter(job: Job) -> Proof:
    """Load an exported adapter again and hold it against the run's."""
    checks = [adapter.check_copy(job.source, job.folder)]
    checks += check_settings(job.folder, job.tokenizer, stops=job.stops, examples=job.reference.examples)
    release()
    loaded = load_as_trained(job.source, adapter=job.folder)
    return _prove(job, TransformersEngine(loaded), checks)


def prove_merged(job: Job, checks: list[str]) -> Proof:
    """Load a merged model again and hold it against the adapter."""
    checks = checks + check_settings(job.folder, job.tokenizer, stops=job.stops, examples=job.reference.examples)
    release()
    loaded = load_exactly(job.folder)
    return _prove(job, TransformersEngine(loaded), checks)


def prove_gguf(job: Job, file: Path, checked: Checked, checks: list[str]) -> Proof:
    """Run a GGUF file: in llama.cpp where its binding is installed, else unpacked by transformers' own reader."""
    if has_llama_cpp():
        prompts = [prompt_text(row.prompt, job.tokenizer, tools=row.tools) for row in job.reference.examples]
        wanted = [job.tokenizer(prompt, add_special_tokens=False)["input_ids"] for prompt in prompts]
        longest = max(len(row.ids) for row in job.reference.rendered) + job.reference.max_new_tokens
        engine = LlamaCppEngine(file, job.tokenizer, stops=checked.stops, context=longest + 8)
        try:
            _require_same_tokens([engine.encode(prompt) for prompt in prompts], wanted, file)
            told = f"llama.cpp's own tokenizer turns the prompts of {len(prompts)} rows into the same tokens"
            return _prove(job, engine, [*checks, told])
        finally:
            engine.close()
    loaded = _read_unpacked(file, job, checked)
    told = "how llama.cpp cuts prompts into tokens was not tried; its vocabulary, merges and rule were compared"
    engine_name = "transformers' GGUF reader (llama.cpp itself was not tried: llama-cpp-python is not installed)"
    return _prove(job, TransformersEngine(loaded, name=engine_name), [*checks, told])


def _read_unpacked(file: Path, job: Job, checked: Checked) -> LoadedModel:
    merged = str(job.scratch / "merged")
    try:
        model = read_gguf_as(file, load_config(merged), dtype=exact_dtype(merged))
    except (ValueError, KeyError, NotImplementedError, RuntimeError) as error:
        raise ExportError(
            "This GGUF file cannot be proven here.",
            where=str(file),
            found=first_line(error),
            expected="an architecture that transformers' GGUF reader knows, or llama.cpp itself",
            next_step="Install llama.cpp's binding: `pip install llama-cpp-python`, then export again.",
        ) from error
    model.generation_config.eos_token_id = list(checked.stops)
    # Not the reader's tokenizer: it cuts text as GPT-2 does, whatever rule the file names.
    return LoadedModel(model, job.tokenizer, file.name)


def _require_same_tokens(found: list[list[int]], wanted: list[list[int]], file: Path) -> None:
    different = sum(mine != other for mine, other in zip(found, wanted, strict=True))
    if different:
        raise ExportError(
            "The tokenizer in the file turns prompts into other tokens than in training.",
            where=str(file),
            found=f"{different} of {len(wanted)} prompts differ",
            next_step="Export it as a merged model, and report this base model.",
        )


def check_modelfile(file: Path, *, template: str, stops: list[str]) -> None:
    """Read a Modelfile back.

    Raises:
        ExportError: its template or its stop tokens are not what they should be.
    """
    found, ends = ollama.read_modelfile(file.read_text("utf-8"))
    if found != template or ends != stops:
        raise ExportError(
            "The Modelfile is not what was written.",
            where=str(file),
            found=f"{found[:80]!r}, stops {ends}",
            expected=f"{template[:80]!r}, stops {stops}",
        )


def _prove(job: Job, engine: Engine, checks: list[str]) -> Proof:
    job.tell(f"loading it again and answering {len(job.reference.examples)} rows with {engine.name}")
    return prove(job.reference, engine, tokenizer=job.tokenizer, scorer=job.scorer, checks=checks)
