"""Which columns hold the prompt and the answer: what was guessed, and dropdowns to say it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from app.checking import Checked
from app.components.markup import shortened
from app.components.tool_views import choices_of
from app.components.wiring import on_steps
from app.pages.data.section import PageParts, Section, Updates
from app.row_reading import as_columns, fields_of, read_as
from app.versions import own_rows, said_columns, said_reading, with_columns
from app.workspace import Project
from dataset_tools import Report, UsageError

_USUAL = {"prompt": "prompt", "completion": "completion"}
_NAME_SHOWN = 40
_ASK = "Say which columns hold the prompt and the answer"


class MappingSection(Section):
    """Three dropdowns; the rows are read again as soon as two of them are set."""

    def build(self, gr: Any) -> None:
        """Lay the components out."""
        with gr.Accordion(_ASK, open=False, visible=False, elem_id="columns") as self.fold:
            gr.HTML(
                '<p class="fr-quiet">What is asked stands in one column, the wanted answer in another. The rows are '
                "read again as you choose, and the choice stays with the project.</p>"
            )
            with gr.Row():
                self.prompt = gr.Dropdown([], label="Prompt", min_width=160, elem_id="prompt-column")
                self.answer = gr.Dropdown([], label="Answer", min_width=160, elem_id="answer-column")
                self.system = gr.Dropdown([], label="System message (optional)", min_width=160)
            self.status = gr.HTML()
        self.outputs = [self.fold, self.prompt, self.answer, self.system]

    def wire(self, parts: PageParts) -> None:
        """Say what happens when they are used."""
        self.parts = parts
        inputs = [parts.project, self.prompt, self.answer, self.system]
        for box in (self.prompt, self.answer, self.system):
            on_steps(box.input, self.say, inputs=inputs, outputs=[*parts.shown, self.status], notice=parts.notice)

    def show(self, project: Project | None, checked: Checked | None) -> Updates:
        """The columns, where the user can have something to say about them."""
        import gradio as gr

        report = checked.report if checked else None
        if project is None or report is None:
            return {self.fold: gr.Accordion(visible=False)}
        said = said_columns(project)
        path, columns, reading = own_rows(project), as_columns(said), said_reading(project)
        fields = fields_of(path, columns=columns, reading=reading)
        guessed = read_as(path, columns=columns, reading=reading)
        asked = bool(fields) and (bool(said) or is_unknown(report) or guessed not in ({}, _USUAL))
        choices = choices_of(fields)
        return {
            self.fold: gr.Accordion(_label(guessed, is_said=bool(said)), visible=asked, open=is_unknown(report)),
            self.prompt: gr.Dropdown(choices=choices, value=_known(guessed.get("prompt"), fields)),
            self.answer: gr.Dropdown(choices=choices, value=_known(guessed.get("completion"), fields)),
            self.system: gr.Dropdown(
                choices=[("none", ""), *choices], value=_known(guessed.get("system"), fields) or ""
            ),
        }

    def say(self, project_id: str, prompt: str | None, answer: str | None, system: str | None) -> Iterator[Updates]:
        """Read the rows by these columns."""
        project = self.parts.project_of(project_id)
        if not prompt or not answer:
            yield {self.status: "Choose the other column too."}
            return
        if len({prompt, answer, system}) < 3:
            raise UsageError("Each column can stand for one thing only.", next_step="Choose different columns.")
        columns = {"prompt": prompt, "completion": answer} | ({"system": system} if system else {})
        after = yield from self.parts.working(
            project, self.status, "Reading the rows", lambda tell: with_columns(project, columns)
        )
        yield self.parts.show(after)


def is_unknown(report: Report) -> bool:
    """Whether no format was found in the rows."""
    return report.format == "unknown"


def _known(column: str | None, fields: tuple[str, ...]) -> str | None:
    return column if column in fields else None


def _label(columns: dict[str, str], *, is_said: bool) -> str:
    if not columns:
        return _ASK
    prompt, answer = (shortened(columns[key], _NAME_SHOWN) for key in ("prompt", "completion"))
    return f"Columns: “{prompt}” is the prompt, “{answer}” the answer ({'as you said' if is_said else 'guessed'})"
