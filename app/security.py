"""What the server refuses, and the headers it adds: a page of another site must not use this one.

The app listens on this machine only and asks for no password, so any web page that the user opens could otherwise
post to it, put it in a frame, or reach it under a name of its own (DNS rebinding). This is no login.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY = "Content-Security-Policy"
LOOPBACK = ("127.0.0.1", "localhost", "::1")
_READING = ("GET", "HEAD", "OPTIONS")
# For a page that was written to the disk and may have been changed there: it runs nothing, and belongs to no site.
SEALED = "sandbox; default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
# Gradio's pages build their templates with Function() and inline styles. Nothing may be loaded from elsewhere: no
# font, no script, and no picture that an answer of a model names.
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:; "
    "object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
)
HEADERS = {
    POLICY: _POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class LocalOnly:
    """ASGI middleware: refuses requests that do not come from the app's own pages, and adds the headers."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer it with 403."""
        if scope["type"] not in ("http", "websocket"):
            return await self.app(scope, receive, send)
        method = scope.get("method", "POST")  # a web socket can do whatever a POST can
        reason = reason_to_refuse(method, Headers(scope=scope))
        app = PlainTextResponse(f"Refused: {reason}.\n", status_code=403) if reason else self.app

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                own = headers.get(POLICY)
                headers.update(HEADERS)
                if own:  # of two policies a browser heeds both, so that it can only be stricter
                    headers.append(POLICY, own)
            await send(message)

        await app(scope, receive, send_with_headers)


def reason_to_refuse(method: str, headers: Mapping[str, str]) -> str | None:
    """Why this request is refused, or None. Header names are looked up in lower case.

    A program that sends neither ``Origin`` nor ``Sec-Fetch-Site`` is no browser and is let through; a browser always
    sends one of them with a POST (fetch.spec.whatwg.org, "origin header"; w3.org/TR/fetch-metadata).
    """
    host = headers.get("host", "")
    if _name_of(host) not in LOOPBACK:
        return "this server answers to localhost only"
    if method in _READING:
        foreign = headers.get("sec-fetch-site") == "cross-site" and headers.get("sec-fetch-mode") != "navigate"
        return "another site asked for this" if foreign else None
    origin = headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != host:
        return "another site sent this"
    if headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
        return "another site sent this"
    return None


def _name_of(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
