"""Objectives, one file each; the file's name is the objective's."""

from obverse.core.registry import Registry

objectives = Registry("objective", "obverse.training.objectives", "config_type", "obverse.objectives")
"""Every objective by name."""
