"""One export from beginning to end: made beside its place, loaded again, proven, described, and only then put there."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from dataset_tools.errors import UsageError
from dataset_tools.rendering import prompt_text
from dataset_tools.writing import write_text_atomically
from training.export import adapter, gguf, merged, ollama, serving
from training.export.card import evidence, model_card
from training.export.engines import TransformersEngine
from training.export.fidelity import trace
from training.export.gguf_check import Checked, check_gguf
from training.export.job import Job, Tell, prepare
from training.export.loading import load_on_16_bit, release, sixteen_bit_dtype
from training.export.placing import MANIFEST, check_target, placed, require_space
from training.export.reloading import check_modelfile, prove_adapter, prove_gguf, prove_merged
from training.export.report import ExportReport, Proof
from training.export.settings_check import check_weights
from training.export.sizes import SHARE_OF_16_BIT
from training.export.source import Source, data_hash, read_source
from training.export.template_pieces import TemplateRefused, check_pieces, learn_pieces
from training.export.turn import own_turn
from training.runs.folder import RunFolder
from training.scoring import Scorer

KINDS = ("adapter", "merged", "gguf")
# Room for all that is not weights.
_ON_TOP = 50_000_000
_LONGEST_CONTEXT = 4096  # of a Modelfile: a longer one costs memory that few need


def export(
    run: RunFolder,
    to: str,
    out: Path,
    *,
    quantization: str = "q8_0",
    rows: int = 32,
    scorer: Scorer | None = None,
    comparison: Mapping[str, Any] | None = None,
    votes: Sequence[str] = (),
    tell: Tell = lambda phase: None,
) -> ExportReport:
    """Export what a run made, and prove it. On an accelerator it waits until no run is at work there.

    Args:
        run: A run that ended well.
        to: "adapter", "merged" (into the 16-bit base) or "gguf".
        out: The folder to make; an earlier export there is replaced in one step, once the new one is proven.
        quantization: Of a GGUF file: "f16" or "q8_0".
        rows: How many of the run's held-out rows to prove it on.
        scorer: The task's metric, where there is one.
        comparison: A comparison's result (as ``compare --json`` gives it), for the model card.
        votes: What people said of it in blind votes, in sentences, for the model card.
        tell: Told each phase as it begins.

    Raises:
        UsageError: an unknown kind, or `out` holds something else.
        ExportError: it cannot be made, or its proof failed. Nothing is left at `out`, and what was there stays.
        ModelError: the base or the adapter cannot be loaded.
        DiskFullError: there is no room. What was at `out` stays.
    """
    _check_request(to, quantization, rows)
    source = read_source(run, rows)
    if to != "adapter":
        merged.check_mergeable(source)
    elif source.is_full:
        adapter.refuse_whole_model(source)
    check_target(out.expanduser())
    with own_turn(tell), placed(out) as workshop:
        name = serving.model_name(out)
        job = prepare(source, workshop.export, workshop.scratch, scorer=scorer, tell=tell, name=name)
        adapter.save_recipe(source, job.folder)
        if to == "adapter":
            report, text = _export_adapter(job)
        elif to == "merged":
            report, text = _export_merged(job)
        else:
            report, text = _export_gguf(job, quantization)
        report = replace(report, files=_files(job.folder), serving=text)
        card = model_card(source, report, name=job.name, serving=text, comparison=comparison, votes=votes)
        write_text_atomically(job.folder / "README.md", card)
        report = _with_manifest(source, report)
        release()
        tell("moving it into place")
    return replace(report, folder=out.expanduser().absolute())


def _check_request(to: str, quantization: str, rows: int) -> None:
    for given, known, what in ((to, KINDS, "kind of export"), (quantization, gguf.QUANTIZATIONS, "quantization")):
        if given not in known:
            raise UsageError(f"There is no such {what}.", found=repr(given), expected=", ".join(known))
    if rows < 1:
        raise UsageError("An export is proven on at least one row.", found=str(rows), expected="1 or more")


def _report(job: Job, kind: str, proof: Proof, **more: Any) -> ExportReport:
    notes = (*more.pop("notes", ()), *_base_note(job.source, kind))
    return ExportReport(kind, job.source.run.path.name, job.folder, {}, proof, notes=notes, **more)


def _base_note(source: Source, kind: str) -> list[str]:
    if kind != "adapter":
        if source.in_4_bits:
            return [
                "It was trained on the base in 4 bits and merged into the base in 16: some answers differ from"
                " the adapter's, as the proof says."
            ]
        return []
    if source.base.note:
        return [f"The base: {source.base.note}. With the published weights it was not measured."]
    if not source.base.on_hub:
        return [
            f"The base was a folder on the machine that trained, called `{source.base.title}`; this export"
            " does not hold it."
        ]
    return []


def _export_adapter(job: Job) -> tuple[ExportReport, str]:
    job.tell("copying the adapter")
    adapter.copy_adapter(job.source, job.folder, tokenizer=job.tokenizer)
    proof = prove_adapter(job)
    return _report(job, "adapter", proof), serving.serve_adapter(job.source, job.name)


def _merge(job: Job, folder: Path, *, needed: Callable[[int], int]) -> tuple[Job, str]:
    """Write the merged model; the job with the 16-bit base's view of the rows, and what was found on reading back."""
    source = job.source
    release()
    job.tell("loading the base in 16 bits")
    loaded = load_on_16_bit(source, tokenizer=job.tokenizer)
    require_space(job.scratch, needed(merged.size_in_16_bit(loaded.model)) + _ON_TOP)
    job.tell("looking at the rows before it is merged")
    reference = replace(job.reference, on_16_bit=trace(TransformersEngine(loaded), job.reference.rendered))
    job.tell("merging" if not source.is_full else "writing the model in 16 bits")
    stored = sixteen_bit_dtype(str(source.artefact) if source.is_full else source.base.name)
    model = merged.merge(loaded, dtype=stored)
    merged.save_merged(model, job.tokenizer, folder, stops=job.stops)
    return replace(job, reference=reference), check_weights(folder, model)


def _export_merged(job: Job) -> tuple[ExportReport, str]:
    job, checked = _merge(job, job.folder, needed=lambda size: size)
    return _report(job, "merged", prove_merged(job, [checked])), serving.serve_merged(job.name)


def _export_gguf(job: Job, quantization: str) -> tuple[ExportReport, str]:
    model, file = job.scratch / "merged", job.folder / f"{job.name}.{quantization.upper()}.gguf"
    job, _ = _merge(job, model, needed=lambda size: int(size * (1 + SHARE_OF_16_BIT[quantization])))
    release()
    job.tell(f"writing GGUF ({quantization})")
    first = job.reference.examples[0]
    prompt = prompt_text(first.prompt, job.tokenizer, tools=first.tools)
    title = f"{job.source.base.title.rpartition('/')[2]}, {job.name}"
    options: dict[str, Any] = {"tokenizer": job.tokenizer, "quantization": quantization}
    writer = gguf.write_gguf(model, file, stops=list(job.stops), prompt=prompt, title=title, **options)
    job.tell("reading the file back")
    checked = check_gguf(file, model, stops=job.stops, **options)
    checks, notes = [f"written by {writer}", *checked.remarks], []
    try:
        checks.append(_write_modelfile(job, file, checked))
    except TemplateRefused as refusal:
        notes.append(f"There is no Modelfile for Ollama: {refusal.found}. {refusal.next_step}")
    proof = prove_gguf(job, file, checked, checks)
    has_modelfile = (job.folder / "Modelfile").exists()
    text = serving.serve_gguf(file.name, job.name, has_modelfile=has_modelfile)
    return _report(job, "gguf", proof, quantization=quantization, notes=tuple(notes)), text


def _write_modelfile(job: Job, file: Path, checked: Checked) -> str:
    """Write Ollama's Modelfile and read it back; what was found right, in words."""
    pieces = learn_pieces(job.tokenizer)
    compared = check_pieces(pieces, job.reference.examples, job.tokenizer)
    bos = job.tokenizer.bos_token if checked.adds_bos else None
    stops = job.tokenizer.convert_ids_to_tokens(list(job.stops))
    context = min(checked.context, _LONGEST_CONTEXT)
    text = ollama.modelfile(pieces, file=file.name, stops=stops, context=context, bos=bos, title=job.name)
    write_text_atomically(job.folder / "Modelfile", text)
    check_modelfile(job.folder / "Modelfile", template=ollama.template_text(pieces, bos=bos), stops=stops)
    return f"the Modelfile's template gives {compared} rows' prompts as the model's own does, and its stops are right"


def _files(folder: Path) -> dict[str, int]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.stat().st_size for path in files}


def _with_manifest(source: Source, report: ExportReport) -> ExportReport:
    """Write export.json, last: with the hash of every other file."""
    folder = report.folder
    report = replace(report, files=_files(folder))
    values = {**evidence(source, report), "sha256": {name: data_hash(folder / name) for name in report.files}}
    write_text_atomically(folder / MANIFEST, json.dumps(values, indent=2, ensure_ascii=False) + "\n")
    return replace(report, files=_files(folder))
