"""What the sections of the Data page share: what they show for a project, and what of the page they can use."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from app.checking import Checked, Checks
from app.components.working import Tell, while_working
from app.workspace import Project, Workspace
from dataset_tools import FittingRoomError, UsageError

T = TypeVar("T")
Updates = dict[Any, Any]


@dataclass(frozen=True)
class PageParts:
    """What a section needs of the page around it.

    Attributes:
        workspace: The projects.
        checks: What is known of their rows.
        project: The component that holds the project's id.
        notice: Where errors are shown.
        shown: All components that `show` gives values for.
        show: The whole page for a project, for what changes its rows.
    """

    workspace: Workspace
    checks: Checks
    project: Any
    notice: Any
    shown: Sequence[Any]
    show: Callable[[Project], Updates]

    def project_of(self, project_id: str) -> Project:
        """The project of this id.

        Raises:
            UsageError: there is none with training rows.
        """
        project = self.workspace.project(project_id) if project_id else None
        if project is None or project.id != project_id or project.training is None:
            raise UsageError("There are no examples yet.", next_step="Upload a file, or choose an example.")
        return project

    def working(
        self, project: Project, part: Any, saying: str, work: Callable[[Tell], T]
    ) -> Generator[Updates, None, T]:
        """Do work on a project while `part` says how far it is; its errors name the files as the user knows them."""
        try:
            return (yield from while_working(part, saying, work))
        except FittingRoomError as error:
            raise project.in_user_words(error) from error


class Section(ABC):
    """A part of the page with its own components."""

    outputs: Sequence[Any] = ()

    @abstractmethod
    def build(self, gr: Any) -> None:
        """Lay the components out; `outputs` are those that `show` gives values for."""

    @abstractmethod
    def wire(self, parts: PageParts) -> None:
        """Say what happens when they are used."""

    @abstractmethod
    def show(self, project: Project | None, checked: Checked | None) -> Updates:
        """What they show for a project; ``checked`` is None where it has no rows that can be read."""
