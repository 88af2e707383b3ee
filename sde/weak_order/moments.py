"""Weak order on quadratics, exactly: first and second moments of chain and SDE are closed linear recursions.

Where every ``h_m(x) = -B_m x + r_m`` is affine, ``x' = x + eta h_m(x)`` is linear in ``y = (x, 1)``: ``y' = F_m y``
with ``F_m = [[I - eta B_m, eta r_m], [0, 1]]``, and ``Z = E y y^T`` obeys ``Z' = E F_m Z F_m^T``. The SDE has the drift
``G y`` and noise ``E N_m y (N_m y)^T``, so ``dZ/dt = G Z + Z G^T + eta E N_m Z N_m^T``.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ...ground.errors import InputError
from ...landscapes.landscape import Landscape
from ..derivation.derived_sde import SDE
from ..rules.bindings import Values
from ..rules.recursion import Recursion
from ..simulation.problems.coefficients import coefficients, exact_increments
from .affine_maps import affine_probes, check_polynomial, homogeneous
from .claim import Claim, Progress, step_count
from .evidence import Evidence
from .evolution import Evolution
from .needed_terms import Term, needed_terms
from .plans import MomentsPlan
from .recursion_moments import RecursionMoments, inside_order, moment_sizes, recursion_etas
from .verdict import WeakOrder, conclude

__all__ = ["MOMENT_ETAS", "MOST_DIMENSIONS", "Moments", "affine_moments", "verify_moments"]

MOMENT_ETAS: tuple[float, ...] = tuple(2.0**-k for k in range(3, 14, 2))
"""Ours: below, ``eta^2`` drowns in rounding."""

MOST_DIMENSIONS = 2000
"""Ours: some matrices of 32 MB."""

_ROUNDING = 1e-14
_DROWNS = 0.01  # rounding in units of the last error
_LEAST = 4  # step sizes: below, rounding is the verdict


class Moments(NamedTuple):
    """Of a chain and of its SDE.

    Attributes:
        chain: ``E y y^T`` with ``y = (x, 1)``, shape ``(d + 1, d + 1)``: the last column holds the mean. Of a
            recursion: those of its slow variable, at several times, one after the other.
        solution: the same of the SDE.
    """

    chain: Tensor
    solution: Tensor

    def __repr__(self) -> str:
        return f"Moments(dim={self.chain.shape[-1] - 1}, error={self.error():.4g})"

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dictionary of nested lists."""
        return {name: part.tolist() for name, part in self._asdict().items()}

    @property
    def difference(self) -> Tensor:
        """``chain - solution``."""
        return self.chain - self.solution

    def error(self) -> float:
        """The largest error over ``phi = a . x`` and ``phi = x . Q x`` with ``|a| = 1`` and nuclear norm of ``Q`` 1."""
        return _size(self.difference)


def _size(difference: Tensor) -> float:
    return float(moment_sizes(difference).max())


def verify_moments(
    sde: SDE,
    landscape: Landscape,
    start: Tensor | None = None,
    *,
    etas: Sequence[float] | None = None,
    rho_scale: float = 0.8,
    values: Values | None = None,
    plan: MomentsPlan | None = None,
    progress: Progress = lambda done, total: None,
) -> WeakOrder:
    """Measure the weak order of an SDE over all linear and quadratic test functions at ``T``, exactly, on a quadratic.

    For rules whose increments are affine on the landscape (SGD, USAM, their multi-step variants; not SAM, which divides
    by ``|g|``), in hundreds of dimensions. Of a recursion it is the slow variable ``x + eta chi`` that is compared, at
    up to eight times, with the SDE from its own start; step sizes are effective rates, the time of a step.

    Args:
        sde: from :func:`derive` or :func:`truncate`; it has ``beta`` in ``rho = rho_scale * eta^beta``.
        landscape: a :class:`Quadratic`, or anything else on which the rule is affine.
        start: ``x_0``, shape ``(d,)``; default: all coordinates 1. Memory starts at 0, or at what follows ``x_0`` in
            ``start``, block by block.
        etas: at least two step sizes, decreasing, at least three for a verdict; each divides the
            plan's horizon, into whole epochs; default: those of :data:`MOMENT_ETAS`, or of :func:`recursion_etas`,
            that do not drown in rounding.
        rho_scale: ``c > 0``; the smallest step sizes are measured at 1.25 of it, too.
        values: of the rule's parameters and frozen directions.
        plan: the order to be confirmed and the horizon.
        progress: called with (done, total) from the start on, after each step size.

    Returns:
        With the details ``horizon``, ``dim``, ``rounding`` and those of :class:`WeakOrder`; of a recursion also
        ``times``, how many are compared, ``inside_epochs``, and ``initial_layer``: errors and slopes of ``x`` itself
        over all steps, after ``O(log 1/eta)`` of them, and from memory at the mean of its invariant law, beside those
        of the slow variable (None without fast memory).

    Raises:
        InputError: a rule that is not affine here; moments that overflow; see also :func:`verify_on_torus`.

    Example:
        >>> from eigensam.landscapes import Quadratic
        >>> from eigensam.sde import derive, find_rule, verify_moments
        >>> f = Quadratic([[2.0, 0.0], [0.0, 1.0]], centres=[[1.0, 0.0], [-1.0, 0.5]])
        >>> result = verify_moments(derive(find_rule("usam"), 2, 1), landscape=f)
        >>> result.verdict, round(result.slope, 1)
        ('pass', 2.0)
    """
    plan = MomentsPlan() if plan is None else plan
    default = etas is None
    horizon, expected = float(plan.horizon), plan.expected
    recursion = sde.rule if isinstance(sde, SDE) and isinstance(sde.rule, Recursion) else None
    if recursion and default:
        etas = recursion_etas(sde, horizon)
    if recursion and plan.inside and expected is None:
        expected = inside_order(sde)
    claim = Claim.checked(sde, landscape, MOMENT_ETAS if etas is None else etas, rho_scale, values, expected)
    for eta in claim.etas:
        step_count(horizon, eta)
    kind = partial(_OfRecursion, inside=plan.inside) if recursion else _OfRule
    measured_of: _Measured = kind(claim, start, horizon)
    terms = needed_terms(sde, claim.order)
    laws = [claim] if (other := claim.at_another_scale()) is None else [claim, other]
    total, done = sum(len(law.etas) for law in laws) + len(laws) * (len(terms) + 1 if terms else 0), 0
    progress(0, total)

    def counted(found: Any) -> Any:
        nonlocal done
        done += 1
        progress(done, total)
        return found

    def measured(law: Claim) -> tuple[Evidence, float]:
        found = [counted(measured_of(law, sde, eta)) for eta in law.etas]
        evidence = Evidence.of(law, [m.difference for m in found], chains=[m.chain for m in found], norm=_size)
        clear = len(found)
        rounding = _rounding(found[-1], law, horizon)
        while default and clear > _LEAST and rounding > _DROWNS * evidence.errors[clear - 1]:
            clear -= 1
            rounding = _rounding(found[clear - 1], law.upto(clear), horizon)
        doubt = ""
        if rounding > _DROWNS * evidence.errors[clear - 1]:
            doubt = (
                f"the last error {evidence.errors[clear - 1]:.2g} is not far above rounding, {rounding:.2g}; use "
                "larger step sizes (an SDE that is exact on quadratics has no error to measure)"
            )
        return replace(evidence.upto(clear), doubt=doubt), rounding

    def influences(law: Claim) -> dict[Term, float]:
        eta = law.etas[-1]
        right = counted(measured_of.solution(law, terms[0].right, eta))
        return {term: _size(counted(measured_of.solution(law, term.changed, eta)) - right) for term in terms}

    first, rounding = measured(claim)
    evidence = [first] + [measured(law)[0] for law in [first.claim.at_another_scale()] if law]
    if terms:
        evidence = [replace(each, influences=influences(each.claim)) for each in evidence]
    details = {"horizon": horizon, "dim": landscape.dim, "rounding": rounding, **measured_of.details(first.claim)}
    return conclude("moments", evidence, **details)


class _Measured(ABC):
    """Moments at the step sizes of a claim."""

    @abstractmethod
    def __call__(self, law: Claim, sde: SDE, eta: float) -> Moments:
        """Of the chain and of an SDE."""

    @abstractmethod
    def solution(self, law: Claim, sde: SDE, eta: float) -> Tensor:
        """Of an SDE."""

    def details(self, law: Claim) -> dict[str, Any]:
        """What is reported beside them."""
        return {}


@dataclass(frozen=True)
class _OfRule(_Measured):
    claim: Claim
    start: Tensor | None
    horizon: float

    def __call__(self, law: Claim, sde: SDE, eta: float) -> Moments:
        f, values = law.landscape, law.values
        return affine_moments(sde, f, self.start, eta=eta, horizon=self.horizon, rho=law.rho(eta), values=values)

    def solution(self, law: Claim, sde: SDE, eta: float) -> Tensor:
        return self(law, sde, eta).solution


class _OfRecursion(_Measured):
    def __init__(self, claim: Claim, start: Tensor | None, horizon: float, inside: bool) -> None:
        self._moments = RecursionMoments(
            claim.sde, claim.landscape, start, horizon, claim.order, claim.values, inside=inside
        )
        for eta in claim.etas:
            self._moments.check_step(eta)
        self._times = self._moments.times(claim.etas)

    def __call__(self, law: Claim, sde: SDE, eta: float) -> Moments:
        return Moments(self._moments.chain(eta, law.rho(eta), self._times), self.solution(law, sde, eta))

    def solution(self, law: Claim, sde: SDE, eta: float) -> Tensor:
        return self._moments.solution(sde, eta, law.rho(eta), self._times)

    def details(self, law: Claim) -> dict[str, Any]:
        layer = self._moments.initial_layer(law.etas, [law.rho(eta) for eta in law.etas])
        found: dict[str, Any] = {"times": self._times, "inside_epochs": self._moments.inside}
        return found | {"initial_layer": None if layer is None else layer.to_dict()}


def _rounding(found: Moments, law: Claim, horizon: float) -> float:
    """Grows with the number of steps."""
    size = float(torch.linalg.matrix_norm(found.chain, ord=2).max())
    return _ROUNDING * size * math.sqrt(horizon / law.etas[-1])


def affine_moments(
    sde: SDE,
    landscape: Landscape,
    start: Tensor | None = None,
    *,
    eta: float,
    horizon: float,
    rho: float,
    values: Values | None = None,
) -> Moments:
    """Moments of the rule and of the SDE at time ``T``, see :func:`verify_moments`.

    Example:
        SGD on ``x^2 / 2``, two steps of 1/2 from 1: ``E x = 1/4``, the SDE's is ``e^{-1}``:

        >>> from eigensam.landscapes import Quadratic
        >>> from eigensam.sde import affine_moments, find_rule, truncate
        >>> f, sde = Quadratic([[1.0]], centres=[[0.0]]), truncate(find_rule("sgd"), 1, 1)
        >>> found = affine_moments(sde, landscape=f, eta=0.5, horizon=1.0, rho=0.1)
        >>> round(found.chain[0, 1].item(), 6), round(found.solution[0, 1].item(), 6)
        (0.25, 0.367879)
    """
    d, dtype = landscape.dim, landscape.dtype
    if dtype != torch.float64:
        raise InputError(f"the landscape is in {dtype}; moments need torch.float64: model.double()")
    if d > MOST_DIMENSIONS:
        raise InputError(
            f"moments in {d} dimensions are {landscape.size} matrices of size {d + 1}; at most {MOST_DIMENSIONS} "
            "dimensions are computed, use --method one-step or monte-carlo"
        )
    check_polynomial(sde.memoryless)
    x = torch.ones(d) if start is None else start
    x = torch.as_tensor(x, dtype=dtype, device=landscape.device)
    if x.shape != (d,) or not bool(x.isfinite().all()):
        raise InputError(f"start has shape {tuple(x.shape)}; expected ({d},) finite numbers")
    points = affine_probes(d, landscape)
    probes = points[:, None]
    exact = exact_increments(landscape, sde.memoryless, probes, rho, values)
    found = coefficients(landscape, sde, probes, rho, values)
    name, scale = sde.rule.name, float(exact.abs().max())
    steps = homogeneous(exact, points, name, scale)
    drift = homogeneous(found.drift(eta)[:, None], points, name, scale)[0]
    columns = homogeneous(found.columns(), points, name, scale)

    def chain(z: Tensor) -> Tensor:  # (E F z F^T - z) / eta with F = I + eta steps
        mean = steps.mean(0)
        moved = torch.einsum("mij,jk,mlk->il", steps, z, steps) / len(steps)
        return mean @ z + z @ mean.mT + eta * moved

    def generator(z: Tensor) -> Tensor:
        return drift @ z + z @ drift.mT + eta * torch.einsum("mij,jk,mlk->il", columns, z, columns) / len(columns)

    y = torch.cat([x, x.new_ones(1)])
    z = torch.outer(y, y)
    moments = []
    for evolution in (Evolution(chain, eta), Evolution(generator)):
        moments.append(evolution.advance(z, horizon))
        if not bool(moments[-1].isfinite().all()):
            raise InputError(
                f"moments overflow at eta = {eta:g}: the recursion is unstable here; use smaller step sizes"
            )
    return Moments(*moments)
