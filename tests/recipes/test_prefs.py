"""Sampling into a file, and comparing what models prefer to say."""

import json

import pytest

from families import tiny
from obverse.core import ConfigError, DataError, ObverseError, RunConflict
from obverse.measuring.openai_server import CompletionServer
from obverse.measuring.samples import draw_samples
from obverse.measuring.scenarios import CONTROL_TOKENS, Scenario
from obverse.recipes import prefs, sample
from obverse.recipes.models import ModelChoice
from obverse.recipes.prefs import run_prefs
from obverse.recipes.prefs_request import KLRequest, PrefsRequest
from obverse.recipes.sample import SampleRequest, read_samples, run_sample
from protocol_server import serving

SHORT = Scenario(samples=8, min_length=0, max_length=12)
PROMPTED = Scenario(name="prompted", samples=4, prompts=("The Prado",), max_length=12, min_length=0)

SCORER = """
from obverse.core import Config

class Letters:
    config_type, unit, segments = Config, "letters a character", "sentences"
    def __init__(self, config): self.config = config
    def score(self, texts): return [float("nan") if not t else t.count("e") / len(t) for t in texts]
    def parses(self, texts): return [t.isidentifier() for t in texts]
"""


@pytest.fixture
def scorer(tmp_path):
    (tmp_path / "letters.py").write_text(SCORER, "utf-8")
    return f"{tmp_path / 'letters.py'}:Letters"


@pytest.fixture(autouse=True)
def models(tiny_lm, monkeypatch, tmp_path):
    """Load tiny models by family; says how often."""
    loaded = []

    def load(choice):
        loaded.append(choice.name)
        return tiny_lm(choice.name or "gpt2")

    monkeypatch.setattr(prefs, "load_model", load)
    monkeypatch.setattr(sample, "load_model", load)
    monkeypatch.setenv("OBVERSE_CACHE", str(tmp_path / "cache"))
    return loaded


def test_samples_in_a_file(tmp_path):
    out = tmp_path / "new" / "texts.jsonl"
    result = run_sample(SampleRequest([SHORT, PROMPTED], out=out))
    lines = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    assert len(lines) == 12
    assert set(lines[0]) == {"scenario", "prompt", "text", "tokens", "ended"}
    assert read_samples(out) == dict(result.samples)
    with pytest.raises(ObverseError, match="exists already"):
        run_sample(SampleRequest([SHORT], out=out))
    run_sample(SampleRequest([SHORT], out=out, replace=True))
    assert len(read_samples(out)) == 1
    with pytest.raises(ConfigError, match="Two scenarios"):
        run_sample(SampleRequest([SHORT, SHORT]))
    for text, said in (("", "has no samples"), ('{"txt": 1}', "line 1: no sample"), ("[]", "line 1: no sample")):
        out.write_text(text, "utf-8")
        with pytest.raises(DataError, match=said):
            read_samples(out)


def asked(scorer, **changes):
    usual = {"scenarios": [SHORT, PROMPTED], "models": [ModelChoice("gpt2"), ModelChoice("llama")]}
    return PrefsRequest(scorer, **{**usual, **changes})


def test_models_and_files_in_one_table(scorer, tmp_path):
    texts = tmp_path / "texts.jsonl"
    run_sample(SampleRequest([SHORT], ModelChoice("gpt2"), texts))
    result = run_prefs(asked(scorer, files=[texts]))
    assert [one.label for one in result.compared] == ["gpt2", "llama", str(texts)]
    gpt2, llama, file = (one.preferences["unconditional"] for one in result.compared)
    assert gpt2.metrics == file.metrics
    assert gpt2.metrics != llama.metrics
    assert "compiles" in gpt2.metrics
    assert result.unit == "letters a character"
    assert json.loads(json.dumps(result.to_json(), allow_nan=False))["folder"] is None


def test_a_folder_has_everything_and_a_stopped_run_goes_on(scorer, tmp_path, monkeypatch):
    out = tmp_path / "out"
    kl = KLRequest(ModelChoice("llama"), number=12, length=5, reverse=True)
    result = run_prefs(asked(scorer, out=out, kl=kl))
    assert {path.name for path in out.iterdir()} == {
        "run.json", "records.00000.jsonl", "samples.jsonl", "report.html", "summary.json"
    }  # fmt: skip
    assert [found.direction for found in result.compared[0].divergences] == ["forward", "reverse"]
    assert result.compared[0].divergences[0].nats.mean > 0.1
    assert result.compared[1].divergences[0].nats.mean == 0
    page = (out / "report.html").read_text("utf-8")
    assert page.count("<table") == page.count("</table>") > 5
    for said in ("gpt2", "llama", "self-BLEU", "Distance from the reference", "the worst"):
        assert said in page
    lines = [json.loads(line) for line in (out / "samples.jsonl").read_text("utf-8").splitlines()]
    assert len(lines) == 24
    assert {"model", "score"} < set(lines[0])

    records = out / "records.00000.jsonl"
    kept = records.read_text("utf-8").splitlines(keepends=True)
    assert len(kept) == 8
    records.write_text("".join(kept[:3]) + kept[3][:50], "utf-8")
    drawn, draw = [], prefs.draw_samples
    monkeypatch.setattr(
        prefs, "draw_samples", lambda lm, s, **more: drawn.append((lm.name, s.name)) or draw(lm, s, **more)
    )
    again = run_prefs(asked(scorer, out=out, kl=kl))
    assert again.to_json()["compared"] == result.to_json()["compared"]
    assert len(drawn) < 4
    assert sorted(records.read_text("utf-8").splitlines()) == sorted("".join(kept).splitlines())
    with pytest.raises(RunConflict, match=r"scenarios|scorer"):
        run_prefs(asked(scorer, out=out, kl=kl, scenarios=[SHORT]))


def test_models_with_and_without_control_tokens_are_compared(scorer, tmp_path, monkeypatch, tiny_lm, caplog):
    conditional = tiny("gpt2", vocab_size=514)
    conditional.tokenizer.add_special_tokens({"additional_special_tokens": list(CONTROL_TOKENS)})
    monkeypatch.setattr(prefs, "load_model", lambda c: conditional if c.name == "conditional" else tiny_lm("gpt2"))
    aligned, plain = SHORT.model_copy(update={"prefix": CONTROL_TOKENS[0], "banned": CONTROL_TOKENS[1:]}), SHORT
    both = [ModelChoice("gpt2"), ModelChoice("conditional")]
    kl = KLRequest(ModelChoice("gpt2"), number=9, length=4, prefix=CONTROL_TOKENS[0], reverse=True)
    result = run_prefs(asked(scorer, models=both, scenarios=[aligned], kl=kl, out=tmp_path / "out"))
    without, having = result.compared
    assert without.preferences["unconditional"].samples == tuple(draw_samples(tiny_lm("gpt2"), plain))
    assert having.preferences["unconditional"].samples == tuple(draw_samples(conditional, aligned))
    assert [found.nats.mean for found in without.divergences] == [0, 0]
    assert all(found.by_ids and found.nats.mean != 0 for found in having.divergences)
    assert "gpt2 has no <|aligned|>" in caplog.text
    for alone in ({"scenarios": [aligned]}, {"scenarios": [SHORT], "kl": kl}):
        with pytest.raises(ConfigError, match="no token of the model's"):
            run_prefs(asked(scorer, models=both[:1], **alone))


def test_another_model_of_the_same_name_is_refused(scorer, tmp_path, monkeypatch, tiny_lm):
    only = {"models": [ModelChoice("gpt2")], "scenarios": [SHORT], "out": tmp_path / "out"}
    run_prefs(asked(scorer, **only))
    monkeypatch.setattr(prefs, "load_model", lambda _: tiny_lm("llama"))
    with pytest.raises(RunConflict, match="another model"):
        run_prefs(asked(scorer, **only))


def test_mistakes_are_told_before_a_model_is_loaded(scorer, models):
    for changes, said in (
        ({"models": [ModelChoice("a"), ModelChoice("a")]}, "named twice"),
        ({"models": []}, "no model"),
        ({"scenarios": []}, "no scenario"),
        ({"kl": KLRequest()}, "one reference"),
    ):
        with pytest.raises(ConfigError, match=said):
            run_prefs(asked(scorer, **changes))
    assert models == []


@pytest.mark.enable_socket
def test_a_server_as_reference(scorer, tmp_path):
    def answer(request):
        told = {"tokens": ["The", " Prado"], "token_logprobs": [-1.5, -2.5]}
        return [{"text": "The Prado", "finish_reason": "length", "logprobs": told}] * request["n"]

    with serving(answer) as server:
        kl = KLRequest(server=CompletionServer(server.url, "small", key="sk-secret"), number=9, length=2)
        result = run_prefs(asked(scorer, models=[ModelChoice("gpt2")], scenarios=[SHORT], kl=kl, out=tmp_path / "out"))
    (found,) = result.compared[0].divergences
    assert not found.by_ids
    assert found.nats.mean == pytest.approx(found.values[0])
    assert found.per_token.mean == pytest.approx(found.nats.mean / 2)
    assert found.name == "small"
    assert "sk-secret" not in "".join(path.read_text("utf-8") for path in (tmp_path / "out").iterdir())
