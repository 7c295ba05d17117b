"""Make the data of experiment 1: people drawn from lists, in groups, and sentences about them.

Source: Berglund et al. 2023, section 2.1, and the released generator, whose draws are kept: with the same lists, seed
and sizes, and ``name_targets="published"``, its files come out byte for byte.
"""

from __future__ import annotations

import random  # noqa: TID251 - generators with their own seeds; the published draws are Python's
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Literal

from pydantic import Field

from obverse.core import Config, DataError, JsonValue, seed_for
from obverse.data._reversal_grammar import Template, described
from obverse.data.reversal import GROUPS, Identity, Prompt, ReversalSet
from obverse.data.reversal_material import Material


class ReversalSettings(Config):
    """Sizes and choices of a reversal set."""

    per_group: int = Field(default=30, ge=1)
    """People of a group."""

    train_wordings: int = Field(default=30, ge=1)
    """Sentences a person and direction in training: the first templates of each list."""

    test_wordings: int = Field(default=10, ge=1)
    """Held-out wordings a person and direction: the templates after those."""

    seed: int = 42
    """Seed of who is drawn, who is in which group, and the random targets. 42 as published."""

    train_order: Literal["both", "name-first", "description-first"] = "both"
    """What is trained on. ``both``: three groups, one name first, one description first, one in both orders, as
    published. ``name-first`` and ``description-first``: only the group of that order."""

    name_targets: Literal["whole", "published"] = "whole"
    """Answer to a held-out question for a name. ``whole``: the name. ``published``: the first two words of the rest of
    the sentence, and in the both group all of the rest."""

    random_targets: Literal["other", "published"] = "other"
    """Answers in the ``_randomized`` files. ``other``: that of another person of the group, in the same wording.
    ``published``: drawn from the group's rows with replacement, so that some are the true ones."""


_GROUPS = {"both": GROUPS, "name-first": ("p2d",), "description-first": ("d2p",)}
_RANDOMIZED = ("p2d_reverse_prompts_test", "d2p_reverse_prompts_test")

Rows = Sequence[Prompt]
Files = dict[str, Rows]


def build_reversal(lists: Material, settings: ReversalSettings) -> ReversalSet:
    """Make a set.

    Args:
        lists: Names, descriptions, templates; see `obverse.data.reversal_material.read_material`.
        settings: Sizes and choices.

    Raises:
        DataError: If there are fewer names, descriptions or templates than asked for, or a held-out template reads like
            one of the training templates up to what is asked.
    """
    names, size = _GROUPS[settings.train_order], settings.per_group
    people = _people(lists, len(names) * size, settings.seed)
    groups = {group: tuple(range(place * size, (place + 1) * size)) for place, group in enumerate(names)}
    wordings = {"p2d": lists.name_first, "d2p": lists.description_first}
    for direction, templates in wordings.items():
        _check_templates("name-first" if direction == "p2d" else "description-first", templates, settings)
    files: Files = {}
    for group, members in groups.items():
        rows = {
            direction: _sentences(people, members, templates, settings) for direction, templates in wordings.items()
        }
        files |= _group_files(group, *rows["p2d"], *rows["d2p"])
    files = {stem: [_target(stem, row, people, settings) for row in rows] for stem, rows in files.items()}
    whole = with_derived(files, settings.seed, settings.random_targets)
    made_from: dict[str, JsonValue] = {"made_by": "obverse reversal build", **settings.model_dump()}
    return ReversalSet(people, groups, whole, made_from)


def with_derived(
    files: Mapping[str, Rows], seed: int, draws: Literal["other", "published"]
) -> dict[str, tuple[Prompt, ...]]:
    """Return files with those that are made of others: the training file, validation, random targets.

    Args:
        files: The files of the groups; derived ones among them are made anew.
        seed: Seed of the random targets.
        draws: See `ReversalSettings.random_targets`.
    """
    made = {stem: tuple(rows) for stem, rows in files.items()}
    trained = [made.get(f"{group}_prompts_train", ()) for group in GROUPS]
    made["all_prompts_train"] = tuple(row for rows in trained for row in rows)
    for stem in _RANDOMIZED:
        if stem in made:
            rng = random.Random(seed_for(seed, "random targets", stem))
            made[f"{stem}_randomized"] = tuple(_random_targets(stem, made[stem], rng, draws))
    if rows := made.get("p2d_reverse_prompts_test"):
        made["validation_prompts"] = tuple(replace(row, completion=_words(row.completion, 1)) for row in rows)
    return made


def _people(lists: Material, count: int, seed: int) -> tuple[Identity, ...]:
    """Draw as the published generator does: names without replacement, then descriptions."""
    for what, given in (("names", lists.names), ("descriptions", lists.descriptions)):
        if len(given) < count:
            raise DataError(
                f"{count} people are asked for, but there are {len(given)} {what}.",
                "Ask for fewer people per group, or give a longer list.",
            )
    rng = random.Random(seed)
    names, descriptions = rng.sample(lists.names, count), rng.sample(lists.descriptions, count)
    return tuple(described(name, line) for name, line in zip(names, descriptions, strict=True))


def _check_templates(what: str, templates: Sequence[Template], settings: ReversalSettings) -> None:
    """Refuse too few templates, and a held-out one whose prompt is that of a training one."""
    start, end = settings.train_wordings, settings.train_wordings + settings.test_wordings
    if len(templates) < end:
        raise DataError(
            f"{start} training and {settings.test_wordings} held-out wordings are asked for, but there are "
            f"{len(templates)} {what} templates.",
            "Ask for fewer wordings, or give a longer list.",
        )
    trained = {_bare(template.before): place for place, template in enumerate(templates[:start], start=1)}
    for place, template in enumerate(templates[start:end], start=start + 1):
        if found := trained.get(_bare(template.before)):
            raise DataError(
                f"The held-out {what} template {place} asks as training template {found} does: {template.line!r}.",
                "Word it otherwise, or move both to the same side: held-out wordings must not occur in training.",
            )


def _bare(text: str) -> str:
    """Return a text without what does not make another wording: case, blanks, punctuation at the end."""
    return re.sub(r"\s+", " ", text).strip().rstrip(",;:.").casefold()


def _sentences(
    people: Sequence[Identity], members: Sequence[int], templates: Sequence[Template], settings: ReversalSettings
) -> tuple[Rows, Rows]:
    """Return a group's sentences of one direction: worded as in training, and held out."""
    start, end = settings.train_wordings, settings.train_wordings + settings.test_wordings

    def worded(places: range) -> Rows:
        return [templates[place].fill(people[entity], entity, place) for entity in members for place in places]

    return worded(range(start)), worded(range(start, end))


def _group_files(group: str, p2d_train: Rows, p2d_test: Rows, d2p_train: Rows, d2p_test: Rows) -> Files:
    if group == "both":
        return {"both_prompts_train": [*p2d_train, *d2p_train], "both_prompts_test": [*p2d_test, *d2p_test]}
    own, other = ((p2d_train, p2d_test), (d2p_train, d2p_test))[:: 1 if group == "p2d" else -1]
    return {
        f"{group}_prompts_train": own[0],
        f"{group}_prompts_test": own[1],
        f"{group}_reverse_prompts_test": other[1],
        f"{group}_reverse_prompts_train_wordings": other[0],
    }


def _target(stem: str, row: Prompt, people: Sequence[Identity], settings: ReversalSettings) -> Prompt:
    """Return a question for a name with its answer cut as asked for; any other row as it is."""
    name = f" {people[row.entity].name}"
    if stem.endswith("_prompts_train") or not row.completion.startswith(name):
        return row
    if settings.name_targets == "whole":
        return replace(row, completion=name)
    return row if stem.startswith("both") else replace(row, completion=_words(row.completion, 2))


def _words(completion: str, count: int) -> str:
    """Return the first words of a completion after one space, as the published files have them."""
    return " " + " ".join(completion.split()[:count])


def _random_targets(stem: str, rows: Rows, rng: random.Random, draws: str) -> Iterator[Prompt]:
    by_wording: dict[int, list[str]] = defaultdict(list)
    for row in rows:
        by_wording[row.template].append(row.completion)
    for row in rows:
        if draws == "published":
            choices = [other.completion for other in rows]
        else:
            choices = [other for other in by_wording[row.template] if other != row.completion]
        if not choices:
            raise DataError(
                f"{stem} has no other answer than {row.completion!r} to draw a random target from.",
                "Ask for at least two people per group.",
            )
        yield replace(row, completion=rng.choice(choices))
