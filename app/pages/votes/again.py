"""Models that were tuned again on people's votes: each is offered for the next blind session, beside its parent.

The cards name models, so they are emptied where somebody votes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from markupsafe import Markup

from advisor.human import Session, VoteStore
from app.components.actions import act_button, acting_html
from app.components.markup import NOTHING, html, joined
from app.components.working import while_working
from app.tuned_again import Offer, next_session, offer_named, offers

Updates = dict[Any, Any]
_MOST_SHOWN = 3


class NextSessions:
    """The cards, and the session that one of them starts."""

    def build(self, gr: Any) -> None:
        """Lay the components out."""
        self.cards = acting_html(elem_id="votes-again")
        self.status = gr.HTML()
        self.outputs = [self.cards, self.status]

    def fill(self, store: VoteStore) -> Updates:
        """The cards of the models that wait."""
        return {self.cards: joined(map(_card, offers(store)[:_MOST_SHOWN])), self.status: NOTHING}

    def emptied(self) -> Updates:
        """Nothing, where somebody votes."""
        return {self.cards: NOTHING, self.status: NOTHING}

    def session(self, store: VoteStore, run: str) -> Iterator[Updates | Session]:
        """Let a model and its parent answer, with what is shown meanwhile; at last the session, not stored yet.

        Raises:
            UsageError: the model does not wait any more.
            DataError: there is no row for both, or no two answers differ.
            ModelError: one of them cannot be loaded.
        """
        offer = offer_named(store, run)
        made = yield from while_working(
            self.status,
            f"{offer.run.path.name} and its parent answer rows",
            lambda tell: next_session(offer, tell=lambda title, done, total: tell(done)),
        )
        yield made


def _card(offer: Offer) -> Markup:
    name = offer.run.path.name
    return html(
        '<div class="fr-card"><h3>Tuned again, and not voted on yet</h3><p>{} goes on from {}, with the votes of "{}". '
        "Both answer rows that neither was trained on, then people tell blind which is better.</p>"
        '<div class="fr-acts">{}</div></div>',
        name,
        offer.parent.name,
        offer.session.title,
        act_button("next", "Start the next blind session", kind="main", run=name, label=f"Next session: {name}"),
    )
