"""Is a number what it looks like? Check digits and rules of issue; numbers are not looked for here."""

from __future__ import annotations

import ipaddress
import re

# Length by country, from the IBAN registry (SWIFT, ISO 13616, release 99).
_IBAN_LENGTHS = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BI": 27, "BR": 29,
    "BY": 28, "CH": 21, "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DJ": 27, "DK": 18, "DO": 28, "EE": 20, "EG": 29,
    "ES": 24, "FI": 18, "FK": 18, "FO": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23, "GL": 18, "GR": 27, "GT": 28,
    "HR": 21, "HU": 28, "IE": 22, "IL": 23, "IQ": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30, "KZ": 20, "LB": 28,
    "LC": 32, "LI": 21, "LT": 20, "LU": 20, "LV": 21, "LY": 25, "MC": 27, "MD": 24, "ME": 22, "MK": 19, "MN": 20,
    "MR": 27, "MT": 31, "MU": 30, "NI": 28, "NL": 18, "NO": 15, "OM": 23, "PK": 24, "PL": 28, "PS": 29, "PT": 25,
    "QA": 29, "RO": 24, "RS": 22, "RU": 33, "SA": 24, "SC": 31, "SD": 18, "SE": 24, "SI": 19, "SK": 24, "SM": 27,
    "SO": 23, "ST": 25, "SV": 28, "TL": 23, "TN": 24, "TR": 26, "UA": 29, "VA": 22, "VG": 24, "XK": 20, "YE": 30,
}  # fmt: skip
_CARD_GROUPS = ((4, 4, 4, 4), (4, 6, 5), (4, 6, 4), (4, 4, 4, 4, 3))
# Issuer prefix and lengths (ISO/IEC 7812; the ranges that the card schemes publish).
_CARD = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})"  # Visa
    r"|(?:5[1-5]\d{2}|222[1-9]|22[3-9]\d|2[3-6]\d{2}|27[01]\d|2720)\d{12}"  # Mastercard
    r"|3[47]\d{13}"  # American Express
    r"|(?:6011|65\d{2}|64[4-9]\d)\d{12}"  # Discover
    r"|3[68]\d{12}|30[0-5]\d{11}"  # Diners Club
    r"|35(?:2[89]|[3-8]\d)\d{12}"  # JCB
    r"|62\d{14}"  # UnionPay
)
_DOCUMENTATION = tuple(
    ipaddress.ip_network(net) for net in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32")
)  # RFC 5737 and 3849


def is_card(text: str) -> bool:
    """A payment card's number, as one run or in the groups that stand on cards: known issuer, right check digit."""
    groups = tuple(len(group) for group in re.split(r"[ -]", text))
    digits = re.sub(r"[ -]", "", text)
    return (len(groups) == 1 or groups in _CARD_GROUPS) and _CARD.fullmatch(digits) is not None and luhn(digits)


def luhn(digits: str) -> bool:
    """Whether the last digit is the check digit of the others (ISO/IEC 7812-1, annex B)."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        doubled = int(digit) * (1 + place % 2)
        total += doubled - 9 * (doubled > 9)
    return total % 10 == 0


def iban_at_start(text: str) -> str:
    """The account number (ISO 13616) that the text begins with, blanks included, or an empty text."""
    wanted = _IBAN_LENGTHS.get(text[:2], 0)
    seen = 0
    for place, char in enumerate(text):
        seen += char != " "
        if wanted and seen == wanted:
            found = text[: place + 1]
            return found if _mod_97(found.replace(" ", "")) == 1 else ""
    return ""


def _mod_97(iban: str) -> int:
    return int("".join(str(int(char, 36)) for char in iban[4:] + iban[:4])) % 97


def is_ssn(digits: str) -> bool:
    """Nine digits of a US social security number that can be issued (SSA, "Social Security Number Randomization")."""
    area, group, serial = digits[:3], digits[3:5], digits[5:]
    return area not in ("000", "666") and area < "900" and group != "00" and serial != "0000"


def is_public_ip(text: str) -> bool:
    """An address that can be someone's: public, or of the ranges that stand for such in documents.

    An IPv4 address of small numbers only (``1.2.3.4``, ``8.8.8.8``) is taken for a version or a well-known server.
    """
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    if address.version == 4 and max(address.packed) < 32:
        return False
    return address.is_global or any(address in net for net in _DOCUMENTATION if net.version == address.version)


def is_dni(text: str) -> bool:
    """A Spanish DNI or NIE: the letter is that of the number modulo 23 (Real Decreto 1553/2005; Ministerio)."""
    number = text[:-1].rstrip("-").translate(str.maketrans("XYZ", "012"))
    return "TRWAGMYFPDXBNJZSQVHLCKE"[int(number) % 23] == text[-1]


def is_nir(text: str) -> bool:
    """A French NIR: 97 less the number modulo 97 (INSEE); 2A and 2B, Corsica, count as 19 and 18."""
    plain = text.replace(" ", "")
    number = plain[:13].replace("2A", "19").replace("2B", "18")
    return number.isdigit() and 97 - int(number) % 97 == int(plain[13:])


def is_cpf(text: str) -> bool:
    """A Brazilian CPF: two digits modulo 11 (Receita Federal); one digit eleven times is none."""
    digits = [int(char) for char in text if char.isdigit()]
    if len(digits) != 11 or len(set(digits)) == 1:
        return False
    for size in (9, 10):
        total = sum(digit * weight for digit, weight in zip(digits[:size], range(size + 1, 1, -1), strict=True))
        if 10 * total % 11 % 10 != digits[size]:
            return False
    return True


def is_pesel(digits: str) -> bool:
    """A Polish PESEL: eleven digits, weighted 1, 3, 7, 9 (Ustawa o ewidencji ludności, art. 15)."""
    if len(digits) != 11:
        return False
    total = sum(int(digit) * weight for digit, weight in zip(digits, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1), strict=True))
    return total % 10 == 0 and 1 <= int(digits[2:4]) % 20 <= 12


def is_steuer_id(digits: str) -> bool:
    """A German Steuer-ID: eleven digits that begin with no 0, by ISO/IEC 7064, MOD 11,10."""
    if len(digits) != 11 or digits[0] == "0":
        return False
    product = 10
    for digit in digits[:10]:
        product = ((int(digit) + product) % 10 or 10) * 2 % 11
    return (11 - product) % 10 == int(digits[10])


def is_bsn(digits: str) -> bool:
    """A Dutch BSN: nine digits whose sum, weighted 9 to 2 and -1, is divisible by 11 (the "elfproef")."""
    if len(digits) != 9 or set(digits) == {"0"}:
        return False
    total = sum(int(digit) * weight for digit, weight in zip(digits, (9, 8, 7, 6, 5, 4, 3, 2, -1), strict=True))
    return total % 11 == 0


def is_sin(digits: str) -> bool:
    """A Canadian SIN: nine digits that begin with neither 0 nor 8, the last one as on payment cards."""
    return len(digits) == 9 and digits[0] not in "08" and luhn(digits)


# The dihedral group of order 10 and the permutation of Verhoeff 1969, "Error detecting decimal codes".
_VERHOEFF = (
    "0123456789", "1234067895", "2340178956", "3401289567", "4012395678", "5987604321", "6598710432", "7659821043",
    "8765932104", "9876543210",
)  # fmt: skip
_PERMUTED = (
    "0123456789", "1576283094", "5803796142", "8916043527", "9453126870", "4286573901", "2793806415", "7046913258",
)  # fmt: skip


def is_aadhaar(digits: str) -> bool:
    """An Indian Aadhaar: twelve digits that begin with neither 0 nor 1, by Verhoeff's scheme (UIDAI)."""
    if len(digits) != 12 or digits[0] in "01":
        return False
    check = 0
    for place, digit in enumerate(reversed(digits)):
        check = int(_VERHOEFF[check][int(_PERMUTED[place % 8][int(digit)])])
    return check == 0
