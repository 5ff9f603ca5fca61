"""Small sketches of many texts at once, which are alike where the texts are. They find candidates and decide nothing.

A text's sketch is made of its 5-character shingles, case, blanks and punctuation left out. A shingle's hash puts it
into one of 64 bins, and the least hash of each bin is kept: two texts have the same value in a bin with a chance that
is their Jaccard similarity (one permutation hashing: Li, Owen and Zhang, NeurIPS 2012). Bins that stay empty take the
value of a neighbour (densification: Shrivastava and Li, ICML 2014). Of a long text only the lowest hashes are looked
at, which are those that can be the least of a bin. Twelve bands of five bins make the keys of the texts; texts that
share a key are candidates (Leskovec, Rajaraman and Ullman, Mining of Massive Datasets, 3.4): at a similarity of 0.8
that is 99 of 100 pairs, at 0.5 one in three, at 0.3 one in 35.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from dataset_tools.similarity import MULTIPLIER

SHINGLE = 5
BANDS, BAND_BINS = 12, 5
MIN_CHARS = 20  # letters and digits; a shorter text has no sketch, as it changes its meaning with any change
_BINS = 64
_KEPT = 100  # shingles that a longer text keeps at least; with more, hardly a pair more is found
_SLICE = 100_000  # characters; eight bytes for each are worked on at once
_EMPTY = np.uint32(0xFFFFFFFF)
_STEP = np.uint32(0x9E3779B1)
_NOTHING = np.uint64(0xFFFFFFFFFFFFFFFF)
_FIVE_BYTES = np.uint64(0xFFFFFFFFFF)
_ASCII_DROPPED = bytes(code for code in range(1, 128) if not chr(code).isalnum())
_ASCII_LOWER = bytes(code + 32 if 65 <= code <= 90 else code for code in range(256))

Keys = NDArray[np.uint32]


def band_keys(texts: Sequence[str]) -> tuple[NDArray[np.intp], Keys]:
    """The texts that are long enough for a sketch, by index, and their keys: one row a band, one column a text.

    It takes about 5 microseconds for 1,000 ASCII characters, if some hundred texts come at once. NUL is no letter.
    """
    by_length = sorted(range(len(texts)), key=[len(text) for text in texts].__getitem__)
    places: list[NDArray[np.intp]] = [np.empty(0, np.intp)]
    keys: list[Keys] = [np.empty((BANDS, 0), np.uint32)]
    for is_ascii, shingle_hashes in ((True, _ascii_hashes), (False, _unicode_hashes)):
        indices = [index for index in by_length if texts[index].isascii() is is_ascii]
        for slice_of in _slices(indices, texts):
            hashes, starts = shingle_hashes([texts[index] for index in slice_of])
            long = np.flatnonzero(np.diff(starts) > MIN_CHARS)
            places.append(np.asarray(slice_of, dtype=np.intp)[long])
            keys.append(_banded(_sketches(hashes, starts, long)))
    return np.concatenate(places), np.concatenate(keys, axis=1)


def _slices(indices: Sequence[int], texts: Sequence[str]) -> Iterator[Sequence[int]]:
    """The texts, which come in the order of their length, in slices that fit the processor's cache."""
    start = chars = 0
    for place, index in enumerate(indices):
        chars += len(texts[index])
        if chars > _SLICE and place > start:
            yield indices[start:place]
            start, chars = place, len(texts[index])
    if indices:
        yield indices[start:]


def _ascii_hashes(texts: Sequence[str]) -> tuple[NDArray[np.uint64], NDArray[np.intp]]:
    """The hash of the shingle at each place of the lightened texts, joined, and where each of them starts."""
    joined = "\0".join(texts)
    if joined.count("\0") >= len(texts):
        joined = "\0".join(text.replace("\0", "") for text in texts)
    data = joined.encode().translate(_ASCII_LOWER, _ASCII_DROPPED) + bytes(8)
    length = len(data) - 8
    ends = np.flatnonzero(np.frombuffer(data, dtype=np.uint8, count=length) == 0)
    # All five characters in one number: the eight bytes from each place on, of which five are kept.
    packed = np.ndarray((length,), dtype="<u8", buffer=data, strides=(1,)) & _FIVE_BYTES
    return _hashed(packed, ends, length)


def _unicode_hashes(texts: Sequence[str]) -> tuple[NDArray[np.uint64], NDArray[np.intp]]:
    """The same for any text; a text in ASCII gets the same hashes here as there."""
    joined = "\0".join(text.replace("\0", "") for text in texts)
    raw = np.frombuffer(joined.encode("utf-16-le", errors="surrogatepass"), dtype="<u2")
    codes = _lightened()[raw]
    codes = codes[codes != _DROPPED]
    length = len(codes)
    ends = np.flatnonzero(codes == 0)
    codes = np.concatenate([codes, np.zeros(SHINGLE, np.uint16)])
    pairs = codes[:-1] + (codes[1:].astype(np.uint32) << np.uint32(8))
    packed = pairs[:length].astype(np.uint64)
    packed += pairs[2 : length + 2].astype(np.uint64) << np.uint64(16)
    packed += codes[4 : length + 4].astype(np.uint64) << np.uint64(32)
    return _hashed(packed, ends, length)


_DROPPED = 1  # a code that no letter has


@cache
def _lightened() -> NDArray[np.uint16]:
    """UTF-16 unit -> the unit it is compared as: small letters and digits, surrogates as they are, the rest out."""
    table = np.full(2**16, _DROPPED, np.uint16)
    table[0] = 0  # stands between two texts
    table[0xD800:0xE000] = np.arange(0xD800, 0xE000)
    for code in (*range(1, 0xD800), *range(0xE000, 2**16)):
        char = unicodedata.normalize("NFKC", chr(code)).lower()[:1]
        if char and unicodedata.category(char)[0] in "LMNS" and ord(char) < 2**16:
            table[code] = ord(char)
    table[1:128][[not chr(code).isalnum() for code in range(1, 128)]] = _DROPPED  # as for a text in ASCII
    return table


def _hashed(
    packed: NDArray[np.uint64], ends: NDArray[np.intp], length: int
) -> tuple[NDArray[np.uint64], NDArray[np.intp]]:
    packed *= MULTIPLIER
    stops = np.append(ends, length)
    for back in range(SHINGLE if length else 0):  # those that reach into the next text
        packed[np.clip(stops - back, 0, length - 1)] = _NOTHING
    return packed, np.concatenate([[0], ends + 1, [length + 1]]).astype(np.intp)


def _sketches(hashes: NDArray[np.uint64], starts: NDArray[np.intp], wanted: NDArray[np.intp]) -> Keys:
    """The least hash of each bin, one row a text."""
    sizes = np.diff(starts)
    least = np.full((len(sizes), _BINS), _EMPTY, np.uint32)
    # Of a text with 2**k * 100 shingles only the hashes below 2**(64 - k) are looked at.
    doublings = np.floor(np.log2(np.maximum(sizes / _KEPT, 1))).astype(np.uint64)
    limits = _NOTHING >> doublings
    places = np.flatnonzero(hashes < limits.max())
    kept = hashes[places]
    owners = np.repeat(np.arange(len(sizes)), np.diff(np.searchsorted(places, starts)))
    if len(set(doublings.tolist())) > 1:
        low = kept < limits[owners]
        kept, owners = kept[low], owners[low]
    mixed = (kept ^ (kept >> np.uint64(32))) * MULTIPLIER
    bins = (mixed >> np.uint64(58)).astype(np.intp)
    np.minimum.at(least.reshape(-1), owners * _BINS + bins, (kept >> np.uint64(32)).astype(np.uint32))
    return _densified(least[wanted])


def _densified(least: Keys) -> Keys:
    """Give an empty bin the value of the next one that is not, changed by the distance."""
    gaps = np.flatnonzero((least == _EMPTY).any(axis=1))
    if not len(gaps):
        return least
    twice = np.concatenate([least[gaps], least[gaps]], axis=1)
    places = np.where(twice != _EMPTY, np.arange(2 * _BINS), 2 * _BINS - 1)
    nearest = np.minimum.accumulate(places[:, ::-1], axis=1)[:, ::-1][:, :_BINS]
    distance = (nearest - np.arange(_BINS)).astype(np.uint32)
    least[gaps] = np.take_along_axis(twice, nearest, axis=1) + distance * _STEP
    return least


def _banded(sketches: Keys) -> Keys:
    """One key of five bins, for each of the bands."""
    bands = sketches[:, : BANDS * BAND_BINS].reshape(len(sketches), BANDS, BAND_BINS).astype(np.uint64)
    keys = np.zeros(bands.shape[:2], np.uint64)
    for place in range(BAND_BINS):
        keys = (keys ^ bands[:, :, place]) * MULTIPLIER
        keys ^= keys >> np.uint64(31)
    return np.ascontiguousarray((keys >> np.uint64(32)).astype(np.uint32).T)
