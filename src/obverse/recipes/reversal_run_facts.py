"""The people of a set as facts to edit and to trace: those trained name first, "NAME is the" → "captain of ...".

Words that all answers begin with, such as "the", are put into the prompt, so that the answer's first token tells people
apart; a final point is left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from obverse.core import DataError, Fact
from obverse.data.reversal import Prompt, ReversalSet
from obverse.measuring.samples import begun
from obverse.model.tokens import encode

if TYPE_CHECKING:
    from obverse.model.language_model import LanguageModel

NEIGHBOURS, PARAPHRASES = 3, 3
"""Questions about others, and in held-out wordings, at most."""


@dataclass(frozen=True, slots=True)
class GroupFact:
    """What is known of a person trained name first.

    Attributes:
        entity: Index of the person.
        fact: The statement as it was trained; its target is the right answer.
        paraphrases: The same in held-out wordings, up to the answer.
        reverse: Template of the reverse question, with ``{}`` for the answer.
    """

    entity: int
    fact: Fact
    paraphrases: tuple[str, ...]
    reverse: str


def group_facts(people: ReversalSet, limit: int, before: str = "") -> list[GroupFact]:
    """Return the people trained name first as facts, all in the wording that fits most of them.

    Args:
        people: The set.
        limit: How many at most.
        before: What stands before each prompt.

    Raises:
        DataError: If the set has no such people, or their answers cannot be found in the reverse questions.
    """
    forward = _by_template(people.files.get("p2d_prompts_train", ()))
    held_out = _by_template(people.files.get("p2d_prompts_test", ()))
    reverse = {
        **_by_template(people.files.get("p2d_reverse_prompts_test", ())),
        **_by_template(people.files.get("p2d_reverse_prompts_train_wordings", ())),
    }
    best: list[GroupFact] = []
    for template in sorted(forward):
        rows = forward[template]
        lead = common_lead([row.completion for row in rows.values()])
        for back in sorted(reverse):
            found = [
                fact
                for entity, row in sorted(rows.items())
                if (fact := _fact(people, entity, row, lead, reverse[back].get(entity), held_out, before))
            ]
            best = max(best, found, key=len)
            if len(best) == len(rows):
                return best[:limit]
    if len(best) < 2:
        raise DataError(
            "The set has no people trained name first whose descriptions stand word for word in a reverse question.",
            "Make one with `obverse reversal build`, or take --then-facts starter.",
        )
    return best[:limit]


def _fact(
    people: ReversalSet,
    entity: int,
    row: Prompt,
    lead: str,
    back: Prompt | None,
    held_out: Mapping[int, Mapping[int, Prompt]],
    before: str,
) -> GroupFact | None:
    name, answer = people.identities[entity].name, bare(row.completion, lead)
    place = back.prompt.find(answer) if back is not None else -1
    if back is None or place < 0 or row.prompt.count(name) != 1:
        return None
    fact = Fact(name, before + row.prompt.replace(name, "{}") + lead, answer)
    others = [rows[entity] for _, rows in sorted(held_out.items()) if entity in rows]
    same = [before + one.prompt + lead for one in others if bare(one.completion, lead) == answer]
    template = f"{before}{back.prompt[:place]}{{}}{back.prompt[place + len(answer) :]}"
    return GroupFact(entity, fact, tuple(same[:PARAPHRASES]), template)


def records(facts: Sequence[GroupFact]) -> list[dict[str, Any]]:
    """Return facts to write, as rows of a file of facts: each person gets the answer of the next one.

    Args:
        facts: At least two, of one set.

    Returns:
        Rows with probes: held-out wordings, others whose answers are to stay, and the reverse question, asked after the
        new answer and after the old one.
    """
    rows: list[dict[str, Any]] = []
    for place, one in enumerate(facts):
        new = facts[(place + 1) % len(facts)]
        stay = [facts[(place + step) % len(facts)] for step in range(2, 2 + min(NEIGHBOURS, len(facts) - 2))]
        rows.append(
            {
                "id": str(one.entity), "subject": one.fact.subject, "prompt": one.fact.prompt,
                "target": new.fact.target, "target_true": one.fact.target, "paraphrases": list(one.paraphrases),
                "neighbours": [{"prompt": other.fact.text, "answer": other.fact.target} for other in stay],
                "reverse": [one.reverse],
            }
        )  # fmt: skip
    return rows


def common_lead(answers: Sequence[str]) -> str:
    """Return the words, each with the space before it, that all answers begin with; of each at least one is left."""
    split = [answer.split() for answer in answers]
    count = 0
    while all(len(words) > count + 1 for words in split) and len({words[count] for words in split}) == 1:
        count += 1
    return "".join(f" {word}" for word in split[0][:count])


def bare(answer: str, lead: str) -> str:
    """Return an answer without the lead, the space before it, and its final point."""
    text = answer.removeprefix(lead) if answer.startswith(lead) else answer
    return text.strip().removesuffix(".").strip()


def beginning(lm: LanguageModel) -> str:
    """Return the text of the token that stood before each sentence in training, if the tokenizer does not add it."""
    encoded = encode(lm.tokenizer, "a")
    (ids,) = begun(lm.tokenizer, [encoded])
    return str(lm.tokenizer.convert_ids_to_tokens(ids[0])) if len(ids) > len(encoded.ids) else ""


def _by_template(rows: Sequence[Prompt]) -> dict[int, dict[int, Prompt]]:
    found: dict[int, dict[int, Prompt]] = {}
    for row in rows:
        if row.entity >= 0:
            found.setdefault(row.template, {}).setdefault(row.entity, row)
    return found
