"""Checks for what belongs to a person: addresses, numbers, a date of birth. Names are not looked for.

Numbers count where their check digit or their rules of issue hold, so that the numbers of ordinary rows do not.
Keys and passwords have their own file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from dataset_tools.checks import identities, secrets
from dataset_tools.checks.base import Check, ExampleCheck, ExampleView
from dataset_tools.checks.fix import Fix
from dataset_tools.checks.numbers import iban_at_start, is_card, is_public_ip, is_ssn
from dataset_tools.checks.scan import ADDRESS, AT, BIRTH, NUMBER, place, when
from dataset_tools.checks.texts import row_fix, until_stable

# A pattern that begins with one set of characters is looked for far faster than one that begins by looking behind, so
# what must not stand in front is asked behind the first character.
_EMAIL = re.compile(
    r"[A-Za-z0-9](?<![\w.%+/-].)[\w.%+-]{0,63}+@(?:[A-Za-z0-9-]{1,63}\.){1,6}[A-Za-z]{2,24}(?![\w@])", re.ASCII
)
_FILE_ENDINGS = frozenset(
    {"png", "jpg", "jpeg", "gif", "svg", "webp", "css", "js", "ts", "py", "git", "local", "service"}
)
_CARD = re.compile(r"\d(?<![\w.,$-].)\d{3}(?:[ -]?\d){8,14}\d(?![ -]?\d)(?!\w)")
_IBAN = re.compile(r"[A-Z](?<!\w.)[A-Z]\d{2}(?: ?[A-Z0-9]){11,30}")
_SSN = re.compile(r"\d(?<![\w.-].)\d{2}-\d{2}-\d{4}(?![\w-])")
_NAMED_SSN = re.compile(r"\b(?:ssn|social security(?: number| no\.?)?)\W{0,3}(?:is )?(\d{9})\b", re.IGNORECASE)
_IP = re.compile(
    r"\d(?<![\w.:-].)(?:\d{0,2}(?:\.\d{1,3}){3}(?![\w-]|\.\d)"
    r"|(?<=[23])[\da-fA-F]{3}:(?:[\da-fA-F]{0,4}:){1,6}[\da-fA-F]{1,4}(?![\w:]))"
)
_VERSION = re.compile(r"(?:\bv(?:er(?:sion)?)?\.? ?|section |\u00a7 ?)\Z", re.IGNORECASE)
_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]{0,6}"
_DATE = (
    rf"(?:\d{{1,2}}(?:st|nd|rd|th)?(?: of)? {_MONTH},? \d{{4}}|{_MONTH} \d{{1,2}}(?:st|nd|rd|th)?,? \d{{4}}"
    r"|\d{1,2}[./-]\d{1,2}[./-](?:\d{4}|\d{2})|\d{4}-\d{2}-\d{2})"
)
_BIRTH = re.compile(
    rf"(?:\bdate of birth\b|\bd\.?o\.?b\b\.?|\bbirth ?date\b|\bmy birthday\b)"
    rf"[^\w\n]{{0,4}}(?:(?:is|on|in|was) ){{0,2}}({_DATE})\b",
    re.IGNORECASE,
)
# Written with a country code (ITU-T E.164: up to 15 digits), as in North America (NANP: area and exchange begin with
# 2 to 9), or behind a word that announces it.
_PHONE = re.compile(
    r"\+(?<![\w+.].)[1-9]\d{0,2}[ .-]?(?:\(\d{1,4}\)[ .-]?)?\d(?:[ .-]?\d){6,12}(?![ .-]?\d)(?!\w)"
    r"|1(?<![\w.,$+/-].)[ .-]\(?[2-9]\d{2}(?:\) ?|[ .-])[2-9]\d{2}[ .-]\d{4}(?![\w-]|\.\d)"
    r"|\((?<!\w.)[2-9]\d{2}\) ?[2-9]\d{2}[ .-]\d{4}(?![\w-]|\.\d)"
    r"|[2-9](?<![\w.,$+/-].)\d{2}[.-][2-9]\d{2}[ .-]\d{4}(?![\w-]|\.\d)"
)
_LOCAL_PHONE = re.compile(r"[(\d](?<![\w.,$+/-].)\d?\)?(?:[ .-]?\(?\d\)?){6,14}(?![ .-]?\d)(?!\w)")
_ANNOUNCED = re.compile(
    r"\b(?:phone|tel(?:ephone)?|call|mobile|cell|whatsapp|fax|text) ?(?:me|us|him|her|them|number|no\.?|line)?"
    r" ?(?:on|at|is)?[:=#.]{0,2} {0,2}\Z",
    re.IGNORECASE,
)
_BEFORE = 30  # characters in front of a number in which it is announced
_OTHER_NUMBER = re.compile(
    r"\d{1,4}([ .-])\d{1,2}\1\d{1,4}|\d{3}-\d{2}-\d{4}|\d{1,20}\.\d{1,20}"
)  # a date, an SSN, a fraction

_COUNTED = "1234567"  # a number that was made up

Judge = Callable[[re.Match[str]], str | None]  # what of a match is personal, or None


@dataclass(frozen=True, slots=True)
class Personal:
    """One kind of personal data: how it is written, which of such writings count, and what stands in its place."""

    pattern: re.Pattern[str]
    judge: Judge
    stand_in: str

    def find(self, text: str) -> Iterator[str]:
        """What of the text counts."""
        for match in self.pattern.finditer(text):
            found = self.judge(match)
            if found:
                yield found

    def redacted(self, text: str) -> str:
        """The text with the stand-in for all that counts."""

        def replaced(match: re.Match[str]) -> str:
            found = self.judge(match)
            return match.group().replace(found, self.stand_in) if found else match.group()

        return self.pattern.sub(replaced, text)


def _email(match: re.Match[str]) -> str | None:
    found = match.group()
    return None if found.startswith("git@") or found.rsplit(".", 1)[1].lower() in _FILE_ENDINGS else found


def _card(match: re.Match[str]) -> str | None:
    return match.group() if is_card(match.group()) else None


def _iban(match: re.Match[str]) -> str | None:
    found = iban_at_start(match.group())
    behind = match.string[match.start() + len(found) : match.start() + len(found) + 1]
    return found if found and not behind.isalnum() else None


def _ssn(match: re.Match[str]) -> str | None:
    found = match.group(match.lastindex or 0)
    return found if is_ssn(found.replace("-", "")) else None


def _ip(match: re.Match[str]) -> str | None:
    before = match.string[max(0, match.start() - 10) : match.start()]
    return match.group() if is_public_ip(match.group()) and not _VERSION.search(before) else None


def _phone(match: re.Match[str]) -> str | None:
    digits = "".join(filter(str.isdigit, match.group()))
    return None if _COUNTED in digits or 2 * digits.count("0") > len(digits) else match.group()


def _local_phone(match: re.Match[str]) -> str | None:
    found = match.group()
    announced = _ANNOUNCED.search(match.string[max(0, match.start() - _BEFORE) : match.start()])
    digits = sum(map(str.isdigit, found))
    if announced is None or not 7 <= digits <= 15 or _OTHER_NUMBER.fullmatch(found):
        return None
    if found.isdigit() and digits < 9 and announced.group()[:4].lower() in ("call", "text", "cell"):
        return None  # a number of calls, not to call
    return found


def _birth(match: re.Match[str]) -> str | None:
    return match.group(1)


EMAIL = Personal(_EMAIL, _email, "[EMAIL]")
CARD = Personal(_CARD, _card, "[CARD]")
IBAN = Personal(_IBAN, _iban, "[IBAN]")
SSN = Personal(_SSN, _ssn, "[SSN]")
NAMED_SSN = Personal(_NAMED_SSN, _ssn, "[SSN]")
IP = Personal(_IP, _ip, "[IP]")
BIRTH_DATE = Personal(_BIRTH, _birth, "[BIRTH_DATE]")
PHONE = Personal(_PHONE, _phone, "[PHONE]")
LOCAL_PHONE = Personal(_LOCAL_PHONE, _local_phone, "[PHONE]")
NATIONAL_IDS = tuple(Personal(pattern, identities.own_form, "[NATIONAL_ID]") for pattern in identities.OWN_FORM)
NAMED_ID = Personal(identities.DIGITS, identities.named, "[NATIONAL_ID]")
POSTAL_ADDRESS = Personal(identities.ADDRESS, identities.address, "[ADDRESS]")


def masked(text: str) -> str:
    """The two ends of what was found: enough to find it again, too little to use it from a report."""
    return f"{text[:2]}...{text[-2:]}"


def _check(id_: str, title: str, bit: int, *kinds: Personal) -> ExampleCheck:
    def find(view: ExampleView) -> Iterator[str]:
        for index, content in enumerate(view.contents):
            found = next((found for kind in kinds for found in kind.find(content)), None)
            if found:
                yield f"{place(view, index)} has {masked(found)!r}"
                return

    def redacted(text: str) -> str:
        for kind in kinds:
            text = kind.redacted(text)
        return text

    return ExampleCheck(
        id=id_,
        severity="warning",
        title=title,
        why="Models repeat such data word for word (Carlini et al. 2021, arxiv.org/abs/2012.07805).",
        family="privacy",
        start=when(bit, find),
        fix=Fix(what=f"write {kinds[0].stand_in} in its place", row=row_fix(until_stable(redacted))),
    )


CHECKS: tuple[Check, ...] = (
    _check("email-address", "an e-mail address", AT, EMAIL),
    _check("phone-number", "a phone number", NUMBER, PHONE, LOCAL_PHONE),
    _check("card-number", "a payment card's number", NUMBER, CARD),
    _check("iban", "a bank account's number", NUMBER, IBAN),
    _check("ssn", "a US social security number", NUMBER, SSN, NAMED_SSN),
    _check("national-id", "a national identity number", NUMBER, *NATIONAL_IDS, NAMED_ID),
    _check("postal-address", "a postal address", ADDRESS, POSTAL_ADDRESS),
    _check("ip-address", "an IP address", NUMBER, IP),
    _check("birth-date", "a date of birth", BIRTH, BIRTH_DATE),
    *secrets.CHECKS,
)
