"""The arguments of Theorem 4.1, checked."""

import math
from dataclasses import dataclass
from typing import Any, SupportsFloat

from ...ground.errors import InputError
from ..posteriors.prior_grid import PriorGrid
from ..rounding.arguments import check_delta, check_dim
from ..rounding.intervals import Intervals, intervals, upper_end
from ..rounding.real import real_number
from .best_posterior import Problem
from .bound import Curvature
from .remainders import remainder_intervals

__all__ = ["Inputs", "check_examples", "check_inputs", "check_sigma"]


def check_sigma(sigma: SupportsFloat) -> float:
    """Refuse a standard deviation that is not positive or of no sensible size."""
    number = real_number("sigma", sigma, "up")
    if not 1e-12 <= number <= 1e6:
        raise InputError(f"sigma = {sigma} is not positive or not in [1e-12, 1e6]; leave it out for the best one")
    return number


def check_examples(examples: int) -> int:
    """Refuse a sample size that is not a whole number or too small for Maurer's inequality."""
    number = real_number("n", examples, "down")
    if not 8 <= number <= 2**60:
        raise InputError(f"n = {examples} examples are too few (or too many); Maurer's inequality needs at least 8")
    if number != int(examples):
        raise InputError(f"n = {examples} is not a whole number of examples")
    return int(examples)


@dataclass(frozen=True)
class Inputs:
    """Checked arguments of :func:`eigenvalue_bound`, each a float that is not better than what was given."""

    loss: float
    loss_bound: float
    top_eigenvalue: float
    fourth_derivative: float | None
    hessian_lipschitz: float | None
    dim: int
    squared_distance: float
    examples: int
    delta: float
    spent: float
    priors: PriorGrid

    def remainders(self, iv: Intervals, sigma: Any) -> dict[float, Any]:
        """:func:`remainder_intervals` of these inputs."""
        return remainder_intervals(iv, self.dim, sigma, self.fourth_derivative, self.hessian_lipschitz)

    def problems(self) -> list[Problem]:
        """What is minimised, one for each bound of the remainder."""
        iv = intervals()

        def logarithm(x: Any) -> float:
            return upper_end(iv.log(x / self.loss_bound)) if x.b > 0 else -math.inf

        return [
            Problem(
                loss=self.loss / self.loss_bound,
                log_slope=logarithm(self.dim * iv.real(max(0.0, self.top_eigenvalue)) / 2),
                log_rate=logarithm(factor) / power,
                power=power,
                dim=self.dim,
                squared_distance=self.squared_distance,
                examples=self.examples,
                delta=self.delta - self.spent,
                priors=self.priors,
            )
            for power, factor in self.remainders(iv, iv.real(1)).items()
        ]


def check_inputs(
    empirical_loss: SupportsFloat,
    curvature: Curvature,
    dim: int,
    squared_distance: SupportsFloat,
    examples: int,
    delta: SupportsFloat,
    loss_bound: SupportsFloat,
    priors: PriorGrid | None,
) -> Inputs:
    """Refuse what is out of range; round the rest so that no bound becomes smaller."""
    delta = check_delta(delta)
    dim = check_dim(dim)
    n = check_examples(examples)
    scale = real_number("loss bound", loss_bound, "up")
    loss = real_number("loss", empirical_loss, "up")
    if not (0 < scale < math.inf and 0 <= loss <= scale):
        raise InputError(f"loss {empirical_loss} does not lie in [0, {loss_bound}]; use a bounded loss")
    distance = real_number("squared distance", squared_distance, "up")
    if not 0 <= distance < math.inf:
        raise InputError(f"squared distance = {squared_distance}: need a finite distance, at least 0")
    constants = [
        None if value is None else real_number(name, value, "up")
        for name, value in (
            ("lambda_1", curvature.top_eigenvalue),
            ("K_4", curvature.fourth_derivative),
            ("K_3", curvature.hessian_lipschitz),
        )
    ]
    top, fourth, third = constants
    if (
        top is None
        or not all(math.isfinite(value or 0.0) for value in constants)
        or min(fourth or 0.0, third or 0.0) < 0
    ):
        raise InputError(
            f"{curvature} holds a number that is not finite or a negative derivative bound; measure it again"
        )
    if fourth is None and third is None:
        raise InputError("no bound on a higher derivative was given; give fourth_derivative or hessian_lipschitz")
    if curvature.kind not in ("certificate", "estimate"):
        raise InputError(f"unknown kind '{curvature.kind}'; choose one of: certificate, estimate")
    spent = real_number("spent", curvature.spent, "up")
    if not 0 <= spent < delta or delta - spent < 1e-100:
        raise InputError(f"the curvature spends {curvature.spent} of delta = {delta}; nothing is left, enlarge delta")
    return Inputs(loss, scale, top, fourth, third, dim, distance, n, delta, spent, priors or PriorGrid.for_dim(dim))
