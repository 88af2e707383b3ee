"""Which module of a network has a derivative that is wrong: for the error message, so it may take its time."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_pre_hook

from ..derivatives.derivative_check import check_direction, compare_with_differences
from ..derivatives.flat import flatten, unflatten
from ..landscape import contracted_gradient_of
from .network_function import Batch, NetworkFunction

__all__ = ["find_suspect"]


def find_suspect(network: NetworkFunction, parameters: Sequence[Tensor], batch: Batch, order: int) -> str:
    """The innermost module whose own derivative of that order disagrees with differences; the loss; or neither.

    Each module that the network calls with tensors is taken by itself, as a function of its inputs and its own
    parameters, at the values that they have in the network.

    Args:
        network: in float64.
        parameters: where.
        batch: a small one.
        order: 1 for what Hessian products need, 2 for the third derivative.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> scripted = torch.jit.script(nn.Sequential(nn.LayerNorm(3)))  # its third derivative is wrong
        >>> network = NetworkFunction(nn.Sequential(nn.Linear(2, 3), scripted).double(), nn.functional.mse_loss)
        >>> data = torch.eye(2).double(), torch.ones(2, 3).double()
        >>> find_suspect(network.in_double(), list(network.model.parameters()), data, order=2)
        "module '1' (Sequential)"
    """
    calls: dict[nn.Module, tuple[Any, ...]] = {}
    names = {module: name for name, module in network.model.named_modules()}

    def note(module: nn.Module, given: Any) -> None:
        if isinstance(given, tuple) and module in names:
            calls.setdefault(module, given)

    with network.evaluating(parameters):
        handle = register_module_forward_pre_hook(note)  # of one module, TorchScript would not call it
        try:
            outputs = network.outputs(parameters, network.inputs_of(batch))
        finally:
            handle.remove()
        for module in reversed(list(network.model.modules())):  # inner ones first
            if module in calls and module is not network.model and _is_wrong(*_function(module, calls[module]), order):
                return f"module '{names[module]}' ({_name(module)})"
    if isinstance(outputs, Tensor):
        targets = network.targets_of(batch)
        z = outputs.detach()

        def loss(flat: Tensor) -> Tensor:
            return network.loss_of(flat.view(z.shape), targets)

        if _is_wrong(loss, z.flatten(), [z.shape], order):
            return "the loss"
    if isinstance(network.model, torch.jit.ScriptModule):
        return f"the model ({_name(network.model)}), which TorchScript has compiled"
    return f"what {_name(network.model)} computes between its modules"


def _name(module: nn.Module) -> str:
    return str(getattr(module, "original_name", type(module).__name__))


def _function(module: nn.Module, given: tuple[Any, ...]) -> tuple[Callable[[Tensor], Tensor], Tensor, list[torch.Size]]:
    """A random projection of the module's outputs, as a function of its inputs and own parameters in one vector."""
    places = [i for i, value in enumerate(given) if isinstance(value, Tensor) and value.is_floating_point()]
    own = [(key, p) for key, p in module._parameters.items() if p is not None]
    values = [*(given[i].detach() for i in places), *(p.detach() for _, p in own)]
    shapes = [value.shape for value in values]

    def projection(flat: Tensor) -> Tensor:
        parts = unflatten(flat, shapes)
        replaced = list(given)
        for i, part in zip(places, parts, strict=False):
            replaced[i] = part
        try:
            for (key, _), part in zip(own, parts[len(places) :], strict=True):
                module._parameters[key] = part  # type: ignore[assignment]
            result = module(*replaced)
        finally:
            for key, old in own:
                module._parameters[key] = old
        outputs = result if isinstance(result, tuple | list) else (result,)
        total = flat.new_zeros(())
        for output in outputs:
            if isinstance(output, Tensor) and output.is_floating_point():
                weights = torch.randn(output.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
                total = total + (output * weights.to(output)).sum()
        return total

    return projection, flatten(values) if values else torch.zeros(0), shapes


def _is_wrong(function: Callable[[Tensor], Tensor], z: Tensor, shapes: list[torch.Size], order: int) -> bool:
    if not z.numel():
        return False
    try:
        z = z.double()
        u = check_direction(z, shapes)

        def derivative(p: Tensor, k: int) -> Tensor:
            return contracted_gradient_of(function, p, [(1.0, (u,) * k)])

        sizes = [shape.numel() for shape in shapes]
        compared = compare_with_differences(
            lambda: derivative(z, order), lambda p: derivative(p, order - 1), z, u, sizes
        )
    except Exception:  # a module that cannot be called by itself is not accused
        return False
    return compared.outcome == "differs"
