"""HTML that is escaped by construction. Every text of a user or a model reaches the browser through here.

It is not a template engine: a page's parts are short, and `markupsafe` escapes whatever is put into them.
"""

from __future__ import annotations

from collections.abc import Iterable

from markupsafe import Markup

NOTHING = Markup("")


def html(template: str, /, *parts: object, **named: object) -> Markup:
    """Fill a literal template; each value is escaped unless it is `Markup` already."""
    return Markup(template).format(*parts, **named)


def joined(parts: Iterable[Markup], separator: str = "") -> Markup:
    """Pieces of HTML one after the other."""
    return Markup(separator).join(parts)


def sendable(text: str) -> str:
    """The text without lone surrogates, which JSON files may hold and no reply to a browser can."""
    return str(text).encode("utf-8", "replace").decode("utf-8")


def shortened(text: str, limit: int) -> str:
    """The text cut to `limit` characters, with a mark where something was cut off."""
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def counted(number: int, one: str, many: str | None = None) -> str:
    """``1 row``, ``1,200 rows``."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def duration(seconds: float | None) -> str:
    """Seconds for people: ``0.4 s``, ``35 s``, ``4 min 10 s``, ``2 h 5 min``; a dash for None."""
    if seconds is None:
        return "-"
    if seconds < 10:
        return f"{seconds:.2g} s" if seconds else "0 s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s" if whole % 60 else f"{whole // 60} min"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
