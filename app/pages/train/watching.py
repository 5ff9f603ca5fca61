"""The second tab: one run, live or ended; it is stopped, resumed and deleted here."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from markupsafe import Markup

from app.components.actions import Act, act_button, acting_html, found_at, on_act
from app.components.cards import banner, empty, link, next_steps
from app.components.charts import loss_chart
from app.components.layout import address
from app.components.markup import NOTHING, duration, html, joined
from app.components.run_health import health_card
from app.components.run_samples import SAMPLES_SCRIPT, samples_view
from app.components.run_series import Event, last, notes, phases, samples
from app.components.run_sparks import SPARK_SCRIPT, sparks
from app.components.runs import dry_run_view, notes_view, phases_list, run_error, run_head, run_title, what_to_say
from app.components.wiring import on
from app.jobs import Job
from app.pages.train.exporting import ExportSection, on_the_accelerator, refuse_while_exported
from app.pages.train.section import PageParts, Section, Updates, View, changed
from app.run_reading import RunSummary, has_artefact, known_runs, recipe_of, result_of, status_of, summary_of
from dataset_tools.errors import FittingRoomError, UsageError
from training.recipe import describe
from training.runs import checkpoints, supervisor
from training.runs.folder import ENDED, RunFolder

_NONE = "No run is shown. Start one on the first tab, or open one from all runs."


class RunSection(Section):
    """A run as it stands, kept up to date by a timer while its process lives."""

    def __init__(self) -> None:
        self.export = ExportSection()

    def build(self, gr: Any) -> None:
        """Lay the components out."""
        with gr.Row(equal_height=False, elem_classes="fr-run-top"):
            self.title = gr.HTML(elem_id="run-title")
            self.controls = acting_html(elem_id="controls")
        self.asking = acting_html(elem_id="asking")
        self.head = gr.HTML(elem_id="run")
        self.error = gr.HTML(elem_id="run-error")
        self.notes = gr.HTML(elem_id="run-notes")
        self.health = gr.HTML(elem_id="health")
        self.phases = gr.HTML(elem_id="phases")
        self.chart = gr.Plot(show_label=False, visible=False, elem_classes="fr-plot", elem_id="losses")
        self.scale = gr.Checkbox(
            label="Logarithmic", visible=False, container=False, elem_id="log-losses", elem_classes="fr-scale"
        )
        self.sparks = gr.HTML(js_on_load=SPARK_SCRIPT, elem_id="sparks")
        self.samples = gr.HTML(js_on_load=SAMPLES_SCRIPT, elem_id="samples")
        self.facts = gr.HTML(elem_id="dry-run")
        self.export.build(gr)
        self.next = gr.HTML()
        self.texts = [self.title, self.controls, self.asking, self.head, self.error, self.health, self.phases]
        self.texts += [self.sparks, self.samples, self.notes, self.facts, self.next, *self.export.outputs]
        self.outputs = [*self.texts, self.chart, self.scale]

    def wire(self, parts: PageParts) -> None:
        """Say what happens when they are used."""
        self.parts = parts
        self.export.wire(parts)
        for part in (self.controls, self.asking):
            on_act(part, self.act, inputs=[parts.view], **parts.base)
        on(self.scale.input, self.turn, inputs=[self.scale, parts.view], **parts.base)

    def show(self, view: View) -> Updates:
        """The whole run."""
        return self.texts_of(view) | self.chart_of(view)

    def look(self, view: View, sent: Mapping[str, int]) -> tuple[Updates, dict[str, int]]:
        """What is not as it was sent last; the chart only where there is something new in it."""
        fresh, marks = changed(self.texts_of(view), sent)
        mark = self.chart_mark(view)
        key = str(self.chart._id)
        if marks.get(key) != mark:
            fresh |= self.chart_of(view)
        return fresh, {**marks, key: mark}

    def chart_mark(self, view: View) -> int:
        """A number that is another one where the chart is."""
        run = self.parts.run(view)
        told = [e for e in self.parts.logs.of(run) if e["event"] in ("step", "evaluation", "chosen")] if run else []
        return hash((view.run, view.logarithmic, len(told)))

    def chart_of(self, view: View) -> Updates:
        """The losses of the run."""
        import gradio as gr

        run = self.parts.run(view)
        figure = loss_chart(self.parts.logs.of(run), name=view.run, logarithmic=view.logarithmic) if run else None
        chart = gr.Plot(figure, visible=True) if figure else gr.Plot(visible=False)
        return {self.chart: chart, self.scale: gr.Checkbox(visible=figure is not None)}

    def turn(self, logarithmic: bool, view: View) -> Updates:
        """Draw the losses on a logarithmic axis, or on a plain one."""
        view = replace(view, logarithmic=bool(logarithmic))
        return {self.parts.view: view, **self.chart_of(view)}

    def texts_of(self, view: View) -> Updates:
        """All but the chart."""
        run = self.parts.run(view)
        if run is None:
            nowhere = found_at(address("train", project=view.project))
            return dict.fromkeys(self.texts, "") | {self.head: empty(_NONE), self.controls: nowhere}
        summary, events, status = summary_of(run), self.parts.logs.of(run), status_of(run)
        recipe, project = recipe_of(run), self.parts.workspace.owner_of(run)
        title = self.parts.titles().get(view.run) or str(status.get("title") or "")
        result, estimate = result_of(run, summary.state), status.get("estimate")
        place = found_at(address("train", project=project.id if project else view.project, run=view.run))
        return {
            self.title: run_title(summary, title, describe(recipe, summary.rows or 0) if recipe else ""),
            self.controls: joined([controls(summary, view), place]),
            self.asking: question(summary, view),
            self.head: run_head(summary, events, saying=self.saying(run, summary, events), asked_to_stop=asked(run)),
            self.error: run_error(status, summary.state),
            self.health: health_card(result.get("health")),
            self.phases: phases_list(phases(events), folded=not summary.live or last(events, "step") is not None),
            self.sparks: sparks(events),
            self.samples: samples_view(samples(events), run=view.run),
            self.notes: notes_view(events, notes(events)),
            self.facts: dry_run_view(events, estimate=estimate),
            **self.export.show(view),
            self.next: next_link(summary, project.id if project else None, adapter=run.adapter.is_dir()),
        }

    def saying(self, run: RunFolder, summary: RunSummary, events: Sequence[Event]) -> str:
        """The run's state in a sentence."""
        if asked(run) and summary.live:
            return "Stopping after the current step"
        waiting = waiting_for(run, self.parts.titles()) if summary.state == "queued" else []
        now = next((event for event in reversed(events) if event["event"] in ("phase", "state")), None)
        spent = time.time() - now["time"] if now is not None and summary.live else None
        if summary.state == "running" and (now is None or now["event"] == "state"):
            summary, spent = replace(summary, phase="training"), None
        facts: dict[str, Any] = {"goes_on_from": newest_checkpoint(run), "kept": has_artefact(run)}
        return what_to_say(summary, waiting_for=waiting, spent=spent, **facts)

    def act(self, act: Act, view: View) -> Updates:
        """A button of the run."""
        run = self.parts.run(view)
        if run is None:
            raise UsageError("There is no such run any more.", next_step="Choose another one from all runs.")
        match act.do:
            case "ask-stop" | "ask-delete":
                return self._asking(replace(view, asking=act.do.removeprefix("ask-")))
            case "close":
                return self._asking(replace(view, asking=""))
            case "stop-keep" | "stop-discard":
                self._stop(run, keep=act.do == "stop-keep")
                return self.parts.show(replace(view, asking=""))
            case "resume" | "resume-anyway":
                return self._resume(run, view, force=act.do == "resume-anyway")
            case "delete":
                return self._delete(run, view)
        return {}

    def _asking(self, view: View) -> Updates:
        run = self.parts.run(view)
        shown = question(summary_of(run), view) if run else NOTHING
        return {self.parts.view: view, self.asking: shown}

    def _stop(self, run: RunFolder, *, keep: bool) -> None:
        """Ask it to stop, and see to it in a thread that it does: it may take its time over a step."""

        def work(job: Job) -> None:
            supervisor.stop(run, keep=keep)

        with contextlib.suppress(UsageError):  # it was asked to stop already
            self.parts.jobs.start((run.path.name, "stop"), Job("stop"), work)
        deadline = time.monotonic() + 1.0
        while not asked(run) and supervisor.state_of(run) not in ENDED and time.monotonic() < deadline:
            time.sleep(0.02)

    def _resume(self, run: RunFolder, view: View, *, force: bool) -> Updates:
        refuse_while_exported(run)
        try:
            supervisor.resume(run, force=force)
        except FittingRoomError as error:
            if error.next_step and "--force" in error.next_step:
                changed_inputs = replace(view, asking="force")
                return self._asking(changed_inputs) | {
                    self.asking: changed_card(error.found or ""),
                }
            raise
        return self.parts.show(replace(view, asking=""))

    def _delete(self, run: RunFolder, view: View) -> Updates:
        refuse_while_exported(run)
        supervisor.delete(run)
        for project in self.parts.workspace.projects():
            if run.path.name in project.runs:
                replace(project, runs=tuple(name for name in project.runs if name != run.path.name)).save()
        compared = tuple(name for name in view.compared if name != run.path.name)
        return self.parts.show(replace(view, run="", asking="", compared=compared))


def asked(run: RunFolder) -> bool:
    """Whether a run was asked to stop."""
    return run.stop_request.exists()


def controls(summary: RunSummary, view: View) -> Markup:
    """The buttons that suit a run's state."""
    if summary.live:
        buttons = [act_button("ask-stop", "Stop …", kind="bad")]
    else:
        buttons = [act_button("ask-delete", "Delete …", kind="bad")]
        if summary.state != "done":
            buttons.insert(0, act_button("resume", "Resume", kind="main"))
    return html('<div class="fr-acts fr-controls">{}</div>', joined(buttons))


def question(summary: RunSummary, view: View) -> Markup:
    """What a button asks before it does what cannot be taken back."""
    if view.asking == "stop" and summary.live:
        return _card(
            "Stop this run?",
            "It ends after the current step. What it has learnt can be kept: as an adapter that answers, and as a "
            "checkpoint that Resume goes on from.",
            act_button("stop-keep", "Stop and keep what it has learnt", kind="main"),
            act_button("stop-discard", "Stop and discard", kind="bad"),
            act_button("close", "Go on training"),
        )
    if view.asking == "delete" and not summary.live:
        return _card(
            "Delete this run?",
            f"Its adapter, its checkpoints and its copy of the rows go, for good: {summary.folder}",
            act_button("delete", "Delete it", kind="bad"),
            act_button("close", "Keep it"),
        )
    return NOTHING


def changed_card(what: str) -> Markup:
    """Asks whether to go on with other rows or another recipe than before."""
    return _card(
        "What it learns from was changed since its last checkpoint",
        f"{what}. Going on mixes what was learnt before with what comes now.",
        act_button("resume-anyway", "Go on anyway", kind="bad"),
        act_button("close", "Leave it"),
    )


def _card(title: str, text: str, *buttons: Markup) -> Markup:
    shown = html('{}<span class="fr-acts">{}</span>', text, joined(buttons))
    return banner("warn", title, shown)


def waiting_for(run: RunFolder, titles: Mapping[str, str]) -> list[str]:
    """What comes before a run that waits: the one at work, then those queued before it."""
    busy, queued = [], {other.path for other in supervisor.waiting_before(run)}
    for other in known_runs():
        if other.path == run.path:
            continue
        summary = summary_of(other)
        if other.path in queued or summary.state in ("preparing", "running", "stopping"):
            name = titles.get(summary.run)
            left = f", about {duration(summary.eta)} left" if summary.eta else ""
            busy.append((summary.state == "queued", summary.created, f"{name or 'run'} ({summary.run}{left})"))
    if all(queues for queues, _, _ in busy):
        busy += [(False, 0.0, f"the export of {titles.get(name) or 'run'} ({name})") for name in on_the_accelerator()]
    return [text for _, _, text in sorted(busy)]


def newest_checkpoint(run: RunFolder) -> int:
    """The step of a run's newest sealed checkpoint; 0 without one."""
    folders = checkpoints.all_of(run.checkpoints)
    return max((step for step, folder in folders.items() if (folder / checkpoints.MANIFEST).exists()), default=0)


def next_link(summary: RunSummary, project: str | None, *, adapter: bool) -> Markup:
    """Where the journey goes on.

    Args:
        summary: Of the run.
        project: The id of its project.
        adapter: Whether it has made an adapter, which can be laid beside its base.
    """
    if summary.state != "done" and not (summary.state == "stopped" and adapter):
        return NOTHING
    there = address("evaluate", run=summary.run, project=project)
    evaluate = link(there, "Evaluate side by side →", main=True) if adapter else NOTHING
    before = "Next: read the base's and the tuned answers together. " if adapter else ""
    command = f"fitting-room export {summary.run} --to gguf"
    text = html("{}To use it elsewhere, export it above, or on the command line: <code>{}</code>", before, command)
    return next_steps(evaluate, text=text)
