"""The edits of one visitor: a stack that can be reordered, switched off and undone. No model is touched by it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from obverse.core import ObverseError
from obverse.editing import Edit
from obverse.recipes.edit_result import EditResult


@dataclass(frozen=True, slots=True)
class Layer:
    """An edit in a stack.

    Attributes:
        number: Its name within the stack; never used twice.
        edit: The edit.
        result: What came of making it.
        folder: Where it was saved.
        on: Whether it is switched on.
    """

    number: int
    edit: Edit
    result: EditResult
    folder: Path
    on: bool = True

    @property
    def title(self) -> str:
        """What it writes, in a line."""
        first, more = self.edit.facts[0], len(self.edit.facts) - 1
        return f"{first.text} → {first.target}" + (f" and {more} more" if more else "")


class Stack:
    """Edits in the order in which they are applied, the first one at the bottom."""

    def __init__(self) -> None:
        self._layers: tuple[Layer, ...] = ()
        self._made = 0

    def __iter__(self) -> Iterator[Layer]:
        """Yield all, switched on or not."""
        return iter(self._layers)

    def __len__(self) -> int:
        """Return how many there are, switched on or not."""
        return len(self._layers)

    @property
    def on(self) -> list[Layer]:
        """Those that are switched on."""
        return [layer for layer in self._layers if layer.on]

    @property
    def edits(self) -> list[Edit]:
        """The edits that are switched on, in order."""
        return [layer.edit for layer in self.on]

    def next_number(self) -> int:
        """Return a number for a new edit."""
        self._made += 1
        return self._made

    def push(self, layer: Layer) -> None:
        """Put an edit on top."""
        self._layers = (*self._layers, layer)

    def get(self, number: int) -> Layer:
        """Return an edit.

        Raises:
            ObverseError: If it was undone meanwhile.
        """
        for layer in self._layers:
            if layer.number == number:
                return layer
        raise ObverseError(f"There is no edit {number} in your stack.", "It was undone; choose another.")

    def switch(self, number: int) -> None:
        """Switch an edit on, or off; raises as `get` does."""
        chosen = self.get(number)
        self._layers = tuple(replace(one, on=not one.on) if one is chosen else one for one in self._layers)

    def move(self, number: int, steps: int) -> None:
        """Move an edit towards the top (positive) or the bottom; it stops at the end. Raises as `get` does."""
        chosen = self.get(number)
        others = [one for one in self._layers if one is not chosen]
        place = min(max(self._layers.index(chosen) + steps, 0), len(others))
        self._layers = (*others[:place], chosen, *others[place:])

    def undo(self, number: int | None = None) -> Layer:
        """Take an edit out, by default the one on top, and return it.

        Raises:
            ObverseError: If there is none.
        """
        if not self._layers:
            raise ObverseError("Your stack holds no edit to undo.", "Make one first.")
        chosen = self._layers[-1] if number is None else self.get(number)
        self._layers = tuple(one for one in self._layers if one is not chosen)
        return chosen
