"""Conditions that a pattern alone cannot state: check digits, ranges of numbers, what is a value at all."""

from __future__ import annotations

import ipaddress
import re

DIGITS = re.compile(r"\d+")
SIGN = re.compile(r"\s{0,2}[:=]\s{0,2}['\"]?")
NOT_DIGIT = re.compile(r"\D")
CARDS = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})"  # Visa
    r"|5[1-5]\d{14}|(?:222[1-9]|22[3-9]\d|2[3-6]\d\d|27[01]\d|2720)\d{12}"  # Mastercard
    r"|3[47]\d{13}|3(?:0[0-5]|[689]\d)\d{11,16}"  # American Express, Diners
    r"|(?:6011|64[4-9]\d|65\d\d|62\d\d|35\d\d)\d{12,15}|(?:1800|2131)\d{11}"  # Discover, UnionPay, JCB
)
ADVERTISED = {"078051120", "219099999"}
"""Social security numbers that were printed on sample cards."""
NO_SECRET = {
    "str", "string", "bytes", "int", "none", "null", "nil", "true", "false", "optional", "required", "any", "object",
    "text", "password", "passwd", "pwd", "secret", "token", "input", "field", "hidden", "undefined", "empty",
}  # fmt: skip
CODE = re.compile(r"^[<{\[($%*.|&]|[({\[]|^(?:self|this|os|args|request|config|settings)\.|^\W+$|^(.)\1+$|^[:=]")
"""Beginnings and forms of what stands behind ``password =`` in programs and forms, rather than a secret."""


def digits(text: str) -> str:
    """Return the digits of a text."""
    return NOT_DIGIT.sub("", text)


def luhn(number: str) -> bool:
    """Return whether the last digit checks the others (ISO/IEC 7812-1, annex B)."""
    total = 0
    for place, digit in enumerate(reversed(number)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 * (value > 9)
    return total % 10 == 0


def card(text: str) -> bool:
    """Return whether a run of 13 to 19 digits is a number of a card: issuer, length, one separator, check digit."""
    number = digits(text)
    issued = CARDS.fullmatch(number) is not None
    return issued and len(set(NOT_DIGIT.findall(text))) <= 1 and luhn(number)


def ssn(text: str) -> bool:
    """Return whether nine digits are a US social security number that may have been issued."""
    number = digits(text)
    area, group, serial = number[:3], number[3:5], number[5:]
    return (
        area not in ("000", "666") and area < "900" and group != "00" and serial != "0000" and number not in ADVERTISED
    )


def ip_address(text: str) -> bool:
    """Return whether this is the address of one machine, and no version, mask, or word like ``a::b``.

    Out are loopback, multicast and reserved addresses, and four numbers below ten, which are mostly versions.
    """
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    if address.is_loopback or address.is_unspecified or address.is_multicast:
        return False
    if isinstance(address, ipaddress.IPv4Address):
        return not (address.is_reserved or text.startswith("0.")) and any(len(part) > 1 for part in text.split("."))
    return sum(map(bool, text.split(":"))) >= 3 and any(c.isdigit() for c in text)


def us_phone(text: str) -> bool:
    """Return whether the three-digit codes may be codes of area and exchange: not 911, 411 and their like."""
    number = digits(text)[-10:]
    return number[1:3] != "11" and number[4:6] != "11"


def uk_phone(text: str) -> bool:
    """Return whether ten or eleven digits from 0 are a British number: a known first digit, at most four groups."""
    number, groups = digits(text), len(DIGITS.findall(text))
    return number[1] in "12378" and groups <= 4 and (groups > 1 or (len(number) == 11 and number[1] in "127"))


def international(text: str) -> bool:
    """Return whether there are as many digits as a number with a country code has (ITU-T E.164: at most 15)."""
    number = digits(text).removeprefix("00")
    in_plan = not number.startswith("1") or (len(number) == 11 and number[1] not in "01")
    return 8 <= len(number) <= 15 and in_plan and len(DIGITS.findall(text)) <= 6


def credential(text: str) -> bool:
    """Return whether what follows the last ``:`` or ``=`` may be a secret, not a type, a call or a place to fill in.

    A value of letters alone counts behind a user's name only: else it is mostly a word, or a variable.
    """
    *before, value = SIGN.split(text)
    value = value.rstrip(",.;)")
    named = len(before) > 1
    wordlike = value.replace("_", "").replace(".", "").isalpha()
    return len(value) >= 3 and value.lower() not in NO_SECRET and not CODE.search(value) and (named or not wordlike)
