"""The first tab of the Evaluate page: one prompt, several turns, and all that shall answer beside each other.

The conversation is kept (`app.talks`), so that a page that is loaded anew shows it again, until a new one is begun.
What is worth learning from goes to the rows that the project builds.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from app.asking import Asking, Conversation, Pane
from app.components.actions import Act, acting_html, on_act
from app.components.cards import empty, link, section
from app.components.layout import address
from app.components.markup import NOTHING, counted, html
from app.components.panes import decoding_note, panes_view
from app.components.voting import not_while_voting
from app.components.wiring import on, on_steps
from app.drafts import draft_of
from app.models import Models
from app.speakers import ENDPOINT, Speakers
from app.talks import Talk, Turn, keep_talk, kept_talk
from app.workspace import Project, Workspace
from dataset_tools import Example, Message, UsageError
from dataset_tools.building import NewRow

Updates = dict[Any, Any]
_LONGEST, _MOST_PANES = 8000, 4
_SECONDS_BETWEEN_LOOKS = 0.25
_SECONDS_TO_STOP = 1.0  # for what was written to be kept, where the page is left in the middle of it
_ABOUT = "One prompt, several turns. Compare with the base at its best prompt: that is what tuning has to beat."


class SideBySide:
    """The components of the tab, and what happens when they are used."""

    def __init__(self, workspace: Workspace, models: Models) -> None:
        self.workspace, self.models = workspace, models
        self.speakers = Speakers(workspace)
        self._asking: dict[str, Asking] = {}

    def build(self, gr: Any) -> None:
        """Lay the tab out."""
        self.talk, self.token = gr.State(Talk()), gr.State("")
        gr.HTML(section("Side by side", _ABOUT))
        self.who = gr.Dropdown(
            [], multiselect=True, max_choices=_MOST_PANES, label="Who answers (two or more)", elem_id="who"
        )
        with gr.Row(visible=False, elem_id="side-endpoint") as self.remote:
            self.url = gr.Textbox(label="Address", placeholder="http://localhost:11434/v1", min_width=240)
            self.name = gr.Textbox(label="The model's name there", placeholder="qwen3:4b", min_width=180)
        self.decoding = gr.HTML(decoding_note(remote=False))
        self.panes = acting_html(elem_id="answers")
        self.note = gr.HTML(elem_id="side-note")
        with gr.Row(equal_height=True, elem_classes="fr-say"):
            self.text = gr.Textbox(
                show_label=False,
                container=False,
                lines=2,
                max_lines=12,
                max_length=_LONGEST,
                elem_id="prompt",
                scale=5,
                placeholder="Type a prompt. Shift+Enter sends it.",
            )
            # Free once the page knows who can answer; see `show`.
            self.send = gr.Button(
                "Ask all", variant="primary", min_width=100, scale=0, interactive=False, elem_id="ask-both"
            )
            self.stop = gr.Button("Stop", visible=False, min_width=100, scale=0, elem_id="stop-asking")
        with gr.Row(elem_classes="fr-say"):
            self.back = gr.Button(
                "Undo last turn", size="sm", min_width=140, scale=0, interactive=False, elem_id="undo-turn"
            )
            self.fresh = gr.Button("New conversation", size="sm", min_width=160, scale=0, elem_id="fresh-talk")
            self.differ = gr.Button("Show differences", size="sm", min_width=160, scale=0, elem_id="show-differences")
        self.outputs = [self.talk, self.who, self.remote, self.decoding, self.panes, self.note, self.text]
        self.outputs += [self.send, self.stop, self.back, self.fresh, self.differ, self.url, self.name]

    def wire(self, project: Any, notice: Any) -> None:
        """Say what happens when the components are used; ``project`` holds the id of the page's project."""
        asked = [self.talk, project, self.who, self.url, self.name, self.text]
        steps: dict[str, Any] = {"inputs": asked, "outputs": [*self.outputs, self.token], "notice": notice}
        on_steps(self.send.click, self.ask, **steps)
        on_steps(self.text.submit, self.ask, **steps)
        base: dict[str, Any] = {"outputs": self.outputs, "notice": notice, "direct": True}
        on(self.stop.click, self.halt, inputs=[self.token], **base)
        on(self.who.change, self.choose, inputs=[self.talk, self.who], **base, quiet=True)
        on(self.back.click, self.take_back, inputs=[self.talk, project], **base)
        on(self.fresh.click, self.begin_anew, inputs=[self.talk, project], **base)
        on(self.differ.click, self.toggle, inputs=[self.talk], **base)
        on_act(self.panes, self.act, inputs=[self.talk, project], **base)

    def open(self, project: Project | None, run: str | None) -> Updates:
        """The tab as the page is opened: the conversation that was kept, else who answers a new one.

        That is the base at its best prompt, and the run that was asked for or the newest. Where a run is asked for that
        has no part in the conversation that was kept, it is a new one too.
        """
        import gradio as gr

        kept = kept_talk(self.workspace, project)
        talk = kept if kept is not None and (run is None or kept.is_about(run)) else Talk()
        known = self.speakers.all(project, run=run, also=talk.speakers)
        choices = [(speaker.title, speaker.id) for speaker in known] + [("A model at an endpoint", ENDPOINT)]
        ids = [name for _, name in choices]
        chosen = [name for name in talk.speakers if name in ids] or first_choice(ids, run)
        talk = talk if talk.turns else Talk(tuple(chosen))
        broken = {self.text: talk.turns[-1].said} if talk.turns and not talk.turns[-1].whole else {}
        remote = ENDPOINT in chosen
        return {
            self.who: gr.Dropdown(choices=choices, value=chosen, multiselect=True),
            self.remote: gr.Row(visible=remote),
            self.decoding: decoding_note(remote=remote),
            self.url: talk.url,
            self.name: talk.model,
            **self.show(talk),
            **broken,
        }

    def hidden(self) -> Updates:
        """The tab where somebody votes blind: nothing in it names who could have answered."""
        import gradio as gr

        who = gr.Dropdown(choices=[], value=[], multiselect=True)
        emptied = {self.who: who, self.url: "", self.name: "", self.text: ""}
        return {**emptied, **self.show(Talk()), self.panes: not_while_voting()}

    def show(self, talk: Talk, *, busy: bool = False, note: object = NOTHING) -> Updates:
        """The conversation as it stands."""
        import gradio as gr

        turns = [(turn.said, turn.panes) for turn in talk.turns]
        words = "Hide differences" if talk.differences else "Show differences"
        return {
            self.talk: talk,
            self.panes: panes_view(turns, free=not busy, differences=talk.differences),
            self.note: note,
            self.send: gr.Button(visible=not busy, interactive=True),
            self.stop: gr.Button(visible=busy),
            self.back: gr.Button(interactive=bool(turns) and not busy),
            self.fresh: gr.Button(interactive=not busy),
            self.differ: gr.Button(words, interactive=bool(turns) and not busy),
        }

    def choose(self, talk: Talk, ids: Sequence[str] | None) -> Updates:
        """Others shall answer: the next prompt begins a new conversation."""
        import gradio as gr

        remote = ENDPOINT in (ids or ())
        new = bool(talk.turns) and tuple(ids or ()) != talk.speakers
        said = "Others answer from here on: your next prompt begins a new conversation."
        return {
            self.remote: gr.Row(visible=remote),
            self.decoding: decoding_note(remote=remote),
            self.note: html('<p class="fr-quiet">{}</p>', said) if new else NOTHING,
        }

    def ask(
        self, talk: Talk, project: str, ids: Sequence[str] | None, url: str, model: str, text: str
    ) -> Iterator[Updates]:
        """Say something, and show the answers as they come. Nothing can be done with them before all are there."""
        text = (text or "").strip("\n")[:_LONGEST]
        if not text.strip():
            raise UsageError("There is no prompt yet.", next_step="Type one, then ask all.")
        if len(ids or ()) < 2:
            raise UsageError("Two or more have to answer.", next_step="Choose another one beside.")
        there = self._project(project)
        speakers = self.speakers.chosen(list(ids or ()), there, url=url or "", model=model or "")
        names = tuple(speaker.id for speaker in speakers)
        before = tuple(turn for turn in talk.turns if turn.whole) if names == talk.speakers else ()
        talk = replace(talk, speakers=names, turns=before, url=url or "", model=model or "")
        asked = [(speaker, talk.heard(place, text)) for place, speaker in enumerate(speakers)]
        token, asking = secrets.token_hex(8), Asking(self.models, asked)
        self._asking[token] = asking
        now = replace(talk, turns=(*before, Turn(text, tuple(asking.panes))))
        keep_talk(self.workspace, there, now)
        try:
            yield {**self.show(now, busy=True), self.token: token, self.text: "", self.talk: talk}
            while not asking.wait(_SECONDS_BETWEEN_LOOKS):
                yield {self.panes: self.show(now, busy=True)[self.panes]}
        finally:  # also where the page was left
            asking.stop()
            self._asking.pop(token, None)
            asking.wait(_SECONDS_TO_STOP)
            keep_talk(self.workspace, there, now)
        failed = {} if now.turns[-1].whole else {self.text: text}
        yield {**self.show(now), **failed}

    def halt(self, token: str) -> Updates:
        """Stop the answers; what is written of them stands."""
        asking = self._asking.get(token)
        if asking is not None:
            asking.stop()
        return {}

    def take_back(self, talk: Talk, project: str) -> Updates:
        """Take the last turn back; its words stand in the field again."""
        if not talk.turns:
            return {}
        before = replace(talk, turns=talk.turns[:-1])
        keep_talk(self.workspace, self._project(project), before)
        return {**self.show(before), self.text: talk.turns[-1].said}

    def begin_anew(self, talk: Talk, project: str) -> Updates:
        """A new conversation of the same; the one before is not kept any longer."""
        fresh = replace(talk, turns=())
        keep_talk(self.workspace, self._project(project), fresh)
        return {**self.show(fresh), self.text: ""}

    def toggle(self, talk: Talk) -> Updates:
        """Mark the words in which answers differ from the first one, or no longer."""
        return self.show(replace(talk, differences=not talk.differences))

    def act(self, act: Act, talk: Talk, project: str) -> Updates:
        """A button under an answer: keep it as a row, or as better than the others."""
        turn, pane = act.number("turn"), act.number("pane")
        if act.do not in ("keep", "best") or not (turn < len(talk.turns) and pane < len(talk.turns[turn].panes)):
            return {}
        rows = kept_rows(talk, turn, pane) if act.do == "keep" else kept_pairs(talk, turn, pane)
        there = self.workspace.project(project or None) or self.workspace.create()
        draft = draft_of(there)
        known = {row.example for row in draft.rows()}
        new = [row for row in rows if row.example not in known]
        draft.add_all(new)
        what = counted(len(new), "preference pair" if act.do == "best" else "row") if new else "Nothing: it is there"
        said = html(
            '<p class="fr-status">Added to the rows built for {}: {}. {}</p>',
            there.title,
            what,
            link(address("build", project=there.id), "See them on Build"),
        )
        return {self.note: said}

    def _project(self, project: str) -> Project | None:
        found = self.workspace.project(project) if project else None
        return found if found is not None and found.id == project else None


def first_choice(known: Sequence[str], run: str | None) -> list[str]:
    """Who answers on a page that is opened: the base at its best prompt, else bare; and the run, else the newest one.

    Args:
        known: The ids of all that can.
        run: The run that the address names.
    """
    best = [name for name in known if name.startswith("best:")]
    bare = [name for name in known if name.startswith("base:")]
    tuned = [name for name in known if name.startswith("run:")]
    own = [f"run:{run}"] if f"run:{run}" in tuned else tuned
    return [*(best or bare)[:1], *own[:1]] if own else [*bare[:1], *best[:1]]


def kept_rows(talk: Talk, turn: int, pane: int) -> list[NewRow]:
    """The conversation up to an answer, as a row to learn from."""
    answer = talk.turns[turn].panes[pane].text
    return [NewRow(example=Example((*_before(talk, turn, pane), Message("assistant", answer))), source="chat")]


def kept_pairs(talk: Talk, turn: int, pane: int) -> list[NewRow]:
    """Pairs in which an answer is better than each other whole one, as far as these say something else.

    Raises:
        UsageError: the answer was broken off, or no whole one says something else.
    """
    panes = [other for other in talk.turns[turn].panes if _is_whole(other)]
    if not _is_whole(talk.turns[turn].panes[pane]):
        raise UsageError("This answer was broken off.", next_step="Ask again, and let it come to its end.")
    best = talk.turns[turn].panes[pane].text
    others = dict.fromkeys(other.text for other in panes if other.text.strip() not in ("", best.strip()))
    if not others:
        raise UsageError(
            "No other whole answer says something else here.",
            next_step="Keep the answer as a row, or ask something else.",
        )
    messages = (*_before(talk, turn, pane), Message("assistant", best))
    examples = [Example(messages, rejected=(Message("assistant", other),)) for other in others]
    return [NewRow(example=example, source="chat", tags=("preference",)) for example in examples]


def _is_whole(pane: Pane) -> bool:
    """Whether an answer is all that the model says in the tokens it has: not one that was stopped or broken off."""
    return pane.told is not None and pane.told.reason != "stopped"


def _before(talk: Talk, turn: int, pane: int) -> Conversation:
    return replace(talk, turns=talk.turns[:turn]).heard(pane, talk.turns[turn].said)


def nothing_tuned(project: str | None) -> object:
    """Says what is missing where nothing is tuned yet, and what can be done all the same."""
    go = link(address("train", project=project), "Go to Train")
    return empty(html("No tuned model yet. You can read the base beside an endpoint here. {}", go))
