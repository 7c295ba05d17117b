"""Make the probes of a fact whose relation is a known one, so that an edit can be judged without a data set."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import chain, zip_longest

from obverse.core import Case, Fact
from obverse.data._known import RELATIONS, Relation

NEIGHBOURS = 10
"""Neighbouring facts asked at most."""

_ARTICLE = re.compile(r"\b(?:the|an|a)\s+(?:river\s+)?$", re.IGNORECASE)


def relation_of(fact: Fact) -> Relation | None:
    """Return the known relation that a fact belongs to, by the name it gives or else by its prompt.

    A name is compared without regard to capitals and to ``_``, ``-`` and spaces; a prompt without regard to capitals,
    spaces and an article before the subject. Where a prompt could mean several relations ("... is in"), the target or
    the true target has to be one that the relation knows.
    """
    if fact.relation is not None:
        wanted = _plain_name(fact.relation)
        for relation in RELATIONS:
            if wanted in map(_plain_name, (relation.name, *relation.codes)):
                return relation
    form = _form(fact.prompt)
    clear = (r for r in RELATIONS if form in map(_form, (*r.prompts, *r.also)))
    vague = (r for r in RELATIONS if form in map(_form, r.vague) and _knows(r, fact))
    return next(chain(clear, vague), None)


def case_for(fact: Fact, id: str = "0") -> Case:
    """Build the probes of a fact: paraphrases, neighbours, reverse questions and open prompts.

    Neighbours are well-known facts of the same relation, asked in the fact's own words where those suit any subject:
    first facts that share the true target, then others; never one about the subject, or with the fact's target as
    answer.

    Args:
        fact: The fact. Of an unknown relation only the fact itself is asked and continued.
        id: Name of the case.
    """
    relation = relation_of(fact)
    if relation is None:
        return Case.of(fact, id=id, prompts=(fact.text,))
    name, article = split_article(fact)
    subject = f"{article} {name}".strip()
    own = {_form(fact.prompt)}
    after = " the" if article and not _begins_with_article(fact.subject) else ""
    asked = [form for form in relation.paraphrases if _form(form) not in own]
    reverse = [form for form in relation.reverse if name.casefold() not in form.casefold()]
    return Case.of(
        fact,
        id=id,
        paraphrases=tuple(fill(form, subject) for form in asked),
        neighbours=tuple(_neighbours(fact, relation)),
        reverse=tuple(form + after for form in reverse),
        prompts=tuple(fill(form, subject) for form in relation.open),
    )


def fill(template: str, subject: str) -> str:
    """Put a subject with its article in place of ``{}``; at the start of a sentence the article gets a capital."""
    start = template.index("{}")
    before = template[:start].rstrip()
    if (not before or before[-1] in ".!?:") and subject.startswith("the "):
        subject = "The " + subject.removeprefix("the ")
    return template.replace("{}", subject)


def _neighbours(fact: Fact, relation: Relation) -> Iterator[tuple[str, str]]:
    form = _form(fact.prompt)
    fits_all = form in map(_form, (*relation.prompts, *relation.vague))
    template = _without_article(fact.prompt) if fits_all else relation.prompts[0]
    name = split_article(fact)[0]
    true, target = (fact.target_true or "").strip().casefold(), fact.target.strip().casefold()
    same = [(s, o) for o, subjects in relation.facts.items() for s in subjects if o.casefold() == true]
    other = {o: subjects for o, subjects in relation.facts.items() if o.casefold() not in (true, target)}
    others = [[(s, o) for s in subjects] for o, subjects in other.items()]
    in_turn = (pair for row in zip_longest(*others) for pair in row if pair is not None)  # each object before a second
    found = [(s, o) for s, o in chain(same, in_turn) if not _overlap(s.removeprefix("the "), name)]
    return ((fill(template, s), o) for s, o in found[:NEIGHBOURS])


def _knows(relation: Relation, fact: Fact) -> bool:
    known = {answer.casefold() for answer in relation.facts}
    return any(answer.strip().casefold() in known for answer in (fact.target, fact.target_true or ""))


def _overlap(first: str, second: str) -> bool:
    """Say whether one name is the other, or has it within ("Windows 10" and "Windows")."""
    padded = [f" {name.casefold()} " for name in (first, second)]
    return padded[0] in padded[1] or padded[1] in padded[0]


def split_article(fact: Fact) -> tuple[str, str]:
    """Return the subject without its article, and "the" if it has one in itself or in the prompt before it."""
    if _begins_with_article(fact.subject):
        return fact.subject.strip().split(maxsplit=1)[1], "the"
    before = fact.prompt[: fact.prompt.index("{}")]
    return fact.subject.strip(), "the" if _ARTICLE.search(before) else ""


def _begins_with_article(subject: str) -> bool:
    return re.match(r"\s*the\s+\S", subject, re.IGNORECASE) is not None


def _without_article(template: str) -> str:
    start = template.index("{}")
    return _ARTICLE.sub("", template[:start]) + template[start:]


def _form(template: str) -> str:
    return " ".join(_without_article(template).casefold().split())


def _plain_name(name: str) -> str:
    return re.sub(r"[\s_-]+", " ", name).strip().casefold()


def known_sentences() -> list[str]:
    """Return the facts of the table as sentences, in every wording: plain text that is full of names."""
    return [
        f"{fill(template, subject)} {answer}."
        for relation in RELATIONS
        for answer, subjects in relation.facts.items()
        for subject in subjects
        for template in (*relation.prompts, *relation.paraphrases)
    ]


def facts_of(relation: Relation) -> list[Fact]:
    """Return the well-known facts of a relation, in its first wording."""
    return [
        Fact.from_text(fill(relation.prompts[0], subject), subject.removeprefix("the "), answer, relation=relation.name)
        for answer, subjects in relation.facts.items()
        for subject in subjects
    ]


def known_subjects() -> list[str]:
    """Return the subjects of the table's facts, each once."""
    return list(
        dict.fromkeys(subject for relation in RELATIONS for subjects in relation.facts.values() for subject in subjects)
    )
