"""Checks of the file itself: its bytes, its syntax, its format and its size. Most are found while reading."""

from __future__ import annotations

from collections.abc import Iterator

from dataset_tools.checks.base import Check, DatasetCheck, Hit, Setting
from dataset_tools.checks.fix import Fix
from dataset_tools.repairs import repaired_rows

MIN_ROWS = 10  # OpenAI's fine-tuning guide asks for at least 10 examples; mistral-finetune for as many
MAX_ROWS = 3_000_000  # Fireworks' limit of a data set; no service is known to take more
MIN_TRAINABLE = 2


def _few_rows(setting: Setting) -> Iterator[Hit]:
    rows = setting.usable
    if rows < MIN_ROWS:
        message = f"{rows} usable rows, fewer than {MIN_ROWS}"
        yield Hit(message, severity="error" if rows < MIN_TRAINABLE else None)


def _many_rows(setting: Setting) -> Iterator[Hit]:
    if setting.rows > MAX_ROWS:
        yield Hit(f"{setting.rows:,} rows, and {MAX_ROWS:,} are the most that Fireworks takes")


def _mapped_columns(setting: Setting) -> Iterator[Hit]:
    mapped = setting.format.mapped() if setting.format is not None else []
    if mapped:
        yield Hit("mapped columns: " + ", ".join(mapped))


def _unknown_format(setting: Setting) -> Iterator[Hit]:
    if setting.format is not None or not setting.rows:
        return
    named = ", ".join(repr(column[:40]) for column in setting.fields[:6]) or "none"
    yield Hit(f"no row has the fields of a known format (fields found, or the first line of a table: {named})")


CHECKS: tuple[Check, ...] = (
    Check(id="empty-file", severity="error", title="the file is empty", why="There is nothing to train on."),
    Check(
        id="binary-file",
        severity="error",
        title="the file is binary",
        why="Rows are read from text: JSON lines, a JSON array, CSV or TSV.",
    ),
    Check(id="too-large", severity="error", title="the file is too large", why="It is read into memory as a whole."),
    Check(
        id="invalid-json",
        severity="error",
        title="invalid JSON",
        why="A row that is not JSON (RFC 8259) is lost; strict trainers stop at the first one.",
        fix=Fix(what="read what was meant: commas, quotes, comments, rows that share a line", text=repaired_rows),
    ),
    Check(
        id="lone-surrogate",
        severity="error",
        title="half of a character",
        why="A lone surrogate is no Unicode text (RFC 8259, 8.2): no tokenizer takes it and no file can hold it.",
        fix=Fix(what="put U+FFFD in the place of half a character", text=repaired_rows),
    ),
    Check(id="line-too-long", severity="error", title="a line of more than 32 MiB", why="No row of text is that long."),
    Check(
        id="unreadable-value",
        severity="warning",
        title="a value that is no text",
        why="Bytes or dates that cannot be shown as text (pictures, sound) are left out of the row; the rest is kept.",
    ),
    Check(
        id="invalid-csv",
        severity="error",
        title="invalid CSV",
        why="A quote that is not closed swallows the rows behind it (RFC 4180).",
    ),
    Check(
        id="column-count",
        severity="error",
        title="more or fewer cells than columns",
        why="It cannot be told which cell is the prompt and which the answer; often a delimiter is not quoted.",
    ),
    Check(
        id="duplicate-keys",
        severity="warning",
        title="a key comes twice",
        why="Only the last one counts, so text is lost without a word (RFC 8259, 4).",
        fix=Fix(what="keep the last of equal keys", text=repaired_rows),
    ),
    Check(
        id="encoding",
        severity="warning",
        title="not UTF-8",
        why="JSON is UTF-8 (RFC 8259, 8.1); another encoding has to be guessed, and a wrong guess spoils letters.",
        fix=Fix(what="write the text in UTF-8, with the letters that were guessed"),
    ),
    Check(
        id="bom",
        severity="info",
        title="a byte order mark",
        why="Strict JSON readers call line 1 invalid because of it.",
        fix=Fix(what="leave the byte order mark out", safe=True),
    ),
    Check(
        id="crlf",
        severity="info",
        title="Windows line ends",
        why="They do no harm here; some tools keep the CR.",
        fix=Fix(what="end lines with a line feed", safe=True),
    ),
    Check(
        id="blank-line",
        severity="info",
        title="a blank line",
        why="Strict JSON lines readers stop at it.",
        fix=Fix(what="leave blank lines out", safe=True),
    ),
    Check(
        id="objects-run-together",
        severity="info",
        title="JSON objects run together",
        why="JSON lines have one object a line (jsonlines.org); other readers stop at the second.",
        fix=Fix(what="write each object on a line of its own", safe=True),
    ),
    Check(
        id="no-header",
        severity="warning",
        title="a table without a header",
        why="Readers that expect one take the first row for it, lose it, and name the columns by it.",
        fix=Fix(what="name the columns, and keep the first line as a row", safe=True),
    ),
    Check(
        id="header-blanks",
        severity="info",
        title="blanks around the name of a column",
        why="A program that asks for the column by its name does not find it.",
        fix=Fix(what="take the blanks off", safe=True),
    ),
    Check(
        id="other-sheets",
        severity="info",
        title="more sheets in the workbook",
        why="Only one sheet is read; name another with --sheet.",
    ),
    DatasetCheck(
        id="unknown-format",
        severity="error",
        title="the format is not known",
        why='Rows need "prompt" and "completion" (or columns named like them), or "messages".',
        run=_unknown_format,
    ),
    DatasetCheck(
        id="too-few-rows",
        severity="warning",
        title="too few rows",
        why="Fine-tuning services ask for at least 10 rows and advise 50 to 100 (OpenAI, fine-tuning guide).",
        run=_few_rows,
    ),
    DatasetCheck(
        id="too-many-rows",
        severity="info",
        title="more rows than services take",
        why="An upload of so many is refused (Fireworks, fine-tuning guide: 3 to 3,000,000), and few tasks need them.",
        run=_many_rows,
    ),
    DatasetCheck(
        id="mapped-columns",
        severity="info",
        title="columns with other names were used",
        why="The names say what they hold; rename them if the guess is wrong.",
        run=_mapped_columns,
    ),
)
