"""The third tab of the Build page: all rows of the dataset in a table, to search, tag, write, correct and compare."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from app.components.actions import Act, act_button, acting_html, on_act
from app.components.dataset_panel import said
from app.components.markup import NOTHING, counted, html, joined
from app.components.rows import NEW, PAGE_ROWS, STATUS_WORDS, no_rows, page_of, pager, row_form, rows_table
from app.components.wiring import on
from app.drafts import draft_of
from app.question_writing import BY_HAND
from app.workspace import Project
from dataset_tools import Example, Message, ModelError, UsageError
from dataset_tools.building import Draft, DraftRow, NewRow

if TYPE_CHECKING:
    from app.pages.build.page import BuildPage, Listing, View

_MOST_ALIKE = 50
_NOTHING_YET = "No rows yet. Write one here, keep a conversation, or have questions written about your documents."
Updates = dict[Any, Any]


class RowsTab:
    """The components of the tab, and what happens when they are used."""

    def __init__(self, page: BuildPage) -> None:
        self.page = page

    def build(self, gr: Any) -> None:
        """Lay the tab out."""
        with gr.Row(equal_height=True, elem_classes="fr-line"):
            self.search = gr.Textbox(
                label="Search", placeholder="words, then Enter", min_width=160, scale=3, elem_id="search-rows"
            )
            self.status = gr.Dropdown([("Any status", "")], value="", label="Status", min_width=150, scale=2)
            self.tag = gr.Dropdown([("Any tag", "")], value="", label="Tag", min_width=150, scale=2, elem_id="tag")
        with gr.Row():
            self.new = gr.Button("Write a row", variant="primary", size="sm", min_width=150, scale=0, elem_id="new-row")
            self.take = gr.Button(
                "Take in the project's rows", size="sm", min_width=220, scale=0, visible=False, elem_id="take-in"
            )
        self.list = acting_html(elem_id="rows-table")
        self.outputs = [self.search, self.status, self.tag, self.take, self.list]

    def wire(self, base: dict[str, Any]) -> None:
        """Say what happens when the components are used."""
        view = self.page.view
        filters = [view, self.search, self.status, self.tag]
        for event in (self.search.submit, self.search.blur, self.status.input, self.tag.input):
            on(event, self.filter, inputs=filters, quiet=True, **base)
        on(self.new.click, self.write, inputs=[view], **base)
        on(self.take.click, self.take_in, inputs=[view], **base)
        acted = on_act(self.list, self.act, inputs=[view], **base)
        on(acted.then, self.compare, inputs=[view], quiet=True, **base)

    def show(self, view: View, project: Project | None) -> Updates:
        """The tab as it stands now."""
        import gradio as gr

        draft = draft_of(project) if project else None
        summary = draft.summary() if draft else None
        words = [("Any status", ""), *((word.capitalize(), status) for status, word in STATUS_WORDS.items())]
        tags = [("Any tag", ""), *((tag, tag) for tag in sorted(summary.tags))] if summary else [("Any tag", "")]
        listing = view.rows
        return {
            self.search: listing.search,
            self.status: gr.Dropdown(choices=words, value=listing.status),
            self.tag: gr.Dropdown(choices=tags, value=listing.tag if listing.tag in dict(tags).values() else ""),
            self.take: gr.Button(visible=project is not None and project.training is not None),
            self.list: self._list(listing, draft),
        }

    def _list(self, listing: Listing, draft: Draft | None) -> Any:
        form = row_form(None) if listing.editing == NEW else NOTHING
        found = rows_for(listing, draft) if draft else []
        if listing.like:
            return html('<p class="fr-status fr-working">{}</p>', "Comparing by meaning. The first time loads a model.")
        page, rows = page_of(found, listing.page, PAGE_ROWS)
        table = rows_table(rows, editing=listing.editing) if rows else no_rows(_empty(listing, draft))
        head = _selection(listing.title, len(found)) if listing.only else NOTHING
        return joined([form, head, table, pager(page, PAGE_ROWS, len(found))])

    def compare(self, view: View) -> Updates:
        """The rows like the wanted one, by meaning; by their words where the embedder is missing."""
        project, listing = self.page.project(view), view.rows
        if project is None or not listing.like:
            return {}
        alike, how = rows_like(draft_of(project), listing.like)
        title = f"The {len(alike)} rows most like “{listing.title}”, by {how}"
        table = rows_table([row for row, _ in alike], likeness={row.id: share for row, share in alike})
        shown = table if alike else no_rows("There is no other row.")
        # From here on it is an ordinary selection of rows, in which all buttons work.
        view = replace(view, rows=replace(listing, like="", only=tuple(row.id for row, _ in alike), title=title))
        return {self.page.view: view, self.list: joined([_selection(title, None), shown])}

    def filter(self, view: View, search: str, status: str, tag: str) -> Updates:
        """Show the rows that fit a filter."""
        before = view.rows
        listing = replace(before, search=search or "", status=status or "", tag=tag or "")
        if listing == before:
            return {}
        return self.page.show(replace(view, rows=replace(listing, page=0, editing="", only=(), title="")))

    def write(self, view: View) -> Updates:
        """Open the form of a new row."""
        return self.page.show(replace(view, rows=replace(view.rows, editing=NEW, page=0)))

    def take_in(self, view: View) -> Updates:
        """Add the project's training rows."""
        return self.page.act(Act("take-in"), view)

    def act(self, act: Act, view: View) -> Updates:
        """A button of a row, of its form or of the pages."""
        listing, note = view.rows, NOTHING
        if act.do == "save" and act.get("row") == NEW:
            project, view = self.page.project_for(view)
            draft_of(project).add(new_row(act))
            return self.page.show(replace(view, rows=replace(listing, editing="")), note=said("Added one row."))
        there = self.page.project(view)
        draft, row = (draft_of(there) if there else None), act.get("row")
        if act.do == "page":
            listing = replace(listing, page=act.number("page"), editing="")
        elif act.do == "cancel":
            listing = replace(listing, editing="")
        elif act.do == "all":
            listing = replace(listing, only=(), title="", page=0)
        elif draft is None:
            return {}
        elif act.do == "edit":
            listing = replace(listing, editing=row)
        elif act.do == "like":
            title = draft.row(row).example.question[:80]
            listing = replace(listing, like=row, title=title, editing="", page=0)
        else:
            note = said(self._change(draft, act))
            listing = replace(listing, editing="")
        return self.page.show(replace(view, rows=listing), note=note)

    def _change(self, draft: Draft, act: Act) -> str:
        """Change a row; what was done, in words."""
        row = act.get("row")
        if act.do == "save":
            return save_row(draft, act)
        if act.do == "accept":
            draft.set_status(row, "accepted")
        elif act.do == "reject":
            draft.set_status(row, "rejected", reason=BY_HAND)
        elif act.do == "delete":
            draft.delete(row)
        done = {"accept": "Accepted", "reject": "Rejected", "delete": "Deleted"}.get(act.do)
        return f"{done} one row. Undo takes it back." if done else ""


def rows_for(listing: Listing, draft: Draft) -> list[DraftRow]:
    """The rows that a listing shows, on all its pages, the newest first."""
    status: Any = listing.status or None
    rows = draft.rows(status, listing.tag or None, search=listing.search)[::-1]
    if not listing.only:
        return rows
    by_id = {row.id: row for row in rows}
    return [by_id[row_id] for row_id in listing.only if row_id in by_id]


def rows_like(draft: Draft, row_id: str) -> tuple[list[tuple[DraftRow, float]], str]:
    """The rows most like one, each with its likeness, and what it goes by: ``meaning`` or ``words``."""
    from advisor.retrieval.embedding import embed

    row = draft.row(row_id)
    try:
        found, how = draft.find_similar(row, _MOST_ALIKE, embed=embed), "meaning"
    except ModelError:
        found, how = draft.find_similar(row, _MOST_ALIKE), "words"
    return [(similar.row, similar.similarity) for similar in found], how


def new_row(act: Act) -> NewRow:
    """The row of a form.

    Raises:
        UsageError: what is asked or the answer is missing.
    """
    texts = {name: _text(act, name) for name in ("system", "prompt", "answer")}
    for name, what in (("prompt", "What is asked"), ("answer", "The wanted answer")):
        if not texts[name].strip():
            raise UsageError(f"{what} is missing.", next_step="Write it, then add the row.")
    system = [Message("system", texts["system"])] if texts["system"].strip() else []
    messages = (*system, Message("user", texts["prompt"]), Message("assistant", texts["answer"]))
    return NewRow(example=Example(messages), tags=_tags(act))


def save_row(draft: Draft, act: Act) -> str:
    """Give a row the texts and the tags of its form; what was done, in words.

    Raises:
        UsageError: a text is empty that must not be, or the row is gone.
    """
    row = draft.row(act.get("row"))
    example = row.example
    messages = [_with_text(message, act, f"m{at}") for at, message in enumerate(example.messages)]
    worse = [_with_text(message, act, f"r{at}") for at, message in enumerate(example.rejected)]
    draft.edit(row.id, replace(example, messages=tuple(messages), rejected=tuple(worse)))
    tags = set(_tags(act))
    draft.tag(row.id, add=tags - set(row.tags), remove=set(row.tags) - tags)
    return "Saved. Undo takes it back."


def _with_text(message: Message, act: Act, name: str) -> Message:
    text = _text(act, name) if name in act.fields else message.content
    if not text.strip() and message.content.strip() and message.role != "system":
        raise UsageError("A text of this row is empty.", next_step="Write it, delete the row, or cancel.")
    return replace(message, content=text)


def _text(act: Act, name: str) -> str:
    return act.fields.get(name, "").strip("\r\n").replace("\r\n", "\n")


def _tags(act: Act) -> tuple[str, ...]:
    tags = (" ".join(tag.split()) for tag in act.fields.get("tags", "").replace("\n", ",").split(","))
    return tuple(sorted({tag for tag in tags if tag}))


def _selection(title: str, count: int | None) -> Any:
    text = title if count is None else f"{counted(count, 'row')}: {title}"
    return html('<div class="fr-acts fr-selection"><b>{}</b>{}</div>', text, act_button("all", "Show all rows"))


def _empty(listing: Listing, draft: Draft | None) -> str:
    if listing.only:
        return "None of these rows is there any more."
    some: Sequence[DraftRow] = draft.rows() if draft else ()
    return "No row fits this filter." if some else _NOTHING_YET
