"""What a run can be exported to, where its exports lie, and making one: for the command line and the pages alike.

The export and its proof are `training.export`'s; here the task's metric and people's votes come to it.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from advisor.human import VotesError, VoteStore, said_of_run
from advisor.training_worker import judges_for
from app.run_reading import kept
from training.export import ExportReport
from training.export import export as make_export
from training.export.attempts import Attempt, last_attempt
from training.export.placing import MANIFEST
from training.home import home
from training.runs.folder import RunFolder

ROWS = 32
"""Held-out rows that an export is proven on, unless somebody asks for others."""
WORKER = "app.export_worker"


@dataclass(frozen=True)
class Form:
    """What a run can be exported to.

    Attributes:
        name: A name for addresses and buttons.
        to: The kind of export.
        quantization: Of a GGUF file; what it is for others does not matter.
        title: What people call it.
        purpose: What it is for, in a line.
    """

    name: str
    to: str
    quantization: str
    title: str
    purpose: str

    @property
    def option(self) -> str:
        """How the command line is told of it."""
        return f"--to {self.to}" + (f" --quantization {self.quantization}" if self.to == "gguf" else "")


FORMS = (
    Form("adapter", "adapter", "q8_0", "Adapter", "Small. For vLLM or transformers with the base model beside it."),
    Form("merged", "merged", "q8_0", "Merged model", "A model of its own, in 16 bits. For vLLM and transformers."),
    Form("q8_0", "gguf", "q8_0", "GGUF, q8_0", "One file in 8 bits. For Ollama and llama.cpp, on a laptop too."),
    Form("f16", "gguf", "f16", "GGUF, f16", "One file in 16 bits. For llama.cpp, or to quantize it further yourself."),
)


@dataclass(frozen=True)
class Made:
    """An export that was proven, as its folder tells.

    Attributes:
        form: What it is.
        folder: Where it lies.
        report: Its export.json.
        at: When it was made, in seconds since the epoch.
        usual: Whether it lies at its usual place, from where the server gives its files.
    """

    form: Form
    folder: Path
    report: Mapping[str, Any]
    at: float
    usual: bool = True

    @property
    def files(self) -> dict[str, int]:
        """Its files with their sizes, the largest first. Those that are gone are left out."""
        found = {}
        for name in (*self.report["files"], MANIFEST):
            with contextlib.suppress(OSError, ValueError):
                if not (self.folder / name).resolve().is_relative_to(self.folder.resolve()):
                    continue
                found[name] = (self.folder / name).stat().st_size
        return dict(sorted(found.items(), key=lambda item: -item[1]))


def usual_folder(run: str, to: str, quantization: str) -> Path:
    """Where an export of a run lies unless somebody has chosen another place: named after the run and its form."""
    return home() / "exports" / f"{run}-{quantization if to == 'gguf' else to}"


def form_named(name: str) -> Form | None:
    """The form of this name; None where there is none."""
    return next((form for form in FORMS if form.name == name), None)


def form_of(attempt: Attempt) -> Form:
    """What is being exported, or was."""
    fitting = [form for form in FORMS if form.to == attempt.to]
    return next((form for form in fitting if form.quantization == attempt.quantization), (fitting or FORMS)[0])


def make(
    run: RunFolder,
    to: str,
    folder: Path,
    *,
    quantization: str,
    rows: int,
    comparison: Mapping[str, Any] | None = None,
    tell: Callable[[str], None],
) -> ExportReport:
    """Export a run with what is known of it here: its rows' metric, and what people said.

    Raises:
        UsageError: an option is wrong.
        ExportError: the export or its proof failed.
    """
    return make_export(
        run,
        to,
        folder,
        quantization=quantization,
        rows=rows,
        scorer=judges_for(run).scorer,
        comparison=comparison,
        votes=_votes(run),
        tell=tell,
    )


def made_of(run: RunFolder) -> list[Made]:
    """The exports of a run that lie at their usual places, and the last one wherever it lies; the newest first."""
    name = run.path.name
    places = {usual_folder(name, form.to, form.quantization): (form, True) for form in FORMS}
    last = last_attempt(run)
    if last is not None and last.state == "done":
        places.setdefault(Path(last.folder), (form_of(last), False))
    found = [made for folder, (form, usual) in places.items() if (made := _made(folder, form, name, usual=usual))]
    return sorted(found, key=lambda made: -made.at)


def made_in(run: RunFolder, form: Form) -> Made | None:
    """The export of a run in this form at its usual place, if there is one."""
    return _made(usual_folder(run.path.name, form.to, form.quantization), form, run.path.name, usual=True)


def _made(folder: Path, form: Form, run: str, *, usual: bool) -> Made | None:
    report = kept(folder / MANIFEST, _read)
    if not report or report["run"] != run or report["kind"] != form.to:
        return None
    with contextlib.suppress(OSError):
        return Made(form, folder, report, (folder / MANIFEST).stat().st_mtime, usual)
    return None


def _read(file: Path) -> dict[str, Any] | None:
    """An export.json; None where it is not one, or not one that tells of a proof."""
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
        report: dict[str, Any] = json.loads(file.read_text("utf-8"))
        parts = {"rows", "engine", "checks", "against_adapter"}
        if {"run", "kind", "files", "notes", "proof"} <= set(report) and parts <= set(report["proof"]):
            return report
    return None


def _votes(run: RunFolder) -> list[str]:
    """What people said of a run's model; nothing where the votes cannot be read."""
    with contextlib.suppress(VotesError), VoteStore.open() as store:
        return said_of_run(store, run)
    return []
