"""Negative log-likelihoods, perplexity and greedy text against the original program."""

import pytest
from tests.golden.conftest import golden, params

from obverse.measuring import likelihoods, perplexity
from obverse.measuring.generation import continuations
from obverse.model.tokens import encode

NLL = golden("nll") or {"tiny": [], "smollm2": None}
GROUPS = {group["name"]: group for group in [*NLL["tiny"], *([NLL["smollm2"]] if NLL["smollm2"] else [])]}
GENERATED = (golden("perplexity_generation") or {"cases": []})["cases"]
TEXTS = {f"{i}-{case['model']}": case for i, case in enumerate(GENERATED)}
TEXTS |= {name: group for name, group in GROUPS.items() if "perplexity_text" in group}


@pytest.mark.parametrize("name", params("nll", [(name, group["model"]) for name, group in GROUPS.items()]))
def test_nll_per_token(name, golden_model):
    group = GROUPS[name]
    lm = golden_model(group["model"])
    for case in group["cases"]:
        for key in ("target_new", "target_true"):
            found = likelihoods(lm, [(prefix, case[key].strip()) for prefix in case["prefixes"]])
            expected = [out[key] for out in case["out"]]
            assert [-f.mean for f in found] == pytest.approx(expected, abs=1e-4, rel=1e-4)


@pytest.mark.parametrize("name", params("perplexity_generation", [(n, c["model"]) for n, c in TEXTS.items()]))
def test_perplexity_and_greedy_text(name, golden_model):
    case = TEXTS[name]
    lm = golden_model(case["model"])
    text = case.get("text") or case["perplexity_text"]
    assert len(encode(lm.tokenizer, text).ids) == case["n_tokens"]
    assert perplexity(lm, text, per_token=True) == pytest.approx(case["perplexity"], rel=1e-4)
    for limit in (int(key.removeprefix("perplexity_max")) for key in case if key.startswith("perplexity_max")):
        short = perplexity(lm, text, limit, per_token=True)
        assert short == pytest.approx(case[f"perplexity_max{limit}"], rel=1e-4)
    greedy = case["greedy"]
    for prompt, expected in zip(greedy["prompts"], greedy["out"], strict=True):
        row = encode(lm.tokenizer, prompt).ids
        (new,) = continuations(lm, [row], greedy["max_out_len"] - len(row))
        ours = lm.tokenizer.decode([*row, *new])
        # We stop at the end token, the original goes on through it.
        assert expected.startswith(ours.strip())
        assert len(new) == greedy["max_out_len"] - len(row) or lm.tokenizer.eos_token_id is not None
