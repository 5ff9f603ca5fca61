"""The Train page as a whole: its tabs, what it shows when it is opened, and the timer that keeps it up to date."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from app.components.cards import section
from app.components.layout import header
from app.components.runs import when
from app.components.wiring import asked_for, on, on_steps
from app.pages.train.from_votes import choice_for
from app.pages.train.history import HistorySection
from app.pages.train.section import PageParts, Updates, View
from app.pages.train.setting_up import SetUpSection
from app.pages.train.watching import RunSection
from app.run_reading import known_runs, summary_of
from app.workspace import Project, Workspace, created
from training.runs.folder import ENDED, RunFolder
from training.runs.supervisor import state_of

_SECONDS_BETWEEN_LOOKS = 1.5
_SECONDS_IN_PEACE = 5.0  # while no run is live; one may be started elsewhere
_PACE = "pace"
_SET_UP, _RUN, _RUNS = "set-up", "run", "runs"


class TrainPage:
    """The components of the page, and what happens when they are used."""

    def __init__(self, workspace: Workspace) -> None:
        self.parts = PageParts(workspace, show=self.show_run)
        self.set_up, self.run, self.history = SetUpSection(), RunSection(), HistorySection()

    def build(self, blocks: Any) -> None:
        """Lay the page out and wire it."""
        import gradio as gr

        self.view, self.sent = gr.State(View()), gr.State({})
        self.header = gr.HTML(header("train"))
        self.notice = gr.HTML(elem_classes="fr-notice")
        gr.HTML(section("Train", "Tune a model on your rows, with settings derived from them and from this machine."))
        with gr.Tabs(elem_id="train-tabs") as self.tabs:
            with gr.Tab("Set up", id=_SET_UP):
                self.set_up.build(gr)
            with gr.Tab("Run", id=_RUN):
                self.run.build(gr)
            with gr.Tab("All runs", id=_RUNS):
                self.history.build(gr)
        self.timer = gr.Timer(_SECONDS_BETWEEN_LOOKS, active=False)
        self._wire(blocks)

    def _wire(self, blocks: Any) -> None:
        sections = (self.set_up, self.run, self.history)
        self.outputs = [self.view, self.sent, self.header, self.tabs, self.timer]
        self.outputs += [part for each in sections for part in each.outputs]
        self.parts.view, self.parts.notice, self.parts.shown = self.view, self.notice, self.outputs
        for each in sections:
            each.wire(self.parts)
        base = self.parts.base
        opened = on(blocks.load, self.open, **base)
        outputs = [*self.outputs, self.set_up.busy]
        on_steps(opened.then, self.plan, inputs=[self.view], outputs=outputs, notice=self.notice)
        on(self.timer.tick, self.look, inputs=[self.view, self.sent], quiet=True, **base)

    def open(self) -> Updates:
        """The page as it is opened: the run of the address, else the project's run that is live, else the set-up.

        The address may name the objective that shall be chosen there, and the votes that the rows come from, as the
        link from blind votes does.
        """
        import gradio as gr

        run, project = self.parts.run_named(asked_for("run") or ""), None
        if run is not None:
            project = self.parts.workspace.owner_of(run)
        project = project or self.parts.workspace.project(asked_for("project"))
        named = run is not None
        run = run or newest_run(project)
        choice = choice_for(asked_for("objective"), asked_for("votes"))
        view = View(project=project.id if project else "", run=run.path.name if run else "", choice=choice)
        live = run is not None and state_of(run) not in ENDED and choice is None
        return self.show(view) | {self.tabs: gr.Tabs(selected=_RUN if named or live else _SET_UP)}

    def plan(self, view: View) -> Iterator[Updates]:
        """Derive the settings, once the page stands."""
        yield from self.set_up.plan(view)

    def show_run(self, view: View) -> Updates:
        """The page for a view, with the tab of its run open."""
        import gradio as gr

        return self.show(view) | {self.tabs: gr.Tabs(selected=_RUN if view.run else _RUNS)}

    def show(self, view: View) -> Updates:
        """The whole page for a view."""
        import gradio as gr

        project = self.parts.project(view)
        return {
            self.view: view,
            self.sent: {},
            self.header: header("train", project=project.id if project else None),
            self.timer: gr.Timer(_SECONDS_BETWEEN_LOOKS, active=True),
            **self.set_up.show(view),
            **self.run.show(view),
            **self.history.show(view),
        }

    def look(self, view: View, sent: dict[str, int]) -> Updates:
        """What has changed since the last look."""
        import gradio as gr

        run, marks = self.run.look(view, sent)
        history, marks = self.history.look(view, marks)
        live = self.run.export.at_work(view) or any(summary_of(run).live for run in known_runs())
        pace = {} if sent.get(_PACE) == live else {self.timer: gr.Timer(_pace(live), active=True)}
        return {**run, **history, **pace, self.sent: {**marks, _PACE: live}}


def _pace(live: bool) -> float:
    return _SECONDS_BETWEEN_LOOKS if live else _SECONDS_IN_PEACE


def newest_run(project: Project | None) -> RunFolder | None:
    """The newest run that was started from a project, if it is still there."""
    if project is None:
        return None
    return next((run for run in known_runs() if run.path.name in project.runs), None)


def run_label(workspace: Workspace, run: RunFolder) -> str:
    """A run for a list: whose rows, when, how it stands."""
    owner, status = workspace.owner_of(run), run.status()
    return (
        f"{owner.title if owner else run.path.name} · {when(created(run))} · {status.get('rows', 0):,} rows "
        f"· {state_of(run)}"
    )
