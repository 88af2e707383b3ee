"""Weak order on quadratics, exactly: first and second moments of chain and SDE are closed linear recursions.

Where every ``h_m(x) = -B_m x + r_m`` is affine, ``x' = x + eta h_m(x)`` is linear in ``y = (x, 1)``: ``y' = F_m y``
with ``F_m = [[I - eta B_m, eta r_m], [0, 1]]``, and ``Z = E y y^T`` obeys ``Z' = E F_m Z F_m^T``. The SDE has the drift
``G y`` and noise ``E N_m y (N_m y)^T``, so ``dZ/dt = G Z + Z G^T + eta E N_m Z N_m^T``.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ...ground.errors import InputError
from ...landscapes.landscape import Landscape
from ..derivation.derived_sde import SDE
from ..rules.bindings import Values
from ..rules.nodes import Derivative, Loss, Norm, Power, Sign
from ..rules.rule import Rule
from ..rules.traversal import walk
from ..simulation.problems.coefficients import coefficients, exact_increments
from .claim import Claim, Progress, step_count
from .evidence import Evidence
from .evolution import Evolution
from .needed_terms import Term, needed_terms
from .plans import MomentsPlan
from .verdict import WeakOrder, conclude

__all__ = ["MOMENT_ETAS", "MOST_DIMENSIONS", "Moments", "affine_moments", "verify_moments"]

MOMENT_ETAS: tuple[float, ...] = tuple(2.0**-k for k in range(3, 14, 2))
"""Ours: below, ``eta^2`` drowns in rounding."""

MOST_DIMENSIONS = 2000
"""Ours: some matrices of 32 MB."""

_ROUNDING = 1e-14
_DROWNS = 0.01  # rounding in units of the last error
_LEAST = 4  # step sizes: below, rounding is the verdict
_AFFINE = 1e-9  # relative departure from the affine map through d + 1 points


class Moments(NamedTuple):
    """Of a chain and of its SDE at one time.

    Attributes:
        chain: ``E y y^T`` with ``y = (x, 1)``, shape ``(d + 1, d + 1)``: the last column holds the mean.
        solution: the same of the SDE.
    """

    chain: Tensor
    solution: Tensor

    def __repr__(self) -> str:
        return f"Moments(dim={len(self.chain) - 1}, error={self.error():.4g})"

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
    first = torch.linalg.vector_norm(difference[:-1, -1])
    second = torch.linalg.matrix_norm(difference[:-1, :-1], ord=2)
    return float(torch.maximum(first, second))


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
    by ``|g|``), in hundreds of dimensions.

    Args:
        sde: from :func:`derive` or :func:`truncate`; it has ``beta`` in ``rho = rho_scale * eta^beta``.
        landscape: a :class:`Quadratic`, or anything else on which the rule is affine.
        start: ``x_0``, shape ``(d,)``; default: all coordinates 1.
        etas: at least two step sizes, decreasing, at least three for a verdict; each divides the
            plan's horizon; default: those of :data:`MOMENT_ETAS` that do not drown in rounding.
        rho_scale: ``c > 0``; the smallest step sizes are measured at 1.25 of it, too.
        values: of the rule's parameters and frozen directions.
        plan: the order to be confirmed and the horizon.
        progress: called with (done, total) from the start on, after each step size.

    Returns:
        With the details ``horizon``, ``dim``, ``rounding`` and those of :class:`WeakOrder`.

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
    claim = Claim.checked(sde, landscape, MOMENT_ETAS if etas is None else etas, rho_scale, values, plan.expected)
    horizon = float(plan.horizon)
    for eta in claim.etas:
        step_count(horizon, eta)
    terms = needed_terms(sde, claim.order)
    laws = [claim] if (other := claim.at_another_scale()) is None else [claim, other]
    total, done = sum(len(law.etas) for law in laws) + len(laws) * (len(terms) + 1 if terms else 0), 0
    progress(0, total)

    def at(claim: Claim, sde: SDE, eta: float) -> Moments:
        nonlocal done
        found = affine_moments(
            sde, landscape=landscape, start=start, eta=eta, horizon=horizon, rho=claim.rho(eta), values=values
        )
        done += 1
        progress(done, total)
        return found

    def measured(law: Claim) -> tuple[Evidence, float]:
        found = [at(law, sde, eta) for eta in law.etas]
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
        right = at(law, terms[0].right, law.etas[-1]).solution
        return {term: _size(at(law, term.changed, law.etas[-1]).solution - right) for term in terms}

    first, rounding = measured(claim)
    evidence = [first] + [measured(law)[0] for law in [first.claim.at_another_scale()] if law]
    if terms:
        evidence = [replace(each, influences=influences(each.claim)) for each in evidence]
    return conclude("moments", evidence, horizon=horizon, dim=landscape.dim, rounding=rounding)


def _rounding(found: Moments, law: Claim, horizon: float) -> float:
    """Grows with the number of steps."""
    size = float(torch.linalg.matrix_norm(found.chain, ord=2))
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
    _check_polynomial(sde.memoryless)
    x = torch.ones(d) if start is None else start
    x = torch.as_tensor(x, dtype=dtype, device=landscape.device)
    if x.shape != (d,) or not bool(x.isfinite().all()):
        raise InputError(f"start has shape {tuple(x.shape)}; expected ({d},) finite numbers")
    probes = torch.cat([torch.zeros(1, d, dtype=dtype), torch.eye(d, dtype=dtype), _elsewhere(d)])
    probes = probes.to(landscape.device)[:, None]
    exact = exact_increments(landscape, sde.memoryless, probes, rho, values)
    found = coefficients(landscape, sde, probes, rho, values)
    scale = float(exact.abs().max())
    steps = _homogeneous(exact, probes, sde, scale)
    drift = _homogeneous(found.drift(eta)[:, None], probes, sde, scale)[0]
    columns = _homogeneous(found.columns(), probes, sde, scale)

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


def _elsewhere(d: int) -> Tensor:
    """Points that lie on no line through the others."""
    k = torch.arange(1, d + 1, dtype=torch.float64)
    return torch.stack([torch.sin(k), 2 * torch.cos(3 * k)])


def _check_polynomial(rule: Rule) -> None:
    """A sign or a norm of the gradient may be constant at all probes, in one dimension, and is not everywhere."""
    for node in walk(rule.step):
        broken = isinstance(node, Power) and (node.exponent < 0 or node.exponent.denominator > 1)
        inside = any(isinstance(part, Derivative | Loss) for part in walk(node))
        if inside and (broken or isinstance(node, Norm | Sign)):
            raise InputError(
                f"rule '{rule.name}' is not affine: it contains {node}; moments are closed only for affine rules, use "
                "--method torus, one-step or monte-carlo"
            )


def _homogeneous(vectors: Tensor, probes: Tensor, sde: SDE, scale: float) -> Tensor:
    """``(x, 1) -> (h_m(x), 0)`` as matrices ``(M, d + 1, d + 1)`` from values at 0, unit vectors and elsewhere.

    Raises:
        InputError: the values elsewhere are others than the affine map's, compared with ``scale``.
    """
    d = vectors.shape[-1]
    origin = vectors[0]
    columns = (vectors[1 : d + 1] - origin).movedim(0, -1)
    result = vectors.new_zeros(len(origin), d + 1, d + 1)
    result[:, :d, :d], result[:, :d, d] = columns, origin
    predicted = torch.einsum("mij,pkj->pmi", columns, probes[d + 1 :]) + origin
    departure, size = float((vectors[d + 1 :] - predicted).abs().max()), max(scale, float(vectors.abs().max()))
    if not departure <= _AFFINE * max(size, 1e-300):
        raise InputError(
            f"rule '{sde.rule.name}' is not affine on this landscape: its increments depart from an affine map by "
            f"{departure:.2g} where they are of size {size:.2g}; moments are closed only for affine ones, use "
            "--method torus, one-step or monte-carlo"
        )
    return result
