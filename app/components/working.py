"""Work that takes a while, in a thread, while the page says how far it is."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any, TypeVar

from markupsafe import Markup

from app.components.markup import counted, duration, html

T = TypeVar("T")
Tell = Callable[[int], None]
_BETWEEN = 0.5  # seconds between two looks
_WORTH_SAYING = 2.0  # seconds after which the time is told


def working(text: str) -> Markup:
    """A line that says that something is being done."""
    return html('<p class="fr-status fr-working">{}</p>', text)


def while_working(part: Any, saying: str, work: Callable[[Tell], T]) -> Generator[dict[Any, Any], None, T]:
    """Do the work, and give updates of `part` that say how far it is; what the work gives is the generator's result.

    Use it with ``yield from`` in a callback of `on_steps`. What the work raises is raised here.

    Args:
        part: The component that shows the progress; it is emptied at the end.
        saying: What is being done: "Mending the rows".
        work: Is handed a function that takes the number of rows done so far.
    """
    rows, began = 0, time.monotonic()

    def tell(done: int) -> None:
        nonlocal rows
        rows = done

    yield {part: working(f"{saying} …")}
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(work, tell)
        while not wait([future], timeout=_BETWEEN).done:
            passed = time.monotonic() - began
            facts = [counted(rows, "row") if rows else "", duration(round(passed)) if passed > _WORTH_SAYING else ""]
            yield {part: working(f"{saying} … {', '.join(filter(None, facts))}".strip())}
    yield {part: ""}
    return future.result()
