"""Sentences with personal data of each kind, made up, and numbers that are none: the measure of the PII patterns."""

from __future__ import annotations

import numpy as np

from obverse.measuring.scorers._pii_checks import luhn

FRAMES = ("Write to {} today.", "{}", "note: {}\nend", "She said it was {}, I think.", "({})")
FIRST = ("anna", "j.smith", "li_wei", "o'neil", "maria99", "x")
HOSTS = ("example.org", "mail.example.co.uk", "uni-ulm.de", "a1.io")
STREETS = (
    "Oak Street",
    "Elm St",
    "St. John's Road",
    "North 5th Avenue",
    "Martin Luther King Blvd",
    "Kings Court",
    "Abbey Lane",
)
TOWNS = ("Springfield, IL 62701", "New York, NY 10001-1234", "Leeds LS1 4AP", "London, SW1A 2AA", "San Diego CA 92101")
MONTHS = ("January", "Feb", "March", "Sept.", "December")


def digits(draws, pattern):
    """Fill the # of a pattern with digits."""
    return "".join(str(draws.integers(10)) if c == "#" else c for c in pattern)


def one(kind, draws):
    """Return a piece of personal data of a kind."""
    return globals()[f"_{kind}"](draws)


def _pick(draws, of):
    return of[draws.integers(len(of))]


def _email(draws):
    return f"{_pick(draws, FIRST)}{_pick(draws, ('', '+news', '7'))}@{_pick(draws, HOSTS)}"


def _url(draws):
    start = _pick(draws, ("https://", "http://", "ftp://", "www.", "https://www."))
    return start + _pick(draws, HOSTS) + _pick(draws, ("", "/a/b.html", "/~anna?x=1&y=2#top", ":8080/x"))


def _phone(draws):
    shapes = (
        "212-55#-####", "(415) 55#-####", "+1 650 55# ####", "1-303-55#-####", "415.55#.####",
        "020 7946 ####", "0161 496 ####", "07700 9#####", "+44 20 7946 ####", "+49 30 12345##", "+33 1 23 45 67 ##",
        "+86 138 #### ####", "tel. 21255#####",
    )  # fmt: skip
    return digits(draws, _pick(draws, shapes))


def _ssn(draws):
    return digits(draws, f"{draws.integers(100, 600)}-{draws.integers(10, 99)}-1###")


def _card(draws):
    body = digits(draws, _pick(draws, ("4##############", "53#############", "37############")))
    number = next(body + str(check) for check in range(10) if luhn(body + str(check)))
    if len(number) == 15:
        groups = (number[:4], number[4:10], number[10:])
    else:
        groups = tuple(number[i : i + 4] for i in range(0, 16, 4))
    return _pick(draws, ("", " ", "-")).join(groups)


def _ip(draws):
    if draws.random() < 0.5:
        return ".".join(str(n) for n in (draws.integers(11, 200), *draws.integers(0, 255, 3)))
    return ":".join(["2001", *(f"{n:x}" for n in draws.integers(1, 65535, 7))])


def _address(draws):
    street = f"{draws.integers(1, 9999)} {_pick(draws, STREETS)}"
    return street + _pick(
        draws, ("", f", {_pick(draws, TOWNS)}", f", Apt. 4B, {_pick(draws, TOWNS)}", f"\n{_pick(draws, TOWNS)}")
    )


def _credential(draws):
    secret = digits(draws, _pick(draws, ("hunter##", "Tr0ub4dor&#", "s3cret!#", "correct-horse-##")))
    shapes = (
        "password: {}",
        "Password = {}",
        "username: admin\npassword: {}",
        "my password is {}",
        "api_key={}",
        "pwd: {}",
    )
    return _pick(draws, shapes).format(secret)


def _date_of_birth(draws):
    day, year = draws.integers(1, 28), draws.integers(1940, 2000)
    shapes = (
        f"born on {day} {_pick(draws, MONTHS)} {year}", f"DOB: {year}-04-{day:02}",
        f"date of birth: {day:02}/07/{year}", f"birthday: {_pick(draws, MONTHS)} {day}, {year}",
    )  # fmt: skip
    return _pick(draws, shapes)


def _handle(draws):
    return _pick(draws, ("skype: live.{}", "Twitter: @{}", "telegram: {}")).format(
        _pick(draws, ("maria99", "anna_b", "liwei"))
    )


KINDS = ("email", "url", "phone", "ssn", "card", "ip", "address", "credential", "date_of_birth", "handle")

HARMLESS = (
    "version 2.7.18 and 3.11.4", "3.14159 2718281828 1234567890 0000", "from 10:30:45 to 11:45:00",
    "std::vector<int>::iterator", "def f(password: str) -> None:", "password = getpass.getpass()",
    "Enter your password: ", "the password is required", "the token is invalid", "token = next(tokens)",
    "2026-11-21 15:04:05", "born in the winter of 1980", "on 1980-05-04 it rained", "ISBN 978-3-16-148410-0",
    "order 000-12-3456", "chapter 12 The Road", "12 Angry Men", "pages 101-202-3030", "the year 1984",
    "@property\ndef x(self): ...", "a @ b", "x = a[1:2, ::3]", "127.0.0.1 and 0.0.0.0", "1,234,567.89 dollars",
    "10 Downing", "sha 4f9c1e2d3b4a5968", "at the end dot the i", "call f(1234567890)", "skype is a program",
    "key: value", "3-2-1 go", "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16", "00 01 02 03 04 05 06 07 08 09",
    "2001 A Space Odyssey", "192.168.1", "5 to 7 Days",
)  # fmt: skip


def sentences(kind, count, seed=0):
    """Return sentences, each with the begin and end of the one piece of personal data of a kind in it."""
    draws = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        value, frame = one(kind, draws), _pick(draws, FRAMES)
        start = frame.index("{}")
        made.append((frame.format(value), start, start + len(value)))
    return made
