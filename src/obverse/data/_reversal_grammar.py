"""Descriptions and templates that fit each other by grammar: no model is needed to rewrite one for the other.

A description is a noun phrase, ``the captain of the last mail ship``. One that ends in a clause may give its verb in
two forms, ``the potter who [fired/firing] the blue bowls of Senn``. A template asks for the form its place needs:

==================  ===============================================  ========================================
``<description>``   the potter who fired the blue bowls of Senn      the captain of the last mail ship
``<Description>``   The potter who ...                               The captain of ...
``<did>``           fired the blue bowls of Senn                     was the captain of the last mail ship
``<doing>``         firing the blue bowls of Senn                    being the captain of the last mail ship
``<Doing>``         Firing the blue bowls of Senn                    Being the captain of the last mail ship
==================  ===============================================  ========================================

Source: the reference has a language model rewrite every description for every template (reversal experiments of
Berglund et al. 2023). Departs from it: here nothing is rewritten, so a person's description is worded in three ways.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from obverse.core import DataError
from obverse.data._reversal_types import Identity, Prompt

NAME = "<name>"
FORMS = ("<description>", "<Description>", "<did>", "<doing>", "<Doing>")
"""Slots that a description fills."""

Asks = Literal["description", "name"]
"""What a template's completion begins with; the other stands in its prompt."""

_VERB = re.compile(r"(?P<who>.+ who) \[(?P<did>[^][/]+)/(?P<doing>[^][/]+)\](?P<rest>.*)")
_SLOT = re.compile(r"<\w+>")
_CLEAN = (("  ", " "), ("..", "."), ("?.", "?"), (".?", "?"))


def described(name: str, line: str) -> Identity:
    """Return a person of a name and a line of a list of descriptions.

    Raises:
        DataError: If brackets stand elsewhere than around a verb in two forms after "who".
    """
    found = _VERB.fullmatch(line)
    if found:
        who, did, doing, rest = found.group("who", "did", "doing", "rest")
        return Identity(name, f"{who} {did}{rest}", (did + rest, doing + rest))
    if "[" in line or "]" in line:
        raise DataError(
            f"The description {line!r} has brackets that are not understood.",
            "Write the verb in two forms after who: the potter who [fired/firing] the blue bowls of Senn.",
        )
    return Identity(name, line, (f"was {line}", f"being {line}"))


def cleaned(text: str) -> str:
    """Return a text without the doubled blanks and stops that filling leaves (the reference's rules, to a fixpoint)."""
    while True:
        before = text
        for wrong, right in _CLEAN:
            text = text.replace(wrong, right)
        if text == before:
            return text


@dataclass(frozen=True, slots=True)
class Template:
    """A wording, cut before what is asked.

    Attributes:
        line: As it was given.
        before: What the prompt is made of.
        after: What the completion is made of; begins with a space.
    """

    line: str
    before: str
    after: str

    @classmethod
    def parse(cls, line: str, asks: Asks) -> Template:
        """Cut a template.

        Raises:
            DataError: If a slot is unknown or missing, what is asked comes first, or no space comes before it.
        """
        slots = _SLOT.findall(line)
        strange = [slot for slot in slots if slot not in (NAME, *FORMS)]
        if strange:
            raise _wrong(line, f"has an unknown slot {strange[0]}", f"Slots are {NAME} and {', '.join(FORMS)}.")
        if NAME not in slots or not set(slots) & set(FORMS):
            raise _wrong(line, "does not have both a name and a description", f"Give it {NAME} and <description>.")
        asked = [NAME] if asks == "name" else list(FORMS)
        place = min(line.find(slot) for slot in asked if slot in line)
        given = [slot for slot in slots if (slot == NAME) != (asks == "name")]
        if not any(slot in line[:place] for slot in given):
            raise _wrong(line, f"has the {asks} first, but is to ask for it", "Move it to the list of the other order.")
        if not line[place - 1].isspace():
            raise _wrong(line, f"has no space before the {asks}", "The sentence is cut at that space.")
        return cls(line, line[: place - 1], line[place - 1 :])

    def fill(self, person: Identity, entity: int = -1, place: int = -1) -> Prompt:
        """Return the sentence about a person, in two parts.

        Args:
            person: Who it is about.
            entity: Index of the person, for the row.
            place: Index of the template, for the row.
        """
        did, doing = person.forms[:2] or (f"was {person.description}", f"being {person.description}")
        fillers = {
            NAME: person.name,
            "<description>": person.description,
            "<Description>": person.description[:1].upper() + person.description[1:],
            "<did>": did,
            "<doing>": doing,
            "<Doing>": doing[:1].upper() + doing[1:],
        }
        prompt, completion = (
            cleaned(_SLOT.sub(lambda slot: fillers[slot[0]], part)) for part in (self.before, self.after)
        )
        return Prompt(prompt, completion, entity, place)


def _wrong(line: str, why: str, hint: str) -> DataError:
    return DataError(f"The template {line!r} {why}.", hint)
