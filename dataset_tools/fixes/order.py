"""Rows in another order that can be taken back: by the hashes of their numbers, so the order is the same everywhere."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterator
from typing import BinaryIO

import xxhash


def shuffled(count: int) -> list[int]:
    """Numbers from 0 on in an order that looks like chance, and is the same for the same count."""
    return sorted(range(count), key=lambda number: xxhash.xxh3_64_intdigest(number.to_bytes(8, "little"), seed=count))


def copy_shuffled(source: BinaryIO, target: BinaryIO) -> str:
    """Write the lines of a file in another order; the SHA-256 of what was written, in hexadecimal."""
    starts = _starts(source)
    digest = hashlib.sha256()
    for number in shuffled(len(starts)):
        source.seek(starts[number])
        line = source.readline()
        target.write(line)
        digest.update(line)
    return digest.hexdigest()


def in_first_order(shuffled_file: BinaryIO) -> Iterator[bytes]:
    """The lines of a file that `copy_shuffled` wrote, in the order that they had before."""
    starts = _starts(shuffled_file)
    places = array("Q", bytes(8 * len(starts)))
    for place, number in enumerate(shuffled(len(starts))):
        places[number] = place
    for place in places:
        shuffled_file.seek(starts[place])
        yield shuffled_file.readline()


def _starts(file: BinaryIO) -> array[int]:
    file.seek(0)
    starts, at = array("Q"), 0
    for line in file:
        starts.append(at)
        at += len(line)
    return starts
