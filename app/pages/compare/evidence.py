"""What comes after the verdict: three numbers, the chart, the table, folds with the rest, and the rows to read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from app.comparisons import read_items, read_result
from app.components import evidence
from app.components.cards import link, next_steps, section
from app.components.charts import cost_chart, curve_chart, scores_chart
from app.components.layout import address
from app.components.markup import NOTHING, counted, html, joined
from app.components.results import FILTERS, arms_table, best_arm, facts_line, filtered, items_view, pairs_table
from app.components.wiring import on
from app.workspace import Workspace, find
from training.runs.folder import RunFolder

_PAGE_ROWS = 5
_FOLDS = (
    ("gaps", "What holds the model back"),
    ("cost", "What it costs, and what would change the advice"),
    ("curve", "Would more rows help?"),
    ("holding", "Why this verdict, and how far to trust the scores"),
    ("setups", "How each approach was set up"),
    ("labels", "Which label was answered for which"),
    ("pairs", "Each pair on the same rows"),
)
_FIT = "() => { for (const wait of [30, 200, 600]) setTimeout(() => window.dispatchEvent(new Event('resize')), wait); }"
_DOWNLOADS = ("items.csv", "result.json", "report.md")


class Evidence:
    """The part of the page below the verdict."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace

    def build(self, gr: Any) -> None:
        """Lay the components out."""
        self.page = gr.State(0)
        with gr.Column(visible=False) as self.column:
            self.numbers = gr.HTML()
            self.chart = gr.Plot(show_label=False, elem_classes="fr-plot")
            self.tables = gr.HTML()
            self.folds: dict[str, Any] = {}
            self.texts: dict[str, Any] = {}
            self.charts: dict[str, Any] = {}
            for name, title in _FOLDS:
                with gr.Accordion(
                    title, open=False, visible=False, elem_id=f"fold-{name}", elem_classes="fr-panel fr-evidence"
                ) as self.folds[name]:
                    if name in ("cost", "curve"):
                        self.charts[name] = gr.Plot(show_label=False, visible=False)
                    self.texts[name] = gr.HTML()
                    if name == "curve":
                        self.losses = gr.Plot(show_label=False, visible=False)
            gr.HTML(section("Row by row", "What was asked, what was wanted, and what each approach answered."))
            self.filter = gr.Radio(list(FILTERS), value="differ", show_label=False, container=False, elem_id="filter")
            self.items = gr.HTML(elem_id="items")
            with gr.Row(elem_classes="fr-pager"):
                self.previous = gr.Button("← Previous", size="sm", min_width=110, scale=0)
                self.following = gr.Button("Next →", size="sm", min_width=110, scale=0)
                self.place = gr.HTML()
        self._turned = [self.page, self.items, self.place, self.previous, self.following]
        self.outputs = [self.column, self.numbers, self.chart, self.tables, self.filter, *self._turned]
        self.outputs += [*self.folds.values(), *self.texts.values(), *self.charts.values(), self.losses]

    def wire(self, comparison: Any, notice: Any) -> None:
        """Say what happens when the rows are filtered or turned over."""
        rows: dict[str, Any] = {"outputs": self._turned, "notice": notice, "quiet": True, "direct": True}
        inputs = [comparison, self.filter, self.page]
        for name in self.charts:  # drawn while folded away, a chart does not know its width
            self.folds[name].expand(None, js=_FIT)
        on(self.filter.change, lambda name, which, page: self.rows(name, which, 0), inputs=inputs, **rows)
        on(self.previous.click, lambda name, which, page: self.rows(name, which, page - 1), inputs=inputs, **rows)
        on(self.following.click, lambda name, which, page: self.rows(name, which, page + 1), inputs=inputs, **rows)

    def show(self, run: RunFolder | None, result: Mapping[str, Any] | None) -> dict[Any, Any]:
        """All of it for a result; nothing without one."""
        import gradio as gr

        if run is None or result is None:
            return {self.column: gr.Column(visible=False)}
        several = sum(not arm["skipped"] for arm in result["arms"]) > 1
        which = "differ" if several else "all"
        return {
            self.column: gr.Column(visible=True),
            self.numbers: joined(
                [evidence.conditions_card(result), evidence.judge_card(result), evidence.number_tiles(result)]
            ),
            self.chart: scores_chart(result, best_arm(result)),
            self.tables: tables(result, downloads(run)),
            self.filter: which,
            **self._folds(run, result),
            **self.rows(run.path.name, which, 0),
        }

    def _folds(self, run: RunFolder, result: Mapping[str, Any]) -> dict[Any, Any]:
        """The folds; one that has nothing to say is not there."""
        import gradio as gr

        texts = fold_texts(result)
        charts = {"cost": cost_chart(result, read_items(run)), "curve": curve_chart(result)}
        titles = dict(_FOLDS) | ({"gaps": evidence.gaps_title(result)} if texts["gaps"] else {})
        there = {name: bool(texts[name]) or charts.get(name) is not None for name in titles}
        shown: dict[Any, Any] = {self.texts[name]: text for name, text in texts.items()}
        shown |= {
            self.folds[name]: gr.Accordion(label=title, open=False, visible=there[name])
            for name, title in titles.items()
        }
        losses = curve_chart(result, loss=True)
        shown[self.losses] = gr.Plot(losses, visible=True) if losses is not None else gr.Plot(visible=False)
        return shown | {
            self.charts[name]: gr.Plot(figure, visible=True) if figure is not None else gr.Plot(visible=False)
            for name, figure in charts.items()
        }

    def rows(self, name: str, which: str, page: int) -> dict[Any, Any]:
        """A page of the test rows that fit a filter."""
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


def fold_texts(result: Mapping[str, Any]) -> dict[str, Markup]:
    """What each fold says, by its name; empty where a result has nothing for it."""
    return {
        "gaps": evidence.gap_profile(result),
        "cost": evidence.cost_text(result),
        "curve": evidence.curve_text(result),
        "holding": evidence.holding(result),
        "setups": evidence.setups_table(result),
        "labels": evidence.confusion_table(result),
        "pairs": pairs_table(result) if result["pairs"] else NOTHING,
    }


def downloads(run: RunFolder) -> Markup:
    """The report, to be read in a tab of its own, and the files to take along."""
    report = html(
        '<a class="fr-button" href="/report/{}" target="_blank" rel="noopener">Open the report</a>', run.path.name
    )
    files = [
        link(f"/download/{run.path.name}/{name}", f"Download {name}")
        for name in _DOWNLOADS
        if (run.path / name).is_file()
    ]
    return joined([report, *files] if (run.path / "report.html").is_file() else files)


def tables(result: Mapping[str, Any], files: Markup) -> Markup:
    """Scores and costs, what was measured, and the files."""
    return joined([arms_table(result), facts_line(result), html('<div class="fr-links">{}</div>', files)])


def next_links(result: Mapping[str, Any], ids: dict[str, str | None]) -> Markup:
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
