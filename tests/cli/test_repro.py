"""``obverse repro`` on the command line."""

import json

from typer.testing import CliRunner

from obverse.cli.repro import repro_app


def test_the_papers_setting_as_json() -> None:
    result = CliRunner().invoke(repro_app, ["phf", "--preset", "gpu", "--json"])
    assert result.exit_code == 0
    assert any("--task pii --method conditional" in line for line in json.loads(result.stdout)["commands"])


def test_mistakes_end_with_2() -> None:
    for given, words in (
        (["phf", "--preset", "huge"], "huge"),
        (["phf", "--only", "claim7"], "claim7"),
        (["phf", "--preset", "smoke", "--only", "claim2"], "leaves claim2 out"),
        (["phf", "--set", "nonsense=1"], "nonsense"),
        (["phf-pep8", "--violations", "none"], "none"),
    ):
        result = CliRunner().invoke(repro_app, given)
        assert result.exit_code == 2
        assert words in result.output


def test_mistakes_about_the_reversal_curse_end_with_2() -> None:
    for given, words in (
        (["reversal", "--preset", "huge"], "huge"),
        (["reversal", "--only", "claim7"], "claim7"),
        (["reversal", "--preset", "smoke", "--set", "training.max_steps=4"], "max_steps"),
    ):
        result = CliRunner().invoke(repro_app, given)
        assert result.exit_code == 2
        assert words in result.output
