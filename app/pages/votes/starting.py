"""The form that starts a blind session from a finished comparison. It is emptied where somebody votes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from advisor.human import Session, from_comparison
from app.comparisons import read_result
from app.components.cards import empty, link, section
from app.components.layout import address
from app.components.markup import html
from app.components.wiring import asked_for, number_in
from app.workspace import Workspace, created, find
from dataset_tools import UsageError
from training.runs.folder import RunFolder

Updates = dict[Any, Any]
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
                        label="Votes wanted", placeholder="as many as pairs differ, 194 at most", elem_id="votes-wanted"
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
        self.inputs = [self.comparison, self.arms, self.title, self.wanted, self.rubric]
        self.outputs = [self.whole, self.nothing, self.fields, self.comparison, self.arms, self.title]

    def fill(self) -> Updates:
        """The form with the comparisons that have two approaches to show; the newest one of the project is chosen."""
        import gradio as gr

        known = self._finished()
        owner = self.workspace.project(asked_for("project"))
        own = [run for run in known if owner is not None and self.workspace.owner_of(run) == owner]
        chosen = next(iter([*own, *known]), None)
        go = html(
            "No finished comparison yet. {}", link(address("compare", project=owner.id if owner else None), "Compare")
        )
        choices = [(self._label(run), run.path.name) for run in known]
        return {
            self.whole: gr.Column(visible=True),
            self.nothing: "" if known else empty(go),
            self.fields: gr.Column(visible=bool(known)),
            self.comparison: gr.Dropdown(choices=choices, value=chosen.path.name if chosen else None),
            **self.choose(chosen.path.name if chosen else ""),
        }

    def choose(self, name: str) -> Updates:
        """The approaches of a comparison, the two that score highest ticked, and a title."""
        import gradio as gr

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

    def session(self, name: str, arms: Sequence[str] | None, title: str, wanted: str, rubric: str) -> Session:
        """The session that the fields ask for; it is not stored yet.

        Raises:
            UsageError: there is no such comparison, or a field holds what makes no session.
            DataError: no two answers differ.
        """
        run = find(self._finished(), name)
        if run is None:
            raise UsageError("There is no such comparison any more.", next_step="Choose another one from the list.")
        votes = number_in(wanted, "Votes wanted")
        questions = [line.strip() for line in (rubric or "").splitlines() if line.strip()]
        options: dict[str, Any] = {"title": (title or "").strip(), "questions": questions}
        return from_comparison(run.path, arms or None, votes_wanted=max(1, round(votes)) if votes else None, **options)

    def _finished(self) -> list[RunFolder]:
        return [run for run in self.workspace.comparisons() if len(_scored(read_result(run))) > 1]

    def _label(self, run: RunFolder) -> str:
        owner = self.workspace.owner_of(run)
        when = datetime.fromtimestamp(created(run)).strftime("%d %b %Y, %H:%M")
        return f"{owner.title if owner else run.path.name} · {when}"


def _scored(result: Mapping[str, Any] | None) -> list[Mapping[str, Any]]:
    """The approaches that have answered, the best first."""
    arms = [arm for arm in (result or {}).get("arms", ()) if arm.get("score") is not None and not arm.get("skipped")]
    return sorted(arms, key=lambda arm: -float(arm["score"]))
