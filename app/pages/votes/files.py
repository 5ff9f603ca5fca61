"""The files of a closed session, made when they are asked for. Of an open session there is none: it stays blind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from advisor.human import VoteStore, feedback_as, votes_csv, votes_jsonl
from dataset_tools.errors import UsageError
from dataset_tools.writing import json_line

if TYPE_CHECKING:
    from fastapi import FastAPI

_WHOLE = {"votes.csv": votes_csv, "votes.jsonl": votes_jsonl}
_FORMS: dict[str, tuple[Literal["dpo", "kto", "sft"], bool]] = {
    "dpo.jsonl": ("dpo", False),
    "kto.jsonl": ("kto", False),
    "sft.jsonl": ("sft", False),
    "dpo-with-test-rows.jsonl": ("dpo", True),
    "kto-with-test-rows.jsonl": ("kto", True),
    "sft-with-test-rows.jsonl": ("sft", True),
}


def session_file(store: VoteStore, session_id: str, name: str) -> bytes | None:
    """A file of a closed session by its name; None where there is none, or the session is still open.

    ``votes.csv`` and ``votes.jsonl``, and rows in TRL's shapes: ``dpo.jsonl``, ``kto.jsonl`` and ``sft.jsonl`` (answers
    that raters wrote), which leave test rows out, and the same with them (``dpo-with-test-rows.jsonl``).

    Raises:
        VotesError: the votes cannot be read.
    """
    try:
        session = store.session(session_id)
    except UsageError:
        return None
    if session.closed is None or (name not in _WHOLE and name not in _FORMS):
        return None
    votes = store.votes(session_id)
    if name in _WHOLE:
        return _WHOLE[name](session, votes).encode()
    form, use_test_rows = _FORMS[name]
    return b"".join(map(json_line, feedback_as(form, session, votes, use_test_rows=use_test_rows).rows()))


def add_downloads(server: FastAPI) -> None:
    """Let the server answer to ``/votes/SESSION/NAME``."""
    from fastapi import HTTPException
    from fastapi.responses import Response

    @server.get("/votes/{session}/{name}", response_model=None)
    def votes_file(session: str, name: str) -> Any:
        with VoteStore.open() as store:
            content = session_file(store, session, name)
        if content is None:
            raise HTTPException(404, "There is no such file.")
        said = f'attachment; filename="{session}-{name}"'  # both are names of ours by now
        headers = {"Content-Disposition": said, "Cache-Control": "no-cache"}
        return Response(content, media_type="application/octet-stream", headers=headers)
