"""BICO as its authors released it, written from the paper and their program: the baseline that `obverse`'s is held to.

Every block computes both score matrices in full, from queries and keys turned both ways, joins them at the diagonal and
takes the softmax in float32; the model gives logits for every position (arXiv 2311.07468, the first released commit).
"""

from __future__ import annotations

from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn
from transformers.models.llama.modeling_llama import LlamaAttention, apply_rotary_pos_emb

from obverse.training.example import IGNORED, Batch
from obverse.training.objective import Loss
from obverse.training.objectives.bico import BICO


class EagerBICO(BICO):
    """The released objective on a Llama; the masks are those of `BICO`."""

    def output(self, model: nn.Module, batch: Batch) -> Any:
        """Run the model with every block's attention in the released form; returns logits of all positions."""
        hidden = (batch["attention_mask"] == 0)[:, None, None]
        mask = torch.zeros(hidden.shape).masked_fill_(hidden, torch.finfo(torch.float16).min)
        mask = mask.expand(-1, 1, hidden.shape[-1], -1).to(batch["input_ids"].device)
        blocks = [module for module in model.modules() if isinstance(module, LlamaAttention)]
        for block in blocks:
            block.forward = MethodType(_attention, block)
        try:
            # Four dimensions, so that the model passes the mask on as it is.
            return model(input_ids=batch["input_ids"], attention_mask=mask, use_cache=False)
        finally:
            for block in blocks:
                del block.forward

    def loss(self, output: Any, batch: Batch) -> Loss:
        """Return the cross entropy of the masked tokens."""
        labels = batch["labels"][:, 1:]
        total = nn.functional.cross_entropy(
            output.logits[:, :-1].flatten(0, 1).float(), labels.flatten(), ignore_index=IGNORED, reduction="sum"
        )
        return Loss(total, (labels != IGNORED).sum().to(total))


def _attention(
    self: Any, hidden_states: Tensor, position_embeddings: tuple[Tensor, Tensor], attention_mask: Tensor, **_: Any
) -> tuple[Tensor, None]:
    shape = (*hidden_states.shape[:-1], -1, self.head_dim)
    query, key, value = (
        project(hidden_states).view(shape).transpose(1, 2) for project in (self.q_proj, self.k_proj, self.v_proj)
    )
    cos, sin = position_embeddings
    triangles: list[Tensor] = []
    for sense in (sin, -sin):
        turned_query, turned_key = apply_rotary_pos_emb(query, key, cos, sense)
        turned_key = turned_key.repeat_interleave(self.num_key_value_groups, 1)
        triangles.append(turned_query @ turned_key.mT * self.scaling)
    scores = triangles[0].tril() + triangles[1].triu(1) + attention_mask
    weights = scores.softmax(-1, dtype=torch.float32).to(value.dtype)
    out = weights @ value.repeat_interleave(self.num_key_value_groups, 1)
    return self.o_proj(out.transpose(1, 2).reshape(*hidden_states.shape[:-1], -1)), None
