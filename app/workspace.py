"""The user's projects on the disk: the files they brought, under names of ours, and what was run on them.

    <home>/projects/<id>/project.json      title, files with their original names, training runs started here
    <home>/projects/<id>/training-*.jsonl  and test-*, documents-*/: never written again once they are there
    <home>/projects/<id>/tools/            what the Data page made to be downloaded: conversions, splits, the data card
    <home>/projects/<id>/draft/            the dataset that is being built: its log, the conversation, its documents

It reads no rows and runs nothing. Ids come back from the browser as text and are looked up, never joined to a path.
"""

from __future__ import annotations

import json
import re
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from app.components.markup import sendable, shortened
from app.run_reading import known_comparisons
from dataset_tools import RunError, UsageError, write_text_atomically
from dataset_tools.errors import FittingRoomError
from training.home import home
from training.runs.folder import RunFolder
from training.runs.supervisor import runs_folder

Role = Literal["training", "test"]
_PLAIN_ROW_ENDINGS = {".jsonl", ".json", ".csv", ".tsv"}
_ROW_ENDINGS = _PLAIN_ROW_ENDINGS | {".xlsx", ".parquet", ".txt", ".gz", ".zst"}
_TEXT_ENDINGS = {".md", ".markdown", ".txt", ".text", ".rst", ".html", ".htm", ".xhtml", ".pdf", ".docx"}
_DOCUMENT_ENDINGS = _TEXT_ENDINGS | _PLAIN_ROW_ENDINGS
_LONGEST_NAME = 80


@dataclass(frozen=True)
class StoredFile:
    """A file of a project: its name on our disk, relative to the project, and the name that the user gave it.

    Where the user said which columns hold what, or which sheet or encoding it is (``reading``, as
    `dataset_tools.Reading` names them), ``source`` is the file as it was brought, and ``file`` a copy of its rows that
    is read without being told.
    """

    file: str
    name: str
    source: str | None = None
    columns: Mapping[str, str] | None = None
    reading: Mapping[str, str | None] | None = None

    @property
    def own(self) -> str:
        """The file in its own columns."""
        return self.source or self.file


@dataclass(frozen=True)
class Change:
    """What was done to the rows of a project, and the files as they were before; see `app.versions`.

    ``rejects`` is the file of the rows that were left out, if any were.
    """

    what: str
    training: StoredFile
    test: StoredFile | None = None
    rejects: str | None = None

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Change:
        """The change in its JSON form."""
        test = StoredFile(**values["test"]) if values.get("test") else None
        return cls(values["what"], StoredFile(**values["training"]), test, values.get("rejects"))


@dataclass(frozen=True)
class Project:
    """One project. Changes give a new object and are written at once."""

    folder: Path
    title: str = "Untitled"
    created: float = 0.0
    example: str | None = None
    training: StoredFile | None = None
    test: StoredFile | None = None
    documents: tuple[StoredFile, ...] = ()
    documents_at: str | None = None
    runs: tuple[str, ...] = ()
    draft_documents: tuple[StoredFile, ...] = ()
    history: tuple[Change, ...] = ()

    @property
    def id(self) -> str:
        """The name of its folder."""
        return self.folder.name

    def path_of(self, stored: StoredFile) -> Path:
        """Where a file of this project lies."""
        return self.folder / stored.file

    @property
    def training_path(self) -> Path:
        """The training rows.

        Raises:
            UsageError: none were brought yet.
        """
        if self.training is None:
            raise UsageError(
                "There are no examples yet.",
                expected="a file of training rows",
                next_step="Go to the Data page, and upload a file or choose one of the examples.",
            )
        return self.path_of(self.training)

    @property
    def test_path(self) -> Path | None:
        """The test rows, where the user brought some of their own."""
        return self.path_of(self.test) if self.test else None

    @property
    def documents_path(self) -> Path | None:
        """The folder of the documents, where there are some."""
        return self.folder / self.documents_at if self.documents_at else None

    @property
    def draft_folder(self) -> Path:
        """Where the dataset lies that is being built; made with its first row."""
        return self.folder / "draft"

    def save(self) -> Project:
        """Write project.json."""
        values = {key: value for key, value in asdict(self).items() if key != "folder"}
        write_text_atomically(self.folder / "project.json", json.dumps(values, indent=2) + "\n")
        return self

    @classmethod
    def load(cls, folder: Path) -> Project:
        """Read a project's folder.

        Raises:
            RunError: there is no project in it that can be read.
        """
        try:
            values: dict[str, Any] = json.loads((folder / "project.json").read_text("utf-8"))
            training, test = (StoredFile(**values[role]) if values.get(role) else None for role in ("training", "test"))
            documents = tuple(StoredFile(**stored) for stored in values["documents"])
            plain: dict[str, Any] = {key: values[key] for key in ("title", "created", "example", "documents_at")}
            runs = tuple(values["runs"])
            sources = tuple(StoredFile(**stored) for stored in values.get("draft_documents", ()))
            history = tuple(Change.of(change) for change in values.get("history", ()))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RunError("This project cannot be read.", where=folder.name, found=str(error)) from error
        files: dict[str, Any] = {"training": training, "test": test, "documents": documents}
        return cls(folder, runs=runs, draft_documents=sources, history=history, **files, **plain)

    def add_rows(self, role: Role, upload: Path) -> Project:
        """Take over an uploaded file of rows (moved, not copied)."""
        name = _readable_name(upload.name)
        stored = StoredFile(f"{role}-{secrets.token_hex(3)}{_ending(upload, _ROW_ENDINGS)}", name)
        _move(upload, self.path_of(stored))
        if role == "training":
            return replace(self, training=stored, title=name, history=()).save()
        kept = tuple(replace(change, test=stored) for change in self.history)  # it stays, whatever is undone
        return replace(self, test=stored, history=kept).save()

    def add_documents(self, uploads: Sequence[Path]) -> Project:
        """Take over uploaded documents in place of those that were there."""
        folder = f"documents-{secrets.token_hex(3)}"
        stored = self._keep(uploads, folder, there=())
        return replace(self, documents=stored, documents_at=folder if stored else None).save()

    def add_draft_documents(self, uploads: Sequence[Path]) -> Project:
        """Take over uploaded documents that rows shall be made from, beside those that are there."""
        return replace(self, draft_documents=self._keep(uploads, "draft/documents", there=self.draft_documents)).save()

    def remove_draft_document(self, file: str) -> Project:
        """Take a document out again, named by its place in the project; one that is not there is none."""
        gone = [stored for stored in self.draft_documents if stored.file == file]
        for stored in gone:
            self.path_of(stored).unlink(missing_ok=True)
        return replace(self, draft_documents=tuple(kept for kept in self.draft_documents if kept not in gone)).save()

    def use_draft(self, rows: Path) -> Project:
        """Take over a file of rows that was built here as the training rows (moved); the title stays."""
        project = self.add_rows("training", rows)
        return project if self.title == "Untitled" else replace(project, title=self.title).save()

    def _keep(self, uploads: Sequence[Path], folder: str, *, there: Sequence[StoredFile]) -> tuple[StoredFile, ...]:
        """Move uploaded documents into a folder, under names of ours; all that are in it then."""
        stored = list(there)
        for upload in uploads:
            name = _readable_name(upload.name)
            taken = {Path(other.file).name for other in stored}
            stored.append(StoredFile(f"{folder}/{_free_slug(name, _ending(upload, _DOCUMENT_ENDINGS), taken)}", name))
            _move(upload, self.path_of(stored[-1]))
        return tuple(stored)

    def with_run(self, run: RunFolder) -> Project:
        """Remember a training run that was started from here."""
        return replace(self, runs=(run.path.name, *self.runs)).save()

    def in_user_words(self, error: FittingRoomError) -> FittingRoomError:
        """The same error with the user's file names in place of our paths."""
        parts = {key: value for key, value in error.to_dict().items() if key != "kind"}
        for path, name in self._names():
            parts = {key: value.replace(path, name) if value else value for key, value in parts.items()}
        what = str(parts.pop("what"))
        return FittingRoomError(what, **parts)

    def _names(self) -> Iterator[tuple[str, str]]:
        """Our paths with the names that the user knows them by."""
        for stored in (self.training, self.test, *self.documents, *self.draft_documents):
            for file in (stored.own, stored.file) if stored else ():
                yield str(self.folder / file), stored.name if stored else ""
        yield f"{self.folder}/", ""


@dataclass(frozen=True)
class Workspace:
    """All projects, comparisons and runs of this machine. ``opened`` is a comparison that lies elsewhere."""

    root: Path = field(default_factory=home)
    opened: Path | None = None

    @property
    def projects_folder(self) -> Path:
        """Where projects are kept."""
        return self.root / "projects"

    def projects(self) -> list[Project]:
        """All projects, the one used last first. A damaged one is left out."""
        files = [(file.stat().st_mtime, file.parent) for file in self.projects_folder.glob("*/project.json")]
        found = []
        for _, folder in sorted(files, reverse=True):
            try:
                found.append(Project.load(folder))
            except RunError:
                continue
        return found

    def project(self, project_id: str | None) -> Project | None:
        """The project of this id, else the one used last, else None."""
        projects = self.projects()
        chosen = [project for project in projects if project.id == project_id]
        return next(iter(chosen or projects), None)

    def create(self) -> Project:
        """An empty project."""
        folder = self.projects_folder / secrets.token_hex(6)
        folder.mkdir(parents=True)
        return Project(folder, created=time.time()).save()

    def open_example(self, key: str) -> Project:
        """The project of a bundled example; made on the first call, then used again."""
        for project in self.projects():
            if project.example == key:
                return project.save()
        example = next(example for example in EXAMPLES if example.key == key)
        source, project = example.folder, self.create()
        shutil.copyfile(source / "train.jsonl", project.folder / "training.jsonl")
        shutil.copyfile(source / "test.jsonl", project.folder / "test.jsonl")
        documents: tuple[StoredFile, ...] = ()
        if (source / "docs").is_dir():
            shutil.copytree(source / "docs", project.folder / "documents")
            names = sorted(file.name for file in (source / "docs").iterdir())
            documents = tuple(StoredFile(f"documents/{name}", name) for name in names)
        return replace(
            project,
            title=example.title,
            example=key,
            training=StoredFile("training.jsonl", "train.jsonl"),
            test=StoredFile("test.jsonl", "test.jsonl"),
            documents=documents,
            documents_at="documents" if documents else None,
        ).save()

    def copy(self, project: Project) -> Project:
        """A project of the user's own with all that an example holds, its draft included."""
        folder = self.projects_folder / secrets.token_hex(6)
        shutil.copytree(project.folder, folder)
        title = f"{project.title}, with your rows"
        return replace(project, folder=folder, title=title, created=time.time(), example=None, runs=()).save()

    def comparisons(self) -> list[RunFolder]:
        """All comparisons, the newest first; the one that was opened before all others."""
        found = known_comparisons()
        if self.opened:
            found = [RunFolder(self.opened), *(run for run in found if run.path != self.opened)]
        return found

    def runs(self) -> list[RunFolder]:
        """All training runs, the newest first; those that comparisons started are among them."""
        return _run_folders(runs_folder())

    def owner_of(self, run: RunFolder) -> Project | None:
        """The project whose rows a comparison or a training run uses."""
        try:
            asked = json.loads((run.path / "request.json").read_text("utf-8"))
        except (OSError, ValueError):
            name = run.path.name
            return next((project for project in self.projects() if name in project.runs), None)
        folder = Path(str(asked.get("data"))).parent
        return next((project for project in self.projects() if project.folder == folder), None)


@dataclass(frozen=True)
class BundledExample:
    """A small project that comes with the product."""

    key: str
    title: str
    about: str

    @property
    def folder(self) -> Path:
        """Where its files lie in the installed package."""
        import advisor

        return Path(str(advisor.__path__[0])) / "examples" / self.key


EXAMPLES = (
    BundledExample(
        "support_desk",
        "Support desk",
        "Sort a customer's message, name the team and answer from the handbook, as one line of JSON. "
        "190 rows, 60 test rows, 18 documents.",
    ),
    BundledExample(
        "ticket_routing",
        "Ticket routing",
        "Send an internal ticket to one of 8 queues with private names. 165 rows, 54 test rows, no documents.",
    ),
)


def find(runs: Sequence[RunFolder], name: str | None) -> RunFolder | None:
    """The run of this name among those there are."""
    return next((run for run in runs if run.path.name == name), None)


def _run_folders(folder: Path) -> list[RunFolder]:
    found = [RunFolder(file.parent) for file in folder.glob("*/run.json")]
    return sorted(found, key=created, reverse=True)


def created(run: RunFolder) -> float:
    """When a run was started, in seconds since the epoch; 0 where its folder does not say so."""
    try:
        return float(run.status().get("created") or 0)
    except RunError:
        return 0.0


def _move(upload: Path, target: Path) -> None:
    """Out of the upload cache, which all visitors of the server share, into the project."""
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(upload, target)
    if not any(upload.parent.iterdir()):
        upload.parent.rmdir()


def _readable_name(name: str) -> str:
    return shortened(sendable("".join(char for char in name if char.isprintable())), _LONGEST_NAME) or "unnamed"


def _ending(upload: Path, known: set[str]) -> str:
    ending = upload.suffix.lower()
    return ending if ending in known else ".data"


def _free_slug(name: str, ending: str, taken: set[str]) -> str:
    """A file name of our making: lower-case letters, digits and dashes, and not one that is taken."""
    base = re.sub(r"[^a-z0-9]+", "-", Path(name).stem.lower()).strip("-")[:40] or "document"
    number = 1
    while (slug := f"{base}{'' if number == 1 else f'-{number}'}{ending}") in taken:
        number += 1
    return slug
