"""Answers that are kept on the disk as soon as their batch is done, so that no prompt is answered twice.

One SQLite file with one table, in write-ahead mode: a process may be killed at any moment, and two may use the file at
once. Greedy answers follow from model, prompt and token limit alone, so whoever asks the same gets what is there.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

import xxhash

from advisor.answering.answer import Answer, Answerer, OnAnswer, Progress
from dataset_tools.errors import DiskFullError, RunError
from dataset_tools.example import Message
from training.models.loading import locate

# Raised when the same model would answer the same prompt otherwise, so that no older answer is taken.
_VERSION = 1
# Seconds to wait for another process to finish its write, and between two looks where SQLite does not wait itself.
_PATIENCE, _PAUSE = 60.0, 0.05
# Variables of one question to SQLite; its oldest limit is 999.
_KEYS_AT_ONCE = 500
# How long an answer took, as its share of its call; beside the answers, which are kept before their call is over.
_CREATE_TIMES = "CREATE TABLE IF NOT EXISTS times (key TEXT PRIMARY KEY, seconds REAL NOT NULL) WITHOUT ROWID"
_CREATE = """
CREATE TABLE IF NOT EXISTS answers (
    key TEXT PRIMARY KEY, text TEXT NOT NULL, prompt_tokens INTEGER NOT NULL, answer_tokens INTEGER NOT NULL,
    stopped INTEGER NOT NULL
) WITHOUT ROWID
"""
_WEIGHTS_AND_SETTINGS = ("*.safetensors", "*.json", "*.jinja", "*.model", "*.txt")


class AnswerStore:
    """Answers by key, in a file. May be shared by threads."""

    def __init__(self, path: Path) -> None:
        """Open the file, or make it.

        Raises:
            RunError: it is no answer store, or cannot be opened.
            DiskFullError: there is no space left for it.
        """
        self.path = path
        self._lock = threading.Lock()
        with self._told():
            # Its own transactions: sqlite3 would open one only before some statements. Threads are kept apart above.
            self._connection = sqlite3.connect(path, timeout=_PATIENCE, isolation_level=None, check_same_thread=False)
            self._closing = weakref.finalize(self, self._connection.close)
            self._switch_to_write_ahead()
            self._connection.execute("PRAGMA synchronous=NORMAL")  # a lost machine may lose answers, never the file
            self._connection.execute(_CREATE)
            self._connection.execute(_CREATE_TIMES)

    def _switch_to_write_ahead(self) -> None:
        """Once for a file. Where two processes do it at once, SQLite tells one of them that it is busy, unasked."""
        began = time.monotonic()
        while True:
            try:
                self._connection.execute("PRAGMA journal_mode=WAL")
                return
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() - began > _PATIENCE:
                    raise
                time.sleep(_PAUSE)

    def get(self, keys: Sequence[str]) -> dict[str, Answer]:
        """The answers that there are to these keys.

        Raises:
            RunError: the file cannot be read.
        """
        found: dict[str, Answer] = {}
        with self._lock, self._told():
            for start in range(0, len(keys), _KEYS_AT_ONCE):
                part = keys[start : start + _KEYS_AT_ONCE]
                marks = ",".join("?" * len(part))
                rows = self._connection.execute(f"SELECT * FROM answers WHERE key IN ({marks})", tuple(part))
                found |= {key: Answer(text, asked, said, bool(stopped)) for key, text, asked, said, stopped in rows}
        return found

    def put(self, answers: Mapping[str, Answer]) -> None:
        """Keep these answers, all or none; where a key has one already, that one stays.

        Raises:
            RunError: the file cannot be written.
            DiskFullError: there is no space left.
        """
        rows = [(key, a.text, a.prompt_tokens, a.answer_tokens, int(a.stopped)) for key, a in answers.items()]
        with self._lock, self._told():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                self._connection.executemany("INSERT OR IGNORE INTO answers VALUES (?, ?, ?, ?, ?)", rows)
                self._connection.execute("COMMIT")
            finally:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")

    def seconds(self, keys: Sequence[str]) -> dict[str, float]:
        """How long the answers to these keys took, of those where it is known."""
        found: dict[str, float] = {}
        with self._lock, self._told():
            for start in range(0, len(keys), _KEYS_AT_ONCE):
                part = keys[start : start + _KEYS_AT_ONCE]
                marks = ",".join("?" * len(part))
                found |= dict(self._connection.execute(f"SELECT * FROM times WHERE key IN ({marks})", tuple(part)))
        return found

    def put_seconds(self, keys: Sequence[str], seconds: float) -> None:
        """Keep that each of these answers took so long."""
        with self._lock, self._told():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                rows = [(key, seconds) for key in keys]
                self._connection.executemany("INSERT OR REPLACE INTO times VALUES (?, ?)", rows)
                self._connection.execute("COMMIT")
            finally:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")

    def __len__(self) -> int:
        with self._lock, self._told():
            count: int = self._connection.execute("SELECT COUNT(*) FROM answers").fetchone()[0]
        return count

    def close(self) -> None:
        """Close the file. It is closed with the object at the latest."""
        with self._lock:
            self._closing()

    @contextmanager
    def _told(self) -> Iterator[None]:
        """What SQLite says, as errors of ours."""
        try:
            yield
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:  # an error of Python's side has none
                raise DiskFullError(
                    "There is no space left to keep answers.",
                    where=str(self.path),
                    next_step="Make room and start again: answers that were kept are not given anew.",
                ) from error
            raise RunError(
                "The stored answers cannot be used.",
                where=str(self.path),
                found=str(error),
                expected="a file that this program made, in a folder that can be written to",
                next_step="Remove the file to have everything answered anew, or check the folder's permissions.",
            ) from error


class StoredAnswerer:
    """An answerer that asks another one only what is not stored yet.

    Attributes:
        taken: How many answers came from the store, or from an equal prompt of the same call, so far.
        spent: Seconds that all its answers took, those that came from the store as long as when they were given.
    """

    def __init__(self, answerer: Answerer | Callable[[], Answerer], store: AnswerStore, *, model_key: str) -> None:
        """Answer with `answerer`, whose model is told from others by `model_key` (see the function of that name).

        Where it is a function that gives the answerer, it is called once something is asked that is not stored; the
        time that this takes is no answer's.
        """
        self._answerer = answerer
        self._store = store
        self._model_key = model_key
        self.taken = 0
        self.spent = 0.0

    def answer(
        self,
        prompts: Sequence[Sequence[Message]],
        *,
        max_new_tokens: int,
        progress: Progress | None = None,
        tools: Sequence[str | None] | None = None,
        on_answer: OnAnswer | None = None,
    ) -> list[Answer]:
        """Answer all prompts; see `Answerer.answer`. New answers are stored as the answerer hands them out.

        Raises:
            RunError: the store cannot be read or written.
            DiskFullError: there is no space left to store an answer.
        """
        declared = list(tools or [None] * len(prompts))
        keys = [
            answer_key(self._model_key, max_new_tokens, prompt, tools=given)
            for prompt, given in zip(prompts, declared, strict=True)
        ]
        known = self._store.get(list(dict.fromkeys(keys)))
        places: dict[str, list[int]] = {}  # of the prompts that are to be answered
        for place, key in enumerate(keys):
            if key not in known:
                places.setdefault(key, []).append(place)
            elif on_answer:
                on_answer(place, known[key])
        asked = [given[0] for given in places.values()]
        done_before = len(prompts) - sum(len(given) for given in places.values())
        self.taken += len(prompts) - len(asked)
        stored = [key for place, key in enumerate(keys) if place not in _all(places)]
        if progress and done_before:
            progress(done_before, len(prompts))
        if not asked:
            self.spent += self._as_given(stored)
            return [known[key] for key in keys]

        def keep(index: int, answer: Answer) -> None:
            key = keys[asked[index]]
            self._store.put({key: answer})
            known[key] = answer
            if on_answer:
                for place in places[key]:
                    on_answer(place, answer)

        repeated = len(prompts) - done_before - len(asked)
        if not hasattr(self._answerer, "answer"):
            self._answerer = self._answerer()
        began = time.perf_counter()
        self._answerer.answer(
            [prompts[place] for place in asked],
            max_new_tokens=max_new_tokens,
            progress=_shifted(progress, done_before, len(asked), repeated),
            tools=[declared[place] for place in asked],
            on_answer=keep,
        )
        each = (time.perf_counter() - began) / len(asked)
        self._store.put_seconds([keys[place] for place in asked], each)
        self.spent += each * (len(asked) + repeated) + self._as_given(stored, otherwise=each)
        return [known[key] for key in keys]

    def _as_given(self, keys: Sequence[str], *, otherwise: float | None = None) -> float:
        """Seconds that stored answers took. That is not kept of a call that was cut off: then as long as the others."""
        known = self._store.seconds(list(dict.fromkeys(keys)))
        usual = sum(known.values()) / len(known) if known else 0.0
        return sum(known.get(key, usual if otherwise is None else otherwise) for key in keys)


def _all(places: Mapping[str, Sequence[int]]) -> set[int]:
    return {place for given in places.values() for place in given}


def _shifted(progress: Progress | None, before: int, asked: int, repeated: int) -> Progress | None:
    """Progress over all prompts, from that over those that are asked; repeated ones are done with the last."""
    if progress is None:
        return None
    total = before + asked + repeated
    return lambda done, _: progress(total if done == asked else before + done, total)


def answer_key(model_key: str, max_new_tokens: int, prompt: Sequence[Message], *, tools: str | None = None) -> str:
    """What an answer is kept under: a hash of the model, the token limit, the messages and the declared tools."""
    asked = [_VERSION, model_key, max_new_tokens, [message.to_dict() for message in prompt], tools]
    return xxhash.xxh3_128_hexdigest(json.dumps(asked, sort_keys=True).encode())


def model_key(name: str, adapter: Path | None = None) -> str:
    """What tells a model from others in a store: the base and its content, and the adapter's content.

    A model in a folder is read whole, once for a process (1 to 2 s a GB from a disk that is cold); one on the hub is
    named by the commit that the cache holds.

    Args:
        name: The base model's name.
        adapter: The folder of an adapter, or of a model that was tuned whole.

    Raises:
        ModelError: the base is neither a folder with a model nor a well-formed id.
    """
    where = locate(name)
    base = f"{name}:{_content(Path(where)) if Path(where).is_dir() else _commit(where)}"
    return base if adapter is None else f"{base}+{_content(adapter)}"


def _content(folder: Path) -> str:
    """A hash of everything in the folder that decides its answers: weights, settings, tokenizer, template."""
    files = sorted({file for pattern in _WEIGHTS_AND_SETTINGS for file in folder.glob(pattern) if file.is_file()})
    digest = hashlib.sha256()
    for file in files:
        known = file.stat()
        digest.update(f"{file.name} {_file_hash(file, known.st_size, known.st_mtime_ns)}\n".encode())
    return digest.hexdigest()[:32]


@lru_cache(maxsize=256)
def _file_hash(file: Path, size: int, modified: int) -> str:
    """SHA-256 of a file; size and time of change are there to look it up by."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _commit(name: str) -> str:
    """The commit that the hub's cache holds of a model; "unknown" before it is there."""
    from huggingface_hub import try_to_load_from_cache

    config = try_to_load_from_cache(name, "config.json")
    return Path(config).parent.name if isinstance(config, str) else "unknown"
