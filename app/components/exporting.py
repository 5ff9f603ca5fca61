"""Exports of a run on its page: what it can be made into, how one goes, what came of it. Pure functions to HTML."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from app.components.actions import act_button
from app.components.cards import badge, error_parts_card, section, tiles
from app.components.evidence import table
from app.components.markup import NOTHING, counted, duration, html, joined
from app.components.run_series import Phase
from app.components.run_sparks import size
from app.components.runs import phases_list, when
from app.exports import Form, Made, form_of
from training.export.attempts import Attempt
from training.export.turn import WAITING

MOST_DOWNLOADED = 300_000_000
"""Bytes that a browser is offered: more takes it minutes, and the file lies on this machine already."""
_FENCE = re.compile(r"```(\w*)\n(.*?)\n```", re.DOTALL)
_ABOUT = (
    "Each export is loaded again and proven on held-out rows before it is kept. "
    "It goes on when you close this page, and is found again."
)


@dataclass(frozen=True)
class Offer:
    """A form in which a run can be exported.

    Attributes:
        form: The form.
        bytes: About how large it will be; None where that is not known (yet).
        reason: Why it is not to be had; empty where it is.
        made: Whether there is one.
    """

    form: Form
    bytes: int | None = None
    reason: str = ""
    made: bool = False


def offers_view(offers: Sequence[Offer], *, busy: bool) -> Markup:
    """What a run can be exported to, each with its button.

    Args:
        offers: The forms.
        busy: Whether one is being made.
    """
    each = joined(_offer(offer, busy=busy) for offer in offers)
    return joined([section("Use it elsewhere", _ABOUT), html('<div class="fr-choices">{}</div>', each)])


def _offer(offer: Offer, *, busy: bool) -> Markup:
    form, about = offer.form, f"about {size(offer.bytes)}" if offer.bytes is not None else ""
    text = "Export again" if offer.made else "Export"
    free = not busy and not offer.reason
    button = act_button("export", text, kind="main", label=f"{text}: {form.title}", free=free, form=form.name)
    return html(
        '<div class="fr-offer" data-offer="{}"><b>{}</b><span>{}</span><span class="fr-about">{}</span>{}</div>',
        form.name,
        form.title,
        form.purpose,
        html("<em>{}</em>", offer.reason) if offer.reason else about,
        button,
    )


def attempt_view(attempt: Attempt | None, *, now: float) -> Markup:
    """An export that goes on, or the last one where it came to nothing; nothing where it was proven.

    Args:
        attempt: The last one of the run.
        now: Seconds since the epoch.
    """
    if attempt is None or attempt.state == "done":
        return NOTHING
    title = form_of(attempt).title
    if attempt.running:
        stop = act_button("stop-export", "Stop", kind="bad", label="Stop the export")
        return joined(
            [
                html(
                    '<p class="fr-status{}" data-export="running">{} {} · {}</p>',
                    "" if attempt.phase == WAITING else " fr-working",
                    badge("exporting", "warn"),
                    _saying(attempt),
                    duration(round(max(0.0, now - attempt.began))),
                ),
                phases_list(_phases(attempt), folded=False),
                html('<div class="fr-acts">{}</div>', stop),
            ]
        )
    told = {
        "stopped": f"The export as {title} was stopped. Nothing of it was left; an earlier one stays as it was.",
        "interrupted": f"The process of the export as {title} is gone without a word: killed, or the machine went off."
        " Nothing half-written was left; export it again.",
    }.get(attempt.state, f"The export as {title} failed. Nothing of it was left; an earlier one stays as it was.")
    state = html('<p class="fr-status" data-export="{}">{} {}</p>', attempt.state, _badge(attempt.state), told)
    error = attempt.error if attempt.state == "failed" else None
    return joined([state, error_parts_card({key: error[key] for key in error if key != "kind"}) if error else NOTHING])


def _badge(state: str) -> Markup:
    return badge(state, "plain" if state == "stopped" else "bad")


def _saying(attempt: Attempt) -> str:
    title = form_of(attempt).title
    if attempt.phase == WAITING:
        return f"{title}: waits for a training run to end, as one accelerator holds one at a time"
    return f"{title}, made, loaded again and proven"


def _phases(attempt: Attempt) -> list[Phase]:
    ends = [*(at for _, at in attempt.phases[1:]), *([None] if attempt.phases else [])]
    return [
        Phase(name, None if end is None else max(0.0, end - at))
        for (name, at), end in zip(attempt.phases, ends, strict=True)
    ]


def made_view(made: Sequence[Made], *, run: str, changed: float = 0.0) -> Markup:
    """The exports that a run has, the newest first and open.

    Args:
        made: The exports.
        run: The run's id.
        changed: When what it has learnt was last changed, in seconds since the epoch.
    """
    return joined(_made(each, run=run, is_open=number == 0, old=each.at < changed) for number, each in enumerate(made))


def _made(made: Made, *, run: str, is_open: bool, old: bool) -> Markup:
    report, files = made.report, made.files
    parts = [
        _old() if old else NOTHING,
        tiles(_figures(report["proof"])),
        _lines([f"loaded again with {report['proof']['engine']}", *report["proof"]["checks"], *report["notes"]]),
        _files(made, files, run=run),
        _serving(made),
        _hub(made, run=run),
    ]
    head = html(
        "{} <b>{}</b> {} · {}", badge("proven", "good"), made.form.title, size(sum(files.values())), when(made.at)
    )
    return html(
        '<details class="fr-fold fr-made" data-made="{}"{}><summary>{}</summary>{}</details>',
        made.form.name,
        Markup(" open") if is_open else "",
        head,
        joined(parts),
    )


def _old() -> Markup:
    return Markup('<p class="fr-quiet">The run went on after this was made: export it again for what it is now.</p>')


def _figures(proof: Mapping[str, Any]) -> list[tuple[str, object]]:
    """What the proof has measured, as the command line tells it."""
    near, scores = proof["against_adapter"], proof.get("scores")
    kept = "held-out rows" if proof.get("held_out", True) else "rows that were trained on"
    facts: list[tuple[str, object]] = [(f"{kept} answered", proof["rows"])]
    if near.get("same_answers") is not None:
        facts.append(("answers as the trained model's", f"{near['same_answers']:.0%}"))
    facts.append(("next tokens as the trained model's", f"{near['next_token']:.1%}"))
    if scores:
        low, high = (100 * end for end in scores["interval"])
        about = f"score; the trained model's: {100 * scores['adapter']:.1f} (difference {low:+.1f} to {high:+.1f})"
        facts.append((about, f"{100 * scores['artefact']:.1f}"))
    return facts


def _lines(lines: Sequence[str]) -> Markup:
    items = joined(html("<li><i></i>{}</li>", line[:1].upper() + line[1:]) for line in lines)
    return html('<ul class="fr-notes">{}</ul>', items) if items else NOTHING


def _files(made: Made, files: Mapping[str, int], *, run: str) -> Markup:
    at = f"/exported/{run}/{made.form.name}"
    rows = joined(
        html('<tr><td>{}</td><td class="fr-number">{}</td></tr>', _file(at, name, bytes, usual=made.usual), size(bytes))
        for name, bytes in files.items()
    )
    small = made.usual and sum(files.values()) <= MOST_DOWNLOADED
    every = html('<a class="fr-button" download href="{}.zip">Download all, as one file</a>', at) if small else NOTHING
    card = html('<a class="fr-button" download href="{}/README.md">Download the model card</a>', at)
    links = html('<div class="fr-links">{}{}</div>', every, card if made.usual else NOTHING)
    where = html('<p class="fr-where">Its folder: <code>{}</code></p>', made.folder)
    folded = html(
        '<details class="fr-fold"><summary>{}</summary>{}</details>',
        counted(len(files), "file"),
        table(Markup('<th>File</th><th class="fr-number">Size</th>'), rows),
    )
    return joined([where, links, folded])


def _file(at: str, name: str, bytes: int, *, usual: bool) -> Markup:
    if usual and bytes <= MOST_DOWNLOADED:
        return html('<a download href="{}/{}">{}</a>', at, name, name)
    return html("{}", name)


def _serving(made: Made) -> Markup:
    """How it is served, as its README.md says it."""
    text = str(made.report.get("serving") or "")
    if not text:
        return Markup('<p class="fr-quiet">How to serve it stands in its README.md.</p>')
    parts = [html('<p>In its folder: <code>cd "{}"</code></p>', made.folder)]
    for piece in re.split(r"^### ", text, flags=re.MULTILINE):
        title, _, body = piece.partition("\n")
        if title.strip():
            parts += [html("<h4>{}</h4>", title), _body(body)]
    return html(
        '<details class="fr-fold" open data-serving><summary>How to serve it</summary>{}</details>', joined(parts)
    )


def _body(text: str) -> Markup:
    """Paragraphs and blocks of code."""
    parts, at = [], 0
    for found in _FENCE.finditer(text):
        parts += [_paragraph(text[at : found.start()]), html('<pre class="fr-raw">{}</pre>', found[2])]
        at = found.end()
    return joined([*parts, _paragraph(text[at:])])


def _paragraph(text: str) -> Markup:
    return html("<p>{}</p>", text.strip()) if text.strip() else NOTHING


def _hub(made: Made, *, run: str) -> Markup:
    command = f"HF_TOKEN=... fitting-room export {run} {made.form.option} --push ORG/NAME"
    about = "To send it to the Hugging Face hub (it is made and proven anew first), in a terminal:"
    return html('<p class="fr-quiet">{} <code>{}</code></p>', about, command)
