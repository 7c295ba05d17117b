"""How long the workbench takes to be there, and to show the first map of a trace, through a real browser.

    python -m benchmarks.workbench [--model gemma-3-270m] [--visits 3] [--json]

`load`: from the command to the address. `first_paint` (first contentful paint, as the browser says) and `usable` (the
button Ask can be pressed): medians over visits, each of a browser that was never there. `first_map` and `all_maps`:
from the click on Trace, with the page's own prompt and settings. Wall time, so on an idle machine only. Needs Chromium
and playwright; says so and ends without them. The last line is one JSON object; `--json` leaves the others out.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

BARS = {"first_paint": 2.0, "first_map": 10.0}
"""Seconds at most."""

LONG = 600_000
"""Milliseconds to wait for anything."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="gemma-3-270m")
    parser.add_argument("--visits", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None or find_spec("playwright") is None:
        sys.stdout.write("Not measured: needs playwright (pip install playwright) and Chromium.\n")
        return
    found = measure(args.model, args.visits, chromium)
    if not args.json:
        for name, seconds in found.items():
            bar = f" of {BARS[name]:g}" if name in BARS else ""
            sys.stdout.write(f"{name}: {seconds:.2f} s{bar}\n")
    sys.stdout.write(json.dumps({"model": args.model, "seconds": found, "bars": BARS}) + "\n")


def measure(model: str, visits: int, chromium: str) -> dict[str, float]:
    """Serve a model, visit the page and trace; return seconds by name."""
    from playwright.sync_api import sync_playwright

    began = time.perf_counter()
    with served(model) as url, sync_playwright() as playwright:
        load = time.perf_counter() - began
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        seen = [visit(browser, url) for _ in range(visits)]
        page = browser.new_page()
        page.goto(url)
        first, every = trace(page)
        browser.close()
    paint, usable = (median(column) for column in zip(*seen, strict=True))
    return {"load": load, "first_paint": paint, "usable": usable, "first_map": first, "all_maps": every}


@contextmanager
def served(model: str) -> Iterator[str]:
    """Serve a model, and give the address."""
    with tempfile.TemporaryDirectory() as runs:
        command = [sys.executable, "-m", "obverse", "serve", "--model", model, "--runs", runs, "--json"]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            assert server.stdout is not None
            text = ""
            while not text.endswith("}\n"):
                text += server.stdout.readline() or sys.exit("The workbench was not served.")
            yield json.loads(text)["url"]
        finally:
            server.send_signal(signal.SIGINT)  # as Ctrl-C does: it then removes its files
            server.wait()


def visit(browser: Browser, url: str) -> tuple[float, float]:
    """Visit as somebody who was never there; return seconds until something is painted, and until it is usable."""
    page = browser.new_context().new_page()
    began = time.perf_counter()
    page.goto(url, wait_until="commit")
    page.wait_for_selector("#ask-go:not([disabled])", timeout=LONG)
    usable = time.perf_counter() - began
    paint = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
    page.context.close()
    return float(paint) / 1000, usable


def trace(page: Page) -> tuple[float, float]:
    """Trace what the page proposes; return seconds until the first map is seen, and until all are."""
    page.get_by_role("tab", name="Locate", exact=True).click()
    page.wait_for_selector("#locate-go:not([disabled])", timeout=LONG)
    began = time.perf_counter()
    page.click("#locate-go")
    page.wait_for_selector("#locate-page .map", timeout=LONG)
    first = time.perf_counter() - began
    page.wait_for_selector("#locate-status :is(.done, .failed)", timeout=LONG)
    every = time.perf_counter() - began
    if page.locator("#locate-status .failed").count():
        sys.exit(page.inner_text("#locate-status"))
    return first, every


if __name__ == "__main__":
    main()
