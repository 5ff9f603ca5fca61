"""The user's projects on the disk: the files they brought, under names of ours, and what was run on them.

    <home>/projects/<id>/project.json      title, files with their original names, training runs started here
    <home>/projects/<id>/training-*.jsonl  and test-*, documents-*/: never written again once they are there

It reads no rows and runs nothing. Ids come back from the browser as text and are looked up, never joined to a path.
"""

from __future__ import annotations

import json
import re
import secrets
import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from app.components.markup import sendable, shortened
from dataset_tools import RunError, UsageError, write_text_atomically
from dataset_tools.errors import FittingRoomError
from training.home import home
from training.runs.folder import RunFolder
from training.runs.supervisor import runs_folder

Role = Literal["training", "test"]
_ROW_ENDINGS = {".jsonl", ".json", ".csv", ".tsv"}
_DOCUMENT_ENDINGS = {".md", ".markdown", ".txt", ".text", ".rst", ".pdf", *_ROW_ENDINGS}
_LONGEST_NAME = 80


@dataclass(frozen=True)
class StoredFile:
    """A file of a project: its name on our disk, relative to the project, and the name that the user gave it."""

    file: str
    name: str


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
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RunError("This project cannot be read.", where=folder.name, found=str(error)) from error
        return cls(folder, training=training, test=test, documents=documents, runs=runs, **plain)

    def add_rows(self, role: Role, upload: Path) -> Project:
        """Take over an uploaded file of rows (moved, not copied)."""
        name = _readable_name(upload.name)
        stored = StoredFile(f"{role}-{secrets.token_hex(3)}{_ending(upload, _ROW_ENDINGS)}", name)
        _move(upload, self.path_of(stored))
        if role == "training":
            return replace(self, training=stored, title=name).save()
        return replace(self, test=stored).save()

    def add_documents(self, uploads: Sequence[Path]) -> Project:
        """Take over uploaded documents in place of those that were there."""
        folder = f"documents-{secrets.token_hex(3)}"
        stored: list[StoredFile] = []
        for upload in uploads:
            name = _readable_name(upload.name)
            taken = {Path(other.file).name for other in stored}
            stored.append(StoredFile(f"{folder}/{_free_slug(name, _ending(upload, _DOCUMENT_ENDINGS), taken)}", name))
            _move(upload, self.path_of(stored[-1]))
        return replace(self, documents=tuple(stored), documents_at=folder if stored else None).save()

    def with_run(self, run: RunFolder) -> Project:
        """Remember a training run that was started from here."""
        return replace(self, runs=(run.path.name, *self.runs)).save()

    def in_user_words(self, error: FittingRoomError) -> FittingRoomError:
        """The same error with the user's file names in place of our paths."""
        parts = {key: value for key, value in error.to_dict().items() if key != "kind"}
        files = [file for file in (self.training, self.test, *self.documents) if file]
        for stored in files:
            path = str(self.path_of(stored))
            parts = {key: value.replace(path, stored.name) if value else value for key, value in parts.items()}
        what = str(parts.pop("what"))
        return FittingRoomError(what, **parts)


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

    def comparisons(self) -> list[RunFolder]:
        """All comparisons, the newest first; the one that was opened before all others."""
        from advisor.comparison import comparisons_folder

        found = _run_folders(comparisons_folder())
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
