"""The rows one by one: as a conversation, as tokens, or as they stand in the file; opened from a finding or in turn."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from markupsafe import Markup

from app.checking import Checked, model_title, model_tools
from app.components.actions import Act, acting_html, on_act
from app.components.cards import section
from app.components.findings import OPEN_ROW
from app.components.markup import html
from app.components.row_views import RowNote, chat_view, row_view, text_view, tokens_view
from app.components.wiring import on, on_steps
from app.components.working import working
from app.pages.data.section import PageParts, Section, Updates
from app.row_reading import FileRow, as_columns, first_usable, row_at
from app.versions import own_rows, said_columns, said_reading
from app.workspace import Project
from dataset_tools import DataError, ModelError, Report, UsageError, render
from training.models.loading import default_model

CHAT, TOKENS, TEXT = "Conversation", "Tokens", "As in the file"


class RowsSection(Section):
    """One row, the buttons to turn to others, and the three ways to look at it."""

    def build(self, gr: Any) -> None:
        """Lay the components out."""
        self.number = gr.State(1)
        with gr.Column(visible=False, elem_id="rows") as self.area:
            gr.HTML(section("Your rows", "What is asked, and the wanted answer."))
            with gr.Row(elem_classes="fr-rowbar"):
                self.look = gr.Radio(
                    [CHAT, TOKENS, TEXT], value=CHAT, show_label=False, container=False, min_width=280, elem_id="look"
                )
                self.previous = gr.Button("← Previous", size="sm", min_width=110, scale=0)
                self.following = gr.Button("Next →", size="sm", min_width=110, scale=0)
            self.row = acting_html(elem_id="conversation")
        self.outputs = [self.number, self.area, self.row, self.look]

    def wire(self, parts: PageParts) -> None:
        """Say what happens when they are used."""
        self.parts = parts
        inputs = [parts.project, self.number, self.look]
        outputs = [self.number, self.row]
        for button, step in ((self.previous, -1), (self.following, 1)):
            on(button.click, self._turning(step), inputs=inputs, outputs=outputs, notice=parts.notice, quiet=True)
        on_steps(self.look.input, self.look_at, inputs=inputs, outputs=outputs, notice=parts.notice)

    def wire_findings(self, findings: Any) -> None:
        """Open the row of a finding when its line is clicked."""
        inputs = [self.parts.project, self.look]
        on_act(findings, self.open_at, inputs=inputs, outputs=[self.number, self.row], notice=self.parts.notice)

    def show(self, project: Project | None, checked: Checked | None) -> Updates:
        """The first row that can be used, as a conversation or as the user looked at rows before."""
        import gradio as gr

        report = checked.report if checked else None
        if project is None or report is None or not report.rows:
            return {self.number: 1, self.area: gr.Column(visible=False), self.row: ""}
        columns, reading = as_columns(said_columns(project)), said_reading(project)
        number = first_usable(own_rows(project), columns=columns, reading=reading)
        shown = {self.number: number, self.area: gr.Column(visible=True)}
        return shown | {self.row: self.view(project, report, number, look=CHAT), self.look: CHAT}

    def open_at(self, act: Act, project_id: str, look: str) -> Updates:
        """Show the row of the line that was clicked."""
        if act.do != OPEN_ROW:
            return {}
        project, number = self.parts.project_of(project_id), act.number("record")
        return {
            self.number: number,
            self.row: self.view(project, self._report(project), number, look=look, opened=True),
        }

    def look_at(self, project_id: str, number: int, look: str) -> Iterator[Updates]:
        """Show the same row in another way."""
        project = self.parts.project_of(project_id)
        if look == TOKENS:
            yield {self.row: working("Loading the model's tokenizer (about 2 s the first time) …")}
        yield {self.row: self.view(project, self._report(project), number, look=look)}

    def _turning(self, step: int) -> Any:
        def turn(project_id: str, number: int, look: str) -> Updates:
            project = self.parts.project_of(project_id)
            report = self._report(project)
            turned = (number - 1 + step) % max(1, report.rows) + 1
            return {self.number: turned, self.row: self.view(project, report, turned, look=look)}

        return turn

    def view(self, project: Project, report: Report, number: int, *, look: str, opened: bool = False) -> Markup:
        """A row of a project.

        Raises:
            UsageError: the file has no such row.
        """
        columns, reading = as_columns(said_columns(project)), said_reading(project)
        row = row_at(own_rows(project), number, columns=columns, reading=reading)
        if row is None:
            raise UsageError("This row cannot be shown.", found=f"row {number:,} of {report.rows:,}")
        notes = notes_on(report, row)
        told = any(note.severity == "error" for note in notes)
        return row_view(row, report.rows, notes, content_of(row, look, told=told), opened=opened)

    def _report(self, project: Project) -> Report:
        report = self.parts.checks.of(project, patience=60).report
        if report is None:
            raise UsageError("The rows are still being checked.", next_step="Wait until that is done.")
        return report


def notes_on(report: Report, row: FileRow) -> list[RowNote]:
    """What was found in a row, as far as the report keeps it: 200 places of each finding."""
    return [
        RowNote(finding.check, finding.severity, f"{finding.title}: {hit.message}")
        for finding in report.findings
        for hit in finding.hits
        if hit.record == row.record
    ]


def content_of(row: FileRow, look: str, *, told: bool = False) -> Markup:
    """A row in the way that was asked for; what cannot be used, or not so, as it stands in the file."""
    if row.example is None or look == TEXT:
        return text_view(row, told=told)
    if look != TOKENS:
        return chat_view(row.example)
    name = default_model()
    try:
        tools = model_tools(name)
        rendered = render(row.example, tools["tokenizer"])
    except (ModelError, DataError) as error:
        return html('<p class="fr-why">It cannot be shown in tokens: {}</p>{}', error.what, text_view(row))
    return tokens_view(row.example, rendered, tools["tokenizer"], limit=tools["max_length"], name=model_title(name))
