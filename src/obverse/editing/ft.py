"""FT: fine-tune one MLP matrix on the facts (the baseline of Meng et al. 2022, arXiv 2202.05262, appendix E).

    W' = argmin_W  mean over facts of the mean over the target's tokens of  -log p_W(token | prompt)

by Adam from the model's W, with nothing that holds W back. In the original all tokens of a target are asked for at the
prompt's last position (``loss: bag``).
"""

from __future__ import annotations

from obverse.editing._finetune import Finetuner
from obverse.editing._fit import FitConfig


class FtConfig(FitConfig):
    """Settings of FT: the released ones; the layers published for GPT-2 XL and GPT-J are presets."""


class Ft(Finetuner[FtConfig]):
    """Train the MLP's output projection, weight and bias, without a bound.

    By default the layer at 2 % of the depth: GPT-2 XL's second of 48 is the published one. GPT-J's is 21 of 28.
    """

    config_type = FtConfig
    method = "ft"
    depth = 0.02
