"""A trace as a value: windows, roles, effects, the file."""

import json
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from obverse.core import DataError, EditMismatch, Fact, ObverseError
from obverse.locating.noise import Noise
from obverse.locating.trace import ROLES, TRACE_KINDS, CausalTrace, roles_of, window_of
from obverse.locating.tracing import Skipped, TraceConfig, first_token, trace_all
from obverse.model.tokens import encode

FACT = Fact("Space Needle", "The {} is located in the city of", target="Seattle")
NOISE = Noise("0.5", "normal", 0.5)


@pytest.fixture(scope="module")
def trace(tiny_lm):
    (found,) = trace_all(tiny_lm("gpt2"), [FACT], TraceConfig(kinds=TRACE_KINDS, samples=2, window=2), noise=NOISE)
    assert isinstance(found, CausalTrace)
    return found


@given(st.integers(1, 40), st.integers(1, 60), st.data())
def test_windows_are_those_of_the_reference(n_layers, window, data):
    layer = data.draw(st.integers(0, n_layers - 1))
    found = window_of(layer, window, n_layers)
    # rome.md 1.4: max(0, l - floor(w/2)) .. min(L, l + ceil(w/2)) - 1
    assert list(found) == [i for i in range(n_layers) if layer - window // 2 <= i <= layer + -(-window // 2) - 1]


def test_a_window_of_ten_reaches_five_down_and_four_up():
    assert list(window_of(12, 10, 30)) == list(range(7, 17))
    assert list(window_of(2, 10, 30)) == list(range(7))
    assert list(window_of(29, 10, 30)) == list(range(24, 30))


@given(st.integers(1, 12), st.data())
def test_roles_cover_every_token_from_the_subject_on(tokens, data):
    b = data.draw(st.integers(0, tokens - 1))
    e = data.draw(st.integers(b + 1, tokens))
    found = roles_of(range(b, e), tokens)
    assert tuple(found) == ROLES
    assert {token for role in found.values() for token in role} == set(range(b, e)) | set(range(e, tokens)) | {
        tokens - 1
    }
    assert list(found["first subject token"]) == [b]
    assert list(found["last subject token"]) == [e - 1]
    assert list(found["last token"]) == [tokens - 1]
    assert list(found["middle subject tokens"]) == list(range(b + 1, e - 1))
    assert list(found["further tokens"]) == list(range(e + 1, tokens - 1))
    assert list(found["first subsequent token"]) == ([e] if e < tokens else [])


def test_effects(trace):
    assert trace.total_effect == pytest.approx(trace.clean - trace.corrupted)
    assert trace.kinds == TRACE_KINDS
    # The last block's output at the last token is all that the answer is made of.
    assert float(trace.indirect_effect("hidden")[-1, -1]) == pytest.approx(trace.total_effect, rel=1e-4)
    assert float(trace.indirect_effect("hidden")[-2, -1]) == pytest.approx(0, abs=1e-7)
    assert trace.n_layers == 3
    assert trace.role(0) is None
    assert [trace.role(t) for t in (trace.subject.stop - 1, len(trace.tokens) - 1)] == [
        "last subject token",
        "last token",
    ]


def test_strongest_sites_are_the_largest_cells(trace):
    found = trace.strongest(7, "mlp")
    effects = trace.indirect_effect("mlp")
    assert [one.indirect_effect for one in found] == pytest.approx(sorted(effects.flatten().tolist())[::-1][:7])
    for one in found:
        assert float(effects[one.position, one.layer]) == pytest.approx(one.indirect_effect)
        assert one.probability == pytest.approx(one.indirect_effect + trace.corrupted, abs=1e-6)
        assert one.token == trace.tokens[one.position]
    assert max(one.indirect_effect for one in trace.strongest(3)) == pytest.approx(
        max(float(trace.indirect_effect(kind).max()) for kind in trace.kinds)
    )


def test_the_frame_has_a_row_a_cell(trace):
    frame = trace.to_frame()
    assert len(frame) == len(TRACE_KINDS) * len(trace.tokens) * trace.n_layers
    row = frame[(frame.kind == "attn") & (frame.position == 3) & (frame.layer == 1)].iloc[0]
    assert row.probability == pytest.approx(float(trace.restored["attn"][3, 1]))
    assert row.indirect_effect == pytest.approx(row.probability - trace.corrupted)
    assert row.role == trace.role(3)


def test_by_role_is_the_mean_over_tokens(trace):
    found = trace.by_role("hidden")
    effects, tokens = trace.indirect_effect("hidden"), trace.roles["further tokens"]
    torch.testing.assert_close(found[ROLES.index("further tokens")], effects[tokens.start : tokens.stop].mean(0))


def test_saved_and_read_again(trace, tmp_path, tiny_lm):
    path = trace.save(tmp_path / "deep" / "trace.safetensors")
    again = CausalTrace.load(path, tiny_lm("gpt2"))
    assert again.to_json() == trace.to_json()
    assert [p.name for p in path.parent.iterdir()] == ["trace.safetensors"]


def test_a_trace_of_another_model_is_refused(trace, tmp_path, tiny_lm):
    path = trace.save(tmp_path / "trace.safetensors")
    with pytest.raises(EditMismatch) as caught:
        CausalTrace.load(path, tiny_lm("llama"))
    for lm in (tiny_lm("gpt2"), tiny_lm("llama")):
        assert str(lm.fingerprint) in caught.value.message


def test_a_newer_format_is_refused(trace, tmp_path):
    path = trace.save(tmp_path / "trace.safetensors")
    save_file(load_file(path), path, {"obverse_trace": "2", "trace": "{}"})
    with pytest.raises(DataError, match="format 2"):
        CausalTrace.load(path)


@pytest.mark.parametrize("content", [b"", b"not a tensor", b"\xff" * 64])
def test_other_files_are_refused(tmp_path, content):
    (path := tmp_path / "x.safetensors").write_bytes(content)
    with pytest.raises(DataError, match="cannot be read"):
        CausalTrace.load(path)


def test_missing_foreign_and_damaged_files_are_refused(trace, tmp_path):
    with pytest.raises(DataError, match="no file"):
        CausalTrace.load(tmp_path / "none.safetensors")
    save_file({"x": torch.zeros(1)}, foreign := tmp_path / "foreign.safetensors")
    with pytest.raises(DataError, match="no trace"):
        CausalTrace.load(foreign)
    record = trace.to_json(tables=False)
    del record["answer"]
    save_file({}, damaged := tmp_path / "damaged.safetensors", {"obverse_trace": "1", "trace": json.dumps(record)})
    with pytest.raises(DataError, match="damaged"):
        CausalTrace.load(damaged)


def test_a_full_disk_leaves_nothing(trace, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("obverse.locating._file.save_file", full)
    with pytest.raises(ObverseError, match="No space"):
        trace.save(tmp_path / "trace.safetensors")
    assert not list(tmp_path.iterdir())


def test_the_answer_followed_is_the_models_own_or_the_one_given(tiny_lm):
    lm = tiny_lm("gpt2")
    config = TraceConfig(kinds=("hidden",), samples=1)
    wanted = first_token(lm, FACT)
    own, given = trace_all(lm, [FACT, FACT], config, follow=[None, wanted], noise=NOISE)
    assert isinstance(own, CausalTrace)
    assert isinstance(given, CausalTrace)
    logits = lm.model(input_ids=torch.tensor([own.token_ids])).logits[0, -1]
    assert own.answer_id == int(logits.argmax())
    assert own.clean == pytest.approx(float(logits.softmax(-1).max()), rel=1e-5)
    assert given.answer_id == wanted != own.answer_id
    assert given.clean == pytest.approx(float(logits.softmax(-1)[wanted]), rel=1e-5)


def test_facts_are_skipped_with_their_reasons(tiny_lm):
    lm = tiny_lm("gpt2")
    config = TraceConfig(kinds=("hidden",), samples=1)
    (own,) = trace_all(lm, [FACT], config, noise=NOISE)
    assert isinstance(own, CausalTrace)
    right = replace(FACT, target=own.answer)
    long = Fact("Space Needle", "The {} " + "is big and " * 60, target="x")
    assert len(encode(lm.tokenizer, long.text).ids) > 128
    found = trace_all(lm, [FACT, right, long], config, expect=True, noise=NOISE)
    assert isinstance(found[1], CausalTrace)
    skipped = [one for one in found if isinstance(one, Skipped)]
    assert [one.reason for one in skipped] == ["another answer", "prompt longer than the context"]
    assert repr(own.answer) in skipped[0].detail
    assert "128" in skipped[1].detail
    assert trace_all(lm, [FACT], config, expect=True, noise=NOISE) == [skipped[0]]
    assert trace_all(lm, [], config, noise=NOISE) == []


def test_a_subject_that_is_the_whole_prompt(tiny_lm):
    (found,) = trace_all(tiny_lm("gpt2"), [Fact("Big Ben", "{}", target="x")], TraceConfig(samples=1), noise=NOISE)
    assert isinstance(found, CausalTrace)
    assert found.subject == range(len(found.tokens))
    assert list(found.roles["first subsequent token"]) == []


def test_a_prompt_of_one_token(tiny_lm):
    lm = tiny_lm("gpt2")
    (found,) = trace_all(lm, [Fact(" Rome", "{}", target="x")], TraceConfig(samples=2), noise=NOISE)
    assert isinstance(found, CausalTrace)
    assert len(found.tokens) == 1
    assert float(found.restored["hidden"][0, -1]) == pytest.approx(found.clean, rel=1e-5)


@pytest.mark.parametrize(
    "bad", [{"samples": 0}, {"window": 0}, {"kinds": ()}, {"kinds": ("mlps",)}, {"memory": 0.0}, {"seed": -1}, {"x": 1}]
)
def test_settings_out_of_range_are_refused(bad):
    from obverse.core import build

    with pytest.raises(ObverseError):
        build(TraceConfig, bad)
