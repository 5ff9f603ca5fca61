"""Check of files of rendered text: is it one chat template throughout? Broken templates are told by `fields`."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from typing import TypeAlias

from dataset_tools.checks.base import Check, DatasetCheck, ExampleView, Hit, Setting
from dataset_tools.formats.base import Value
from dataset_tools.formats.templates import template_of
from dataset_tools.formats.text import Text

Places: TypeAlias = "tuple[array[int], array[int]]"


class Templates:
    """The places of the rows by their chat template: 16 bytes a row. Files of another format cost nothing."""

    def __init__(self, setting: Setting) -> None:
        self._column = setting.format.column if isinstance(setting.format, Text) else None
        self._places: dict[str, Places] = {}  # lines and records

    def see(self, view: ExampleView) -> None:
        """Nothing: the row was seen before."""

    def see_row(self, line: int, record: int, value: Value) -> None:
        """Note the row, where its text is in a template."""
        text = value.get(self._column) if self._column is not None else None
        template = template_of(text) if isinstance(text, str) else None
        if template is not None:
            self._take(template, (array("Q", [line]), array("Q", [record])))

    def pack(self) -> dict[str, Places]:
        """The places."""
        return self._places

    def absorb(self, packed: dict[str, Places], *, lines: int, records: int) -> None:
        """Take the places in a later part of the file, whose lines and records were counted from its start."""
        for template, (its_lines, its_records) in packed.items():
            moved = (array("Q", [line + lines for line in its_lines]), array("Q", [r + records for r in its_records]))
            self._take(template, moved)

    def others(self) -> Iterator[Hit]:
        """A hit at each row in another template than that of most."""
        if len(self._places) < 2:
            return
        usual = max(self._places, key=lambda template: len(self._places[template][0]))
        count = len(self._places[usual][0])
        hits = [
            Hit(f"the template is {template}, and {usual} in {count:,} rows", line, record)
            for template, places in self._places.items()
            if template != usual
            for line, record in zip(*places, strict=True)
        ]
        yield from sorted(hits, key=lambda hit: hit.record or 0)

    def _take(self, template: str, places: Places) -> None:
        lines, records = self._places.setdefault(template, (array("Q"), array("Q")))
        lines.extend(places[0])
        records.extend(places[1])


CHECKS: tuple[Check, ...] = (
    DatasetCheck(
        id="mixed-templates",
        severity="error",
        family="text",
        title="the row is in another chat template than most",
        why="The model has one template: the tokens of another one inside it are learnt as text.",
        observer=Templates,
        run=Templates.others,
    ),
)
