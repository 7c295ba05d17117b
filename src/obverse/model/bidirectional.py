"""Let a causal model see both sides of a token, so that what stands after is turned as what stands before (BICO).

    sides = BothSides.of(lm.model)  # once: finds out how each block turns its queries and keys
    with sides.seen(visible):  # every position sees every visible one: score(m, n) = q_m R(-|m - n|) k_n
        output = model(input_ids=ids, use_cache=False)  # give no attention_mask: `visible` says it all
    with sides.seen(visible, prefix=lengths):  # GLM's mask: the first `lengths` see each other, the rest is causal
        output = model(input_ids=ids, position_ids=positions, use_cache=False)

`model` may be the model itself or a wrapper around it (DDP, FSDP, PEFT). Nothing stays behind when the context ends;
gradient checkpointing may compute a block again later, and then sees what it saw the first time.

What becomes of a model's positions: rotary ones are turned back beyond the query; ALiBi is -slope |m - n|; learned ones
say themselves on which side a key is, so only the causal mask goes. A sliding window of w shows the keys with
|m - n| < w, on both sides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Bool, Int
from torch import Tensor, nn
from transformers import AttentionInterface

from obverse.core import UnsupportedModel
from obverse.model._attentions import ALONE, NAME, by_interface, interface, replaced
from obverse.model._pattern import Pattern
from obverse.model._rotary import Rotary, find_cos_sin, recognize, with_cos_sin
from obverse.model._triangles import attend

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_CHECKPOINTS = ("_gradient_checkpointing_func", "checkpoint_fn")
"""Attributes under which transformers' layers and PyTorch's checkpoint wrapper keep the function that checkpoints."""

_PROBE = 6
"""Tokens of the pass that finds out how a model attends."""


@dataclass(frozen=True, slots=True)
class BothSides:
    """How a model is made to see both sides.

    Attributes:
        model: The model.
        rotations: How each attention module turns its queries and keys; None if it does not, or does so by itself.
    """

    model: PreTrainedModel
    rotations: Mapping[nn.Module, Rotary | None]

    @classmethod
    def of(cls, model: PreTrainedModel) -> BothSides:
        """Find out how every block of a model attends, by running it on a few tokens.

        Raises:
            UnsupportedModel: If a block attends in a way that is not known; the message says which and why.
        """
        AttentionInterface.register(NAME, interface)
        rotations: dict[nn.Module, Rotary | None] = {m: None for m in model.modules() if type(m).__name__ in ALONE}
        rotations = rotations or _probe(model)
        blocks = model.config.get_text_config().num_hidden_layers
        if len(rotations) != blocks:
            raise UnsupportedModel(
                f"{type(model).__name__} has {blocks} blocks, of which {len(rotations)} attend in a way that is known.",
                "Every block must call transformers' attention interface, or be of the kinds "
                f"{', '.join(sorted(ALONE))}. State-space and linear-attention blocks cannot see both sides.",
            )
        return cls(model, rotations)

    @contextmanager
    def seen(
        self,
        visible: Bool[Tensor, "batch pos"],
        *,
        prefix: Int[Tensor, " batch"] | None = None,
        positions: Int[Tensor, "rows pos"] | None = None,
        flip: bool = True,
        fused: bool = True,
    ) -> Iterator[None]:
        """Run the model's passes with attention to both sides, while the context is open.

        Args:
            visible: Positions that others may attend to; False for padding and placeholders. Nobody is kept from
                attending; what a query gives that sees no key at all means nothing.
            prefix: Length of the part of each row that all positions see whole; after it attention is causal.
                None: the whole row (BICO). 0: a causal row.
            positions: The `position_ids` the model will be given, if any; those of a key may be beyond its query's.
            flip: Turn keys after the query as if they were before it (BICO); False only drops the causal mask.
            fused: Use fused kernels where there are any; False computes every score by the definition.
        """
        pattern = Pattern.of(visible.bool(), prefix, positions, flip=flip, fused=fused)
        with self._following(pattern, self.rotations):
            yield

    @contextmanager
    def _following(self, pattern: Pattern, rotations: Mapping[nn.Module, Rotary | None]) -> Iterator[None]:
        """Make some attention modules follow a pattern, also where they are computed again in the backward pass."""
        with ExitStack() as stack:
            for module, rotary in rotations.items():
                adapter = ALONE.get(type(module).__name__, by_interface)
                # In a context within a context the inner one holds, so the outer one is passed by.
                own = getattr(module.forward, "obverse_own", module.forward)
                forward = adapter(module, pattern, rotary, own)
                setattr(forward, "obverse_own", own)  # noqa: B010  a function has no such attribute to a type checker
                stack.enter_context(replaced(module, "forward", forward))
            stack.enter_context(_implementation(rotations))
            for layer in self.model.modules():
                for name in _CHECKPOINTS:
                    if name in vars(layer):
                        inside = {m: rotations[m] for m in layer.modules() if m in rotations}
                        again = partial(self._checkpoint, vars(layer)[name], pattern, inside)
                        stack.enter_context(replaced(layer, name, again))
            yield

    def _checkpoint(
        self,
        checkpoint: Callable[..., Any],
        pattern: Pattern,
        inside: Mapping[nn.Module, Rotary | None],
        function: Callable[..., Any],
        *args: Any,
        **kwargs: Any,
    ) -> Any:
        def following(*given: Any, **named: Any) -> Any:
            with self._following(pattern, inside):
                return function(*given, **named)

        return checkpoint(following, *args, **kwargs)


@contextmanager
def _implementation(modules: Mapping[nn.Module, Any]) -> Iterator[None]:
    """Let modules call our attention function; those that attend alone are left to PyTorch's."""
    with ExitStack() as stack:
        configs = {id(module.config): module for module in modules if hasattr(module, "config")}
        for module in configs.values():
            name = "sdpa" if type(module).__name__ in ALONE else NAME
            stack.enter_context(replaced(module.config, "_attn_implementation_internal", name))
        yield


def _probe(model: PreTrainedModel) -> dict[nn.Module, Rotary | None]:
    """Return the modules that call the attention interface in a pass, and how each turns queries and keys."""
    names = {module: name for name, module in model.named_modules()}
    found: dict[nn.Module, Rotary | None] = {}
    ids = torch.arange(1, _PROBE + 1, device=next(model.parameters()).device)[None]

    def listening(module: nn.Module, forward: Callable[..., Any]) -> Callable[..., Any]:
        def listened(*args: Any, **kwargs: Any) -> Any:
            output, states = _states(module, forward, args, kwargs)
            if states:
                found[module] = _ask(names[module], partial(_states, module, forward), args, kwargs, states)
            return output

        return listened

    asked = [module for module in model.modules() if hasattr(module, "config")]
    with ExitStack() as stack, torch.no_grad():
        for module in model.modules():
            stack.enter_context(replaced(module, "training", False))
        for module in asked:
            stack.enter_context(replaced(module, "forward", listening(module, module.forward)))
        stack.enter_context(_implementation(dict.fromkeys(asked)))
        model(input_ids=ids, use_cache=False)
    return found


def _states(module: nn.Module, forward: Callable[..., Any], args: Any, kwargs: Any) -> tuple[Any, list[Tensor]]:
    """Run a module; returns its output, and the queries and keys it attended with."""
    states: list[Tensor] = []

    def attention(query: Tensor, key: Tensor, value: Tensor, **given: Any) -> Tensor:
        states.extend((query, key))
        everything = Pattern.of(torch.ones(len(query), query.shape[2], dtype=torch.bool, device=query.device))
        return attend(everything, None, query, key, value, scale=given.get("scaling")).transpose(1, 2)

    with replaced(module, "obverse_attention", attention):
        return forward(*args, **kwargs), states


def _ask(name: str, run: Callable[..., Any], args: Any, kwargs: Any, seen: list[Tensor]) -> Rotary | None:
    """Find out how a block turns queries and keys, by giving it negated sines or, without any, equal inputs."""
    if cos_sin := find_cos_sin(args, kwargs):
        cos, sin = cos_sin
        _, wanted = run(*with_cos_sin(args, kwargs, (cos, -sin)))
        return recognize(cos, sin, seen, wanted, name)
    inputs = args[0] if args else kwargs["hidden_states"]
    same = inputs[:, :1].expand_as(inputs)
    _, states = run((same, *args[1:]), kwargs) if args else run((), {**kwargs, "hidden_states": same})
    if not all(torch.allclose(x, x[:, :, :1].expand_as(x), atol=1e-2 * float(x.abs().max())) for x in states):
        raise UnsupportedModel(
            f"{name} makes its queries and keys depend on their positions in a way that is not known.",
            "BICO needs rotary positions, learned positions, or the ALiBi of BLOOM, Falcon or MPT.",
        )
    return None
