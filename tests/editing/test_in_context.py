"""In-context editing: the text stands before every question, in every measure, and nothing of the model changes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from families import tiny
from obverse.core import Case, EditFailed, Fact, build
from obverse.data.relations import relation_of
from obverse.editing import Edit
from obverse.editing._others import others
from obverse.editing.in_context import InContext, InContextConfig
from obverse.measuring import greedy, likelihoods, top_tokens
from obverse.model import tensor_hash
from obverse.model.prefix import Prefixed, prefixed
from obverse.model.tokens import encode, join
from obverse.verifying import verify

FACT = Fact("Space Needle", "The {} is in the city of", "Paris", "Seattle")
OTHER = Fact("Anna Keller", "{} plays the sport of", "tennis and chess", "soccer")


def editor(**changed):
    return InContext(build(InContextConfig, changed))


@given(prefix=st.text(max_size=12), before=st.text(max_size=8), word=st.text("abcdé東 ", min_size=1, max_size=6))
@pytest.mark.parametrize("tokens", ["bpe", "bpe_bos"])
def test_offsets_are_those_of_the_text_itself(tiny_lm, tokens, prefix, before, word):
    lm, text = tiny_lm("llama", tokens), before + word
    found = encode(Prefixed(lm.tokenizer, prefix), text)
    whole = encode(lm.tokenizer, prefix + text)
    assert found.text == text
    assert found.ids == whole.ids
    assert found.tokens_of(len(before), len(text)) == whole.tokens_of(len(prefix + before), len(prefix + text))


def test_every_measure_reads_the_prefix():
    lm, edit = tiny("llama"), editor().edit(tiny("llama"), [FACT])
    asked, target = "The Louvre is in", "Rome or Paris"
    (expected,) = likelihoods(lm, [(edit.prefix + asked, target)])
    top, written = top_tokens(lm, edit.prefix + asked, 3), greedy(lm, [edit.prefix + asked], 4)
    with edit.applied(lm):
        (found,) = likelihoods(lm, [(asked, target)])
        assert found.logprobs == pytest.approx(expected.logprobs, abs=1e-5)
        assert [token.id for token in top_tokens(lm, asked, 3)] == [token.id for token in top]
        assert greedy(lm, [asked], 4) == written
        assert join(lm.tokenizer, asked, target).encoded.text == f"{asked} {target}"


def test_the_model_and_its_tokenizer_come_back_also_after_an_error():
    lm = tiny("llama")
    tokenizer, before = lm.tokenizer, {name: tensor_hash(value) for name, value in lm.model.state_dict().items()}
    edit = editor().edit(lm, [FACT])
    with pytest.raises(KeyError), edit.applied(lm):
        raise KeyError
    with edit.applied(lm, "weight"):
        assert lm.tokenizer is not tokenizer
    assert lm.tokenizer is tokenizer
    assert {name: tensor_hash(value) for name, value in lm.model.state_dict().items()} == before
    assert not edit.deltas


def test_no_prefix_is_no_view():
    lm = tiny("llama")
    own = lm.tokenizer
    with prefixed(lm, ""):
        assert lm.tokenizer is own


def test_edits_stack_in_order():
    lm = tiny("llama")
    first, second = editor().edit(lm, [FACT]), editor(question="").edit(lm, [OTHER])
    with (first + second).applied(lm):
        together = encode(lm.tokenizer, "A").ids
    with first.applied(lm), second.applied(lm):
        nested = encode(lm.tokenizer, "A").ids
    assert together == nested == encode(lm.tokenizer, first.prefix + second.prefix + "A").ids


def test_verify_and_drift_measure_it():
    lm = tiny("llama")
    edit = editor().edit(lm, [FACT])
    case = Case.of(FACT, paraphrases=("Everyone knows the Space Needle stands in",))
    report = verify(lm, edit, case)
    (alone,) = likelihoods(lm, [(edit.prefix + FACT.text, FACT.target)])
    assert report.answers("efficacy")[0].logprob == pytest.approx(alone.total, abs=1e-5)
    assert report.drift is not None
    assert report.drift.kl > 1e-4
    assert report.drift.weight_change == {}
    assert "drift" in str(report)


def test_it_is_saved_and_read_and_cannot_be_merged(tmp_path):
    lm = tiny("llama")
    edit = editor().edit(lm, [FACT, OTHER])
    edit.save(tmp_path / "edit")
    loaded = Edit.load(tmp_path / "edit")
    assert (loaded.prefix, loaded.facts, loaded.deltas) == (edit.prefix, edit.facts, {})
    assert not list((tmp_path / "edit").glob("*.safetensors"))
    with pytest.raises(EditFailed, match="prompt, not a change of weights"):
        loaded.merge(lm)


def test_the_text():
    plain = editor().prefix([FACT, OTHER])
    assert plain == (
        "New fact: The Space Needle is in the city of Paris.\n"
        "New fact: Anna Keller plays the sport of tennis and chess.\nPrompt: "
    )
    shown = editor(demonstrations=8).prefix([FACT])
    assert shown.endswith("\n\nNew fact: The Space Needle is in the city of Paris.\nPrompt: ")
    assert shown.count("New fact: ") == shown.count("Prompt: ") == 9
    assert shown == editor(demonstrations=8).prefix([FACT]) != editor(demonstrations=8, seed=1).prefix([FACT])


def test_other_facts_share_no_relation_and_have_a_new_answer():
    found = others(500, 0, [FACT])
    own = relation_of(FACT)
    assert own is not None
    assert len(found) > 50
    assert own.name not in {fact.relation for fact in found}
    assert own.name in {fact.relation for fact in others(500, 0)}
    assert all(fact.target != fact.target_true for fact in found)
    assert others(5, 0, [FACT]) == found[:5]


def test_a_prompt_longer_than_the_model_reads_is_refused():
    with pytest.raises(EditFailed, match="reads at most 128"):
        editor(demonstrations=32).edit(tiny("llama"), [FACT])
