"""How much a model knows: likelihood of continuations, generation, statistics."""

from obverse.measuring.generation import continuations, greedy
from obverse.measuring.likelihood import Likelihood, TopToken, likelihoods, top_tokens
from obverse.measuring.statistics import harmonic_mean, mean_interval, wilson

__all__ = [
    "Likelihood", "TopToken", "continuations", "greedy", "harmonic_mean", "likelihoods", "mean_interval",
    "top_tokens", "wilson",
]  # fmt: skip
