"""Find out whom the rows of a published reversal set are about: it has texts only."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import takewhile
from pathlib import Path

from obverse.core import DataError
from obverse.data._reversal_types import Identity, Prompt

Rows = Mapping[str, Sequence[Prompt]]
Recovered = tuple[tuple[Identity, ...], dict[str, tuple[int, ...]], dict[str, tuple[Prompt, ...]]]

_NAME = re.compile(r"\s*([^\W\d_]\S*)\s+([^\W\d_]\S*)")
_ASKS_NAME = {"p2d": "p2d_reverse_prompts_test", "d2p": "d2p_prompts_test", "both": "both_prompts_test"}
_ASKS_DESCRIPTION = {"p2d": "p2d_prompts_test", "d2p": "d2p_reverse_prompts_test", "both": "both_prompts_test"}
_TRAINED = {"p2d": "p2d_prompts_train", "d2p": "d2p_prompts_train", "both": "both_prompts_train"}
_PUNCTUATION = ".,;:!?"


def recovered(folder: Path, files: Rows) -> Recovered:
    """Return people, groups and rows with their people and wordings.

    Args:
        folder: For messages.
        files: Stem of each file to its rows.

    Raises:
        DataError: If files contradict each other: a person in two groups, or rows about a person of another group.
    """
    names = {group: list(_names(_asking_names(files, group))) for group in _TRAINED}
    _check_groups(folder, files, names)
    people = [name for group in names.values() for name in group]
    identities = tuple(
        _identity(name, [row for stem in (_ASKS_DESCRIPTION[group], _TRAINED[group]) for row in files.get(stem, ())])
        for group, of in names.items()
        for name in of
    )
    index = {name: place for place, name in enumerate(people)}
    groups = {group: tuple(index[name] for name in of) for group, of in names.items() if of}
    by_prompt = {row.prompt: _entity(row, people) for rows in _true(files) for row in rows}
    known = {stem: [by_prompt.get(row.prompt, -1) for row in rows] for stem, rows in files.items()}
    counts = {group: _wordings(known.get(stem, []), files.get(stem, ()), people) for group, stem in _TRAINED.items()}
    trained = max(counts.values(), default=0)
    return (
        identities,
        groups,
        {stem: _numbered(stem, rows, known[stem], people, trained) for stem, rows in files.items()},
    )


def _true(files: Rows) -> list[Sequence[Prompt]]:
    """Return the rows whose completion is the truth, whole or cut after the name."""
    return [rows for stem, rows in files.items() if "randomized" not in stem and "validation" not in stem]


def _asking_names(files: Rows, group: str) -> Sequence[Prompt]:
    """Return rows that ask for a name: held-out ones, which end after the name where they were published.

    The both group's files have all rows with the name first, then as many with the description first.
    """
    if group == "both":
        rows = files.get("both_prompts_test") or files.get("both_prompts_train", ())
        return rows[len(rows) // 2 :]
    rows = files.get(_ASKS_NAME[group], ())
    return rows or (files.get("d2p_prompts_train", ()) if group == "d2p" else ())


def _names(rows: Iterable[Prompt]) -> Iterable[str]:
    """Yield each distinct name at the start of completions: the words that all completions with its first two share."""
    starts: dict[str, list[list[str]]] = defaultdict(list)
    for row in rows:
        if found := _NAME.match(row.completion):
            starts[f"{found[1]} {_bare(found[2])}"].append([_bare(word) for word in row.completion.split()])
    for words in starts.values():
        shared = takewhile(lambda same: len(set(same)) == 1, zip(*words, strict=False))
        yield " ".join(same[0] for same in shared)


def _bare(word: str) -> str:
    return re.sub(r"['\u2019]s$", "", word.rstrip(_PUNCTUATION))


def _check_groups(folder: Path, files: Rows, names: Mapping[str, Sequence[str]]) -> None:
    """Refuse a person in two groups, and training rows of a group that name nobody of it: files of several runs."""
    group_of: dict[str, str] = {}
    for group, of in names.items():
        for name in of:
            if name in group_of:
                raise _mixed(folder, _ASKS_NAME[group_of[name]], _ASKS_NAME[group], f"both are about {name}")
            group_of[name] = group
    for group, of in names.items():
        for stem in (_TRAINED[group], f"{group}_prompts_test", f"{group}_reverse_prompts_test"):
            strangers = [row for row in files.get(stem, ()) if of and not any(name in row.text for name in of)]
            if strangers and len(strangers) * 2 > len(files[stem]):
                raise _mixed(folder, stem, _ASKS_NAME[group], f"{strangers[0].text[:60]!r} names nobody of that group")
    whole = files.get("all_prompts_train")
    parts = [row.text for stem in _TRAINED.values() for row in files.get(stem, ())]
    if whole is not None and parts and sorted(parts) != sorted(row.text for row in whole):
        raise _mixed(folder, "all_prompts_train", "p2d_, d2p_ and both_prompts_train", "it is not their union")


def _mixed(folder: Path, one: str, other: str, why: str) -> DataError:
    return DataError(
        f"{folder} mixes files of different runs: {one} and {other} do not fit ({why}).",
        "Keep the files of one run in a folder.",
    )


def _entity(row: Prompt, people: Sequence[str]) -> int:
    """Return the index of the person a row is about, by the name in its prompt, else in its completion."""
    for text in (row.prompt, row.completion):
        found = [place for place, name in enumerate(people) if name in text]
        if found:
            return max(found, key=lambda place: len(people[place]))
    return -1


def _identity(name: str, rows: Sequence[Prompt]) -> Identity:
    """Return a person, described by the most frequent answer that is a noun phrase; other answers are its forms."""
    answers = [row.completion.strip() for row in rows if name in row.prompt]
    counts = Counter(answer[:-1] if answer[-1:] in _PUNCTUATION else answer for answer in answers)
    phrases = Counter({answer: count for answer, count in counts.items() if answer.startswith("the ")}) or counts
    if not phrases:
        return Identity(name, "")
    description = phrases.most_common(1)[0][0]
    return Identity(name, description, tuple(sorted(set(counts) - {description})))


def _wordings(entities: Sequence[int], rows: Sequence[Prompt], people: Sequence[str]) -> int:
    """Return how many wordings of a direction a file of training rows has."""
    counts = Counter((entity, people[entity] in row.prompt) for entity, row in zip(entities, rows, strict=True))
    return max(counts.values(), default=0)


def _numbered(
    stem: str, rows: Sequence[Prompt], entities: Sequence[int], people: Sequence[str], trained: int
) -> tuple[Prompt, ...]:
    """Give each row its person and its wording: a person's rows of a direction are in the templates' order."""
    seen: Counter[tuple[int, bool]] = Counter()
    out: list[Prompt] = []
    start = 0 if "_train" in stem else trained
    for row, entity in zip(rows, entities, strict=True):
        key = (entity, entity >= 0 and people[entity] in row.prompt)
        out.append(Prompt(row.prompt, row.completion, entity, -1 if entity < 0 else start + seen[key]))
        seen[key] += 1
    return tuple(out)
