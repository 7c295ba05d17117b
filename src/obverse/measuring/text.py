"""Fluency of generated text: the entropy of its n-grams, and how many of them are distinct."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

WEIGHTS: Mapping[int, float] = {2: 2 / 3, 3: 4 / 3}
"""n → weight of the entropy of n-grams in GE: trigrams count double (ROME's program)."""


def words(text: str) -> list[str]:
    """Split a text into words and marks by the rules of the Penn Treebank, as NLTK does.

    The text is taken as one sentence: of the final points only the last one is a word of its own. NLTK would find the
    sentences first, with a model that has to be fetched.

    Example:
        >>> words("He didn't (it was Bill).")
        ['He', 'did', "n't", '(', 'it', 'was', 'Bill', ')', '.']
    """
    from nltk.tokenize import NLTKWordTokenizer  # takes a second to import

    return NLTKWordTokenizer().tokenize(text)


def ngrams(words: Sequence[str], n: int) -> list[tuple[str, ...]]:
    """Return the runs of n words, in order; none where there are fewer words."""
    return [tuple(words[start : start + n]) for start in range(len(words) - n + 1)]


def entropy(words: Sequence[str], n: int) -> float:
    """Return the entropy of the distribution of n-grams in a text, in bits.

    Args:
        words: The text's words.
        n: Length of the runs counted.

    Returns:
        From 0 (one n-gram only, or none) to log2 of the number of n-grams (all distinct).
    """
    found = ngrams(words, n)
    return math.fsum(count / len(found) * math.log2(len(found) / count) for count in Counter(found).values())


def ngram_entropy(texts: Sequence[str]) -> float:
    """Return the n-gram entropy GE of generated texts: low where a text repeats itself.

    Of each text (2/3 H2 + 4/3 H3) / 2, with H_n the entropy of its n-grams; then the mean over the texts. A text of
    fewer than n words adds 0 for that n.

    Args:
        texts: Generated texts with their prompts, at least one.

    Returns:
        Bits. ROME's tables show it times 100.

    Source:
        Zhang et al. 2018, "Generating Informative and Diverse Conversational Responses via Adversarial Information
        Maximization"; weights as in ROME's program (Meng et al. 2022, section 3.3, "fluency").
    """
    return sum(_entropy_of(words(text)) for text in texts) / len(texts)


def _entropy_of(found: Sequence[str]) -> float:
    return sum(weight * entropy(found, n) for n, weight in WEIGHTS.items()) / len(WEIGHTS)


def distinct(texts: Sequence[str], n: int) -> float:
    """Return the share of distinct n-grams among all n-grams of some texts taken together (distinct-n).

    It falls with the amount of text, so compare texts of like length only.

    Args:
        texts: Generated texts.
        n: Length of the runs counted.

    Returns:
        From above 0 to 1 (none occurs twice); 0 where no text has n words.

    Source:
        Li et al. 2016, "A Diversity-Promoting Objective Function for Neural Conversation Models", section 5.
    """
    found = [run for text in texts for run in ngrams(words(text), n)]
    return len(set(found)) / len(found) if found else 0.0


def mean_distinct(texts: Sequence[str], n: int) -> float:
    """Return the share of distinct n-grams in each text, averaged over texts; a text without n-grams counts as 0.

    Unlike `distinct` it says how far each text repeats itself, not how far they repeat each other.

    Args:
        texts: Generated texts, at least one; words are what stands between blanks.
        n: Length of the runs counted.

    Source:
        Korbak et al. 2023, "Pretraining Language Models with Human Preferences", section 4.4.
    """
    return math.fsum(distinct_words(text.split(), n) for text in texts) / len(texts)


def distinct_words(words: Sequence[str], n: int) -> float:
    """Return the share of distinct n-grams among those of some words; 0 if there are none."""
    found = ngrams(words, n)
    return len(set(found)) / len(found) if found else 0.0


def pooled_entropy(texts: Sequence[str], n: int) -> float:
    """Return the entropy of the n-grams of all texts together, in nats; 0 if there are none.

    Args:
        texts: Generated texts; words are what stands between blanks.
        n: Length of the runs counted.

    Source:
        Korbak et al. 2023, section 4.4.
    """
    counts = Counter(run for text in texts for run in ngrams(text.split(), n))
    total = counts.total()
    return math.fsum(count / total * math.log(total / count) for count in counts.values())
