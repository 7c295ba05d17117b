"""Negative log-likelihoods, perplexity and greedy text against the original program."""

import math

import pytest
import torch
from tests.golden.conftest import golden, params

from obverse.measuring import likelihoods
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
    ids = torch.tensor([encode(lm.tokenizer, case.get("text") or case["perplexity_text"]).ids])
    assert ids.shape[1] == case["n_tokens"]
    with torch.no_grad():
        logprobs = lm.model(ids).logits[0, :-1].log_softmax(-1).gather(-1, ids[0, 1:, None])
    # The original divides by N, though N - 1 tokens are predicted (rome.md 5.2).
    assert math.exp(-float(logprobs.sum()) / ids.shape[1]) == pytest.approx(case["perplexity"], rel=1e-4)
    greedy = case["greedy"]
    for prompt, expected in zip(greedy["prompts"], greedy["out"], strict=True):
        row = encode(lm.tokenizer, prompt).ids
        (new,) = continuations(lm, [row], greedy["max_out_len"] - len(row))
        ours = lm.tokenizer.decode([*row, *new])
        # We stop at the end token, the original goes on through it.
        assert expected.startswith(ours.strip())
        assert len(new) == greedy["max_out_len"] - len(row) or lm.tokenizer.eos_token_id is not None
