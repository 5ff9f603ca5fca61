"""The rows in another format and container, with what did not survive, to download."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from app.checking import Checked
from app.components.tool_views import conversion_view
from app.components.wiring import on_steps
from app.pages.data.section import PageParts, Section, Updates
from app.versions import own_rows, said_columns, said_reading, tools_folder
from app.workspace import Project
from dataset_tools import UsageError
from dataset_tools.conversion import convert
from dataset_tools.formats import WRITTEN

_FOLDER = "converted"
_CONTAINERS = (
    ("JSON lines (.jsonl)", ".jsonl"),
    ("JSON array (.json)", ".json"),
    ("CSV (.csv)", ".csv"),
    ("TSV (.tsv)", ".tsv"),
    ("Parquet (.parquet)", ".parquet"),
    ("JSON lines, gzip (.jsonl.gz)", ".jsonl.gz"),
    ("JSON lines, zstd (.jsonl.zst)", ".jsonl.zst"),
)
_TITLES = {
    "messages": "Messages: chat, the usual form",
    "prompt_completion": "Prompt and completion",
    "alpaca": "Alpaca: instruction, input, output",
    "sharegpt": "ShareGPT: conversations",
    "preference": "Preference pairs: chosen and rejected",
    "kto": "KTO: thumbs up and down",
    "openai": "OpenAI fine-tuning",
    "together": "Together fine-tuning",
    "fireworks": "Fireworks fine-tuning",
    "mistral": "Mistral fine-tuning",
}


class ConvertSection(Section):
    """Two dropdowns, a button and the loss report."""

    def build(self, gr: Any) -> None:
        """Lay the components out."""
        formats = sorted(((_TITLES.get(name, name), name) for name in WRITTEN), key=lambda choice: _order(choice[1]))
        with gr.Accordion("Convert and download", open=False, visible=False, elem_id="convert") as self.fold:
            with gr.Row():
                self.format = gr.Dropdown(formats, value="messages", label="Format", min_width=220, elem_id="to-format")
                self.container = gr.Dropdown(
                    list(_CONTAINERS), value=".jsonl", label="File", min_width=180, elem_id="to-container"
                )
            self.make = gr.Button("Convert", size="sm", min_width=140, scale=0, elem_id="convert-make")
            self.status = gr.HTML()
            self.result = gr.HTML(elem_id="converted")
        self.outputs = [self.fold, self.result]

    def wire(self, parts: PageParts) -> None:
        """Say what happens when they are used."""
        self.parts = parts
        inputs = [parts.project, self.format, self.container]
        outputs = [self.status, self.result]
        on_steps(self.make.click, self.write, inputs=inputs, outputs=outputs, notice=parts.notice)

    def show(self, project: Project | None, checked: Checked | None) -> Updates:
        """Closed, where there are usable rows."""
        import gradio as gr

        usable = bool(checked and checked.report and checked.report.usable)
        return {self.fold: gr.Accordion(visible=usable, open=False), self.result: ""}

    def write(self, project_id: str, to: str, ending: str) -> Iterator[Updates]:
        """Write the file, and say what did not survive."""
        project = self.parts.project_of(project_id)
        if to not in WRITTEN or ending not in {known for _, known in _CONTAINERS}:
            raise UsageError("There is no such format or file.", next_step="Choose one of the lists.")
        target = tools_folder(project) / _FOLDER / f"{to.replace('_', '-')}{ending}"
        target.parent.mkdir(parents=True, exist_ok=True)
        result = yield from self.parts.working(
            project,
            self.status,
            "Writing the rows",
            lambda tell: convert(
                own_rows(project), target, to=to, columns=said_columns(project), reading=said_reading(project)
            ),
        )
        yield {self.result: conversion_view(project, result, f"tools/{_FOLDER}")}


def _order(name: str) -> int:
    names = list(_TITLES)
    return names.index(name) if name in names else len(names)
