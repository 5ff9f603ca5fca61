"""Checks for national identity numbers, by their check digits, and for postal addresses that end in a postal code.

Numbers that are nothing but digits count only where their name stands before them: one in ten or eleven passes by
chance. The Italian codice fiscale and the British NINO (no digit to check) are not looked for.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from dataset_tools.checks.numbers import is_aadhaar, is_bsn, is_cpf, is_dni, is_nir, is_pesel, is_sin, is_steuer_id

_BEFORE = 40  # characters in front of a number in which its name stands
# Spain's DNI and NIE, France's NIR (13 digits and 2 to check) and Brazil's CPF as it is printed have a form of their
# own; the others are digits, in groups or not.
_OWN_FORM: tuple[tuple[re.Pattern[str], Callable[[str], bool]], ...] = (
    (re.compile(r"[XYZ\d](?<![\w.-].)\d{7}-?[A-HJ-NP-TV-Z](?![\w-])"), is_dni),
    (re.compile(r"[12](?<![\w.-].) ?\d\d ?(?:0[1-9]|1[0-2]|[2-9]\d) ?\d[\dAB] ?\d{3} ?\d{3} ?\d\d(?![\w-])"), is_nir),
    (re.compile(r"\d(?<![\w.-].)\d\d\.\d{3}\.\d{3}-\d\d(?![\w-])"), is_cpf),
)
_DIGITS = re.compile(r"\d(?<![\w.+-].)(?:[ .-]?\d){8,11}(?![ .-]?\d)(?!\w)")
_NAMED: tuple[tuple[re.Pattern[str], Callable[[str], bool]], ...] = (
    (re.compile(r"\bcpf\b", re.IGNORECASE), is_cpf),
    (re.compile(r"\baadhaa?r\b|\buidai\b", re.IGNORECASE), is_aadhaar),
    (re.compile(r"\bpesel\b", re.IGNORECASE), is_pesel),
    (re.compile(r"\bsteuer-?(?:id|identifikationsnummer)|\bidnr\b|\btax id\b", re.IGNORECASE), is_steuer_id),
    (re.compile(r"\bbsn\b|burgerservicenummer", re.IGNORECASE), is_bsn),
    (re.compile(r"\bsin\b|social insurance", re.IGNORECASE), is_sin),
)
_STREET = (
    r"(?:Street|St\.?|Avenue|Ave\.?|Road|Rd\.?|Lane|Ln\.?|Drive|Dr\.?|Boulevard|Blvd\.?|Court|Ct\.?|Place|Pl\.?|"
    r"Square|Terrace|Way|Close|Crescent|Gardens|Parkway|Pkwy\.?|Highway|Hwy\.?)"
)
_WORD = r"[A-Z][A-Za-z'\u2019.-]{0,20}"
# A street with its number, perhaps a flat, a town, and the code of the USA (state and ZIP) or of the United Kingdom.
ADDRESS = re.compile(
    rf"\d(?<![\w.,$-].)\d{{0,4}}[A-Z]? (?:[NSEW]\.? )?(?:(?:{_WORD}|\d{{1,3}}(?:st|nd|rd|th)) ){{1,3}}?{_STREET}"
    rf"(?: (?:N|S|E|W|NW|NE|SW|SE)\b)?,?[ \n](?:(?:Apt|Suite|Ste|Unit|Flat)\.? ?#?\w{{1,5}},?[ \n])?"
    rf"(?:{_WORD}[ ]){{0,2}}{_WORD},?[ \n]"
    r"(?:[A-Z]{2},? \d{5}(?:-\d{4})?|[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2})(?!\w)"
)


def own_form(match: re.Match[str]) -> str | None:
    """A number of one of the forms of its own whose check digits are right."""
    found = match.group()
    return found if any(pattern.fullmatch(found) and good(found) for pattern, good in _OWN_FORM) else None


def named(match: re.Match[str]) -> str | None:
    """A number whose name stands before it, and whose check digit is right for that name."""
    before = match.string[max(0, match.start() - _BEFORE) : match.start()]
    digits = "".join(filter(str.isdigit, match.group()))
    return match.group() if any(good(digits) for name, good in _NAMED if name.search(before)) else None


def address(match: re.Match[str]) -> str | None:
    """All of it."""
    return match.group()


OWN_FORM = tuple(pattern for pattern, _ in _OWN_FORM)
DIGITS = _DIGITS
