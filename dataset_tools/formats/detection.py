"""Which format has a file? All rows have a vote, never the first alone. The rows themselves are not checked here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dataset_tools.errors import UsageError
from dataset_tools.formats.alpaca import Alpaca
from dataset_tools.formats.base import Format, Value
from dataset_tools.formats.columns import COMPLETION_NAMES, PROMPT_NAMES, TEXT_NAMES, one_column
from dataset_tools.formats.flavours import Fireworks, Mistral, OpenAI, Together
from dataset_tools.formats.kto import KTO
from dataset_tools.formats.messages import Messages
from dataset_tools.formats.preference import Preference
from dataset_tools.formats.prompt_completion import PromptCompletion, find_columns, usual_columns
from dataset_tools.formats.sharegpt import ShareGPT
from dataset_tools.formats.text import Text

# The first seven are told by content, in the order of preference where two have as many rows.
_TOLD: tuple[Format, ...] = (Preference(), KTO(), Messages(), ShareGPT(), Alpaca(), Text(), PromptCompletion())
FORMATS: tuple[Format, ...] = (*_TOLD, OpenAI(), Together(), Fireworks(), Mistral())
WRITTEN = tuple(sorted(form.name for form in FORMATS if form.name != "text"))

_LIST_FIELDS = ("messages", "conversations", "conversation", "dialog", "dialogue", "turns")
# An instruction, what it is about, and the answer, under the names that public datasets have.
_TRIPLES = (
    ("instruction", "input", "output"),
    ("instruction", "input", "response"),
    ("instruction", "context", "response"),
    ("question", "context", "answer"),
    ("prompt", "input", "output"),
)


@dataclass(frozen=True, slots=True)
class Detected:
    """The format that most rows have, and all formats that some row has."""

    format: Format
    candidates: tuple[Format, ...]


def detect_format(values: Sequence[Value], columns: Mapping[str, str] | None = None) -> Detected | None:
    """The format of most rows, or None where no row is in a known format.

    Args:
        values: Rows from all over the file.
        columns: What the user says which columns hold (``{"prompt": "Review Text", "completion": "Label"}``); then
            nothing is guessed. See `format_for`.

    Raises:
        UsageError: ``columns`` names no format.
    """
    if columns:
        said = format_for(columns)
        return Detected(said, (said,))
    formats = _candidates(values)
    votes = {form.name: sum(form.matches(value) for value in values) for form in formats}
    seen = [form for form in formats if votes[form.name]]
    if not seen:
        return None
    return Detected(max(seen, key=lambda form: votes[form.name]), tuple(seen))


def format_for(columns: Mapping[str, str]) -> Format:
    """The format with these columns, by what they hold.

    Known are ``prompt`` and ``completion`` (and ``system``), ``instruction`` and ``output`` (and ``input``),
    ``messages``, ``conversations``, ``text`` (a rendered template), and ``prompt``, ``chosen`` and ``rejected``.

    Raises:
        UsageError: Other ones were named.
    """
    said = dict(columns)
    keys = frozenset(said)
    if {"prompt", "completion"} <= keys <= {"prompt", "completion", "system"}:
        return PromptCompletion(said["prompt"], said["completion"], said.get("system"))
    if {"instruction", "output"} <= keys <= {"instruction", "input", "output"}:
        return Alpaca(said["instruction"], said.get("input", "input"), said["output"])
    if keys == {"messages"}:
        return Messages(said["messages"])
    if keys == {"conversations"}:
        return ShareGPT(said["conversations"])
    if keys == {"text"}:
        return Text(said["text"])
    if keys == {"prompt", "chosen", "rejected"} and (said["chosen"], said["rejected"]) == ("chosen", "rejected"):
        return Preference(said["prompt"])
    raise UsageError(
        "these columns make no format",
        found=", ".join(f"{meaning}={column}" for meaning, column in said.items()),
        expected="prompt=... and completion=...; or instruction=..., input=..., output=...; or messages=...",
        next_step="say which column holds the prompt and which the completion",
    )


def format_named(name: str) -> Format:
    """The format of that name.

    Raises:
        KeyError: There is none.
    """
    return {form.name: form for form in FORMATS}[name]


def _candidates(values: Sequence[Value]) -> list[Format]:
    """The formats that are told by content, with the columns that the rows have."""
    flat = usual_columns(value for value in values if not any(field in value for field in _LIST_FIELDS[:2]))
    found: dict[str, Format] = {form.name: form for form in _TOLD}
    alpaca = _alpaca(flat)
    if alpaca is None and not any("instruction" in value for value in values):
        del found["alpaca"]  # input and output alone are a prompt and its completion
    prompt = one_column([name for name in flat if name not in ("chosen", "rejected")], PROMPT_NAMES)
    made: list[Format | None] = [
        Preference(prompt) if prompt else None,
        _list_format(values),
        alpaca,
        _text(values, flat),
        find_columns(flat),
    ]
    found.update((form.name, form) for form in made if form is not None)
    return list(found.values())


def _list_format(values: Sequence[Value]) -> Format | None:
    """Messages or ShareGPT in the field that most rows with a list of turns have, if it is not the usual one."""
    votes: Counter[tuple[str, str]] = Counter()
    for value in values:
        for field in _LIST_FIELDS:
            turns = value.get(field)
            if isinstance(turns, list) and turns and isinstance(turns[0], dict):
                if "role" in turns[0] or "from" in turns[0]:
                    votes[field, "messages" if "role" in turns[0] else "sharegpt"] += 1
                break
    if not votes:
        return None
    field, name = max(votes, key=lambda vote: votes[vote])
    return Messages(field) if name == "messages" else ShareGPT(field)


def _alpaca(columns: Sequence[str]) -> Alpaca | None:
    lower = {column.casefold(): column for column in columns}
    for triple in _TRIPLES:
        if all(name in lower for name in triple):
            return Alpaca(*(lower[name] for name in triple))
    return None


def _text(values: Sequence[Value], columns: Sequence[str]) -> Text | None:
    """The column of rendered texts: one that most rows have, where no column stands for the answer."""
    if one_column(columns, COMPLETION_NAMES) is not None:
        return None
    votes = {name: sum(Text(name).matches(value) for value in values) for name in TEXT_NAMES if name in columns}
    best = max(votes, key=lambda name: votes[name], default=None)
    return Text(best) if best is not None and votes[best] else None
