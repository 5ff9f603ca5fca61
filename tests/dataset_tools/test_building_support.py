from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataset_tools.building.support import PassageWords, words
from dataset_tools.building.verification import agree

ENGLISH = "The warranty covers two years. Installation costs 1,500.50 pounds; error E11 means the pump is blocked."
GERMAN = "Die Garantie gilt zwei Jahre und deckt den Motor. Der Kunde trägt die Kosten der Anfahrt."
CHINESE = "保修期为两年，从交货之日起计算。"  # noqa: RUF001


@given(st.text(max_size=100))
def test_every_text_is_supported_by_itself(text: str) -> None:
    support = PassageWords(text).support(text)
    assert support.missing == () and support.score in (0.0, 1.0)


@given(st.text(max_size=60), st.text(max_size=60))
def test_a_longer_passage_never_misses_a_number_that_the_shorter_had(passage: str, answer: str) -> None:
    before, after = PassageWords(passage).support(answer), PassageWords(f"{passage} {answer}").support(answer)
    assert set(after.missing) <= set(before.missing) | set(words(answer)) and after.numbers == ()
    assert 0 <= before.score <= 1


@pytest.mark.parametrize(
    ("passage", "answer"),
    [
        (ENGLISH, "It is covered for 2 years"),
        (ENGLISH, "installing costs 1500.5 pounds"),
        (ENGLISH, "E11: a blocked pump"),
        (GERMAN, "Zwei Jahre, für den Motor"),
        (GERMAN, "Der Kunde, die Anfahrtskosten"[:20]),
        (CHINESE, "两年"),
    ],
)
def test_other_forms_of_words_and_numbers_count(passage: str, answer: str) -> None:
    assert PassageWords(passage).support(answer).score == 1


@pytest.mark.parametrize(
    ("passage", "answer", "numbers"),
    [
        (ENGLISH, "three years and E12", ("three", "e12")),
        (ENGLISH, "15 pounds", ("15",)),
        (ENGLISH, "150050 pounds", ("150050",)),
        (GERMAN, "Drei Monate für das Getriebe", ()),
        (CHINESE, "三个月", ()),
    ],
)
def test_other_words_and_numbers_do_not(passage: str, answer: str, numbers: tuple[str, ...]) -> None:
    support = PassageWords(passage).support(answer)
    assert support.score <= 0.67 and support.missing and support.numbers == numbers


def test_the_stopwords_are_those_of_the_passages_language() -> None:
    assert PassageWords(GERMAN).content("Die Garantie und der Motor") == ["garantie", "motor"]
    assert PassageWords(ENGLISH).content("the pump and the warranty") == ["pump", "warranty"]


@pytest.mark.parametrize(
    ("written", "number"),
    [("1,000.50", "1000.5"), ("1.000,50", "1000.5"), ("1,000", "1000"), ("1.000.000", "1000000"), ("3.0", "3"),
     ("0,25", "0.25"), ("2024", "2024"), ("100", "100")],
)  # fmt: skip
def test_numbers_have_one_form(written: str, number: str) -> None:
    assert list(words(written)) == [number]


def test_answers_agree_by_their_words_but_never_with_another_number() -> None:
    assert agree("Two years", "The warranty is 2 years.")
    assert not agree("2 years", "3 years")
    assert not agree("A baker", "")
