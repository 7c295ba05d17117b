"""The one error family: every message says what was given, what was expected and what to do."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class ObverseError(Exception):
    """A mistake the user can mend.

    Args:
        message: What was given and what was expected.
        hint: What to do about it.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        """Return the message, with the hint on a line of its own."""
        return f"{self.message}\n{self.hint}" if self.hint else self.message


class ConfigError(ObverseError):
    """A setting is unknown, missing, of the wrong type or out of range."""


class DataError(ObverseError):
    """A file of facts or a fact itself is malformed."""


class UnsupportedModel(ObverseError):
    """The model cannot be read, or its parts cannot be found."""


class SubjectNotFound(ObverseError):
    """The subject does not occur in the prompt, or no token covers it."""


class UnknownName(ObverseError):
    """A method, model, setting or file name that does not exist."""

    @classmethod
    def among(cls, what: str, given: str, known: Iterable[str]) -> UnknownName:
        """Build the error for a name that is not in a list, with near matches.

        Args:
            what: The kind of thing named, e.g. ``"method"``.
            given: The name as given.
            known: All names that exist.
        """
        names = sorted(known)
        near = get_close_matches(given, names, n=3, cutoff=0.5)
        hint = f"Did you mean {' or '.join(near)}? " if near else ""
        return cls(f"Unknown {what} {given!r}.", f"{hint}Known: {', '.join(names) or 'none'}.")


class EditFailed(ObverseError):
    """An edit could not be computed, or moved nothing. The model is untouched."""


class EditMismatch(ObverseError):
    """An edit belongs to another base model, or its files were altered."""


class RunConflict(ObverseError):
    """A run folder was made with other settings."""
