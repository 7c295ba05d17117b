"""Bidirectional ROME: write a fact and its reverse, so that the new answer holds both ways.

ROME's edits are directional (Meng et al. 2022, section 5): after "The Space Needle is in the city of → Paris" the
prompt "A famous landmark in the city of Paris is the" knows nothing of it. So a second statement is written with the
object as its subject, by the same steps, into the same matrices. Two ways:

    upon     the reverse is computed on the model that holds the fact already
    joint    both values are found on the base model, then written by one change that answers both keys exactly:
             ΔW = R (Kᵀ C⁻¹ K)⁻¹ Kᵀ C⁻¹, the columns of K the keys, those of R the values' changes (EMMET's form)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import torch

from obverse.core import Case, ConfigError, DataError, EditFailed, Fact
from obverse.data.relations import case_for
from obverse.editing.edit import Edit, LowRank, stack
from obverse.editing.rome import Rome, RomeConfig

if TYPE_CHECKING:
    from obverse.model.language_model import LanguageModel

WORST_CONDITION = 1e6
"""Condition of the keys' answers to one another above which a joint change would be rounding errors."""


class RomeBothConfig(RomeConfig):
    """Settings of bidirectional ROME: those of ROME, for both statements."""

    reverse: str | None = None
    """Template of the reverse statement with one `{}` for the object, ending where the subject starts; by default the
    first reverse prompt known for the fact's relation."""
    order: Literal["upon", "joint"] = "upon"
    """`upon`: the reverse computed upon the fact; `joint`: both at once, by one change (a single layer only)."""
    missing: Literal["refuse", "skip"] = "refuse"
    """What to do with a fact for which no reverse statement is known: stop, or write it in its own direction only."""


class RomeBoth:
    """Write facts one after another, each with its reverse, by rank-one updates."""

    config_type = RomeBothConfig

    def __init__(self, config: RomeBothConfig) -> None:
        self.config = config
        self._rome = Rome(config)

    def layers(self, lm: LanguageModel) -> tuple[int, ...]:
        """Return the layers that will be edited; see `Rome.layers`."""
        return self._rome.layers(lm)

    def edit(self, lm: LanguageModel, facts: Sequence[Fact]) -> Edit:
        """Compute the edit that writes the facts both ways. The model is untouched.

        Raises:
            ConfigError: If several layers are to be edited jointly.
            DataError: If no reverse statement is known for a fact; all of them are named.
            EditFailed: If an optimization diverges, an edit moves nothing, or joint statements share a key.
            UnsupportedModel: If the family has no single MLP matrix, or a layer is out of range.
        """
        return self.edit_cases(lm, [case_for(fact) for fact in facts])

    def edit_cases(self, lm: LanguageModel, cases: Sequence[Case]) -> Edit:
        """Compute the edit that writes the facts of cases both ways, by their own first reverse prompt.

        A template in the settings goes before theirs. Raises as `edit` does.
        """
        pairs, layers = self._statements(cases), self._checked_layers(lm)
        statements = [one for pair in pairs for one in pair]
        if self.config.order == "upon":
            edit = self._rome.edit(lm, statements)
        else:
            edit = jointly(self._rome.edit_each(lm, statements))
        return self._described(edit, pairs, len(layers))

    def edit_each(self, lm: LanguageModel, facts: Sequence[Fact]) -> list[Edit]:
        """Compute one independent edit a fact, side by side; equal to editing each alone. Raises as `edit` does."""
        return self.edit_each_case(lm, [case_for(fact) for fact in facts])

    def edit_each_case(self, lm: LanguageModel, cases: Sequence[Case]) -> list[Edit]:
        """Compute one independent edit a case, side by side; equal to `edit_cases` of each alone. Raises as it does."""
        pairs, layers = self._statements(cases), self._checked_layers(lm)
        if self.config.order == "upon":
            forward = self._rome.edit_each(lm, [pair[0] for pair in pairs])
            both = [i for i, pair in enumerate(pairs) if len(pair) == 2]
            reverse = self._rome.edit_each(lm, [pairs[i][1] for i in both], [forward[i] for i in both])
            found = {i: forward[i] + edit for i, edit in zip(both, reverse, strict=True)}
            edits = [found.get(i, edit) for i, edit in enumerate(forward)]
        else:
            each = iter(self._rome.edit_each(lm, [one for pair in pairs for one in pair]))
            edits = [jointly([next(each) for _ in pair]) for pair in pairs]
        return [self._described(edit, [pair], len(layers)) for edit, pair in zip(edits, pairs, strict=True)]

    def _statements(self, cases: Sequence[Case]) -> list[tuple[Fact, ...]]:
        """Return each case's fact, and its reverse where one is known."""
        pairs = [(case.fact, self._reverse(case)) for case in cases]
        if self.config.missing == "refuse":
            _refuse_missing([fact for fact, reverse in pairs if reverse is None])
        return [tuple(one for one in pair if one is not None) for pair in pairs]

    def _checked_layers(self, lm: LanguageModel) -> tuple[int, ...]:
        layers = self.layers(lm)
        if self.config.order == "joint" and len(layers) > 1:
            raise ConfigError(
                f"Statements can be written jointly into one layer; {', '.join(map(str, layers))} are given.",
                "Give one layer, or --set order=upon.",
            )
        return layers

    def _described(self, edit: Edit, pairs: Sequence[tuple[Fact, ...]], layers: int) -> Edit:
        """Return what was found as an edit of this method, each detail with its statement."""
        labels = [
            (way, one.text)
            for pair in pairs
            for way, one in zip(("forward", "reverse"), pair, strict=False)
            for _ in range(layers)
        ]
        return replace(
            edit,
            facts=tuple(pair[0] for pair in pairs),
            method="rome-both",
            config=self.config.model_dump(mode="json"),
            keys={},  # two keys a fact: cross-talk between facts cannot be read off them
            details=tuple(
                {**detail, "direction": way, "prompt": text}
                for detail, (way, text) in zip(edit.details, labels, strict=True)
            ),
        )

    def _reverse(self, case: Case) -> Fact | None:
        if self.config.reverse is not None:
            case = Case.of(case.fact, reverse=(self.config.reverse,))
        return reverse_fact(case)


def reverse_fact(case: Case) -> Fact | None:
    """Return the fact of a case the other way round, "object → subject", by its first reverse prompt; None without one.

    Raises:
        SubjectNotFound: If the prompt does not name the fact's target.
    """
    probes = case.probes.get("reverse", ())
    return Fact.from_text(probes[0].text, case.fact.target, probes[0].expected) if probes else None


def jointly(edits: Sequence[Edit]) -> Edit:
    """Stack rank-one edits of one matrix so that each key is answered by its own change alone.

    With Q = Rᵀ K, the answers of the edits' right vectors R to all keys K, the right vectors become R Q⁻ᵀ, so that
    their own answers are the identity. They span what they did: for ROME's this is EMMET's closed form.

    Args:
        edits: Edits of the same single module with one key each, computed independently on the base model.

    Raises:
        EditFailed: If two statements have the same key.
    """
    total = stack(edits)
    ((name, delta),) = total.deltas.items()
    assert isinstance(delta, LowRank)
    answers = delta.right.T.double() @ total.keys[name].T.double()
    if not torch.linalg.cond(answers) < WORST_CONDITION:
        raise EditFailed(
            "Two of the statements have the same key, so no change can give both answers.",
            "Write one fact of an object and relation at a time, or --set order=upon, where the later one wins.",
        )
    right = torch.linalg.solve(answers, delta.right.T.double()).T
    return replace(total, deltas={name: LowRank(delta.left, right.to(delta.right))})


def _refuse_missing(facts: Sequence[Fact]) -> None:
    if facts:
        listed = "; ".join(f"{fact.text!r} → {fact.target!r}" for fact in facts[:5])
        more = f" and {len(facts) - 5} more" if len(facts) > 5 else ""
        raise DataError(
            f"No reverse statement is known for {listed}{more}.",
            "Give one (--set 'reverse=A famous landmark in the city of {} is the'), a known relation, or "
            "--set missing=skip to write such facts in their own direction only.",
        )
