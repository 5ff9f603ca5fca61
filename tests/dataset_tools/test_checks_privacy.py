"""Checks of personal data and secrets: what counts by its check digit, what only looks so, and what a fix leaves."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from check_cases import CHECKS, assert_fix_keeps_its_promise, row_fix, said
from hypothesis import given, settings
from hypothesis import strategies as st

from dataset_tools.checks.numbers import is_card, is_public_ip, is_ssn, luhn
from dataset_tools.checks.privacy import masked
from dataset_tools.checks.secrets import entropy, find_secrets, without_secrets
from dataset_tools.lint import lint

PERSONAL = [check for check in CHECKS.values() if check.family == "privacy" and check.id != "secret"]


def _random(size: int, letters: str, seed: int = 0) -> str:
    return "".join(random.Random(seed).choices(letters, k=size))


BASE62 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
HEX = "0123456789abcdef"
# Put together here, so that no program takes this file for one with keys in it.
SECRETS = {
    "an AWS access key": "AKIA" + _random(16, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"),
    "a GitHub token": "ghp_" + _random(36, BASE62),
    "a Slack token": "xoxb-" + "123456789012-" + _random(24, BASE62),
    "a Google key": "AIza" + _random(35, BASE62),
    "a Stripe key": "sk_live_" + _random(24, BASE62),
    "an OpenAI key, or one like it": "sk-" + "proj-" + _random(48, BASE62),
    "an Anthropic key": "sk-ant-" + "api03-" + _random(60, BASE62),
    "a Hugging Face token": "hf_" + _random(34, BASE62),
    "a GitLab token": "glpat-" + _random(20, BASE62, 3),
    "an npm token": "npm_" + _random(36, BASE62),
    "a SendGrid key": "SG." + _random(22, BASE62) + "." + _random(43, BASE62),
    "a JSON web token": "eyJ" + _random(30, BASE62) + ".eyJ" + _random(60, BASE62) + "." + _random(43, BASE62),
    "a private key": "-----BEGIN RSA PRIVATE " + "KEY-----\n" + _random(64, BASE62) + "\n-----END RSA PRIVATE KEY-----",
    "a password in an address": "postgres://" + "app:" + "s3cr3t-9fK2" + "@db.example.com:5432/app",
    "a key or password": "api_key = '" + _random(32, HEX) + "'",
}


# --- personal data ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("check", "text"),
    [
        ("email-address", "My e-mail is ann.okoye@example.com."),
        ("email-address", "<a+b_c@mail.example.co.uk>"),
        ("phone-number", "Call me on +1 202-555-0129."),
        ("phone-number", "+44 20 7946 0958"),
        ("phone-number", "+14155550142"),
        ("phone-number", "(202) 555-0143, any time"),
        ("phone-number", "202.555.0143"),
        ("phone-number", "1-202-555-0143"),
        ("phone-number", "Tel.: 020 7946 0958"),
        ("phone-number", "phone: 5550142"),
        ("phone-number", "Text me at 07700 900123 please"),
        ("card-number", "Card 4111 1111 1111 1111."),
        ("card-number", "5555555555554444"),
        ("card-number", "3782-822463-10005"),
        ("iban", "IBAN GB82 WEST 1234 5698 7654 32."),
        ("iban", "pay to DE89370400440532013000 today"),
        ("iban", "GB82 WEST 1234 5698 7654 32 The rest follows"),
        ("ssn", "SSN 078-05-1120"),
        ("ssn", "social security number is 219099999"),
        ("ip-address", "from host 192.0.2.184"),
        ("ip-address", "http://81.2.69.142/index"),
        ("ip-address", "from 2001:db8::8a2e:370:7334 again"),
        ("birth-date", "Date of birth: 12/03/1985"),
        ("birth-date", "DOB 1985-03-12"),
        ("birth-date", "My birthday is on 3 March 1985"),
        ("birth-date", "date of birth is March 3rd, 1985"),
    ],
)
def test_what_belongs_to_a_person_is_found_once_and_as_one_kind(check: str, text: str) -> None:
    row = ("Who is it? Tell me all that you know of them.", text)
    assert said(check, *row) and said(check, *row[::-1])
    assert [other.id for other in PERSONAL if said(other.id, *row)] == [check]


@pytest.mark.parametrize(
    "text",
    [
        "He has 1200 sheep, 350 cows and 4000 hens, and sold 1999 in 2019-2020.",
        "200-300-4000 and 100-200-3000",
        "on 12-12-2020 at 10:30:15, or 2020-12-12T10:30:15Z",
        "call 1990-12-24 the day",
        "the order 4111111111111112 and the number 1234567890123456",
        "3.14159265358979 and 1234567890",
        "version 10.20.30.40, v2.40.60.80, section 1.2.3.4 and 10.0.0.138 and 8.8.8.8",
        "127.0.0.1 and 192.168.178.20 and 300.300.300.300",
        "std::vector and a::b and 12:30:45 and aa:bb:cc:dd:ee:ff",
        "000-12-3456 and 666-12-3456 and 900-12-3456 and 123-00-4567 and 123-45-0000",
        "GB82 WEST 1234 5698 7654 33 and AB12 3456 7890 1234 5678",
        "ISBN 978-3-16-148410-0, EAN 4006381333931",
        "$4,111,111,111,111,111 and 0.4111111111111111",
        "the git@github.com:owner/name.git and icon@2x.png and @someone and a @ b",
        "The date of birth of the king is not known; the club dates from 1904.",
        "(1991) 345-678 and 1 234 567 890",
        "12 34 56 78 90 12 34 56 78",
        "x = 5551234567 * 2; y = 202-555",
        "#4111111 and SKU 123-45-67890",
    ],
)
def test_the_numbers_of_ordinary_rows_are_left_alone(text: str) -> None:
    assert [check.id for check in PERSONAL if said(check.id, text, "ok")] == []


@pytest.mark.parametrize("number", ["4111111111111111", "5105105105105100", "378282246310005", "30569309025904"])
def test_a_card_has_its_check_digit_and_its_groups(number: str) -> None:
    assert luhn(number) and is_card(number)
    wrong = number[:-1] + str((int(number[-1]) + 1) % 10)
    assert not luhn(wrong) and not is_card(wrong)
    assert not is_card("-".join([number[:3], number[3:]]))


@given(st.text("0123456789", min_size=2, max_size=30))
def test_one_digit_of_ten_is_the_check_digit(digits: str) -> None:
    assert sum(luhn(digits[:-1] + last) for last in "0123456789") == 1


def test_rules_of_issue() -> None:
    assert is_ssn("078051120") and not is_ssn("000051120") and not is_ssn("950051120")
    assert is_public_ip("203.0.113.9") and is_public_ip("93.184.216.34") and is_public_ip("2001:db8::1")
    assert not is_public_ip("10.99.1.2") and not is_public_ip("1.2.3.4") and not is_public_ip("93.184.216.340")


@pytest.mark.parametrize(
    ("check", "text", "redacted"),
    [
        ("email-address", "write to a.b@example.com or c@example.org", "write to [EMAIL] or [EMAIL]"),
        ("phone-number", "Call me on +1 202-555-0129.", "Call me on [PHONE]."),
        ("phone-number", "Tel: 020 7946 0958", "Tel: [PHONE]"),
        ("card-number", "4111 1111 1111 1111 and 4111 1111 1111 1112", "[CARD] and 4111 1111 1111 1112"),
        ("iban", "IBAN GB82 WEST 1234 5698 7654 32 OK", "IBAN [IBAN] OK"),
        ("ssn", "SSN is 219099999", "SSN is [SSN]"),
        ("ip-address", "from 192.0.2.184", "from [IP]"),
        ("birth-date", "date of birth: 12/03/1985", "date of birth: [BIRTH_DATE]"),
    ],
)
def test_what_is_taken_out_leaves_its_kind(check: str, text: str, redacted: str) -> None:
    fixed = row_fix(check)({"prompt": text, "completion": "ok", "id": text})
    assert fixed == {"prompt": redacted, "completion": "ok", "id": text}


# --- secrets ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", SECRETS)
@pytest.mark.parametrize("around", ["{}", "key {}", "The key is `{}`.", "KEY={}\nand so on"])
def test_a_secret_is_an_error_and_is_not_shown(kind: str, around: str) -> None:
    text = around.format(SECRETS[kind])
    assert kind in [found for found, _ in find_secrets(text)]
    [message] = said("secret", "Deploy it.", text)
    assert "rotate" in message and SECRETS[kind] not in message
    assert "[SECRET]" in without_secrets(text) and _random(12, BASE62) not in without_secrets(text)


def test_a_test_key_is_a_secret_as_well() -> None:
    assert said("secret", "key sk-test-" + _random(32, HEX), "ok")


@pytest.mark.parametrize(
    "text",
    [
        "sk-learn-some-long-name-of-a-class-here",
        "AKIA is a prefix, as is ghp_ and hf_, and sk- too; 12345",
        "AKIAIOSFODNN7EXAMPLE is the key of the manual, 2020",
        "postgres://user:password@localhost/db and https://user:{{password}}@example.com/1234",
        "password = 'your-password-1234' and secret = xxxxxxxxxxxxxxxx1234",
        "the token = the_number_of_words_12 in the text",
        "sk_buff_head_init(&x_1234567890) and SG.1",
        "eyJ is how a JSON web token begins 123",
        "a-b-c-1-2-3-4-5-6-7-8-9",
        "commit 3f786850e387550fdab836ed7e6dc881de23001b",
    ],
)
def test_what_only_begins_like_a_secret_is_left_alone(text: str) -> None:
    assert said("secret", text, "ok") == []


def test_entropy_is_in_bits_a_character() -> None:
    assert entropy("aaaa") == 0 and entropy("abab") == 1 and entropy("abcd") == 2


def test_what_is_shown_of_a_number_is_its_ends() -> None:
    assert masked("4111111111111111") == "41...11"


# --- fixes and real files ---------------------------------------------------------------------------------------------

FRAGMENTS = st.sampled_from(
    [
        *(
            "a@example.com",
            "@",
            ".com",
            "+1 202-555-0129",
            "202-555-",
            "0143",
            "Tel: ",
            "call ",
            "4111 1111 1111 1111",
            "4",
        ),
        *(
            "GB82 WEST 1234 5698 7654 32",
            "DE89370400440532013000",
            " ",
            "-",
            ".",
            "078-05-1120",
            "SSN ",
            "192.0.2.1",
            "7",
        ),
        *("date of birth ", "1/2/1985", "2001:db8::1", "word", "\n", "KEY=", *SECRETS.values()),
    ]
)
TEXTS = st.lists(FRAGMENTS | st.text("0123456789 -+.@aA", max_size=4), min_size=1, max_size=6).map("".join)


@pytest.mark.parametrize("check", [*(check.id for check in PERSONAL), "secret"])
@settings(max_examples=200, deadline=None)
@given(prompt=TEXTS.filter(str.strip), completion=TEXTS.filter(str.strip))
def test_a_fix_is_idempotent_and_leaves_nothing_to_find(check: str, prompt: str, completion: str) -> None:
    assert_fix_keeps_its_promise(check, prompt, completion)


PLANTED = {
    "pii_email": "email-address",
    "pii_phone": "phone-number",
    "pii_card_number": "card-number",
    "pii_iban": "iban",
    "pii_ssn": "ssn",
    "pii_ip_address": "ip-address",
    "secret_like_string": "secret",
}


def test_planted_data_is_found_in_its_places_and_nowhere_else(messy: Path) -> None:
    expected = json.loads((messy / "expected.json").read_text())["pii_banking.jsonl"]["findings"]
    planted = {(PLANTED[fault["kind"]], fault["where"]) for fault in expected}
    report = lint(messy / "pii_banking.jsonl", checks=["privacy"])
    assert {(finding.check, line) for finding in report.findings for line in finding.lines} == planted
    assert len(planted) == 18 and report.verdict == "fix_first"
