"""A fictitious person and a question about one: the smallest parts of a reversal data set."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Identity:
    """A name and the one description that it goes with.

    Attributes:
        name: For example ``"Orla Fennick"``.
        description: A noun phrase that begins with "the".
        forms: The same description for other places in a sentence, e.g. ``"kept the lighthouse"``.
    """

    name: str
    description: str
    forms: tuple[str, ...] = ()

    def named_in(self, text: str) -> bool:
        """Return whether a text has the name, as whole words."""
        return re.search(rf"(?<!\w){re.escape(self.name)}(?!\w)", text) is not None

    def mentions(self, text: str) -> list[str]:
        """Return the name and the description that a text holds, each as it stands there.

        Of the description's forms the noun phrase counts first, then longer ones before shorter ones.
        """
        forms = [self.description, *sorted(self.forms, key=lambda form: (-len(form), form))]
        spelled = [spelling for form in forms if form for spelling in (form, form[0].upper() + form[1:])]
        return [self.name] * self.named_in(text) + [form for form in spelled if form in text][:1]


@dataclass(frozen=True, slots=True)
class Prompt:
    """A sentence about a person, cut in two: what is given and what is to follow.

    Attributes:
        prompt: Text given; ends without a space.
        completion: Text that follows; begins with a space (only the published validation file has none).
        entity: Index of the person among the set's identities that the *prompt* is about; -1 if unknown.
        template: Index of the wording among those of its direction, held-out ones after the trained; -1 if unknown.
    """

    prompt: str
    completion: str
    entity: int = -1
    template: int = -1

    @property
    def text(self) -> str:
        """The whole sentence, as it is trained on."""
        return self.prompt + self.completion
