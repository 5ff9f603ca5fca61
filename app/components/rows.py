"""The rows of a draft: as a table to edit, and as candidates beside the passages they were made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from markupsafe import Markup

from app.components.actions import act_button, text_field
from app.components.cards import Tone, badge, empty
from app.components.markup import NOTHING, html, joined, shortened
from dataset_tools import Message
from dataset_tools.building import CHECKS, DraftRow
from dataset_tools.building.draft import reason_kinds

PAGE_ROWS, PAGE_CANDIDATES = 12, 6
NEW = "new"  # what is edited where a row is being written anew
STATUS_TONES: dict[str, Tone] = {"accepted": "good", "pending": "warn", "rejected": "bad"}
STATUS_WORDS = {"accepted": "accepted", "pending": "waiting", "rejected": "rejected"}
_SOURCES = {"chat": "from the chat", "document": "from a document", "hand": "by hand", "edit": "corrected by hand"}
_PROMPT_SHOWN, _ANSWER_SHOWN, _PASSAGE_SHOWN = 320, 420, 2_500


def rows_table(rows: Sequence[DraftRow], *, editing: str = "", likeness: Mapping[str, float] | None = None) -> Markup:
    """Rows with what can be done to each; the one that is edited as a form.

    Args:
        rows: The rows of this page.
        editing: The id of the row that is edited.
        likeness: How like the wanted one each row is, 0 to 1, by id.
    """
    shown = joined(_edited(row) if row.id == editing else _row(row, (likeness or {}).get(row.id)) for row in rows)
    heads = Markup("<th>Status</th><th>What is asked, and the wanted answer</th>")
    return html(
        '<div class="fr-scroll"><table class="fr-table fr-rows"><thead><tr>{}</tr></thead>'
        "<tbody>{}</tbody></table></div>",
        heads,
        shown,
    )


def _row(row: DraftRow, likeness: float | None) -> Markup:
    near = html('<div class="fr-quiet">{:.0f}% alike</div>', 100 * likeness) if likeness is not None else NOTHING
    return html(
        '<tr data-row="{}"><td>{}{}</td><td>{}{}<div class="fr-acts">{}</div></td></tr>',
        row.id,
        status_badge(row),
        near,
        _content(row),
        _about(row),
        joined([_decide(row), _row_actions(row)]),
    )


def status_badge(row: DraftRow) -> Markup:
    """A row's status as a small label."""
    return badge(STATUS_WORDS[row.status], STATUS_TONES[row.status])


def _content(row: DraftRow) -> Markup:
    answer = html('<div class="fr-a">{}</div>', shortened(row.example.completion, _ANSWER_SHOWN) or "(no text)")
    worse = NOTHING
    if row.example.rejected:
        text = shortened(row.example.rejected[-1].content, _ANSWER_SHOWN)
        worse = html('<div class="fr-a fr-worse"><span class="fr-quiet">worse: </span>{}</div>', text)
    return html('<div class="fr-q">{}</div>{}{}', shortened(row.example.question, _PROMPT_SHOWN), answer, worse)


def _about(row: DraftRow) -> Markup:
    facts = [_SOURCES.get(row.source, row.source)] if row.source != "document" or not row.place else []
    turns = sum(message.role == "user" for message in row.example.messages)
    facts += [f"{turns} turns"] if turns > 1 else []
    facts += [f"from {row.place}"] if row.place else []
    chips = joined(html('<span class="fr-tag">{}</span>', tag) for tag in row.tags)
    return html('<div class="fr-quiet fr-about">{} {}</div>', " · ".join(facts), chips)


def _row_actions(row: DraftRow) -> Markup:
    return joined(
        [
            act_button("edit", "Edit", row=row.id),
            act_button("like", "Find alike", row=row.id, label="Find rows like this"),
            act_button("delete", "Delete", kind="bad", row=row.id),
        ]
    )


def _decide(row: DraftRow) -> Markup:
    accept = act_button("accept", "Accept", kind="good", row=row.id)
    reject = act_button("reject", "Reject", row=row.id)
    return joined([part for part, status in ((accept, "accepted"), (reject, "rejected")) if row.status != status])


def _edited(row: DraftRow) -> Markup:
    return html('<tr data-row="{}"><td>{}</td><td>{}</td></tr>', row.id, status_badge(row), row_form(row))


def row_form(row: DraftRow | None) -> Markup:
    """The form of a row, or of a new one: a field for each message, and its tags."""
    if row is None:
        fields = [
            text_field("system", "", label="System prompt (optional)", lines=1),
            text_field("prompt", "", label="What is asked", focus=True),
            text_field("answer", "", label="The wanted answer"),
        ]
    else:
        fields = [_message_field(f"m{at}", message, first=at == 0) for at, message in enumerate(row.example.messages)]
        fields += [
            text_field(f"r{at}", message.content, label="The worse answer", lines=_lines(message.content))
            for at, message in enumerate(row.example.rejected)
        ]
    tags = ", ".join(row.tags) if row else ""
    fields.append(text_field("tags", tags, label="Tags, separated by commas", lines=1))
    return html(
        '<div class="fr-form" data-form>{}<div class="fr-acts">{}{}</div></div>',
        joined(fields),
        act_button("save", "Save" if row else "Add this row", kind="main enter", row=row.id if row else NEW),
        act_button("cancel", "Cancel", kind="escape"),
    )


def _message_field(name: str, message: Message, *, first: bool) -> Markup:
    labels = {"system": "System prompt", "user": "What is asked", "assistant": "The wanted answer", "tool": "Tool"}
    label = labels.get(message.role, message.role)
    return text_field(name, message.content, label=label, lines=_lines(message.content), focus=first)


def _lines(text: str) -> int:
    return min(12, max(2, len(text) // 80 + text.count("\n") + 1))


def candidates_list(rows: Sequence[DraftRow], supports: Mapping[str, float], *, editing: str = "") -> Markup:
    """Candidates with their passages, what speaks for and against each, and the decision.

    Args:
        rows: The candidates of this page.
        supports: The share of each answer's words that are in its passage, by id.
        editing: The id of the one that is edited.
    """
    return joined(_candidate(row, supports.get(row.id, 0.0), editing=row.id == editing) for row in rows)


def _candidate(row: DraftRow, support: float, *, editing: bool) -> Markup:
    head = html(
        '<div class="fr-head">{} <span class="fr-quiet">{:.0f}% of the answer stands in the passage</span></div>',
        status_badge(row),
        100 * support,
    )
    body = row_form(row) if editing else html("{}{}", _content(row), _reasons(row))
    passage = html(
        '<details><summary>Passage: {}</summary><div class="fr-passage">{}</div></details>',
        row.place or "",
        shortened(row.passage or "", _PASSAGE_SHOWN),
    )
    actions = NOTHING
    if not editing:
        edit = act_button("edit", "Edit", row=row.id)
        actions = html('<div class="fr-acts">{}{}</div>', _decide(row), edit)
    return html('<div class="fr-item fr-candidate" data-row="{}">{}{}{}{}</div>', row.id, head, body, passage, actions)


def _reasons(row: DraftRow) -> Markup:
    """Why it was rejected or what is worth knowing, each reason with what was found."""
    if not row.reason:
        return NOTHING
    parts = [part.partition(":") for part in row.reason.split("; ")]
    chips = (
        html("<li>{} {}</li>", badge(name.strip(), "bad" if name.strip() in CHECKS else "plain"), found.strip())
        for name, _, found in parts
    )
    return html('<ul class="fr-reasons">{}</ul>', joined(chips))


def reasons_in(rows: Sequence[DraftRow]) -> list[str]:
    """The reasons that any of the rows has, in the order of the checks."""
    found = {kind for row in rows for kind in reason_kinds(row.reason or "") if kind}
    return [check for check in CHECKS if check in found] + sorted(found - set(CHECKS))


def pager(page: int, size: int, total: int) -> Markup:
    """Which rows are shown, and the way to those before and behind."""
    if total <= size:
        return NOTHING
    last = (total - 1) // size
    return html(
        '<div class="fr-acts fr-pages">{}<span class="fr-quiet">{:,} to {:,} of {:,}</span>{}</div>',
        act_button("page", "← Previous", page=max(0, page - 1), free=page > 0),
        page * size + 1,
        min(total, (page + 1) * size),
        total,
        act_button("page", "Next →", page=min(last, page + 1), free=page < last),
    )


def page_of(rows: Sequence[DraftRow], page: int, size: int) -> tuple[int, Sequence[DraftRow]]:
    """The rows of a page, and its number: the last one where there are fewer."""
    page = max(0, min(page, (len(rows) - 1) // size if rows else 0))
    return page, rows[page * size : (page + 1) * size]


def no_rows(text: str) -> Markup:
    """What stands where no row is shown."""
    return empty(text)
