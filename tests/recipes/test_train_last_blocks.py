"""Training only the last blocks: what else there is stays as it was."""

import pytest

from families import LAYERS, tiny
from obverse.core import ConfigError
from obverse.recipes.train_model import to_train
from obverse.training.settings import ModelSettings, train_config


@pytest.mark.parametrize("family", ["gpt2", "llama", "gemma3", "gpt_neox"])
@pytest.mark.parametrize("count", [1, LAYERS])
def test_only_weights_of_the_last_blocks_are_trained(family, count):
    lm = tiny(family)
    model = to_train(lm, ModelSettings(name="any", last_blocks=count), (), 0)
    trained = {name for name, weight in model.named_parameters() if weight.requires_grad}
    blocks = [lm.architecture.block(layer) + "." for layer in range(LAYERS)]
    own = {name for name, _ in model.named_parameters() if name.startswith(tuple(blocks[LAYERS - count :]))}
    assert trained == own
    assert trained


def test_all_weights_are_trained_by_default():
    model = to_train(tiny("llama"), ModelSettings(name="any"), (), 0)
    assert all(weight.requires_grad for weight in model.parameters())


def test_more_blocks_than_there_are():
    with pytest.raises(ConfigError, match=r"last_blocks: 9, but .* has 3"):
        to_train(tiny("llama"), ModelSettings(name="any", last_blocks=9), (), 0)


def test_new_tokens_are_in_no_block():
    with pytest.raises(ConfigError, match="embeddings are in no block"):
        to_train(tiny("llama"), ModelSettings(name="any", last_blocks=1), [500], 0)


def test_adapters_and_last_blocks_contradict_each_other():
    with pytest.raises(ConfigError, match="give lora or last_blocks"):
        train_config({"data": {"sources": ["x"]}, "model": {"lora": {}, "last_blocks": 2}})
