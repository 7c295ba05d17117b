"""A smaller set of a larger one: fewer people of a group, fewer wordings; and how large a set is."""

from __future__ import annotations

from obverse.core import DataError, JsonValue
from obverse.data.reversal import Prompt, ReversalSet
from obverse.data.reversal_build import ReversalSettings, with_derived


def part_of(whole: ReversalSet, settings: ReversalSettings) -> ReversalSet:
    """Return a set with the first people of each group and the first wordings of each kind.

    People keep the order they have; their indices are counted anew. The random targets are drawn anew.

    Args:
        whole: A set, for example the published one.
        settings: How many people and wordings; ``name_targets`` has no effect, the rows are as they are.

    Raises:
        DataError: If there are fewer than asked for.
    """
    group_names = {"both": tuple(whole.groups), "name-first": ("p2d",), "description-first": ("d2p",)}
    chosen = {name: whole.groups.get(name, ())[: settings.per_group] for name in group_names[settings.train_order]}
    for name, members in chosen.items():
        if len(members) < settings.per_group:
            raise _fewer(settings.per_group, "people", len(members), f"group {name}")
    index = {old: new for new, old in enumerate(old for members in chosen.values() for old in members)}
    trained = _trained(whole)
    files = {
        stem: tuple(_kept(row, index, settings, trained) for row in rows if _wanted(row, index, settings, trained))
        for stem, rows in whole.files.items()
        if stem.partition("_")[0] in chosen and not stem.endswith("_randomized")
    }
    _check_wordings(files, settings)
    made_from: dict[str, JsonValue] = {
        "part_of": dict(whole.made_from),
        **settings.model_dump(exclude={"name_targets"}),
    }
    return ReversalSet(
        tuple(whole.identities[old] for old in index),
        {name: tuple(index[old] for old in members) for name, members in chosen.items()},
        with_derived(files, settings.seed, settings.random_targets),
        made_from,
    )


def sizes_of(whole: ReversalSet) -> dict[str, int]:
    """Return the sizes of a set, as `ReversalSettings` calls them: people of its smallest group, wordings."""
    trained = 1 + max((row.template for row in whole.train), default=0)
    last = max((row.template for rows in whole.files.values() for row in rows), default=0)
    return {
        "per_group": min((len(members) for members in whole.groups.values()), default=1),
        "train_wordings": trained,
        "test_wordings": max(1, 1 + last - trained),
    }


def _trained(whole: ReversalSet) -> int:
    """Return how many wordings a person and direction has in training; held-out ones are numbered from there."""
    return 1 + max((row.template for row in whole.train), default=-1)


def _wanted(row: Prompt, index: dict[int, int], settings: ReversalSettings, trained: int) -> bool:
    if row.template < trained:
        return row.entity in index and row.template < settings.train_wordings
    return row.entity in index and row.template < trained + settings.test_wordings


def _kept(row: Prompt, index: dict[int, int], settings: ReversalSettings, trained: int) -> Prompt:
    held_out = row.template >= trained
    template = row.template - trained + settings.train_wordings if held_out else row.template
    return Prompt(row.prompt, row.completion, index[row.entity], template)


def _check_wordings(files: dict[str, tuple[Prompt, ...]], settings: ReversalSettings) -> None:
    wanted = settings.train_wordings, settings.train_wordings + settings.test_wordings
    for stem, rows in files.items():
        last = 1 + max((row.template for row in rows), default=-1)
        want = wanted[stem.endswith("_test")]
        if last < want:
            raise _fewer(want, "wordings", last, stem)


def _fewer(wanted: int, what: str, found: int, where: str) -> DataError:
    return DataError(f"{wanted} {what} are asked for, but {where} has {found}.", f"Ask for {found} at most.")
