"""The network as a function of its inputs: a product of norms, a semidefinite bound, and a sampled lower end."""

from typing import Any

import torch
from torch import Tensor, nn

from .lipsdp import lipsdp
from .modules import jump_of
from .operator_norms import layer_constant, slopes
from .subject import Subject
from .verdict import HOLDS, UNDECIDED, CheckedAssumption

__all__ = ["input_lipschitz_row", "norm_product", "perceptron_of"]

INPUTS = "outputs Lipschitz in the inputs"
_EXAMPLES = 32  # ours: Jacobians that are looked at


def norm_product(layers: list[nn.Module], shape: tuple[int, ...]) -> float | None:
    """The product of all layers' constants, an upper end for the whole chain; None where one is not known.

    Args:
        layers: of a chain in eval mode.
        shape: of one input.

    Example:
        >>> layer = nn.Linear(1, 1)
        >>> _ = nn.init.constant_(layer.weight, 3.0)
        >>> round(norm_product([layer, nn.Tanh(), layer], (1,)), 4)
        9.0
    """
    product = 1.0
    for layer in layers:
        constant = layer_constant(layer, shape)
        if constant is None:
            return None
        product *= constant
        parameter = next(iter(layer.parameters()), torch.zeros(()))
        with torch.no_grad():
            shape = tuple(layer(torch.zeros(1, *shape, dtype=parameter.dtype, device=parameter.device)).shape[1:])
    return product


def perceptron_of(layers: list[nn.Module]) -> tuple[list[Tensor], list[tuple[float, float]]] | None:
    """Weights and slopes of a chain of linear layers with one activation between any two; None for another chain.

    Example:
        >>> weights, slopes = perceptron_of([nn.Flatten(), nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2)])
        >>> [tuple(weight.shape) for weight in weights], slopes
        ([(3, 4), (2, 3)], [(0.0, 1.0)])
    """
    inner = [layer for layer in layers if type(layer) not in (nn.Flatten, nn.Identity, nn.Dropout)]
    linear, between = inner[::2], inner[1::2]
    if len(linear) < 2 or len(linear) != len(between) + 1 or any(type(layer) is not nn.Linear for layer in linear):
        return None
    found = [slopes(layer) for layer in between]
    if any(each is None for each in found):
        return None
    weights = [layer.weight for layer in linear if isinstance(layer, nn.Linear)]
    return weights, [each for each in found if each is not None]


def _largest_jacobian(model: nn.Module, inputs: Tensor) -> float:
    """The largest norm of a Jacobian at the inputs, a lower end; each alone, so that none depends on another."""
    largest = 0.0
    for example in inputs:
        point = example[None].clone().requires_grad_()
        outputs = model(point)[0].flatten()
        rows = [torch.autograd.grad(output, point, retain_graph=True)[0].flatten() for output in outputs]
        largest = max(largest, float(torch.linalg.matrix_norm(torch.stack(rows).double().cpu(), 2)))
    return largest


def input_lipschitz_row(subject: Subject) -> CheckedAssumption:
    """The row; no theorem needs it, but it is what the authors name for checking Lipschitz conditions.

    Raises:
        RuntimeError: the lower end lies above an upper one, which would be a mistake of this package.
    """
    subject.progress("Lipschitz constant in the inputs")
    inputs = subject.training_part[0][:_EXAMPLES]
    lower = _largest_jacobian(subject.model, inputs) if inputs.is_floating_point() else None
    product = semidefinite = None
    evaluations = 0
    layers = subject.layers
    if layers is not None:
        product = norm_product(layers, subject.data.shape)
        if (perceptron := perceptron_of(layers)) is not None:
            subject.progress("semidefinite bound")
            found = lipsdp(*perceptron)
            if found is not None:
                semidefinite, evaluations = found.upper, found.evaluations
    tolerance = 1e-6 if subject.dtype == torch.float64 else 1e-2
    known = [each for each in (product, semidefinite) if each is not None]
    upper = min(known, default=None)
    if upper is not None and lower is not None and lower > upper * (1 + tolerance):
        raise RuntimeError(f"the sampled Lipschitz constant {lower} exceeds the proved {upper}: please report it")
    numbers: dict[str, Any] = {
        "norm_product": product,
        "semidefinite": semidefinite,
        "upper": upper,
        "sampled_lower": lower,
        "inputs": len(inputs),
        "evaluations": evaluations,
    }
    measured = " At {inputs} training inputs the Jacobian's norm is {sampled_lower} at most, a lower end."
    if lower is None:
        measured = " Inputs that number something have no Jacobian."
    source = (
        "named in the authors' answer to a review: Fazlyab et al. 2019 (semidefinite bound), Khromov & Singh 2024 "
        "(lower end); norm product: Szegedy et al. 2014"
    )
    if upper is None:
        unknown = [type(m).__name__ for m in subject.model.modules() if jump_of(m) is None]
        numbers["unknown"] = sorted(set(unknown))
        return CheckedAssumption(
            INPUTS, (), UNDECIDED, "sampled", "No upper end: the network is no chain of layers with known "
                "constants." + measured,
            numbers, source,
        )  # fmt: skip
    reason = "Upper ends, up to rounding: product of norms {norm_product}"
    reason += "." if semidefinite is None else ", semidefinite bound {semidefinite}."
    return CheckedAssumption(INPUTS, (), HOLDS, "proof", reason + measured, numbers, source)
