"""Groups of rows that the result of a session is told by: from a column, from the row's own labels, or its answer.

It reads no file and weighs no vote. Rows that none of this tells apart have no tag.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from dataset_tools.errors import UsageError
from dataset_tools.task_type import detect_task_type, split_labels

MOST_TAGS = 10
"""A result tells at most so many groups, "other" among them: smaller ones have too few votes to say anything."""

OTHER = "other"
_LONGEST = 60
# Names that fields with a group have in public datasets, the plainest first.
_NAMES = (
    *("tag", "tags", "category", "categories", "subset", "topic", "domain", "intent", "type", "kind", "class"),
    *("difficulty", "level", "language", "lang", "source"),
)
_NESTED = ("metadata", "meta")

Row = Mapping[str, Any]
Tags = tuple[str, ...]


def tags_of(
    rows: Sequence[Row | None], wanted: Sequence[str], *, used: Collection[str] = (), column: str | None = None
) -> list[Tags]:
    """The tags of each row, `MOST_TAGS` different ones in all.

    Without a column they come from the first field that is named like a group and groups the rows, of the row or of its
    ``metadata``; else from the wanted answers: the labels of a classification, or the first key of JSON objects whose
    values group them. A field groups rows where it has two values or more, and half as many as rows at most.

    Args:
        rows: as they stand in their file; None where that is not known.
        wanted: the wanted answer of each row; "" where it has none.
        used: columns that hold what is asked or wanted, which are no tags.
        column: a column to take; of a nested one, its path: ``metadata.topic``.

    Raises:
        UsageError: no row has this column.
    """
    if column is not None:
        found = [_texts(_at(row, column)) for row in rows]
        if not any(found):
            raise UsageError("No row has a value in this column.", where="--tag-column", found=repr(column))
        return few_tags(found)
    fields = [_fields(row, used) for row in rows]
    for name in _NAMES:
        found = [_texts(each.get(name)) for each in fields]
        if _groups(found):
            return few_tags(found)
    return few_tags(_by_answer(wanted))


def few_tags(tags: Iterable[Tags]) -> list[Tags]:
    """The same tags where there are few; else the most frequent ones, and "other" for the rest."""
    found = [tuple(dict.fromkeys(each)) for each in tags]
    counts = Counter(tag for each in found for tag in each)
    if len(counts) <= MOST_TAGS:
        return found
    ranked = sorted(counts, key=lambda tag: (-counts[tag], tag))
    kept = {tag for tag in ranked if tag != OTHER and ranked.index(tag) < MOST_TAGS - 1}
    return [tuple(dict.fromkeys(tag if tag in kept else OTHER for tag in each)) for each in found]


def _fields(row: Row | None, used: Collection[str]) -> dict[str, Any]:
    """The fields that may be tags, by their names in lower case; those of the row before those of its metadata."""
    own = {key.casefold(): value for key, value in (row or {}).items() if key not in used}
    nested = [own[name] for name in _NESTED if isinstance(own.get(name), dict)]
    return {key.casefold(): value for each in nested for key, value in each.items()} | own


def _at(row: Row | None, column: str) -> object:
    if row is None or column in row:
        return row and row[column]
    value: object = row
    for name in column.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _texts(value: object) -> Tags:
    """A value as tags: a text, a number or a truth is one, a list is several."""
    several = value if isinstance(value, list) else [value]
    texts = (str(each).strip() for each in several if isinstance(each, str | int | float))
    return tuple(text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…" for text in texts if text)


def _groups(tags: Sequence[Tags]) -> bool:
    counts = Counter(tag for each in tags for tag in each)
    return len(counts) > 1 and 2 * len(counts) <= len([each for each in tags if each])


def _by_answer(wanted: Sequence[str]) -> list[Tags]:
    kind = detect_task_type([answer for answer in wanted if answer.strip()]).kind
    if kind == "classification":
        return [_texts(answer) for answer in wanted]
    if kind == "multi-label":
        return [tuple(tag for label in split_labels(answer) for tag in _texts(label)) for answer in wanted]
    for found in _by_keys(wanted) if kind == "json" else ():
        if _groups(found):
            return found
    return [()] * len(wanted)


def _by_keys(wanted: Sequence[str]) -> Iterator[list[Tags]]:
    """What the answers, which are JSON objects, say under each of their keys."""
    objects = [_object(answer) for answer in wanted]
    for key in dict.fromkeys(key for each in objects for key in each):
        yield [_texts(each.get(key)) if not isinstance(each.get(key), list) else () for each in objects]


def _object(answer: str) -> dict[str, Any]:
    try:
        found = json.loads(answer)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
