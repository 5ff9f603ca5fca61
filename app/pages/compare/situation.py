"""What the user says of the situation: how much will be asked, what matters, what it costs. It changes no answer.

So a comparison that is finished can be judged again by it, from the answers that it has.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, cast

from advisor.cost import AnswersChange, Prices, RunsOn, Situation
from advisor.verdict import DEFAULT_MARGIN
from app.components.markup import html
from app.components.wiring import number_in
from dataset_tools import UsageError

_CHANGES: list[tuple[str, AnswersChange]] = [
    ("Never", "never"),
    ("About once a year", "yearly"),
    ("About once a month", "monthly"),
    ("Every week", "weekly"),
    ("Every day", "daily"),
]
_PLACES: list[tuple[str, RunsOn]] = [
    ("On this machine", "here"),
    ("On a GPU that is paid by the hour", "own_gpu"),
    ("At a host that is paid by the token", "hosted"),
]
_PRICES = {
    "prompt": "Prompt, $ a million tokens",
    "cached_prompt": "Cached prompt, $ a million",
    "answer": "Answer, $ a million tokens",
    "machine_hour": "Machine with GPU, $ an hour",
}
_ABOUT = (
    "It changes no answer: it says what counts as a difference, what each approach costs you, and what would change "
    "the advice."
)


class SituationForm:
    """The fold “Your situation”: its fields, and what they say."""

    def build(self, gr: Any) -> None:
        """Lay the fields out."""
        usual = Situation()
        with gr.Accordion(
            "Your situation", open=False, visible=False, elem_classes="fr-panel", elem_id="situation"
        ) as (self.fold):
            gr.HTML(html('<p class="fr-quiet">{}</p>', _ABOUT))
            with gr.Row():
                self.requests = gr.Textbox(
                    str(usual.requests_a_month), label="Requests a month", min_width=150, elem_id="requests"
                )
                self.changes = gr.Dropdown(
                    _CHANGES, value=usual.answers_change, label="How often right answers change", min_width=190
                )
                self.place = gr.Dropdown(
                    _PLACES, value=usual.runs_on, label="Where it will run", min_width=230, elem_id="runs-on"
                )
            with gr.Row():
                self.margin = gr.Textbox(
                    f"{100 * DEFAULT_MARGIN:g}",
                    label="Smallest difference that matters, in points of 100",
                    min_width=230,
                    elem_id="margin",
                )
                self.cite = gr.Checkbox(label="Answers must name their source", min_width=230, elem_id="must-cite")
            with gr.Row():
                self.prices = [
                    gr.Textbox(
                        label=label,
                        placeholder=f"{getattr(Prices(), name):g}, assumed",
                        min_width=190,
                        elem_id=f"price-{name}",
                    )
                    for name, label in _PRICES.items()
                ]
            self.again = gr.Button("Judge again by this", visible=False, elem_id="judge", scale=0, min_width=200)
        self.inputs = [self.requests, self.changes, self.cite, self.place, self.margin, *self.prices]
        self.outputs = [self.fold, self.again, *self.inputs]

    def fill(self, asked: Mapping[str, Any]) -> dict[Any, Any]:
        """The fields as a comparison was asked for; as they are by default where it does not say."""
        usual = Situation()
        situation, prices = asked.get("situation") or {}, asked.get("prices") or {}
        texts = price_texts(prices)
        return {
            self.requests: str(situation.get("requests_a_month", usual.requests_a_month)),
            self.changes: _known(situation.get("answers_change"), _CHANGES, usual.answers_change),
            self.cite: bool(situation.get("must_cite", usual.must_cite)),
            self.place: _known(situation.get("runs_on"), _PLACES, usual.runs_on),
            self.margin: f"{100 * float(asked.get('margin') or DEFAULT_MARGIN):g}",
            **dict(zip(self.prices, texts, strict=True)),
        }


def _known(value: Any, choices: list[Any], usual: str) -> str:
    return str(value) if value in [choice for _, choice in choices] else usual


def price_texts(prices: Mapping[str, Any]) -> list[str]:
    """What stands in the fields of the prices: those that the user gave, and nothing where one was assumed."""
    assumed = Prices()
    given = {
        name: value
        for name in _PRICES
        if (value := prices.get(name)) is not None
        and (not prices.get("assumed", True) or value != getattr(assumed, name))
    }
    return [f"{given[name]:g}" if name in given else "" for name in _PRICES]


def judgement_of(requests: str, changes: str, cite: bool, place: str, margin: str, *prices: str) -> dict[str, Any]:
    """What the fields say, as attributes of `advisor.request.ComparisonRequest`; an empty field is the default.

    Raises:
        UsageError: one of them holds no number that makes sense.
    """
    usual, many = Situation(), number_in(requests, "Requests a month")
    situation = Situation(
        round(many) if many else usual.requests_a_month,
        cast(AnswersChange, changes or usual.answers_change),
        bool(cite),
        cast(RunsOn, place or usual.runs_on),
    )
    points = number_in(margin, "Smallest difference that matters") or 100 * DEFAULT_MARGIN
    if points >= 100:
        raise UsageError(
            "The smallest difference that matters is below 100 points.", found=f"{points:g}", expected="such as 3"
        )
    return {"situation": situation, "margin": points / 100, "prices": _prices(prices)}


def _prices(texts: tuple[str, ...]) -> Prices:
    given = {name: _price(text, _PRICES[name]) for name, text in zip(_PRICES, texts, strict=True) if text.strip()}
    plain = [field.name for field in fields(Prices) if field.name != "assumed"]
    return Prices(**given, assumed=len(given) < len(plain))


def _price(text: str, label: str) -> float:
    try:
        value = float(text.strip().lstrip("$").replace(",", "."))
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise UsageError(
            f"{label}: this is no price.",
            found=text[:80],
            next_step="Type a number, or clear the field to have it assumed.",
        )
    return value
