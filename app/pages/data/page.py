"""The first page: bring a file or take an example, see what is wrong with it, look at the rows, work on them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from markupsafe import Markup

from app.checking import Checked, Checks, waiting_report
from app.components.actions import acting_html
from app.components.cards import banner, empty, error_card, link, next_steps, section, tiles
from app.components.findings import findings_view, verdict_banner
from app.components.layout import address, header
from app.components.markup import counted, html, joined
from app.components.wiring import asked_for, on
from app.components.working import working
from app.pages.data.converting import ConvertSection
from app.pages.data.fixing import FixSection
from app.pages.data.lengths import LengthsSection
from app.pages.data.mapping import MappingSection, is_unknown
from app.pages.data.reading import dataset_at
from app.pages.data.reading_choice import ReadingSection
from app.pages.data.rows import RowsSection
from app.pages.data.section import PageParts, Updates
from app.pages.data.splitting import SplitSection
from app.row_reading import fields_of
from app.versions import own_rows, said_reading
from app.workspace import EXAMPLES, Project, Workspace
from dataset_tools import DataError, FittingRoomError, UsageError

_NONE_YET = "Upload a file or choose an example, and what was found in it appears here."
_PATIENCE = 4.0  # seconds that a page waits for the first checks before it shows how far they are
_BETWEEN_LOOKS = 0.8
_UNKNOWN = ("Which columns are what?", "No column has a name that tells. Choose two below; then the rows are checked.")
_OTHER_FILE = "See the findings below, and upload a file with rows. Documents go into the box for documents."
_WITH_TOKENIZER = "Checking with the model's own tokenizer, too (the first time takes a moment) …"


class DataPage:
    """The components of the page, and what happens when they are used."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace, self.checks = workspace, Checks()

    def build(self, blocks: Any) -> None:
        """Lay the page out and wire it."""
        import gradio as gr

        self.project, self.seen = gr.State(""), gr.State("")
        self.header = gr.HTML(header("data"))
        self.notice = gr.HTML(elem_classes="fr-notice")
        self._build_sources(gr)
        self.summary = gr.HTML(elem_id="summary")
        self.reading, self.mapping, self.fixing, self.rows = (
            ReadingSection(),
            MappingSection(),
            FixSection(),
            RowsSection(),
        )
        self.reading.build(gr)
        self.mapping.build(gr)
        self.findings = acting_html(elem_id="findings")
        self.fixing.build(gr)
        self.rows.build(gr)
        self.next = gr.HTML()
        self.tools_title = gr.HTML()
        tools = [LengthsSection(), SplitSection(), ConvertSection()]
        for tool in tools:
            tool.build(gr)
        self.sections = [self.reading, self.mapping, self.fixing, self.rows, *tools]
        self.timer = gr.Timer(_BETWEEN_LOOKS, active=False)
        self._wire(blocks)

    def _build_sources(self, gr: Any) -> None:
        what = (
            "Rows of a prompt and the wanted answer: JSON lines, JSON, CSV, TSV, Excel, Parquet or text, also packed. "
            "Test rows of your own, and documents to look answers up in, are optional."
        )
        gr.HTML(section("Bring your examples", what))
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
        shown = [self.project, self.seen, self.header, self.summary, self.findings, self.next, self.tools_title]
        shown += [self.timer, self.training, self.test, self.documents]
        shown += [part for each in self.sections for part in each.outputs]
        base: dict[str, Any] = {"outputs": shown, "notice": self.notice}
        on(blocks.load, self.open, outputs=[*shown, *self.examples], notice=self.notice)
        for role, box in (("training", self.training), ("test", self.test)):
            on(box.upload, self._taking(role), inputs=[self.project, box], **base)
        on(self.documents.upload, self.take_documents, inputs=[self.project, self.documents], **base)
        for example, button in zip(EXAMPLES, self.examples, strict=True):
            on(button.click, self._opening(example.key), **base)
        on(self.timer.tick, self.look, inputs=[self.project, self.seen], quiet=True, **base)
        parts = PageParts(self.workspace, self.checks, self.project, self.notice, shown, self.show)
        for each in self.sections:
            each.wire(parts)
        self.rows.wire_findings(self.findings)

    def open(self) -> Updates:
        """The page as it is opened: with the project of the address, or the one used last."""
        import gradio as gr

        # Nothing can be clicked before: the answer to a quick click could be overtaken by this one.
        usable: Updates = {button: gr.Button(interactive=True) for button in self.examples}
        usable |= {box: gr.File(interactive=True) for box in (self.training, self.test, self.documents)}
        return self.show(self.workspace.project(asked_for("project"))) | usable

    def take_documents(self, project_id: str, uploads: list[str]) -> Updates:
        """Keep uploaded documents in the project."""
        project = self._project_or_new(project_id)
        return self.show(project.add_documents([Path(upload) for upload in uploads]))

    def _taking(self, role: Any) -> Any:
        def take(project_id: str, upload: str) -> Updates:
            project = self._project_or_new(project_id, fresh=role == "training")
            return self.show(project.add_rows(role, Path(upload)))

        return take

    def _opening(self, key: str) -> Any:
        return lambda: self.show(self.workspace.open_example(key))

    def _project_or_new(self, project_id: str, *, fresh: bool = False) -> Project:
        """The project that a file is added to: other examples begin a new one."""
        project = self.workspace.project(project_id) if project_id else None
        begin_new = project is None or project.example or (fresh and project.training)
        return self.workspace.create() if begin_new or project is None else project

    def look(self, project_id: str, seen: str) -> Updates:
        """What the checks found since the last look; the whole page once the first of them are done."""
        import gradio as gr

        project = self.workspace.project(project_id) if project_id else None
        if project is None or project.training is None:
            return {self.timer: gr.Timer(active=False)}
        checked = self.checks.of(project)
        if checked.mark == seen:
            return {}
        if "report" not in seen:
            return self.show(project, patience=0)
        return self._verdict(project, checked)

    def show(self, project: Project | None, *, patience: float = _PATIENCE) -> Updates:
        """The page for a project, once the first checks are done or the patience is at its end (in seconds)."""
        import gradio as gr

        emptied: Updates = {self.training: None, self.test: None, self.documents: None}
        emptied[self.project] = project.id if project else ""
        emptied[self.header] = header("data", project=project.id if project else None)
        checked = None
        if project is not None and project.training is not None:
            checked = self.checks.of(project, patience=patience)
        for each in self.sections:
            emptied |= each.show(project, checked if checked and checked.report else None)
        if project is None or checked is None:
            waiting = empty(_NONE_YET) if project is None else files_card(project)
            nothing = {self.findings: "", self.next: "", self.tools_title: "", self.timer: gr.Timer(active=False)}
            return emptied | nothing | {self.seen: "", self.summary: waiting}
        usable = bool(checked.report and checked.report.usable)
        tools_title = section("Tools", "For these rows: measure, split, convert. Nothing here is needed to go on.")
        return (
            emptied
            | self._verdict(project, checked)
            | {self.next: next_link(project) if usable else "", self.tools_title: tools_title if usable else ""}
        )

    def _verdict(self, project: Project, checked: Checked) -> Updates:
        """Summary and findings, and whether to look again."""
        import gradio as gr

        return {
            self.seen: checked.mark,
            self.timer: gr.Timer(active=not checked.settled),
            self.summary: summary(project, checked),
            self.findings: findings_section(checked),
        }


def summary(project: Project, checked: Checked) -> Markup:
    """The project at a glance: its files, figures and the verdict."""
    report, error = checked.report, checked.error
    if report is None:
        if error is not None:
            return joined([files_card(project), error_card(project.in_user_words(error))])
        rows = f": {checked.rows:,} so far" if checked.rows else ""
        return joined([files_card(project), working(f"Checking the rows{rows} …")])
    facts: list[tuple[str, object]] = [
        ("format", report.format.replace("_", " ")),
        ("rows", f"{report.rows:,}"),
        ("usable", f"{report.usable:,}"),
    ]
    if checked.task:
        facts.append(("looks like", checked.task.kind))
    to_say = is_unknown(report) and bool(fields_of(own_rows(project), reading=said_reading(project)))
    verdict = banner("warn", *_UNKNOWN) if to_say else verdict_banner(report)
    parts = [files_card(project), tiles(facts), verdict, *optional_files(project)]
    if not report.usable and not to_say:
        parts += [error_card(project.in_user_words(why)) for why in why_unusable(project)]
    return joined(parts)


def why_unusable(project: Project) -> list[FittingRoomError]:
    """The reason why no training row can be used, where there is one."""
    try:
        dataset_at(project.training_path)
    except (DataError, UsageError) as error:
        # Its own next step is a command whose outcome stands on this page already.
        known = {"where": error.where, "found": error.found, "expected": error.expected}
        return [FittingRoomError(error.what, **known, next_step=_OTHER_FILE)]
    return []


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


def findings_section(checked: Checked) -> Markup:
    """The findings with their heading; what is still being checked, too."""
    report = checked.report
    if report is None:
        return Markup("")
    waiting = checked.tokens == "waiting" and not checked.settled
    note = working(_WITH_TOKENIZER) if waiting else Markup("")
    shown = waiting_report(report) if waiting else report
    heading = section("Findings", "What was checked, row by row. A line opens its row below.")
    return joined([heading, findings_view(shown, note=note)])


def next_link(project: Project) -> Markup:
    """Where the journey goes on."""
    compare = link(address("compare", project=project.id), "Compare approaches →", main=True)
    return next_steps(compare, text="Next: measure every approach on rows that none of them has seen.")
