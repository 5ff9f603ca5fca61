"""The Build page as a whole: its three tabs, the dataset beside them, and which project it shows.

All that is built lies in the project's folder (see `app.drafts`), each step saved when it is made; what a page itself
remembers is which rows it shows and which one is being edited. The three tabs are in modules of their own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from app.components.actions import Act, acting_html, on_act
from app.components.cards import link, next_steps, section
from app.components.dataset_panel import panel, replaces_card, said, used_card
from app.components.layout import address, header
from app.components.markup import NOTHING, counted
from app.components.wiring import asked_for, on
from app.drafts import BUILT, Checked, check, draft_of, hand_over, take_in
from app.jobs import Jobs, Key
from app.models import Models
from app.pages.build.chat import ChatTab
from app.pages.build.documents import DocumentsTab
from app.pages.build.rows import RowsTab
from app.pages.train import run_label
from app.workspace import Project, Workspace, find
from dataset_tools import DataError, UsageError, load_examples
from dataset_tools.building import DraftSummary
from training.models import embedded
from training.models.loading import default_model

_SECONDS_BETWEEN_LOOKS = 0.8
_BASE = "base"
Updates = dict[Any, Any]


@dataclass(frozen=True)
class Listing:
    """Which rows a list shows: a filter, a page of it, and the row that is edited."""

    status: str = ""
    search: str = ""
    tag: str = ""
    reason: str = ""
    support: float = 0.0
    page: int = 0
    editing: str = ""
    like: str = ""
    only: tuple[str, ...] = ()
    title: str = ""


@dataclass(frozen=True)
class View:
    """What one open page shows. ``turn`` is the turn that is edited, with its ``user`` or ``answer`` text."""

    project: str = ""
    turn: tuple[int, str] | None = None
    rows: Listing = field(default_factory=Listing)
    candidates: Listing = field(default_factory=lambda: Listing(status="pending"))


class BuildPage:
    """The components of the page, and what happens when they are used."""

    def __init__(self, workspace: Workspace, models: Models | None = None) -> None:
        self.workspace, self.models, self.jobs = workspace, models or Models(), Jobs()
        self.chat, self.documents, self.rows = ChatTab(self), DocumentsTab(self), RowsTab(self)

    def build(self, blocks: Any) -> None:
        """Lay the page out and wire it."""
        import gradio as gr

        self.view = gr.State(View())
        self.header = gr.HTML(header("build"))
        self.notice = gr.HTML(elem_classes="fr-notice")
        gr.HTML(section("Build a dataset", "Correct a model in a chat, have it read your documents, or write rows."))
        with gr.Row(equal_height=False, elem_classes="fr-build"):
            with gr.Column(scale=7, min_width=320):
                self.model = gr.Dropdown([("Base model", _BASE)], value=_BASE, label="Model", elem_id="model")
                with gr.Tabs(elem_id="tabs") as self.tabs:
                    with gr.Tab("Chat", id="chat"):
                        self.chat.build(gr)
                    with gr.Tab("From documents", id="documents"):
                        self.documents.build(gr)
                    with gr.Tab("By hand", id="rows"):
                        self.rows.build(gr)
            with gr.Column(scale=3, min_width=280, elem_classes="fr-dataset"):
                self._build_panel(gr)
        self.next = gr.HTML()
        self.timer = gr.Timer(_SECONDS_BETWEEN_LOOKS, active=False)
        self._wire(blocks)

    def _build_panel(self, gr: Any) -> None:
        self.panel = acting_html(elem_id="dataset")
        self.undo = gr.Button("Undo in the dataset", size="sm", elem_id="undo-dataset", interactive=False)
        use = "Use as this project's training data"
        self.use = gr.Button(use, variant="primary", size="sm", elem_id="use-draft", interactive=False)
        self.note = acting_html(elem_id="note")
        self.fresh = gr.Button("Begin another dataset", size="sm", elem_id="begin-dataset", interactive=False)

    def _wire(self, blocks: Any) -> None:
        self.outputs = [self.view, self.header, self.panel, self.note, self.undo, self.use, self.fresh, self.next]
        self.outputs += [self.timer, self.tabs, *self.chat.outputs, *self.documents.outputs, *self.rows.outputs]
        base: dict[str, Any] = {"outputs": self.outputs, "notice": self.notice, "direct": True}
        opened = on(blocks.load, self.open, **{**base, "outputs": [*self.outputs, self.model]})
        on(opened.then, self.documents.read, inputs=[self.view], quiet=True, **base)
        on(self.timer.tick, self.look, inputs=[self.view], quiet=True, **base)
        on(self.undo.click, self.take_back, inputs=[self.view], **base)
        on(self.use.click, self.hand_over, inputs=[self.view], **base)
        on(self.fresh.click, self.begin_another, inputs=[self.view], **base)
        on_act(self.panel, self.act, inputs=[self.view], **base)
        on_act(self.note, self.act, inputs=[self.view], **base)
        for tab in (self.chat, self.documents, self.rows):
            tab.wire(base)

    def open(self) -> Updates:
        """The page as it is opened: the project of the address, else the one used last."""
        import gradio as gr

        project = self.workspace.project(asked_for("project"))
        choices = self._models()
        view = View(project=project.id if project else "")
        shown = self.show(view) | self.chat.read(view)
        return shown | {self.model: gr.Dropdown(choices=choices, value=_BASE), self.fresh: gr.Button(interactive=True)}

    def look(self, view: View) -> Updates:
        """What happened since the last look; all of the page once nothing goes on any more."""
        if not self._at_work(view):
            shown = self.show(view) | self.documents.read(view)
            shown.pop(self.view)  # a click since then may have changed what the page shows
            return shown
        project = self.project(view)
        return self.chat.live(view, project) | self.documents.live(view, project) | self._panel(project)

    def show(self, view: View, *, note: object = NOTHING) -> Updates:
        """The whole page as it stands now."""
        import gradio as gr

        project = self.project(view)
        return {
            self.view: view,
            self.header: header("build", project=project.id if project else None),
            self.timer: gr.Timer(active=self._at_work(view)),
            self.note: note,
            self.next: next_links(project),
            **self._panel(project),
            **self.chat.show(view, project),
            **self.documents.show(view, project),
            **self.rows.show(view, project),
        }

    def _panel(self, project: Project | None) -> Updates:
        import gradio as gr

        if project is None:
            empty = DraftSummary(0, {}, {}, {}, {}, 0, 0, 0)
            nothing = gr.Button(interactive=False)
            return {self.panel: panel(None, empty, Checked(), ()), self.undo: nothing, self.use: nothing}
        draft = draft_of(project)
        summary, checked = draft.summary(), check(project)
        return {
            self.panel: panel(project, summary, checked, draft.rows("accepted")),
            self.undo: gr.Button(interactive=summary.undoable > 0),
            self.use: gr.Button(interactive=bool(checked.rows)),
        }

    def act(self, act: Act, view: View) -> Updates:
        """A button of the panel or of a card under it."""
        import gradio as gr

        project = self.project(view)
        if project is None or act.do == "close":
            return {self.note: NOTHING}
        if act.do == "replace":
            return self._use(project, view)
        if act.do == "take-in":
            return self.show(view, note=said(f"Taken in: {counted(take_in(project), 'row')} that were not here yet."))
        if act.do == "show":
            only, title = rows_of_finding(project, act.get("check"))
            listing = Listing(only=only, title=title)
            return self.show(replace(view, rows=listing)) | {self.tabs: gr.Tabs(selected="rows")}
        return {}

    def take_back(self, view: View) -> Updates:
        """Undo the last step in the dataset."""
        project = self.existing(view)
        if self.jobs.running(self.key(view, "questions")):
            raise UsageError(
                "Questions are being written into this dataset.", next_step="Stop that first, or wait until it is done."
            )
        undone = draft_of(project).undo()
        return self.show(view, note=said(f"Undone: {undone}." if undone else "There is nothing to undo."))

    def hand_over(self, view: View) -> Updates:
        """Make the accepted rows the project's training rows; ask first where others are in the way."""
        project = self.existing(view)
        if project.training is None or project.example or project.training.name == BUILT:
            return self._use(project, view)
        try:
            rows = len(load_examples(project.training_path).examples)
        except (DataError, UsageError):
            return {self.note: replaces_card(project.training.name, None)}
        return {self.note: replaces_card(project.training.name, rows)}

    def _use(self, project: Project, view: View) -> Updates:
        if project.example:  # a bundled example stays as it is
            project = self.workspace.copy(project)
        exported = hand_over(project)
        project = project.use_draft(exported.path)
        card = used_card(project, exported.rows, exported.preferences)
        view = replace(view, project=project.id)
        return self.show(view, note=card) | self.documents.read(view)

    def begin_another(self, view: View) -> Updates:
        """An empty dataset in a project of its own; the one that was shown stays where it is."""
        view = View(project=self.workspace.create().id)
        return self.show(view, note=said("A new, empty dataset.")) | self.documents.read(view) | self.chat.read(view)

    def project(self, view: View) -> Project | None:
        """The project of a page, None where there is none (any more)."""
        found = self.workspace.project(view.project) if view.project else None
        return found if found is not None and found.id == view.project else None

    def existing(self, view: View) -> Project:
        """The project of a page.

        Raises:
            UsageError: there is none.
        """
        project = self.project(view)
        if project is None:
            raise UsageError("There is no dataset yet.", next_step="Add a row first.")
        return project

    def project_for(self, view: View) -> tuple[Project, View]:
        """The project that something is added to, made now where there is none; the view of it."""
        project = self.project(view) or self.workspace.create()
        return project, replace(view, project=project.id)

    def key(self, view: View, kind: str) -> Key:
        """What the work of a kind runs under: one at a time in a project."""
        return view.project, kind

    def _at_work(self, view: View) -> bool:
        return any(self.jobs.running(self.key(view, kind)) for kind in ("chat", "questions"))

    def _models(self) -> list[tuple[str, str]]:
        base = default_model()
        title = embedded.TITLE + " (embedded)" if base == embedded.NAME else Path(base).name
        tuned = [run for run in self.workspace.runs() if run.adapter.is_dir()]
        return [(title, _BASE), *((f"Tuned: {run_label(self.workspace, run)}", run.path.name) for run in tuned)]

    def chosen(self, choice: str) -> tuple[str, Path | None, str]:
        """The model of the dropdown: its name, its adapter, and how it is called.

        Raises:
            UsageError: there is no such model.
        """
        if choice == _BASE:
            return default_model(), None, self._models()[0][0]
        run = find([run for run in self.workspace.runs() if run.adapter.is_dir()], choice)
        if run is None:
            raise UsageError("There is no such tuned model.", next_step="Choose another one.")
        return str(run.status()["model"]), run.adapter, run_label(self.workspace, run)


def rows_of_finding(project: Project, check_id: str) -> tuple[tuple[str, ...], str]:
    """The ids of the rows that a finding is about, and its title."""
    checked = check(project)
    findings: Iterator[Any] = iter(checked.report.findings if checked.report else ())
    finding = next((finding for finding in findings if finding.check == check_id), None)
    if finding is None:
        return (), ""
    return tuple(checked.rows[record - 1] for record in finding.records if record <= len(checked.rows)), finding.title


def next_links(project: Project | None) -> Any:
    """Where the journey goes on: look at the file on Data, then measure."""
    ids = {"project": project.id if project else None}
    ready = project is not None and project.training is not None
    data = link(address("data", **ids), "Go to Data" if ready else "Go to Data →", main=not ready)
    compare = link(address("compare", **ids), "Compare approaches →", main=True) if ready else NOTHING
    return next_steps(data, compare, text="Next: hand the rows over, then measure every approach on them.")
