"""The Evaluate page as a whole: its three tabs, what it shows when it is opened, and where it leads."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from app.components.actions import acting_html, found_at
from app.components.cards import link, next_steps
from app.components.layout import address, header
from app.components.markup import NOTHING, html
from app.components.wiring import asked_for, on
from app.models import Models
from app.pages.evaluate.held_out import HeldOutRows
from app.pages.evaluate.side_by_side import SideBySide, nothing_tuned
from app.pages.votes import VotesSection
from app.workspace import Project, Workspace, find
from training.runs.folder import RunFolder

_ANSWERS, _ROWS, _VOTES = "answers", "rows", "votes"


class EvaluatePage:
    """The components of the page, and what happens when they are used."""

    def __init__(self, workspace: Workspace, models: Models | None = None) -> None:
        models = models or Models()
        self.workspace = workspace
        self.side, self.held = SideBySide(workspace, models), HeldOutRows(workspace, models)
        self.beside: list[Any] = []
        self.votes = VotesSection(workspace, beside=self.beside, hide=self.hidden)

    def build(self, blocks: Any) -> None:
        """Lay the page out and wire it."""
        import gradio as gr

        self.project = gr.State("")
        self.header = acting_html(value=header("evaluate"))
        self.notice = gr.HTML(elem_classes="fr-notice")
        with gr.Tabs(elem_id="evaluate-tabs") as self.tabs:
            with gr.Tab("Side by side", id=_ANSWERS):
                self.nothing = gr.HTML()
                self.side.build(gr)
                self.next = gr.HTML()
            with gr.Tab("Held-out rows", id=_ROWS):
                self.held.build(gr)
            with gr.Tab("Blind votes", id=_VOTES):
                self.votes.build(gr)
        self.beside += [self.nothing, self.next, *self.side.outputs, *self.held.outputs]
        outputs = [self.tabs, self.project, self.header, *self.beside]
        on(blocks.load, self.open, outputs=outputs, notice=self.notice, quiet=True)
        self.side.wire(self.project, self.notice)
        self.held.wire(self.notice)
        self.votes.wire(blocks, self.notice)

    def open(self) -> dict[Any, Any]:
        """The page as it is opened: the run of the address, else the newest one of the project.

        The address may name a session of votes instead: then that tab is open, the address stays, and the other tabs
        are left empty, as they would tell who has answered what.
        """
        import gradio as gr

        if asked_for("session"):
            head = {self.tabs: gr.Tabs(selected=_VOTES), self.header: header("evaluate", project=asked_for("project"))}
            return head | self.hidden()
        tuned = [run for run in self.workspace.runs() if run.adapter.is_dir() or (run.path / "model").is_dir()]
        run = find(tuned, asked_for("run"))
        owner = self.workspace.owner_of(run) if run else None
        project = owner or self.workspace.project(asked_for("project"))
        known = project.id if project else None
        named = run.path.name if run else None
        place = found_at(address("evaluate", run=named, project=known)) if named or asked_for("project") else Markup("")
        return {
            self.project: known or "",
            self.header: header("evaluate", project=known) + place,
            self.nothing: NOTHING if tuned else nothing_tuned(known),
            self.next: next_links(run or next(iter(tuned), None), project),
            **self.side.open(project, named),
            **self.held.open(project, named),
        }

    def hidden(self) -> dict[Any, Any]:
        """The other tabs where somebody votes blind."""
        return {self.nothing: NOTHING, self.next: NOTHING, **self.side.hidden(), **self.held.hidden()}


def next_links(run: RunFolder | None, project: Project | None) -> Markup:
    """Where the journey goes on: proof on more rows, and where the adapter lies."""
    proof = link(address("compare", project=project.id if project else None), "Measure all approaches →", main=True)
    if run is None:
        return next_steps(proof, text="Next: a measurement says more than a few answers.")
    return next_steps(proof, text=html("The adapter lies in <code>{}</code>", run.adapter))
