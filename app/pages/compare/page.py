"""The Compare page as a whole: what it shows when it is opened, and the timer that keeps it up to date."""

from __future__ import annotations

from datetime import datetime
from threading import Thread
from typing import Any

from app.comparisons import can_go_on, go_on, read_result, request_of
from app.components.actions import acting_html, found_at
from app.components.cards import section
from app.components.layout import address, header
from app.components.markup import NOTHING
from app.components.results import verdict_card
from app.components.wiring import asked_for, on
from app.pages.compare.evidence import Evidence, next_links
from app.pages.compare.setup import SetupForm, request_from
from app.pages.compare.situation import judgement_of
from app.pages.compare.watching import live_view
from app.workspace import Project, Workspace, created, find
from dataset_tools import UsageError
from training.runs.folder import ENDED, RunFolder
from training.runs.supervisor import state_of, stop

_SECONDS_BETWEEN_LOOKS = 1.5


class ComparePage:
    """The components of the page, and what happens when they are used."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.setup, self.evidence = SetupForm(), Evidence(workspace)

    def build(self, blocks: Any) -> None:
        """Lay the page out and wire it."""
        import gradio as gr

        self.project, self.comparison = gr.State(""), gr.State("")
        self.header = acting_html(value=header("compare"))
        self.notice = gr.HTML(elem_classes="fr-notice")
        gr.HTML(section("Compare approaches", "All on the same held-out rows, with the same metric."))
        self.setup.build(gr)
        with gr.Row():
            self.start = gr.Button("Start comparison", variant="primary", visible=False, elem_id="start")
            self.resume = gr.Button("Resume", visible=False, elem_id="resume", scale=0, min_width=140)
            self.stop = gr.Button("Stop", visible=False, elem_id="stop", scale=0, min_width=120)
        self.past = gr.Dropdown([], label="Comparisons on this machine", visible=False, elem_id="past")
        self.progress = gr.HTML(elem_id="progress")
        self.verdict = gr.HTML()
        self.evidence.build(gr)
        self.next = gr.HTML()
        self.timer = gr.Timer(_SECONDS_BETWEEN_LOOKS, active=False)
        self._wire(blocks)

    def _wire(self, blocks: Any) -> None:
        setup, form = [self.project, *self.setup.outputs], self.setup.inputs
        shown = [self.comparison, self.header, self.past, self.progress, self.verdict, self.next, self.timer]
        shown += [self.start, self.resume, self.stop, *self.evidence.outputs]
        everything = list(dict.fromkeys([*setup, *shown]))
        # The timer's many looks would lose a click now and then if they went through the queue; see `on`.
        base: dict[str, Any] = {"outputs": everything, "notice": self.notice, "direct": True}
        on(blocks.load, self.open, quiet=True, **base)
        on(self.start.click, self.begin, inputs=[self.project, self.comparison, *form], **base)
        judged = [self.comparison, *self.setup.situation.inputs]
        on(self.setup.situation.again.click, self.judge, inputs=judged, **base)
        on(self.resume.click, self.go_on, inputs=[self.comparison], **base)
        on(self.stop.click, self.end, inputs=[self.comparison], **base)
        on(self.past.input, self.choose, inputs=[self.past], **base)
        on(self.timer.tick, self.look, inputs=[self.comparison], quiet=True, **base)
        self.evidence.wire(self.comparison, self.notice)

    def open(self) -> dict[Any, Any]:
        """The page as it is opened: the comparison of the address, else the newest one of the project."""
        runs = self.workspace.comparisons()
        run = find(runs, asked_for("comparison"))
        owner = self.workspace.owner_of(run) if run else None
        project = owner or self.workspace.project(asked_for("project"))
        if run is None and project is not None:
            run = next((run for run in runs if self.workspace.owner_of(run) == project), None)
        return self._fill(project, run) | self._show(run)

    def begin(self, project_id: str, name: str, *values: Any) -> dict[Any, Any]:
        """Start a comparison in a process of its own; what was asked for before goes on, or is judged again."""
        from advisor.comparison import start_comparison

        shown = self._run(name)
        request = request_from(self.workspace.project(project_id), shown, values)
        same = shown is not None and is_of(shown, request.fingerprint())
        return self._show(start_comparison(request, shown.path if shown is not None and same else None))

    def judge(self, name: str, *values: Any) -> dict[Any, Any]:
        """Judge the comparison that is shown again, by another situation, from the answers that it has."""
        return self._show(go_on(self._must(name), **judgement_of(*values)))

    def go_on(self, name: str) -> dict[Any, Any]:
        """Let a comparison go on that ended early."""
        return self._show(go_on(self._must(name)))

    def end(self, name: str) -> dict[Any, Any]:
        """Ask a comparison to stop; finished arms are kept."""
        import gradio as gr

        run = self._run(name)
        if run is None or state_of(run) in ENDED:
            return self._show(run)
        Thread(target=stop, args=(run,), daemon=True).start()  # it waits for the end, up to a minute
        return {self.stop: gr.Button("Stopping…", interactive=False)}

    def choose(self, name: str) -> dict[Any, Any]:
        """Show another comparison, ready to be run again on its own rows."""
        run = self._run(name)
        owner = self.workspace.owner_of(run) if run else None
        filled = self._fill(owner, run) if owner else self.setup.situation.fill(request_of(run.path)) if run else {}
        return filled | self._show(run)

    def look(self, name: str) -> dict[Any, Any]:
        """What the running comparison did since the last look; the whole page once it has ended."""
        run = self._run(name)
        if run is None or state_of(run) in ENDED:
            return self._show(run)
        return {self.progress: live_view(run)}

    def _run(self, name: str) -> RunFolder | None:
        return find(self.workspace.comparisons(), name)

    def _must(self, name: str) -> RunFolder:
        run = self._run(name)
        if run is None:
            raise UsageError("There is no such comparison any more.", next_step="Choose another one from the list.")
        return run

    def _fill(self, project: Project | None, run: RunFolder | None) -> dict[Any, Any]:
        return {self.project: project.id if project else "", **self.setup.fill(project, run)}

    def _show(self, run: RunFolder | None) -> dict[Any, Any]:
        import gradio as gr

        state = state_of(run) if run else ""
        going = bool(run) and state not in ENDED
        result = read_result(run) if run and not going else None
        project = (self.workspace.owner_of(run) if run else None) or self.workspace.project(asked_for("project"))
        ids = {"project": project.id if project else None}
        has_data = project is not None and project.training is not None
        place = found_at(address("compare", comparison=run.path.name, **ids)) if run else NOTHING
        cut_short = run is not None and can_go_on(run, state)
        return {
            self.comparison: run.path.name if run else "",
            self.header: header("compare", **ids) + place,
            self.past: self._past(run),
            self.timer: gr.Timer(active=going),
            **self.setup.show(has_data=has_data, going=going, has_result=result is not None),
            self.start: gr.Button(
                _start_label(has_data, going, again=run is not None),
                variant="secondary" if result or cut_short else "primary",
                interactive=has_data and not going,
                visible=has_data or going,
            ),
            self.resume: gr.Button(visible=cut_short, variant="secondary" if result else "primary"),
            self.stop: gr.Button("Stop", visible=going, interactive=True),
            self.progress: live_view(run) if run and (result is None or cut_short) else "",
            self.verdict: verdict_card(result) if result else "",
            self.next: next_links(result, ids) if result and run else "",
            **self.evidence.show(run, result),
        }

    def _past(self, run: RunFolder | None) -> Any:
        import gradio as gr

        choices = [(self._label(other), other.path.name) for other in self.workspace.comparisons()]
        shown = choices if run else [("None of these rows yet. Choose one to read it.", ""), *choices]
        return gr.Dropdown(choices=shown, value=run.path.name if run else "", visible=bool(choices))

    def _label(self, run: RunFolder) -> str:
        owner = self.workspace.owner_of(run)
        when = datetime.fromtimestamp(created(run)).strftime("%d %b %Y, %H:%M")
        state = state_of(run)  # the list is not renewed while a comparison goes on, so it names no passing state
        return f"{owner.title if owner else run.path.name} · {when} · {state if state in ENDED else 'under way'}"


def is_of(run: RunFolder, fingerprint: str) -> bool:
    """Whether a comparison is one of this request."""
    return bool(request_of(run.path).get("fingerprint") == fingerprint)


def _start_label(has_data: bool, going: bool, *, again: bool) -> str:
    if not has_data:
        return "Choose examples first"
    return "Running…" if going else "Start another comparison" if again else "Start comparison"
