"""National identity numbers and postal addresses: found by check digit and form, and nothing that only looks so."""

from __future__ import annotations

import random

import pytest
from check_cases import CHECKS, assert_fix_keeps_its_promise, row_fix, said

from dataset_tools.checks import numbers

PERSONAL = [check for check in CHECKS.values() if check.family == "privacy" and check.id != "secret"]
QUESTION = "Who is it? Tell me all that you know of them."


@pytest.mark.parametrize(
    ("check", "text"),
    [
        ("national-id", "Her DNI is 12345678Z."),
        ("national-id", "NIE X1234567L"),
        ("national-id", "1 85 05 78 006 084 91 is on the card"),
        ("national-id", "CPF 529.982.247-25"),
        ("national-id", "o cpf dele: 52998224725"),
        ("national-id", "PESEL: 44051401359"),
        ("national-id", "Steuer-ID 86 095 742 719"),
        ("national-id", "BSN 111222333"),
        ("national-id", "her social insurance number is 130-692-544"),
        ("national-id", "Aadhaar 2341 2341 2346"),
        ("postal-address", "She lives at 12 High Street, Reading RG1 2AB, near the station."),
        ("postal-address", "1600 Pennsylvania Avenue NW, Washington, DC 20500"),
        ("postal-address", "Send it to 221 Baker Street, London NW1 6XE."),
        ("postal-address", "742 Evergreen Ter., no; 45 N. 5th St, Apt 4B, San Jose, CA 95112"),
        ("postal-address", "7 Elm Lane\nAustin, TX 78701-1234"),
    ],
)
def test_numbers_and_addresses_are_found_as_one_kind_and_taken_out(check: str, text: str) -> None:
    assert said(check, QUESTION, text) and said(check, text, QUESTION)
    assert [other.id for other in PERSONAL if said(other.id, QUESTION, text)] == [check]
    assert_fix_keeps_its_promise(check, QUESTION, text)


@pytest.mark.parametrize(
    "text",
    [
        "The part 12345678A and the part 12345678Y.",  # another letter would be right
        "X1234567A",
        "1 85 05 78 006 084 92 and 529.982.247-26",
        "111.111.111-11",
        "111222333 and 44051401359 and 86095742719 and 130692544",  # nothing says what they are
        "BSN 111222334, PESEL 44051401358, Aadhaar 2341 2341 2347",
        "The sin of 130692545 men; the CPF of 52998224726.",
        "10 Downing Street is where she works, at High Street 12.",
        "In 1905 Main Street had 20500 people, and 5 Elm Lane was sold.",
        "The 3rd Avenue, New York, has 120 houses.",
        "2019 Grand Tour, Paris, FR 75001",
    ],
)
def test_what_only_looks_so_is_left_alone(text: str) -> None:
    assert said("national-id", QUESTION, text) == [] and said("postal-address", QUESTION, text) == []


def test_the_stand_ins_tell_the_kind() -> None:
    assert row_fix("national-id")({"prompt": "DNI 12345678Z?", "completion": "BSN 111222333"}) == {
        "prompt": "DNI [NATIONAL_ID]?",
        "completion": "BSN [NATIONAL_ID]",
    }
    address = "Send it to 12 High Street, Reading RG1 2AB."
    assert row_fix("postal-address")({"prompt": "q", "completion": address}) == {
        "prompt": "q",
        "completion": "Send it to [ADDRESS].",
    }


@pytest.mark.parametrize(
    ("good", "number"),
    [
        (numbers.is_cpf, "52998224725"),
        (numbers.is_pesel, "44051401359"),
        (numbers.is_steuer_id, "86095742719"),
        (numbers.is_bsn, "111222333"),
        (numbers.is_sin, "130692544"),
        (numbers.is_aadhaar, "234123412346"),
    ],
)
def test_every_other_last_digit_is_wrong_and_every_single_slip_is_found(good: object, number: str) -> None:
    assert callable(good) and good(number)
    for place in range(len(number)):
        slips = [number[:place] + digit + number[place + 1 :] for digit in "0123456789" if digit != number[place]]
        assert sum(good(slip) for slip in slips) <= 1  # sums modulo 10 and 11 have no more


def test_numbers_that_name_nothing_are_not_found_in_a_thousand_of_them() -> None:
    rng = random.Random(0)
    rows = [f"The order {rng.randrange(10**8, 10**11)} of {rng.randrange(10**6)} pieces came." for _ in range(1_000)]
    assert [row for row in rows if said("national-id", QUESTION, row) or said("postal-address", QUESTION, row)] == []
