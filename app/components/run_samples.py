"""Fixed held-out prompts and what a run answered to them as it learnt, with a slider over the steps."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from markupsafe import Markup

from app.components.markup import NOTHING, html, joined, shortened
from app.components.run_series import Samples

_LONGEST = 600  # characters of a prompt or an answer that are shown

# The slider shows what lies under its place. Where the user has not moved it, it stays at the newest step.
SAMPLES_SCRIPT = """
let place = null, run = '';
const show = () => {
  const strip = element.querySelector('[data-strip]'), range = strip?.querySelector('input');
  if (!range) return;
  if (strip.dataset.strip !== run) { run = strip.dataset.strip; place = null; }
  const at = place === null ? Number(range.max) : Math.min(place, Number(range.max));
  range.value = at;
  for (const one of strip.querySelectorAll('[data-at]')) one.hidden = Number(one.dataset.at) !== at;
  range.setAttribute('aria-valuetext', strip.querySelector(`output [data-at="${at}"]`).textContent);
};
element.addEventListener('input', (event) => {
  if (event.target.type !== 'range') return;
  place = event.target.value === event.target.max ? null : Number(event.target.value);
  show();
});
watch('value', show);
show();
"""


def samples_view(samples: Samples | None, *, run: str) -> Markup:
    """The prompts, each with the wanted answer and the answer at the step that the slider is at."""
    if samples is None:
        return NOTHING
    steps = sorted(samples.answers)
    names = joined(
        html('<span data-at="{}"{}>{}</span>', at, _hidden(at, steps), _named(step)) for at, step in enumerate(steps)
    )
    slider = html(
        '<label class="fr-slider"><span>Answers at <output>{}</output></span>'
        '<input type="range" min="0" max="{}" value="{}" step="1" aria-label="Step of the answers"{}></label>',
        names,
        len(steps) - 1,
        len(steps) - 1,
        Markup(" disabled") if len(steps) < 2 else "",
    )
    begin = common_beginning([prompt for prompt, _ in samples.rows])
    rows = joined(_row(samples, number, steps, begin=begin) for number in range(len(samples.rows)))
    said = html('<p class="fr-quiet fr-every">All begin with: {}</p>', shortened(begin, _LONGEST))
    return html(
        '<section class="fr-strip" data-strip="{}"><header><div><h3>Held-out prompts as it learns</h3>'
        '<p class="fr-quiet">The same few rows, which it is not trained on, answered at each evaluation.</p></div>{}'
        "</header>{}{}</section>",
        run,
        slider,
        said if begin else NOTHING,
        rows,
    )


def common_beginning(prompts: Sequence[str]) -> str:
    """The lines that all prompts begin with, where something is left of each; they are worth showing once only."""
    lines = zip(*(prompt.strip().splitlines() for prompt in prompts), strict=False) if len(prompts) > 1 else ()
    shared = "\n".join(each[0] for each in itertools.takewhile(lambda each: len(set(each)) == 1, lines)).strip()
    return shared if all(prompt.strip().removeprefix(shared).strip() for prompt in prompts) else ""


def _named(step: int) -> str:
    return f"step {step:,}" if step else "the start, before any training"


def _hidden(at: int, steps: list[int]) -> Markup:
    return NOTHING if at == len(steps) - 1 else Markup(" hidden")


def _row(samples: Samples, number: int, steps: list[int], *, begin: str) -> Markup:
    prompt, wanted = samples.rows[number]
    prompt = prompt.strip().removeprefix(begin).strip()
    answers = joined(
        _answer(samples.answers[step][number], wanted, at, _hidden(at, steps))
        for at, step in enumerate(steps)
        if number < len(samples.answers[step])
    )
    return html(
        '<div class="fr-sample"><div class="fr-asked">{}</div><div class="fr-answer fr-target"><small>wanted</small>'
        '<div>{}</div></div><div class="fr-told">{}</div></div>',
        shortened(prompt, _LONGEST),
        shortened(wanted, _LONGEST),
        answers,
    )


def _answer(answer: str, wanted: str, at: int, hidden: Markup) -> Markup:
    same = answer.strip() == wanted.strip()
    return html(
        '<div class="fr-answer{}" data-at="{}"{}><small>{}</small><div>{}</div></div>',
        " fr-hit" if same else "",
        at,
        hidden,
        html("<b>as wanted</b>") if same else "answered",
        shortened(answer, _LONGEST) or "(nothing)",
    )
