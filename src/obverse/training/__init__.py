"""Change what a model learns: objectives, one file each, and the trainer that runs them."""

# The registry has its package's name: made there, and so loaded before any file of it, it is not replaced by it later.
from obverse.training.objectives import objectives

__all__ = ["objectives"]
