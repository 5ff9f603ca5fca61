"""The form that starts a blind session: from a finished comparison, or of models that answer held-out rows now.

It is emptied where somebody votes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from advisor.human import Contestant, Session, TunedArm, from_comparison, from_contestants
from advisor.human.contestants import Telling
from advisor.human.session import require_arms
from app.comparisons import read_result
from app.components.cards import empty, link, section
from app.components.layout import address
from app.components.markup import html
from app.components.wiring import asked_for, number_in
from app.contestants import answers_folder, held_out_rows
from app.run_reading import model_title
from app.speakers import Speaker, Speakers
from app.workspace import Workspace, created, find
from dataset_tools import UsageError
from training.runs.folder import RunFolder

Updates = dict[Any, Any]
MODELS = "models"
"""What the form calls models that answer now, where a comparison's name could stand."""

_ABOUT = "Two answers to each held-out row, side by side, without names. People say which is better."


class StartForm:
    """The fields, and the session that they ask for."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace

    def build(self, gr: Any) -> None:
        """Lay the fields out."""
        with gr.Column(visible=False, elem_id="votes-form") as self.whole:
            gr.HTML(section("Start a blind session", _ABOUT))
            self.nothing = gr.HTML()
            with gr.Column(elem_classes="fr-panel", visible=False) as self.fields:
                with gr.Row():
                    self.comparison = gr.Dropdown([], label="Comparison", elem_id="votes-comparison", scale=2)
                    self.wanted = gr.Textbox(
                        label="Votes wanted", placeholder="one a pair, 194 at most", elem_id="votes-wanted"
                    )
                    self.rows = gr.Textbox(
                        label="Rows at most", placeholder="all on which the answers differ", elem_id="votes-rows"
                    )
                self.arms = gr.CheckboxGroup([], label="What to compare", elem_id="votes-arms")
                with gr.Row():
                    self.title = gr.Textbox(
                        label="Title",
                        info="Raters read it: name nothing that is compared.",
                        max_length=120,
                        elem_id="votes-title",
                    )
                    self.rubric = gr.Textbox(
                        label="Questions beside the vote",
                        info="Up to five, one a line, such as: Which is friendlier?",
                        lines=2,
                        max_lines=5,
                        max_length=1000,
                        elem_id="votes-rubric",
                    )
                self.start = gr.Button("Start the session", variant="primary", elem_id="votes-start")
        self.inputs = [self.comparison, self.arms, self.title, self.wanted, self.rubric, self.rows]
        self.outputs = [self.whole, self.nothing, self.fields, self.comparison, self.arms, self.title]

    def fill(self) -> Updates:
        """The form with the comparisons that have two approaches to show; the newest one of the project is chosen."""
        import gradio as gr

        known, tuned = self._finished(), any(speaker.run for speaker in self._models())
        owner = self.workspace.project(asked_for("project"))
        own = [run for run in known if owner is not None and self.workspace.owner_of(run) == owner]
        chosen = next((run.path.name for run in [*own, *known]), MODELS if tuned else "")
        go = html(
            "No finished comparison yet. {}", link(address("compare", project=owner.id if owner else None), "Compare")
        )
        choices = [(self._label(run), run.path.name) for run in known]
        choices += [("Models, which answer held-out rows now", MODELS)] if tuned else []
        return {
            self.whole: gr.Column(visible=True),
            self.nothing: "" if choices else empty(go),
            self.fields: gr.Column(visible=bool(choices)),
            self.comparison: gr.Dropdown(choices=choices, value=chosen or None),
            **self.choose(chosen),
        }

    def choose(self, name: str) -> Updates:
        """The approaches of a comparison, the two that score highest ticked, and a title; or the models that there are.

        Of models the newest tuned one and its base are ticked.
        """
        import gradio as gr

        if name == MODELS:
            models = self._models()
            tuned = next(model for model in models if model.run)
            ticked = [tuned.id, *(model.id for model in models if not model.run and model.model == tuned.model)]
            choices = [(model.title, model.id) for model in models]
            return {self.arms: gr.CheckboxGroup(choices=choices, value=ticked[:2]), self.title: "Blind comparison"}
        run = find(self._finished(), name)
        scored = _scored(read_result(run)) if run else []
        owner = self.workspace.owner_of(run) if run else None
        names = [arm["name"] for arm in scored]
        return {
            self.arms: gr.CheckboxGroup(choices=[(arm["title"], arm["name"]) for arm in scored], value=names[:2]),
            self.title: owner.title if owner else "Blind comparison",
        }

    def emptied(self) -> Updates:
        """The form where somebody votes: away, and nothing in it that names an approach."""
        import gradio as gr

        return {
            self.whole: gr.Column(visible=False),
            self.comparison: gr.Dropdown(choices=[], value=None),
            self.arms: gr.CheckboxGroup(choices=[], value=[]),
            self.title: "",
        }

    def session(
        self, name: str, arms: Sequence[str] | None, title: str, wanted: str, rubric: str, rows: str = ""
    ) -> Session:
        """The session that the fields ask for; it is not stored yet.

        Raises:
            UsageError: there is no such comparison, or a field holds what makes no session.
            DataError: no two answers differ.
        """
        run = find(self._finished(), name)
        if run is None:
            raise UsageError("There is no such comparison any more.", next_step="Choose another one from the list.")
        return from_comparison(run.path, arms or None, **_options(title, wanted, rubric, rows))

    def answered(self, tell: Telling, arms: Sequence[str] | None, *wishes: str) -> Session:
        """The session of models that answer now; it is not stored yet.

        They answer the test rows of the project that the first tuned one belongs to, or else the rows that this one
        kept back; none that one of them was trained on.

        Args:
            tell: told how far they are.
            arms: ids of models.
            wishes: title, votes wanted, rubric and rows at most, as the fields have them.

        Raises:
            UsageError: one of the models is gone, there are fewer than two, or a field holds what makes no session.
            DataError: there is no row for them, or no two answers differ.
            ModelError: one cannot be loaded.
        """
        options = _options(*wishes)
        chosen = Speakers(self.workspace).chosen(list(arms or ()), None)
        runs = list({model.run.path: model.run for model in chosen if model.run}.values())
        owner = self.workspace.owner_of(runs[0]) if runs else None
        test = owner.test_path if owner else None
        contestants = [Contestant(_named(model), model.model, model.adapter()) for model in chosen]
        require_arms([contestant.title for contestant in contestants])
        examples, _ = held_out_rows(runs[0] if runs else None, test, runs)
        source = str(runs[0].path) if runs else ""
        where: dict[str, Any] = {"folder": answers_folder(), "file": test, "source": source}
        return from_contestants(contestants, examples, tell=tell, **where, **options)

    def _models(self) -> list[Speaker]:
        """Those that can answer a row's own prompt on this machine."""
        return [speaker for speaker in Speakers(self.workspace).all(None) if not speaker.best]

    def _finished(self) -> list[RunFolder]:
        return [run for run in self.workspace.comparisons() if len(_scored(read_result(run))) > 1]

    def _label(self, run: RunFolder) -> str:
        owner = self.workspace.owner_of(run)
        when = datetime.fromtimestamp(created(run)).strftime("%d %b %Y, %H:%M")
        return f"{owner.title if owner else run.path.name} · {when}"


def _options(title: str, wanted: str, rubric: str, rows: str) -> dict[str, Any]:
    """How the session shall be.

    Raises:
        UsageError: a field holds no number.
    """
    votes, most = number_in(wanted, "Votes wanted"), number_in(rows, "Rows at most")
    return {
        "title": (title or "").strip(),
        "questions": [line.strip() for line in (rubric or "").splitlines() if line.strip()],
        "votes_wanted": max(1, round(votes)) if votes else None,
        "rows": max(1, round(most)) if most else None,
    }


def _named(model: Speaker) -> str:
    """What a model is called once the session is closed: ``RUN``, ``RUN@STEP``, or the base's name."""
    if model.run is None:
        return model_title(model.model)
    return TunedArm("", model.run, model.step).name


def _scored(result: Mapping[str, Any] | None) -> list[Mapping[str, Any]]:
    """The approaches that have answered, the best first."""
    arms = [arm for arm in (result or {}).get("arms", ()) if arm.get("score") is not None and not arm.get("skipped")]
    return sorted(arms, key=lambda arm: -float(arm["score"]))
