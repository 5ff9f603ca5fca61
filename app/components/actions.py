"""Buttons and small forms inside HTML: what was clicked, and what stands in the fields beside it, as one event.

A list of rows has several buttons a row, which no component of Gradio offers. What comes back is text from the
browser: it is looked up, never trusted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup

from app.components.markup import html, joined
from app.components.wiring import on
from dataset_tools import UsageError

# A click on [data-do] sends its data and the fields of the [data-form] around it. Ctrl+Enter in a field is a click on
# the form's [data-enter], Escape on its [data-escape]. A new [autofocus] is focused; [data-address] is where the page
# is found again after a reload.
_SCRIPT = """
const send = (button) => {
  const fields = {}, form = button.closest('[data-form]');
  if (form) for (const field of form.querySelectorAll('[name]')) fields[field.name] = field.value;
  trigger('submit', {data: {...button.dataset}, fields});
};
element.addEventListener('click', (event) => {
  const button = event.target.closest('[data-do]');
  if (button && element.contains(button) && !button.disabled) send(button);
});
element.addEventListener('keydown', (event) => {
  const form = event.target.closest('[data-form]');
  const enter = event.key === 'Enter' && (event.ctrlKey || event.metaKey);
  const which = event.key === 'Escape' ? 'escape' : enter ? 'enter' : '';
  const button = form && which && form.querySelector(`[data-${which}]`);
  if (button) { event.preventDefault(); send(button); }
});
let focused = null;
const settle = () => {
  const wanted = element.querySelector('[autofocus]');
  if (wanted && wanted !== focused) { wanted.focus(); wanted.scrollIntoView({block: 'nearest'}); }
  focused = wanted;
  const place = element.querySelector('[data-address]');
  if (place) history.replaceState(history.state, '', place.dataset.address);
};
watch('value', settle);
settle();
"""


@dataclass(frozen=True)
class Act:
    """What was clicked: the button's ``do``, its data, and the texts of the fields of its form."""

    do: str = ""
    data: Mapping[str, str] = field(default_factory=dict)
    fields: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, value: object) -> Act:
        """The act in what a browser sent; anything that is no text is left out."""
        given: Mapping[Any, Any] = value if isinstance(value, dict) else {}
        data = _texts(given.get("data"))
        return cls(data.get("do", ""), data, _texts(given.get("fields")))

    def get(self, name: str) -> str:
        """A value of the button's data; empty where it has none."""
        return self.data.get(name, "")

    def number(self, name: str) -> int:
        """A value of the button's data that is a number from 0 on.

        Raises:
            UsageError: it is none.
        """
        text = self.get(name)
        if not (text.isascii() and text.isdigit() and len(text) < 10):
            raise UsageError("This button does not belong to the page any more.", next_step="Reload the page.")
        return int(text)


def acting_html(**options: Any) -> Any:
    """An HTML component whose buttons act; see `act_button` and `on_act`."""
    import gradio as gr

    return gr.HTML(js_on_load=_SCRIPT, **options)


def found_at(address: str) -> Markup:
    """Says, inside an `acting_html`, at which address the page is found again after a reload."""
    return html('<span data-address="{}"></span>', address)


def on_act(
    part: Any,
    callback: Callable[..., dict[Any, Any]],
    *,
    inputs: Sequence[Any],
    outputs: Sequence[Any],
    notice: Any,
    direct: bool = True,
) -> Any:
    """Call `callback` with the act and the values of `inputs` when a button of an HTML component is clicked."""
    import gradio as gr

    def run(event, *values):  # type: ignore[no-untyped-def]  # typed below: Gradio is not imported with this module
        return callback(Act.of(event._data), *values)

    run.__annotations__ = {"event": gr.EventData, "return": dict}
    return on(part.submit, run, inputs=inputs, outputs=outputs, notice=notice, direct=direct)


def act_button(do: str, text: str, *, kind: str = "", label: str = "", free: bool = True, **data: object) -> Markup:
    """A button inside HTML.

    Args:
        do: What it asks for.
        text: What stands on it.
        kind: ``main``, ``good`` or ``bad`` for a colour; ``enter`` and ``escape`` name the keys that click it.
        label: What it is called for screen readers, where its text says too little.
        free: Whether it can be clicked.
        data: What goes with it.
    """
    keys = joined(html(" data-{}", key) for key in ("enter", "escape") if key in kind.split())
    looks = " ".join(f"fr-{look}" for look in kind.split() if look in ("main", "good", "bad"))
    values = joined(html(' data-{}="{}"', name, value) for name, value in data.items())
    return html(
        '<button type="button" class="fr-act {}" data-do="{}"{}{}{}{}>{}</button>',
        looks,
        do,
        values,
        keys,
        html(' aria-label="{}"', label) if label else "",
        "" if free else Markup(" disabled"),
        text,
    )


def text_field(name: str, text: str, *, label: str, lines: int = 3, focus: bool = False, hint: str = "") -> Markup:
    """A field of a form, with its label."""
    return html(
        '<label class="fr-field"><span>{}</span>'
        '<textarea name="{}" rows="{}" placeholder="{}"{}>\n{}</textarea></label>',
        label,
        name,
        lines,
        hint,
        Markup(" autofocus") if focus else "",
        text,
    )


def _texts(value: object) -> dict[str, str]:
    given = value if isinstance(value, dict) else {}
    return {key: text for key, text in given.items() if isinstance(key, str) and isinstance(text, str)}
