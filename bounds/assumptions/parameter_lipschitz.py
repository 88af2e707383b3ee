"""Rows on Lipschitz constants of gradient and Hessian in the parameters: upper ends by proof, lower ends by sample."""

import math
from typing import Any

import torch
from torch import Tensor, nn

from ...ground.errors import InputError
from ...landscapes.landscape import Landscape
from .head import Growth, curvature_growth
from .modules import jump_of
from .subject import Subject
from .verdict import (
    COROLLARY,
    FAILS,
    HOLDS,
    THEOREM_4_1,
    THEOREM_4_2,
    UNDECIDED,
    CheckedAssumption,
    Ground,
    Verdict,
)

__all__ = ["GRADIENT", "HESSIAN", "linear_model_constants", "parameter_lipschitz_rows", "sampled_constants"]

GRADIENT = "gradient Lipschitz in the parameters"
HESSIAN = "Hessian Lipschitz in the parameters"
_ROUNDING = 1 + 1e-9  # sums of at most 10^6 squares in float64, with room


def linear_model_constants(features: Tensor) -> tuple[float, float]:
    """Constants of the cross-entropy of one linear layer, valid for all its parameters and each minibatch of the rows.

    With ``a`` a feature vector, ``S = diag(p) - p p^T``, the Hessian is ``S (x) a a^T`` and ``S <= I/2`` (Gershgorin),
    so ``K_2 = max |a|^2 / 2``. The third derivative along unit ``V`` is the third central moment of ``(V a)_y``, ``y ~
    p``; its values have a range of at most ``sqrt(2) |a|``, and on [0, 1] that moment is at most ``1/(6 sqrt 3)``. A
    symmetric trilinear form is largest on a diagonal (Banach), so ``K_3 = max |a|^3 sqrt(2) / (3 sqrt 3)``.

    Args:
        features: ``(n, k)``; with a column of ones where there is a bias.

    Example:
        >>> [round(value, 4) for value in linear_model_constants(torch.tensor([[3.0, 4.0], [1.0, 0.0]]))]
        [12.5, 34.0207]
    """
    longest = float(features.double().norm(dim=1).max())
    return longest**2 / 2 * _ROUNDING, longest**3 * math.sqrt(2) / (3 * math.sqrt(3)) * _ROUNDING


def _linear_constants(subject: Subject) -> tuple[float, float] | None:
    """Those of the run, if its network is one linear layer behind nothing but reshapes; else None."""
    layers = subject.layers
    if layers is None or [type(each) for each in layers if type(each) not in (nn.Flatten, nn.Identity)] != [nn.Linear]:
        return None
    (layer,) = (each for each in layers if type(each) is nn.Linear)
    features = subject.data.train_inputs.flatten(1).double()
    if layer.bias is not None:
        features = torch.cat([features, features.new_ones(len(features), 1)], 1)
    return linear_model_constants(features)


def sampled_constants(landscape: Landscape, x: Tensor, v: Tensor, radius: float, pairs: Tensor) -> tuple[float, float]:
    """Largest difference quotients of gradient and Hessian in a ball: lower ends of their Lipschitz constants there.

    Points of a pair are a hundredth of the radius apart: along ``v`` at ``x`` first, then along the gradient at random
    points of the ball. The Hessian's quotient is of its product with ``v``.

    Args:
        landscape: its mean loss.
        x: centre, ``(d,)``.
        v: a unit vector, best one along which the curvature is large.
        radius: of the ball.
        pairs: unit vectors as rows, one for each random point.

    Reference:
        Khromov & Singh, Some Fundamental Aspects about Lipschitz Continuity of Neural Networks, ICLR 2024: the lower
        ends.

    Example:
        >>> from eigensam.landscapes import Quadratic
        >>> f, x = Quadratic(torch.diag(torch.tensor([4.0, 1.0])), centres=[[0.0, 0.0]]), torch.ones(2).double()
        >>> v = torch.tensor([1.0, 0.0]).double()
        >>> [round(value, 6) for value in sampled_constants(f, x, v, 0.1, v[None])]
        [4.0, 0.0]
    """
    step = radius / 100
    starts = [(x - step / 2 * v, v)]
    for row in pairs:
        point = x + (radius - step) * row
        slope = landscape.gradient(point)
        length = slope.norm()
        starts.append((point, slope / length if float(length) > 0 else v))
    first = second = 0.0
    for point, u in starts:
        other = point + step * u
        distance = float((other - point).norm())
        moved = landscape.gradient(other) - landscape.gradient(point)
        first = max(first, float(moved.norm()) / distance)
        turned = landscape.hessian_product(other, v) - landscape.hessian_product(point, v)
        second = max(second, float(turned.norm()) / distance)
    return first, second


def parameter_lipschitz_rows(subject: Subject) -> list[CheckedAssumption]:
    """Gradient and Hessian of the cross-entropy that was trained."""
    settings = subject.settings
    radius = settings.radius * float(subject.x.norm())
    top = subject.pairs.vectors[0]
    subject.progress("sampled Lipschitz constants")
    sampled = sampled_constants(
        subject.landscape, subject.x, top, radius, subject.directions(settings.pair_count(subject.dim))
    )
    upper = _linear_constants(subject)
    growth: Growth | None = None
    # Of a large network with kinks, which decide anyway, the third derivatives would take minutes.
    decided = subject.dtype != torch.float64 and 1 in subject.known.jumps.values()
    if upper is None and not decided and subject.head is not None and not bool(subject.head.mask.all()):
        subject.progress("curvature along a ray")
        direction = subject.directions(1)[0].to(subject.few.device, torch.float64)
        try:
            growth = curvature_growth(subject.few, subject.head, direction)
        except (InputError, NotImplementedError):  # derivatives that torch does not take rightly
            growth = None
    rows = []
    for index, name in enumerate((GRADIENT, HESSIAN)):
        values = None if growth is None else (growth.curvatures, growth.thirds)[index]
        numbers: dict[str, Any] = {
            "upper": None if upper is None else upper[index],
            "local_lower": sampled[index],
            "radius": radius,
            "factors": None if growth is None else list(growth.factors),
            "along_ray": None if values is None else list(values),
            "last": None if values is None else values[-1],
            "last_factor": None if growth is None else growth.factors[-1],
        }
        rows.append(_row(name, index, numbers, subject))
    return rows


def _row(name: str, index: int, numbers: dict[str, Any], subject: Subject) -> CheckedAssumption:
    local = " Sampled in the ball of radius {radius} around x: at least {local_lower} there."
    # Theorem 4.1's remainder needs the Hessian's constant wherever Q puts mass; Theorem 4.2 needs both.
    statements = (THEOREM_4_2, COROLLARY) if index == 0 else (THEOREM_4_1, THEOREM_4_2, COROLLARY)
    source = "Luo et al. 2024, Assumption 1 in Appendix A.1 (Lipschitz conditions)"
    source += "; the remainder of Theorem 4.1: docs/theory.md, section 6" if index else ""
    jumps = [jump_of(module) for module in subject.model.modules()]
    upper, lower = numbers["upper"], numbers["local_lower"]
    if upper is not None:
        if not lower <= upper * (1 + 1e-3):
            raise RuntimeError(f"{name}: the sampled {lower} exceeds the proved upper end {upper}: please report it")
        return CheckedAssumption(
            name,
            statements,
            HOLDS,
            "proof",
            "A linear model: the constant is at most {upper} for all parameters." + local,
            numbers,
            source + "; the constants: linear_model_constants",
        )
    grows = numbers["along_ray"] is not None and Growth.grows(numbers["along_ray"])
    ray = (
        "With the last layer multiplied by -t this derivative in the other layers grows like t: {last} at "
        "t = {last_factor}. No constant serves all parameters."
    )
    verdict: Verdict
    ground: Ground
    if any(order is not None and 0 < order <= index + 1 for order in jumps):
        verdict, ground = FAILS, "proof"
        reason = "What jumps at kinks has no Lipschitz constant." + (" " + ray if grows else "")
    elif grows:
        verdict, ground, reason = FAILS, "sampled", ray
    else:
        verdict, ground = UNDECIDED, "sampled"
        reason = "No upper end is known, and along the ray that makes the last layer large no growth was seen."
    return CheckedAssumption(name, statements, verdict, ground, reason + local, numbers, source + "; the ray: head.py")
