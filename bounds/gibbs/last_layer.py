"""A network as a last linear layer of features."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call

from ...ground.errors import InputError
from .examplewise import check_examplewise, evaluation_copy

__all__ = ["LastLayer", "split_last_layer"]


@dataclass(frozen=True)
class LastLayer:
    """What ``split_last_layer`` found.

    Attributes:
        features: from inputs to the last layer's inputs, ``(batch, F)``; in evaluation mode, no gradient.
        weight: ``(classes, F)``, a copy.
        bias: ``(classes,)`` or None.
    """

    features: Callable[[Tensor], Tensor]
    weight: Tensor
    bias: Tensor | None

    @property
    def flat(self) -> Tensor:
        """Weight and bias as one vector, as posteriors of ``FrozenBackbone`` have them."""
        return torch.cat([self.weight.flatten(), *([] if self.bias is None else [self.bias])])


def split_last_layer(model: nn.Module, inputs: Tensor) -> LastLayer:
    """The features below the last linear layer, of any network whose outputs are that layer's.

    Checked on a batch: the layer is called once; its output is the network's; and with other weights of
    the layer the network gives what those weights make of the same features. So nothing comes after the layer, and
    the features do not depend on its weights.

    Args:
        model: any module; it is copied, and left as it is.
        inputs: a batch to check with.

    Raises:
        InputError: no linear layer, or one of these checks fails.

    Example:
        >>> model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.ReLU(), nn.Linear(8, 3))
        >>> last = split_last_layer(model, torch.randn(5, 1, 4, 4))
        >>> last.features(torch.zeros(7, 1, 4, 4)).shape, last.flat.shape
        (torch.Size([7, 8]), torch.Size([27]))
    """
    network = evaluation_copy(model)
    linears = {name: module for name, module in network.named_modules() if isinstance(module, nn.Linear)}
    if not linears:
        raise InputError(f"{type(model).__name__} has no nn.Linear; a frozen backbone needs one as its last layer")
    outputs = check_examplewise(network, inputs)
    name, head = _last_called(network, linears, inputs)
    seen: list[Tensor] = []
    head.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0]))

    def features(inputs: Tensor) -> Tensor:
        seen.clear()
        with torch.no_grad():
            network(inputs)
        if len(seen) != 1 or seen[0].ndim != 2:
            raise InputError(f"{name} is called {len(seen)} times, or not with rows of features; use WeightDraws")
        return seen.pop()

    phi = features(inputs)
    generator = torch.Generator(outputs.device).manual_seed(0)
    scale = head.weight.abs().max()
    changed = {
        f"{name}.{key}" if name else key: value
        + scale * torch.randn(value.shape, generator=generator, dtype=value.dtype, device=value.device)
        for key, value in head.named_parameters()
    }
    for weights in ({}, changed):
        with torch.no_grad():
            found = functional_call(network, weights, (inputs,))
            weight, bias = (
                weights.get(f"{name}.{key}" if name else key, getattr(head, key)) for key in ("weight", "bias")
            )
            expected = torch.nn.functional.linear(phi, weight, bias)
        if not torch.allclose(found, expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max())):
            raise InputError(
                f"the outputs of {type(model).__name__} are not those of its last linear layer, {name or 'itself'}; "
                f"remove what comes after it, or use WeightDraws"
            )
    return LastLayer(features, head.weight.clone(), None if head.bias is None else head.bias.clone())


def _last_called(network: nn.Module, linears: dict[str, nn.Linear], inputs: Tensor) -> tuple[str, nn.Linear]:
    """The linear layer that is called last."""
    called: list[str] = []
    handles = [
        module.register_forward_hook(lambda *_, name=name: called.append(name)) for name, module in linears.items()
    ]
    with torch.no_grad():
        network(inputs)
    for handle in handles:
        handle.remove()
    if not called:
        raise InputError("no nn.Linear of the network is called; use WeightDraws")
    return called[-1], linears[called[-1]]
