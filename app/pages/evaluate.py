"""The Evaluate page: base and tuned answers side by side, on held-out rows and on a prompt that is typed in.

Its other tab, blind votes, is `app.pages.votes`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from app.components.actions import acting_html, found_at
from app.components.cards import empty, link, next_steps, section, tiles
from app.components.layout import address, header
from app.components.markup import counted, html, joined
from app.components.results import answer_box
from app.components.wiring import asked_for, on, on_steps
from app.components.working import working
from app.models import Models
from app.pages.train import run_label
from app.pages.votes import VotesSection
from app.workspace import Workspace, find
from dataset_tools import Example, Message, UsageError, detect_task_type
from training.runs.folder import RunFolder

if TYPE_CHECKING:
    from advisor.metrics import Metric

_ANSWERS, _VOTES = "answers", "votes"
_MOST_ROWS, _FIRST_ROWS, _LONGEST_PROMPT = 40, 8, 8000
_SOURCE_NOTE = (
    "The base model and the tuned one get the same prompt, and each gives its likeliest answer. The base has a better "
    "chance with worked examples or passages in its prompt: Compare measures it at its best."
)


class EvaluatePage:
    """The components of the page, and what happens when they are used."""

    def __init__(self, workspace: Workspace, models: Models | None = None) -> None:
        self.workspace, self.models = workspace, models or Models()
        self.votes = VotesSection(workspace)

    def build(self, blocks: Any) -> None:
        """Lay the page out and wire it."""
        import gradio as gr

        self.header = acting_html(value=header("evaluate"))
        self.notice = gr.HTML(elem_classes="fr-notice")
        with gr.Tabs(elem_id="evaluate-tabs") as self.tabs:
            with gr.Tab("Side by side", id=_ANSWERS):
                self._build_answers(gr)
            with gr.Tab("Blind votes", id=_VOTES):
                self.votes.build(gr)
        self._wire(blocks)

    def _build_answers(self, gr: Any) -> None:
        gr.HTML(section("Evaluate side by side", _SOURCE_NOTE))
        self.run = gr.Dropdown([], label="Tuned model", visible=False, elem_id="tuned")
        self.nothing = gr.HTML(working("Looking for tuned models …"))
        with gr.Column(visible=False) as self.tools:
            gr.HTML(section("Held-out rows", "Rows that the model was not trained on."))
            with gr.Row(equal_height=False, elem_classes="fr-line"):
                self.count = gr.Slider(1, _MOST_ROWS, value=_FIRST_ROWS, step=1, label="Rows", scale=2)
                self.compare = gr.Button("Answer with both", variant="primary", scale=1, elem_id="answer-both")
            self.status = gr.HTML()
            self.rows = gr.HTML(elem_id="rows")
            gr.HTML(section("Your own prompt", "Ask both the same."))
            self.prompt = gr.Textbox(
                lines=4,
                max_lines=14,
                show_label=False,
                placeholder="Type a prompt",
                elem_id="prompt",
                max_length=_LONGEST_PROMPT,
            )
            self.ask = gr.Button("Ask both", elem_id="ask-both")
            self.answers = gr.HTML(elem_id="answers")
        self.next = gr.HTML()

    def _wire(self, blocks: Any) -> None:
        opened = [self.header, self.run, self.nothing, self.tools, self.rows, self.answers, self.next]
        opened += [self.count, self.compare]
        on(blocks.load, self.open, outputs=[self.tabs, *opened], notice=self.notice, quiet=True)
        on(self.run.input, self.choose, inputs=[self.run], outputs=opened, notice=self.notice)
        rows = {"outputs": [self.status, self.rows, self.compare], "notice": self.notice}
        on_steps(self.compare.click, self.answer_rows, inputs=[self.run, self.count], **rows)
        asked = {"outputs": [self.answers, self.ask], "notice": self.notice}
        on_steps(self.ask.click, self.answer_prompt, inputs=[self.run, self.prompt], **asked)
        self.votes.wire(blocks, self.notice)

    def open(self) -> dict[Any, Any]:
        """The page as it is opened: the run of the address, else the newest one with an adapter.

        The address may name a session of votes instead: then that tab is open, and the address stays.
        """
        import gradio as gr

        runs, session = self._tuned(), asked_for("session")
        shown = self._show(find(runs, asked_for("run")) or (runs[0] if runs else None), named=not session)
        return shown | ({self.tabs: gr.Tabs(selected=_VOTES)} if session else {})

    def choose(self, name: str) -> dict[Any, Any]:
        """Turn to another run."""
        return self._show(find(self._tuned(), name))

    def answer_rows(self, name: str, count: int) -> Iterator[dict[Any, Any]]:
        """The held-out rows, answered by the base, then by the tuned model."""
        run = self._run(name)
        examples = held_out(run)[: int(count)]
        wanted = [example.completion for example in examples]
        yield self._busy(self.compare, self.status, "Loading the base model and answering…", {self.rows: ""})
        base = self._answers(run, examples, tuned=False)
        yield {
            self.rows: rows_view(examples, base, None),
            self.status: working("Loading the tuned model and answering…"),
        }
        tuned = self._answers(run, examples, tuned=True)
        scores = joined([score_tiles(base, tuned, wanted), rows_view(examples, base, tuned)])
        yield {self.rows: scores, self.status: "", self.compare: _button("Answer with both", free=True)}

    def answer_prompt(self, name: str, prompt: str) -> Iterator[dict[Any, Any]]:
        """A typed prompt, answered by both; shown when both answers are there."""
        run = self._run(name)
        if not prompt.strip():
            raise UsageError("There is no prompt yet.", next_step="Type one, then ask both.")
        yield {self.answers: working("Both are answering…"), self.ask: _button("Asking…", free=False)}
        messages = [(Message("user", prompt[:_LONGEST_PROMPT]),)]
        model = str(run.status()["model"])
        base = self.models.answer(model, messages)[0].text
        tuned = self.models.answer(model, messages, adapter=run.adapter)[0].text
        boxes = joined([answer_box("Base", base), answer_box("Tuned", tuned)])
        shown = html('<div class="fr-answers">{}</div>', boxes)
        yield {self.answers: shown, self.ask: _button("Ask both", free=True)}

    def _answers(self, run: RunFolder, examples: Sequence[Example], *, tuned: bool) -> list[str]:
        prompts, wanted = [example.prompt for example in examples], [example.completion for example in examples]
        adapter = run.adapter if tuned else None
        answers = self.models.answer(str(run.status()["model"]), prompts, adapter=adapter, wanted=wanted)
        return [answer.text for answer in answers]

    def _busy(self, button: Any, status: Any, text: str, others: dict[Any, Any]) -> dict[Any, Any]:
        return {**others, status: working(text), button: _button("Answering…", free=False)}

    def _tuned(self) -> list[RunFolder]:
        return [run for run in self.workspace.runs() if run.adapter.is_dir()]

    def _run(self, name: str) -> RunFolder:
        run = find(self._tuned(), name)
        if run is None:
            raise UsageError("There is no such tuned model.", next_step="Choose one, or train one on the Train page.")
        return run

    def _show(self, run: RunFolder | None, *, named: bool = True) -> dict[Any, Any]:
        import gradio as gr

        choices = [(run_label(self.workspace, other), other.path.name) for other in self._tuned()]
        owner = self.workspace.owner_of(run) if run else None
        project = owner.id if owner else asked_for("project")
        kept = len(held_out(run)) if run else 0
        ask = "Press the button to read both answers." if kept else "Ask both a prompt of your own below."
        place = found_at(address("evaluate", run=run.path.name, project=project)) if run and named else Markup("")
        return {
            self.header: header("evaluate", project=project) + place,
            self.run: gr.Dropdown(choices=choices, value=run.path.name if run else None, visible=bool(choices)),
            self.nothing: "" if run else nothing_yet(project),
            self.tools: gr.Column(visible=run is not None),
            self.rows: empty(f"{counted(kept, 'row')} held out. {ask}") if run else "",
            self.count: gr.Slider(maximum=max(2, kept), value=min(_FIRST_ROWS, max(1, kept)), visible=kept > 1),
            self.compare: gr.Button(interactive=kept > 0),
            self.answers: "",
            self.next: next_links(run, project) if run else "",
        }


def held_out(run: RunFolder) -> list[Example]:
    """The rows that a run kept back; none where it was started without."""
    file: Path = run.path / "validation.jsonl"
    return run.read_rows("validation")[:_MOST_ROWS] if file.is_file() else []


def metric_of(wanted: Sequence[str]) -> Metric:
    """The metric of the kind of task that the wanted answers show."""
    from advisor.metrics import metric_for

    return metric_for(detect_task_type(wanted).kind)


def scored(answers: Sequence[str], wanted: Sequence[str]) -> list[float]:
    """Each answer scored by the metric of the kind of task that the wanted answers show."""
    metric = metric_of(wanted)
    return [metric.score(answer, want) for answer, want in zip(answers, wanted, strict=True)]


def score_tiles(base: Sequence[str], tuned: Sequence[str], wanted: Sequence[str]) -> Markup:
    """Both means, out of 100. So few rows give an impression, no proof."""
    before, after, name = scored(base, wanted), scored(tuned, wanted), metric_of(wanted).name
    wins = sum(second > first for first, second in zip(before, after, strict=True))
    losses = sum(second < first for first, second in zip(before, after, strict=True))
    facts: list[tuple[str, object]] = [
        (f"base: {name} of 100", f"{100 * sum(before) / len(before):.1f}"),
        (f"tuned: {name} of 100", f"{100 * sum(after) / len(after):.1f}"),
        ("tuned better / worse", f"{wins} / {losses}"),
        ("rows: an impression, no proof", len(wanted)),
    ]
    return tiles(facts)


def rows_view(examples: Sequence[Example], base: Sequence[str], tuned: Sequence[str] | None) -> Markup:
    """Each row with the wanted answer and both answers; a dash where the tuned one is still to come."""
    wanted = [example.completion for example in examples]
    first, second = scored(base, wanted), scored(tuned, wanted) if tuned else []
    items = []
    for number, example in enumerate(examples):
        boxes = [
            answer_box("Wanted", wanted[number], target=True),
            answer_box("Base", base[number], score=first[number]),
        ]
        boxes.append(answer_box("Tuned", tuned[number], score=second[number]) if tuned else answer_box("Tuned", "…"))
        shown = (example.question, joined(boxes))
        items.append(
            html('<div class="fr-item"><div class="fr-text">{}</div><div class="fr-answers">{}</div></div>', *shown)
        )
    return joined(items)


def nothing_yet(project: str | None) -> Markup:
    """What to do where nothing is trained yet."""
    return empty(html("No tuned model yet. {}", link(address("train", project=project), "Go to Train")))


def next_links(run: RunFolder, project: str | None) -> Markup:
    """Where the journey goes on: proof on more rows, and where the adapter lies."""
    proof = link(address("compare", project=project), "Measure it against the other approaches →", main=True)
    return next_steps(proof, text=html("The adapter lies in <code>{}</code>", run.adapter))


def _button(text: str, *, free: bool) -> Any:
    import gradio as gr

    return gr.Button(text, interactive=free)
