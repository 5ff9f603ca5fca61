from __future__ import annotations

import random
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataset_tools.similarity import (
    NearDuplicates,
    common_affixes,
    distinctive_parts,
    fold,
    near_duplicate_groups,
    normalise,
    strip_affixes,
)

BASES = (
    "the quick brown fox jumps over the lazy dog and runs home again",
    "she sells sea shells by the sea shore in the morning light",
    "abababababababababababababab",
)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Hello,  World!", "hello world"),
        ("\uff28\uff49", "hi"),  # full-width letters
        ("Stra\u00dfe", "STRASSE"),
        ("e\u0301t\u00e9", "\u00e9te\u0301"),
        ("zero\u200bwidth", "zerowidth"),
        ("a\u00a0b\u2028c", "a b c"),
        ("top_up_failed", "top up failed"),
    ],
)
def test_texts_that_differ_in_form_only_are_normalised_alike(one: str, other: str) -> None:
    assert normalise(one) == normalise(other)


@pytest.mark.parametrize(("one", "other"), [("?", "!"), ("a+b", "ab"), ("\u0915\u093f", "\u0915\u0940"), ("£5", "$5")])
def test_texts_that_differ_in_meaning_stay_different(one: str, other: str) -> None:
    assert normalise(one) != normalise(other)


def test_fold_keeps_punctuation() -> None:
    assert fold(" A,\tB ") == "a, b" and fold("-5") != fold("5")


@given(st.text())
def test_normalising_twice_changes_nothing(text: str) -> None:
    assert normalise(normalise(text)) == normalise(text)


@pytest.mark.parametrize(
    ("texts", "affixes"),
    [
        (["Label: cat", "Label: car", "Label: cab"], ("Label: ", "")),
        (["Say a now.", "Say b now.", "Say cc now."], ("Say ", " now.")),
        (["same", "same", "same"], ("", "")),
        (["Label: cat", "Label: car"], ("", "")),
        (["one", "two", "three"], ("", "")),
        ([], ("", "")),
    ],
)
def test_affixes_are_what_all_texts_share_cut_at_words(texts: list[str], affixes: tuple[str, str]) -> None:
    assert common_affixes(texts) == affixes


def test_one_odd_text_in_twenty_does_not_hide_the_instruction() -> None:
    texts = [f"Translate this.\n\n{word}" for word in string.ascii_lowercase] + ["something else"]
    assert common_affixes(texts) == ("Translate this.\n\n", "")


@given(st.lists(st.text(alphabet="ab .\n", max_size=12), max_size=12))
def test_stripping_takes_away_only_affixes_and_leaves_most_texts_something(texts: list[str]) -> None:
    affixes = common_affixes(texts)
    rests = [strip_affixes(text, affixes) for text in texts]
    assert all(rest in text for rest, text in zip(rests, texts, strict=True))
    if affixes != ("", ""):
        assert sum(not rest for rest in rests) <= 0.1 * len(texts)


def test_the_instructions_of_two_tasks_in_one_file_are_taken_out() -> None:
    texts = [f"Tag the message below with a code.\n{n}" for n in range(40)]
    texts += [f"Translate the sentence below to French.\n{n}" for n in range(40, 80)]
    assert distinctive_parts(texts) == [str(n) for n in range(80)]


def _similarity(one: str, other: str) -> float:
    sets = [{text[at : at + 5] for at in range(len(text) - 4)} for text in (normalise(one), normalise(other))]
    return len(sets[0] & sets[1]) / len(sets[0] | sets[1])


@pytest.mark.parametrize("threshold", [0.5, 0.8, 0.95, 1.0])
def test_the_index_finds_exactly_what_comparing_all_pairs_finds(threshold: float) -> None:
    rng = random.Random(0)
    texts = []
    for _ in range(120):
        letters = list(rng.choice(BASES))
        for _ in range(rng.randrange(5)):
            letters[rng.randrange(len(letters))] = rng.choice("abcdefgh")
        texts.append("".join(letters))
    index = NearDuplicates(texts, threshold=threshold)
    for text in texts:
        near = [at for at, other in enumerate(texts) if _similarity(text, other) >= threshold]
        assert index.find_all(text) == near
        found = index.find(text)
        assert found is not None and normalise(texts[found]) == normalise(text)


def test_the_most_similar_text_is_found() -> None:
    base = "how do I cancel the transfer that I made yesterday evening"
    index = NearDuplicates([base + " by mistake", base + "s", "an unrelated question about exchange rates"])
    assert index.find(base) == 1
    assert index.find("a completely different sentence of some length") is None


def test_short_texts_match_only_when_they_are_the_same() -> None:
    index = NearDuplicates(["Who is it now?", "", "12"])
    assert index.find("who is it now") == 0
    assert index.find("who is it new") is None
    assert index.find("13") is None
    assert index.find(" ") == 1


def test_an_empty_index_finds_nothing() -> None:
    assert NearDuplicates([]).find("anything at all that is long enough") is None


@pytest.mark.parametrize("threshold", [0, 1.1, -1])
def test_a_threshold_outside_its_range_is_refused(threshold: float) -> None:
    with pytest.raises(ValueError, match="threshold"):
        NearDuplicates([], threshold=threshold)


def test_groups_are_closed_under_chains() -> None:
    texts = [
        "please tell me how to cancel the transfer that I made yesterday",
        "what is the exchange rate for the euro at the moment please",
        "please tell me how to cancel the transfer that I made yesterday!",
        "please tell me how to cancel the transfers that I made yesterday",
    ]
    assert near_duplicate_groups(texts) == [0, 1, 0, 0]
