"""What tests of the command line share: a quick edit's flags, what came of a command, a process of its own."""

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

SPACE_NEEDLE = ("--subject", "Space Needle", "--prompt", "The {} is in the city of", "--target", "Paris")
QUICK = ("--set", "contexts.lengths=[[4, 2]]", "--set", "moment=null", "--set", "steps=8", "--layer", "1")
SETTINGS = {"layers": [1], "contexts": {"lengths": [[4, 2]]}, "moment": None, "steps": 8}


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str


def process(args: Sequence[object], environment: dict[str, str], folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "obverse", *map(str, args)],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
