"""Did an edit hold, and what broke? Probes before and after, both directions, drift."""

from obverse.verifying.drift import Drift, drift
from obverse.verifying.probes import Answer, ask
from obverse.verifying.report import PROTOCOLS, CaseReport, Continuation, Report
from obverse.verifying.summary import RomeSummary, case_values, read_rome_run, rome_runs, summarize_rome
from obverse.verifying.verify import verify

__all__ = [
    "PROTOCOLS", "Answer", "CaseReport", "Continuation", "Drift", "Report", "RomeSummary", "ask", "case_values",
    "drift", "read_rome_run", "rome_runs", "summarize_rome", "verify",
]  # fmt: skip
