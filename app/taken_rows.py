"""Test rows that were taken for training go out of the project's test rows, so that no score rests on them any more.

Whoever takes them is told to put others in their place; which ones is theirs to say.
"""

from __future__ import annotations

import secrets

from advisor.human import Feedback, Session, taken_and_left, write_replaced_test_set
from app.components.markup import counted
from app.versions import with_rows
from app.workspace import Project
from dataset_tools.errors import DataError


def without_taken(project: Project | None, session: Session, feedback: Feedback) -> Project | None:
    """The project without the test rows that examples were made of; as it was where it has no test rows of its own.

    The file as it was stays, and the Data page takes the change back.

    Args:
        project: the project whose rows the session is about, if there is one.
        session: the session.
        feedback: what its votes became, with test rows among them.

    Raises:
        DataError: no test row would be left.
    """
    if project is None or project.test_path is None or not feedback.to_replace:
        return project
    taken, left = taken_and_left(session, feedback, test=project.test_path)
    if not taken:  # they went out before
        return project
    if not left:
        raise DataError(
            "No test row would be left to measure with.",
            where=project.title,
            found=f"{counted(taken, 'test row')}, all of them taken for training",
            next_step="Bring other test rows on the Data page first, or leave these out of training.",
        )
    target = project.folder / f"test-{secrets.token_hex(3)}.jsonl"
    done = write_replaced_test_set(session, feedback, test=project.test_path, out=target)
    return with_rows(project, "test", target, what=f"{counted(done.dropped, 'test row')} taken for training")
