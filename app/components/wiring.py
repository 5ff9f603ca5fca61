"""How pages are wired: callbacks that return ``{component: value}``, their errors as cards, the page's address."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from app.components.cards import error_card
from app.components.markup import sendable
from dataset_tools.errors import FittingRoomError, UsageError

Updates = dict[Any, Any]
Callback = Callable[..., Updates]
Steps = Callable[..., Iterator[Updates]]


def on(
    trigger: Any,
    callback: Callback,
    *,
    inputs: Sequence[Any] = (),
    outputs: Sequence[Any],
    notice: Any,
    quiet: bool = False,
    direct: bool = True,
) -> Any:
    """Call `callback` when `trigger` fires.

    Args:
        trigger: An event of a component: ``button.click``, ``timer.tick``, ``blocks.load``.
        callback: Takes the values of `inputs`; gives new values for some of `outputs`.
        inputs: Components.
        outputs: Components.
        notice: Where the card of an error is shown. It is emptied by the next callback that works, unless `quiet`.
        quiet: For what happens by itself, such as a timer: nothing shows that it runs.
        direct: Answer in the reply to the request, without Gradio's queue. The queue answers over a stream that the
            server closes whenever nothing is left to answer. What is asked for just then is answered to nobody: the
            browser takes the stream for open, closes it as it is told, and waits until something else opens it again.
            A timer in the queue makes that happen now and then to whatever is clicked.
    """
    import gradio as gr

    @functools.wraps(callback)
    def run(*values: Any) -> Updates:
        try:
            # A dict without entries would be taken for a single value.
            unchanged = {notice: gr.skip() if quiet else ""}
            return _sendable(unchanged | callback(*values))
        except FittingRoomError as error:
            return {notice: sendable(error_card(error))}

    return _listen(trigger, run, inputs=inputs, outputs=[*outputs, notice], quiet=quiet, direct=direct)


def on_steps(trigger: Any, callback: Steps, *, inputs: Sequence[Any] = (), outputs: Sequence[Any], notice: Any) -> Any:
    """The same for a callback that gives updates several times, as it goes on: only the queue can send those."""

    @functools.wraps(callback)
    def run(*values: Any) -> Iterator[Updates]:
        yield {notice: ""}
        try:
            for updates in callback(*values):
                yield _sendable(updates)
        except FittingRoomError as error:
            yield {notice: sendable(error_card(error))}

    return _listen(trigger, run, inputs=inputs, outputs=[*outputs, notice], quiet=True)


def number_in(text: str | None, name: str) -> float | None:
    """The number above 0 that a field holds, None for an empty field.

    Raises:
        UsageError: it holds something else.
    """
    plain = (text or "").strip().replace(",", ".")
    if not plain:
        return None
    try:
        value = float(plain)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise UsageError(
            f"{name}: this is no number above 0.", found=plain[:80], next_step="Type a number, or clear the field."
        )
    return value


def asked_for(name: str) -> str | None:
    """A parameter of the address of the page that the callback runs for: ``?project=...``."""
    from gradio.context import LocalContext

    request = LocalContext.request.get(None)
    value = request.query_params.get(name) if request is not None else None
    return str(value) if value else None


def _listen(
    trigger: Any, run: Any, *, inputs: Sequence[Any], outputs: Sequence[Any], quiet: bool, direct: bool = False
) -> Any:
    return trigger(
        run,
        list(inputs),
        outputs,
        show_progress="hidden" if quiet else "minimal",
        api_visibility="private",
        trigger_mode="once",
        queue=not direct,
    )


def _sendable(updates: Updates) -> Updates:
    return {part: sendable(value) if isinstance(value, str) else value for part, value in updates.items()}
