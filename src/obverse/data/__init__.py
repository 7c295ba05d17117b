"""Text in, records out: files of facts and published data sets. Knows no model."""

from obverse.data.counterfact import counterfact_case
from obverse.data.facts_file import read_cases
from obverse.data.relations import case_for

__all__ = ["case_for", "counterfact_case", "read_cases"]
