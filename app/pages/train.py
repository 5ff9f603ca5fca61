"""The Train page: what a training run would do, start it, watch it, stop it; past runs."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from markupsafe import Markup

from app.components.cards import empty, link, next_steps, section
from app.components.charts import loss_chart
from app.components.layout import address, header
from app.components.markup import html
from app.components.runs import not_ready_card, ready_card, run_view
from app.components.wiring import asked_for, number_in, on
from app.pages.data import dataset_at
from app.workspace import Project, Workspace, created, find
from dataset_tools import FittingRoomError, UsageError
from training.planning import Plan
from training.recipe import Recipe
from training.runs.folder import ENDED, RunFolder
from training.runs.supervisor import start_training, state_of, stop

_SECONDS_BETWEEN_LOOKS = 2


@lru_cache(maxsize=2)
def plan_for(data: Path) -> Plan:
    """The plan for a project's rows with the default model. The files never change, so the last two are kept."""
    from training.models.loading import default_model
    from training.planning import plan_training

    return plan_training(dataset_at(data).examples, model=default_model())


def with_knobs(recipe: Recipe, epochs: float | None, learning_rate: float | None, *, rank: float | None) -> Recipe:
    """The derived recipe with what the user changed; a field left empty keeps the derived value."""
    changes: dict[str, Any] = {"epochs": epochs, "learning_rate": learning_rate}
    if rank:
        changes |= {"rank": int(rank), "alpha": 2 * int(rank)}
    return replace(recipe, **{name: value for name, value in changes.items() if value})


class TrainPage:
    """The components of the page, and what happens when they are used."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace

    def build(self, blocks: Any) -> None:
        """Lay the page out and wire it."""
        import gradio as gr

        self.project, self.run, self.seen = gr.State(""), gr.State(""), gr.State(0)
        self.header = gr.HTML(header("train"))
        self.notice = gr.HTML(elem_classes="fr-notice")
        gr.HTML(section("Train", "QLoRA on your rows, with settings derived from your data and this machine."))
        self.ready = gr.HTML(elem_id="ready")
        with gr.Accordion("Advanced", open=False):
            with gr.Row():
                self.epochs = gr.Number(label="Passes over the rows", minimum=0.1, min_width=140)
                self.rate = gr.Number(label="Learning rate", minimum=0, step=0.0001, min_width=140)
                self.rank = gr.Number(label="LoRA rank", precision=0, minimum=1, maximum=256, min_width=140)
                self.minutes = gr.Textbox(
                    label="Minutes at most", placeholder="no limit", min_width=140, elem_id="minutes"
                )
            gr.HTML(
                '<p class="fr-quiet">Few rows need more passes (3 to 6), many need fewer (1 to 2). A learning rate '
                "from 1e-4 to 1e-3 suits small models. The rank hardly matters below some thousand rows. With a time "
                "budget, a probe of the real speed sets the number of steps.</p>"
            )
        with gr.Row():
            self.start = gr.Button("Choose examples first", variant="primary", interactive=False, elem_id="train")
            self.stop = gr.Button("Stop and keep what is learnt", visible=False, scale=0, min_width=270)
        self.runs = gr.Dropdown([], label="Training runs on this machine", visible=False)
        self.progress = gr.HTML(elem_id="run")
        self.chart = gr.Plot(show_label=False, visible=False, elem_classes="fr-plot")
        self.next = gr.HTML()
        self.timer = gr.Timer(_SECONDS_BETWEEN_LOOKS, active=False)
        self._wire(blocks)

    def _wire(self, blocks: Any) -> None:
        shown = [self.project, self.run, self.seen, self.header, self.runs, self.progress, self.chart, self.next]
        shown += [self.timer, self.stop]
        knobs = [self.epochs, self.rate, self.rank]
        base: dict[str, Any] = {"outputs": [*shown, self.start], "notice": self.notice}
        opened = on(blocks.load, self.open, outputs=[*shown, self.ready], notice=self.notice)
        planned = [self.ready, self.start, *knobs]
        on(opened.then, self.plan, inputs=[self.project, self.run], outputs=planned, notice=self.notice)
        on(self.start.click, self.begin, inputs=[self.project, *knobs, self.minutes], **base)
        on(self.stop.click, self.end, inputs=[self.run], **base)
        on(self.runs.input, self.choose, inputs=[self.runs], **base)
        on(self.timer.tick, self.look, inputs=[self.run, self.seen], quiet=True, **base)

    def open(self) -> dict[Any, Any]:
        """The page as it is opened: the run of the address, else the newest run of the project."""
        runs = self.workspace.runs()
        run = find(runs, asked_for("run"))
        project = (self.workspace.owner_of(run) if run else None) or self.workspace.project(asked_for("project"))
        if run is None and project is not None:
            run = next((run for run in runs if run.path.name in project.runs), None)
        has_data = project is not None and project.training is not None
        waiting = empty("Reading your rows with the model's tokenizer…" if has_data else no_data())
        shown = self._show(run)
        shown.pop(self.start)
        return shown | {self.project: project.id if project else "", self.ready: waiting}

    def plan(self, project_id: str, run_name: str) -> dict[Any, Any]:
        """Derive the recipe and say whether a run can start."""
        import gradio as gr

        project = self.workspace.project(project_id) if project_id else None
        if project is None or project.training is None:
            return {}
        try:
            plan = plan_for(project.training_path)
        except FittingRoomError as error:
            button = gr.Button("Not ready", interactive=False)
            return {self.ready: not_ready_card(project.in_user_words(error).to_dict()), self.start: button}
        recipe = plan.recipe
        return {
            self.ready: ready_card(plan),
            self.start: self._start_button(find(self.workspace.runs(), run_name)),
            self.epochs: gr.Number(value=recipe.epochs),
            self.rate: gr.Number(value=recipe.learning_rate),
            self.rank: gr.Number(value=recipe.rank),
        }

    def begin(
        self,
        project_id: str,
        epochs: float | None,
        rate: float | None,
        rank: float | None,
        minutes: str,
    ) -> dict[Any, Any]:
        """Start a run in a process of its own."""
        project = self.workspace.project(project_id)
        if project is None:
            raise UsageError("There are no examples yet.", next_step="Choose some on the Data page.")
        plan = plan_for(project.training_path)
        recipe = with_knobs(plan.recipe, epochs, rate, rank=rank)
        budget = number_in(minutes, "Minutes")
        recipe = replace(recipe, max_seconds=60 * budget) if budget else recipe
        run = start_training(recipe, plan.train, validation=plan.validation)
        project.with_run(run)
        return self._show(run)

    def end(self, name: str) -> dict[Any, Any]:
        """Ask a run to stop after its current step."""
        run = find(self.workspace.runs(), name)
        if run:
            stop(run)
        return self._show(run)

    def choose(self, name: str) -> dict[Any, Any]:
        """Show another run."""
        return self._show(find(self.workspace.runs(), name))

    def look(self, name: str, seen: int) -> dict[Any, Any]:
        """What the run did since the last look; the whole page once it has ended."""
        run = find(self.workspace.runs(), name)
        if run is None or state_of(run) in ENDED:
            return self._show(run)
        events, position = run.events()
        return self._live(run, events) | {self.seen: position} if position != seen else {}

    def _show(self, run: RunFolder | None) -> dict[Any, Any]:
        import gradio as gr

        events, position = run.events() if run else ([], 0)
        going = run is not None and state_of(run) not in ENDED
        owner = self.workspace.owner_of(run) if run else None
        return {
            self.run: run.path.name if run else "",
            self.seen: position,
            self.header: header("train", project=owner.id if owner else asked_for("project")),
            self.runs: self._runs(run),
            self.timer: gr.Timer(active=going),
            self.stop: gr.Button(visible=going),
            self.start: self._start_button(run),
            self.next: next_link(run, owner) if run and run.adapter.is_dir() and not going else "",
            **(self._live(run, events) if run else {self.progress: "", self.chart: gr.Plot(visible=False)}),
        }

    def _live(self, run: RunFolder, events: list[dict[str, Any]]) -> dict[Any, Any]:
        import gradio as gr

        chart = loss_chart(events)
        view = run_view(run.status(), events, state=state_of(run))
        return {self.progress: view, self.chart: gr.Plot(chart, visible=True) if chart else gr.Plot(visible=False)}

    def _start_button(self, run: RunFolder | None) -> Any:
        import gradio as gr

        going = run is not None and state_of(run) not in ENDED
        return gr.Button("Training…" if going else "Start training", interactive=not going)

    def _runs(self, run: RunFolder | None) -> Any:
        import gradio as gr

        choices = [(run_label(self.workspace, other), other.path.name) for other in self.workspace.runs()]
        return gr.Dropdown(choices=choices, value=run.path.name if run else None, visible=bool(choices))


def run_label(workspace: Workspace, run: RunFolder) -> str:
    """A run for a list: whose rows, when, how it stands."""
    owner, status = workspace.owner_of(run), run.status()
    when = datetime.fromtimestamp(created(run)).strftime("%d %b %Y, %H:%M")
    return f"{owner.title if owner else run.path.name} · {when} · {status.get('rows', 0):,} rows · {state_of(run)}"


def no_data() -> Markup:
    """What to do where there are no examples."""
    return html("Choose your examples first. {}", link(address("data"), "Go to Data"))


def next_link(run: RunFolder, owner: Project | None) -> Markup:
    """Where the journey goes on."""
    there = address("evaluate", run=run.path.name, project=owner.id if owner else None)
    return next_steps(
        link(there, "Evaluate side by side →", main=True), text="Next: read the base's and the tuned answers together."
    )
