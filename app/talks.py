"""The conversation of the Evaluate page, with all who answer it: held by the open page, kept so that a reload shows it.

    <project>/side-by-side.json    the conversation of a project's page; in the home where there is no project

It lies on this machine's disk alone and never in the browser, which must not hold it where somebody votes blind. It
asks nobody.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_args

from app.asking import Conversation, Pane
from app.speakers import Speaker
from app.streaming import StopReason, Streamed
from app.workspace import Project, Workspace
from dataset_tools.errors import FittingRoomError, RunError
from dataset_tools.example import Message
from dataset_tools.writing import write_text_atomically

_FILE = "side-by-side.json"


@dataclass(frozen=True)
class Turn:
    """What was said, and the answers to it, in the order of the panes."""

    said: str
    panes: tuple[Pane, ...]

    @property
    def whole(self) -> bool:
        """Whether all have answered."""
        return all(pane.told is not None for pane in self.panes)


@dataclass(frozen=True)
class Talk:
    """A conversation: who answers, and the turns so far.

    Attributes:
        speakers: the ids of those that answer.
        turns: the turns.
        differences: whether the words are marked in which answers differ.
        url: the endpoint's address, where one answers.
        model: the model's name there.
    """

    speakers: tuple[str, ...] = ()
    turns: tuple[Turn, ...] = ()
    differences: bool = False
    url: str = ""
    model: str = ""

    def heard(self, pane: int, said: str) -> Conversation:
        """What one of them has heard once this is said: its own answers, and nobody else's."""
        messages = []
        for turn in self.turns:
            messages += [Message("user", turn.said), Message("assistant", turn.panes[pane].text)]
        return (*messages, Message("user", said))

    def is_about(self, run: str) -> bool:
        """Whether a run, or a checkpoint of it, is among those that answer."""
        return any(name == f"run:{run}" or name.startswith(f"step:{run}:") for name in self.speakers)


def kept_talk(workspace: Workspace, project: Project | None) -> Talk | None:
    """The conversation that was kept; None where there is none, or none that can be read."""
    try:
        values = json.loads(_place(workspace, project).read_text("utf-8"))
        turns = tuple(Turn(str(turn["said"]), tuple(map(_pane, turn["panes"]))) for turn in values["turns"])
        speakers = tuple(map(str, values["speakers"]))
        if any(len(turn.panes) != len(speakers) for turn in turns):
            return None
        return Talk(speakers, turns, url=str(values["url"]), model=str(values["model"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def keep_talk(workspace: Workspace, project: Project | None, talk: Talk) -> None:
    """Keep a conversation in place of the one before; one without a turn is none."""
    place = _place(workspace, project)
    if not talk.turns:
        place.unlink(missing_ok=True)
        return
    turns = [{"said": turn.said, "panes": list(map(_plain, turn.panes))} for turn in talk.turns]
    values = {"speakers": list(talk.speakers), "url": talk.url, "model": talk.model, "turns": turns}
    place.parent.mkdir(parents=True, exist_ok=True)
    write_text_atomically(place, json.dumps(values) + "\n")


def _place(workspace: Workspace, project: Project | None) -> Path:
    return (project.folder if project is not None else workspace.root) / _FILE


def _plain(pane: Pane) -> dict[str, Any]:
    speaker = pane.speaker
    who = {"id": speaker.id, "title": speaker.title, "model": speaker.model, "url": speaker.url}
    told, error = pane.told, pane.error
    return {
        **who,
        "text": pane.text,
        "told": asdict(told) if told is not None else None,
        "error": error.to_dict() if error is not None else None,
    }


def _pane(values: Mapping[str, Any]) -> Pane:
    """A pane as it was kept. Its speaker is for reading: whoever is asked next is looked up anew."""
    name, title, model, url = (str(values[key]) for key in ("id", "title", "model", "url"))
    speaker = Speaker(name, title, model, url=url)
    if values["told"] is not None:
        told = Streamed(**values["told"])
        if told.reason not in get_args(StopReason):
            raise ValueError(told.reason)
        return Pane(speaker, "done", str(values["text"]), told)
    given = {name: value for name, value in (values["error"] or {}).items() if name != "kind"}
    error = FittingRoomError(**given) if given else _left()
    return Pane(speaker, "failed", str(values["text"]), error=error)


def _left() -> RunError:
    return RunError("The page was left before this was answered.", next_step="Your words stand below: ask again.")
