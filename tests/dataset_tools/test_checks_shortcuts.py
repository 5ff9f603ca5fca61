"""Shortcuts, stretches of the test set, rows that train on nothing: found where they are planted, and nowhere else."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dataset_tools import Example, Message, lint
from dataset_tools.checks.base import Hit
from dataset_tools.fixes import Needs, apply_fixes

Rows = list[dict[str, Any]]
_RNG = random.Random(0)
_WORDS = ["".join(_RNG.choices("etaoinshrdlu", k=_RNG.randint(3, 8))) for _ in range(3_000)]


def _text(rng: random.Random, words: int) -> str:
    return " ".join(rng.choices(_WORDS, k=words))


def _hits(write: Callable[..., Path], rows: Rows, check: str, **options: Any) -> list[Hit]:
    path = write("".join(json.dumps(row) + "\n" for row in rows))
    report = lint(path, checks=[check], **options)
    return [hit for finding in report.findings if finding.check == check for hit in finding.hits]


def _labelled(prompt: Callable[[random.Random, int, str], str]) -> Rows:
    """300 rows of three labels, the prompt made from the number of the row and its label."""
    rng = random.Random(1)
    labels = [rng.choice(("red", "green", "blue")) for _ in range(300)]
    return [{"prompt": prompt(rng, number, label), "completion": label} for number, label in enumerate(labels)]


def test_a_length_that_tells_the_label_is_told(write: Callable[..., Path]) -> None:
    sizes = {"red": 5, "green": 15, "blue": 30}
    rows = _labelled(lambda rng, number, label: _text(rng, sizes[label] + rng.randint(0, 4)))
    [hit] = _hits(write, rows, "label-shortcut")
    assert "the length of the prompt alone" in hit.message


@pytest.mark.parametrize("value", ["id: {0}", "source = {1}"])
def test_a_field_that_tells_the_label_is_told_by_its_name(write: Callable[..., Path], value: str) -> None:
    numbers = {"red": 1_000, "green": 2_000, "blue": 3_000}
    rows = _labelled(
        lambda rng, number, label: f"{value.format(numbers[label] + number, label[0])}\nText: {_text(rng, 12)}"
    )
    [hit] = _hits(write, rows, "label-shortcut")
    assert f"the field {value.split()[0].strip(':')!r}" in hit.message


def test_fields_and_lengths_that_tell_nothing_are_not_told(write: Callable[..., Path]) -> None:
    rows = _labelled(lambda rng, number, label: f"id: {number}\nday: {number % 7}\nText: {_text(rng, 12)}")
    assert _hits(write, rows, "label-shortcut") == []


def test_prompts_that_count_the_rows_are_told_and_other_numbers_are_not(write: Callable[..., Path]) -> None:
    counted = _labelled(lambda rng, number, label: str(7_000 - number))
    assert len(_hits(write, counted, "identifier-as-prompt")) == 1
    squares = _labelled(lambda rng, number, label: str(number**2))
    assert _hits(write, squares, "identifier-as-prompt") == []


# --- stretches of the test set ----------------------------------------------------------------------------------------

INSTRUCTION = "Read the following passage with great care and then answer the question below it in one or two words.\n"


def _passage_rows(seed: int, count: int) -> Rows:
    rng = random.Random(seed)
    return [{"prompt": INSTRUCTION + _text(rng, 40), "completion": _text(rng, 20)} for _ in range(count)]


def _as_test(rows: Rows) -> list[Example]:
    pairs = [(row["prompt"], row["completion"]) for row in rows]
    return [Example.of(*pair, line=place, record=place) for place, pair in enumerate(pairs, 1)]


def test_thirteen_words_of_the_test_set_are_found_wherever_they_stand_and_twelve_are_not(
    write: Callable[..., Path],
) -> None:
    rows, test = _passage_rows(1, 60), _passage_rows(2, 20)
    words = test[4]["prompt"].removeprefix(INSTRUCTION).split()
    rows[9]["completion"] += " " + ", ".join(word.upper() for word in words[5:18])
    rows[19]["prompt"] += " " + " ".join(words[5:17])
    [hit] = _hits(write, rows, "leak-passage", test_rows=_as_test(test))
    assert (hit.line, hit.record) == (10, 10)
    assert "line 5 of the test rows" in hit.message


def test_set_phrases_and_whole_prompts_are_not_told_as_stretches(write: Callable[..., Path]) -> None:
    rows, test = _passage_rows(1, 60), _passage_rows(2, 20)
    phrase = _text(random.Random(3), 15)
    test[0]["prompt"] += " " + phrase
    for row in rows[:20]:
        row["completion"] += " " + phrase
    rows[30]["prompt"] = test[7]["prompt"]
    path = write("".join(json.dumps(row) + "\n" for row in rows))
    found = {
        finding.check: finding.lines for finding in lint(path, checks=["leaks"], test_rows=_as_test(test)).findings
    }
    assert found["leak-exact"] == [31]
    assert "leak-passage" not in found


def test_rows_with_a_stretch_of_the_test_set_are_dropped_when_that_is_asked(write: Callable[..., Path]) -> None:
    rows, test = _passage_rows(1, 60), _passage_rows(2, 20)
    rows[9]["completion"] = test[4]["prompt"].removeprefix(INSTRUCTION)
    path = write("".join(json.dumps(row) + "\n" for row in rows))
    done = apply_fixes(path, fixes=["leak-passage"], needs=Needs(test_rows=_as_test(test)))
    assert (done.dropped, done.counts) == (1, {"leak-passage": 1})


# --- rows that train on nothing ---------------------------------------------------------------------------------------


def _chat(answer: str, **more: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": answer, **more}]}


def test_rows_of_which_nothing_is_trained_are_errors_of_their_own(write: Callable[..., Path], tokenizer: Any) -> None:
    rows = [_chat("a"), _chat("b", weight=0), _chat("c", weight=1), _chat("\u2014")]
    [hit] = _hits(write, rows, "no-trained-token", tokenizer=tokenizer)
    assert (hit.line, hit.message) == (2, "the answer has weight 0")


def test_an_answer_that_the_template_empties_trains_on_nothing(write: Callable[..., Path], tokenizer: Any) -> None:
    import copy

    dropping = copy.deepcopy(tokenizer)
    content = "{{ message['content'].split('</think>')[-1] if message['role'] == 'assistant' else message['content'] }}"
    dropping.chat_template = tokenizer.chat_template.replace("{{ message['content'] }}", content)
    rows = [_chat("<think>a</think>b"), _chat("<think>a</think>")]
    [hit] = _hits(write, rows, "no-trained-token", tokenizer=dropping)
    assert hit.line == 2
    assert "leaves nothing of the answer" in hit.message


def test_a_thumb_down_is_not_told_as_a_row_that_trains_on_nothing(tokenizer: Any) -> None:
    from dataset_tools.checks.base import ExampleView, Setting
    from dataset_tools.checks.lengths import Lengths

    turns = (Message("user", "q"), Message("assistant", "a"))
    view = ExampleView.of(Example(turns, desirable=False))
    assert Lengths(Setting(tokenizer)).untrained(view) is None
