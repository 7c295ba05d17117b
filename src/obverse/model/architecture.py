"""Where the parts of a decoder are: its blocks, and what each block writes to the residual stream.

    block output = block input + attention write + MLP write        (the residual law)

The law holds for every supported family and is how a map is tested. The matrix an editor changes is the MLP's output
projection (``mlp_out``); in Gemma 2/3 and OLMo 2 a norm stands between it and the residual stream, so what is *written*
is that norm's output (``mlp_write``).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor, nn

from obverse.core import UnsupportedModel
from obverse.model.hooks import Call, calls_in_order, capture_modules

if TYPE_CHECKING:
    from transformers import PreTrainedModel

Position = Literal["learned", "rotary", "alibi"]

LAW_TOLERANCE = 1e-3
"""Largest relative error of the residual law at which a map is believed."""

_BY_HAND = "Give the names by hand: Architecture(...) is public."


@dataclass(frozen=True, slots=True)
class Layout:
    """Names of the parts inside one block.

    Attributes:
        attn_out: Attention's output projection.
        mlp_out: MLP's output projection; None where no single matrix exists (mixture of experts).
        attn_write: Module whose output attention adds to the residual stream.
        mlp_write: Module whose output the MLP adds to the residual stream.
    """

    attn_out: str
    mlp_out: str | None
    attn_write: str
    mlp_write: str


def _plain(attn: str, mlp: str) -> Layout:
    return Layout(attn, mlp, attn, mlp)


_LLAMA = _plain("self_attn.o_proj", "mlp.down_proj")
_POST_NORM = Layout("self_attn.o_proj", "mlp.down_proj", "post_attention_layernorm", "post_feedforward_layernorm")
_FUSED = _plain("self_attention.dense", "mlp.dense_4h_to_h")
_EXPERTS = Layout("self_attn.o_proj", None, "self_attn.o_proj", "mlp")

LAYOUTS: dict[str, Layout] = {
    "gpt2": _plain("attn.c_proj", "mlp.c_proj"),
    "gptj": _plain("attn.out_proj", "mlp.fc_out"),
    "gpt_neo": _plain("attn.attention.out_proj", "mlp.c_proj"),
    "gpt_neox": _plain("attention.dense", "mlp.dense_4h_to_h"),
    **dict.fromkeys(("llama", "mistral", "qwen2", "qwen3", "gemma", "phi3", "smollm3"), _LLAMA),
    **dict.fromkeys(("gemma2", "gemma3_text", "olmo2"), _POST_NORM),
    "phi": _plain("self_attn.dense", "mlp.fc2"),
    "opt": _plain("self_attn.out_proj", "fc2"),
    "bloom": _FUSED,
    "falcon": _FUSED,
    "mixtral": _EXPERTS,
    "qwen2_moe": _EXPERTS,
    "qwen3_moe": _EXPERTS,
}
"""Layouts by ``config.model_type``; any other family is probed."""


@dataclass(frozen=True, slots=True)
class Architecture:
    """The map of one model. Made by `Architecture.detect`; may be given by hand for families it cannot read.

    Attributes:
        family: ``config.model_type``.
        blocks: Name of the list of blocks, e.g. ``"model.layers"``.
        layout: Names of the parts inside a block.
        n_layers: Number of blocks.
        hidden: Size of the residual stream.
        inner: Input size of the MLP's output projection (the length of a key); 0 where there is none.
        transposed: Whether that projection stores its weight as (in, out), as GPT-2's ``Conv1D`` does.
        position: How positions enter.
    """

    family: str
    blocks: str
    layout: Layout
    n_layers: int
    hidden: int
    inner: int
    transposed: bool
    position: Position

    def block(self, layer: int) -> str:
        """Return the name of a block.

        Raises:
            UnsupportedModel: If the layer is out of range.
        """
        if not 0 <= layer < self.n_layers:
            raise UnsupportedModel(
                f"Layer {layer} is out of range: this model has layers 0 to {self.n_layers - 1}.",
                "Layers are counted from 0.",
            )
        return f"{self.blocks}.{layer}"

    def mlp_out(self, layer: int) -> str:
        """Return the name of a layer's MLP output projection, the matrix that editors change.

        Raises:
            UnsupportedModel: If the family has no such single matrix, or the layer is out of range.
        """
        if self.layout.mlp_out is None:
            raise UnsupportedModel(
                f"The family {self.family!r} routes each token to some of many experts, so no single matrix holds a "
                "fact and editing is not offered.",
                "Measuring and tracing work on this model; edit a dense model instead.",
            )
        return f"{self.block(layer)}.{self.layout.mlp_out}"

    @classmethod
    def detect(cls, model: PreTrainedModel) -> Architecture:
        """Find the parts of a model, by its family's layout or, for unknown families, by probing.

        Raises:
            UnsupportedModel: If the blocks are not found or not alike, no map satisfies the residual law, or the states
                are not finite.
        """
        config = model.config.get_text_config()
        family = config.model_type
        blocks = _find_blocks(model, config.num_hidden_layers)
        layout = LAYOUTS.get(family) or _probe(model, blocks, family)
        _check_names(model, blocks, layout, family)
        error = residual_error(model, blocks, layout)  # also of a known family: OPT-350m normalizes after adding
        if math.isnan(error):
            dtype = str(model.dtype).removeprefix("torch.")
            raise UnsupportedModel(
                f"The hidden states of {type(model).__name__} are not finite numbers in {dtype}.",
                "Load the model in float32 or bfloat16, or check its weights.",
            )
        if not error < LAW_TOLERANCE:
            raise _lawless(family, layout, error)
        transposed, inner = False, 0
        if layout.mlp_out is not None:
            projection = model.get_submodule(f"{blocks}.0.{layout.mlp_out}")
            transposed = type(projection).__name__ == "Conv1D"
            weight = projection.get_parameter("weight")
            inner = getattr(projection, "in_features", None) or weight.shape[0 if transposed else 1]
        sizes = config.num_hidden_layers, int(config.hidden_size), int(inner)
        return cls(family, blocks, layout, *sizes, transposed, _position(model))


def _check_names(model: PreTrainedModel, blocks: str, layout: Layout, family: str) -> None:
    names = {layout.attn_out, layout.attn_write, layout.mlp_write, layout.mlp_out or layout.mlp_write}
    for i, block in enumerate(model.get_submodule(blocks).children()):
        known = {name for name, _ in block.named_modules()}
        if missing := sorted(names - known):
            raise UnsupportedModel(
                f"Each block of {family!r} was expected to have {', '.join(missing)} inside; block {i} has not.",
                _BY_HAND,
            )


def _lawless(family: str, layout: Layout, error: float) -> UnsupportedModel:
    return UnsupportedModel(
        f"The blocks of {family!r} do not satisfy the residual law, output = input + attention write + MLP write: with "
        f"{layout.attn_write!r} and {layout.mlp_write!r} as writers the relative error is {error:.2g}; at most "
        f"{LAW_TOLERANCE:g} was expected.",
        _BY_HAND,
    )


def _position(model: PreTrainedModel) -> Position:
    config = model.config.get_text_config()
    if config.model_type in ("bloom", "mpt") or getattr(config, "alibi", False):
        return "alibi"
    rotary = hasattr(config, "rotary_dim") or any("rotary" in name for name, _ in model.named_modules())
    return "rotary" if rotary else "learned"


def _find_blocks(model: PreTrainedModel, n_layers: int) -> str:
    decoder = model.get_decoder()
    prefix = next((name for name, module in model.named_modules() if module is decoder), "")
    lists = [
        name
        for name, module in decoder.named_modules()
        if isinstance(module, nn.ModuleList) and len(module) == n_layers and "." not in name
    ]
    if len(lists) != 1:
        raise UnsupportedModel(
            f"The blocks of {type(model).__name__} were not found: {len(lists)} lists of {n_layers} modules stand "
            "directly in its decoder, one was expected.",
            _BY_HAND,
        )
    return f"{prefix}.{lists[0]}" if prefix else lists[0]


def residual_error(model: PreTrainedModel, blocks: str, layout: Layout, layer: int = 1) -> float:
    """Return the error of the residual law at one block, relative to what the block adds.

    The model is run on a few arbitrary tokens; what rounding in the model's own dtype explains is not counted.
    """
    block = f"{blocks}.{_inside(model, layer)}"
    wanted = {"in": block, "attn": f"{block}.{layout.attn_write}", "mlp": f"{block}.{layout.mlp_write}", "out": block}
    caught = capture_modules(model, _short_input(model), wanted, inputs_of={"in"}, stop=True)
    return _law_error(caught["in"], caught["attn"], caught["mlp"], caught["out"])


def _law_error(before: Tensor, attn: Tensor, mlp: Tensor, after: Tensor) -> float:
    eps = torch.finfo(after.dtype).eps
    parts = torch.stack([part.reshape(after.shape).float() for part in (before, attn, mlp)])
    unexplained = (after.float() - parts.sum(0)).abs() - 2 * eps * parts.abs().sum(0)
    added = (after.float() - before.float()).abs().max().clamp_min(1e-12)
    return float(unexplained.clamp_min(0).max() / added)


def _inside(model: PreTrainedModel, layer: int) -> int:
    return min(layer, model.config.get_text_config().num_hidden_layers - 1)


def _short_input(model: PreTrainedModel) -> dict[str, Tensor]:
    embedding = next(model.get_input_embeddings().parameters())
    return {"input_ids": torch.arange(3, 11, device=embedding.device)[None] % embedding.shape[0]}


def _probe(model: PreTrainedModel, blocks: str, family: str) -> Layout:
    """Find the writers of an unknown family from the order in which a block's modules end."""
    calls = calls_in_order(model, _short_input(model), f"{blocks}.{_inside(model, 1)}")
    block = calls.pop()
    if block.given is None or block.gave is None:
        raise UnsupportedModel(f"The blocks of {family!r} do not take and give hidden states.", _BY_HAND)
    gave = {call.name: call.gave for call in calls if call.gave is not None and call.gave.numel() == block.gave.numel()}
    matrices = [call.name for call in calls if call.name in gave and _is_matrix(call)]
    attention = next((name for name in reversed(matrices) if "att" in name), None)
    if attention is None:
        raise UnsupportedModel(f"No attention output projection was found in the blocks of {family!r}.", _BY_HAND)
    names = list(gave)
    mlp = matrices[-1] if matrices[-1] != attention and not _has_experts(model, blocks) else None
    after_attention = names[names.index(attention) :]
    # Of a mixture of experts the outermost module is taken: the others are not in every block.
    after_mlp = names[names.index(mlp) :] if mlp else after_attention[:0:-1]
    best, best_error = Layout(attention, mlp, attention, mlp or attention), float("inf")
    for attn_write, mlp_write in product(after_attention, after_mlp):
        error = _law_error(block.given, gave[attn_write], gave[mlp_write], block.gave)
        if attn_write != mlp_write and error < best_error:
            best, best_error = Layout(attention, mlp, attn_write, mlp_write), error
            if error < LAW_TOLERANCE:
                return best
    raise _lawless(family, best, best_error)


def _is_matrix(call: Call) -> bool:
    return getattr(getattr(call.module, "weight", None), "ndim", 0) == 2


def _has_experts(model: PreTrainedModel, blocks: str) -> bool:
    parameters = model.get_submodule(blocks).named_parameters()
    return any(word in name for name, _ in parameters for word in ("expert", "moe"))
