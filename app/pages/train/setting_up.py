"""The first tab: what a training would do, every knob of it, and the button that starts it."""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml
from markupsafe import Markup

from app.components.actions import Act, on_act
from app.components.cards import empty, link
from app.components.layout import address
from app.components.markup import NOTHING, html, joined
from app.components.run_choices import choice_cards
from app.components.run_form import FORM_SCRIPT, knob_data, recipe_form
from app.components.run_ready import not_ready_card, ready_card, recipe_card, start_button
from app.components.working import while_working
from app.pages.train.drafting import Choice, Draft, draft, lacking_methods, read_recipe
from app.pages.train.from_votes import begin_run, goes_on
from app.pages.train.outlook import (
    about_model,
    drafted_plan,
    methods_of,
    models_offered,
    objectives_of,
    outlook_of,
    plan_for,
)
from app.pages.train.section import PageParts, Section, Updates, View, on_slow_act
from app.run_reading import known_runs, model_title, status_of
from app.workspace import Project
from dataset_tools.errors import FittingRoomError, UsageError
from training.models.catalogue import entry_for
from training.models.loading import default_model
from training.recipe import METHODS, to_dict
from training.runs import warm

_KEPT_TOKENS = 200


class Starts:
    """The runs that were started, by the token of the button: a second click on the same button starts no other."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._runs: OrderedDict[str, str] = OrderedDict()

    def once(self, token: str, start: Callable[[], str]) -> str:
        """What this token has started; ``start`` gives its name, and is called for a new token alone."""
        with self._lock:
            if token not in self._runs:
                self._runs[token] = start()
                while len(self._runs) > _KEPT_TOKENS:
                    self._runs.popitem(last=False)
            return self._runs[token]


class SetUpSection(Section):
    """The cards, the form and the Start button."""

    def build(self, gr: Any) -> None:
        """Lay the components out."""
        self.starts = Starts()
        self.ready = gr.HTML(js_on_load=FORM_SCRIPT, elem_id="ready")
        self.busy = gr.HTML()
        self.choices = gr.HTML(js_on_load=FORM_SCRIPT, elem_id="choices")
        self.form = gr.HTML(js_on_load=FORM_SCRIPT, elem_id="knobs")
        self.recipe = gr.HTML(js_on_load=FORM_SCRIPT, elem_id="recipe")
        self.outputs = [self.ready, self.choices, self.form, self.recipe]

    def wire(self, parts: PageParts) -> None:
        """Say what happens when they are used."""
        self.parts = parts
        quick: dict[str, Any] = {"inputs": [parts.view], **parts.base}
        slow: dict[str, Any] = {"outputs": [*parts.shown, self.busy], "notice": parts.notice, "inputs": [parts.view]}
        for part in self.outputs:  # each runs the form's script, and the first to hear of an answer asks the next
            on_act(part, self.act, **quick)
            on_slow_act(part.input, self.choose, **slow)

    def show(self, view: View) -> Updates:
        """Where there are no rows: what to do. Where there are, `plan` shows the rest."""
        project = self.parts.project(view)
        if project is None or project.training is None:
            return dict.fromkeys(self.outputs, "") | {self.ready: empty(no_data())}
        return {}

    def plan(self, view: View) -> Iterator[Updates]:
        """Derive the recipe and say whether a run can start; the first time loads the model's tokenizer."""
        project = self.parts.project(view)
        if project is not None and project.training is not None:
            yield from self._replanned(project, self._served(project, view), {}, received={})
            warm.prepare()  # while the settings are looked at, so that the run starts at once

    def _served(self, project: Project, view: View) -> View:
        """The view without a choice of an objective that the rows do not serve; an address may name any."""
        if view.choice is None or not objectives_of(project.training_path).get(view.choice.objective):
            return view
        return replace(view, choice=None)

    def choose(self, act: Act, view: View) -> Iterator[Updates]:
        """Another model, method or objective, or a whole recipe: derive anew, and keep what was typed."""
        project = self.parts.project(view)
        if project is None or project.training is None:
            return
        typed = dict(act.fields)
        choice = self.choice(view, typed)
        if act.do == "method" and act.get("name") in METHODS:
            choice, view = choice.turned(method=act.get("name")), replace(view, open_methods=True)
        elif act.do == "objective" and act.get("name") in objectives_of(project.training_path):
            choice = replace(choice, objective=act.get("name"))
        elif act.do == "derived":
            typed = {}
        elif act.do == "yaml":
            typed = read_recipe(act.fields.get("yaml", ""))
            known = {name: typed[name] for name in ("model", "method", "objective") if typed.get(name)}
            choice = choice.turned(**known)
        before = self._typed(project, view, typed) if act.do != "yaml" else typed
        yield from self._replanned(project, replace(view, choice=choice), before, received=act.fields)

    def choice(self, view: View, typed: Mapping[str, str]) -> Choice:
        """The choice of the page, with the model that stands in the form."""
        choice = view.choice or Choice(default_model())
        return choice.turned(model=typed.get("model", "").strip() or choice.model)

    def _typed(self, project: Project, view: View, typed: Mapping[str, str]) -> dict[str, str]:
        """What the user changed in the form: those values that are not the derived ones of before."""
        if view.choice is None:
            return {}
        derived = draft(plan_for(project.training_path, view.choice), {}).derived
        return {name: text for name, text in typed.items() if name in derived and text.strip() != derived[name]}

    def _replanned(
        self, project: Project, view: View, typed: Mapping[str, str], *, received: Mapping[str, str]
    ) -> Iterator[Updates]:
        data, choice = project.training_path, view.choice or Choice(default_model())
        try:
            plan = yield from while_working(
                self.busy, "Measuring your rows with the model's tokenizer", lambda tell: plan_for(data, choice)
            )
        except FittingRoomError as error:
            answered = knob_data({}, serial=secrets.token_hex(8), received={})
            yield {self.ready: not_ready_card(project.in_user_words(error).to_dict()), self.recipe: answered}
            return
        choice = replace(choice, objective=plan.recipe.objective)
        plan_for(data, choice)
        same_form = view.formed and view.choice is not None and view.choice.model == choice.model
        drafted = draft(plan, typed)
        offers: dict[str, Any] = {"models": models_offered(data, choice), "adapters": _adapters(choice)}
        yield {
            self.parts.view: replace(view, choice=choice, formed=True),
            self.choices: choice_cards(
                choice.objective,
                choice.method,
                objectives=objectives_of(data),
                methods=methods_of(data, choice, lacking_methods()),
                open_methods=view.open_methods,
            ),
            **({} if same_form else {self.form: recipe_form(drafted.texts, **offers)}),
            **self._drafted(data, choice, drafted, received=received),
        }

    def _drafted(self, data: Path, choice: Choice, drafted: Draft, *, received: Mapping[str, str]) -> Updates:
        """The card, the knobs and the YAML of a draft."""
        outlook = outlook_of(drafted_plan(data, choice, drafted.recipe), drafted.wrong)
        if goes_on(choice, drafted.recipe):
            said = f"{outlook.sentence} It goes on from {choice.parent}, the tuned model that people voted on."
            outlook = replace(outlook, sentence=said)
        token = secrets.token_hex(8)
        text = "Not ready" if outlook.reasons else "Start training"
        start = start_button(text, free=not outlook.reasons, token=token)
        states = drafted.states
        about = about_model(entry_for(choice.model), drafted.recipe)
        states["model"] = replace(states["model"], note=about)
        shown = recipe_card(yaml.safe_dump(to_dict(drafted.recipe), sort_keys=False)) if not drafted.wrong else NOTHING
        return {
            self.ready: ready_card(outlook, start=start),
            self.recipe: joined([shown, knob_data(states, serial=token, received=received)]),
        }

    def act(self, act: Act, view: View) -> Updates:
        """A knob was changed, or Start was clicked."""
        project = self.parts.project(view)
        if project is None or project.training is None or view.choice is None:
            return {}
        data, choice = project.training_path, view.choice
        drafted = draft(plan_for(data, choice), act.fields)
        if act.do == "start":
            return self.begin(project, view, drafted, act)
        return self._drafted(data, choice, drafted, received=act.fields)

    def begin(self, project: Project, view: View, drafted: Draft, act: Act) -> Updates:
        """Start a run in a process of its own, once for each token of the button."""
        data, choice = project.training_path, view.choice or Choice(default_model())
        plan = drafted_plan(data, choice, drafted.recipe)
        outlook = outlook_of(plan, drafted.wrong)
        if outlook.reasons:
            raise UsageError("This cannot be trained as it is.", found=" ".join(outlook.reasons)[:400])

        name = self.starts.once(act.get("token"), lambda: begin_run(project, plan, choice).path.name)
        shown = self._drafted(data, choice, drafted, received=act.fields)
        return self.parts.show(replace(view, run=name, asking="")) | shown


def _adapters(choice: Choice) -> list[tuple[str, str]]:
    """Earlier adapters of this base, to go on from."""
    found = {choice.start_from: f"{choice.parent} (voted on)"} if choice.start_from else {}
    for run in known_runs():
        if run.adapter.is_dir() and str(status_of(run).get("model")) == choice.model:
            found.setdefault(str(run.adapter), f"{run.path.name} ({model_title(choice.model)})")
    return list(found.items())


def no_data() -> Markup:
    """What to do where there are no examples."""
    return html("Choose your examples first. {}", link(address("data"), "Go to Data"))
