"""Which sheet of a workbook is read, and in which encoding a text: what was guessed, and dropdowns to say it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from app.checking import Checked
from app.components.tool_views import choices_of
from app.components.wiring import on_steps
from app.pages.data.section import PageParts, Section, Updates
from app.row_reading import guessed_encoding, sheets_of
from app.versions import own_rows, said_reading, with_reading
from app.workspace import Project
from dataset_tools import FittingRoomError
from dataset_tools.reading import Reading

_GUESS = ""  # the choice to leave it to the reader
# As Python names them; those that spreadsheets and older programs write.
_ENCODINGS = (
    ("Western European (Windows-1252)", "cp1252"),
    ("Western European (ISO 8859-1)", "latin-1"),
    ("Western European, Mac", "mac-roman"),
    ("Western European, DOS (850)", "cp850"),
    ("Central European (Windows-1250)", "cp1250"),
    ("Cyrillic (Windows-1251)", "cp1251"),
    ("Cyrillic (KOI8-R)", "koi8-r"),
    ("Greek (Windows-1253)", "cp1253"),
    ("Turkish (Windows-1254)", "cp1254"),
    ("Hebrew (Windows-1255)", "cp1255"),
    ("Arabic (Windows-1256)", "cp1256"),
    ("Japanese (Shift JIS)", "shift_jis"),
    ("Chinese, simplified (GB 18030)", "gb18030"),
    ("Chinese, traditional (Big5)", "big5"),
    ("Korean (EUC-KR)", "euc-kr"),
)


class ReadingSection(Section):
    """Two dropdowns, each there only where it applies; the rows are read again as one is set."""

    def build(self, gr: Any) -> None:
        """Lay the components out."""
        with gr.Row(visible=False, elem_id="reading") as self.area:
            self.sheet = gr.Dropdown([], label="Sheet", min_width=200, scale=0, elem_id="sheet")
            self.encoding = gr.Dropdown([], label="Encoding of the text", min_width=320, scale=0, elem_id="encoding")
            self.status = gr.HTML()
        self.outputs = [self.area, self.sheet, self.encoding]

    def wire(self, parts: PageParts) -> None:
        """Say what happens when they are used."""
        self.parts = parts
        for box, say in ((self.sheet, self.say_sheet), (self.encoding, self.say_encoding)):
            outputs = [*parts.shown, self.status]
            on_steps(box.input, say, inputs=[parts.project, box], outputs=outputs, notice=parts.notice)

    def show(self, project: Project | None, checked: Checked | None) -> Updates:
        """The sheets of a workbook that has several, and the encodings where that of the text was guessed."""
        import gradio as gr

        if project is None or checked is None:
            return {self.area: gr.Row(visible=False)}
        return self._choices(project)

    def _choices(self, project: Project) -> Updates:
        import gradio as gr

        path, said = own_rows(project), said_reading(project) or Reading()
        sheets = sheets_of(path)
        guess = None if sheets else guessed_encoding(path)
        encodings = [(_guess_in_words(guess), _GUESS), *_ENCODINGS]
        return {
            self.area: gr.Row(visible=len(sheets) > 1 or guess is not None),
            self.sheet: gr.Dropdown(
                choices=choices_of(sheets), value=said.sheet or next(iter(sheets), None), visible=len(sheets) > 1
            ),
            self.encoding: gr.Dropdown(choices=encodings, value=said.encoding or _GUESS, visible=guess is not None),
        }

    def say_sheet(self, project_id: str, sheet: str | None) -> Iterator[Updates]:
        """Read the rows of this sheet."""
        sheets = sheets_of(own_rows(self.parts.project_of(project_id)))
        yield from self._say(project_id, None if sheet in (None, *sheets[:1]) else Reading(sheet=sheet))

    def say_encoding(self, project_id: str, encoding: str | None) -> Iterator[Updates]:
        """Read the text in this encoding."""
        yield from self._say(project_id, Reading(encoding=encoding) if encoding else None)

    def _say(self, project_id: str, reading: Reading | None) -> Iterator[Updates]:
        project = self.parts.project_of(project_id)
        try:
            after = yield from self.parts.working(
                project, self.status, "Reading the rows", lambda tell: with_reading(project, reading)
            )
        except FittingRoomError:
            yield self._choices(project)  # what is still read, not what was asked for
            raise
        yield self.parts.show(after)


def _guess_in_words(guess: str | None) -> str:
    return "UTF-8, with the other lines guessed" if guess == "utf-8" else f"As guessed: {guess}"
