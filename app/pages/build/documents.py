"""The second tab of the Build page: documents in, candidates out, accepted or rejected one by one or by filter."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.components.actions import Act, acting_html, on_act
from app.components.cards import empty
from app.components.dataset_panel import said
from app.components.markup import NOTHING, counted, html, joined
from app.components.rows import PAGE_CANDIDATES, STATUS_WORDS, candidates_list, page_of, pager, reasons_in
from app.components.sources import honest_note, sources_table, writing_view
from app.components.wiring import number_in, on
from app.drafts import draft_of
from app.jobs import Job
from app.pages.build.rows import save_row
from app.question_writing import (
    BY_HAND,
    StopWritingError,
    Writing,
    candidates_of,
    drawn,
    outcome,
    picked,
    sources,
    state_now,
    support,
    unread,
    write,
)
from app.workspace import Project
from dataset_tools import Message, UsageError
from dataset_tools.building import DraftRow, QuestionSettings
from training.models import embedded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from app.pages.build.page import BuildPage, Listing, View

_FIRST_RUN = 20  # passages: two or three minutes with the embedded model on two cores
_MOST_QUESTIONS = 6
_NOTHING_YET = "Candidates appear here: each with its passage, what speaks for and against it, and your decision."
Updates = dict[Any, Any]


class DocumentsTab:
    """The components of the tab, and what happens when they are used."""

    def __init__(self, page: BuildPage) -> None:
        self.page = page

    def build(self, gr: Any) -> None:
        """Lay the tab out."""
        self.upload = gr.File(
            label="Documents: Markdown, text, HTML, PDF, Word",
            file_count="multiple",
            height=96,
            elem_id="build-documents",
            elem_classes="fr-small",
            interactive=False,
        )
        self.listed = acting_html(elem_id="sources")
        with gr.Row(equal_height=True, elem_classes="fr-line"):
            self.count = gr.Textbox(str(_FIRST_RUN), label="Passages at most", min_width=110, elem_id="passages")
            self.each = gr.Slider(1, _MOST_QUESTIONS, value=3, step=1, label="Questions a passage", min_width=150)
        self.verify = gr.Checkbox(
            label="Check with the model",
            info="It answers each question twice more, with and without the passage: three times as slow.",
        )
        with gr.Row():
            self.start = gr.Button("Write questions", variant="primary", elem_id="write-questions", interactive=False)
            self.stop = gr.Button("Stop", visible=False, elem_id="stop-writing", scale=0, min_width=120)
        self.progress = gr.HTML(elem_id="writing")
        self.outcome = gr.HTML(elem_id="outcome")
        with gr.Column(visible=False, elem_classes="fr-panel") as self.filters:
            self.status = gr.Radio([], show_label=False, container=False, elem_id="candidate-status")
            with gr.Row(equal_height=True):
                self.reason = gr.Dropdown([("Any reason", "")], value="", label="Reason", min_width=160)
                self.support = gr.Slider(0, 100, value=0, step=5, label="Support of at least (%)", min_width=180)
            with gr.Row():
                self.accept_all = gr.Button("Accept all", size="sm", elem_id="accept-all")
                self.reject_all = gr.Button("Reject all", size="sm", elem_id="reject-all")
        self.list = acting_html(elem_id="candidates")
        self.outputs = [self.upload, self.listed, self.start, self.stop, self.progress, self.outcome, self.filters]
        self.outputs += [self.status, self.reason, self.accept_all, self.reject_all, self.list]

    def wire(self, base: dict[str, Any]) -> None:
        """Say what happens when the components are used."""
        view = self.page.view
        on(self.upload.upload, self.take, inputs=[view, self.upload], **base)
        asked = [view, self.count, self.each, self.verify, self.page.model]
        on(self.start.click, self.begin, inputs=asked, **base)
        on(self.stop.click, self.end, inputs=[view], **base)
        filters = [view, self.status, self.reason, self.support]
        on(self.status.input, self.filter, inputs=filters, quiet=True, **base)
        on(self.reason.input, self.filter, inputs=filters, quiet=True, **base)
        on(self.support.release, self.filter, inputs=filters, quiet=True, **base)
        on(self.accept_all.click, self.accept, inputs=[view], **base)
        on(self.reject_all.click, self.reject, inputs=[view], **base)
        on_act(self.listed, self.act, inputs=[view], **base)
        on_act(self.list, self.act, inputs=[view], **base)

    def read(self, view: View) -> Updates:
        """Read the documents, which may take a while: done once the page is there."""
        import gradio as gr

        project = self.page.project(view)
        return self._sources(view, project) | {self.upload: gr.File(interactive=True)}

    def show(self, view: View, project: Project | None) -> Updates:
        """The tab as it stands now, but for the documents; see `read`."""
        import gradio as gr

        candidates = candidates_of(draft_of(project).rows()) if project else []
        counts = {status: sum(row.status == status for row in candidates) for status in STATUS_WORDS}
        choices = [(f"{word.capitalize()} ({counts[status]})", status) for status, word in STATUS_WORDS.items()]
        order = [choices[1], choices[2], choices[0], (f"All ({len(candidates)})", "")]
        reasons = [("Any reason", ""), *((reason, reason) for reason in reasons_in(candidates))]
        listing = view.candidates
        reason = listing.reason if listing.reason in dict(reasons).values() else ""
        return {
            self.filters: gr.Column(visible=bool(candidates)),
            self.status: gr.Radio(choices=order, value=listing.status),
            self.reason: gr.Dropdown(choices=reasons, value=reason),
            **self._list(listing, candidates),
            **self._progress(view, project, candidates),
        }

    def live(self, view: View, project: Project | None) -> Updates:
        """What changes by itself while questions are written; not the list while one of it is edited."""
        candidates = candidates_of(draft_of(project).rows()) if project else []
        shown = self._progress(view, project, candidates)
        return shown if view.candidates.editing else {**shown, **self._list(view.candidates, candidates)}

    def _sources(self, view: View, project: Project | None) -> Updates:
        import gradio as gr

        found = sources(project) if project else []
        read = Writing.load(project).read if project else frozenset()
        left = len(unread(project, found)) if project else 0
        some = any(source.sections for source in found)
        label = "Write questions" if left else "Read all passages again" if some else "Upload documents first"
        free = some and not self._running(view)
        return {self.listed: sources_table(found, read), self.start: gr.Button(label, interactive=free)}

    def _progress(self, view: View, project: Project | None, candidates: Sequence[DraftRow]) -> Updates:
        import gradio as gr

        state = state_now(project, self._job(view)) if project else Writing()
        running, job = state.state == "running", self._job(view)
        stopping = job is not None and job.stopping
        said_so_far = html('<p class="fr-note">{}</p>', outcome(candidates)) if candidates else NOTHING
        note = honest_note(embedded=state.model.startswith(embedded.TITLE)) if state.state != "none" else NOTHING
        shown = {
            self.progress: writing_view(state),
            self.outcome: joined([said_so_far, note]),
            self.stop: gr.Button("Stopping…" if stopping else "Stop", visible=running, interactive=not stopping),
        }
        return {**shown, self.start: gr.Button("Writing…", interactive=False)} if running else shown

    def _list(self, listing: Listing, candidates: Sequence[DraftRow]) -> Updates:
        import gradio as gr

        found = picked(candidates, status=listing.status, reason=listing.reason, least_support=listing.support / 100)
        page, rows = page_of(found, listing.page, PAGE_CANDIDATES)
        supports = {row.id: support(row) for row in rows}
        shown = candidates_list(rows, supports, editing=listing.editing)
        if not rows:
            shown = empty("No candidate fits this filter." if candidates else _NOTHING_YET)
        accept, reject = (sum(row.status != status for row in found) for status in ("accepted", "rejected"))
        return {
            self.list: joined([shown, pager(page, PAGE_CANDIDATES, len(found))]),
            self.accept_all: gr.Button(f"Accept all {accept} of this filter", interactive=accept > 0),
            self.reject_all: gr.Button(f"Reject all {reject} of this filter", interactive=reject > 0),
        }

    def take(self, view: View, uploads: list[str]) -> Updates:
        """Keep uploaded documents."""
        project, view = self.page.project_for(view)
        project = project.add_draft_documents([Path(upload) for upload in uploads])
        return {**self.page.show(view), **self._sources(view, project), self.upload: None}

    def begin(self, view: View, count: str, each: int, verify: bool, choice: str) -> Updates:
        """Have questions written in the background about passages that no model was asked about."""
        project = self.page.existing(view)
        most = number_in(count, "Passages at most")
        documents, candidates = sources(project), candidates_of(draft_of(project).rows())
        left = unread(project, documents) or [section for source in documents for section in source.sections]
        if not left:
            raise UsageError("There is no passage to read.", next_step="Upload a document first.")
        name, adapter, title = self.page.chosen(choice)
        chosen = drawn(left, int(most) if most and most >= 1 else len(left), seed=len(candidates))
        settings = QuestionSettings(per_section=max(1, min(_MOST_QUESTIONS, int(each))), verify=bool(verify))

        def work(job: Job) -> None:
            def stop_at_once(done: int, of: int) -> None:
                if job.stopping:  # asked at each token, so that Stop need not wait for the batch
                    raise StopWritingError

            def generate(prompts: Sequence[Sequence[Message]]) -> list[str]:
                answers = self.page.models.answer(name, prompts, adapter=adapter, progress=stop_at_once)
                return [answer.text for answer in answers]

            write(project, job, generate, chosen=chosen, settings=settings, model=title)

        self.page.jobs.start(self.page.key(view, "questions"), Job(total=len(chosen)), work)
        return self.page.show(replace(view, candidates=replace(view.candidates, editing="")))

    def end(self, view: View) -> Updates:
        """Ask the writing to stop; the passages that are being read are left for later."""
        import gradio as gr

        job = self._job(view)
        if job is not None:
            job.stop()
        return {self.stop: gr.Button("Stopping…", interactive=False)}

    def filter(self, view: View, status: str, reason: str, least: float) -> Updates:
        """Show the candidates that fit a filter."""
        listing = replace(view.candidates, status=status or "", reason=reason or "", support=least, page=0, editing="")
        return self.page.show(replace(view, candidates=listing))

    def accept(self, view: View) -> Updates:
        """Accept all candidates of the filter."""
        return self._decide(view, "accepted")

    def reject(self, view: View) -> Updates:
        """Reject all candidates of the filter."""
        return self._decide(view, "rejected")

    def _decide(self, view: View, status: Any) -> Updates:
        project, listing = self.page.existing(view), view.candidates
        draft = draft_of(project)
        found = picked(
            candidates_of(draft.rows()),
            status=listing.status,
            reason=listing.reason,
            least_support=listing.support / 100,
        )
        ids = [row.id for row in found if row.status != status]
        changed = draft.set_status(ids, status, reason=BY_HAND if status == "rejected" else None)
        return self.page.show(view, note=said(f"{counted(changed, 'candidate')} {status}. Undo takes it back."))

    def act(self, act: Act, view: View) -> Updates:
        """A button of a document or of a candidate."""
        project, listing = self.page.existing(view), view.candidates
        if act.do == "remove":
            project = project.remove_draft_document(act.get("file"))
            return {**self.page.show(view), **self._sources(view, project)}
        if act.do == "page":
            listing = replace(listing, page=act.number("page"), editing="")
        elif act.do == "edit":
            listing = replace(listing, editing=act.get("row"))
        elif act.do == "cancel":
            listing = replace(listing, editing="")
        elif act.do == "save":
            save_row(draft_of(project), act)
            listing = replace(listing, editing="")
        elif act.do == "accept":
            draft_of(project).set_status(act.get("row"), "accepted")
        elif act.do == "reject":
            draft_of(project).set_status(act.get("row"), "rejected", reason=BY_HAND)
        return self.page.show(replace(view, candidates=listing))

    def _job(self, view: View) -> Job | None:
        return self.page.jobs.get(self.page.key(view, "questions"))

    def _running(self, view: View) -> bool:
        return self.page.jobs.running(self.page.key(view, "questions"))
