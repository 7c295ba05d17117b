"""What a value's loss reads off logits, with its gradient in closed form.

Logits of a large vocabulary are the largest tensors of an optimization. Plain autograd copies them for every softmax
and gather, and once more for the gradient of each; here they are read twice and one tensor of their size is made.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from jaxtyping import Float, Int
from torch import Tensor


def surprise(
    logits: Float[Tensor, "read vocab"], targets: Int[Tensor, " asked"], reference: Float[Tensor, "kept vocab"]
) -> tuple[Float[Tensor, " asked"], Float[Tensor, " kept"]]:
    """Return -log p(target) of the first reads, and KL(p || reference) of the others, in nats.

    Args:
        logits: One row a read, float32; those with a target come first.
        targets: The target tokens.
        reference: Log-probabilities that the other reads are compared with.
    """
    return cast(tuple[Tensor, Tensor], _Surprise.apply(logits, targets, reference))


class _Surprise(torch.autograd.Function):
    """With p = softmax(z): d(-log p_t)/dz = p - e_t, and dKL/dz = p (log p - log q - KL)."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, targets: Tensor, reference: Tensor) -> tuple[Tensor, Tensor]:
        asked = len(targets)
        total = logits.logsumexp(-1)
        nll = total[:asked] - logits[:asked].gather(1, targets[:, None])[:, 0]
        now = logits[asked:] - total[asked:, None]
        kl = (now.exp() * (now - reference)).sum(-1)
        ctx.save_for_backward(logits, targets, reference, total, kl)
        return nll, kl

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        logits, targets, reference, total, kl = ctx.saved_tensors
        by_nll, by_kl = gradients
        asked = len(targets)
        p = logits - total[:, None]
        excess = (p[asked:] - reference - kl[:, None]) * by_kl[:, None]
        p.exp_()
        p[:asked] *= by_nll[:, None]
        p[:asked].scatter_add_(1, targets[:, None], -by_nll[:, None])
        p[asked:] *= excess
        return p, None, None
