"""The second tab of the Evaluate page: every held-out row with all answers, to be filtered, sorted, found and used."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from advisor.human import Mark
from advisor.training_worker import scorer_for
from app.components.actions import Act, act_button, acting_html, on_act
from app.components.cards import empty, link, section
from app.components.corrections import correction_note, put_right_note
from app.components.held_out_rows import PAGE_ROWS, Open, held_out_table, score_tiles
from app.components.layout import address
from app.components.markup import NOTHING, counted, html
from app.components.runs import when
from app.components.voting import not_while_voting
from app.components.wiring import number_in, on, on_steps
from app.components.working import Tell, while_working
from app.drafts import draft_of
from app.held_out import (
    BASE,
    FILTERS,
    ORDERS,
    TUNED,
    Cell,
    Deed,
    HeldOut,
    HeldRow,
    draft_row,
    keep_answers,
    mean_scores,
    of_comparison,
    of_run,
    selected,
    usual_pair,
)
from app.models import Models
from app.relabelled import corrections, put_right
from app.workspace import Project, Workspace, created, find
from dataset_tools import Example, UsageError
from dataset_tools.errors import FittingRoomError
from training.runs.folder import RunFolder

Updates = dict[Any, Any]
_FIRST_ROWS = 8
_ABOUT = "What was asked, what was wanted, and what two of the approaches answered. None of them was trained on these."
_COMPARISON, _RUN = "comparison", "run"


@dataclass(frozen=True)
class Listing:
    """What one open page shows of the rows: which 50 of them, and what stands open."""

    page: int = 0
    opened: Open | None = None


class HeldOutRows:
    """The components of the tab, and what happens when they are used."""

    def __init__(self, workspace: Workspace, models: Models) -> None:
        self.workspace, self.models = workspace, models

    def build(self, gr: Any) -> None:
        """Lay the tab out."""
        self.listing, self.marks = gr.State(Listing()), gr.State(())
        gr.HTML(section("All held-out rows", _ABOUT))
        self.source = gr.Dropdown([], label="Rows of", visible=False, elem_id="held-source")
        with gr.Row(visible=False, equal_height=False, elem_classes="fr-line") as self.asking:
            self.count = gr.Slider(1, 2, value=1, step=1, label="Rows to answer", scale=2, elem_id="held-count")
            self.answer = gr.Button("Answer with both", variant="primary", scale=1, elem_id="answer-both")
        self.status = gr.HTML()
        with gr.Column(visible=False) as self.tools:
            with gr.Row():
                self.one = gr.Dropdown([], label="Look at", elem_id="held-one", min_width=200)
                self.other = gr.Dropdown([], label="Against", elem_id="held-other", min_width=200)
                self.order = gr.Dropdown(list(ORDERS), value="file", label="Order", elem_id="held-order", min_width=160)
            self.which = gr.Radio(list(FILTERS), value="all", show_label=False, container=False, elem_id="held-filter")
            with gr.Row():
                self.search = gr.Textbox(
                    label="Search", placeholder="words, then Enter", max_length=200, elem_id="held-search", scale=3
                )
                self.jump = gr.Textbox(
                    label="Jump to row", placeholder="number", max_length=9, elem_id="held-jump", scale=1
                )
        self.note = acting_html(elem_id="held-note")
        self.rows = acting_html(elem_id="rows")
        shown = [self.listing, self.asking, self.count, self.tools, self.one, self.other, self.rows, self.note]
        self.outputs = [self.source, *shown, self.marks, self.which, self.search]
        self.asked = [self.source, self.one, self.other, self.which, self.order, self.search]

    def wire(self, notice: Any) -> None:
        """Say what happens when the components are used."""
        base: dict[str, Any] = {"outputs": self.outputs, "notice": notice, "direct": True}
        on(self.source.input, self.choose, inputs=[self.source], **base)
        for part in (self.one.input, self.other.input, self.which.input, self.order.input, self.search.submit):
            on(part, self.look, inputs=self.asked, **base)
        on(self.jump.submit, self.go_to, inputs=[*self.asked, self.jump], **base)
        on_act(self.note, self.mend, inputs=[self.source, self.marks], **base)
        on_act(self.rows, self.act, inputs=[*self.asked, self.listing, self.marks], **base)
        steps: dict[str, Any] = {"outputs": [*self.outputs, self.status, self.answer], "notice": notice}
        on_steps(self.answer.click, self.answer_rows, inputs=[self.source, self.count], **steps)

    def open(self, project: Project | None, run: str | None) -> Updates:
        """The tab as the page is opened: the run of the address, else the project's newest comparison, else a run."""
        import gradio as gr

        found = self._choices()
        choices = [(label, value) for label, value, _ in found]
        named = f"{_RUN}:{run}"
        own = [value for _, value, owner in found if project is not None and owner == project]
        values = [value for _, value in choices]
        chosen = next((value for value in (named, *own, *values) if value in values), None)
        nothing = {
            self.source: gr.Dropdown(choices=choices, value=chosen, visible=bool(choices)),
            self.tools: gr.Column(visible=False),
            self.asking: gr.Row(visible=False),
            self.rows: nothing_held_out(project.id if project else None),
        }
        return nothing if chosen is None else nothing | self.choose(chosen)

    def hidden(self) -> Updates:
        """The tab where somebody votes blind: away, and nothing in it that names an approach or holds an answer."""
        import gradio as gr

        return {
            self.source: gr.Dropdown(choices=[], value=None, visible=False),
            self.one: gr.Dropdown(choices=[], value=None),
            self.other: gr.Dropdown(choices=[], value=None),
            self.tools: gr.Column(visible=False),
            self.asking: gr.Row(visible=False),
            self.note: NOTHING,
            self.marks: (),
            self.rows: not_while_voting(),
        }

    def choose(self, source: str) -> Updates:
        """Turn to the rows of another comparison or run."""
        import gradio as gr

        held = self._held(source)
        one, other = usual_pair(held, mean_scores(held))
        arms = [(title, name) for name, title in held.arms.items()]
        kept = len(self._kept_back(source))
        return {
            self.one: gr.Dropdown(choices=arms, value=one or None),
            self.other: gr.Dropdown(choices=arms, value=other or None),
            self.tools: gr.Column(visible=bool(held.rows)),
            self.asking: gr.Row(visible=kept > 0),
            self.count: gr.Slider(maximum=max(2, kept), value=min(_FIRST_ROWS, max(1, kept)), visible=kept > 1),
            self.which: "all",
            self.search: "",
            self.marks: (),
            **self._shown(held, Listing(), one=one, other=other, kept=kept),
        }

    def look(
        self, source: str, one: str | None, other: str | None, which: str | None, order: str | None, search: str | None
    ) -> Updates:
        """The rows that fit another filter, order or search."""
        asked: dict[str, Any] = {"which": which or "all", "order": order or "file", "search": search or ""}
        return self._shown(self._held(source), Listing(), one=one or "", other=other or "", **asked)

    def go_to(self, source: str, *values: Any) -> Updates:
        """The page with a row, which is brought into view.

        Raises:
            UsageError: there is no such row, or the filter leaves it out.
        """
        *asked, number = values
        wanted, held = number_in(number, "Jump to row"), self._held(source)
        if wanted is None:
            return {}
        row = held.row(round(wanted))
        if row is None:
            raise UsageError("There is no such row.", found=f"row {wanted:g}", expected=f"1 to {len(held.rows):,}")
        found = _selected(held, *asked)
        if row not in found:
            raise UsageError(
                "This row does not fit the filter and the search.",
                found=f"row {row.number}",
                next_step="Show all rows, then jump again.",
            )
        return self._page(held, found, *asked, listing=Listing(found.index(row) // PAGE_ROWS, Open(row.number)))

    def act(self, act: Act, source: str, *values: Any) -> Updates:
        """A button of a row, of its form, or of the pages."""
        *asked, listing = values[:6]
        marks: tuple[Mark, ...] = values[6] if len(values) > 6 else ()
        held = self._held(source)
        found, note = _selected(held, *asked), NOTHING
        if act.do == "page":
            listing = Listing(act.number("page"))
        elif act.do in ("fix", "label"):
            listing = replace(listing, opened=Open(act.number("row"), act.do))
        elif act.do in ("add", "save-fix", "save-label"):
            marks, note = self._keep(source, held, act, marks)
            listing = replace(listing, opened=None)
        else:
            listing = replace(listing, opened=None)
        return {**self._page(held, found, *asked, listing=listing), self.marks: marks, self.note: note}

    def mend(self, act: Act, source: str, marks: Sequence[Mark]) -> Updates:
        """Put the labels that were called wrong right in the project's files, or close what is said of them.

        Raises:
            DataError: the rows are not there any more.
        """
        run = self._of(source)
        owner = self.workspace.owner_of(run) if run else None
        if act.do != "put-right" or owner is None:
            return {self.note: NOTHING, self.marks: ()}
        project, done = put_right(owner, marks)
        return {self.note: put_right_note(project.id, done), self.marks: ()}

    def answer_rows(self, source: str, count: float) -> Iterator[Updates]:
        """Have the base and the tuned model answer rows that a run kept back; the answers are kept in its folder."""
        run = self._of(source)
        examples = self._kept_back(source)[: int(count)]
        if run is None or not examples:
            raise UsageError("There is no row to answer.", next_step="Choose a run that kept rows back.")
        yield {self.answer: _button("Answering…", free=False)}
        arms: dict[str, list[Cell]] = {}
        try:
            for name, title in ((BASE, "The base"), (TUNED, "The tuned model")):
                work = partial(self._cells, run, examples, name == TUNED)
                saying = f"{title} answers {counted(len(examples), 'row')}"
                arms[name] = yield from while_working(self.status, saying, work)
        except FittingRoomError:
            yield {self.status: "", self.answer: _button("Answer with both", free=True)}
            raise
        yield {self.status: "", self.answer: _button("Answer with both", free=True)}
        keep_answers(run, examples, arms)
        yield self.choose(source)

    def _cells(self, run: RunFolder, examples: Sequence[Example], tuned: bool, tell: Tell) -> list[Cell]:
        prompts, wanted = [example.prompt for example in examples], [example.completion for example in examples]
        adapter = (run.adapter if run.adapter.is_dir() else run.path / "model") if tuned else None
        told = self.models.answer(
            str(run.status()["model"]),
            prompts,
            adapter=adapter,
            wanted=wanted,
            progress=lambda done, total: tell(done),
        )
        # The run's own metric, else that of all its rows' kind: never of the few that are asked.
        score = scorer_for(run.read_rows("train"), metric=run.status().get("metric"))
        scores = score(examples, [answer.text for answer in told])
        return [Cell(answer.text, score, answer.stopped) for answer, score in zip(told, scores, strict=True)]

    def _keep(self, source: str, held: HeldOut, act: Act, marks: tuple[Mark, ...]) -> tuple[tuple[Mark, ...], Any]:
        """Put a row among those that the project builds, where it waits; what was done, in words.

        A wrong label is put right in the file that the row is from instead, where the project has that file: the labels
        called wrong so far are given back, and what they change is said.

        Raises:
            UsageError: there is no such row, or its answer is empty.
        """
        row = held.row(act.number("row"))
        deeds: dict[str, Deed] = {"add": "add", "save-fix": "fix", "save-label": "label"}
        deed = deeds[act.do]
        if row is None:
            raise UsageError("There is no such row.", next_step="Reload the page.")
        text = row.wanted if deed == "add" else act.fields.get("text", "").strip("\r\n").replace("\r\n", "\n")
        if not text.strip():
            raise UsageError("The answer is empty.", next_step="Write it, then save.")
        if deed == "label" and text.strip() == row.wanted.strip():
            raise UsageError("This is what the label says already.", next_step="Write what it should be.")
        run = self._of(source)
        owner = self.workspace.owner_of(run) if run else None
        if deed == "label" and owner is not None:
            own = marked(row, text)
            wrong = (*(mark for mark in marks if mark.key != own.key), own)
            if corrections(owner, [own]):
                return wrong, correction_note(owner.title, counted(len(wrong), "label"), corrections(owner, wrong))
        project = owner or self.workspace.project(None) or self.workspace.create()
        new = draft_row(held, row, deed, text)
        draft = draft_of(project)
        if new.example not in {other.example for other in draft.rows()}:
            draft.add(new)
        return marks, kept_note(held, row, project)

    def _shown(
        self,
        held: HeldOut,
        listing: Listing,
        *,
        one: str,
        other: str,
        which: str = "all",
        order: str = "file",
        search: str = "",
        kept: int = 0,
    ) -> Updates:
        found = selected(held, one=one, other=other, which=which, order=order, search=search)
        shown = self._page(held, found, one, other, which, order, search, listing=listing)
        if not held.rows and kept:
            shown[self.rows] = empty(f"{counted(kept, 'row')} held out. Press the button to read both answers.")
        elif not held.rows:
            shown[self.rows] = empty("This run kept no row back.")
        return {**shown, self.note: NOTHING}

    def _page(self, held: HeldOut, found: Sequence[HeldRow], *asked: Any, listing: Listing) -> Updates:
        one, other = asked[0] or "", asked[1] or ""
        last = max(0, (len(found) - 1) // PAGE_ROWS)
        listing = replace(listing, page=min(listing.page, last))
        table = held_out_table(held, found, page=listing.page, one=one, other=other, opened=listing.opened)
        checked = " They checked this run while it trained, so its score on them is a little too good."
        said = "" if held.tests else checked
        facts = html('<p class="fr-quiet fr-note">{} of {:,}.{}</p>', counted(len(found), "row"), len(held.rows), said)
        above = score_tiles(held, found, one=one, other=other) if one in held.arms and other in held.arms else NOTHING
        return {self.listing: listing, self.rows: html("{}{}{}", above, facts if held.rows else NOTHING, table)}

    def _choices(self) -> list[tuple[str, str, Project | None]]:
        """The comparisons and the tuned runs, each kind the newest first: label, value, and whose rows they use."""
        compared = [run for run in self.workspace.comparisons() if (run.path / "items.jsonl").is_file()]
        tuned = [run for run in self.workspace.runs() if run.adapter.is_dir() or (run.path / "model").is_dir()]
        kinds = [("Comparison", _COMPARISON, run) for run in compared] + [("Run", _RUN, run) for run in tuned]
        return [
            (f"{kind}: {_named(run, owner)}", f"{name}:{run.path.name}", owner)
            for kind, name, run in kinds
            for owner in (self.workspace.owner_of(run),)
        ]

    def _of(self, source: str | None) -> RunFolder | None:
        """The comparison or the run that a source names."""
        kind, _, name = (source or "").partition(":")
        return find(self.workspace.comparisons() if kind == _COMPARISON else self.workspace.runs(), name)

    def _held(self, source: str | None) -> HeldOut:
        """The rows of a source.

        Raises:
            UsageError: it is not there (any more).
        """
        run = self._of(source)
        if run is None:
            raise UsageError("This is not there any more.", next_step="Choose another one from the list.")
        read = of_comparison if (source or "").startswith(_COMPARISON) else of_run
        return read(run, _named(run, self.workspace.owner_of(run)))

    def _kept_back(self, source: str | None) -> list[Example]:
        """The rows that a run kept back; none of a comparison, which has answered its own."""
        run = self._of(source)
        if run is None or (source or "").startswith(_COMPARISON) or not (run.path / "validation.jsonl").is_file():
            return []
        return run.read_rows("validation")


def _named(run: RunFolder, owner: Project | None) -> str:
    return f"{owner.title if owner else run.path.name}, {when(created(run))}"


def _selected(
    held: HeldOut, one: str | None, other: str | None, which: str | None, order: str | None, search: str | None
) -> list[HeldRow]:
    asked = {"which": which or "all", "order": order or "file", "search": search or ""}
    return selected(held, one=one or "", other=other or "", **asked)


def kept_note(held: HeldOut, row: HeldRow, project: Project) -> Any:
    """Says where a row waits now, and why it is no training row yet."""
    kind = "a test row" if held.tests else "a row that was held out"
    return html(
        '<div class="fr-card fr-warn"><h3>Row {} waits among the rows built for {}</h3><p>It is {}: nothing is trained '
        "on it while it waits. Accept it on Build only if you take it out of what you measure with, or the next score "
        'will be too good.</p><div class="fr-links">{}{}</div></div>',
        row.number,
        project.title,
        kind,
        link(address("build", project=project.id), "See it on Build"),
        act_button("close", "Close"),
    )


def marked(row: HeldRow, right: str) -> Mark:
    """A row whose wanted answer is wrong."""
    return Mark(row.prompt, row.wanted, right.strip(), said=(right.strip(),))


def nothing_held_out(project: str | None) -> Any:
    """What to do where nothing was measured yet."""
    go = link(address("compare", project=project), "Go to Compare", main=True)
    return empty(html("No comparison and no tuned model yet. {}", go))


def _button(text: str, *, free: bool) -> Any:
    import gradio as gr

    return gr.Button(text, interactive=free)
