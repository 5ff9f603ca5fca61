"""A split into training, validation and test rows: made, checked for leaks, downloaded, or used from now on."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from app.checking import Checked
from app.components.tool_views import choices_of, split_view
from app.components.wiring import on, on_steps
from app.pages.data.section import PageParts, Section, Updates
from app.row_reading import as_columns, fields_of
from app.versions import own_rows, said_columns, said_reading, tools_folder, with_split
from app.workspace import Project
from dataset_tools import UsageError
from dataset_tools.split_files import split_file

_FOLDER = "split"


class SplitSection(Section):
    """Sizes, seed and group, and what came of it."""

    def build(self, gr: Any) -> None:
        """Lay the components out."""
        with gr.Accordion("Split into training and test rows", open=False, visible=False, elem_id="split") as self.fold:
            gr.HTML(
                '<p class="fr-quiet">Near-copies and rows of one group stay on one side, and labels are balanced. A '
                "size is a number of rows or a share such as 20%. The Train page holds validation rows out by itself."
                "</p>"
            )
            with gr.Row():
                self.test = gr.Textbox(
                    label="Test rows", placeholder="about a fifth", min_width=130, elem_id="split-test"
                )
                self.validation = gr.Textbox(label="Validation rows", placeholder="none", min_width=130)
                self.seed = gr.Number(0, label="Seed", precision=0, minimum=0, min_width=110)
                self.group = gr.Dropdown([], label="Keep together by the field", min_width=180)
            self.make = gr.Button("Split", size="sm", min_width=140, scale=0, elem_id="split-make")
            self.status = gr.HTML()
            self.result = gr.HTML()
            self.use = gr.Button(
                "Use these as training and test rows",
                size="sm",
                min_width=260,
                scale=0,
                visible=False,
                elem_id="split-use",
            )
        self.outputs = [self.fold, self.group, self.result, self.use]

    def wire(self, parts: PageParts) -> None:
        """Say what happens when they are used."""
        self.parts = parts
        inputs = [parts.project, self.test, self.validation, self.seed, self.group]
        outputs = [self.status, self.result, self.use]
        on_steps(self.make.click, self.split, inputs=inputs, outputs=outputs, notice=parts.notice)
        on(self.use.click, self.take, inputs=[parts.project], outputs=parts.shown, notice=parts.notice)

    def show(self, project: Project | None, checked: Checked | None) -> Updates:
        """The fields, where there are rows to split."""
        import gradio as gr

        usable = bool(checked and checked.report and checked.report.usable)
        fields: tuple[str, ...] = ()
        if project is not None and usable:
            columns, reading = as_columns(said_columns(project)), said_reading(project)
            fields = fields_of(own_rows(project), columns=columns, reading=reading)
        group = gr.Dropdown(choices=[("group, if any", ""), *choices_of(fields)], value="")
        return {
            self.fold: gr.Accordion(visible=usable, open=False),
            self.group: group,
            self.result: "",
            self.use: gr.Button(visible=False),
        }

    def split(
        self, project_id: str, test: str, validation: str, seed: float | None, group: str | None
    ) -> Iterator[Updates]:
        """Split the rows, and say what came of it."""
        import gradio as gr

        project = self.parts.project_of(project_id)
        options: dict[str, Any] = {
            "test": size_in(test, "Test rows"),
            "group_by": group or None,
            "seed": int(seed or 0),
        }
        options["validation"] = size_in(validation, "Validation rows") or 0
        folder = tools_folder(project) / _FOLDER
        result = yield from self.parts.working(
            project,
            self.status,
            "Splitting the rows",
            lambda tell: split_file(
                own_rows(project),
                folder,
                columns=said_columns(project),
                reading=said_reading(project),
                overwrite=True,
                **options,
            ),
        )
        has_test = bool(result.counts.get("test"))
        yield {
            self.result: split_view(project, result, f"tools/{_FOLDER}"),
            self.use: gr.Button(visible=has_test and result.leaks.is_clean),
        }

    def take(self, project_id: str) -> Updates:
        """Make the parts the project's rows."""
        project = self.parts.project_of(project_id)
        return self.parts.show(with_split(project, tools_folder(project) / _FOLDER))


def size_in(text: str | None, name: str) -> float | None:
    """The size in a field: ``40`` rows, ``20%`` or ``0.2`` of them; None for an empty field.

    Raises:
        UsageError: it holds something else.
    """
    plain = (text or "").strip().replace(",", ".")
    if not plain:
        return None
    try:
        value = float(plain.removesuffix("%")) / (100 if plain.endswith("%") else 1)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf or (value >= 1 and (plain.endswith("%") or value != int(value))):
        raise UsageError(
            f"{name}: this is no size.",
            found=plain[:80],
            expected="a number of rows such as 40, or a share such as 20%",
            next_step="Type one, or clear the field.",
        )
    return value
