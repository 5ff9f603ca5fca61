"""Labels that people call wrong: what putting them right changes in a dataset, and what was done. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from markupsafe import Markup

from app.components.actions import act_button
from app.components.cards import link
from app.components.diffs import diffs_view
from app.components.layout import address
from app.components.markup import NOTHING, html, joined

if TYPE_CHECKING:
    from app.relabelled import Correction


def planned_corrections(planned: Sequence[Correction]) -> Markup:
    """What would change in each file, with the diff."""
    return joined(
        html("<p><b>{}</b>: {}</p>{}", each.name, each.relabelling.sentence, diffs_view(each.relabelling.diffs))
        for each in planned
    )


def correction_note(title: str, count: str, planned: Sequence[Correction]) -> Markup:
    """What the labels that were called wrong so far would change in a project's files, before it is done.

    Args:
        title: the project's.
        count: how many labels, in words.
        planned: what changes in which file.
    """
    return html(
        '<div class="fr-card fr-warn" id="held-labels"><h3>{} called wrong in {}</h3>{}<p class="fr-quiet">Nothing is '
        'changed yet. Call more labels wrong, and change them together.</p><div class="fr-links">{}{}</div></div>',
        count,
        title,
        planned_corrections(planned),
        act_button("put-right", "Put right in the dataset", kind="main"),
        act_button("close", "Leave as it is"),
    )


def put_right_note(project: str, done: str, *, closes: bool = True) -> Markup:
    """What was changed in a project, where it can be undone, and what stays as it was measured.

    Args:
        project: its id.
        done: what was changed, in words.
        closes: whether it can be closed.
    """
    return html(
        '<div class="fr-card"><h3>{}</h3><p>What was measured before was scored by the labels as they were: compare '
        'once more to see it by these.</p><div class="fr-links">{}{}</div></div>',
        done,
        link(address("data", project=project), "See or undo it on Data"),
        act_button("close", "Close") if closes else NOTHING,
    )
