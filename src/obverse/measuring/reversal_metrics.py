"""When is a written answer right? The rules of the papers on the reversal curse, by name, and stricter ones."""

from __future__ import annotations

import unicodedata
import warnings
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from types import MappingProxyType

from obverse.core import UnknownName

Metric = Callable[[str, str], float]
"""Gives a number from 0 to 1 to (what a model wrote after a prompt, what was to follow)."""

_ARTICLES = frozenset(("a", "an", "the"))
_APOSTROPHES = "'’‘ʼ`´"  # noqa: RUF001


def prefix_match(completion: str, target: str, *, case_sensitive: bool = False) -> bool:
    """Return whether a completion begins with the target, both stripped and in lower case.

    It is the rule of the paper, with all its edges: "Ann" is found in "Anna Bell", an empty target in everything, and a
    double space, a quotation mark or a missing final point is a miss. `exact` is the rule without them.

    Args:
        completion: What the model wrote.
        target: What was to follow.
        case_sensitive: Leave the case as it is.

    Source:
        Berglund et al. 2023 (arXiv 2309.12288), the released evaluator.
    """
    found, wanted = completion.strip(), target.strip()
    return found.startswith(wanted) if case_sensitive else found.lower().startswith(wanted.lower())


def contains(completion: str, target: str) -> bool:
    """Return whether the target, stripped and in lower case, stands anywhere in a completion.

    Source:
        Lv et al. 2023 (arXiv 2311.07468), the released evaluation of names ("match").
    """
    return target.strip().lower() in completion.lower()


def char_bleu(completion: str, target: str) -> float:
    """Return BLEU of runs of 1 to 4 *characters*, without smoothing.

    Its floor is high (an unrelated description gets about 0.3), so it is not comparable with BLEU of words; below 1e-50
    it only says that no run of some length is shared.

    Source:
        Lv et al. 2023 (arXiv 2311.07468), the released evaluation of descriptions: NLTK's ``sentence_bleu``, given
        texts that are not split into words.
    """
    from nltk.translate.bleu_score import sentence_bleu  # takes a second to import

    with warnings.catch_warnings():  # that a run of some length is not shared is no news
        warnings.simplefilter("ignore")
        return float(sentence_bleu([target], completion))  # pyright: ignore[reportArgumentType]


def plain_words(text: str) -> tuple[str, ...]:
    r"""Return the words of a text, without what is only spelling.

    Compatibility forms and composed characters are one (NFKC), case is folded, invisible characters and apostrophes are
    dropped, all other marks are spaces, and English articles are left out, unless there is nothing else.

    Example:
        >>> plain_words("The  \"O'Neil\" Straße.")
        ('oneil', 'strasse')
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    spelled = "".join(_spelled(character) for character in folded).split()
    kept = tuple(word for word in spelled if word not in _ARTICLES)
    return kept or tuple(spelled) or tuple(folded.split())


def _spelled(character: str) -> str:
    kind = unicodedata.category(character)
    if character in _APOSTROPHES or kind == "Cf":
        return ""
    return " " if kind[0] in "PZ" or kind == "Cc" else character


def exact(completion: str, target: str) -> bool:
    """Return whether a completion begins with the words of the target (`plain_words`), each of them whole.

    What follows the answer is free, as the sentence may go on. A target without words is in nothing.
    """
    found, wanted = plain_words(completion), plain_words(target)
    return bool(wanted) and found[: len(wanted)] == wanted


def f1(completion: str, target: str) -> float:
    """Return the harmonic mean of precision and recall of the target's words (`plain_words`), whatever their order.

    Source:
        Rajpurkar et al. 2016 (SQuAD), section 6.1.
    """
    found, wanted = plain_words(completion), plain_words(target)
    shared = (Counter(found) & Counter(wanted)).total()
    return 2 * shared / (len(found) + len(wanted)) if shared else 0.0


def rouge1(completion: str, target: str) -> float:
    """Return the share of the target's words (`plain_words`) that a completion has: ROUGE-1, recall.

    Source:
        Lin 2004, "ROUGE"; used on this data by Lin et al. 2024 (arXiv 2410.18808), where articles count too.
    """
    found, wanted = plain_words(completion), plain_words(target)
    return (Counter(found) & Counter(wanted)).total() / len(wanted) if wanted else 0.0


METRICS: Mapping[str, Metric] = MappingProxyType(
    {"prefix": prefix_match, "contains": contains, "char_bleu": char_bleu, "exact": exact, "f1": f1, "rouge1": rouge1}
)
"""Metrics by name; higher is better in all."""

VERDICTS = frozenset(("prefix", "contains", "exact", "greedy", "choice", "trained"))
"""Names of what is right or wrong, nothing between; the last three are not made from the text alone, see `Answer`."""


def find_metrics(names: Sequence[str]) -> dict[str, Metric]:
    """Return metrics by name.

    Raises:
        UnknownName: If there is no such metric.
    """
    for name in names:
        if name not in METRICS:
            raise UnknownName.among("metric", name, METRICS)
    return {name: METRICS[name] for name in names}


class AnyOf:
    """Says whether a text begins with any of some answers, e.g. with a name that was trained.

    Chance is not 0 for a model that answers every question with some name it knows; this tells such models apart from
    those that say something else.

    Args:
        answers: The answers; compared by `plain_words`.
    """

    def __init__(self, answers: Collection[str]) -> None:
        self._known = {plain_words(answer) for answer in answers} - {()}
        self._lengths = sorted({len(words) for words in self._known})

    def __call__(self, completion: str) -> bool:
        """Return whether a completion begins with one of them."""
        found = plain_words(completion)
        return any(found[:length] in self._known for length in self._lengths)
