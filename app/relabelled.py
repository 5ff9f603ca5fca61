"""Labels that people call wrong, put right in the files of a project: what would change, and the change itself.

The files as they were stay, and the Data page takes the change back. What was measured before stays as it was measured.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from advisor.human import Mark, Relabelling, relabel
from app.components.markup import counted
from app.versions import with_rows
from app.workspace import Project, Role, Workspace
from dataset_tools.errors import DataError

_ROLES: tuple[Role, ...] = ("training", "test")


@dataclass(frozen=True)
class Correction:
    """What labels that are put right change in one of a project's files.

    Attributes:
        role: which file it is.
        name: what the user calls it.
        relabelling: what changes, with its diff.
    """

    role: Role
    name: str
    relabelling: Relabelling


def corrections(project: Project | None, marks: Sequence[Mark]) -> list[Correction]:
    """What marks would change in a project's training and test rows; nothing is written.

    A file that cannot be read, or that has none of the marked rows, has nothing to be changed.
    """
    found = []
    for role in _ROLES if project is not None and marks else ():
        stored = getattr(project, role)
        if project is None or stored is None:
            continue
        try:
            planned = relabel(project.path_of(stored), marks)
        except DataError:
            continue
        if planned.diffs:
            found.append(Correction(role, stored.name, planned))
    return found


def put_right(project: Project, marks: Sequence[Mark]) -> tuple[Project, str]:
    """Change the labels in the project's files; the project then, and what was done, in words.

    Raises:
        DataError: none of the marked rows is in them (any more), or nobody said what is right.
    """
    planned = corrections(project, marks)
    if not planned:
        raise DataError(
            "There is no label left to put right.",
            found="none of these rows is in the project's files as they are now",
            next_step="Look at the Data page: they may have been changed already.",
        )
    done = []
    for each in planned:
        target = project.folder / f"{each.role}-{secrets.token_hex(3)}.jsonl"
        relabel(project.path_of(getattr(project, each.role)), marks, out=target)
        what = f"{counted(len(each.relabelling.diffs), 'label')} put right in {each.name}"
        project = with_rows(project, each.role, target, what=what)
        done.append(what)
    return project, f"{', '.join(done)}."


def project_behind(workspace: Workspace, source: str) -> Project | None:
    """The project whose rows a comparison or a run used, by the folder of that one; None where there is none."""
    if not source:
        return None
    folder = Path(source).resolve()
    runs = [*workspace.comparisons(), *workspace.runs()]
    run = next((run for run in runs if run.path.resolve() == folder), None)
    return workspace.owner_of(run) if run is not None else None
