"""FT-M: fine-tuning with the causal loss of the target alone (Zhang et al. 2024, arXiv 2401.01286).

    W' = argmin_W  mean over facts of the mean over j of  -log p_W(t_j | prompt, t_1 .. t_{j-1})

Each token of the target stands at its own position after the ones before it; the prompt is masked. The matrix is the
MLP's output projection of one layer at two thirds of the depth, as in the survey's settings (21 of Llama 2's 32).
"""

from __future__ import annotations

from obverse.editing._finetune import Finetuner
from obverse.editing._fit import FitConfig
from obverse.editing._fit_rows import Loss


class FtMConfig(FitConfig):
    """Settings of FT-M: those of the survey's program; its layers are presets."""

    loss: Loss = "sequence"
    """`sequence`: the causal loss of the target, the prompt masked; `bag`: all its tokens at the prompt's last
    position, which makes it FT."""


class FtM(Finetuner[FtMConfig]):
    """Train the MLP's output projection, weight and bias, on targets as sequences.

    By default the layer at 68 % of the depth.
    """

    config_type = FtMConfig
    method = "ft-m"
    depth = 0.68
