"""Change what a model says: editors, each in one file, and the edits they return."""

from obverse.core import Registry
from obverse.editing.cost import Cost, estimate
from obverse.editing.edit import Dense, Edit, LowRank, cross_talk, stack
from obverse.editing.presets import preset

editors = Registry("method", "obverse.editing", "config_type", "obverse.editors")
"""Editors by name: the files of this room, and what other packages add."""

__all__ = ["Cost", "Dense", "Edit", "LowRank", "cross_talk", "editors", "estimate", "preset", "stack"]
