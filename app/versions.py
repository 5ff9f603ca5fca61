"""What is done to a project's rows on the Data page: columns said, rows mended, a split taken over, all of it undone.

Each of these makes new files; none that is there is written again, so a run that used it still finds it. It decides
nothing about the rows: that is done by `dataset_tools`.
"""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path

from app.components.markup import counted
from app.row_reading import fields_of
from app.workspace import Change, Project, Role, StoredFile
from dataset_tools import UsageError
from dataset_tools.conversion import convert
from dataset_tools.fixes import Needs, apply_fixes
from dataset_tools.fixes.applying import Progress
from dataset_tools.reading import Reading

_TOOLS = "tools"
_CHANGED = ", changed here"  # behind the title of an example that is one no more


def own_rows(project: Project) -> Path:
    """The training rows in the columns that they were brought with.

    Raises:
        UsageError: there are none yet.
    """
    return project.folder / project.training.own if project.training else project.training_path


def said_columns(project: Project) -> dict[str, str] | None:
    """Which columns of the training rows hold what, where the user said so."""
    columns = project.training.columns if project.training else None
    return dict(columns) if columns else None


def said_reading(project: Project) -> Reading | None:
    """Which sheet the training rows are on, or in which encoding, where the user said so."""
    reading = project.training.reading if project.training else None
    return Reading(**reading) if reading else None


def with_reading(project: Project, reading: Reading | None) -> Project:
    """Read the training rows so from now on; None to have it guessed. Columns stay said where they are still there.

    Raises:
        DataError: no row can be read so; then nothing is changed.
        UsageError: there is no such sheet, the text is in another encoding, or there are no training rows.
    """
    source = own_rows(project)
    if project.training is None:
        return project
    said = None if reading in (None, Reading()) else reading
    brought = StoredFile(project.training.own, project.training.name, reading=asdict(said) if said else None)
    columns = said_columns(project)
    if columns and not set(columns.values()) <= set(fields_of(source, reading=said)):
        columns = None
    training = _readable(project, "training", brought, columns)
    return replace(_own(project), training=training).save()


def with_columns(project: Project, columns: Mapping[str, str]) -> Project:
    """Read the training rows by these columns from now on, and the test rows too where these have the same ones.

    Raises:
        DataError: no training row can be read so; then nothing is changed.
        UsageError: there are no training rows.
    """
    if project.training is None:
        own_rows(project)
        return project
    training = _readable(project, "training", project.training, columns)
    test = project.test
    if test is not None and _has_columns(project.folder / test.own, columns):
        test = _readable(project, "test", test, columns)
    return replace(_own(project), training=training, test=test).save()


def fixed(
    project: Project,
    fixes: Collection[str] | None,
    *,
    drop_bad: bool = False,
    needs: Needs | None = None,
    progress: Progress | None = None,
) -> Project:
    """Mend the training rows; the file as it was stays, for `undone`. The same project where there is nothing to do.

    Args:
        project: The project.
        fixes: The ids of the fixes; all safe ones for None.
        drop_bad: Also leave out the rows that still have an error.
        needs: What some checks ask for.
        progress: Called with the number of rows seen, now and then.

    Raises:
        UsageError: there are no rows, or a guess about the whole file has to be confirmed.
        DataError: no row would be left.
    """
    source, columns = own_rows(project), said_columns(project)
    target = _new_file(project, "training")
    result = apply_fixes(
        source,
        target,
        fixes=fixes,
        drop_bad=drop_bad,
        columns=columns,
        needs=needs,
        reading=said_reading(project),
        progress=progress,
    )
    if not (result.changed or result.dropped or result.counts):
        target.unlink()
        result.log.unlink(missing_ok=True)
        return project
    done = [f"{counted(result.changed, 'row')} mended" if result.changed else "", _left_out(result.dropped)]
    what = ", ".join(filter(None, done)) or "the file was written anew"
    rejects = result.rejects.name if result.rejects else None
    return _changed(project, f"{what[0].upper()}{what[1:]}", rows=target, rejects=rejects)


def with_split(project: Project, folder: Path) -> Project:
    """Take a split over: its ``train.jsonl`` as training rows, its ``test.jsonl`` as test rows.

    Raises:
        UsageError: the folder holds no split of the present rows with a test set.
    """
    train, test = folder / "train.jsonl", folder / "test.jsonl"
    if not (train.is_file() and test.is_file() and _source_of(folder) == own_rows(project).name):
        raise UsageError(
            "There is no split of these rows with test rows in it.", next_step="Split the rows, then use the parts."
        )
    rows, held_out = _new_file(project, "training"), _new_file(project, "test")
    shutil.copyfile(train, rows)
    shutil.copyfile(test, held_out)
    return _changed(project, "Split into training and test rows", rows=rows, test=held_out)


def with_rows(project: Project, role: Role, rows: Path, *, what: str) -> Project:
    """Take a changed file in the project's folder over as its training or test rows; `undone` takes it back.

    Args:
        project: The project, with rows of this role.
        role: Which rows they are.
        rows: The file; it is read without being told its columns.
        what: What was done, for people.

    Raises:
        UsageError: there are no training rows.
    """
    own_rows(project)
    before, training = getattr(project, role), project.training
    assert before is not None and training is not None
    own = replace(_own(project), history=(*project.history, Change(what, training, project.test)))
    stored = StoredFile(rows.name, before.name)
    return (replace(own, training=stored) if role == "training" else replace(own, test=stored)).save()


def undone(project: Project) -> Project:
    """The project as it was before its last change.

    Raises:
        UsageError: nothing was changed.
    """
    if not project.history:
        raise UsageError("There is nothing to undo.")
    *earlier, last = project.history
    title = project.title if earlier else project.title.removesuffix(_CHANGED)
    return replace(project, title=title, training=last.training, test=last.test, history=tuple(earlier)).save()


def tools_folder(project: Project) -> Path:
    """Where the Data page writes what is only to be downloaded."""
    return project.folder / _TOOLS


def downloads(project: Project) -> dict[str, Path]:
    """The files of a project that can be downloaded, by their places in it."""
    return {name: path for name, path in _files(project) if path.is_file()}


def _files(project: Project) -> Iterator[tuple[str, Path]]:
    for stored in (project.training, project.test, *(change.training for change in project.history)):
        if stored is not None:
            yield stored.file, project.folder / stored.file
            yield stored.own, project.folder / stored.own
    for change in project.history:
        if change.rejects:
            yield change.rejects, project.folder / change.rejects
    for path in tools_folder(project).rglob("*"):
        yield path.relative_to(project.folder).as_posix(), path


def _changed(
    project: Project, what: str, *, rows: Path, test: Path | None = None, rejects: str | None = None
) -> Project:
    """The project with other rows, which can be undone."""
    before = project.training
    assert before is not None
    change = Change(what, before, project.test, rejects)
    columns = before.columns
    training = _stored(project, "training", rows, name=before.name, columns=columns)
    held_out = _stored(project, "test", test, name="held out here", columns=columns) if test else project.test
    return replace(_own(project), training=training, test=held_out, history=(*project.history, change)).save()


def _own(project: Project) -> Project:
    """The project as the user's own: the example that it was is made anew when it is asked for."""
    return replace(project, example=None, title=f"{project.title}{_CHANGED}") if project.example else project


def _stored(project: Project, role: Role, rows: Path, *, name: str, columns: Mapping[str, str] | None) -> StoredFile:
    stored = StoredFile(rows.name, name)
    return _readable(project, role, stored, columns) if columns else stored


def _readable(project: Project, role: Role, stored: StoredFile, columns: Mapping[str, str] | None) -> StoredFile:
    """The file with a copy that is read without being told its columns, sheet or encoding, where it takes one."""
    source, target = project.folder / stored.own, _new_file(project, role)
    reading = Reading(**stored.reading) if stored.reading else None
    if columns:
        to = "messages" if "system" in columns else "prompt_completion"
        convert(source, target, to=to, columns=columns, reading=reading)
    elif reading:
        written = apply_fixes(source, target, reading=reading, fixes=["encoding"])
        for beside in (written.log, written.rejects):
            if beside is not None:
                beside.unlink()
    else:
        return StoredFile(stored.own, stored.name)
    return StoredFile(
        target.name, stored.name, source=stored.own, columns=dict(columns) if columns else None, reading=stored.reading
    )


def _source_of(split: Path) -> str:
    """The name of the file that a split was made from; each file of rows has one of its own."""
    return str(json.loads((split / "split.json").read_text("utf-8"))["source"])


def _has_columns(path: Path, columns: Mapping[str, str]) -> bool:
    return set(columns.values()) <= set(fields_of(path))


def _new_file(project: Project, role: Role) -> Path:
    return project.folder / f"{role}-{secrets.token_hex(3)}.jsonl"


def _left_out(rows: int) -> str:
    return f"{counted(rows, 'row')} left out" if rows else ""
