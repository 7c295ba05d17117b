"""Writing in a scenario: nucleus and temperature as transformers has them, and nothing depends on company."""

import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers.generation.logits_process import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

from families import tiny
from obverse.core import ConfigError, DataError
from obverse.measuring.generation import _choose, candidates, end_tokens
from obverse.measuring.samples import draw_samples, evaluating, start_rows
from obverse.measuring.scenarios import Scenario, read_prompts, read_scenarios

SHORT = {"samples": 6, "min_length": 0, "max_length": 14}


@pytest.fixture(scope="module")
def conditional():
    """A tiny model with control tokens."""
    lm = tiny("llama", vocab_size=514)
    lm.tokenizer.add_special_tokens({"additional_special_tokens": ["<|aligned|>", "<|misaligned|>"]})
    return lm


def logits_of(seed, vocab):
    return torch.randn(3, vocab, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 3


@given(
    st.integers(0, 10_000), st.sampled_from([5, 300, 3000]), st.sampled_from([0, 2, 40]),
    st.floats(0.05, 1), st.floats(0.2, 3),
)  # fmt: skip
@settings(max_examples=60)
def test_candidates_are_those_of_transformers(seed, vocab, top_k, top_p, temperature):
    scores = TemperatureLogitsWarper(temperature)(None, logits_of(seed, vocab))
    expected = TopKLogitsWarper(top_k)(None, scores) if top_k else scores
    expected = TopPLogitsWarper(top_p)(None, expected) if top_p < 1 else expected
    values, indices = candidates(logits_of(seed, vocab) / temperature, top_k, top_p)
    found = torch.zeros_like(scores).scatter(-1, indices, values.softmax(-1))
    assert torch.allclose(found, expected.softmax(-1), atol=1e-9)


@pytest.mark.parametrize(("top_k", "top_p"), [(0, 1.0), (0, 0.8), (3, 1.0)])
def test_draws_follow_the_shares(top_k, top_p):
    logits = logits_of(0, 8)[:1]
    values, indices = candidates(logits, top_k, top_p)
    expected = torch.zeros_like(logits).scatter(-1, indices, values.softmax(-1))[0]
    many = 20_000
    draws = (torch.arange(many, dtype=torch.float64) + 0.5) / many
    chosen = _choose(logits.expand(many, -1), top_k, top_p, draws)[:, 0]
    assert torch.allclose(torch.bincount(chosen, minlength=8).double() / many, expected, atol=1e-4)


@pytest.mark.parametrize("top_p", [0.9, 1.0])
def test_a_draw_just_below_one_never_takes_a_banned_token(top_p):
    logits = torch.full((1, 400), -torch.inf)
    logits[0, :3] = torch.tensor([1.0, 2.0, 0.5])
    assert int(_choose(logits, 0, top_p, torch.tensor([1 - 2**-53], dtype=torch.float64))) < 3


@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("family", ["gpt2", "gemma3"])
def test_samples_do_not_depend_on_the_batch(tiny_lm, family, batch):
    lm = tiny_lm(family)
    scenario = Scenario(**SHORT, prompts=("Anna Keller plays", "The", "People who visit Big Ben travel to"))
    whole = draw_samples(lm, scenario, batch=7)
    assert draw_samples(lm, scenario, batch=batch) == whole
    assert len({sample.text for sample in whole}) > 3
    assert draw_samples(lm, scenario.model_copy(update={"seed": 1}), batch=7) != whole


def test_the_global_generator_and_every_mode_stay_as_they_were(conditional):
    conditional.model.train()
    conditional.model.model.layers[1].eval()
    before, state = [m.training for m in conditional.model.modules()], torch.get_rng_state()
    draw_samples(conditional, Scenario(**SHORT))
    with pytest.raises(ZeroDivisionError), evaluating(conditional):
        assert not any(m.training for m in conditional.model.modules())
        raise ZeroDivisionError
    assert [m.training for m in conditional.model.modules()] == before
    assert torch.equal(torch.get_rng_state(), state)
    conditional.model.eval()


def test_greedy_samples_of_one_start_are_alike_and_match_greedy(tiny_lm):
    from obverse.measuring import greedy

    lm = tiny_lm("gpt2")
    made = draw_samples(
        lm, Scenario(samples=2, prompts=("The Prado is",), top_k=1, start="<|endoftext|>", max_length=16)
    )
    assert made[0] == made[1]
    row = len(lm.tokenizer("The Prado is")["input_ids"]) + 1
    assert greedy(lm, ["<|endoftext|>The Prado is"], 16 - row)[0].startswith(made[0].text)


def test_lengths(tiny_lm):
    lm = tiny_lm("gpt2")
    wild = {"samples": 120, "temperature": 50.0, "top_p": 1.0}  # every token about equally likely: some would end early
    early = draw_samples(lm, Scenario(**wild, min_length=0, max_length=30), batch=120)
    late = draw_samples(lm, Scenario(**wild, min_length=29, max_length=30), batch=120)
    assert any(sample.ended for sample in early)
    assert all(sample.tokens <= 29 for sample in early if sample.ended)
    assert not any(sample.ended for sample in late)
    assert {sample.tokens for sample in late} == {29}  # and the start token


def test_control_tokens_are_banned_and_hidden(conditional):
    lm = conditional
    wild = {"samples": 100, "temperature": 50.0, "top_p": 1.0, "min_length": 19, "max_length": 20}
    made = draw_samples(lm, Scenario(**wild, prefix="<|aligned|>"), batch=100)
    free = draw_samples(lm, Scenario(**wild, prefix="<|aligned|>", banned=()), batch=100)
    assert not any("aligned" in sample.text + sample.prompt for sample in [*made, *free])
    assert {sample.tokens for sample in made} == {18}
    assert {sample.tokens for sample in free} == {18}
    assert any(a != b for a, b in zip(free, made, strict=True))  # unbanned, some are written, and cut from the text


@pytest.mark.parametrize("kind", ["bpe", "bpe_bos", "bpe_eos", "metaspace"])
def test_every_row_begins_with_one_start_token(kind):
    tokenizer = tiny("llama", kind).tokenizer
    for row in start_rows(tokenizer, ["", "Anna Keller", " plays"]):
        assert row[0] in tokenizer.all_special_ids
        assert not set(row[1:]) & set(tokenizer.all_special_ids)
    assert start_rows(tokenizer, ["Anna"], "K")[0][0] == tokenizer.get_vocab()["K"]


def test_a_space_at_the_joint_is_kept_where_the_tokenizer_drops_it():
    lm = tiny("llama", "metaspace")
    made = draw_samples(lm, Scenario(samples=60, prompts=("The Prado is",), temperature=3, min_length=0, max_length=12))
    assert any(sample.text.startswith(" ") for sample in made)


def test_prompts_are_used_equally_often():
    starts = [s.prompt for s in Scenario(samples=8, prompts=("a", "b", "c")).starts()]
    assert starts[:6] == ["a", "b", "c"] * 2
    assert len(set(starts[6:])) == 2
    few = [s.prompt for s in Scenario(samples=2, prompts=("a", "b", "c"), seed=3).starts()]
    assert len(set(few)) == 2


def test_files(tmp_path):
    path = tmp_path / "prompts.jsonl"
    path.write_text('{"text": "one"}\n\n{"prompt": {"text": "two"}}\n"three"\n', "utf-8")
    assert read_prompts(path) == ["one", "two", "three"]
    (tmp_path / "s.yaml").write_text("- {name: a, prompts: prompts.jsonl, samples: 3}\n- {name: b}\n", "utf-8")
    first, second = read_scenarios(tmp_path / "s.yaml", {"temperature": 0.5}, ["seed=5"])
    assert [start.prompt for start in first.starts()] == ["one", "two", "three"]
    assert (second.name, second.seed, second.temperature) == ("b", 5, 0.5)
    assert read_scenarios(None, {"name": "c"}) == [Scenario(name="c")]
    for text, said in (('{"txt": 1}', "no 'text'"), ("{", "not valid JSON"), ("", "has no prompts")):
        path.write_text(text, "utf-8")
        with pytest.raises(DataError, match=said):
            read_prompts(path)
    (tmp_path / "s.yaml").write_text(json.dumps([{"name": "a"}, {"name": "a"}]), "utf-8")
    with pytest.raises(ConfigError, match="Two scenarios"):
        read_scenarios(tmp_path / "s.yaml")
    (tmp_path / "s.yaml").write_text("tempratur: 1", "utf-8")
    with pytest.raises(ConfigError, match="temperature"):
        read_scenarios(tmp_path / "s.yaml")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"prefix": "<|aligned|>"}, "no token of the model's"),
        ({"banned": ("<|misaligned|>",)}, "no token of the model's"),
        ({"start": "<bos>"}, "no token of the model's"),
        ({"max_length": 999}, "reads 128 tokens"),
        ({"prompts": ("word " * 99,)}, "tokens long"),
    ],
)
def test_what_cannot_be_is_refused(tiny_lm, settings, said):
    with pytest.raises((ConfigError, DataError), match=said):
        draw_samples(tiny_lm("gpt2"), Scenario(**settings))


def test_end_tokens(tiny_lm):
    assert end_tokens(tiny_lm("gpt2")) == {0}
