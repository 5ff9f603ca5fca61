"""Which format has a file? All rows have a vote, never the first alone. The rows themselves are not checked here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dataset_tools.formats.base import Format, Value
from dataset_tools.formats.messages import Messages
from dataset_tools.formats.prompt_completion import NAME as PROMPT_COMPLETION
from dataset_tools.formats.prompt_completion import PromptCompletion, find_columns, usual_columns

# In the order of preference where two have as many rows.
FORMATS: tuple[Format, ...] = (Messages(), PromptCompletion())


@dataclass(frozen=True, slots=True)
class Detected:
    """The format that most rows have, and all formats that some row has."""

    format: Format
    candidates: tuple[Format, ...]


def detect_format(values: Sequence[Value]) -> Detected | None:
    """The format of most rows, or None where no row is in a known format."""
    mapped = find_columns(usual_columns(value for value in values if "messages" not in value))
    formats = [mapped if mapped and form.name == PROMPT_COMPLETION else form for form in FORMATS]
    votes = {form.name: sum(form.matches(value) for value in values) for form in formats}
    seen = [form for form in formats if votes[form.name]]
    if not seen:
        return None
    return Detected(max(seen, key=lambda form: votes[form.name]), tuple(seen))


def format_named(name: str) -> Format:
    """The format of that name.

    Raises:
        KeyError: There is none.
    """
    return {form.name: form for form in FORMATS}[name]
