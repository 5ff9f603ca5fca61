"""What the approaches are, in a sentence each, for whoever meets their names first; and why one was not run."""

from __future__ import annotations

from collections.abc import Iterable

from markupsafe import Markup

from app.components.markup import html, joined

_ABOUT = {
    "zero-shot": "The base model gets your prompt and nothing else.",
    "instruction": "An instruction stands before your prompt: the one that does best on rows held back for that.",
    "classifier": "No language model: a small classifier chooses among the labels of your rows.",
    "few-shot-fixed": "The same few of your examples stand before every question.",
    "few-shot": "The examples most like the question are looked up and stand before it.",
    "corpus": "All of your documents stand before every question, where they fit.",
    "rag": "Passages of your documents that fit the question stand before it.",
    "rag-few-shot": "Passages for the facts, and a few of your examples for the form.",
    "qlora": "A small adapter is trained on your rows; then your prompt alone is enough.",
    "qlora-few-shot": "The adapter is trained on rows with a few of your examples before them.",
    "qlora-rag": "The adapter is trained on rows with the passages that were found for them.",
}


# What the command line is told to do about an approach that cannot be run, and what one does here.
_HERE = {
    "give them with --docs": "add them on the Data page",
    "give one with --endpoint": "give one under “Another model”",
    "raise --budget": "give it more minutes",
}


def why_not_here(reason: str) -> str:
    """Why an approach was not run, with what can be done about it on the pages."""
    for there, here in _HERE.items():
        reason = reason.replace(there, here)
    return reason


def approaches_explained(titles: Iterable[tuple[str, str]]) -> Markup:
    """A fold that says what each approach does. Takes pairs of name and title; one without a sentence is left out."""
    items = joined(html("<dt>{}</dt><dd>{}</dd>", title, _ABOUT[name]) for name, title in titles if name in _ABOUT)
    return html(
        '<details class="fr-fold"><summary>What are these?</summary><dl class="fr-facts">{}</dl></details>', items
    )
