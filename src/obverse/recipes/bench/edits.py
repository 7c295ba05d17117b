"""Make the edits of a benchmark: one a case, side by side where the method can, or one for several cases."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from inspect import signature
from typing import TYPE_CHECKING, Any, TypeVar

import torch

from obverse.core import Case, ObverseError
from obverse.recipes.plan import Editor

if TYPE_CHECKING:
    import logging

    from obverse.editing import Edit
    from obverse.model.language_model import LanguageModel

Item = TypeVar("Item")
Result = TypeVar("Result")


def edit_together(editor: Editor, lm: LanguageModel, cases: Sequence[Case], upon: Sequence[Edit] = ()) -> Edit:
    """Write the facts of cases by one edit.

    Args:
        editor: The method; it is given the cases where it wants them, and earlier edits where it can use them.
        lm: The model, earlier edits applied.
        cases: The cases.
        upon: Edits made earlier and applied now.
    """
    cases = [one for case in cases for one in (case, *(Case.of(fact) for fact in case.along))]
    whole: Callable[..., Edit] | None = getattr(editor, "edit_cases", None)
    known: dict[str, Any] = {"upon": list(upon)} if upon and "upon" in signature(editor.edit).parameters else {}
    return whole(lm, cases) if whole is not None else editor.edit(lm, [case.fact for case in cases], **known)


def edit_alone(editor: Editor, lm: LanguageModel, cases: Sequence[Case]) -> list[Edit | ObverseError]:
    """Write the fact of each case by an edit of its own, on the fresh model; in one batch where the method can.

    Returns:
        One edit a case, or the error by which it failed.
    """
    if len(cases) > 1 and any(case.along for case in cases):
        return [edit for case in cases for edit in edit_alone(editor, lm, [case])]
    by_case: Callable[..., list[Edit]] | None = getattr(editor, "edit_each_case", None)
    by_fact: Callable[..., list[Edit]] | None = getattr(editor, "edit_each", None)
    try:
        if cases[0].along:
            return [edit_together(editor, lm, cases)]
        if by_case is not None:
            return [*by_case(lm, cases)]
        if by_fact is not None and getattr(editor, "edit_cases", None) is None:
            return [*by_fact(lm, [case.fact for case in cases])]
        if len(cases) == 1:
            return [edit_together(editor, lm, cases)]
    except ObverseError as error:
        if len(cases) == 1:
            return [error]
    return [edit for case in cases for edit in edit_alone(editor, lm, [case])]


def halved(work: Callable[[Sequence[Item]], list[Result]], items: Sequence[Item], log: logging.Logger) -> list[Result]:
    """Do some work on a batch; where memory does not suffice, on its halves.

    Raises:
        ObverseError: If it does not suffice for one item.
    """
    try:
        return work(items)
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        if not _out_of_memory(error):
            raise
        if len(items) == 1:
            raise ObverseError(
                "Memory does not suffice for one case at a time.", "Use a smaller model, or a machine with more memory."
            ) from error
    middle = len(items) // 2
    log.warning("out of memory with %d cases at once; trying %d", len(items), middle)
    return [*halved(work, items[:middle], log), *halved(work, items[middle:], log)]


def _out_of_memory(error: BaseException) -> bool:
    # On the CPU torch raises a plain RuntimeError.
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or "can't allocate memory" in str(error)
