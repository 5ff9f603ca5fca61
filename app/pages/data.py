"""The first page: bring a file or take an example, see what is wrong with it, look at the rows."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

from markupsafe import Markup

from app.components.cards import error_card, link, next_steps, section, tiles
from app.components.findings import conversation, findings_table, verdict_banner
from app.components.layout import address, header
from app.components.markup import counted, html, joined
from app.components.wiring import asked_for, on
from app.workspace import EXAMPLES, Project, Workspace
from dataset_tools import DataError, Dataset, Report, UsageError, detect_task_type, lint, load_examples

_NONE_YET = "Upload a file or choose an example, and what was found in it appears here."


@lru_cache(maxsize=4)
def dataset_at(path: Path) -> Dataset:
    """The rows of a project's file. Such files never change, so the last few are kept."""
    return load_examples(path)


class DataPage:
    """The components of the page, and what happens when they are used."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace

    def build(self, blocks: Any) -> None:
        """Lay the page out and wire it."""
        import gradio as gr

        self.project, self.number = gr.State(""), gr.State(0)
        self.header = gr.HTML(header("data"))
        self.notice = gr.HTML(elem_classes="fr-notice")
        self._build_sources(gr)
        self.summary = gr.HTML()
        self.findings = gr.HTML()
        with gr.Column(visible=False) as self.preview:
            gr.HTML(section("Your rows", "What is asked, and the wanted answer."))
            self.conversation = gr.HTML(elem_id="conversation")
            with gr.Row(elem_classes="fr-pager"):
                self.previous = gr.Button("← Previous", size="sm", min_width=110, scale=0)
                self.following = gr.Button("Next →", size="sm", min_width=110, scale=0)
        self.next = gr.HTML()
        self._wire(blocks)

    def _build_sources(self, gr: Any) -> None:
        gr.HTML(section("Bring your examples", "Rows of a prompt and the wanted answer: JSON lines, JSON, CSV or TSV."))
        with gr.Row(equal_height=False, elem_classes="fr-sources"):
            with gr.Column(scale=3, min_width=320):
                self.training = gr.File(
                    label="Training examples", height=132, elem_id="training-file", interactive=False
                )
                with gr.Row(equal_height=True):
                    self.test = gr.File(
                        label="Test rows (optional)",
                        interactive=False,
                        height=96,
                        min_width=150,
                        elem_id="test-file",
                        elem_classes="fr-small",
                    )
                    self.documents = gr.File(
                        label="Documents (optional)",
                        interactive=False,
                        file_count="multiple",
                        height=96,
                        min_width=150,
                        elem_classes="fr-small",
                    )
            with gr.Column(scale=2, min_width=280, elem_classes="fr-examples"):
                gr.HTML('<p class="fr-label">Or try a bundled example</p>')
                self.examples = []
                for example in EXAMPLES:
                    with gr.Column(elem_classes="fr-example"):
                        gr.HTML(html("<h3>{}</h3><p>{}</p>", example.title, example.about))
                        use = gr.Button(
                            f"Use {example.title}", size="sm", elem_id=f"use-{example.key}", interactive=False
                        )
                        self.examples.append(use)

    def _wire(self, blocks: Any) -> None:
        shown = [self.project, self.number, self.header, self.summary, self.findings, self.preview]
        shown += [self.conversation, self.next, self.training, self.test, self.documents]
        base = {"outputs": shown, "notice": self.notice}
        on(blocks.load, self.open, outputs=[*shown, *self.examples], notice=self.notice)
        for role, box in (("training", self.training), ("test", self.test)):
            on(box.upload, self._taking(role), inputs=[self.project, box], **base)
        on(self.documents.upload, self.take_documents, inputs=[self.project, self.documents], **base)
        for example, button in zip(EXAMPLES, self.examples, strict=True):
            on(button.click, self._opening(example.key), **base)
        for button, step in ((self.previous, -1), (self.following, 1)):
            inputs = [self.project, self.number]
            outputs = [self.number, self.conversation]
            on(button.click, self._turning(step), inputs=inputs, outputs=outputs, notice=self.notice, quiet=True)

    def open(self) -> dict[Any, Any]:
        """The page as it is opened: with the project of the address, or the one used last."""
        import gradio as gr

        # Nothing can be clicked before: the answer to a quick click could be overtaken by this one.
        usable: dict[Any, Any] = {button: gr.Button(interactive=True) for button in self.examples}
        usable |= {box: gr.File(interactive=True) for box in (self.training, self.test, self.documents)}
        return self._show(self.workspace.project(asked_for("project"))) | usable

    def take_documents(self, project_id: str, uploads: list[str]) -> dict[Any, Any]:
        """Keep uploaded documents in the project."""
        project = self._project_or_new(project_id)
        return self._show(project.add_documents([Path(upload) for upload in uploads]))

    def _taking(self, role: Any) -> Any:
        def take(project_id: str, upload: str) -> dict[Any, Any]:
            project = self._project_or_new(project_id, fresh=role == "training")
            return self._show(project.add_rows(role, Path(upload)))

        return take

    def _opening(self, key: str) -> Any:
        return lambda: self._show(self.workspace.open_example(key))

    def _turning(self, step: int) -> Any:
        def turn(project_id: str, number: int) -> dict[Any, Any]:
            project = self.workspace.project(project_id)
            if project is None:
                return {}
            examples = dataset_at(project.training_path).examples
            number = (number + step) % len(examples)
            return {self.number: number, self.conversation: conversation(examples[number], number + 1, len(examples))}

        return turn

    def _project_or_new(self, project_id: str, *, fresh: bool = False) -> Project:
        """The project that a file is added to: other examples begin a new one."""
        project = self.workspace.project(project_id) if project_id else None
        begin_new = project is None or project.example or (fresh and project.training)
        return self.workspace.create() if begin_new or project is None else project

    def _show(self, project: Project | None) -> dict[Any, Any]:
        import gradio as gr

        emptied = {self.training: None, self.test: None, self.documents: None, self.number: 0}
        if project is None or project.training is None:
            waiting = html('<div class="fr-empty">{}</div>', _NONE_YET) if project is None else files_card(project)
            return emptied | {
                self.project: project.id if project else "",
                self.header: header("data", project=project.id if project else None),
                self.summary: waiting,
                self.findings: "",
                self.preview: gr.Column(visible=False),
                self.next: "",
            }
        report, data, error = read_rows(project)
        return emptied | {
            self.project: project.id,
            self.header: header("data", project=project.id),
            self.summary: summary(project, report, data, error),
            self.findings: findings_section(report),
            self.preview: gr.Column(visible=data is not None),
            self.conversation: conversation(data.examples[0], 1, len(data.examples)) if data else "",
            self.next: next_link(project) if data else "",
        }


def read_rows(project: Project) -> tuple[Report, Dataset | None, DataError | None]:
    """The report on a project's training rows; the rows, or the reason why none can be used."""
    try:
        data = dataset_at(project.training_path)
    except DataError as error:
        return lint(project.training_path), None, error
    return data.report, data, None


def summary(project: Project, report: Report, data: Dataset | None, error: DataError | None) -> Markup:
    """The project at a glance: its files, figures and the verdict."""
    facts: list[tuple[str, object]] = [
        ("format", report.format.replace("_", " ")),
        ("rows", f"{report.rows:,}"),
        ("usable", f"{report.usable:,}"),
    ]
    if data:
        guess = detect_task_type([example.completion for example in data.examples])
        facts.append(("looks like", guess.kind))
    parts = [files_card(project), tiles(facts), verdict_banner(report.to_dict()), *optional_files(project)]
    if error:
        parts.append(error_card(project.in_user_words(error)))
    return joined(parts)


def files_card(project: Project) -> Markup:
    """Which files the project has, by the names that the user gave them."""
    documents = counted(len(project.documents), "document") if project.documents else "no documents"
    files = (
        ("Training", project.training.name if project.training else "not yet: upload training examples"),
        ("Test", project.test.name if project.test else "held out from the training file"),
        ("Documents", documents),
    )
    items = joined(html("<li><span>{}</span> {}</li>", name, text) for name, text in files)
    return html('<div class="fr-files"><h2>{}</h2><ul>{}</ul></div>', project.title, items)


def optional_files(project: Project) -> list[Markup]:
    """Cards for a test file that cannot be used; none where all is well."""
    try:
        if project.test_path:
            dataset_at(project.test_path)
    except (DataError, UsageError) as error:
        return [error_card(project.in_user_words(error))]
    return []


def findings_section(report: Report) -> Markup:
    """The findings with their heading."""
    return joined([section("Findings", "What was checked, row by row."), findings_table(report.to_dict())])


def next_link(project: Project) -> Markup:
    """Where the journey goes on."""
    compare = link(address("compare", project=project.id), "Compare approaches →", main=True)
    return next_steps(compare, text="Next: measure every approach on rows that none of them has seen.")
