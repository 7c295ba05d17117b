"""Reports to read: one HTML page that says what an edit did, for readers who know none of the papers."""

from obverse.report.html import render, write_report

__all__ = ["render", "write_report"]
