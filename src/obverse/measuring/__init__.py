"""How much a model knows: likelihood of continuations, generation, statistics."""

from obverse.measuring.generation import continuations, greedy
from obverse.measuring.likelihood import Likelihood, TopToken, likelihoods, top_tokens
from obverse.measuring.perplexity import essence, perplexity
from obverse.measuring.statistics import harmonic_mean, mean_interval, wilson
from obverse.measuring.text import distinct, entropy, ngram_entropy, words
from obverse.measuring.tfidf import Tfidf, reference_score

__all__ = [
    "Likelihood", "Tfidf", "TopToken", "continuations", "distinct", "entropy", "essence", "greedy", "harmonic_mean",
    "likelihoods", "mean_interval", "ngram_entropy", "perplexity", "reference_score", "top_tokens", "wilson", "words",
]  # fmt: skip
