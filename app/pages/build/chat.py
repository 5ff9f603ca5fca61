"""The first tab of the Build page: talk to a model, correct it, and keep the conversation as a row."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from app.components.actions import Act, acting_html, on_act
from app.components.cards import error_card
from app.components.dataset_panel import said
from app.components.markup import joined
from app.components.talk import talk_state, talk_view
from app.components.wiring import on
from app.drafts import Standing, Talk, add_talk, begin_talk, change_talk, draft_of, standing
from app.jobs import Job
from app.workspace import Project
from dataset_tools import DataError, UsageError
from dataset_tools.building import Conversation

if TYPE_CHECKING:
    from app.pages.build.page import BuildPage, View

_LONGEST = 20_000  # characters of one message; a model's context is full long before
_ADD = {"new": "Add to dataset", "changed": "Update in dataset", "kept": "In the dataset"}
Updates = dict[Any, Any]


class ChatTab:
    """The components of the tab, and what happens when they are used."""

    def __init__(self, page: BuildPage) -> None:
        self.page = page

    def build(self, gr: Any) -> None:
        """Lay the tab out."""
        with gr.Accordion("System prompt", open=False):
            self.system = gr.Textbox(
                show_label=False,
                lines=2,
                max_lines=8,
                max_length=_LONGEST,
                elem_id="system-prompt",
                placeholder="Optional. It stands before the whole conversation, and in the row.",
            )
        self.talk = acting_html(elem_id="talk")
        with gr.Row(equal_height=True, elem_classes="fr-say"):
            self.text = gr.Textbox(
                show_label=False,
                container=False,
                lines=1,  # more would make Enter a new line
                max_lines=10,
                max_length=_LONGEST,
                elem_id="say",
                scale=5,
                placeholder="Say something, then Enter",
            )
            self.send = gr.Button("Send", variant="primary", min_width=90, scale=0, elem_id="send")
            self.stop = gr.Button("Stop", visible=False, min_width=90, scale=0, elem_id="stop-answer")
        with gr.Row(elem_classes="fr-say"):
            self.back = gr.Button("Undo", size="sm", min_width=80, scale=1, elem_id="undo-step", interactive=False)
            self.fresh = gr.Button("New conversation", size="sm", min_width=140, scale=1, elem_id="new-talk")
            self.add = gr.Button(
                "Add to dataset", size="sm", variant="primary", min_width=140, scale=2, elem_id="add-talk"
            )
        self.state = gr.HTML(elem_id="talk-state")
        live = [self.talk, self.state, self.send, self.stop, self.back, self.fresh, self.add]
        self.outputs = [self.system, self.text, *live]

    def wire(self, base: dict[str, Any]) -> None:
        """Say what happens when the components are used."""
        view = self.page.view
        asked = [view, self.text, self.system, self.page.model]
        on(self.send.click, self.begin, inputs=asked, **base)
        on(self.text.submit, self.begin, inputs=asked, **base)
        on(self.system.blur, self.set_system, inputs=[view, self.system], quiet=True, **base)
        on(self.stop.click, self.end, inputs=[view], **base)
        on(self.back.click, self.take_back, inputs=[view], **base)
        on(self.fresh.click, self.begin_anew, inputs=[view], **base)
        on(self.add.click, self.keep, inputs=[view, self.system], **base)
        on_act(self.talk, self.act, inputs=[view, self.page.model], **base)

    def show(self, view: View, project: Project | None) -> Updates:
        """The tab as it stands now; what is typed but not sent or left is not touched."""
        job = self._job(view)
        failed = {self.text: job.what} if job is not None and job.error and job.what else {}
        return {**failed, **self.live(view, project)}

    def read(self, view: View) -> Updates:
        """What a page that shows another project takes over from it: the system prompt."""
        project = self.page.project(view)
        try:
            return {self.system: Talk.load(project).conversation.system if project else ""}
        except DataError:
            return {self.system: ""}

    def live(self, view: View, project: Project | None) -> Updates:
        """What changes by itself while an answer is written."""
        try:
            talk = Talk.load(project) if project else Talk()
        except DataError as error:
            return {self.talk: error_card(error), **self._buttons(Conversation(), busy=False)}
        conversation, job = talk.conversation, self._job(view)
        shown = [talk_view(conversation, editing=view.turn, job=job)]
        if job is not None and job.error:
            shown.append(error_card(job.error))
        stands = standing(talk, draft_of(project)) if project and conversation.turns else "new"
        busy = job is not None and job.running
        buttons = self._buttons(conversation, busy=busy, stands=stands)
        return {self.talk: joined(shown), self.state: talk_state(conversation.turns, stands), **buttons}

    def _buttons(self, conversation: Conversation, *, busy: bool, stands: Standing = "new") -> Updates:
        import gradio as gr

        some = bool(conversation.turns) and not busy
        return {
            self.send: gr.Button(visible=not busy),
            self.stop: gr.Button(visible=busy),
            self.back: gr.Button(interactive=bool(conversation.steps) and not busy),
            self.fresh: gr.Button(interactive=not busy),
            self.add: gr.Button(_ADD[stands], interactive=some and stands != "kept"),
        }

    def begin(self, view: View, text: str, system: str, model: str) -> Updates:
        """Say something; the answer is written in the background."""
        text = text.strip("\n")
        if not text.strip():
            raise UsageError("There is nothing to send yet.", next_step="Type something first.")
        project, view = self.page.project_for(view)
        self._wait(view)
        change_talk(project, lambda talk: talk.with_system(system))
        self._start(view, project, Job(what=text), model)
        return self.page.show(replace(view, turn=None)) | {self.text: ""}

    def _start(self, view: View, project: Project, job: Job, choice: str) -> None:
        """Have a model answer a new turn, or one that was there anew, and save the answer when it is whole."""
        name, adapter, _ = self.page.chosen(choice)
        models = self.page.models

        def work(job: Job) -> None:
            before = Talk.load(project).conversation

            def generate(prompts: Any) -> list[str]:
                return [
                    models.stream(
                        name,
                        prompts[0],
                        adapter=adapter,
                        draw=job.turn is not None,
                        on_text=lambda text: setattr(job, "text", text),
                        stop=lambda: job.stopping,
                    )
                ]

            after = before.send(job.what, generate) if job.turn is None else before.regenerate(generate, turn=job.turn)
            change_talk(project, lambda _: after)

        self.page.jobs.start(self.page.key(view, "chat"), job, work)

    def act(self, act: Act, view: View, model: str) -> Updates:
        """A button of a turn."""
        project = self.page.existing(view)
        if act.do == "cancel":
            return self.page.show(replace(view, turn=None))
        self._wait(view)
        turn = act.number("turn")
        if act.do in ("edit-answer", "edit-user"):
            return self.page.show(replace(view, turn=(turn, act.do.removeprefix("edit-"))))
        if act.do == "regenerate":
            self._turn(project, turn)
            self._start(view, project, Job(turn=turn), model)
            return self.page.show(replace(view, turn=None))
        change_talk(project, lambda talk: changed(talk, act, turn))
        return self.page.show(replace(view, turn=None))

    def _turn(self, project: Project, turn: int) -> None:
        Talk.load(project).conversation.messages(turn)  # a turn that is not there is refused now, not in the background

    def set_system(self, view: View, text: str) -> Updates:
        """Keep the system prompt that was typed."""
        project = self.page.project(view)
        if project is None or self.page.jobs.running(self.page.key(view, "chat")):
            return {}
        change_talk(project, lambda talk: talk.with_system(text))
        return self.live(view, project)

    def end(self, view: View) -> Updates:
        """Stop the answer; what is written of it is kept."""
        job = self._job(view)
        if job is not None:
            job.stop()
        return {}

    def take_back(self, view: View) -> Updates:
        """Undo the last step of the conversation."""
        project = self.page.existing(view)
        self._wait(view)
        change_talk(project, lambda talk: talk.undo())
        return self.page.show(replace(view, turn=None))

    def begin_anew(self, view: View) -> Updates:
        """A new conversation under the same system prompt."""
        project, view = self.page.project_for(view)
        self._wait(view)
        begin_talk(project)
        return self.page.show(replace(view, turn=None)) | {self.text: ""}

    def keep(self, view: View, system: str) -> Updates:
        """Add the conversation to the dataset, or bring its row up to date."""
        project = self.page.existing(view)
        self._wait(view)
        change_talk(project, lambda talk: talk.with_system(system))
        return self.page.show(replace(view, turn=None), note=said(add_talk(project)))

    def _job(self, view: View) -> Job | None:
        return self.page.jobs.get(self.page.key(view, "chat"))

    def _wait(self, view: View) -> None:
        """Refuse a change while an answer is being written; forget what became of the last one."""
        key = self.page.key(view, "chat")
        if self.page.jobs.running(key):
            raise UsageError("The model is still answering.", next_step="Wait for the answer, or stop it.")
        self.page.jobs.forget(key)


def changed(talk: Conversation, act: Act, turn: int) -> Conversation:
    """The conversation after a click on one of its buttons; one that is not known changes nothing."""
    if act.do == "save-answer":
        return talk.edit_answer(act.fields.get("text", ""), turn=turn)
    if act.do == "save-user":
        return talk.edit_user(act.fields.get("text", ""), turn=turn)
    if act.do == "choose":
        return talk.choose(act.number("answer"), turn=turn)
    if act.do not in ("better", "worse"):
        return talk
    other = act.number("answer")
    talk.messages(turn)
    stands = talk.turns[turn].chosen
    return talk.prefer(other, stands, turn=turn) if act.do == "better" else talk.prefer(stands, other, turn=turn)
