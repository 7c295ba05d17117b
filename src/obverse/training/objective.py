"""What every objective is: four hooks that do nothing; a method overrides what it changes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from obverse.core import Config
from obverse.data.scored import ScoredText
from obverse.training.example import IGNORED, Batch, Example

if TYPE_CHECKING:
    from obverse.model.language_model import LanguageModel


@dataclass(frozen=True, slots=True)
class Loss:
    """What a batch costs, kept as a sum, so that batches of unequal size can be joined.

    Attributes:
        total: Sum over predicted tokens; has the gradient.
        count: Predicted tokens; the loss that is minimized is the total of all micro-batches and processes over
            their count.
        logs: Means worth looking at, detached, by name.
    """

    total: Float[Tensor, ""]
    count: Float[Tensor, ""]
    logs: Mapping[str, Tensor] = field(default_factory=dict[str, Tensor])

    @property
    def mean(self) -> Float[Tensor, ""]:
        """Mean over predicted tokens; 0 if there are none."""
        return self.total / self.count.clamp_min(1)


class Objective(nn.Module):
    """Next-token prediction, of which every other objective changes something.

    Attributes:
        config_type: Settings of the objective.
        needs_scores: Whether documents must come with scores.
    """

    config_type: ClassVar[type[Config]] = Config
    needs_scores: ClassVar[bool] = False

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.config = config

    def setup(self, lm: LanguageModel, generator: torch.Generator) -> None:
        """Prepare the model before anything is encoded: control tokens, a value head, an attention function.

        Args:
            lm: The model that will be trained; changed in place.
            generator: Source of randomness, on the CPU.
        """

    def documents(self, document: ScoredText, draws: np.random.Generator) -> Iterable[ScoredText]:
        """Yield what is trained on in a document's place: itself, nothing (dropped), or several.

        Args:
            document: A document of the corpus.
            draws: Source of randomness that depends on the run's seed and the document's place alone.
        """
        yield document

    def corrupt(self, example: Example, draws: np.random.Generator) -> Example:
        """Return a row as the model is to see it; called anew in every epoch.

        Args:
            example: A block of a packed corpus, or one document.
            draws: Source of randomness that depends on the seed, the row and the epoch alone.
        """
        return example

    def output(self, model: nn.Module, batch: Batch) -> Any:
        """Run the model on a batch; returns its output, with ``logits``."""
        given = {"position_ids": batch["position_ids"]} if "position_ids" in batch else {}
        # Without a mask, positions that jump would be taken for those of several texts in one row.
        mask = None if not given and bool(batch["attention_mask"].all()) else batch["attention_mask"]
        return model(input_ids=batch["input_ids"], attention_mask=mask, use_cache=False, **given)

    def loss(self, output: Any, batch: Batch) -> Loss:
        """Return the loss of a batch from the model's output."""
        logprobs, counted = label_logprobs(output.logits, batch)
        total = -(logprobs * shifted(batch["token_weights"])).sum()
        return Loss(total, counted.sum().to(total))

    def save(self, folder: Path) -> None:
        """Write what the objective itself has learnt, such as a value head, into a checkpoint's folder.

        Called in every process, as weights may be spread over them; the first one writes.
        """

    def load(self, folder: Path) -> None:
        """Take what `save` wrote; called after the model's weights are back."""

    def forward(self, model: nn.Module, batch: Batch) -> Loss:
        """Return the loss of a model on a batch."""
        return self.loss(self.output(model, batch), batch)


def shifted(values: Float[Tensor, "batch pos"]) -> Float[Tensor, "batch pos-1"]:
    """Return what belongs to the labels that outputs 0, 1, ... predict: all but the first position's."""
    return values[:, 1:]


def label_logprobs(
    logits: Float[Tensor, "batch pos vocab"], batch: Batch
) -> tuple[Float[Tensor, "batch pos-1"], Bool[Tensor, "batch pos-1"]]:
    """Return log p of each label, from the output before it, and which labels count; 0 where they do not."""
    labels = batch["labels"][:, 1:]
    counted = labels != IGNORED
    flat = nn.functional.cross_entropy(
        logits[:, :-1].flatten(0, 1).float() if logits.dtype != torch.float64 else logits[:, :-1].flatten(0, 1),
        labels.flatten(),
        ignore_index=IGNORED,
        reduction="none",
    )
    return -flat.view(labels.shape), counted
