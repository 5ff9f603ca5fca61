"""How long the rows are and which labels they have, drawn; and the data card to download."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from app.checking import Checked, model_title, model_tools
from app.components.markup import joined
from app.components.tool_views import file_link, lengths_view, links, token_facts
from app.components.wiring import on_steps
from app.components.working import Tell
from app.pages.data.section import PageParts, Section, Updates
from app.versions import own_rows, said_columns, said_reading, tools_folder
from app.workspace import Project
from dataset_tools import FittingRoomError, write_text_atomically
from dataset_tools.data_card import DataCard, data_card
from training.models.loading import default_model

_CARD = "data-card.html"


class LengthsSection(Section):
    """A fold whose charts are made when it is opened."""

    def build(self, gr: Any) -> None:
        """Lay the components out."""
        with gr.Accordion("Lengths, labels and the data card", open=False, visible=False, elem_id="lengths") as fold:
            self.fold = fold
            self.status = gr.HTML()
            self.charts = gr.HTML()
        self.outputs = [self.fold, self.charts]

    def wire(self, parts: PageParts) -> None:
        """Say what happens when it is opened."""
        self.parts = parts
        outputs = [self.status, self.charts]
        on_steps(self.fold.expand, self.draw, inputs=[parts.project], outputs=outputs, notice=parts.notice)

    def show(self, project: Project | None, checked: Checked | None) -> Updates:
        """Closed, where there are usable rows."""
        import gradio as gr

        usable = bool(checked and checked.report and checked.report.usable)
        return {self.fold: gr.Accordion(visible=usable, open=False), self.charts: ""}

    def draw(self, project_id: str) -> Iterator[Updates]:
        """Measure the rows, draw what was found, and write the data card."""
        project = self.parts.project_of(project_id)
        card = yield from self.parts.working(
            project, self.status, "Measuring the rows", lambda tell: self._card(project, tell)
        )
        write_text_atomically(tools_folder(project) / _CARD, card.to_html())
        download = links([file_link(project, f"tools/{_CARD}", "Download the data card (HTML)")])
        yield {self.charts: joined([token_facts(card), lengths_view(card), download])}

    def _card(self, project: Project, tell: Tell) -> DataCard:
        try:
            tools: dict[str, Any] = dict(model_tools(default_model()))
        except FittingRoomError:
            tools = {}
        checked = self.parts.checks.of(project)
        card = data_card(
            own_rows(project),
            title=project.title,
            columns=said_columns(project),
            reading=said_reading(project),
            report=checked.report,
            progress=tell,
            **tools,
        )
        named = replace(card.tokens, tokenizer=model_title(default_model())) if card.tokens else None
        return replace(card, tokens=named)
