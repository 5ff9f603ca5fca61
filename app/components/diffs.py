"""Texts beside each other: fixes before they are made, and answers, word by word. Nothing is mended here."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from difflib import SequenceMatcher

from markupsafe import Markup

from app.components.cards import badge, empty
from app.components.markup import NOTHING, counted, html, joined
from dataset_tools.fixes import Diff, FixPlan, PlannedFix

_SAME_SHOWN, _CHANGED_SHOWN = 60, 400  # characters beside a change, and of it
_WORDS_COMPARED = 600  # comparing takes up to the square of them
_WORDS = re.compile(r"\w+|\s+|[^\w\s]")


def plan_view(plan: FixPlan) -> Markup:
    """All fixes of a file, and what would be left for the user."""
    if not plan.fixes and not plan.unread:
        return empty("There is nothing here that a program can fix.")
    parts = [_fix(fix) for fix in plan.fixes]
    if plan.unread:
        parts.append(_note(f"{counted(plan.unread, 'record')} cannot be read even then, and would be left out."))
    if plan.left:
        left = ", ".join(f"{check} ({count:,})" for check, count in plan.left.items())
        parts.append(_note(f"Left for you: {left}."))
    return html('<div class="fr-fixes">{}</div>', joined(parts))


def _fix(fix: PlannedFix) -> Markup:
    safe = badge("safe", "good") if fix.safe else badge("to be confirmed", "warn")
    note = html('<div class="fr-quiet">{}</div>', fix.note) if fix.note else NOTHING
    return html(
        '<div class="fr-fix" data-fix="{}"><p>{} <b>{}</b> <span class="fr-quiet">{} · {}</span></p>{}{}</div>',
        fix.id,
        safe,
        f"{fix.what[:1].upper()}{fix.what[1:]}",
        fix.scope,
        fix.id,
        note,
        diffs_view(fix.samples),
    )


def diffs_view(diffs: Sequence[Diff]) -> Markup:
    """Rows before and after, folded; what changed stands out."""
    if not diffs:
        return NOTHING
    shown = joined(_diff(diff) for diff in diffs)
    summary = "Before and after" + (f" ({len(diffs)} rows)" if len(diffs) > 1 else "")
    return html('<details class="fr-fold"><summary>{}</summary>{}</details>', summary, shown)


def _diff(diff: Diff) -> Markup:
    if not diff.after:
        before = html('<div class="fr-old"><i>-</i>{}</div>', _whole(diff.before))
        after = Markup('<div class="fr-quiet">left out; it goes to the rejects</div>')
    elif len(diff.after) == 1:
        before, after = _changed(diff.before, diff.after[0])
    else:
        before = html('<div class="fr-old"><i>-</i>{}</div>', _whole(diff.before))
        after = joined(html('<div class="fr-new"><i>+</i>{}</div>', _whole(text)) for text in diff.after)
    return html('<div class="fr-diff"><small>line {:,}</small>{}{}</div>', diff.line, before, after)


def _changed(before: str, after: str) -> tuple[Markup, Markup]:
    """Both texts with the words that differ marked, and little of what is the same beside them."""
    old, new = _WORDS.findall(before), _WORDS.findall(after)
    start, end, steps = _steps(old, new)
    middle = old[start : len(old) - end], new[start : len(new) - end]
    head, tail = _end_of("".join(old[:start])), _start_of("".join(old[len(old) - end :]))
    parts_old = joined(_part(kind == "equal", "".join(middle[0][i:j]), "del") for kind, i, j, _, _ in steps)
    parts_new = joined(_part(kind == "equal", "".join(middle[1][i:j]), "ins") for kind, _, _, i, j in steps)
    return (
        html('<div class="fr-old"><i>-</i>{}{}{}</div>', head, parts_old, tail),
        html('<div class="fr-new"><i>+</i>{}{}{}</div>', head, parts_new, tail),
    )


def word_difference(text: str, other: str) -> Markup:
    """A text, whole, with its differences to another one word by word: its own words marked, the other's struck."""
    old, new = _WORDS.findall(other), _WORDS.findall(text)
    start, end, steps = _steps(old, new)
    gone, come = old[start : len(old) - end], new[start : len(new) - end]
    parts = [html("{}", "".join(new[:start]))]
    for kind, i, j, k, stop in steps:
        if kind == "equal":
            parts.append(html("{}", "".join(come[k:stop])))
        else:
            parts += [_marked("".join(gone[i:j]), "del"), _marked("".join(come[k:stop]), "ins")]
    return joined([*parts, html("{}", "".join(new[len(new) - end :]))])


def _marked(text: str, tag: str) -> Markup:
    return html(f"<{tag}>{{}}</{tag}>", text) if text else NOTHING


def _steps(old: Sequence[str], new: Sequence[str]) -> tuple[int, int, Sequence[tuple[str, int, int, int, int]]]:
    """How many words two texts begin and end with alike, and how what is between them becomes the other."""
    start = _same_start(old, new)
    end = _same_start(old[start:][::-1], new[start:][::-1])
    middle = old[start : len(old) - end], new[start : len(new) - end]
    if max(map(len, middle)) > _WORDS_COMPARED:
        return start, end, [("replace", 0, len(middle[0]), 0, len(middle[1]))]
    return start, end, SequenceMatcher(None, *middle, autojunk=False).get_opcodes()


def _same_start(one: Sequence[str], other: Sequence[str]) -> int:
    """How many words two texts begin with alike."""
    return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def _part(is_same: bool, text: str, tag: str) -> Markup:
    if not is_same:
        return _marked(_cut(text, _CHANGED_SHOWN), tag)
    return html("{}", text if len(text) <= 2 * _SAME_SHOWN else f"{_start_of(text)}{_end_of(text)[1:]}")


def _start_of(text: str) -> str:
    return _cut(text, _SAME_SHOWN)


def _end_of(text: str) -> str:
    return text if len(text) <= _SAME_SHOWN else f"…{text[-_SAME_SHOWN:]}"


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[:limit]}…"


def _whole(text: str) -> str:
    return _cut(text, _CHANGED_SHOWN + 2 * _SAME_SHOWN)


def _note(text: str) -> Markup:
    return html('<p class="fr-quiet fr-note">{}</p>', text)
