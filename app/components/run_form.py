"""The form of a recipe: every knob with its help, told apart by groups; and what the server knows about each knob.

The form is sent once. What changes with the choices of a user (derived values, what is wrong, what has no effect) is
sent beside it as data, and put into the form by `FORM_SCRIPT`, so that nobody loses what is being typed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from markupsafe import Markup

from app.components.markup import html, joined
from training import recipe as recipes
from training.knobs import KNOBS, Knob

GROUPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("How long and how fast", ("schedule", "warmup", "max_steps", "patience", "evaluations")),
    ("Batches and lengths", ("batch_size", "micro_batch_size", "max_length", "completion_only")),
    ("The adapter", ("rank", "alpha", "dropout", "virtual_tokens", "start_from")),
    ("Preferences and rewards", ("beta", "generations", "max_completion")),
    ("Optimiser", ("optimizer", "weight_decay", "max_gradient_norm", "precision", "gradient_checkpointing")),
    ("Keeping, trying and telling", ("checkpoints_kept", "dry_run", "report_to", "seed")),
)
"""The advanced knobs in the order of the form. A knob of `training.knobs` that no group names comes last."""
SIMPLE = ("model", "epochs", "learning_rate", "max_seconds")
"""The knobs of the simple form; method and objective are chosen by cards."""
BY_CARDS = ("method", "objective")
_LABELS = {
    "model": "Base model",
    "epochs": "Passes over the rows",
    "learning_rate": "Learning rate",
    "max_seconds": "Minutes at most",
    "micro_batch_size": "Rows at once",
    "batch_size": "Batch",
    "max_length": "Longest row, in tokens",
    "max_steps": "Steps, whatever the passes",
    "completion_only": "Learn the answers only",
    "virtual_tokens": "Virtual tokens",
    "start_from": "Go on from an adapter",
    "max_completion": "Longest drawn answer, in tokens",
    "generations": "Answers for each prompt",
    "max_gradient_norm": "Longest gradient",
    "gradient_checkpointing": "Recompute activations",
    "checkpoints_kept": "Checkpoints that stay",
    "dry_run": "Dry run first",
    "report_to": "Tell another program",
    "patience": "Patience",
    "optimizer": "Optimiser",
    "warmup": "Warm-up",
}
_YES_NO = (("true", "yes"), ("false", "no"))


def _each(names: Sequence[str]) -> tuple[tuple[str, str], ...]:
    return tuple((name, name) for name in names)


_CHOICES: Mapping[str, tuple[tuple[str, str], ...]] = {
    "schedule": _each(recipes.SCHEDULES),
    "optimizer": _each(recipes.OPTIMIZERS),
    "precision": _each(recipes.PRECISIONS),
    "report_to": _each(recipes.REPORTERS),
    "completion_only": _YES_NO,
    "gradient_checkpointing": _YES_NO,
    "dry_run": _YES_NO,
}


@dataclass(frozen=True)
class KnobState:
    """What the form shows of a knob: value, derived value, what is wrong, why it has no effect, what else to say."""

    value: str
    derived: str
    wrong: str = ""
    idle: str = ""
    note: str = ""


# A click on [data-do] and a changed field send all fields of the form, one request at a time: what is changed meanwhile
# is sent once the answer is there. Gradio drops an event while the one before it is at work, so it is sent again until
# it is answered. What the server knows of the knobs lies in [data-knobs], another text with each answer; it is put into
# the fields that hold what the server has received.
FORM_SCRIPT = """
const form = () => document.querySelector('[data-recipe]');
const named = () => [...(form()?.querySelectorAll('[name]') ?? [])];
const fields = () => Object.fromEntries(named().map((one) => [one.name, one.value]));
const state = (window.fittingRoomRecipe ??= {
  told: '', form: null, waiting: null, changed: null, tries: 0, turn: 0, seen: 0,
});
const send = (data) => {
  state.turn += 1;
  trigger(data.slow ? 'input' : 'submit', {data, fields: {...fields(), '#turn': String(state.turn)}});
};
const pump = () => {
  if (!state.changed || state.waiting) return;
  const data = state.changed;
  state.changed = null;
  state.tries = 0;
  state.waiting = setInterval(() => {
    state.tries += 1;
    if (state.tries < 20) send(data);
    else answered();
  }, 900);
  send(data);
};
const answered = () => {
  clearInterval(state.waiting);
  state.waiting = null;
  setTimeout(pump, 50);
};
const settle = () => {
  const told = document.querySelector('[data-knobs]')?.dataset.knobs ?? '';
  if (!told || !form() || (told === state.told && form() === state.form)) return;
  const known = JSON.parse(told), turn = Number(known['#'] || 0);
  if (turn && turn < state.seen) {  // an old answer that came late: what it shows is asked for again
    state.told = told;
    state.changed ??= {do: 'change', slow: ''};
    return pump();
  }
  state.seen = Math.max(turn, state.seen);
  for (const box of form().querySelectorAll('[data-knob]')) {
    const knob = known[box.dataset.knob], field = box.querySelector('[name]');
    if (!knob) continue;
    const typed = field.value !== field.dataset.shown && field.value !== knob.received;
    if (!typed) {
      const options = [...(field.options ?? [])];
      if (options.length && !options.some((one) => one.value === knob.value)) field.add(new Option(knob.value));
      field.value = field.dataset.shown = knob.value;
    }
    box.querySelector('.fr-wrong').textContent = typed ? '' : knob.wrong;
    box.querySelector('.fr-idle').textContent = knob.idle;
    box.querySelector('.fr-noted').textContent = knob.note;
    box.classList.toggle('fr-off', Boolean(knob.idle));
    field.setAttribute('aria-invalid', Boolean(knob.wrong) && !typed);
    const back = box.querySelector('[data-back]');
    back.hidden = field.value === knob.derived;
    back.textContent = knob.derived === '' ? 'Clear' : `Back to ${knob.derived}`;
    back.dataset.back = knob.derived;
  }
  if (told !== state.told) answered();
  state.told = told;
  state.form = form();
};
element.addEventListener('click', (event) => {
  const back = event.target.closest('[data-back]');
  if (back) {
    const field = back.closest('[data-knob]').querySelector('[name]');
    field.value = back.dataset.back;
    field.dispatchEvent(new Event('change', {bubbles: true}));
  }
  const button = event.target.closest('[data-do]');
  if (!button || !element.contains(button) || button.disabled) return;
  if (button.dataset.once !== undefined) button.disabled = true;
  send({...button.dataset});
});
element.addEventListener('change', (event) => {
  const field = event.target;
  if (field.type === 'file') {
    field.files[0]?.text().then((text) => { element.querySelector('[name=yaml]').value = text; field.value = ''; });
  } else if (field.matches('[data-knob] [name]')) {
    const slow = field.name === 'model' || state.changed?.slow ? 'yes' : '';
    state.changed = {do: 'change', slow};
    pump();
  }
});
watch('value', settle);
settle();
"""
"""Of each HTML component of the form: its fields, its buttons, and the data beside it."""


def recipe_form(
    values: Mapping[str, str], *, models: Sequence[tuple[str, str]] = (), adapters: Sequence[tuple[str, str]] = ()
) -> Markup:
    """The whole form.

    Args:
        values: What stands in the fields, by the knob.
        models: Base models to offer, with what there is to know of each; any other can be typed.
        adapters: Earlier adapters to go on from: the folder and the title of each.
    """
    choices = {**_CHOICES, "start_from": (("", "start afresh"), *adapters)}

    def knobs(names: Sequence[str]) -> Markup:
        known = [name for name in names if name in KNOBS]
        return joined(_knob(name, values.get(name, ""), choices.get(name, ())) for name in known)

    named = {name for _, names in GROUPS for name in names} | {*SIMPLE, *BY_CARDS}
    rest = tuple(name for name in KNOBS if name not in named)
    groups = [*GROUPS, *([("More", rest)] if rest else [])]
    fieldset = '<fieldset class="fr-group"><legend>{}</legend><div class="fr-knobs">{}</div></fieldset>'
    offered = joined(html('<option value="{}">{}</option>', model, about) for model, about in models)
    return html(
        '<div data-recipe><div class="fr-knobs fr-simple">{}</div><datalist id="base-models">{}</datalist>'
        '<details class="fr-advanced"><summary>Advanced</summary>{}{}</details></div>',
        knobs(SIMPLE),
        offered,
        joined(html(fieldset, title, knobs(names)) for title, names in groups),
        _yaml_form(),
    )


def label_of(name: str) -> str:
    """What a knob is called in the form."""
    return _LABELS.get(name, name.replace("_", " ").capitalize())


def _knob(name: str, value: str, choices: Sequence[tuple[str, str]]) -> Markup:
    return html(
        '<div class="fr-knob" data-knob="{}"><label for="knob-{}">{} <code>{}</code></label>{}'
        '<p class="fr-wrong" role="alert"></p><p class="fr-idle"></p><p class="fr-noted"></p>'
        '<button type="button" class="fr-back" data-back="" hidden></button>{}</div>',
        name,
        name,
        label_of(name),
        name,
        _select(name, value, choices) if choices else _input(name, value),
        _help(KNOBS[name]),
    )


def _help(knob: Knob) -> Markup:
    return html(
        '<p class="fr-help">{}</p><details class="fr-why"><summary>Usual: {}</summary><p>{}</p></details>',
        knob.help,
        knob.usual,
        knob.why,
    )


def _input(name: str, value: str) -> Markup:
    kind = 'list="base-models" spellcheck="false"' if name == "model" else 'inputmode="decimal"'
    return html(
        '<input id="knob-{}" name="{}" value="{}" data-shown="{}" autocomplete="off" {}>',
        name,
        name,
        value,
        value,
        Markup(kind),
    )


def _select(name: str, value: str, choices: Sequence[tuple[str, str]]) -> Markup:
    shown = joined(
        html('<option value="{}"{}>{}</option>', choice, Markup(" selected") if choice == value else "", title)
        for choice, title in choices
    )
    return html('<select id="knob-{}" name="{}" data-shown="{}">{}</select>', name, name, value, shown)


def _yaml_form() -> Markup:
    return html(
        '<fieldset class="fr-group"><legend>A recipe of your own</legend>'
        '<p class="fr-help">Paste a recipe.yaml, or choose the file. Knobs that it does not name get their derived '
        'values.</p><label class="fr-field"><span>YAML</span>'
        '<textarea name="yaml" rows="5" spellcheck="false"></textarea></label>'
        '<div class="fr-acts"><button type="button" class="fr-act" data-do="yaml" data-slow="yes">Use these settings'
        '</button><label class="fr-filepick">Choose a file<input type="file" accept=".yaml,.yml,.txt"></label>'
        '<button type="button" class="fr-act" data-do="derived" data-slow="yes">Back to the derived settings</button>'
        "</div></fieldset>"
    )


def knob_data(states: Mapping[str, KnobState], *, serial: str, received: Mapping[str, str]) -> Markup:
    """What the server knows of the knobs, for `FORM_SCRIPT`.

    Args:
        states: Of each knob.
        serial: Another one in each answer.
        received: The fields that this answers: what stands in a field now and is something else was typed meanwhile.
    """
    data: dict[str, object] = {
        name: {**asdict(state), "received": received.get(name, state.value)} for name, state in states.items()
    }
    turn = received.get("#turn", "")  # which question this answers: answers may overtake each other
    return html('<span hidden data-knobs="{}"></span>', json.dumps({**data, "": serial, "#": turn}))
