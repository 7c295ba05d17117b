"""What is shipped: a small wheel with all that is read at run time, and a container that is made of what is there."""

import io
import re
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "obverse"
MOST_BYTES = 3_000_000

pytestmark = pytest.mark.skipif(not (ROOT / "pyproject.toml").is_file(), reason="needs a checkout")


@pytest.fixture(scope="module")
def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def test_the_wheel_is_small():
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as wheel:
        for path in SOURCE.rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                wheel.write(path, path.relative_to(SOURCE.parent))
    assert len(packed.getvalue()) < MOST_BYTES


def test_the_extra_all_has_every_other_one(project):
    extras = project["project"]["optional-dependencies"]
    if "all" not in extras:
        pytest.skip("there is no extra of all extras yet")
    [whole] = map(Requirement, extras["all"])
    assert whole.name == "obverse"
    assert whole.extras == set(extras) - {"all"}


def test_every_python_that_is_named_is_allowed(project):
    named = re.findall(r"Python :: (3\.\d+)", " ".join(project["project"]["classifiers"]))
    allowed = Requirement(f"python{project['project']['requires-python']}").specifier
    assert all(allowed.contains(version) for version in named)


def test_the_container_copies_what_is_there_and_runs_the_demo():
    lines = (ROOT / "Dockerfile").read_text("utf-8").replace("\\\n", " ").splitlines()
    copied = [name for line in lines if line.startswith("COPY ") for name in line.split()[1:-1]]
    assert copied
    kept = [line[1:] for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if line.startswith("!")]
    assert set(copied) == set(kept)
    assert all((ROOT / name).exists() for name in copied)
    assert 'ENTRYPOINT ["obverse"]' in lines
    assert 'CMD ["demo"]' in lines
    assert any(line.startswith("USER ") for line in lines)  # not as root
