"""The Compare page: choose approaches, watch them run, read the verdict and the rows behind it."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any, get_args

from markupsafe import Markup

from app.components.actions import acting_html, found_at
from app.components.approaches import approaches_explained
from app.components.cards import empty, error_parts_card, link, next_steps, section
from app.components.charts import scores_chart
from app.components.layout import address, header
from app.components.live import arm_states, cut_off, of_this_start, phase_of, progress_view, state_badge
from app.components.markup import NOTHING, counted, duration, html, joined
from app.components.results import (
    FILTERS,
    arms_table,
    best_arm,
    facts_line,
    filtered,
    items_view,
    pairs_table,
    verdict_card,
)
from app.components.wiring import asked_for, number_in, on
from app.components.working import working
from app.pages.data import dataset_at
from app.workspace import Project, Workspace, created, find
from dataset_tools import detect_task_type
from dataset_tools.task_type import TaskKind
from training.runs.folder import ENDED, RunFolder
from training.runs.supervisor import state_of, stop

if TYPE_CHECKING:
    from advisor.approaches import Approach

_GO_ON = "Start it again with the same settings, and it goes on: finished approaches are kept."
_PAGE_ROWS = 5
_KINDS = get_args(TaskKind)
_SECONDS_BETWEEN_LOOKS = 1.5


class ComparePage:
    """The components of the page, and what happens when they are used."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace

    def build(self, blocks: Any) -> None:
        """Lay the page out and wire it."""
        import gradio as gr

        self.project, self.comparison, self.page = gr.State(""), gr.State(""), gr.State(0)
        self.header = acting_html(value=header("compare"))
        self.notice = gr.HTML(elem_classes="fr-notice")
        gr.HTML(section("Compare approaches", "All on the same held-out rows, with the same metric."))
        self._build_setup(gr)
        self.past = gr.Dropdown([], label="Comparisons on this machine", visible=False, elem_id="past")
        self.progress = gr.HTML(elem_id="progress")
        self.verdict = gr.HTML()
        self._build_evidence(gr)
        self.next = gr.HTML()
        self.timer = gr.Timer(_SECONDS_BETWEEN_LOOKS, active=False)
        self._wire(blocks)

    def _build_setup(self, gr: Any) -> None:
        self.task = gr.HTML(working("Reading the rows …"))
        self.settings = gr.Accordion(
            "Approaches and settings", visible=False, elem_classes="fr-panel", elem_id="settings"
        )
        with self.settings:
            self.arms = gr.CheckboxGroup([], label="Approaches", elem_id="arms")
            self.unavailable = gr.HTML()
            with gr.Row():
                self.limit = gr.Textbox(label="Test rows at most", placeholder="all", min_width=140, elem_id="limit")
                self.budget = gr.Textbox(label="Minutes at most", placeholder="10 (no limit with a GPU)", min_width=140)
                self.kind = gr.Dropdown([("Detected", "")], value="", label="Kind of task", min_width=180)
                self.metric = gr.Dropdown([("By the task", "")], value="", label="Metric", min_width=160)
        with gr.Row():
            self.start = gr.Button("Start comparison", variant="primary", visible=False, elem_id="start")
            self.stop = gr.Button("Stop", visible=False, elem_id="stop", scale=0, min_width=120)

    def _build_evidence(self, gr: Any) -> None:
        with gr.Column(visible=False) as self.evidence:
            self.chart = gr.Plot(show_label=False, elem_classes="fr-plot")
            self.tables = gr.HTML()
            gr.HTML(section("Row by row", "What was asked, what was wanted, and what each approach answered."))
            self.filter = gr.Radio(list(FILTERS), value="differ", show_label=False, container=False, elem_id="filter")
            self.items = gr.HTML(elem_id="items")
            with gr.Row(elem_classes="fr-pager"):
                self.previous = gr.Button("← Previous", size="sm", min_width=110, scale=0)
                self.following = gr.Button("Next →", size="sm", min_width=110, scale=0)
                self.place = gr.HTML()

    def _wire(self, blocks: Any) -> None:
        setup = [self.task, self.arms, self.unavailable, self.limit, self.budget, self.kind, self.metric]
        shown = [self.project, self.comparison, self.page, self.header, self.past, self.progress, self.verdict]
        shown += [self.evidence, self.chart, self.tables, self.items, self.place, self.next, self.timer]
        shown += [self.start, self.stop, self.filter, self.settings, self.previous, self.following]
        # The timer's many looks would lose a click now and then if they went through the queue; see `on`.
        base: dict[str, Any] = {"outputs": shown, "notice": self.notice, "direct": True}
        on(blocks.load, self.open, outputs=[*setup, *shown], notice=self.notice, quiet=True, direct=True)
        asked = [self.project, self.arms, self.limit, self.budget, self.kind, self.metric]
        on(self.start.click, self.begin, inputs=asked, **base)
        on(self.stop.click, self.end, inputs=[self.comparison], **base)
        on(self.past.input, self.choose, inputs=[self.past], outputs=[*setup, *shown], notice=self.notice, direct=True)
        on(self.timer.tick, self.look, inputs=[self.comparison], quiet=True, **base)
        turned = [self.page, self.items, self.place, self.previous, self.following]
        rows: dict[str, Any] = {"outputs": turned, "notice": self.notice, "quiet": True, "direct": True}
        inputs = [self.comparison, self.filter, self.page]
        on(self.filter.change, lambda name, which, page: self._rows(name, which, 0), inputs=inputs, **rows)
        on(self.previous.click, lambda name, which, page: self._rows(name, which, page - 1), inputs=inputs, **rows)
        on(self.following.click, lambda name, which, page: self._rows(name, which, page + 1), inputs=inputs, **rows)

    def open(self) -> dict[Any, Any]:
        """The page as it is opened: the comparison of the address, else the newest one of the project."""
        runs = self.workspace.comparisons()
        run = find(runs, asked_for("comparison"))
        owner = self.workspace.owner_of(run) if run else None
        project = owner or self.workspace.project(asked_for("project"))
        if run is None and project is not None:
            run = next((run for run in runs if self.workspace.owner_of(run) == project), None)
        return self._setup(project, run) | self._show(run)

    def begin(
        self, project_id: str, arms: list[str], limit: str, budget: str, kind: str, metric: str
    ) -> dict[Any, Any]:
        """Start a comparison in a process of its own."""
        from advisor.comparison import start_comparison
        from advisor.request import ComparisonRequest
        from dataset_tools import UsageError

        project = self.workspace.project(project_id)
        if project is None:
            raise UsageError("There are no examples yet.", next_step="Bring some on the Data page.")
        if not arms:
            raise UsageError("No approach is ticked.", next_step="Tick one or more, then start.")
        rows = number_in(limit, "Test rows")
        request = ComparisonRequest(
            data=project.training_path,
            test=project.test_path,
            documents=project.documents_path,
            arms=tuple(arms) if len(arms) < len(usable_arms(project)) else None,
            limit=math.ceil(rows) if rows else None,
            budget_minutes=number_in(budget, "Minutes"),
            task_type=kind or None,
            metric=metric or None,
        )
        return self._show(start_comparison(request))

    def end(self, name: str) -> dict[Any, Any]:
        """Ask a comparison to stop; finished arms are kept."""
        import gradio as gr

        run = find(self.workspace.comparisons(), name)
        if run is None or state_of(run) in ENDED:
            return self._show(run)
        Thread(target=stop, args=(run,), daemon=True).start()  # it waits for the end, up to a minute
        return {self.stop: gr.Button("Stopping…", interactive=False)}

    def choose(self, name: str) -> dict[Any, Any]:
        """Show another comparison, ready to be run again on its own rows."""
        run = find(self.workspace.comparisons(), name)
        owner = self.workspace.owner_of(run) if run else None
        return (self._setup(owner, run) if owner else {}) | self._show(run)

    def look(self, name: str) -> dict[Any, Any]:
        """What the running comparison did since the last look; the whole page once it has ended."""
        run = find(self.workspace.comparisons(), name)
        if run is None or state_of(run) in ENDED:
            return self._show(run)
        return {self.progress: live_view(run)}

    def _setup(self, project: Project | None, run: RunFolder | None) -> dict[Any, Any]:
        """The form for a project, filled in as the comparison that is shown was asked for."""
        import gradio as gr

        from advisor.approaches import APPROACHES
        from advisor.metrics import metric_for, metric_names

        if project is None or project.training is None:
            missing = html("Choose your examples first. {}", link(address("data"), "Go to Data"))
            return {self.task: "" if run else empty(missing), self.project: project.id if project else ""}
        examples = dataset_at(project.training_path).examples
        guess = detect_task_type([example.completion for example in examples])
        usable, asked = usable_arms(project), request_of(run.path) if run else {}
        names = [arm.name for arm in usable]
        kinds = [(f"Detected: {guess.kind}", ""), *((f"{kind} ({metric_for(kind).name})", kind) for kind in _KINDS)]
        by_task = (f"By the task: {metric_for(guess.kind).name}", "")
        metrics = dict.fromkeys((*metric_names(), *filter(None, [asked.get("metric")])))  # it may be a file
        return {
            self.project: project.id,
            self.task: task_line(project.title, len(examples), f"{guess.kind}: {guess.why}"),
            self.arms: gr.CheckboxGroup(
                choices=[(arm.title, arm.name) for arm in usable],
                value=[name for name in names if name in (asked.get("arms") or names)],
            ),
            self.unavailable: joined(
                [
                    _unavailable([arm.title for arm in APPROACHES if arm not in usable], project),
                    approaches_explained((arm.name, arm.title) for arm in APPROACHES),
                ]
            ),
            self.limit: str(asked.get("limit") or ""),
            self.budget: f"{asked['budget_minutes']:g}" if asked.get("budget_minutes") else "",
            self.kind: gr.Dropdown(choices=kinds, value=asked.get("task_type") or ""),
            self.metric: gr.Dropdown(
                choices=[by_task, *((name, name) for name in metrics)], value=asked.get("metric") or ""
            ),
        }

    def _show(self, run: RunFolder | None) -> dict[Any, Any]:
        import gradio as gr

        state = state_of(run) if run else ""
        going = bool(run) and state not in ENDED
        result = read_result(run) if run and not going else None
        project = (self.workspace.owner_of(run) if run else None) or self.workspace.project(asked_for("project"))
        ids = {"project": project.id if project else None}
        has_data = project is not None and project.training is not None
        place = found_at(address("compare", comparison=run.path.name, **ids)) if run else NOTHING
        return {
            self.comparison: run.path.name if run else "",
            self.header: header("compare", **ids) + place,
            self.past: self._past(run),
            self.timer: gr.Timer(active=going),
            self.settings: gr.Accordion(open=not going and result is None, visible=has_data),
            self.start: gr.Button(
                _start_label(has_data, going, again=result is not None),
                variant="secondary" if result else "primary",
                interactive=has_data and not going,
                visible=has_data or going,
            ),
            self.stop: gr.Button("Stop", visible=going, interactive=True),
            self.progress: live_view(run) if run and result is None else "",
            self.verdict: verdict_card(result) if result else "",
            self.evidence: gr.Column(visible=result is not None),
            self.next: next_links(result, ids) if result and run else "",
            **(self._evidence(run, result) if run and result else {}),
        }

    def _evidence(self, run: RunFolder, result: dict[str, Any]) -> dict[Any, Any]:
        downloads = joined(
            link(f"/download/{run.path.name}/{name}", f"Download {name}")
            for name in ("result.json", "report.md")
            if (run.path / name).is_file()
        )
        several = sum(not arm["skipped"] for arm in result["arms"]) > 1
        which = "differ" if several else "all"
        return {
            self.chart: scores_chart(result, best_arm(result)),
            self.tables: tables(result, downloads),
            self.filter: which,
            **self._rows(run.path.name, which, 0),
        }

    def _rows(self, name: str, which: str, page: int) -> dict[Any, Any]:
        import gradio as gr

        run = find(self.workspace.comparisons(), name)
        result = read_result(run) if run else None
        if run is None or result is None:
            return {}
        items = filtered(read_items(run), which, best_arm(result))
        pages = max(1, -(-len(items) // _PAGE_ROWS))
        page = page % pages
        titles = {arm["name"]: arm["title"] for arm in result["arms"]}
        shown = items[page * _PAGE_ROWS : (page + 1) * _PAGE_ROWS]
        place = html('<span class="fr-quiet">{}, page {} of {}</span>', counted(len(items), "row"), page + 1, pages)
        return {
            self.page: page,
            self.items: items_view(shown, titles),
            self.place: place if items else "",
            self.previous: gr.Button(interactive=pages > 1),
            self.following: gr.Button(interactive=pages > 1),
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


def read_result(run: RunFolder) -> dict[str, Any] | None:
    """The result of a comparison, None where there is none (yet)."""
    try:
        result: dict[str, Any] = json.loads((run.path / "result.json").read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return result


def read_items(run: RunFolder) -> list[dict[str, Any]]:
    """The test rows of a comparison with all answers."""
    file = run.path / "items.jsonl"
    return [json.loads(line) for line in file.read_bytes().split(b"\n") if line] if file.is_file() else []


def live_view(run: RunFolder) -> Markup:
    """How a comparison stands: its state, what it does now, and a line for each arm."""
    from advisor.approaches import ARM_TITLES

    state, failure = state_of(run), run.status().get("error")
    events = of_this_start(run.events()[0], created(run))
    now = time.time() if state not in ENDED else max((event["time"] for event in events), default=time.time())
    states = arm_states(events, asked_arms(run.path))
    states = cut_off(states) if state in ENDED else states
    said = _GO_ON if state in ("stopped", "interrupted") else "" if state in ENDED else _going(run, events)
    head = html('<p class="fr-status">{} {}</p>', state_badge(state), said)
    parts = [head, progress_view(states, ARM_TITLES, now=now)]
    if failure:
        parts.append(error_parts_card({key: value for key, value in failure.items() if key != "kind"}))
    return joined(parts)


def _going(run: RunFolder, events: Sequence[Mapping[str, Any]]) -> str:
    """What a comparison does now, or else for how long it has been going on."""
    phase, spent = phase_of(events), duration(round(time.time() - created(run)))
    minutes = request_of(run.path).get("budget_minutes")
    planned = f" of {duration(60 * minutes)} planned" if minutes else ""
    return phase or f"{spent}{planned}. You can leave this page: it goes on."


def request_of(folder: Path) -> dict[str, Any]:
    """What a comparison was asked for, as its request.json has it; empty where that cannot be read."""
    try:
        asked: dict[str, Any] = json.loads((folder / "request.json").read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return asked


def asked_arms(folder: Path) -> list[str]:
    """The arms that a comparison was asked for: all of them where it was not said."""
    from advisor.approaches import ARM_TITLES

    return list(request_of(folder).get("arms") or ARM_TITLES)


def task_line(title: str, rows: int, looks: str) -> Markup:
    """Whose rows are compared, how many there are, and what they look like."""
    return html('<p class="fr-quiet fr-note"><b>{}</b> · {} · looks like {}</p>', title, counted(rows, "row"), looks)


def usable_arms(project: Project) -> list[type[Approach]]:
    """The approaches that the project has everything for."""
    from advisor.approaches import APPROACHES

    return [arm for arm in APPROACHES if project.documents or not arm.needs_documents]


def tables(result: dict[str, Any], downloads: Markup) -> Markup:
    """Scores and costs, then the pairs."""
    heading = section("Against each other", "The same rows, answered by both; points are out of 100.")
    files = html('<div class="fr-links">{}</div>', downloads)
    return joined([arms_table(result), facts_line(result), files, heading, pairs_table(result)])


def next_links(result: dict[str, Any], ids: dict[str, str | None]) -> Markup:
    """Where the journey goes on: to more rows where nothing is settled, to training where that won or was not tried."""
    verdict = result["verdict"]
    tuned = [arm for arm in result["arms"] if arm["name"].startswith("qlora") and not arm["skipped"]]
    trained = [arm["training"]["run"] for arm in tuned if arm.get("training")]
    read = link(address("evaluate", run=trained[-1], **ids), "See answers side by side") if trained else NOTHING
    if verdict["kind"] in ("not_enough_evidence", "nothing_works"):
        open_still = verdict["kind"] == "not_enough_evidence" and verdict.get("rows_needed")
        text = "Next: bring more rows, then compare again." if open_still else "Next: what the verdict advises."
        rows = link(address("data", **ids), "Go to the rows →", main=True)
        return next_steps(read, link(address("train", **ids), "Train all the same"), rows, text=text)
    if (verdict["arm"] or "").startswith("qlora"):
        train = link(address("train", **ids), "Train the winner →", main=True)
        return next_steps(read, train, text="Next: train on all your rows.")
    text = "No training is needed: use what is advised above." if tuned else "Next: use what won, or try training, too."
    return next_steps(
        read, link(address("train", **ids), "Train all the same" if tuned else "Train a model"), text=text
    )


def _start_label(has_data: bool, going: bool, *, again: bool) -> str:
    if not has_data:
        return "Choose examples first"
    return "Running…" if going else "Start another comparison" if again else "Start comparison"


def _unavailable(titles: list[str], project: Project) -> Markup:
    if not titles:
        return Markup("")
    chips = joined(html('<span class="fr-chip">{}</span>', title) for title in titles)
    add = html('<a href="{}">Add documents</a>', address("data", project=project.id))
    return html(
        '<div class="fr-chips">{} <span class="fr-quiet">need documents to look things up in. {}</span></div>',
        chips,
        add,
    )
