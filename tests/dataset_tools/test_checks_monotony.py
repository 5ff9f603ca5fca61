"""Answers that say little, remains of pages, prompts and blanks before answers: found where planted, nowhere else."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from check_cases import CHECKS, assert_fix_keeps_its_promise, hits, lines, row_fix, said
from hypothesis import given, settings
from hypothesis import strategies as st

from dataset_tools.checks.base import DatasetCheck, ExampleView, Hit, Setting
from dataset_tools.checks.monotony import Monotony, compression, repeated
from dataset_tools.checks.remains import with_straight_quotes
from dataset_tools.checks.spacing import without_leading_space
from dataset_tools.checks.swearing import masked
from dataset_tools.lint import lint

_RNG = random.Random(0)
_WORDS = ["".join(_RNG.choices("etaoinshrdlu", k=_RNG.randint(3, 8))) for _ in range(3_000)]
Rows = list[list[str]]


def _text(rng: random.Random, words: int) -> str:
    return " ".join(rng.choices(_WORDS, k=words)).capitalize() + "."


def _rows(count: int, words: int = 70) -> Rows:
    rng = random.Random(1)
    return [[_text(rng, 12), _text(rng, words)] for _ in range(count)]


def _planted(answer: str, *, count: int = 120) -> Rows:
    """Sound rows with one answer in line 51."""
    rows = _rows(count)
    rows[50][1] = answer
    return rows


# --- answers that say little ------------------------------------------------------------------------------------------


def test_phrases_that_come_again_are_found_though_not_in_a_row() -> None:
    rng = random.Random(2)
    phrase = _text(rng, 12)
    answer = " ".join(f"{_text(rng, 8)} {phrase}" for _ in range(5))
    [hit] = hits("repeated-phrases", _planted(answer))
    assert hit.line == 51
    assert "% of the words repeat phrases such as" in hit.message


def test_the_share_of_repeated_words_counts_what_came_before_only() -> None:
    assert repeated("a b c d e f g h i j") == (0.0, "")
    assert repeated("a b c d e a b c d e") == (0.5, "a b c d e")
    assert repeated("a b c d x a b c d y") == (0.0, "")  # phrases of four words are none
    assert repeated("") == (0.0, "")


def test_phrases_that_many_rows_repeat_are_how_the_rows_are() -> None:
    rng = random.Random(3)
    verses = [[_text(rng, 5), " ".join([_text(rng, 20)] * 3)] for _ in range(60)]
    assert hits("repeated-phrases", verses) == []


@pytest.mark.parametrize(
    ("check", "answer", "words"),
    [
        ("character-run", f"Well, that is s{'o' * 40} good to hear of you.", "'o' 40 times in a row"),
        ("character-run", f"Well, that is good to hear of you{'!' * 40}", "'!' 40 times in a row"),
        ("many-symbols", "# one ## two ... and then ... and so ... on it goes", "hashes and ellipses in"),
        ("mostly-signs", "@@ -> {}[] || && !! ;; :: <<>> %% ^^ ~~ ++ == // ??", "neither letters, digits nor blanks"),
        ("idle-answer", "I don\u2019t know.", "don\u2019t know"),
        ("idle-answer", "See above", "See above"),
        ("idle-answer", "???", "???"),
    ],
)
def test_answers_that_say_nothing_are_found_where_the_others_say_something(check: str, answer: str, words: str) -> None:
    [hit] = hits(check, _planted(answer))
    assert hit.line == 51
    assert words in hit.message


@pytest.mark.parametrize(
    ("check", "answer"),
    [
        (
            "character-run",
            f"A title\n{'=' * 60}\nand a text, with a rule {'-' * 50} and a box {chr(0x2500) * 40} in it.",
        ),
        ("character-run", f"The key is {'A' * 30} and the number {'0' * 30}, as it stands in the file."),
        ("many-symbols", "A # is a hash, and so on it goes with a good many words that say what it is all about..."),
        ("mostly-signs", "f(x) = x * 2 + 3 and g(x) = f(x) / 4, so that h = 5 * (3 + 4) = 35 in the end."),
        ("idle-answer", "I know it well."),
    ],
)
def test_rules_numbers_and_formulas_are_no_noise(check: str, answer: str) -> None:
    assert hits(check, _planted(answer)) == []


def test_idle_words_are_answers_where_answers_are_labels() -> None:
    rows = [[f"Is it so in case {number}?", ("ok", "not ok", "pending")[number % 3]] for number in range(90)]
    assert hits("idle-answer", rows) == []


def test_an_answer_that_compresses_far_better_than_the_others_is_found() -> None:
    rng = random.Random(4)
    answer = " ".join(
        f"step {number} of the plan is to do the work of step {number - 1} again," for number in range(12)
    )
    assert compression(answer) > 2.4 > compression(_text(rng, 150))
    [hit] = hits("low-information", _planted(answer))
    assert (hit.line, "compresses" in hit.message) == (51, True)


# --- what pages leave -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("check", "text"),
    [
        ("web-notice", "This website uses cookies to make it better."),
        ("web-notice", "We use cookies.\nThe lender asks for a letter."),
        ("web-notice", "Please enable JavaScript to go on"),
        ("web-notice", "Subscribe to our weekly newsletter!"),
        ("web-notice", "Accept all cookies"),
        ("wiki-marks", "It was built in 1905.[citation needed] It stands."),
        ("wiki-marks", "History[edit]\nIt was built in 1905."),
    ],
)
def test_what_pages_leave_is_found_in_prompts_and_answers(check: str, text: str) -> None:
    long = "The lender asks for a letter of the employer."
    assert said(check, long, text) and said(check, text, long)
    assert_fix_keeps_its_promise(check, f"{long}\n{text}", f"{text}\n{long}")


@pytest.mark.parametrize(
    "text",
    [
        "Bake the cookies for ten minutes; the recipe makes twelve cookies.",
        "A newsletter is sent each week; JavaScript is a language.",
        "Edit the file [here], see note [1], and [sic] is right.",
    ],
)
def test_what_is_about_such_things_is_left_alone(text: str) -> None:
    assert said("web-notice", "Tell me.", text) == [] and said("wiki-marks", "Tell me.", text) == []


def test_a_notice_goes_with_its_line_and_the_text_stays() -> None:
    fixed = row_fix("web-notice")({"prompt": "We use cookies.\nWhy?", "completion": "Because.\nAccept all cookies"})
    assert fixed == {"prompt": "Why?", "completion": "Because."}
    long = f"We use cookies, and {'so ' * 80}on."
    assert row_fix("web-notice")({"prompt": "q", "completion": f"{long}\nBecause."}) is None  # it says more


def test_curly_quotes_are_found_where_more_answers_have_straight_ones() -> None:
    rows = [["q", f"It isn't so in case {number}."] for number in range(60)]
    rows[4][1], rows[9][1] = "It isn\u2019t so.", "\u201cSo\u201d it is."
    rows[20][1] = "\u201eSo\u201c ist es."  # German
    assert lines("mixed-quotes", rows) == [5, 10]
    assert lines("mixed-quotes", [["q", "It isn\u2019t so."] for _ in range(60)]) == []
    assert row_fix("mixed-quotes")({"prompt": "\u2019", "completion": "It isn\u2019t \u201cso\u201d."}) == {
        "prompt": "\u2019",
        "completion": 'It isn\'t "so".',
    }


@pytest.mark.parametrize(
    "text", ['{"a": "\u201cb\u201d"}', "\u201eSo\u201c", "plain 'text'", '```\nprint("\u2019")\n```']
)
def test_quotes_that_have_a_meaning_stay(text: str) -> None:
    assert with_straight_quotes(text) == text


# --- prompt and answer ------------------------------------------------------------------------------------------------


def test_a_blank_before_some_answers_is_a_warning_and_before_nearly_all_it_is_told() -> None:
    rows = _rows(60)
    rows[7][1] = " " + rows[7][1]
    [hit] = hits("leading-space", rows)
    assert (hit.line, hit.severity) == (8, None)
    every: list[Hit] = hits("leading-space", [[prompt, f" {answer}"] for prompt, answer in _rows(60)])
    assert (len(every), {hit.severity for hit in every}) == (60, {"info"})
    assert hits("leading-space", [[prompt, f"    {answer}"] for prompt, answer in _rows(60)]) == []  # a program


@pytest.mark.parametrize(("answer", "left"), [(" a", "a"), ("  a", "  a"), ("a", "a"), (" ", " "), ("\na", "\na")])
def test_only_the_one_blank_goes(answer: str, left: str) -> None:
    assert without_leading_space(answer) == left


PROMPT = "Say what the lender asks for, in one sentence."


def test_an_answer_that_begins_with_its_prompt_is_found_and_cut() -> None:
    answer = f"{PROMPT} It asks for a letter."
    assert said("prompt-in-answer", PROMPT, answer)
    assert said("prompt-in-answer", PROMPT, PROMPT) == []  # another check
    assert said("prompt-in-answer", "Paris", "Paris is a town.") == []
    fix = row_fix("prompt-in-answer")
    assert fix({"prompt": PROMPT, "completion": answer}) == {"prompt": PROMPT, "completion": "It asks for a letter."}
    assert fix({"prompt": PROMPT, "completion": "It asks for a letter."}) is None


@settings(max_examples=60, deadline=None)
@given(answer=st.lists(st.sampled_from([PROMPT, " ", "\n", "a", "It asks."]), min_size=1, max_size=5).map("".join))
def test_cutting_the_prompt_off_leaves_nothing_to_find(answer: str) -> None:
    if answer.strip():
        assert_fix_keeps_its_promise("prompt-in-answer", PROMPT, answer)


# --- swear words ------------------------------------------------------------------------------------------------------


def test_swear_words_are_told_with_their_letters_hidden_and_once_where_they_are_the_tone() -> None:
    rows = _planted("Well, that is bullshit, as everyone knows.")
    [hit] = hits("swear-word", rows)
    assert (hit.line, "b******t" in hit.message, "bullshit" in hit.message) == (51, True, False)
    [hit] = hits("swear-word", [["q", f"Oh shit, {text}"] for _, text in _rows(60)])
    assert (hit.line, hit.message) == (None, "60 of 60 answers have a swear word")
    assert masked("damn") == "d**n"
    assert hits("swear-word", _planted("Scunthorpe, shiitake, the twatwalk, and cocktails.")) == []


# --- all of them ------------------------------------------------------------------------------------------------------

FOUND = (
    "repeated-phrases",
    "character-run",
    "many-symbols",
    "mostly-signs",
    "idle-answer",
    "mixed-quotes",
    "leading-space",
)


@pytest.mark.parametrize("check", FOUND)
def test_two_parts_of_a_file_make_what_one_pass_makes(check: str) -> None:
    rows = _rows(200)
    for place in (20, 120):
        phrase = rows[place][1]
        rows[place][1] = f"{phrase} {phrase} {phrase}"
        rows[place + 1][1] = f" Yes{'s' * 40}, it isn\u2019t so, and so it is told to all."
        rows[place + 2][1] = "# one ## two ... and then ... and so ... on it goes"
        rows[place + 3][1] = "@@ -> {}[] || && !! ;; :: <<>> %% ^^ ~~ ++ == // ??"
        rows[place + 4][1] = "idk"
    for row in rows[::7]:
        row[1] += " It isn't."
    whole = hits(check, rows)
    found = CHECKS[check]
    assert isinstance(found, DatasetCheck) and found.observer is not None and len(whole) == 2
    observers = []
    for part in (rows[:100], rows[100:]):
        setting = Setting()
        observer = setting.share(found.observer)
        _see(observer.see, part)
        observers.append(observer)
    observers[0].absorb(observers[1].pack(), lines=100, records=100)  # type: ignore[attr-defined]
    observers[0].setting = Setting(views=[ExampleView(row, line=1, record=1) for row in rows])  # type: ignore[attr-defined]
    assert list(found.run(observers[0])) == whole


def _see(see: Callable[[ExampleView], None], rows: Sequence[Sequence[str]]) -> None:
    for number, contents in enumerate(rows, 1):
        see(ExampleView(contents, line=number, record=number))


def test_calls_of_tools_without_a_text_are_no_answers() -> None:
    observer = Monotony(Setting())
    _see(observer.see, [["Call it.", ""]])
    assert observer.rows == 0


@pytest.mark.parametrize("task", ["gsm8k", "kjv_style", "scitldr", "coffee_chat", "tldr_commands", "e2e_nlg"])
def test_clean_answers_are_not_called_monotonous(dev: Path, task: str) -> None:
    own = [*FOUND, "low-information", "web-notice", "wiki-marks", "prompt-in-answer", "swear-word"]
    report = lint(dev / task / "train.jsonl", checks=own)
    assert sum(finding.count for finding in report.findings if finding.severity == "warning") <= 0.002 * report.rows
    assert all(finding.severity != "error" for finding in report.findings)
