"""Text in, records out: files of facts and published data sets. Knows no model."""

from obverse.data.counterfact import counterfact_case
from obverse.data.facts_file import read_cases
from obverse.data.mquake import HopCase, read_mquake
from obverse.data.official import official_cases, official_file
from obverse.data.relations import case_for
from obverse.data.ripple_edits import RippleCase, read_ripple_edits
from obverse.data.snippets import read_snippets
from obverse.data.zsre import zsre_case

__all__ = [
    "HopCase", "RippleCase", "case_for", "counterfact_case", "official_cases",
    "official_file", "read_cases", "read_mquake", "read_ripple_edits", "read_snippets", "zsre_case",
]  # fmt: skip
