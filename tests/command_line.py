"""What tests of the command line share: a quick edit's flags, running a command here, a process of its own."""

import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

SPACE_NEEDLE = ("--subject", "Space Needle", "--prompt", "The {} is in the city of", "--target", "Paris")
QUICK = ("--set", "contexts.lengths=[[4, 2]]", "--set", "moment=null", "--set", "steps=8", "--layer", "1")
SETTINGS = {"layers": [1], "contexts": {"lengths": [[4, 2]]}, "moment": None, "steps": 8}


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str


def calling(app: Callable[[list[str]], object], capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Return what runs an app in this process with some arguments, and tells what came of it."""

    def run(*args: object) -> Ran:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            app([str(arg) for arg in args])
        out, err = capsys.readouterr()
        code = ended.value.code
        return Ran(code if isinstance(code, int) else 0, out, err)

    return run


def process(args: Sequence[object], environment: dict[str, str], folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "obverse", *map(str, args)],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
