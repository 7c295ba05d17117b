"""The logit lens: at the last layer it is the model, below it is the model's own norm and head on each state."""

import json
import math
from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from families import DENSE, EXPERTS, LAWLESS, LAYERS, PROBED, UNLISTED_EXPERTS, tiny, tiny_model
from obverse.core import ConfigError, DataError, Fact, ObverseError, UnsupportedModel
from obverse.editing import Edit, LowRank
from obverse.locating import lens as module
from obverse.locating.lens import EMBEDDING, Lens, distance, lens, parting
from obverse.model import LanguageModel, tensor_hash
from obverse.recipes.lens import LensResult, find_token
from tiny_tokenizers import VOCAB, tokenizer

PROMPT = "The Space Needle is in the city of"
EVERY = {**DENSE, **PROBED, **EXPERTS, **UNLISTED_EXPERTS}


def ids_of(lm: LanguageModel, text: str = PROMPT) -> Tensor:
    return torch.tensor([lm.tokenizer(text)["input_ids"]])


def logprobs_of(found: Lens) -> Tensor:
    """Return the whole distributions of a lens that kept every token, (read, depth, vocab)."""
    values = found.top_probabilities.log()
    return torch.full_like(values, math.nan).scatter(-1, found.top_ids, values)


def assert_same(found: Tensor, wanted: Tensor) -> None:
    torch.testing.assert_close(found, wanted, atol=1e-5 * float(wanted.abs().max()), rtol=0)


def is_the_model_at_the_last_layer(lm: LanguageModel) -> None:
    wanted = lm.model(ids_of(lm), use_cache=False).logits[0].log_softmax(-1)
    assert_same(logprobs_of(lens(lm, PROMPT, k=VOCAB))[:, -1], wanted)


@pytest.mark.parametrize("family", EVERY)
def test_the_last_layer_is_the_model(family, tiny_lm):
    is_the_model_at_the_last_layer(tiny_lm(family))


@pytest.mark.parametrize(("family", "like"), [("opt_late_norm", "opt"), ("granite_scaled", "granite")])
def test_a_family_that_does_more_than_add_needs_its_map_by_hand(family, like, tiny_lm):
    with pytest.raises(UnsupportedModel, match="residual law"):
        lens(tiny_lm(family), PROMPT)
    assert family in LAWLESS
    is_the_model_at_the_last_layer(
        LanguageModel(tiny_model(family), tokenizer(), architecture=tiny_lm(like).architecture)
    )


@pytest.mark.parametrize("family", ["gpt2", "llama", "gemma2", "opt_projected", "granite", "cohere"])
def test_every_layer_by_the_formula(family, tiny_lm):
    """Head(norm(state)), written out for each family, on the states that transformers itself hands out."""
    lm = tiny_lm(family)
    model = lm.model
    norm, after_head = {
        "gpt2": (lambda h: model.transformer.ln_f(h), lambda x: x),
        "llama": (lambda h: model.model.norm(h), lambda x: x),
        "gemma2": (lambda h: model.model.norm(h), lambda x: 30 * torch.tanh(x / 30)),
        "opt_projected": (
            lambda h: model.model.decoder.project_out(model.model.decoder.final_layer_norm(h)),
            lambda x: x,
        ),
        "granite": (lambda h: model.model.norm(h), lambda x: x / model.config.logits_scaling),
        "cohere": (lambda h: model.model.norm(h), lambda x: x * model.config.logit_scale),
    }[family]
    # A copy: transformers leaves hooks in a model that was asked for its hidden states.
    states = deepcopy(model)(ids_of(lm), output_hidden_states=True).hidden_states[:-1]  # the last one is normed already
    found = lens(lm, PROMPT, k=VOCAB)
    for depth, state in enumerate(states):
        torch.testing.assert_close(found.states[:, depth], state[0])
        assert_same(logprobs_of(found)[:, depth], after_head(lm.head(norm(state[0]))).log_softmax(-1))


def test_the_numbers_from_the_distributions(tiny_lm):
    lm = tiny_lm("llama")
    found = lens(lm, PROMPT, k=VOCAB, answer=7)
    p = logprobs_of(found).double().exp()
    assert found.probability.allclose(p[..., 7].float())
    assert torch.equal(found.rank, (p > p[..., 7:8]).sum(-1) + 1)
    torch.testing.assert_close(found.entropy, -(p * p.log2()).sum(-1).float())
    final = p[:, -1:]
    kl = (final * (final.log2() - p.log2())).sum(-1).float()
    torch.testing.assert_close(found.kl, kl, atol=1e-5, rtol=1e-5)
    assert torch.equal(found.kl[:, -1], torch.zeros(len(found.positions)))
    assert float(found.kl[:, :-1].min()) > 0
    assert list(found.layers) == list(range(-1, LAYERS))
    assert [token.id for token in found.top(2, EMBEDDING)] == found.top_ids[2, 0].tolist()


N = len(tokenizer()(PROMPT)["input_ids"])


@given(positions=st.lists(st.integers(-N, N - 1), min_size=1, max_size=6), k=st.integers(1, 8))
@settings(max_examples=15, deadline=None)
def test_some_tokens_are_rows_of_all(positions, k, tiny_lm):
    lm = tiny_lm("gemma3")
    every, some = (lens(lm, PROMPT, k, chosen, answer=9) for chosen in (None, positions))
    rows = [position % N for position in positions]
    assert some.positions == tuple(rows)
    for name in ("probability", "entropy", "kl", "top_probabilities"):
        torch.testing.assert_close(getattr(some, name), getattr(every, name)[rows], atol=1e-5, rtol=1e-5)
    assert torch.equal(some.states, every.states[rows])


@pytest.mark.parametrize("tokens_a_batch", [0, 1, 3])
def test_the_size_of_batches_changes_nothing_and_bounds_the_logits(tokens_a_batch, tiny_lm, monkeypatch):
    lm, rows = tiny_lm("gpt2"), list[int]()
    whole, own = lens(lm, PROMPT), module._measure

    def watched(project, states, answer, k):
        rows.append(len(states))
        return own(project, states, answer, k)

    monkeypatch.setattr(module, "_measure", watched)
    monkeypatch.setattr(module, "LOGITS_PER_BATCH", tokens_a_batch * (LAYERS + 1) * VOCAB)
    parts = lens(lm, PROMPT)
    assert sum(rows) == N
    assert max(rows) == max(1, tokens_a_batch)
    assert torch.equal(parts.top_ids, whole.top_ids)
    torch.testing.assert_close(parts.kl, whole.kl, atol=1e-5, rtol=1e-5)


def test_what_follows_a_token_does_not_change_it(tiny_lm):
    lm = tiny_lm("llama")
    shorter, longer = lens(lm, "The Space Needle is", answer=9), lens(lm, PROMPT, answer=9)
    assert longer.token_ids[: len(shorter.token_ids)] == shorter.token_ids
    torch.testing.assert_close(longer.probability[: len(shorter.token_ids)], shorter.probability, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("position", [2, -1])
def test_the_answer_is_what_the_model_says_unless_told(position, tiny_lm):
    lm = tiny_lm("llama")
    own = lens(lm, PROMPT, positions=[position])
    says = int(lm.model(ids_of(lm)).logits[0, position].argmax())
    assert (own.answer_id, own.answer, int(own.rank[0, -1])) == (says, lm.decode([says]), 1)
    told = lens(lm, PROMPT, positions=[position], answer="Paris")
    assert told.answer == lm.decode(lm.tokenizer(" Paris")["input_ids"][:1])
    assert told.answer_id == lens(lm, PROMPT, answer=" Paris").answer_id


def test_an_answer_that_reaches_into_the_prompt_is_said(tiny_lm, caplog):
    found = lens(tiny_lm("llama"), PROMPT + " ", answer="Paris")
    assert found.answer.startswith(" ")
    assert "reaches into the prompt" in caplog.text


def test_the_model_is_as_before(tiny_lm):
    lm = tiny_lm("opt")
    before = lm.model(ids_of(lm)).logits
    names = [name for name, _ in lm.model.named_modules()]
    lens(lm, PROMPT)
    assert torch.equal(lm.model(ids_of(lm)).logits, before)
    assert [name for name, _ in lm.model.named_modules()] == names
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in lm.model.modules())


def test_half_precision(tiny_lm):
    lm = tiny("llama")
    lm.model.to(torch.bfloat16)
    found, wanted = lens(lm, PROMPT), lens(tiny_lm("llama"), PROMPT)
    assert found.probability.dtype == torch.float32
    assert distance(wanted, found).max() < 0.1


def random_edit(lm: LanguageModel, layer: int, size: float = 1.0) -> Edit:
    generator = torch.Generator().manual_seed(3)
    a, name = lm.architecture, lm.architecture.mlp_out(layer)
    left = size * torch.randn(a.hidden, 1, generator=generator)
    delta = LowRank(left, torch.randn(a.inner, 1, generator=generator))
    weights = {name: tensor_hash(lm.weight_of(name))}
    fact = Fact("Space Needle", "The {} is in the city of", "Paris")
    return Edit({name: delta}, (fact,), "test", {}, lm.fingerprint, lm.name, weights, a.transposed)


@pytest.mark.parametrize("layer", range(LAYERS))
def test_an_edit_moves_the_states_above_it_only(layer):
    lm = tiny("gpt2")
    edit, before = random_edit(lm, layer, 3.0), lens(lm, PROMPT)
    with edit.applied(lm):
        after = lens(lm, PROMPT, answer=before.answer_id)
    moved = distance(before, after)
    assert torch.equal(moved[:, : layer + 1], torch.zeros(N, layer + 1))
    assert float(moved[:, layer + 1 :].min()) > 1e-3
    assert set(LensResult(before, after).moves_at) == {layer}
    parts = [part for part in parting(before, after) if part is not None]
    assert parts
    assert min(parts) >= layer
    edit.merge(lm)
    merged = lens(lm, PROMPT, answer=before.answer_id)
    torch.testing.assert_close(merged.states, after.states, atol=1e-4, rtol=1e-4)


@pytest.fixture(scope="module")
def last(tiny_lm) -> Lens:
    return lens(tiny_lm("llama"), PROMPT, positions=[-1])


said = st.lists(st.integers(0, 1), min_size=LAYERS + 1, max_size=LAYERS + 1)


@given(first=said, second=said)
def test_they_part_where_every_later_layer_differs(first, second, last):
    """Against the definition: the first layer that differs and has none after it that does not."""
    top = {"top_probabilities": last.top_probabilities[..., :1]}
    one, other = (replace(last, top_ids=torch.tensor(ids)[None, :, None], **top) for ids in (first, second))
    differ = [a != b for a, b in zip(first, second, strict=True)]
    wanted = next((layer for i, layer in enumerate(last.layers) if all(differ[i:])), None)
    assert parting(one, other) == (wanted,)


def test_frame_and_json_hold_the_same(tiny_lm):
    found = lens(tiny_lm("llama"), PROMPT, k=3, positions=[1, -1])
    frame, record = found.to_frame(), json.loads(json.dumps(found.to_json()))
    assert len(frame) == 2 * (LAYERS + 1)
    cells = [(one, cell) for one in record["readings"] for cell in one["layers"]]
    for (_, row), (one, cell) in zip(frame.iterrows(), cells, strict=True):
        assert (row["position"], row["token"], row["layer"]) == (one["position"], one["token"], cell["layer"])
        assert row["likeliest"] == cell["top"][0]["text"]
        assert row["likeliest_probability"] == cell["top"][0]["probability"]
        assert len(cell["top"]) == 3
        for name in ("probability", "rank", "entropy_bits", "kl_bits"):
            assert row[name] == cell[name]
    assert (record["prompt"], record["answer_id"]) == (PROMPT, found.answer_id)


@pytest.mark.parametrize("ending", ["png", "pdf", "svg"])
def test_figures(ending, tiny_lm, tmp_path):
    pytest.importorskip("matplotlib")
    lm = tiny_lm("llama")
    one, several = lens(lm, PROMPT, positions=[-1]), lens(lm, PROMPT)
    for found in (one, several):
        path = tmp_path / f"lens.{ending}"
        found.plot(path)
        assert path.read_bytes().startswith({"png": b"\x89PNG", "pdf": b"%PDF", "svg": b"<?xml"}[ending])
    with pytest.raises(ConfigError, match="cannot be written as"):
        one.plot(tmp_path / "lens.bmp")


def test_a_heat_map_has_a_word_in_each_cell_and_frames_what_an_edit_changed():
    pytest.importorskip("matplotlib")
    from obverse.core.plotting import visible

    lm = tiny("llama")
    before = lens(lm, PROMPT)
    with random_edit(lm, 0, 3.0).applied(lm):
        after = lens(lm, PROMPT, answer=before.answer_id)
    left, right, _ = before.plot(after=after).axes
    for axes, found in ((left, before), (right, after)):
        words = [text.get_text() for text in axes.texts]
        assert words == [visible(found.texts[token], 10) for token in found.top_ids[..., 0].flatten().tolist()]
    changed = int((before.top_ids[..., 0] != after.top_ids[..., 0]).sum())
    assert changed > 0
    assert (len(left.patches), len(right.patches)) == (0, changed)


def test_lines_hold_the_numbers():
    pytest.importorskip("matplotlib")
    lm = tiny("llama")
    before = lens(lm, PROMPT, positions=[-1])
    with random_edit(lm, 0, 3.0).applied(lm):
        after = lens(lm, PROMPT, positions=[-1], answer=before.answer_id)
    upper, lower = before.plot(after=after).axes
    for line, found in zip(upper.lines, (before, after), strict=False):
        assert list(line.get_xdata()) == list(found.layers)
        assert list(line.get_ydata()) == found.probability[0].tolist()
    assert [list(line.get_ydata()) for line in lower.lines[:2]] == [before.rank[0].tolist(), after.rank[0].tolist()]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"positions": [99]}, "no token 99: the prompt has tokens 0 to"),
        ({"positions": [0, -99, 50]}, "no token -99, 50"),
        ({"positions": []}, "No token was chosen"),
        ({"k": 0}, "at least 1"),
        ({"answer": VOCAB}, f"no token {VOCAB}"),
        ({"answer": ""}, "No token holds the continuation"),
        ({"prompt": ""}, "The prompt is empty"),
        ({"prompt": " \n"}, "The prompt is empty"),
        ({"prompt": PROMPT * 20}, "reads at most 128"),
    ],
)
@pytest.mark.parametrize("family", ["llama", "gpt2", "mpt"])
def test_bad_input_is_one_clear_error(arguments, message, family, tiny_lm):
    with pytest.raises((ConfigError, DataError), match=message) as error:
        lens(tiny_lm(family), **{"prompt": PROMPT, **arguments})
    assert error.value.hint


def test_states_that_are_not_finite():
    lm = tiny("llama")
    lm.architecture  # found while the weights are sound  # noqa: B018
    lm.weight_of(lm.architecture.mlp_out(1)).fill_(math.inf)
    with pytest.raises(UnsupportedModel, match="not finite numbers in float32"):
        lens(lm, PROMPT)


@pytest.mark.parametrize("tokens", ["bpe", "bpe_bos", "metaspace"])
@pytest.mark.parametrize(
    ("wanted", "upto"),
    [
        ("last", PROMPT),
        ("Needle", "The Space Needle"),
        (" Space Needle", "The Space Needle"),
        ("i", "The Space Needle i"),
        ("in", "The Space Needle is in"),
        ("the", "The Space Needle is in the"),
    ],
)
def test_a_text_is_found_at_its_last_token(wanted, upto, tokens, tiny_lm):
    lm = tiny_lm("llama", tokens)
    index = find_token(lm, PROMPT, wanted)
    start, end = lm.tokenizer(PROMPT, return_offsets_mapping=True)["offset_mapping"][index]
    assert start < len(upto) <= end
    assert lens(lm, PROMPT, positions=[index]).positions == (index,)


@pytest.mark.parametrize(("wanted", "index"), [("0", 0), ("3", 3), ("-2", -2)])
def test_a_number_is_an_index(wanted, index, tiny_lm):
    assert find_token(tiny_lm("llama"), PROMPT, wanted) == index


def test_of_a_text_that_occurs_twice_the_first_is_taken_and_said(tiny_lm, caplog):
    lm = tiny_lm("llama")
    text = "This is what it is"
    found = find_token(lm, text, "is")
    assert text[: lm.tokenizer(text, return_offsets_mapping=True)["offset_mapping"][found][1]] == "This is"
    assert "'is' occurs 2 times in the prompt; the first is taken." in caplog.text


@pytest.mark.parametrize("wanted", ["Tower", "", "needle"])
def test_a_text_that_is_not_in_the_prompt(wanted, tiny_lm):
    with pytest.raises(ObverseError, match="The prompt has no") as error:
        find_token(tiny_lm("llama"), PROMPT, wanted)
    assert "Space Needle" in error.value.hint


@pytest.mark.real_model
def test_a_real_model_finds_the_city_in_its_upper_layers():
    lm = LanguageModel.load("gemma-3-270m")
    found = lens(lm, PROMPT, positions=[-1])
    assert found.answer == " Seattle"
    assert found.rank[0].tolist()[-6:] == [1] * 6
    assert int(found.rank[0, :10].min()) > 1000
    assert found.top(found.positions[0], 12)[1].text == " Spokane"
