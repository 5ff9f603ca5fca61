"""What the sections of the Train page share: what one open page shows, and what of the page they can use."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.comparisons import request_of
from app.components.actions import Act
from app.components.wiring import on_steps
from app.jobs import Jobs
from app.pages.train.drafting import Choice
from app.run_reading import EventLogs, known_runs
from app.workspace import Project, Workspace
from training.runs.folder import RunFolder

Updates = dict[Any, Any]


@dataclass(frozen=True)
class View:
    """What one open page shows.

    ``choice`` decides the recipe of the form, which is ``formed`` once it was sent; ``asking`` is the question that is
    open about the run (stop, delete, force); ``compared`` are the runs whose losses are laid over each other, along
    ``axis``; ``everything`` is whether all runs are listed, and not the newest alone.
    """

    project: str = ""
    run: str = ""
    choice: Choice | None = None
    formed: bool = False
    open_methods: bool = False
    asking: str = ""
    compared: tuple[str, ...] = ()
    axis: str = "step"
    logarithmic: bool = False
    logarithmic_overlay: bool = False
    everything: bool = False


@dataclass
class PageParts:
    """What a section needs of the page around it.

    Attributes:
        workspace: The projects.
        logs: The events of runs.
        jobs: Work that goes on in the server: runs that are asked to stop.
        view: The component that holds what the page shows.
        notice: Where errors are shown.
        shown: All components that `show` gives values for.
        show: The whole page for a view.
    """

    workspace: Workspace
    logs: EventLogs = field(default_factory=EventLogs)
    jobs: Jobs = field(default_factory=Jobs)
    view: Any = None
    notice: Any = None
    shown: Sequence[Any] = ()
    show: Callable[[View], Updates] = lambda view: {}

    @property
    def base(self) -> dict[str, Any]:
        """For `on` and `on_act`: small events, answered at once."""
        return {"outputs": self.shown, "notice": self.notice, "direct": True}

    def project(self, view: View) -> Project | None:
        """The project of a page; None where there is none (any more)."""
        found = self.workspace.project(view.project) if view.project else None
        return found if found is not None and found.id == view.project else None

    def run(self, view: View) -> RunFolder | None:
        """The run of a page, looked up among those there are."""
        return self.run_named(view.run)

    def run_named(self, name: str) -> RunFolder | None:
        """The run of this id; None where there is none (any more)."""
        return next((run for run in known_runs() if run.path.name == name), None) if name else None

    def titles(self) -> dict[str, str]:
        """What the projects are called that runs were started from, by the run."""
        projects = self.workspace.projects()
        return {name: project.title for project in reversed(projects) for name in project.runs}

    def comparison_titles(self, comparisons: Sequence[RunFolder]) -> dict[str, str]:
        """What the projects are called whose rows these comparisons use, by the comparison."""
        titles = {project.folder: project.title for project in self.workspace.projects()}
        folders = {run.path.name: Path(str(request_of(run.path).get("data"))).parent for run in comparisons}
        return {name: titles[folder] for name, folder in folders.items() if folder in titles}


class Section(ABC):
    """A tab of the page, with its own components."""

    outputs: Sequence[Any] = ()

    @abstractmethod
    def build(self, gr: Any) -> None:
        """Lay the components out; `outputs` are those that `show` gives values for."""

    @abstractmethod
    def wire(self, parts: PageParts) -> None:
        """Say what happens when they are used."""

    @abstractmethod
    def show(self, view: View) -> Updates:
        """What they show."""


def on_slow_act(
    trigger: Any,
    callback: Callable[..., Iterator[Updates]],
    *,
    inputs: Sequence[Any],
    outputs: Sequence[Any],
    notice: Any,
) -> Any:
    """Like `app.components.actions.on_act`, for a callback that takes a while and says how far it is."""
    import gradio as gr

    def run(event, *values):  # type: ignore[no-untyped-def]  # typed below: Gradio is not imported with this module
        yield from callback(Act.of(event._data), *values)

    run.__annotations__ = {"event": gr.EventData, "return": dict}
    return on_steps(trigger, run, inputs=inputs, outputs=outputs, notice=notice)


def changed(updates: Mapping[Any, Any], sent: Mapping[str, int]) -> tuple[Updates, dict[str, int]]:
    """The texts among the updates that are not what was sent last, and what was sent then.

    Args:
        updates: Components and their texts.
        sent: A hash of the text that each component was sent last, by its id.
    """
    marks = {str(part._id): hash(str(value)) for part, value in updates.items()}
    fresh = {part: value for part, value in updates.items() if sent.get(str(part._id)) != marks[str(part._id)]}
    return fresh, {**sent, **marks}
