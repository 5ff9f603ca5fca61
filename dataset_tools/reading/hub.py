"""A dataset of the Hugging Face Hub, by its name, as a file of JSON lines. What its rows mean is not known here.

Nothing of the dataset is run: code that comes with one is refused, as `datasets` does since release 4.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import logging
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dataset_tools.errors import DataError, DiskFullError, FittingRoomError, UsageError
from dataset_tools.reading.parquet import to_plain
from dataset_tools.writing import json_line

_log = logging.getLogger(__name__)
_ANSWER_SECONDS = 10.0  # for the Hub to say whether it has the dataset; without that question `datasets` tries for 23
# The Hub's rules for names (huggingface_hub, `validate_repo_id`), with an owner; behind colons a configuration and a
# split, or a split alone.
_NAME = re.compile(
    r"(?P<scheme>hf://(?:datasets/)?)?(?P<name>[\w.-]{1,96}/[\w.-]{1,96})"
    r"(?::(?P<config>[\w.-]+)(?=:))?(?::(?P<split>[\w.-]+))?",
    re.ASCII,
)
_FORBIDDEN = re.compile(r"--|\.\.|(?:^|/)[-.]|[-.](?:/|$)|\.git$")
_FILE_ENDING = re.compile(
    r"\.(?:jsonl?|ndjson|[ct]sv|txt|xlsx?|parquet|arrow|feather|gz|zst|zip|md|html?|pdf|docx|ya?ml|py)", re.IGNORECASE
)
_NO_TEXT = {"Image", "Audio", "Video", "Pdf", "Nifti"}  # features of `datasets` that hold files


class NotReachedError(DataError):
    """The Hub does not answer, or may not be asked."""


def is_hub_name(text: str) -> bool:
    """Whether a text names a dataset of the Hub: ``owner/name`` or ``hf://owner/name``, perhaps with ``:split``.

    For a dataset of several configurations it is ``:config:split``.

    Without ``hf://``, what is a path, would be one in a folder that exists, or ends like a file, is no such name.
    """
    found = _NAME.fullmatch(text)
    if found is None or _FORBIDDEN.search(found["name"]):
        return False
    if found["scheme"]:
        return True
    path = Path(found["name"])
    return not Path(text).exists() and not path.parent.is_dir() and not _FILE_ENDING.fullmatch(path.suffix)


def fetch(name: str, *, split: str = "train", folder: Path, config: str | None = None) -> Path:
    """Download one split of a dataset, row by row, into ``folder`` as JSON lines; a file of that name is replaced.

    Where the Hub cannot be reached, rows that were downloaded into the folder before are used, and a warning is logged.
    Labels are written by their names. Columns that hold pictures or sound are left out, and a warning is logged.

    Args:
        name: ``owner/name``, as `is_hub_name` takes it; a split or a configuration in it has precedence.
        split: Which part of the dataset.
        folder: Where the file goes; it is made if need be.
        config: Which configuration, for a dataset that has several.

    Returns:
        The file.

    Raises:
        UsageError: There is no such dataset, split or configuration.
        DataError: The Hub cannot be reached, the dataset is gated or needs code, has no rows, or breaks off.
        DiskFullError: No space is left.
    """
    found = _NAME.fullmatch(name)
    if found is None:
        raise UsageError("this is no name of a dataset", found=name, expected="owner/name", next_step="check the name")
    name, split, config = found["name"], found["split"] or split, found["config"] or config
    file_name = re.sub(r"[^\w.-]+", "_", "--".join(filter(None, (name.replace("/", "--"), config, split)))) + ".jsonl"
    try:
        with _named_errors(name):
            if not Path(name).is_dir():
                _ask_the_hub(name)
    except NotReachedError:
        if not (folder / file_name).is_file():
            raise
        _log.warning("%s: the Hub cannot be reached; using the rows that were downloaded before", name)
        return folder / file_name
    with _named_errors(name):
        rows = _rows(name, split=split, config=config)
        first = next(rows, None)
    if first is None:
        raise DataError("the dataset has no rows", where=name, found=f"split {split!r}", next_step="name another split")
    return _write(folder / file_name, itertools.chain([first], rows), name)


def _ask_the_hub(name: str) -> None:
    from huggingface_hub import HfApi

    HfApi().dataset_info(name, timeout=_ANSWER_SECONDS)


def _rows(name: str, *, split: str, config: str | None) -> Iterator[dict[str, Any]]:
    import datasets

    rows = datasets.load_dataset(name, config, split=split, streaming=True)
    features = dict(rows.features or {})
    files = [column for column, feature in features.items() if type(feature).__name__ in _NO_TEXT]
    if files:
        _log.warning("%s: left out the columns %s, which hold no text", name, ", ".join(files))
        rows = rows.remove_columns(files)
    labels = {column: feature for column, feature in features.items() if isinstance(feature, datasets.ClassLabel)}
    for row in rows:
        made = {column: _plain(value) for column, value in row.items()}
        for column, feature in labels.items():
            number = row.get(column)
            made[column] = feature.int2str(number) if isinstance(number, int) and number >= 0 else None
        yield made


def _plain(value: object) -> object:
    try:
        return to_plain(value)
    except UnicodeDecodeError:
        return None


def _write(path: Path, rows: Iterator[dict[str, Any]], name: str) -> Path:
    """Write the rows beside the target, and move the file there when it is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=".", suffix=".part", dir=path.parent)
    try:
        with open(handle, "wb") as file:
            while True:
                with _named_errors(name):
                    row = next(rows, None)
                if row is None:
                    break
                file.write(json_line(row))
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFullError(
                "the disk is full: there is no space left for the dataset",
                where=str(path),
                next_step="free some space or choose another folder, then try again",
            ) from error
        raise
    return path


@contextlib.contextmanager
def _named_errors(name: str) -> Iterator[None]:
    """Say what went wrong at the Hub in words of ours."""
    import datasets.exceptions
    import pyarrow
    from huggingface_hub.errors import HfHubHTTPError

    http: Any = HfHubHTTPError.__bases__[0]  # the error of its HTTP client, which differs between releases
    try:
        yield
    except FittingRoomError:
        raise
    except (http, OSError, ValueError, TypeError, KeyError, RuntimeError, datasets.exceptions.DatasetsError,
            pyarrow.ArrowException) as error:  # fmt: skip
        raise _in_words(name, error) from error


def _in_words(name: str, error: BaseException) -> FittingRoomError:
    from datasets.exceptions import DatasetNotFoundError
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, OfflineModeIsEnabled, RepositoryNotFoundError

    words = " ".join(str(error).split())[:300]
    if isinstance(error, GatedRepoError) or "is a gated dataset" in words:
        next_step = f"accept its terms at huggingface.co/datasets/{name}, run `hf auth login`, then try again"
        return DataError("the dataset is gated", where=name, found=words, next_step=next_step)
    if isinstance(error, RepositoryNotFoundError | DatasetNotFoundError):
        next_step = "check the name; for a private dataset, run `hf auth login` first"
        return UsageError("there is no such dataset on the Hub", where=name, found=words, next_step=next_step)
    if isinstance(error, OfflineModeIsEnabled):
        next_step = "unset HF_HUB_OFFLINE, or download the rows as a file elsewhere and use that"
        return NotReachedError(
            "the Hub may not be asked: offline mode is on", where=name, found=words, next_step=next_step
        )
    if "scripts are no longer supported" in words:
        next_step = "download its Parquet files (branch refs/convert/parquet of the dataset) and use one of these"
        return DataError("the dataset needs code of its own to be read", where=name, found=words, next_step=next_step)
    if "split" in words.lower() and isinstance(error, ValueError):
        return UsageError(
            "the dataset has no such split", where=name, found=words, next_step=f"name one of its splits: {name}:SPLIT"
        )
    if "config" in words.lower() and isinstance(error, ValueError):
        next_step = f"name one of its configurations and a split: {name}:CONFIGURATION:train"
        return UsageError("the dataset has several configurations", where=name, found=words, next_step=next_step)
    of_the_network = type(error).__module__.split(".")[0].startswith(("httpx", "requests", "aiohttp"))
    if of_the_network or isinstance(error, HfHubHTTPError | ConnectionError | TimeoutError):
        next_step = "check the connection, or download the rows as a file elsewhere and use that"
        return NotReachedError("the Hub cannot be reached", where=name, found=words, next_step=next_step)
    next_step = "download one of its files from the Hub and use that"
    return DataError("the dataset cannot be read", where=name, found=words, next_step=next_step)
