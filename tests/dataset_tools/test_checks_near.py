"""Near-duplicates: what is alike is found, what only shares an instruction is not, and a row costs few bytes."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataset_tools.checks import near_rows
from dataset_tools.checks.base import ExampleView, Setting
from dataset_tools.checks.near_duplicates import CHECKS
from dataset_tools.checks.near_rows import NearRows
from dataset_tools.example import Example
from dataset_tools.lint import lint
from dataset_tools.report import Finding
from dataset_tools.similarity import MIN_NEAR_LENGTH, SharedText, jaccard, normalise, shingles
from dataset_tools.sketches import BANDS, band_keys

NEAR, SIMILAR = CHECKS


def _words(rng: random.Random, count: int) -> list[str]:
    return ["".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randint(2, 9))) for _ in range(count)]


def _text(rng: random.Random, words: int) -> str:
    return " ".join(_words(rng, words))


def _edited(rng: random.Random, text: str, *, words: int) -> str:
    made = text.split(" ")
    for place in rng.sample(range(len(made)), words):
        made[place] = _words(rng, 1)[0]
    return " ".join(made)


def _rows(pairs: list[tuple[str, str]]) -> str:
    return "".join(json.dumps({"prompt": prompt, "completion": answer}) + "\n" for prompt, answer in pairs)


def _findings(path: Path) -> dict[str, Finding]:
    return {finding.check: finding for finding in lint(path, checks=["duplicates"]).findings}


def _seen(examples: list[Example]) -> NearRows:
    def read_again(records: set[int]) -> Iterator[Example]:
        return (example for example in examples if example.record in records)

    rows = NearRows(Setting(read_again=read_again, views=[ExampleView.of(example) for example in examples[:5_000]]))
    for example in examples:
        rows.see(ExampleView.of(example))
    return rows


def _in_two_parts(examples: list[Example], *, at: int) -> NearRows:
    """As two processes see them: each counts the records of its part from its start."""
    whole = Setting(read_again=lambda records: (example for example in examples if example.record in records))
    first, second = NearRows(whole), NearRows(whole)
    for example in examples:
        later = example.record > at
        moved = Example(example.messages, record=example.record - at * later)
        (second if later else first).see(ExampleView.of(moved))
    first.absorb(second.pack(), lines=at, records=at)
    return first


def _examples(pairs: list[tuple[str, str]]) -> list[Example]:
    return [Example.of(*pair, line=place, record=place) for place, pair in enumerate(pairs, 1)]


def test_a_row_with_a_few_words_changed_is_found_with_the_line_it_is_like(write: Callable[..., Path]) -> None:
    rng = random.Random(0)
    pairs = [(_text(rng, 60), _text(rng, 40)) for _ in range(50)]
    pairs.append((_edited(rng, pairs[11][0], words=1), pairs[11][1]))
    finding = _findings(write(_rows(pairs)))["near-duplicate"]
    assert (finding.severity, finding.lines) == ("warning", [51])
    assert finding.hits[0].message.startswith("nearly the same as line 12 (9")


def test_a_row_with_more_changed_is_only_told_as_similar(write: Callable[..., Path]) -> None:
    rng = random.Random(1)
    pairs = [(_text(rng, 60), _text(rng, 40)) for _ in range(50)]
    pairs.append((_edited(rng, pairs[11][0], words=7), pairs[11][1]))
    found = _findings(write(_rows(pairs)))
    assert (found["similar-row"].severity, found["similar-row"].lines) == ("info", [51])
    assert "near-duplicate" not in found


@pytest.mark.parametrize("change", [str.upper, lambda text: text.replace(" ", "  "), lambda text: text + "\n"])
def test_rows_that_are_the_same_when_folded_are_left_to_the_other_check(
    write: Callable[..., Path], change: Callable[[str], str]
) -> None:
    rng = random.Random(2)
    pairs = [(_text(rng, 60), _text(rng, 40)) for _ in range(20)]
    pairs += [(change(pairs[3][0]), pairs[3][1]), pairs[5]]
    found = _findings(write(_rows(pairs)))
    assert found["exact-duplicate"].lines == [21, 22]
    assert set(found) == {"exact-duplicate"}


def test_rows_that_differ_in_punctuation_alone_are_found(write: Callable[..., Path]) -> None:
    rng = random.Random(3)
    pairs = [(_text(rng, 60), _text(rng, 40)) for _ in range(20)]
    pairs.append((pairs[3][0].replace(" ", ", ") + "!", pairs[3][1]))
    finding = _findings(write(_rows(pairs)))["near-duplicate"]
    assert "line 4 (100%)" in finding.hits[0].message


@pytest.mark.parametrize("layout", ["{instruction}\n\n{own}", "{instruction} {own}", "{own}\n{instruction}"])
def test_a_long_shared_instruction_makes_no_row_alike(layout: str) -> None:
    rng = random.Random(4)
    instruction = _text(rng, 300)
    pairs = [(layout.format(instruction=instruction, own=_text(rng, 12)), _text(rng, 3)) for _ in range(80)]
    assert _seen(_examples(pairs)).compared.pairs == []


def test_two_tasks_with_an_instruction_each_make_no_row_alike() -> None:
    rng = random.Random(5)
    instructions = _text(rng, 200), _text(rng, 200)
    pairs = [(f"{rng.choice(instructions)}\n\n{_text(rng, 12)}", _text(rng, 3)) for _ in range(120)]
    assert _seen(_examples(pairs)).compared.pairs == []


def test_other_answers_to_one_prompt_are_no_near_duplicates_but_like_answers_are() -> None:
    rng = random.Random(6)
    prompt, answer = _text(rng, 200), _text(rng, 30)
    pairs = [(_text(rng, 50), _text(rng, 30)) for _ in range(20)]
    pairs += [(prompt, answer), (prompt, _text(rng, 30)), (prompt, _edited(rng, answer, words=1))]
    found = _seen(_examples(pairs)).compared.pairs
    assert [(pair.earlier, pair.later) for pair in found] == [(21, 23)]


def test_the_size_of_a_cluster_is_told_and_its_first_row_is_kept() -> None:
    rng = random.Random(7)
    base = _text(rng, 100)
    pairs = [(_text(rng, 60), "a") for _ in range(30)]
    pairs += [(base, "a")] + [(_edited(rng, base, words=1), "a") for _ in range(4)]
    hits = list(NEAR.run(_seen(_examples(pairs))))
    assert [hit.record for hit in hits] == [32, 33, 34, 35]
    assert all("5 rows in its cluster" in hit.message for hit in hits)


def test_dropping_what_was_found_leaves_nothing_to_find() -> None:
    rng = random.Random(8)
    pairs = [(_text(rng, 60), _text(rng, 30)) for _ in range(150)]
    for _ in range(150):
        prompt, answer = rng.choice(pairs)
        pairs.append((_edited(rng, prompt, words=rng.randint(0, 2)), answer))
    examples = _examples(list(dict.fromkeys(pairs)))
    dropped = {hit.record for hit in NEAR.run(_seen(examples))}
    assert len(dropped) > 50
    left = [example for example in examples if example.record not in dropped]
    assert list(NEAR.run(_seen(left))) == []


def test_all_pairs_that_are_alike_are_found_and_no_others() -> None:
    rng = random.Random(9)
    pairs = [(_text(rng, rng.choice([8, 30, 150])), _text(rng, 4)) for _ in range(120)]
    for _ in range(120):
        prompt, answer = rng.choice(pairs[:120])
        pairs.append((_edited(rng, prompt, words=max(1, len(prompt) // 200)), answer))
    found = {(pair.earlier, pair.later) for pair in _seen(_examples(pairs)).compared.pairs}
    sets = [shingles(f"{prompt}\n{answer}") for prompt, answer in pairs]
    real = {
        (one + 1, other + 1)
        for other in range(len(sets))
        for one in range(other)
        if jaccard(sets[one], sets[other]) >= near_rows.SIMILAR
    }
    assert found <= real
    assert len(found) >= 0.97 * len(real) > 50


def test_the_places_and_texts_of_rows_stay_with_each_other_over_many_batches() -> None:
    rng = random.Random(10)
    pairs = [(_text(rng, 15) + ("\u00e9" if rng.random() < 0.3 else ""), _text(rng, 5)) for _ in range(2_600)]
    pairs[2_500] = (pairs[3][0] + " x", pairs[3][1])
    pairs[1_700] = (pairs[1_650][0] + " \u00fc", pairs[1_650][1])
    found = _seen(_examples(pairs)).compared.pairs
    assert {(pair.earlier, pair.later) for pair in found} == {(4, 2_501), (1_651, 1_701)}


def test_a_row_costs_few_bytes_whatever_its_length() -> None:
    rng = random.Random(11)
    rows = _seen(_examples([(_text(rng, 300), _text(rng, 10)) for _ in range(1_000)]))
    assert sum(part.nbytes for parts in rows.pack() for part in parts) <= 80 * 1_000


@pytest.mark.parametrize("at", [1, 700, 1_299])
def test_a_file_that_is_seen_in_two_parts_gives_the_same_pairs(at: int) -> None:
    rng = random.Random(15)
    pairs = [(_text(rng, 15), _text(rng, 5)) for _ in range(1_300)]
    for place in rng.sample(range(650, 1_300), 60):
        pairs[place] = (pairs[place - 650][0] + " x", pairs[place - 650][1])
    examples = _examples(pairs)
    found, wanted = _in_two_parts(examples, at=at).compared, _seen(examples).compared
    assert sorted(found.pairs, key=repr) == sorted(wanted.pairs, key=repr)
    assert found.lines == wanted.lines and len(found.pairs) >= 59


def test_what_was_not_compared_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(12)
    base = _text(rng, 100)
    examples = _examples([(_edited(rng, base, words=2), "a") for _ in range(30)])
    monkeypatch.setattr(near_rows, "MAX_PAIRS", 5)
    rows = _seen(examples)
    assert 0 < len(rows.compared.pairs) <= 5
    last = list(NEAR.run(rows))[-1]
    assert (last.severity, last.line) == ("info", None)
    assert "more rows may be like an earlier one" in last.message


def test_a_row_that_is_too_long_to_be_held_is_said_to_be_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(13)
    base = _text(rng, 100)
    monkeypatch.setattr(near_rows, "MAX_HELD", 10)
    done = _seen(_examples([(base, "a"), (_edited(rng, base, words=1), "a")])).compared
    assert (done.pairs, done.left_out) == ([], 1)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(st.characters(), max_size=60), max_size=12))
def test_any_texts_have_keys_that_do_not_depend_on_case_blanks_punctuation_or_company(texts: list[str]) -> None:
    places, keys = band_keys(texts)
    assert keys.shape == (BANDS, len(places)) and len(set(places.tolist())) == len(places)
    for column, place in enumerate(places.tolist()):
        alone = band_keys([texts[place]])[1]
        assert np.array_equal(alone[:, 0], keys[:, column])
        if texts[place].isascii():
            noisy = texts[place].upper().replace("A", " A.\t")
            assert np.array_equal(band_keys([noisy])[1][:, 0], keys[:, column])


def test_a_letter_outside_of_ascii_changes_few_keys() -> None:
    text = _text(random.Random(14), 100)
    plain, accented = band_keys([text])[1], band_keys([text + " \u00e9"])[1]
    assert np.count_nonzero(plain == accented) >= BANDS - 3


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text(max_size=40), min_size=2, max_size=2))
def test_jaccard_is_what_its_definition_says(texts: list[str]) -> None:
    one, other = (shingles(text) for text in texts)
    keys = [normalise(text) for text in texts]
    real = [{key[at : at + 5] for at in range(len(key) - 4)} if len(key) >= MIN_NEAR_LENGTH else set() for key in keys]
    wanted = len(real[0] & real[1]) / len(real[0] | real[1]) if all(real) else 0.0
    assert jaccard(one, other) == pytest.approx(wanted)


def test_what_few_rows_repeat_is_not_taken_for_shared() -> None:
    texts = [f"question {n}\nthe same line" if n < 5 else f"something else {n}" for n in range(40)]
    assert SharedText.of(texts, least=10).lines == frozenset()
    assert SharedText.of(texts).lines == {"the same line"}


@pytest.mark.parametrize(
    "task", ["banking77", "coffee_chat", "e2e_nlg", "gsm8k", "scitldr", "snips_json", "trivia_open"]
)
def test_natural_rows_are_hardly_ever_called_near_duplicates(dev: Path, task: str) -> None:
    report = lint(dev / task / "train.jsonl", checks=["near-duplicate"])
    count = sum(finding.count for finding in report.findings if finding.check == "near-duplicate")
    assert count <= 0.005 * report.rows
