"""One row of a file in the three ways that it can be looked at: as a conversation, as tokens, as it stands there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from app.components.cards import Tone, badge
from app.components.markup import NOTHING, counted, html, joined, shortened
from app.row_reading import FileRow
from dataset_tools import Example, Message, Rendered

_TONES: dict[str, Tone] = {"error": "bad", "warning": "warn", "info": "plain"}
_TOKENS_SHOWN, _TEXT_SHOWN, _NOTE_SHOWN = 3_000, 20_000, 160
_NOT_WHOLE = "\ufffd"  # what a tokenizer writes for a part of a character


@dataclass(frozen=True, slots=True)
class RowNote:
    """A finding that strikes a row."""

    check: str
    severity: str
    message: str


def row_view(row: FileRow, total: int, notes: Sequence[RowNote], content: Markup, *, opened: bool = False) -> Markup:
    """A row with its place, what was found in it, and its content. ``opened`` brings it into view."""
    place = html(
        '<p class="fr-quiet fr-place">Row {:,} of {:,} · line {:,} of the file</p>', row.record, total, row.line
    )
    found = joined(
        html(
            "<li>{} {}</li>",
            badge(note.check, _TONES.get(note.severity, "plain")),
            shortened(note.message, _NOTE_SHOWN),
        )
        for note in notes
    )
    listed = html('<ul class="fr-hits">{}</ul>', found) if notes else NOTHING
    focus = Markup(' tabindex="-1" autofocus') if opened else NOTHING
    return html('<div class="fr-opened"{}>{}{}{}</div>', focus, place, listed, content)


def _short(note: RowNote) -> str:
    return shortened(note.message, _NOTE_SHOWN)


def chat_view(example: Example) -> Markup:
    """A row as chat bubbles; the wanted answer stands out."""
    last = example.messages[-1]
    wanted = "unwanted answer" if example.desirable is False else "wanted answer"
    bubbles = [
        _bubble(message, wanted if message is last else "", bad=message is last and example.desirable is False)
        for message in example.messages
    ]
    bubbles += [_bubble(message, "worse answer", bad=True) for message in example.rejected]
    tools = (
        html('<details class="fr-fold"><summary>{}</summary><pre>{}</pre></details>', "Declared tools", example.tools)
        if example.tools
        else NOTHING
    )
    return html('{}<div class="fr-chat">{}</div>', tools, joined(bubbles))


def _bubble(message: Message, wanted: str, *, bad: bool = False) -> Markup:
    calls = joined(html("<code>{}({})</code>", call.name, call.arguments) for call in message.tool_calls)
    untrained = " · not trained" if message.weight == 0 else ""
    looks = f" {'fr-unwanted' if bad else 'fr-wanted'}" if wanted else ""
    return html(
        '<div class="fr-bubble fr-{}{}"><small>{}{}</small><div>{}{}</div></div>',
        message.role,
        looks,
        wanted or (f"{message.role}, {message.name}" if message.name else message.role),
        untrained,
        message.content,
        calls,
    )


def text_view(row: FileRow, *, told: bool = False) -> Markup:
    """A row as it stands in the file, and why it cannot be used where it cannot; ``told`` says that this is known."""
    reason = "." if told else f": {row.reason}"
    why = html('<p class="fr-why">This row cannot be used{}</p>', reason) if row.reason else NOTHING
    text = shortened(row.text, _TEXT_SHOWN) if row.text else "(the container has no text of its own for this row)"
    return html('{}<pre class="fr-raw">{}</pre>', why, text)


def tokens_view(example: Example, rendered: Rendered, tokenizer: Any, *, limit: int | None, name: str) -> Markup:
    """A row as the model sees it in training: every token, those in colour that are learnt.

    Args:
        example: The row.
        rendered: The same in tokens, with its mask.
        tokenizer: What made the tokens, to write them as text again.
        limit: The tokens that training keeps; what is behind is marked.
        name: What the tokenizer is called.
    """
    total, trained = len(rendered.ids), rendered.trained
    special = set(tokenizer.all_special_ids)
    shown = rendered.ids[:_TOKENS_SHOWN]
    spans = joined(
        _token(text, token, place=place, looks=_looks(place, token, rendered, special, limit))
        for place, (token, text) in enumerate(zip(shown, token_texts(shown, tokenizer), strict=True))
    )
    cut = max(0, total - limit) if limit else 0
    facts = f"{counted(total, 'token')}: {total - trained:,} read, {trained:,} trained"
    facts += f", {cut:,} cut off behind {limit:,}" if cut else ""
    more = (
        html('<p class="fr-quiet">… and {} more</p>', counted(total - len(shown), "token"))
        if total > len(shown)
        else NOTHING
    )
    return html(
        '<p class="fr-legend"><b>{}</b><span class="fr-tok">read</span><span class="fr-tok fr-on">trained</span>'
        '<span class="fr-tok fr-special">special</span>{}<span class="fr-quiet">tokenizer: {}</span></p>'
        '<div class="fr-tokens">{}</div>{}',
        facts,
        Markup('<span class="fr-tok fr-cut">cut off</span>') if cut else NOTHING,
        name,
        spans,
        more,
    )


def token_texts(ids: Sequence[int], tokenizer: Any) -> list[str]:
    """Each token as text with the blank before it; one that is a part of a character under the tokenizer's own name."""
    texts = []
    for token, name in zip(ids, tokenizer.convert_ids_to_tokens(list(ids)), strict=True):
        text = tokenizer.decode([token], skip_special_tokens=False, clean_up_tokenization_spaces=False)
        if _NOT_WHOLE in text or not text:
            text = str(name)
        elif str(name).startswith("\u2581") and not text.startswith(" "):  # SentencePiece drops the first blank
            text = f" {text}"
        texts.append(text)
    return texts


def _looks(place: int, token: int, rendered: Rendered, special: set[int], limit: int | None) -> str:
    looks = " fr-on" if rendered.mask[place] else ""
    looks += " fr-special" if token in special else ""
    return looks + (" fr-cut" if limit and place >= limit else "")


def _token(text: str, token: int, *, place: int, looks: str) -> Markup:
    shown = text.replace("\n", "↵\n").replace("\t", "⇥")
    return html('<span class="fr-tok{}" title="token {}, id {}">{}</span>', looks, place + 1, token, shown)
