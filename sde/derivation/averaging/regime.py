"""Whether memory is fast beside a loss's curvature, so that averaging it out is right (theory, section 9)."""

import math
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ....ground.errors import InputError
from ....ground.exact_numbers import exact_number
from ...rules.leaves import POSITION
from ...rules.recursion import Recursion
from ..equations import wrapped
from .recursion_parts import RecursionParts

if TYPE_CHECKING:
    from ....landscapes.landscape import Landscape
    from ..derived_sde import SDE

__all__ = ["MemoryRegime", "largest_curvature", "memory_regime", "regime_of_file"]

_FAR_BELOW = 0.1  # ours: terms of the expansion in the ratio that are left out are then below a hundredth
_MOST_COORDINATES = 1_000
_STEPS = 500


@dataclass(frozen=True)
class MemoryRegime:
    """What the ratio ``eta lambda_1/(1 - sqrt(beta))^2`` says of a recursion's SDE.

    Attributes:
        name: ``"fixed memory"``, where the SDE applies; ``"border"``; ``"scaled friction"``, where memory has to be, or
            is, a block of the SDE; ``"no memory"``.
        ratio: the ratio; without fast memory ``eps lambda_1``.
        formula: what the ratio is of, in words.
        factor: ``beta``, the largest multiple of itself that memory keeps in one step of training.
        effective_rate: ``eps``.
        curvature: ``lambda_1``.
        sentence: which theory applies, and what to derive instead.
        assumes: what the ratio takes for granted.
        where: at which point of a landscape the curvature is; empty where a number was given.
    """

    name: str
    ratio: float
    formula: str
    factor: float
    effective_rate: float
    curvature: float
    sentence: str
    assumes: tuple[str, ...]
    where: str = ""

    def __str__(self) -> str:
        at = f" with lambda_1 = {self.curvature:.6g} {self.where}" if self.where else ""
        return f"{self.formula} = {self.ratio:.6g}{at}: {self.sentence}"

    @property
    def summary(self) -> str:
        """The sentence and what it assumes, as lines of a terminal."""
        assumed = [line for each in self.assumes for line in wrapped("  - ", each)]
        return "\n".join(["regime", *wrapped("  ", str(self)), *assumed])

    def to_dict(self) -> dict[str, Any]:
        """Everything in it for JSON."""
        return asdict(self) | {"assumes": list(self.assumes)}


def memory_regime(trained: "Recursion | SDE", eta: float | Fraction | str, curvature: float) -> MemoryRegime:
    """Compare the time in which memory forgets with that of the steepest curvature.

    On ``f = lambda x^2/2`` heavy ball multiplies ``(x, m)`` by a matrix whose eigenvalues are the roots of
    ``z^2 - (1 + beta - eta lambda) z + beta``. They belong to a slow and a fast block, real and apart, as long as
    ``eta lambda < (1 - sqrt(beta))^2``; there they meet, and the expansion in ``eta lambda`` that averaging is ends. In
    terms of the effective rate ``eps = eta/(1 - beta)`` the ratio is
    ``eps lambda (1 + sqrt(beta))/(1 - sqrt(beta))``. For other memory it is this with its own effective rate and
    largest factor.

    Args:
        trained: a recursion, or its SDE.
        eta: the learning rate.
        curvature: of the mean loss, the largest in absolute value.

    Raises:
        InputError: numbers that are not positive and finite.

    Example:
        At the paper's settings averaging the momentum is out of reach:

        >>> from eigensam.sde.rules.recursion import Recursion
        >>> from eigensam.sde.rules.statements import parse_statements
        >>> heavy_ball = Recursion("heavy ball", parse_statements("m = 9/10*m + g; x = x - eta*m"))
        >>> regime = memory_regime(heavy_ball, 0.1, 5.0)
        >>> regime.name, round(regime.ratio)
        ('scaled friction', 190)
        >>> memory_regime(heavy_ball, "1/40000", 5.0).name
        'fixed memory'
    """
    rate = float(exact_number(eta)) if isinstance(eta, str) else float(eta)
    if not 0 < rate < math.inf:
        raise InputError(f"eta = {eta} is not a positive number; give the learning rate, such as 0.1")
    if not math.isfinite(curvature):
        raise InputError(f"the curvature {curvature} is not finite; give the largest eigenvalue of the Hessian")
    steepest = abs(float(curvature))
    recursion = trained if isinstance(trained, Recursion) else trained.rule
    if not isinstance(recursion, Recursion):
        return _without_memory((), 1.0, rate, steepest)
    parts = RecursionParts(recursion, Fraction(1))
    step = parts.effective(Fraction(1)).step
    factors = {name: float(factor) for name, factor in step.factors.items()}
    slow = tuple(name for name in parts.blocks if name != POSITION)
    if not factors:
        return _without_memory(slow, float(parts.rate), rate, steepest)
    slowest = max(factors, key=lambda name: factors[name])
    kept = max(factors[slowest], 0.0) ** (1 / recursion.inner_steps)
    return _with_memory(slowest, kept, _Scales(float(parts.rate), rate, steepest), _assumed(recursion, factors))


@dataclass(frozen=True)
class _Scales:
    weight: float  # eps/eta
    eta: float
    curvature: float


def _assumed(recursion: Recursion, factors: dict[str, float]) -> tuple[str, ...]:
    found = ["the curvature is that of the mean loss at one point, without rho"]
    if recursion.schedules:
        found.append(f"the schedule {', '.join(recursion.schedules)} is 1 where it is largest")
    if len(factors) > 1:
        found.append(
            f"of several fast blocks ({', '.join(factors)}) the one with the largest factor decides, as if alone: that "
            "they feed each other is not counted"
        )
    if any(factor < 0 for factor in factors.values()):
        found.append("a negative factor counts as 0: memory that changes its sign does not add up")
    if recursion.inner_steps > 1:
        steps = recursion.inner_steps
        found.append(f"the factor of one training step is that of {steps} to the power 1/{steps}")
    found.append("the ratio is exact for heavy ball on a quadratic, and for other memory a guide")
    return tuple(found)


def _without_memory(slow: tuple[str, ...], weight: float, eta: float, curvature: float) -> MemoryRegime:
    ratio = weight * eta * curvature
    name = "scaled friction" if slow else "no memory"
    sentence = (
        f"{', '.join(slow)} moves by multiples of eta and is a block of the SDE, so nothing is averaged out and "
        "the SDE applies where the learning rate is small"
        if slow
        else "there is no fast memory, so the SDE applies where this is small"
    )
    assumed = ("the curvature is that of the mean loss at one point, without rho",)
    formula = "eta*lambda_1" if weight == 1 else "eps*lambda_1"
    return MemoryRegime(name, ratio, formula, 0.0, weight * eta, curvature, sentence, assumed)


def _with_memory(block: str, factor: float, scales: _Scales, assumes: tuple[str, ...]) -> MemoryRegime:
    effective = scales.weight * scales.eta
    root = math.sqrt(factor)
    ratio = effective * scales.curvature * (1 + root) / (1 - root)
    bare = math.isclose(scales.weight * (1 - factor), 1)
    formula = "eta*lambda_1/(1 - sqrt(beta))^2" if bare else "eps*lambda_1*(1 + sqrt(beta))/(1 - sqrt(beta))"
    most = (1 - root) / (1 + root) * scales.eta / effective
    instead = (
        f"let friction scale with eta: write {block} = {block} + kappa*eta*(-1*g - {block}); x = x + eta*{block} with "
        f"kappa = {(1 - factor) / effective:.6g} and a learning rate of {effective:.6g}; that SDE holds {block} and is "
        "good where its rate is small"
    )
    if ratio <= _FAR_BELOW:
        name = "fixed memory"
        sentence = f"far below 1, so {block} forgets fast beside every curvature, and the SDE applies"
    elif ratio < 1:
        name = "border"
        sentence = (
            f"not far below 1, so the order shows only at smaller learning rates; take eta*lambda_1 well below "
            f"{most:.4g}, or {instead}"
        )
    else:
        name = "scaled friction"
        sentence = (
            f"not below 1, so x and {block} oscillate together along this curvature and {block} cannot be averaged "
            f"out; take eta*lambda_1 well below {most:.4g}, or {instead}"
        )
    return MemoryRegime(name, ratio, formula, factor, effective, scales.curvature, sentence, assumes)


def regime_of_file(trained: "Recursion | SDE", eta: float | Fraction | str, path: Path) -> MemoryRegime:
    """As :func:`memory_regime`, with the curvature of a landscape in a file.

    Raises:
        InputError: no landscape file, or a landscape that :func:`largest_curvature` does not take.
    """
    from ....landscapes.analytic.landscape_file import read_landscape

    if path.is_dir():
        raise InputError(
            f"--landscape {path} is a folder; give a landscape file (of a run directory 'eigensam spectrum' measures "
            "the largest eigenvalue)"
        )
    curvature, where = largest_curvature(read_landscape(path))
    return replace(memory_regime(trained, eta, curvature), where=where)


def largest_curvature(landscape: "Landscape") -> tuple[float, str]:
    """The Hessian's eigenvalue of largest absolute value, at the origin and at the minimum that Newton's method finds.

    Args:
        landscape: analytic, of at most 1000 coordinates.

    Returns:
        The larger of both, and where it is.

    Raises:
        InputError: too many coordinates, or a loss without a finite Hessian at the origin.

    Example:
        >>> from eigensam.landscapes import Quadratic
        >>> largest_curvature(Quadratic([[2.0, 0.0], [0.0, 5.0]], [[1.0, 1.0]]))
        (5.0, 'everywhere')
    """
    import torch

    from ....landscapes.analytic.quadratic import Quadratic

    if landscape.dim > _MOST_COORDINATES:
        raise InputError(
            f"a landscape of {landscape.dim} coordinates; at most {_MOST_COORDINATES} are taken here, measure its "
            "largest eigenvalue with 'eigensam spectrum' and give that to memory_regime"
        )
    x = torch.zeros(landscape.dim, dtype=landscape.dtype, device=landscape.device)

    def hessian(point: "torch.Tensor") -> "torch.Tensor":
        rows = torch.eye(landscape.dim, dtype=x.dtype, device=x.device)
        return torch.stack([landscape.hessian_product(point, row) for row in rows])

    def steepest(matrix: "torch.Tensor") -> float:
        return float(torch.linalg.eigvalsh((matrix + matrix.mT) / 2).abs().max())

    matrix = hessian(x)
    if not bool(torch.isfinite(matrix).all()):
        raise InputError("the landscape's Hessian at the origin is not finite; move the origin of its formulas")
    start = steepest(matrix)
    if isinstance(landscape, Quadratic):
        return start, "everywhere"
    for _ in range(_STEPS):
        gradient = landscape.gradient(x)
        if not bool(torch.isfinite(gradient).all() & torch.isfinite(matrix).all()):
            break
        values, vectors = torch.linalg.eigh((matrix + matrix.mT) / 2)
        if float(torch.linalg.vector_norm(gradient)) <= 1e-10 and float(values.min()) >= 0:
            found = max(start, steepest(matrix))
            return found, "at the origin" if found == start else "at the minimum"
        # Newton's step with the curvatures' absolute values goes downhill; it is shortened until it does.
        step = -vectors @ ((vectors.mT @ gradient) / values.abs().clamp_min(1e-6 * start + 1e-12))
        height, length = float(landscape.loss(x)), 1.0
        while length > 1e-6 and not float(landscape.loss(x + length * step)) <= height:
            length /= 2
        x = x + length * step
        matrix = hessian(x)
    return start, "at the origin"
