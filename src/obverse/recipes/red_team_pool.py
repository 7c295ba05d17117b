"""The pool of a red team: prompts with the scores of what a model wrote after them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np


class PromptPool:
    """Prompts, each with the scores of its continuations, in the order they came.

    Args:
        scores: What is known at the start.
    """

    def __init__(self, scores: Mapping[str, Sequence[float]] | None = None) -> None:
        self.scores: dict[str, list[float]] = {}
        for prompt, found in (scores or {}).items():
            self.add(prompt, found)

    def __len__(self) -> int:
        """Return the number of prompts."""
        return len(self.scores)

    def add(self, prompt: str, scores: Sequence[float]) -> None:
        """Add scores of a prompt, known or not; without any it is not kept."""
        if scores:
            self.scores.setdefault(prompt, []).extend(scores)

    def mean(self, prompt: str) -> float:
        """Return the mean score of what was written after a prompt."""
        return float(np.mean(self.scores[prompt]))

    def std(self, prompt: str) -> float:
        """Return the population's standard deviation of the same."""
        return float(np.std(self.scores[prompt]))

    def best(self, number: int) -> list[str]:
        """Return the prompts of the highest means, highest first; of equal ones the older."""
        return sorted(self.scores, key=lambda prompt: -self.mean(prompt))[:number]

    def average(self) -> float:
        """Return the mean over prompts of their means."""
        return float(np.mean([self.mean(prompt) for prompt in self.scores]))

    def best_average(self, number: int = 10) -> float:
        """Return the mean of the best prompts' means, of as many as there are."""
        return float(np.mean([self.mean(prompt) for prompt in self.best(number)]))

    def weights(self, temperature: float) -> np.ndarray:
        """Return the chance of each prompt to be drawn first: a softmax of mean scores over a temperature."""
        logits = np.asarray([self.mean(prompt) for prompt in self.scores]) / temperature
        found = np.exp(logits - logits.max())
        return found / found.sum()

    def draw(self, number: int, temperature: float, draws: np.random.Generator | np.random.RandomState) -> list[str]:
        """Draw prompts without replacement, the worse for the model the likelier.

        Args:
            number: How many; fewer if the pool is smaller.
            temperature: The lower, the more the best ones are preferred; above 0.
            draws: Source of randomness.

        Source:
            Korbak et al. 2023, "Pretraining Language Models with Human Preferences", section 4.3.
        """
        chances = self.weights(temperature)
        possible = int((chances > 0).sum())  # where others are 0 for float64, they cannot be drawn
        prompts = np.asarray(list(self.scores), dtype=object)
        return [str(one) for one in draws.choice(prompts, min(number, possible), replace=False, p=chances)]
