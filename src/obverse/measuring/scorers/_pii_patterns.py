"""Patterns of personal data.

Each repetition has a bound, and a run of characters is entered at its start only, so that the time grows with the
length of the text whatever is in it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from obverse.measuring.scorers._pii_checks import (
    card,
    credential,
    international,
    ip_address,
    ssn,
    uk_phone,
    us_phone,
)  # fmt: skip

Near: TypeAlias = tuple[str, ...] | re.Pattern[str]


@dataclass(frozen=True, slots=True)
class Pattern:
    """What a kind of personal data looks like.

    Attributes:
        kind: Its name.
        near: What to look for first, because it is found fast: strings in lower case, or an expression.
        shape: The expression; group ``found`` is the finding where only a part of the match is, else all of it.
        holds: A further condition on what was found.
        reach: Characters before and after an anchor that a match can extend to.
    """

    kind: str
    near: Near
    shape: re.Pattern[str]
    holds: Callable[[str], bool] = lambda _: True
    reach: tuple[int, int] = (400, 400)

    def spans(self, text: str, anchors: Sequence[int]) -> Iterator[tuple[int, int]]:
        """Yield begin and end of each finding near places where `anchors` found what to look for first."""
        group = "found" if "found" in self.shape.groupindex else 0
        for window in windows(anchors, *self.reach, len(text)):
            for match in self.shape.finditer(text, *window):
                if self.holds(match[group]):
                    yield match.span(group)


def anchors(near: Near, text: str, lower: str) -> list[int]:
    """Return where something occurs in a text, in order.

    Args:
        near: Strings in lower case, or an expression.
        text: What is searched.
        lower: The same in lower case.
    """
    if isinstance(near, re.Pattern):
        return [match.start() for match in near.finditer(text)]
    found: list[int] = []
    for word in near:
        at = lower.find(word)
        while at >= 0:
            found.append(at)
            at = lower.find(word, at + len(word))
    if found and len(lower) != len(text):  # a few capitals are two letters in lower case, and shift what follows
        return list(range(0, len(text), 20))
    return sorted(found)


def windows(anchors: Iterable[int], before: int, after: int, length: int) -> Iterator[tuple[int, int]]:
    """Yield the stretches of a text around anchors in ascending order, overlapping ones as one."""
    begin = end = -before - 1
    for anchor in anchors:
        if anchor - before > end:
            if end >= 0:
                yield begin, min(end, length)
            begin = max(0, anchor - before)
        end = anchor + after
    if end >= 0:
        yield begin, min(end, length)


LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
DOMAIN = rf"(?:{LABEL}\.){{1,8}}[A-Za-z]{{2,24}}(?![A-Za-z0-9-])"
EMAIL = rf"(?<![\w.%+'-])[A-Za-z0-9_](?:[\w.%+'-]{{0,63}})@{DOMAIN}"
SPOKEN_EMAIL = (
    rf"(?<![\w.%+-])[\w.%+-]{{1,64}} ?[\[(]?(?: at |@|\bat\b)[\])]? ?{LABEL}"
    rf"(?: ?[\[(]?\bdot\b[\])]? ?{LABEL}){{1,4}}(?!\w)"
)
URL = r"(?<![\w@])(?:(?:https?|ftps?|sftp)://|www\.)[^\s<>\"'`{}|\\^\[\]]{1,2000}(?<![.,;:!?)])"

PHONE_WORD = (
    r"(?i:\b(?:phone|tel|telephone|mobile|cell|fax|whatsapp|(?:call|text)\s(?:me|us|him|her|at|on))\b[^\d\n+]{0,20})"
)
US_PHONE = r"(?<![\w.+-])(?:\+?1[-. ]?)?(?:\([2-9]\d\d\) ?|[2-9]\d\d[-. ])[2-9]\d\d[-. ]\d{4}(?![\d-]|\.\d)"
SPOKEN_PHONE = rf"{PHONE_WORD}(?P<found>\d{{10,11}})(?!\d)"
UK_PHONE = r"(?<![\w.+-])\(?0\d(?:[ ()-]{0,2}\d){8,9}(?![\d-]|\.\d)"
INTERNATIONAL = r"(?<![\w.+])(?:\+|00(?=[1-9]\d?[ -]))[1-9](?:[ ().-]{0,2}\d){7,14}(?!\d)"

SSN = r"(?<![\w.-])\d{3}([- ])\d{2}\1\d{4}(?![\w-]|\.\d)"
CARD = r"(?<![\d.-])[1-6](?:[ -]?\d){12,18}(?![\d-]|\.\d)"
IPV4 = r"\d(?<![\w.-]\d)\d{0,2}(?:\.\d{1,3}){3}(?![\w-]|\.\d)"
IPV6 = r"(?<![\w:.])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}(?![\w:])"

STREET = (
    "Alley|Avenue|Ave|Boulevard|Blvd|Circle|Cir|Close|Court|Ct|Crescent|Crossing|Cove|Drive|Dr|Estate|Expressway|Extension|Freeway|Gardens|Green"
    "|Grove|Heights|Highway|Hwy|Hill|Junction|Lane|Ln|Loop|Mall|Manor|Meadow|Mews|Mount|Parade|Parkway|Pkwy|Pike|Place|Pl"
    "|Plaza|Point|Ridge|Road|Rd|Route|Row|Run|Square|Sq|Station|Street|St|Terrace|Trail|Turnpike|View|Village|Walk|Way"
)
WORD = r"[A-Z0-9][\w'\u2019.-]{0,30}"
STATE = (
    "A[KLRSZ]|C[AOT]|D[CE]|F[LM]|G[AU]|HI|I[ADLN]|K[SY]|LA|M[ADEHINOPST]|N[CDEHJMVY]|O[HKR]"
    "|P[ARW]|RI|S[CD]|T[NX]|UT|V[AIT]|W[AIVY]"
    "|Alabama|Alaska|Arizona|Arkansas|California|Colorado|Connecticut|Delaware|Florida|Georgia|Hawaii|Idaho|Illinois"
    "|Indiana|Iowa|Kansas|Kentucky|Louisiana|Maine|Maryland|Massachusetts|Michigan|Minnesota|Mississippi|Missouri"
    "|Montana|Nebraska|Nevada|New (?:Hampshire|Jersey|Mexico|York)|(?:North|South) (?:Carolina|Dakota)|Ohio|Oklahoma"
    "|Oregon|Pennsylvania|Rhode Island|Tennessee|Texas|Utah|Vermont|Virginia|Washington|West Virginia|Wisconsin|Wyoming"
)
POSTCODE = r"[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2}\b"
UNIT = r"(?:,?\s{1,2}(?:Apt|Apartment|Suite|Ste|Unit|Flat|Floor|Room|#)\.?\s?#?\w{1,6}\b)"
TOWN = rf"(?:,?\s{{1,2}}(?!(?:{STATE})\b){WORD}(?:\s{WORD}){{0,3}})"
END = rf"(?:,?\s{{1,2}}(?:(?:{STATE})(?:,?\s{{1,2}}\d{{5}}(?:-\d{{4}})?)?\b|{POSTCODE}))"
ADDRESS = (
    rf"\d(?<![\w.,:/-]\d)\d{{0,5}}[A-Za-z]?\s(?!The\s)(?:{WORD}\s){{1,4}}?(?:{STREET})s?\b\.?"
    rf"(?:\s[NSEW][EW]?\b\.?)?{UNIT}?(?:{TOWN}?{END})?"
)
LINES = (
    rf"\d(?<![\w.,:/-]\d)\d{{0,5}}[A-Za-z]?\s(?=[A-Z])(?:{WORD},?\s{{1,2}}){{1,10}}?"
    rf"(?:(?:{STATE}),?\s{{1,2}}\d{{5}}\b|{POSTCODE})"
)
BOX = rf"\b(?:P\.?\s?O\.?\s?Box|Post Office Box)\s\d{{1,6}}\b(?:{TOWN}?{END})?|\b[AFD]PO,?\sA[AEP],?\s\d{{5}}\b"

KEY = "pass(?:word|wd|phrase|code)?|pwd|secret|api[ _-]?key|access[ _-]?(?:key|token)|auth[ _-]?token"
CREDENTIAL = (
    r"(?i)\b(?P<found>(?:(?:user(?:[ _-]?name)?|login|user[ _-]?id|account)['\"]?\s{0,2}[:=]\s{0,2}\S{1,64}\s{1,3})?"
    rf"\b(?:{KEY})['\"]?\s{{0,2}}(?:[:=]|\bis:)\s{{0,2}}['\"]?(?P<value>[^\s'\"]{{3,64}}))"
)
SPOKEN_CREDENTIAL = rf"(?i)\b(?:{KEY}|pin)\sis\s['\"]?(?=[^\s'\"]{{0,32}}\d)[^\s'\",]{{3,32}}"
KEY_SHAPE = (
    r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b|\bgh[pousr]_[A-Za-z0-9]{36}\b|\bxox[abprs]-[A-Za-z0-9-]{10,72}\b"
    r"|-----BEGIN [A-Z ]{0,20}PRIVATE KEY-----"
)
HANDLE = (
    r"(?i)\b(?:skype|twitter|telegram|instagram|snapchat|discord|facebook)(?:\s(?:id|name|handle|user))?\s?[:=]\s{0,2}"
    r"(?P<found>@?[a-z0-9][\w.:#-]{2,31})(?![\w/])"
)

NUMBER = re.compile(r"\d(?:[ ().-]{0,3}\d){6}")
"""Seven digits, somehow parted: in every phone number, social security number and number of a card."""
HOUSE = re.compile(r"\d[A-Za-z]?\s[A-Z0-9]")
DOTTED = re.compile(r"\d\.\d{1,3}\.\d{1,3}\.\d")
COLONS = re.compile(r":[0-9A-Fa-f]{0,4}:")
SECRETS = ("pass", "pwd", "secret", "key", "token")
SITES = ("skype", "twitter", "telegram", "instagram", "snapchat", "discord", "facebook")
PATTERNS: tuple[Pattern, ...] = (
    Pattern("email", ("@",), re.compile(EMAIL)),
    Pattern("email", ("dot",), re.compile(SPOKEN_EMAIL, re.IGNORECASE)),
    Pattern("url", ("://", "www."), re.compile(URL, re.IGNORECASE), reach=(10, 2010)),
    Pattern("phone", NUMBER, re.compile(US_PHONE), us_phone, (10, 60)),
    Pattern("phone", NUMBER, re.compile(SPOKEN_PHONE), reach=(40, 60)),
    Pattern("phone", NUMBER, re.compile(UK_PHONE), uk_phone, (10, 60)),
    Pattern("phone", NUMBER, re.compile(INTERNATIONAL), international, (10, 60)),
    Pattern("ssn", NUMBER, re.compile(SSN), ssn, (10, 60)),
    Pattern("card", NUMBER, re.compile(CARD), card, (10, 60)),
    Pattern("ip", DOTTED, re.compile(IPV4), ip_address, (10, 60)),
    Pattern("ip", COLONS, re.compile(IPV6), ip_address, (60, 60)),
    Pattern("address", HOUSE, re.compile(ADDRESS), reach=(10, 500)),
    Pattern("address", HOUSE, re.compile(LINES), reach=(10, 500)),
    Pattern("address", ("box", "apo", "fpo", "dpo"), re.compile(BOX), reach=(30, 300)),
    Pattern("credential", SECRETS, re.compile(CREDENTIAL), credential),
    Pattern("credential", (*SECRETS, "pin"), re.compile(SPOKEN_CREDENTIAL), reach=(10, 100)),
    Pattern("credential", ("akia", "asia", "gh", "xox", "-----begin"), re.compile(KEY_SHAPE), reach=(10, 100)),
    Pattern("handle", SITES, re.compile(HANDLE), reach=(10, 100)),
)

MONTH = (
    "(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?"
    "|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"
)
YEAR = r"(?:19\d\d|20\d\d)"
DATE = re.compile(
    rf"(?i)(?<![\w./-])(?:(?P<a>{YEAR})[-./]\d\d?[-./]\d\d?|\d\d?[-./]\d\d?[-./](?P<b>{YEAR}|\d\d)"
    rf"|{MONTH}\.? \d\d?(?:st|nd|rd|th)?,? (?P<c>{YEAR})"
    rf"|\d\d?(?:st|nd|rd|th)?(?: of)? {MONTH}\.?,? (?P<d>{YEAR}))(?![\w/-])"
)
BIRTH = re.compile(r"(?i)\b(?:birth|birthday|birthdate|born|dob|d\.o\.b)\b")
BIRTH_WORDS = ("birth", "born", "dob", "d.o.b")
