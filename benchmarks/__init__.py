"""Commands that measure speed, memory and quality; results stand in RESULTS.md."""
