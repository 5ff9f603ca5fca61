"""The documents that rows are made from, and how the writing of questions goes."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from app.components.actions import act_button
from app.components.cards import badge, empty, error_parts_card
from app.components.live import state_badge
from app.components.markup import NOTHING, counted, html, joined
from app.question_writing import Source, Writing, key_of

NO_DOCUMENTS = "Upload handbooks, manuals, notes: Markdown, text, HTML, PDF or Word. They stay on your machine."
_LISTED = 60


def sources_table(sources: Sequence[Source], read: frozenset[str]) -> Markup:
    """Each document with its passages, how many of them were read, and what could not be."""
    if not sources:
        return empty(NO_DOCUMENTS)
    total = sum(len(source.sections) for source in sources)
    rows = joined(_source(source, read) for source in sources[:_LISTED])
    more = len(sources) - _LISTED
    rest = html('<p class="fr-quiet">and {} more</p>', counted(more, "document")) if more > 0 else NOTHING
    return html(
        "<details{}><summary>{}, {}</summary>"
        '<div class="fr-scroll"><table class="fr-table"><thead><tr><th>Document</th><th class="fr-number">Passages</th>'
        '<th class="fr-number">Read</th><th></th></tr></thead><tbody>{}</tbody></table></div>{}</details>',
        Markup(" open") if len(sources) <= 4 or any(source.problems for source in sources) else "",
        counted(len(sources), "document"),
        counted(total, "passage"),
        rows,
        rest,
    )


def _source(source: Source, read: frozenset[str]) -> Markup:
    problems = html('<div class="fr-quiet">{}</div>', "; ".join(source.problems[:3])) if source.problems else NOTHING
    done = sum(key_of(section) in read for section in source.sections)
    remove = NOTHING
    if source.removable:
        remove = act_button("remove", "Remove", file=source.stored.file, label=f"Remove {source.stored.name}")
    return html(
        '<tr><td>{}{}{}</td><td class="fr-number">{:,}</td><td class="fr-number">{:,}</td>'
        '<td class="fr-acts">{}</td></tr>',
        source.stored.name,
        html(" {}", badge("not read", "bad")) if not source.sections else NOTHING,
        problems,
        len(source.sections),
        done,
        remove,
    )


def writing_view(state: Writing) -> Markup:
    """How the writing goes or went: the state, a bar, and what was left undone."""
    if state.state == "none":
        return NOTHING
    share = state.done / state.total if state.total else 0.0
    bar = html('<div class="fr-bar"><span style="width:{:.0f}%"></span></div>', 100 * share)
    text = f"{state.done} of {counted(state.total, 'passage')} read" + (f" by {state.model}" if state.model else "")
    notes = []
    if state.state == "running" and not state.done:
        text = f"Reading {counted(state.total, 'passage')}. The first run loads the model."
    if state.empty:
        notes.append(f"{counted(state.empty, 'answer')} of the model held no question")
    if state.state in ("stopped", "interrupted", "failed") and state.done < state.total:
        notes.append("what was written is kept; press the button again to go on")
    said = "; ".join([text, *notes])
    head = html('<p class="fr-status" data-state="{}">{} {}</p>', state.state, state_badge(state.state), said)
    error = error_parts_card(state.error) if state.error else NOTHING
    return joined([head, bar if state.state == "running" else NOTHING, error])


def honest_note(*, embedded: bool) -> Markup:
    """What to expect of the model that writes."""
    text = (
        "The embedded model is small (135 million parameters): expect most of what it writes to be rejected. "
        "A larger model, set with FITTING_ROOM_MODEL, writes far better ones."
        if embedded
        else "Each candidate is checked against its passage by its words. What passes is supported, not proven right."
    )
    return html('<p class="fr-quiet fr-note">{}</p>', text)
