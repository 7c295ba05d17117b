"""Make one attention module follow a pattern: those that call the attention interface, and those that compute alone.

Each adapter returns what a module's `forward` is while a pattern holds. They are found by the name of the module's
class; every class that is not listed must call transformers' attention interface.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from obverse.core import UnsupportedModel
from obverse.model._pattern import Pattern
from obverse.model._rotary import Rotary, find_cos_sin
from obverse.model._triangles import Turn, attend

NAME = "obverse_both_sides"
"""Name under which the attention function is registered with transformers."""

_MISSING = object()

Forward = Callable[..., Any]
Adapter = Callable[[nn.Module, Pattern, Rotary | None, Forward], Forward]
"""From (module, pattern, its rotation, its forward) to the forward that follows the pattern."""


@contextmanager
def replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    """Give an object an attribute of its own while the context is open; then what it had, or none."""
    own: dict[str, Any] = vars(owner)
    before = own.get(name, _MISSING)
    own[name] = value
    try:
        yield
    finally:
        if before is _MISSING:
            del own[name]
        else:
            own[name] = before


def interface(module: Any, query: Tensor, key: Tensor, value: Tensor, _: Tensor | None, **settings: Any) -> Any:
    """Attend as the module was told to: the function transformers calls under `NAME`."""
    return module.obverse_attention(query, key, value, **settings), None


def by_interface(module: nn.Module, pattern: Pattern, rotary: Rotary | None, forward: Forward) -> Forward:
    """Adapt a module that calls the attention interface with rotated queries and keys."""

    def adapted(*args: Any, **kwargs: Any) -> Any:
        turn = turn_of(rotary, find_cos_sin(args, kwargs))

        def attention(query: Tensor, key: Tensor, value: Tensor, **given: Any) -> Tensor:
            if given.get("position_bias") is not None:
                raise UnsupportedModel(
                    f"{type(module).__name__} adds a position bias of its own to its scores.",
                    "Attention to both sides knows rotary and learned positions, and the ALiBi of BLOOM, Falcon, MPT.",
                )
            options = {
                "scale": given.get("scaling"),
                "window": given.get("sliding_window"),
                "softcap": given.get("softcap"),
                "sinks": given.get("s_aux"),
                "dropout": given.get("dropout", 0.0),
            }
            return attend(pattern, turn, query, key, value, **options).transpose(1, 2)

        with replaced(module, "obverse_attention", attention):
            return forward(*args, **kwargs)

    return adapted


def turn_of(rotary: Rotary | None, cos_sin: tuple[Tensor, Tensor] | None) -> Turn | None:
    """Return the function that turns queries and keys the other way."""
    if rotary is None or cos_sin is None:
        return None
    return lambda states: rotary.back(states, *cos_sin)


def _own_method(module: Any, pattern: Pattern, _: Rotary | None, forward: Forward) -> Forward:
    """Adapt GPT-J, CodeGen and GPT-Neo, which attend in a method `_attn` of their own."""

    def adapted(*args: Any, **kwargs: Any) -> Any:
        turn = None
        if getattr(module, "embed_positions", None) is not None:
            sines = module.embed_positions.to(kwargs["position_ids"].device)[kwargs["position_ids"]]
            sin, cos = sines.chunk(2, -1)
            turn = turn_of(Rotary("neighbours", "all"), (cos, sin))
        options = {
            "scale": 1 / float(getattr(module, "scale_attn", 1.0)),
            "window": module.config.window_size if getattr(module, "attention_type", "") == "local" else None,
            "dropout": module.attn_dropout.p if module.training else 0.0,
        }

        def attention(query: Tensor, key: Tensor, value: Tensor, _: Tensor | None = None) -> tuple[Tensor, None]:
            return attend(pattern, turn, query, key, value, **options), None

        with replaced(module, "_attn", attention):
            return forward(*args, **kwargs)

    return adapted


class _Instead(TorchFunctionMode):
    """Answer calls of scaled_dot_product_attention with another function."""

    def __init__(self, attention: Callable[[Tensor, Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self._attention = attention

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is nn.functional.scaled_dot_product_attention:
            return self._attention(*args[:3])
        return func(*args, **(kwargs or {}))


def _falcon(module: Any, pattern: Pattern, _: Rotary | None, forward: Forward) -> Forward:
    """Adapt Falcon, which calls PyTorch's attention itself; its ALiBi is part of the mask, over sqrt(dim)."""

    def adapted(*args: Any, **kwargs: Any) -> Any:
        if kwargs["alibi"] is None:
            turn = turn_of(Rotary("halves", "first half"), find_cos_sin(args, kwargs))
            with _Instead(lambda query, key, value: attend(pattern, turn, query, key, value)):
                return forward(*args, **kwargs)
        here = pattern.to(kwargs["alibi"].device)
        slopes = _slopes(kwargs["alibi"].flatten(1, -2)[0], len(here.visible[0]))
        bias = -slopes * here.distance().abs()[:, None] / math.sqrt(module.head_dim)
        mask = _hidden(bias.to(kwargs["alibi"].dtype), here)
        # Falcon's positional arguments end with the mask or before it.
        return forward(*args, **{**kwargs, "attention_mask": mask})

    return adapted


def _bloom(module: nn.Module, pattern: Pattern, _: Rotary | None, forward: Forward) -> Forward:
    """Adapt BLOOM: `alibi`, (batch head, 1, pos), is added to scores."""

    def adapted(*args: Any, **kwargs: Any) -> Any:
        alibi = kwargs["alibi"]
        here = pattern.to(alibi.device)
        batch, length = here.visible.shape
        slopes = _slopes(alibi[: len(alibi) // batch, 0], length)
        bias = (-slopes * here.distance().abs()[:, None]).expand(batch, -1, -1, -1).to(alibi.dtype)
        mask = here.additive(here.allowed(), alibi.dtype, "all")[:, None]
        return forward(*args, **{**kwargs, "alibi": bias.flatten(0, 1), "attention_mask": mask})

    return adapted


def _mpt(module: nn.Module, pattern: Pattern, _: Rotary | None, forward: Forward) -> Forward:
    """Adapt MPT: `position_bias`, (head, 1, longest), is added to scores; the mask is True where a key is hidden."""
    if pattern.positions is not None:
        raise UnsupportedModel(
            "MPT's bias is one for all rows, but position ids were given that are not in the order of the tokens.",
            "Give no position ids, or use another model.",
        )

    def adapted(*args: Any, **kwargs: Any) -> Any:
        alibi = kwargs["position_bias"]
        here = pattern.to(alibi.device)
        bias = -(alibi[:, :, -1:] - alibi[:, :, -2:-1]) * here.distance().abs()
        return forward(*args, **{**kwargs, "position_bias": bias, "attention_mask": ~here.allowed()[:, None]})

    return adapted


def _masked(module: nn.Module, pattern: Pattern, _: Rotary | None, forward: Forward) -> Forward:
    """Adapt XGLM: positions are added to the input, so only the mask changes."""

    def adapted(*args: Any, **kwargs: Any) -> Any:
        states: Tensor = args[0] if args else kwargs["hidden_states"]
        here = pattern.to(states.device)
        return forward(
            *args, **{**kwargs, "attention_mask": here.additive(here.allowed(), states.dtype, "all")[:, None]}
        )

    return adapted


ALONE: dict[str, Adapter] = {
    "GPTJAttention": _own_method,
    "CodeGenAttention": _own_method,
    "GPTNeoSelfAttention": _own_method,
    "FalconAttention": _falcon,
    "BloomAttention": _bloom,
    "MptAttention": _mpt,
    "XGLMAttention": _masked,
}
"""Classes that do not call the attention interface, and how each is made to follow a pattern."""


def _slopes(alibi: Float[Tensor, "head pos"], length: int) -> Float[Tensor, "head 1 1"]:
    """Return each head's slope from its bias at positions 0, 1, ..."""
    return (alibi[:, 1] - alibi[:, 0] if length > 1 else alibi[:, 0])[:, None, None]


def _hidden(bias: Float[Tensor, "rows head pos pos"], pattern: Pattern) -> Float[Tensor, "batch head pos pos"]:
    return bias + pattern.additive(pattern.allowed(), bias.dtype, "all")[:, None]
