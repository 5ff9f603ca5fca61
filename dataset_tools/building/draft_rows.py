"""The rows of a draft, and how a change alters them: pure functions. Nothing is written here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal, cast, get_args

from dataset_tools.building.event_log import Change
from dataset_tools.building.stored import as_list, as_object, example_from_dict, example_to_dict, optional_text, text_in
from dataset_tools.errors import UsageError
from dataset_tools.example import Example
from dataset_tools.similarity import fold

Status = Literal["accepted", "pending", "rejected"]
Origin = Literal["chat", "document", "hand", "edit"]
STATUSES: tuple[Status, ...] = get_args(Status)
ORIGINS: tuple[Origin, ...] = get_args(Origin)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRow:
    """A row that is about to be added.

    Attributes:
        example: The training row.
        status: Whether it is in the dataset, waits for a decision, or is out.
        source: Where it came from; ``edit`` is what a model wrote and a person corrected.
        tags: Free words to find rows by; sorted, each once.
        passage: The text that the example was made from.
        place: Where the passage stands: a document with its line or page.
        reason: Why it waits or is rejected: ``check: detail``, several joined by ``; ``.
    """

    example: Example
    status: Status = "accepted"
    source: Origin = "hand"
    tags: tuple[str, ...] = ()
    passage: str | None = None
    place: str | None = None
    reason: str | None = None

    def __post_init__(self) -> None:
        known("status", self.status, STATUSES)
        known("source", self.source, ORIGINS)
        object.__setattr__(self, "tags", clean_tags(self.tags))


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftRow(NewRow):
    """A row of a draft; ``id`` stays the same for as long as it lives."""

    id: str

    @property
    def text(self) -> str:
        """All its words but those of the system, as it is searched and compared."""
        messages = (*self.example.messages, *self.example.rejected)
        return "\n".join(message.content for message in messages if message.role != "system")


def known(what: str, value: str, allowed: Iterable[str]) -> None:
    """Refuse a value that is not one of those allowed.

    Raises:
        UsageError: It is not.
    """
    if value not in allowed:
        raise UsageError(f"there is no such {what}", found=repr(value), expected=", ".join(allowed))


def clean_tags(tags: Iterable[str]) -> tuple[str, ...]:
    """The tags without blanks at their ends, sorted, each once."""
    return tuple(sorted({" ".join(tag.split()) for tag in tags} - {""}))


def adding(row: DraftRow) -> Change:
    """The change that adds a row."""
    optional = {"tags": list(row.tags), "passage": row.passage, "place": row.place, "reason": row.reason}
    return {
        "do": "add",
        "row": row.id,
        "status": row.status,
        "source": row.source,
        "example": example_to_dict(row.example),
        **{name: value for name, value in optional.items() if value},
    }


def editing(row: DraftRow, example: Example) -> Change:
    """The change that gives a row another example. What a model wrote is from then on an ``edit``."""
    source = row.source if row.source == "hand" else "edit"
    return {"do": "edit", "row": row.id, "source": source, "example": example_to_dict(example)}


def apply_change(rows: dict[str, DraftRow], change: Mapping[str, object]) -> None:
    """Alter ``rows``. A change of a row that is not there does nothing: another writer deleted it.

    Raises:
        ValueError: The change is none that is known here.
    """
    do, row_id = text_in(change, "do"), text_in(change, "row")
    if do == "add":
        rows[row_id] = _added(row_id, change)
        return
    if do not in ("edit", "status", "tag", "delete"):
        raise ValueError(f"there is no change {do[:50]!r}")
    row = rows.get(row_id)
    if row is None:
        return
    if do == "edit":
        rows[row_id] = replace(row, example=example_from_dict(change.get("example")), source=_origin(change))
    elif do == "status":
        rows[row_id] = replace(row, status=_status(change), reason=optional_text(change, "reason"))
    elif do == "tag":
        kept = {*row.tags, *_texts(change, "add")} - set(_texts(change, "remove"))
        rows[row_id] = replace(row, tags=tuple(kept))
    else:
        del rows[row_id]


def _added(row_id: str, change: Mapping[str, object]) -> DraftRow:
    return DraftRow(
        id=row_id,
        example=example_from_dict(change.get("example")),
        status=_status(change),
        source=_origin(change),
        tags=tuple(_texts(change, "tags")),
        passage=optional_text(change, "passage"),
        place=optional_text(change, "place"),
        reason=optional_text(change, "reason"),
    )


def _status(change: Mapping[str, object]) -> Status:
    return cast(Status, _one_of(change, "status", STATUSES))


def _origin(change: Mapping[str, object]) -> Origin:
    return cast(Origin, _one_of(change, "source", ORIGINS))


def _one_of(change: Mapping[str, object], name: str, allowed: tuple[str, ...]) -> str:
    value = text_in(change, name)
    if value not in allowed:
        raise ValueError(f"there is no {name} {value[:50]!r}")
    return value


def _texts(change: Mapping[str, object], name: str) -> list[str]:
    return [text_in(as_object({"tag": value}), "tag") for value in as_list(change.get(name, []))]


def matching(
    rows: Iterable[DraftRow],
    *,
    status: Status | None = None,
    tag: str | None = None,
    search: str = "",
    source: Origin | None = None,
    reason: str | None = None,
) -> list[DraftRow]:
    """The rows that fit all that is asked; ``search`` and ``reason`` are words that must all occur, in any case."""
    wanted, why = fold(search).split(), fold(reason or "").split()
    return [
        row
        for row in rows
        if (status is None or row.status == status)
        and (tag is None or tag in row.tags)
        and (source is None or row.source == source)
        and (not wanted or _has(f"{row.text}\n{' '.join(row.tags)}", wanted))
        and (not why or _has(row.reason or "", why))
    ]


def _has(text: str, words: list[str]) -> bool:
    folded = fold(text)
    return all(word in folded for word in words)
