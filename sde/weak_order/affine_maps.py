"""Affine maps found from their values at a few points, as matrices that act on ``y = (x, 1)``."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ...ground.errors import InputError
from ..rules.nodes import Derivative, Loss, Norm, Power, Sign
from ..rules.recursion import Recursion
from ..rules.rule import Rule
from ..rules.traversal import walk

if TYPE_CHECKING:
    from ...landscapes.landscape import Landscape

__all__ = ["affine_probes", "check_polynomial", "homogeneous"]

_AFFINE = 1e-9  # relative departure from the affine map through d + 1 points


def affine_probes(d: int, landscape: "Landscape") -> Tensor:
    """The origin, the unit vectors, and two points on no line through the others, shape ``(d + 3, d)``."""
    k = torch.arange(1, d + 1, dtype=torch.float64)
    elsewhere = torch.stack([torch.sin(k), 2 * torch.cos(3 * k)])
    probes = torch.cat([torch.zeros(1, d, dtype=torch.float64), torch.eye(d, dtype=torch.float64), elsewhere])
    return probes.to(landscape.device)


def homogeneous(vectors: Tensor, probes: Tensor, name: str, scale: float, *, moves: bool = True) -> Tensor:
    """``(x, 1) -> (h_m(x), 0)`` as matrices ``(M, e + 1, d + 1)`` from values at :func:`affine_probes`.

    Args:
        vectors: values ``h_m``, shape ``(d + 3, M, e)``.
        probes: the points, shape ``(d + 3, d)``.
        name: of the rule.
        scale: a size below which departures are rounding.
        moves: False for maps to ``(h_m(x), 1)``.

    Raises:
        InputError: the values elsewhere are others than the affine map's.

    Example:
        >>> from eigensam.landscapes import Quadratic
        >>> probes = affine_probes(1, Quadratic([[1.0]], centres=[[0.0]]))
        >>> homogeneous(3 * probes[:, None] + 2, probes, "line", 1.0)
        tensor([[[3., 2.],
                 [0., 0.]]], dtype=torch.float64)
    """
    d, e = probes.shape[-1], vectors.shape[-1]
    origin = vectors[0]
    columns = (vectors[1 : d + 1] - origin).movedim(0, -1)
    result = vectors.new_zeros(len(origin), e + 1, d + 1)
    result[:, :e, :d], result[:, :e, d] = columns, origin
    if not moves:
        result[:, e, d] = 1.0
    predicted = torch.einsum("mij,pj->pmi", columns, probes[d + 1 :]) + origin
    departure, size = float((vectors[d + 1 :] - predicted).abs().max()), max(scale, float(vectors.abs().max()))
    if not departure <= _AFFINE * max(size, 1e-300):
        raise InputError(
            f"rule '{name}' is not affine on this landscape: its increments depart from an affine map by "
            f"{departure:.2g} where they are of size {size:.2g}; moments are closed only for affine ones, use "
            "--method torus, one-step or monte-carlo"
        )
    return result


def check_polynomial(rule: Rule | Recursion) -> None:
    """A sign or a norm of the gradient may be constant at all probes, in one dimension, and is not everywhere.

    Raises:
        InputError: the rule contains one.
    """
    expressions = [rule.step] if isinstance(rule, Rule) else [value for _, value in rule.statements]
    for node in (node for expression in expressions for node in walk(expression)):
        broken = isinstance(node, Power) and (node.exponent < 0 or node.exponent.denominator > 1)
        inside = any(isinstance(part, Derivative | Loss) for part in walk(node))
        if inside and (broken or isinstance(node, Norm | Sign)):
            raise InputError(
                f"rule '{rule.name}' is not affine: it contains {node}; moments are closed only for affine rules, use "
                "--method torus, one-step or monte-carlo"
            )
