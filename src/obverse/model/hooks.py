"""The only place that registers hooks: read what modules take and give, or replace it, and always clean up.

- `capture`: states at given `Site`s (layer and kind) of one forward pass.
- `capture_modules`: the same by module names, of outputs or inputs.
- `calls_in_order`: every call inside a block, to find out what it is made of.
- `intervene`: replace what modules give, while a context is open.
- `replace_input`: replace what one module takes, while a context is open.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from obverse.core import UnsupportedModel

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from obverse.model.architecture import Architecture

SiteKind = Literal["hidden", "attn", "mlp", "key"]


@dataclass(frozen=True, slots=True)
class Site:
    """A place in a model.

    Attributes:
        layer: Block, from 0.
        kind: ``hidden`` = block output; ``attn`` and ``mlp`` = what each writes to the residual stream; ``key`` = input
            of the MLP's output projection.
    """

    layer: int
    kind: SiteKind

    def module(self, architecture: Architecture) -> str:
        """Return the name of the module whose output (for ``key``: input) this is."""
        block = architecture.block(self.layer)
        match self.kind:
            case "hidden":
                return block
            case "attn":
                return f"{block}.{architecture.layout.attn_write}"
            case "mlp":
                return f"{block}.{architecture.layout.mlp_write}"
            case "key":
                return architecture.mlp_out(self.layer)


class _Stop(Exception):
    """Not an error: ends a forward pass whose rest nobody needs."""


def find_modules(model: nn.Module, names: Iterable[str]) -> dict[str, nn.Module]:
    """Return modules by name; all names are checked before any is used.

    Raises:
        UnsupportedModel: If a name does not exist.
    """
    found: dict[str, nn.Module] = {}
    missing: list[str] = []
    for name in names:
        try:
            found[name] = model.get_submodule(name)
        except AttributeError:
            missing.append(name)
    if missing:
        raise UnsupportedModel(
            f"The model has no module named {', '.join(missing)}.", "Check the Architecture given for this model."
        )
    return found


def first_tensor(output: Any) -> Tensor:
    """Return a module's hidden states, whether it gives a tensor or a tuple that starts with one."""
    return output[0] if isinstance(output, tuple) else output


def _first_input(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    return args[0] if args else kwargs.get("hidden_states")


def _rebuilt(output: Any, tensor: Tensor) -> Any:
    return (tensor, *output[1:]) if isinstance(output, tuple) else tensor


def capture_modules(
    model: PreTrainedModel,
    inputs: Mapping[str, Any],
    modules: Mapping[str, str],
    *,
    inputs_of: Collection[str] = (),
    stop: bool = False,
) -> dict[str, Tensor]:
    """Run the model once, without gradients, and return what modules gave.

    Args:
        model: The model.
        inputs: Keyword arguments of its forward pass.
        modules: Key of the result → module name.
        inputs_of: Keys whose module's *input* is wanted.
        stop: End the pass once everything is caught; the blocks above are not run.

    Returns:
        Tensors by key, cloned (some blocks add to theirs in place afterwards).

    Raises:
        UnsupportedModel: If a module does not exist, or was not run.
    """
    found = find_modules(model, modules.values())
    caught: dict[str, Tensor] = {}

    def catch(key: str, tensor: Tensor) -> None:
        caught[key] = tensor.detach().clone()
        if stop and len(caught) == len(modules):
            raise _Stop

    with ExitStack() as stack, torch.no_grad():
        for key, name in modules.items():
            register = _catch_input if key in inputs_of else _catch_output
            stack.callback(register(found[name], key, catch))
        with suppress(_Stop):
            model(**inputs, use_cache=False)
    if missing := [name for key, name in modules.items() if key not in caught]:
        raise UnsupportedModel(
            f"The model's forward pass did not run {', '.join(missing)}.",
            "Check the Architecture given for this model.",
        )
    return caught


def _catch_output(module: nn.Module, key: str, catch: Callable[[str, Tensor], None]) -> Callable[[], None]:
    return module.register_forward_hook(lambda _m, _i, output: catch(key, first_tensor(output))).remove


def _catch_input(module: nn.Module, key: str, catch: Callable[[str, Tensor], None]) -> Callable[[], None]:
    def hook(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        catch(key, _first_input(args, kwargs))

    return module.register_forward_pre_hook(hook, with_kwargs=True).remove


def capture(
    model: PreTrainedModel,
    architecture: Architecture,
    inputs: Mapping[str, Any],
    sites: Collection[Site],
    *,
    stop: bool = False,
) -> dict[Site, Float[Tensor, "batch pos dim"]]:
    """Run the model once, without gradients, and return the states at the given sites.

    Args:
        model: The model.
        architecture: Its map.
        inputs: ``input_ids`` and ``attention_mask``, (batch, pos).
        sites: Where to read.
        stop: End the pass once all are caught; the blocks above are not run.
    """
    names = {str(i): site.module(architecture) for i, site in enumerate(sites)}
    keys = {str(i) for i, site in enumerate(sites) if site.kind == "key"}
    caught = capture_modules(model, inputs, names, inputs_of=keys, stop=stop)
    batch, pos = inputs["input_ids"].shape
    # OPT flattens batch and position before its MLP.
    return {site: caught[str(i)].reshape(batch, pos, -1) for i, site in enumerate(sites)}


@contextmanager
def intervene(model: nn.Module, changes: Mapping[str, Callable[[Tensor, Tensor], Tensor]]) -> Iterator[None]:
    """Replace what modules give, while the context is open.

    Args:
        model: The model.
        changes: Module name → function of (the module's first input, its output) that returns the new output.
    """
    found = find_modules(model, changes)

    def hook_of(change: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., Any]:
        def hook(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> Any:
            return _rebuilt(output, change(_first_input(args, kwargs), first_tensor(output)))

        return hook

    with ExitStack() as stack:
        for name, change in changes.items():
            stack.callback(found[name].register_forward_hook(hook_of(change), with_kwargs=True).remove)
        yield


@contextmanager
def replace_input(module: nn.Module, change: Callable[[Tensor], Tensor]) -> Iterator[None]:
    """Replace a module's first argument, while the context is open."""

    def hook(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        if args:
            return (change(args[0]), *args[1:]), kwargs
        return args, {**kwargs, "hidden_states": change(_first_input(args, kwargs))}

    handle = module.register_forward_pre_hook(hook, with_kwargs=True)
    try:
        yield
    finally:
        handle.remove()


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a module in a forward pass.

    Attributes:
        name: Name within the block; empty for the block itself.
        module: The module.
        given: Its first input, if that is a tensor.
        gave: Its first output, if that is a tensor.
    """

    name: str
    module: nn.Module
    given: Tensor | None
    gave: Tensor | None


def calls_in_order(model: PreTrainedModel, inputs: Mapping[str, Any], block: str) -> list[Call]:
    """Return the calls of a block's modules in the order they end; the block's own is the last."""
    calls: list[Call] = []
    # A module may add to its input in place, so inputs are kept before it runs.
    given: dict[str, Tensor | None] = {}

    def kept(value: Any) -> Tensor | None:
        value = value[0] if isinstance(value, (tuple, list)) and value else value
        return value.clone() if isinstance(value, Tensor) else None

    def before(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        given[name] = kept(_first_input(args, kwargs))

    def after(name: str, module: nn.Module, output: Any) -> None:
        calls.append(Call(name, module, given[name], kept(output)))
        if not name:
            raise _Stop

    with ExitStack() as stack, torch.no_grad(), suppress(_Stop):
        for name, module in find_modules(model, [block])[block].named_modules():
            hook = module.register_forward_pre_hook(lambda _, a, k, n=name: before(n, a, k), with_kwargs=True)
            stack.callback(hook.remove)
            stack.callback(module.register_forward_hook(lambda m, _, o, n=name: after(n, m, o)).remove)
        model(**inputs, use_cache=False)
    return calls
