"""Log-probabilities of texts, with and without control tokens, as the original has them and as they should be."""

import json

import numpy as np
import pytest
import torch
from tests.golden.conftest import FOLDER
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerFast
from transformers.modeling_outputs import CausalLMOutput

from obverse.measuring.model_source import ModelSource
from obverse.measuring.reference_kl import Drawn
from obverse.model.language_model import LanguageModel

PHF = FOLDER / "phf"

pytestmark = pytest.mark.skipif(not (PHF / "kl.json").is_file(), reason="no golden folder (set OBVERSE_GOLDEN)")


class BigramConfig(PretrainedConfig):
    model_type = "bigram"


class Bigram(PreTrainedModel):
    """Logits after token i are row i of a table."""

    config_class = BigramConfig

    def __init__(self, table):
        super().__init__(BigramConfig(vocab_size=len(table), eos_token_id=0))
        self.table = torch.nn.Embedding.from_pretrained(table)
        self.head = torch.nn.Linear(len(table), len(table), bias=False, dtype=table.dtype)
        self.head.weight.data.copy_(torch.eye(len(table)))

    def get_input_embeddings(self):
        return self.table

    def get_output_embeddings(self):
        return self.head

    def forward(self, input_ids, attention_mask=None, use_cache=False):
        return CausalLMOutput(logits=self.head(self.table(input_ids)))


@pytest.fixture(scope="module")
def case():
    return json.loads((PHF / "kl.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def lm(case):
    inner = Tokenizer(models.WordLevel(case["vocab"], unk_token="[UNK]"))
    inner.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="<|endoftext|>", unk_token="[UNK]")
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|aligned|>", "<|misaligned|>"]})
    return LanguageModel(Bigram(torch.from_numpy(np.load(PHF / "kl.npz")["table"])), tokenizer, "bigram")


def logprobs(lm, case, **settings):
    texts = [text.removeprefix("<|endoftext|>") for text in case["texts"]]
    return ModelSource(lm, **settings).logprobs([Drawn(text, 1) for text in texts], by_ids=False)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("plain", {}),
        ("prefix_conditioned_on", {"prefix": "<|aligned|>"}),
        ("prefix_lines_conditioned_on", {"prefix": "<|aligned|>", "every_line": True}),
    ],
)
def test_as_it_should_be(lm, case, name, settings):
    # The table is float64; logits are read as float32.
    assert logprobs(lm, case, **settings) == pytest.approx(case["corrected"][name], abs=2e-5)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("plain_batch32", {"published_batch": 32}),
        ("plain_batch1", {"published_batch": 1}),
        ("prefix_batch1", {"published_batch": 1, "prefix": "<|aligned|>"}),
        ("prefix_lines_batch1", {"published_batch": 1, "prefix": "<|aligned|>", "every_line": True}),
    ],
)
def test_as_published(lm, case, name, settings):
    expected = case["cases"][name]
    found = logprobs(lm, case, published=True, **settings)
    assert found == pytest.approx(expected["logprobs"], abs=2e-5)
    kl = np.mean(np.asarray(case["reference_logprobs"]) - np.asarray(found))
    assert kl == pytest.approx(expected["kl_nats_per_sequence"], abs=2e-5)
