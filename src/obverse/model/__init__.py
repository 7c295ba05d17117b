"""One wrapper round Hugging Face models: load, find the parts, read and change states, align tokens."""

from obverse.model.architecture import Architecture, Layout
from obverse.model.hooks import Site, capture, intervene

__all__ = ["Architecture", "Layout", "Site", "capture", "intervene"]
