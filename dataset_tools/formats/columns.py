"""Which columns of a table hold the prompt and which the answer? Guessed from their names, for the user to confirm."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from dataset_tools.formats.base import Value

# In tiers: a name of a later tier counts only where none of the tiers before it is there.
PROMPT_NAMES = (
    ("prompt",),
    ("instruction", "input", "question", "text", "query", "document", "article", "sentence"),
    ("problem", "message", "utterance", "review", "passage", "source", "src", "dialogue", "context", "content"),
)
COMPLETION_NAMES = (
    ("completion",),
    ("response", "output", "answer", "label", "summary", "target", "reply"),
    ("solution", "generation", "category", "class", "intent", "sentiment", "highlights", "translation", "tgt"),
)
SYSTEM_NAMES = ("system_prompt", "system", "system_message")
TEXT_NAMES = ("text", "prompt", "content", "conversation", "formatted", "formatted_chat", "formatted_text")


def usual_columns(values: Iterable[Value]) -> list[str]:
    """The columns that at least half of the rows have, in the order of their first use."""
    counts: Counter[str] = Counter()
    rows = 0
    for value in values:
        counts.update(value.keys())
        rows += 1
    return [column for column, count in counts.items() if 2 * count >= rows]


def one_column(columns: Sequence[str], tiers: Sequence[Sequence[str]]) -> str | None:
    """The plain name if there, else the one column named like it, else the one that ends so (Review Text)."""
    words = {column: [word.casefold() for word in re.findall(r"[^\W_]+", column)] for column in columns}
    for meanings in tiers:
        if meanings[0] in columns and len(meanings) == 1:
            return meanings[0]
        for found in (
            [column for column in columns if len(words[column]) == 1 and words[column][0] in meanings],
            [column for column in columns if words[column] and words[column][-1] in meanings],
        ):
            if found:
                return found[0] if len(found) == 1 else None
    return None
