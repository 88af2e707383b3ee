"""Whether eigenvalues were missed: a fresh random vector orthogonal to what was found, and what it proves."""

import math
from dataclasses import replace
from typing import final

import torch

from .eigenpairs import Eigenpairs
from .ends import End
from .krylov_decomposition import KrylovDecomposition
from .operators import SymmetricOperator
from .ritz_bound import ritz_bound
from .spectrum_bound import SpectrumBound, certainty_of_products

__all__ = ["Completeness", "beyond", "check_others"]


@final
class Completeness:
    """Bounds the eigenvalues besides those found, while Lanczos goes on from a random vector orthogonal to them.

    Let the rows of ``Y`` be the ``f`` Ritz vectors found, ``P = I - Y^T Y`` and ``b`` uniform on the unit sphere of
    their complement. The products from ``b`` make ``B = P A P`` tridiagonal, and :func:`ritz_bound` holds all of ``B``
    in ``[nu, mu]`` with probability ``1 - delta``, after each of them. By interlacing, at most ``f`` eigenvalues of
    ``A`` lie above ``mu``. So none that is clearly above the smallest of the ``f`` was missed, be it a copy of a
    repeated eigenvalue, a part of a cluster, or one that a given start vector was orthogonal to.

    Where ``Y`` holds values of both ends, ``theta`` the largest of the low ones, those could hide one each: for
    ``t > mu``, as many eigenvalues lie above ``t`` as are positive of ``Theta - t + E^T (t - B)^(-1) E`` with the
    residuals ``E`` (Schur's complement has the rest of the inertia), and the low ones are not for ``t`` above the
    larger eigenvalue of ``((theta, |E|), (|E|, mu))``: that one is the bound. The same at the other end.

    Args:
        space: holds the Ritz vectors found as its only rows; the fresh vector is added next, and nothing else.
        which: the end that they are of.
        k: how many of each end.
        delta: probability that a bound fails.

    Reference:
        Parlett, The Symmetric Eigenvalue Problem, 10.1 (interlacing); :func:`ritz_bound` for the probability.
    """

    def __init__(self, space: KrylovDecomposition, which: End, k: int, delta: float) -> None:
        self.space, self.which, self.k, self.delta = space, which, k, delta
        self.found = space.size
        values = space.projected.diagonal().sort(descending=which != "smallest").values
        self.last, self.first_low = values[k - 1].item(), values[-k].item()
        self.reach = math.hypot(*space.remainders(torch.eye(self.found, dtype=torch.float64)).tolist())
        self._norms: list[float] = []

    def bound(self, norm: float) -> SpectrumBound:
        """An interval for all eigenvalues but those found, after one more product that left ``norm`` outside."""
        self._norms.append(max(norm, self.space.noise))
        operator, theta = self.space.operator, self._ritz_values()
        rest = ritz_bound(theta, self._norms, operator.dim - self.found, self.delta, semidefinite=operator.semidefinite)
        upper, lower = rest.upper + self.space.noise, rest.lower - self.space.noise
        if self.which == "both" and math.isfinite(upper) and math.isfinite(lower):
            upper, lower = _larger(upper, self.first_low, self.reach), -_larger(-lower, -self.last, self.reach)
        certainty = certainty_of_products(operator.dtype)
        return SpectrumBound(0.0 if operator.semidefinite else lower, upper, self.delta, *certainty)

    def found_beyond(self, slack: float) -> bool:
        """Whether a Ritz value of the fresh vector lies beyond the last value found by more than ``slack``."""
        theta = self._ritz_values()
        above = self.which != "smallest" and theta[-1] > self.last + slack
        below = {"largest": math.inf, "smallest": self.last, "both": self.first_low}[self.which] - slack
        return above or (self.which != "largest" and theta[0] < below)

    def _ritz_values(self) -> list[float]:
        chain = self.space.projected[self.found :, self.found :]
        values: list[float] = torch.linalg.eigvalsh(chain).tolist()
        return values


def check_others(
    operator: SymmetricOperator,
    pairs: Eigenpairs,
    which: End,
    k: int,
    *,
    tolerance: float,
    max_products: int,
    seed: int,
    delta: float = 0.05,
) -> Eigenpairs:
    """The same eigenpairs with ``rest``; ``converged`` only if no others lie beyond them, within the tolerance.

    Multiplies the vectors once more, and then one fresh vector, within ``max_products`` in all.
    """
    found, products = len(pairs.vectors), pairs.products + len(pairs.vectors)
    said = "whether eigenvalues beyond these were missed is open; allow more products, or use lanczos"
    if not pairs.converged or found == operator.dim:
        return pairs
    if products >= max_products:
        return replace(pairs, converged=False, missing=said)
    space = KrylovDecomposition.of_vectors(operator, pairs.vectors, min(operator.dim, found + max_products - products))
    check = Completeness(space, which, k, delta)
    space.add_end(space.basis.outside(torch.Generator().manual_seed(seed + 1)))
    slack, complete = tolerance * float(pairs.values.abs().max()), False
    norm = 1.0
    while norm and not complete and products < max_products:
        norm, products = space.advance(), products + 1
        rest = check.bound(norm)
        complete = beyond(rest, which, pairs.values.tolist(), k) <= slack
        if check.found_beyond(slack):
            said = "eigenvalues beyond these were missed; use lanczos, a larger block or another start"
            break
    return replace(pairs, converged=complete, products=products, rest=rest, missing="" if complete else said)


def _larger(a: float, b: float, coupling: float) -> float:
    """The larger eigenvalue of ``((a, c), (c, b))``."""
    return (a + b) / 2 + math.hypot((a - b) / 2, coupling)


def beyond(rest: SpectrumBound, which: End, values: list[float], k: int) -> float:
    """How far other eigenvalues may lie beyond the ``k`` values found, at most (negative: they lie before them).

    Example:
        >>> beyond(SpectrumBound(-1.0, 1.5, 0.05), "largest", [3.0, 2.0], 2)
        -0.5
    """
    above, below = rest.upper - values[k - 1], values[-1] - rest.lower
    return {"largest": above, "smallest": below, "both": max(above, below)}[which]
