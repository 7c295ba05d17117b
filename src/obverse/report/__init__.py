"""Reports to read: HTML pages that say what an edit did or a trace found, for readers who know none of the papers."""

from obverse.report.html import render, write_report
from obverse.report.trace_page import write_averages_page, write_trace_page

__all__ = ["render", "write_averages_page", "write_report", "write_trace_page"]
