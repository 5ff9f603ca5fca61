"""The model card: what this is, what it was made from, what was measured and what was not. From evidence alone.

The README.md of an export, with the YAML header that the hub reads. Nothing in it is written that the run, a comparison
or the proof does not say; what was not measured is said to be so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import yaml

from training.export.report import ExportReport, Fidelity, Proof
from training.export.source import Source, data_hash

_LIBRARIES = {"adapter": "peft", "merged": "transformers", "gguf": "gguf"}
_TITLES = {"adapter": "An adapter", "merged": "A merged model", "gguf": "A GGUF file"}
_LIGHTS = {"green": "green", "amber": "amber", "red": "RED", "grey": "not measured"}


def model_card(
    source: Source,
    report: ExportReport,
    *,
    name: str,
    serving: str,
    comparison: Mapping[str, Any] | None = None,
    votes: Sequence[str] = (),
) -> str:
    """The text of README.md.

    Args:
        source: The run.
        report: The export and its proof.
        name: What the model is called.
        serving: How it is served, as `serving` writes it.
        comparison: A comparison's result, as ``compare --json`` gives it, for its scores.
        votes: What people said of it in blind votes, in sentences; none where nobody voted.
    """
    parts = [
        _header(source, report.kind),
        f"# {name}\n\n{_TITLES[report.kind]} for one task, made with Fitting Room and proven before it was kept.",
        _facts(source, report),
        "## How well it does\n\n" + _scores(comparison, report.proof.scores, report.proof.rows),
        *(["## What people said\n\n" + "\n".join(f"- {_cell(line)}" for line in votes)] if votes else []),
        "## Health after training\n\n" + _health(source.status.get("result", {}).get("health") or {}),
        "## Proof of this export\n\n" + _proof(report.proof, in_4_bits=source.in_4_bits),
        "## How to serve it\n\n" + serving,
        "## Limits\n\n" + _limits(source, report, comparison),
    ]
    return "\n\n".join(parts) + "\n"


def _header(source: Source, kind: str) -> str:
    values: dict[str, Any] = {"library_name": _LIBRARIES[kind], "pipeline_tag": "text-generation"}
    if source.base.on_hub:
        values["base_model"] = source.base.title
        values["base_model_relation"] = {"adapter": "adapter", "merged": "finetune", "gguf": "quantized"}[kind]
    if source.base.licence:
        values["license"] = source.base.licence
    values["tags"] = ["fitting-room", source.recipe.method, source.recipe.objective]
    return f"---\n{yaml.safe_dump(values, sort_keys=False)}---"


def _facts(source: Source, report: ExportReport) -> str:
    recipe, result = source.recipe, source.status.get("result", {})
    licence = source.base.licence or "not stated; look it up before you pass this model on"
    rows = [
        ("Base model", f"`{source.base.title}`" + (f" ({source.base.note})" if source.base.note else "")),
        ("Licence of the base", licence),
        ("Run", f"`{source.run.path.name}`, {source.status.get('state')}"),
        ("Method", f"{recipe.method}, {recipe.objective}"),
        ("Training rows", _rows_of(source, "train")),
        ("Validation rows", _rows_of(source, "validation")),
        ("Steps", _or_not(result.get("steps"))),
        ("Learning rate", f"{recipe.learning_rate:g}, {recipe.schedule}"),
        ("Rank, alpha, dropout", f"{recipe.rank}, {recipe.alpha}, {recipe.dropout:g}"),
        ("Batch, longest row, seed", f"{recipe.batch_size}, {recipe.max_length} tokens, {recipe.seed}"),
        ("Loss, validation loss", f"{_or_not(result.get('loss'))}, {_or_not(result.get('validation_loss'))}"),
        ("Size", f"{report.bytes / 1e6:.1f} MB" + (f", {report.quantization}" if report.quantization else "")),
    ]
    return _table(("", ""), rows) + "\n\nEvery setting stands in `recipe.yaml`, the figures in `export.json`."


def _rows_of(source: Source, name: str) -> str:
    file = source.run.path / f"{name}.jsonl"
    if not file.exists() or not file.stat().st_size:
        return "none"
    with file.open("rb") as lines:
        count = sum(1 for _ in lines)
    return f"{count}, sha256 `{data_hash(file)}`"


def _scores(comparison: Mapping[str, Any] | None, scores: Any, rows: int) -> str:
    text = []
    if comparison:
        task = comparison.get("task", {})
        arms = [arm for arm in comparison.get("arms", ()) if not arm.get("skipped")]
        table = [
            (str(arm["title"]), f"{100 * arm['score']:.1f}", f"{100 * low:.1f} to {100 * high:.1f}")
            for arm in arms
            for low, high in [arm["interval"]]
        ]
        measured = f"{task.get('metric', 'score')} in points, {task.get('rows', {}).get('test', '?')} test rows"
        text.append(f"A comparison on rows that none of the approaches saw ({measured}):")
        text.append(_table(("approach", "score", "95% interval"), table))
    if scores:
        low, high = scores.interval
        text.append(
            f"This file on {rows} rows: {100 * scores.artefact:.1f} points, the adapter as it was trained "
            f"{100 * scores.adapter:.1f}; difference {100 * low:+.1f} to {100 * high:+.1f} (95% interval)."
        )
    return "\n\n".join(text) or "Not measured: no comparison and no metric was given."


def _health(health: Mapping[str, Any]) -> str:
    card = health.get("card") or []
    if card:
        rows = [
            (
                str(item.get("title", item.get("id"))),
                _LIGHTS.get(str(item.get("light")), str(item.get("light"))),
                _or_not(item.get("value")),
                str(item.get("reason") or ""),
            )
            for item in card
        ]
        return _table(("check", "light", "value", "why"), rows)
    if not health:
        return "Not measured."
    alive = "changes the base's answers" if health.get("alive") else "CHANGES NOTHING: its answers are the base's"
    return f"The adapter {alive}. {health.get('stop_rate', 0):.0%} of held-out answers end by themselves."


def _proof(proof: Proof, *, in_4_bits: bool) -> str:
    kept = "kept from training" if proof.held_out else "that were trained on, as the run kept no others"
    trained = "the adapter on its base in 4 bits, as trained" if in_4_bits else "the adapter as trained"
    columns = [(trained, proof.against_adapter)]
    if proof.against_16_bit is not None:
        columns.append(("the adapter on the base in 16 bits, not merged", proof.against_16_bit))
    rows = [(title, *_figures(found)) for title, found in columns]
    text = f"The file was loaded again with {proof.engine} and answered {proof.rows} rows {kept}.\n\n"
    header = ("against", "same next token", "divergence (nats)", "same answers", "common prefix")
    return text + _table(header, rows) + "\n\n" + "\n".join(f"- {check}" for check in proof.checks)


def _figures(found: Fidelity) -> tuple[str, str, str, str]:
    return (
        f"{found.next_token:.1%}",
        f"{found.divergence:.2g}",
        "not taken" if found.same_answers is None else f"{found.same_answers:.0%}",
        "not taken" if found.common_prefix is None else f"{found.common_prefix:.0%}",
    )


def _limits(source: Source, report: ExportReport, comparison: Mapping[str, Any] | None) -> str:
    lines = [f"- {note}" for note in report.notes]
    if report.proof.scores is None:
        lines.append("- The task's score of this file was not measured: no metric was given.")
    if not comparison:
        lines.append("- How it compares with prompting the base was not measured.")
    measured = {str(item.get("id")) for item in (source.status.get("result", {}).get("health") or {}).get("card", ())}
    if not measured:
        lines.append("- Forgetting, memorised training text and changes in refusals were not measured.")
    lines.append("- It was measured with greedy answers (temperature 0), on rows like those it was trained on alone.")
    return "\n".join(lines)


def _or_not(value: Any) -> str:
    return "not measured" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").replace("<", "&lt;").split())


def evidence(source: Source, report: ExportReport) -> dict[str, Any]:
    """The same for machines: the content of export.json."""
    about = {name: value for name, value in report.to_dict().items() if name != "folder"}
    return {
        "format": 1,
        **about,
        "base": {"title": source.base.title, "licence": source.base.licence},
        "recipe": {**asdict(source.recipe), "model": source.base.title, "start_from": None},
        "data": {
            name: data_hash(source.run.path / f"{name}.jsonl")
            for name in ("train", "validation")
            if (source.run.path / f"{name}.jsonl").exists()
        },
        "result": {
            name: value
            for name, value in dict(source.status.get("result", {})).items()
            if name not in ("adapter", "recipe", "model")  # paths of this machine
        },
    }
