"""What bounds by the largest loss in a ball take, checked."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import SupportsFloat

from ...ground.errors import InputError
from ..eigenvalue.bound import Kind
from ..eigenvalue.inputs import check_examples
from ..rounding.arguments import check_delta, check_dim
from ..rounding.real import real_number

__all__ = ["PerturbedInputs", "check_kind", "check_perturbed", "sentences"]


@dataclass(frozen=True)
class PerturbedInputs:
    """Checked arguments, each a float that is not better than what was given.

    Attributes:
        loss: largest loss in the ball.
        rho: its radius.
        squared_norm: squared distance of the point from the prior's centre.
        dim: ``d``.
        examples: ``n``.
        delta: probability of failure.
        loss_bound: ``B``.
    """

    loss: float
    rho: float
    squared_norm: float
    dim: int
    examples: int
    delta: float
    loss_bound: float

    def details(self) -> dict[str, float]:
        """The given numbers, for ``Bound.details``."""
        return {
            "rho": self.rho,
            "squared_distance": self.squared_norm,
            "dim": self.dim,
            "examples": self.examples,
            "loss_bound": self.loss_bound,
        }


def check_perturbed(
    perturbed_loss: SupportsFloat,
    rho: SupportsFloat,
    squared_norm: SupportsFloat,
    dim: int,
    examples: int,
    delta: SupportsFloat,
    loss_bound: SupportsFloat,
) -> PerturbedInputs:
    """Refuse what is out of range; round the rest so that no bound becomes smaller.

    Raises:
        InputError: which argument, and the repair.
    """
    delta, dim, examples = check_delta(delta), check_dim(dim), check_examples(examples)
    scale = real_number("loss bound", loss_bound, "up")
    loss = real_number("perturbed loss", perturbed_loss, "up")
    if not (0 < scale < math.inf and 0 <= loss <= scale):
        raise InputError(f"perturbed loss {perturbed_loss} does not lie in [0, {loss_bound}]; use a bounded loss")
    radius = real_number("rho", rho, "down")
    if not 1e-12 <= radius <= 1e6:
        raise InputError(f"rho = {rho} is not positive or not in [1e-12, 1e6]; give the radius of the ball")
    norm = real_number("squared norm", squared_norm, "up")
    if not 0 <= norm <= 1e30:
        raise InputError(f"squared norm = {squared_norm}: need a finite one, at least 0 and at most 1e30")
    return PerturbedInputs(loss, radius, norm, dim, examples, delta, scale)


def check_kind(kind: Kind) -> None:
    """Refuse a kind that a largest loss cannot have: nothing measures it, as an ascent finds a lower bound of it."""
    if kind not in ("certificate", "estimate"):
        raise InputError(f"unknown kind '{kind}' of a perturbed loss; choose one of: certificate, estimate")


def sentences(given: PerturbedInputs, sigma: float, kind: Kind, more: Sequence[str] = ()) -> list[str]:
    """What must be true besides, for a bound by the largest loss in a ball."""
    found = [
        f"The {given.examples} examples are independent draws from one distribution, and no example's loss leaves "
        f"[0, {given.loss_bound:g}] anywhere.",
        f"f_D(x) <= E f_D(x + e) for e ~ N(0, sigma^2 I) with sigma = {sigma:.4g}; else the bound is one of the right "
        "side only, the risk of the randomised predictor.",
        *more,
    ]
    if kind == "estimate":
        found.append(
            "The perturbed loss is at least the largest loss in the ball. One that an ascent found may be too small."
        )
    return found
