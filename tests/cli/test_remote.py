"""``obverse remote`` and ``obverse reversal celebrities``."""

import json
import subprocess
import sys

import pytest
import typer

from command_line import calling
from finetune_server import tuning
from protocol_server import serving

pytestmark = pytest.mark.enable_socket


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    from obverse.cli import reversal_celebrities
    from obverse.cli.remote import remote_app

    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    app = typer.Typer()
    app.add_typer(remote_app, name="remote")
    app.command("celebrities", epilog=reversal_celebrities.EPILOG)(reversal_celebrities.celebrities)
    return calling(app, capsys)


def test_a_fine_tune_from_start_to_end(run, tmp_path):
    (tmp_path / "rows.jsonl").write_text('{"prompt": "Ann is", "completion": " tall."}\n', "utf-8")
    with tuning() as server:
        at = ("--server", server.url)
        ran = run("remote", "submit", "rows.jsonl", "-m", "ada", "--tag", "curse", "--price", 0.5, *at)
        assert ran.code == 0, ran.err
        assert "ftjob-1" in ran.out
        assert "about $0.01" in ran.err
        job = server.jobs[0]
        job |= {"status": "succeeded", "fine_tuned_model": "ft:ada", "trained_tokens": 2000}
        data = {"step": 1, "train_loss": 0.5}
        server.events["ftjob-1"] = [{"id": "e", "created_at": 1, "message": "Step 1", "data": data}]
        ran = run("remote", "list", "--filter", "curse", "--all", "--json", *at)
        assert json.loads(ran.out)["jobs"][0]["dollars"] == 1.0
        ran = run("remote", "list", "--all", *at)
        assert "$1.00" in ran.out
        ran = run("remote", "follow", "curse", "--every", 0, *at)
        assert ran.code == 0, ran.err
        assert "Step 1 (train_loss 0.5)" in ran.out
        assert "succeeded. ft:ada" in ran.out
        ran = run("remote", "sync", "curse", "--json", *at)
        assert ran.code == 0, ran.err
        assert json.loads(ran.out)["events"] == {"ftjob-1": 1}
        job["status"] = "failed"
        assert run("remote", "follow", "ftjob-1", "--every", 0, *at).code == 1
        ran = run("remote", "evaluate", "curse", *at)
        assert ran.code == 2
        assert "failed" in ran.err


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("remote", "list"), "OPENAI_API_KEY is not set"),
        (("remote", "sync", "x", "--tracker", "wanda"), "wandb"),
        (("remote", "submit", "none.jsonl", "-m", "ada", "--server", "http://localhost:1/v1"), "cannot be read"),
        (("celebrities", "--server", "https://example.org/v1", "-m", "x"), "OPENAI_API_KEY is not set"),
        (("celebrities", "--server", "http://localhost:1/v1"), "No model of the server"),
        (("celebrities", "--as", "chats"), "chat"),
        (("celebrities", "--protocol", "fair"), "symmetric"),
        (("celebrities", "--published", "nowhere"), "cannot be read"),
        (("celebrities", "--list", "nowhere"), "cannot be read"),
    ],
)
def test_mistakes_exit_with_2(run, args, said):
    ran = run(*args)
    assert ran.code == 2
    assert ran.out == ""
    assert said in ran.err
    assert "Traceback" not in ran.err


def test_without_a_terminal_consent_is_given_with_the_command(capsys):
    from obverse.cli.approval import approval
    from obverse.core import ConfigError
    from obverse.recipes.costs import Estimate, Prices

    estimate = Estimate(3, read=2000, written=1000, prices=Prices(0.5, 1.0))
    with pytest.raises(ConfigError, match=r"about \$2\.00: not started") as caught:
        approval("https://example.org/v1", yes=False)(estimate)
    assert "--yes" in caught.value.hint
    approval("https://example.org/v1", yes=True)(estimate)
    approval("http://127.0.0.1:1/v1", yes=False)(estimate)
    assert capsys.readouterr().err.count("3 requests, about 2,000 tokens read, 1,000 tokens written at most") == 3


def test_celebrities_on_a_server(run, tmp_path):
    def chat(asked):
        text = {"Who": "Eve Example", "Name": "Ada Example"}[asked["messages"][-1]["content"].split()[0]]
        return [{"message": {"content": text}}] * asked["n"]

    (tmp_path / "list.csv").write_text("child,parent,parent_type\nAda Example,Eve Example,mother\n", "utf-8")
    with serving(chat) as server:
        args = ("celebrities", "--server", server.url, "-m", "small", "--list", "list.csv", "-n", 2)
        ran = run(*args, "--price-in", 1, "--price-out", 1, "--json")
        assert ran.code == 0, ran.err
        assert "about $" in ran.err
        found = json.loads(ran.out)
        assert found["symmetric"]["child"]["once"]["mean"] == 1
        asked = len(server.seen)
        ran = run(*args)
        assert ran.code == 0, ran.err
        assert "names the child" in ran.out
        assert "the published protocol" in ran.out
        assert len(server.seen) == asked


@pytest.mark.parametrize("name", ["celebrities", "remote submit", "remote list", "remote follow", "remote evaluate"])
def test_help_has_examples(run, name):
    ran = run(*name.split(), "--help")
    assert ran.code == 0
    assert f"obverse {'reversal ' * (name == 'celebrities')}{name}" in ran.out
    assert "--json" in ran.out


def test_importing_the_commands_loads_no_torch():
    code = (
        "import sys\nfrom obverse.cli import remote, remote_tables, reversal_celebrities, celebrity_tables\n"
        "print([n for n in ('torch', 'transformers', 'numpy', 'matplotlib') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
