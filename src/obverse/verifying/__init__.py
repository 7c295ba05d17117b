"""Did an edit hold, and what broke? Probes before and after, both directions, drift."""

from obverse.verifying.drift import Drift, drift
from obverse.verifying.probes import Answer, ask
from obverse.verifying.report import PROTOCOLS, CaseReport, Continuation, Report
from obverse.verifying.verify import verify

__all__ = ["PROTOCOLS", "Answer", "CaseReport", "Continuation", "Drift", "Report", "ask", "drift", "verify"]
