"""What a comparison is asked for on the page: the form, filled in from one that is shown, and the request it makes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

from markupsafe import Markup

from app.comparisons import request_of
from app.components.approaches import approaches_explained
from app.components.cards import empty, link
from app.components.layout import address
from app.components.markup import NOTHING, counted, html, joined
from app.components.wiring import number_in
from app.components.working import working
from app.pages.compare.situation import SituationForm, judgement_of
from app.pages.data import dataset_at
from app.workspace import Project
from dataset_tools import UsageError, detect_task_type
from dataset_tools.task_type import TaskKind
from training.runs.folder import RunFolder

if TYPE_CHECKING:
    from advisor.approaches import Approach
    from advisor.request import ComparisonRequest

_KINDS = get_args(TaskKind)
_FOLDS = [("Where rows are few", ""), ("Off: one split", "1"), ("In five folds", "5")]
_ENDPOINT = (
    "Compare a model behind an OpenAI-compatible address as well: Ollama, vLLM, llama.cpp's server, or a hosted one. "
    "The ticked approaches that only prompt are run on it, too: your rows are sent to that address. Where it asks for "
    "a key, start the app with the environment variable FITTING_ROOM_ENDPOINT_KEY: the key is not typed here, and is "
    "written nowhere."
)


@dataclass(frozen=True)
class Asked:
    """The values of the form's fields, in their order."""

    arms: Sequence[str]
    limit: str
    budget: str
    kind: str
    metric: str
    instructions: str
    curve: bool
    folds: str
    judge: str
    endpoint: str
    endpoint_model: str


class SetupForm:
    """The folds above the button that starts: approaches and settings, the situation, another model."""

    def __init__(self) -> None:
        self.situation = SituationForm()

    def build(self, gr: Any) -> None:
        """Lay the folds out."""
        self.task = gr.HTML(working("Reading the rows …"))
        with gr.Accordion(
            "Approaches and settings", visible=False, elem_classes="fr-panel", elem_id="settings"
        ) as self.fold:
            self.arms = gr.CheckboxGroup([], label="Approaches", elem_id="arms")
            self.unavailable = gr.HTML()
            with gr.Row():
                self.limit = gr.Textbox(label="Test rows at most", placeholder="all", min_width=140, elem_id="limit")
                self.budget = gr.Textbox(label="Minutes at most", placeholder="10 (no limit with a GPU)", min_width=140)
                self.kind = gr.Dropdown([("Detected", "")], value="", label="Kind of task", min_width=180)
                self.metric = gr.Dropdown([("By the task", "")], value="", label="Metric", min_width=160)
            self.instructions = gr.Textbox(
                label="Instructions of your own, one a line",
                placeholder="Tried beside those that are found, on rows held back for it",
                lines=2,
                elem_id="instructions",
            )
            with gr.Row():
                self.folds = gr.Dropdown(
                    _FOLDS, value="", label="Answer every row as a test row once", min_width=200, elem_id="folds"
                )
                self.judge = gr.Textbox(
                    label="Judge, for the metric of that name",
                    placeholder="a model, or http://localhost:11434/v1#qwen3:32b; your rows are shown to it",
                    min_width=320,
                    elem_id="judge-model",
                )
            self.curve = gr.Checkbox(
                label="Learning curve: train on a quarter and on half as well, to see whether more rows would help",
                elem_id="learning-curve",
            )
        self.situation.build(gr)
        with gr.Accordion(
            "Another model", open=False, visible=False, elem_classes="fr-panel", elem_id="another-model"
        ) as self.another:
            gr.HTML(html('<p class="fr-quiet">{}</p>', _ENDPOINT))
            with gr.Row():
                self.endpoint = gr.Textbox(
                    label="Address", placeholder="http://localhost:11434/v1", min_width=240, elem_id="endpoint"
                )
                self.endpoint_model = gr.Textbox(
                    label="The model's name there", placeholder="qwen3:4b", min_width=180, elem_id="endpoint-model"
                )
        own = [self.arms, self.limit, self.budget, self.kind, self.metric, self.instructions, self.curve]
        own += [self.folds, self.judge]
        self.inputs = [*own, self.endpoint, self.endpoint_model, *self.situation.inputs]
        self.outputs = [self.task, self.unavailable, self.fold, self.another, *self.inputs]
        self.outputs += [part for part in self.situation.outputs if part not in self.situation.inputs]

    def fill(self, project: Project | None, run: RunFolder | None) -> dict[Any, Any]:
        """The form for a project, filled in as the comparison that is shown was asked for."""
        import gradio as gr

        from advisor.approaches import APPROACHES
        from advisor.metrics import metric_for, metric_names
        from advisor.metrics.registry import JUDGE

        asked = request_of(run.path) if run else {}
        situation = self.situation.fill(asked)
        if project is None or project.training is None:
            missing = html("Choose your examples first. {}", link(address("data"), "Go to Data"))
            return {self.task: "" if run else empty(missing), **situation}
        examples = dataset_at(project.training_path).examples
        guess = detect_task_type([example.completion for example in examples])
        usable = usable_arms(project)
        kinds = [(f"Detected: {guess.kind}", ""), *((f"{kind} ({metric_for(kind).name})", kind) for kind in _KINDS)]
        by_task = (f"By the task: {metric_for(guess.kind).name}", "")
        metrics = dict.fromkeys((*metric_names(), JUDGE, *filter(None, [asked.get("metric")])))  # it may be a file
        return {
            self.task: task_line(project.title, len(examples), f"{guess.kind}: {guess.why}"),
            self.arms: gr.CheckboxGroup(choices=[(arm.title, arm.name) for arm in usable], value=ticked(usable, asked)),
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
            self.instructions: "\n".join(asked.get("instructions") or ()),
            self.curve: bool(asked.get("learning_curve")),
            self.folds: folds_field(gr, asked.get("folds"), has_test=project.test_path is not None),
            self.judge: asked.get("judge") or "",
            self.endpoint: asked.get("endpoint") or "",
            self.endpoint_model: asked.get("endpoint_model") or "",
            **situation,
        }

    def show(self, *, has_data: bool, going: bool, has_result: bool) -> dict[Any, Any]:
        """Which folds there are, and which are open."""
        import gradio as gr

        return {
            self.fold: gr.Accordion(open=not going and not has_result, visible=has_data),
            self.another: gr.Accordion(visible=has_data),
            self.situation.fold: gr.Accordion(visible=has_data or has_result),
            self.situation.again: gr.Button(visible=has_result and not going),
        }


def request_from(project: Project | None, run: RunFolder | None, values: Sequence[Any]) -> ComparisonRequest:
    """The request that the form's values make.

    What the form has no field for (model, seed, columns) stays as it was in the comparison that is shown, where
    that is one of the same rows.

    Raises:
        UsageError: there are no rows, nothing is ticked, or a field holds what makes no sense.
    """
    from advisor.request import ComparisonRequest

    count = len(Asked.__dataclass_fields__)
    asked, judgement = Asked(*values[:count]), judgement_of(*values[count:])
    if project is None:
        raise UsageError("There are no examples yet.", next_step="Bring some on the Data page.")
    if not asked.arms:
        raise UsageError("No approach is ticked.", next_step="Tick one or more, then start.")
    before = request_of(run.path) if run else {}
    same = before if before.get("data") == str(project.training_path.resolve()) else {}
    rows = number_in(asked.limit, "Test rows")
    endpoint, model = asked.endpoint.strip() or None, asked.endpoint_model.strip() or None
    if (endpoint is None) != (model is None):
        raise UsageError(
            "Another model is an address and the model's name there.", next_step="Fill in both fields, or neither."
        )
    judge = asked.judge.strip() or None
    if (judge is None) == (asked.metric == "judge"):
        raise UsageError(
            "The metric judge goes by the opinion of a model.",
            found="the metric without a model" if judge is None else "a model without the metric",
            next_step="Choose the metric judge and name a model, or neither.",
        )
    return ComparisonRequest(
        data=project.training_path,
        test=project.test_path,
        documents=project.documents_path,
        arms=_named_arms(asked.arms, usable_arms(project), endpoint=endpoint is not None, before=same.get("arms")),
        limit=math.ceil(rows) if rows else None,
        budget_minutes=number_in(asked.budget, "Minutes"),
        model=same.get("model"),
        task_type=asked.kind or None,
        metric=asked.metric or None,
        judge=judge,
        seed=int(same.get("seed") or 0),
        columns=same.get("columns"),
        folds=int(asked.folds) if asked.folds else None,
        instructions=tuple(line.strip() for line in asked.instructions.splitlines() if line.strip()),
        endpoint=endpoint,
        endpoint_model=model,
        learning_curve=bool(asked.curve),
        **judgement,
    )


def folds_field(gr: Any, folds: int | None, *, has_test: bool) -> Any:
    """The field of the folds; with test rows of their own there is nothing to fold, and it is not there."""
    value = str(folds) if folds and not (has_test and folds > 1) else ""
    known = [choice for _, choice in _FOLDS]
    others = [] if value in known else [(f"In {value} folds", value)]
    return gr.Dropdown(choices=[*_FOLDS, *others], value=value, visible=not has_test)


def ticked(usable: Sequence[type[Approach]], asked: Mapping[str, Any]) -> list[str]:
    """The approaches that a request names, be it for the endpoint; all of them where it names none."""
    named = {name.partition("@")[0] for name in asked.get("arms") or ()}
    return [arm.name for arm in usable if not named or arm.name in named]


def _named_arms(
    chosen: Sequence[str], usable: Sequence[type[Approach]], *, endpoint: bool, before: Sequence[str] | None
) -> tuple[str, ...] | None:
    """The arms of what is ticked, in order; None for all. Where they are those named before, in the order of then."""
    from advisor.lineup import ARMS

    if {arm.name for arm in usable} <= set(chosen):
        return None
    names = [arm.name for arm in ARMS.values() if arm.approach.name in chosen and (endpoint or not arm.elsewhere)]
    return tuple(before) if before and set(before) == set(names) else tuple(names)


def task_line(title: str, rows: int, looks: str) -> Markup:
    """Whose rows are compared, how many there are, and what they look like."""
    return html('<p class="fr-quiet fr-note"><b>{}</b> · {} · looks like {}</p>', title, counted(rows, "row"), looks)


def usable_arms(project: Project) -> list[type[Approach]]:
    """The approaches that the project has everything for."""
    from advisor.approaches import APPROACHES

    return [arm for arm in APPROACHES if project.documents or not arm.needs_documents]


def _unavailable(titles: list[str], project: Project) -> Markup:
    if not titles:
        return NOTHING
    chips = joined(html('<span class="fr-chip">{}</span>', title) for title in titles)
    add = html('<a href="{}">Add documents</a>', address("data", project=project.id))
    return html(
        '<div class="fr-chips">{} <span class="fr-quiet">need documents to look things up in. {}</span></div>',
        chips,
        add,
    )
