"""The arguments of Theorem 4.1, checked."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, SupportsFloat

from ...ground.errors import InputError
from ..posteriors.prior_grid import PriorGrid
from ..rounding.arguments import check_delta, check_dim
from ..rounding.intervals import Intervals, intervals, upper_end
from ..rounding.real import real_number
from .best_posterior import Problem
from .bound import Curvature
from .form import Form
from .remainders import REMAINDERS

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
    trace: float | None
    eigenvalues: tuple[float, ...]
    constants: Mapping[str, float]
    dim: int
    squared_distance: float
    examples: int
    delta: float
    spent: float
    priors: PriorGrid

    def slope(self, iv: Intervals, form: Form) -> Any:
        """What ``sigma^2`` is multiplied by: half the trace of the Hessian, or what is at least that.

        A negative Ritz value may lie below ``lambda_1``, and must not lower the bound; as ``tr H <= d lambda_1``, the
        smaller of the two is one of the trace, too.
        """
        eigenvalue = self.dim * iv.real(max(0.0, self.top_eigenvalue)) / 2
        if form.curvature != "trace":
            return eigenvalue
        assert self.trace is not None
        return min(iv.real(max(0.0, self.trace)) / 2, eigenvalue, key=upper_end)

    def remainder(self, iv: Intervals, sigma: Any, form: Form) -> Any:
        """Of Taylor's formula."""
        return REMAINDERS[form.remainder].interval(iv, self.dim, sigma, self.constants[form.remainder])

    def problems(self, forms: Sequence[Form]) -> list[Problem]:
        """What is minimised, one for each form."""
        iv = intervals()

        def logarithm(x: Any) -> float:
            return upper_end(iv.log(x / self.loss_bound)) if x.b > 0 else -math.inf

        return [
            Problem(
                loss=self.loss / self.loss_bound,
                log_slope=logarithm(self.slope(iv, form)),
                log_rate=logarithm(self.remainder(iv, iv.real(1), form)) * 2 / REMAINDERS[form.remainder].power,
                power=REMAINDERS[form.remainder].power / 2,
                dim=self.dim,
                squared_distance=self.squared_distance,
                examples=self.examples,
                delta=self.delta - self.spent,
                priors=self.priors,
            )
            for form in forms
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
    nothing = curvature.top_eigenvalue is None  # of a measurement that failed
    top = math.nan if nothing else real_number("lambda_1", curvature.top_eigenvalue, "up")
    trace = None if curvature.trace is None else real_number("trace", curvature.trace, "up")
    leading = tuple(real_number("eigenvalue", value, "down") for value in curvature.eigenvalues or ())
    if len(leading) > dim:
        raise InputError(f"{len(leading)} eigenvalues of {dim} parameters; give at most one for each")
    if any(value > top + 1e-9 * abs(top) for value in leading):  # v^T H v <= lambda_1
        raise InputError(f"eigenvalues {leading} are above lambda_1 = {top}; give those of one Hessian")
    constants = {
        name: real_number(name, value, "up")
        for name, each in REMAINDERS.items()
        if (value := getattr(curvature, each.constant)) is not None
    }
    for name, each in REMAINDERS.items():
        if each.sampled and name in constants:  # an average of both signs; what lowers the loss is not counted on
            constants[name] = max(0.0, constants[name])
    if (
        not all(map(math.isfinite, (top, trace or 0.0, *leading, *constants.values())))
        or min(constants.values(), default=0) < 0
    ):
        raise InputError(
            f"{curvature} holds a number that is not finite or a negative derivative bound; measure it again"
        )
    if curvature.kind not in ("certificate", "estimate"):
        raise InputError(f"unknown kind '{curvature.kind}'; choose one of: certificate, estimate")
    spent = real_number("spent", curvature.spent, "up")
    if not 0 <= spent < delta or delta - spent < 1e-100:
        raise InputError(f"the curvature spends {curvature.spent} of delta = {delta}; nothing is left, enlarge delta")
    priors = priors or PriorGrid.for_dim(dim)
    return Inputs(loss, scale, top, trace, leading, constants, dim, distance, n, delta, spent, priors)
