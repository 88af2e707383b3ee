"""Perceptrons with independent Gaussian weights, drawn anew for every example without drawing a weight."""

from collections.abc import Sequence

import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import linear

from ...ground.errors import InputError
from ...landscapes.derivatives.flat import unflatten

__all__ = ["local_reparameterisation", "perceptron_layers"]

_ELEMENTWISE = (
    nn.CELU, nn.ELU, nn.GELU, nn.Hardswish, nn.Hardtanh, nn.Identity, nn.LeakyReLU, nn.LogSigmoid, nn.Mish, nn.ReLU,
    nn.ReLU6, nn.SELU, nn.Sigmoid, nn.SiLU, nn.Softplus, nn.Softsign, nn.Tanh,
)  # fmt: skip
"""Activations without parameters that act on each number alone."""


def perceptron_layers(model: nn.Module) -> list[nn.Module]:
    """The modules of a perceptron in their order, nested containers opened.

    Raises:
        InputError: anything but ``nn.Sequential`` of ``nn.Flatten``, ``nn.Linear`` and elementwise activations; a layer
            that is used twice, hooks or parametrizations, no linear layer at the end.

    Example:
        >>> [type(layer).__name__ for layer in perceptron_layers(nn.Sequential(nn.Flatten(), nn.Linear(4, 2)))]
        ['Flatten', 'Linear']
    """
    layers = _opened(model)
    for layer in layers:
        flatten = type(layer) is nn.Flatten and (layer.start_dim, layer.end_dim) == (1, -1)
        if not flatten and type(layer) is not nn.Linear and type(layer) not in _ELEMENTWISE:
            raise InputError(
                f"{type(layer).__name__} is no linear layer, no elementwise activation of torch and no nn.Flatten(); "
                f"its output is not Gaussian given its input. Use FrozenBackbone or WeightDraws"
            )
        if layer._forward_hooks or layer._forward_pre_hooks:
            raise InputError(f"a {type(layer).__name__} has hooks, which a perceptron of random weights would not call")
    linears = [layer for layer in layers if isinstance(layer, nn.Linear)]
    parameters = [parameter for layer in linears for parameter in layer.parameters()]
    if len({id(parameter) for parameter in parameters}) < len(parameters):
        raise InputError("two layers share parameters; with fresh weights they would be drawn apart. Use WeightDraws")
    if not linears or layers[-1] is not linears[-1]:
        raise InputError("the network does not end with a linear layer, so its outputs are no class scores")
    return layers


def _opened(model: nn.Module) -> list[nn.Module]:
    if type(model) is not nn.Sequential:
        return [model]
    if model._forward_hooks or model._forward_pre_hooks:
        raise InputError("an nn.Sequential has hooks, which a perceptron of random weights would not call")
    return [layer for part in model for layer in _opened(part)]


def local_reparameterisation(
    layers: Sequence[nn.Module], mean: Tensor, sigmas: Tensor, inputs: Tensor, draws: int, generator: Generator
) -> Tensor:
    """Scores of a perceptron with weights ``N(mean, diag(sigmas^2))``, new for every draw and example.

    Given the input ``h`` of a linear layer, ``W h + b`` with independent Gaussian entries has independent Gaussian
    coordinates: mean ``M h + m_b``, variance ``S^2 h^2 + s_b^2`` (squares of entries). They are drawn directly, layer
    by layer. As every example has its own weights, and each weight is used once for it, that is the law of explicit
    draws, exactly; and two examples are independent.

    Differentiable in ``mean`` and ``sigmas``, so that it also trains a posterior. A variance of 0, without a bias at an
    input of 0, is replaced by the smallest normal number, for the gradient of the root.

    Args:
        layers: of ``perceptron_layers``.
        mean: ``(d,)``, in the order of ``parameters()``: weight before bias, layer by layer.
        sigmas: ``(d,)`` or ``(1,)``.
        inputs: ``(batch, ...)``, in the precision of ``mean``.
        draws: of every example.
        generator: on the device of the inputs; the noise has the precision of ``mean``.

    Returns:
        ``(draws, batch, classes)``.

    Reference:
        Kingma, Salimans, Welling 2015, Variational Dropout and the Local Reparameterization Trick.

    Raises:
        InputError: vectors that do not fit the layers; inputs with several rows for one example.

    Example:
        >>> layers = perceptron_layers(nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2)))
        >>> mean, sigmas = torch.zeros(17), torch.ones(1)
        >>> local_reparameterisation(layers, mean, sigmas, torch.ones(5, 2), 4, torch.Generator()).shape
        torch.Size([4, 5, 2])
    """
    shapes = [parameter.shape for layer in layers for parameter in layer.parameters()]
    sizes = sum(shape.numel() for shape in shapes)
    if mean.shape != (sizes,) or sigmas.shape not in ((sizes,), (1,)):
        raise InputError(
            f"mean has shape {tuple(mean.shape)}, sigmas {tuple(sigmas.shape)}; the network has {sizes} parameters"
        )
    means = iter(unflatten(mean, shapes))
    variances = iter(unflatten(sigmas.square().expand(sizes), shapes))
    hidden, drawn = inputs, False
    for layer in layers:
        if isinstance(layer, nn.Flatten):
            hidden = hidden.flatten(2 if drawn else 1)
        elif not isinstance(layer, nn.Linear):
            hidden = layer(hidden if drawn else hidden.clone())  # it may work in place
        else:
            if hidden.ndim != 2 + drawn:
                raise InputError(
                    f"a linear layer gets inputs of shape {tuple(hidden.shape[drawn:])}, need (batch, features): it "
                    f"would use each weight several times for one example. Begin with nn.Flatten(), or use WeightDraws"
                )
            bias = layer.bias is not None
            centre = linear(hidden, next(means), next(means) if bias else None)
            variance = linear(hidden.square(), next(variances), next(variances) if bias else None)
            shape = centre.shape if drawn else (draws, *centre.shape)
            noise = torch.randn(shape, generator=generator, dtype=mean.dtype, device=mean.device)
            hidden = centre + variance.clamp_min(torch.finfo(mean.dtype).tiny).sqrt() * noise
            drawn = True
    return hidden
