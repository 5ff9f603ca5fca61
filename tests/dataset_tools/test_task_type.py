from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataset_tools.task_type import detect_task_type, is_python, split_labels

LABELS77 = [f"intent_{n}" for n in range(77)]


@pytest.mark.parametrize(
    ("completions", "kind"),
    [
        (["positive", "negative"] * 4, "classification"),
        (["Positive", "positive ", "negative"] * 4, "classification"),
        (["yes"] * 30, "classification"),
        (LABELS77 * 3, "classification"),
        (["1", "2", "3", "4", "5"] * 6, "classification"),
        ([str(n % 40) for n in range(400)], "numeric"),
        (['{"intent": "a", "slots": {}}', '{"intent": "b"}'] * 5, "json"),
        (["[1, 2]", "[]"] * 5, "json"),
        ([f'{{"key{n}": 1}}' for n in range(20)], "short-answer"),
        (["Paris", "1789", "the Nile", "Ada Lovelace"] * 2 + ["Rome", "Oslo"], "short-answer"),
        (["The cat sat down on the mat, and then it slept for the whole long day."] * 3 + ["It did not."], "text"),
        ([], "text"),
        (["", " "], "short-answer"),
    ],
)
def test_the_kind_of_task_is_told_from_its_answers(completions: list[str], kind: str) -> None:
    guess = detect_task_type(completions)
    assert guess.kind == kind, guess.why


def test_labels_come_by_count_in_their_first_spelling() -> None:
    guess = detect_task_type(["no", "Yes", "yes", "YES "] * 3)
    assert guess.labels == ("Yes", "no")
    assert "12 answers use 2 labels" in guess.why


@pytest.mark.parametrize(
    ("task", "kinds"),
    [
        ("banking77", {"classification"}),
        ("sentiment", {"classification"}),
        ("pubmedqa_rag", {"classification"}),
        ("snips_json", {"json"}),
        ("xquad_rag", {"short-answer"}),
        ("trivia_open", {"short-answer"}),
        ("tldr_commands", {"short-answer", "text"}),
        ("kjv_style", {"text"}),
        ("scitldr", {"text"}),
        ("gsm8k", {"numeric"}),
        ("e2e_nlg", {"text"}),
        ("coffee_chat", {"text"}),
    ],
)
@pytest.mark.parametrize("rows", [None, 200])
def test_real_tasks_are_told_right_whole_and_from_200_rows(
    dev: Path, task: str, kinds: set[str], rows: int | None
) -> None:
    lines = (dev / task / "train.jsonl").read_bytes().split(b"\n")[:rows]
    values = [json.loads(line) for line in lines if line]
    answers = [value["completion"] if "completion" in value else value["messages"][-1]["content"] for value in values]
    assert detect_task_type(answers).kind in kinds


# --- sets of labels

GENRES = ["comedy", "drama", "horror", "romance", "science fiction", "war"]
_RANDOM = random.Random(0)
SETS = [_RANDOM.sample(GENRES, 1 + n % 3) for n in range(60)]


@pytest.mark.parametrize("mark", [", ", ",", "; ", " | ", "\n"])
def test_sets_of_labels_are_told_by_any_mark_between_them(mark: str) -> None:
    guess = detect_task_type([mark.join(labels) for labels in SETS])
    assert (guess.kind, set(guess.labels)) == ("multi-label", set(GENRES))
    assert f"60 answers are sets of {len(GENRES)} labels" in guess.why


def test_labels_of_sets_come_by_count_in_their_first_spelling() -> None:
    guess = detect_task_type(["News, sport", "news", "NEWS , Arts", "sport", "arts, sport, news", "news"] * 5)
    assert (guess.kind, guess.labels) == ("multi-label", ("News", "sport", "Arts"))


@settings(max_examples=50)
@given(st.lists(st.sets(st.sampled_from(GENRES), min_size=1), min_size=60, max_size=90))
def test_sets_are_told_or_named_exactly_where_fewer_labels_explain_them(sets: list[set[str]]) -> None:
    guess = detect_task_type([", ".join(sorted(labels)) for labels in sets])
    fewer = len(set[str]().union(*sets)) < len(set(map(frozenset, sets)))
    of_several_sizes = max(Counter(map(len, sets)).values()) <= 0.95 * len(sets)
    assert ("multi-label" in (guess.kind, *guess.also)) is (fewer and of_several_sizes)


@pytest.mark.parametrize(
    ("completions", "kind", "also"),
    [
        # Single labels with a comma in them: the parts are no fewer.
        (["shoes, bags", "books, music", "toys, games", "garden"] * 10, "classification", ()),
        # Always as many parts: records.
        ([f"{a}, {b}" for a in GENRES for b in GENRES if a != b] * 3, "classification", ()),
        ([f"{month} {day}, {year}" for year in range(1990, 2000) for month in ("May", "June") for day in range(1, 29)],
         "short-answer", ()),
        # An open list.
        ([f"place {n}, country {n % 50}" for n in range(200)], "short-answer", ()),
        ([f"{n % 90 + 1},{n * 7 % 100:02d}" for n in range(400)], "numeric", ()),  # prices with a decimal comma
        ([json.dumps(labels) for labels in SETS], "json", ("multi-label",)),
    ],
)  # fmt: skip
def test_commas_alone_make_no_set_of_labels(completions: list[str], kind: str, also: tuple[str, ...]) -> None:
    guess = detect_task_type(completions)
    assert (guess.kind, guess.also) == (kind, also), guess.why


@pytest.mark.parametrize(
    ("answer", "labels"),
    [
        ("", ()),
        ("news", ("news",)),
        ("news, sport", ("news", "sport")),
        ("news; 1,200 metres; 3,5", ("news", "1,200 metres", "3,5")),
        ("1,3,12", ("1", "3", "12")),
        ("over 1,000,000, new", ("over 1,000,000", "new")),
        ("- news\n- sport, outdoors\n\n2. arts", ("news", "sport, outdoors", "arts")),
        ("shoes, bags | books", ("shoes, bags", "books")),
        (", ,", ()),
    ],
)
def test_labels_are_parted_by_the_strongest_mark(answer: str, labels: tuple[str, ...]) -> None:
    assert split_labels(answer) == labels


# --- numbers


@pytest.mark.parametrize(
    "form",
    [
        *("{}", "${}.50", "-{}", "\u2212{}", "{},000", "{}%", "{}.", "{} €", "0.{}", "{}e-3", "{}/7", "€ {}", "1.{}"),
        *("So it is {} and no more.\n#### {}", "We have $x = {}$, hence \\boxed{x = {}}."),
    ],
)
def test_numbers_in_any_dress_are_numeric(form: str) -> None:
    assert detect_task_type([form.replace("{}", str(n)) for n in range(100, 200)]).kind == "numeric"


@pytest.mark.parametrize(
    "form", ["00{}", "{}-01-02", "flight {}", "v{}", "10.0.{}.4", "+49 30 {}", "{} km", "#### Part {} of it"]
)
def test_names_made_of_digits_are_not_numeric(form: str) -> None:
    assert detect_task_type([form.format(n) for n in range(100, 200)]).kind == "short-answer"


def test_nine_in_ten_numbers_are_needed_and_half_of_them_are_named() -> None:
    numbers, words = [str(n) for n in range(100)], [f"word{n}" for n in range(100)]
    assert detect_task_type(numbers[:90] + words[:10]).kind == "numeric"
    mixed = detect_task_type(numbers[:60] + words[:40])
    assert (mixed.kind, mixed.also) == ("short-answer", ("numeric",))
    assert detect_task_type(numbers[:40] + words[:60]).also == ()


def test_worked_solutions_may_be_text_and_few_numbers_may_be_measured() -> None:
    solutions = [f"First he takes {n} apples and then he gives two of them away.\n#### {n - 2}" for n in range(50)]
    assert detect_task_type(solutions).also == ("text",)
    stars = detect_task_type(["1", "2", "3", "4", "5"] * 6)
    assert (stars.kind, stars.also) == ("classification", ("numeric",))


# --- code


@pytest.mark.parametrize(
    ("answer", "does"),
    [
        ("def f(x):\n    return x", True),
        ("```python\nimport os\n```", True),
        ("print(1)", True),
        ("x = a + 1\ny = x * x", True),
        ("pattern = re.compile('\\d+')", True),  # an odd escape is no reason to fail
        ("for x in y:\n    z += x", True),
        ("Paris", False),
        ("Paris (France)", False),
        ("x = 5", False),
        ("y = 2 * x + 3", False),
        ("ls -l", False),
        ("git commit -m 'x'", False),
        ("{'a': 1}", False),
        ("def f(x:\n  return", False),
        ("x = 5\ny = 'a'", False),
        ("\0", False),
        ("(" * 5000, False),
        ("-" * 100_000 + "1", False),
        ("", False),
    ],
)
def test_python_is_told_from_what_only_parses(answer: str, does: bool) -> None:
    assert is_python(answer) is does


def test_code_is_told_and_half_of_it_is_named() -> None:
    functions = [f"def f{n}(x):\n    y = x + {n}\n    z = y * x - {n}\n    return x + y * z" for n in range(40)]
    texts = [f"This is a sentence about the number {n}, and it goes on for a while longer." for n in range(40)]
    assert detect_task_type(functions).kind == "code"
    mixed = detect_task_type(functions[:25] + texts[:15])
    assert (mixed.kind, mixed.also) == ("text", ("code",))
    assert detect_task_type(texts).also == ()
    calls = detect_task_type([f'get_weather(city="town {n}")' for n in range(40)])
    assert (calls.kind, calls.also) == ("code", ("short-answer",))
