"""The shipped texts: as many as promised, all different, and of the promised kinds."""

from __future__ import annotations

import json
from importlib.resources import files

from training.health.texts import NEUTRAL_PROMPTS, general_texts, refusal_probes


def general_rows() -> list[dict[str, str]]:
    text = files("training").joinpath("data/general_texts.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def test_there_are_100_different_general_texts_of_40_to_90_words() -> None:
    texts = general_texts()
    assert len(texts) == len(set(texts)) == 100
    rows = general_rows()
    spaced = [row["text"].split() for row in rows if row["language"] != "zh"]
    assert len(spaced) == 99 and all(40 <= len(words) <= 90 for words in spaced)


def test_no_two_general_texts_share_eight_words_in_a_row() -> None:
    seen: dict[tuple[str, ...], int] = {}
    for number, text in enumerate(general_texts()):
        words = text.lower().split()
        for at in range(len(words) - 7):
            assert seen.setdefault(tuple(words[at : at + 8]), number) == number


def test_the_general_texts_are_of_many_kinds_and_some_are_not_english() -> None:
    rows = general_rows()
    kinds = {row["domain"] for row in rows}
    assert kinds >= {"encyclopaedia", "instruction", "dialogue", "code", "arithmetic", "letter", "recipe"}
    languages = [row["language"] for row in rows]
    assert len(set(languages)) >= 5 and 80 <= languages.count("en") <= 95


def test_there_are_40_different_refusal_probes_and_they_are_short() -> None:
    probes = refusal_probes()
    assert len(probes) == len(set(probes)) == 40
    assert all(5 <= len(probe.split()) <= 20 for probe in probes)


def test_neutral_prompts_are_different_and_ask_for_nothing_harmful() -> None:
    assert len(set(NEUTRAL_PROMPTS)) == len(NEUTRAL_PROMPTS) == 12
    assert not set(NEUTRAL_PROMPTS) & set(refusal_probes())
