"""The local error of one step, in any dimension: ``|E phi(x + eta h) - (e^{eta L} phi)(x)|``."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import mpmath
import numpy as np
import torch
from torch import Tensor

from ...ground.errors import InputError
from ...landscapes.landscape import Landscape
from ..derivation.derived_sde import SDE
from ..derivation.multiprecision import exact_step, sde_coefficients
from ..rules.bindings import Values, bind
from ..rules.recursion import Recursion
from ..simulation.problems.coefficients import coefficients, drift_and_covariance, exact_increments
from ..simulation.splitting import splitting_mean
from .claim import Claim, Progress
from .divisor_check import divisors
from .evidence import Evidence
from .needed_terms import Term, needed_terms
from .own_coefficients import CoefficientFunction, checked_coefficients
from .plans import OneStepPlan
from .recursion_one_step import RecursionOneStep
from .verdict import WeakOrder, conclude

__all__ = [
    "FLOAT64_ETAS",
    "MULTI_ETAS",
    "default_points",
    "polynomial_test_functions",
    "spanning_test_functions",
    "verify_one_step",
]

MULTI_ETAS: tuple[float, ...] = tuple(2.0**-k for k in range(24, 49, 4))
"""Ours: small enough that ``eta^{1/3}``, by which the next term differs, is below 1 %."""

FLOAT64_ETAS: tuple[float, ...] = tuple(2.0**-k for k in range(3, 16, 2))
"""Ours: below them ``eta^3`` drowns in rounding; those that do are not used."""

_MOST_MULTI = 3  # dimensions: beyond, formulas are long, and double precision is the default
_MULTI_TOLERANCE = 0.01
_EPSILON = 2.0**-52
_LEAST = 4  # step sizes: below, rounding is the verdict
_DROWNS = 50.0  # the last error in units of rounding, for its slope to be right to a few per cent


def polynomial_test_functions(x: Any) -> Any:
    """``a.x``, ``(b.x)^2`` and ``(a.x)(b.x)^2`` for fixed unit vectors ``a`` and ``b``: shape ``(N, d)`` to ``(N, 3)``.

    Works on tensors and on arrays of multi-precision numbers.
    """
    k = np.arange(1, x.shape[-1] + 1)
    weights: list[Any] = [w / np.linalg.norm(w) for w in (np.cos(k), np.sin(2 * k))]
    if isinstance(x, Tensor):
        weights = [torch.from_numpy(w).to(x) for w in weights]
    first, second = ((x * w).sum(-1) for w in weights)
    stack = torch.stack if isinstance(x, Tensor) else np.stack
    return stack([first, second**2, first * second**2], -1)


def spanning_test_functions(x: Tensor) -> Tensor:
    """``u.x``, ``(u.x)^2`` of ``2d + 1`` random unit vectors, ``(u.x)^3`` of one: shape ``(N, d)`` to ``(N, 4d + 3)``.

    A mistake in any component of a drift or a covariance is seen by them; two fixed vectors see a few of these only.
    """
    d = x.shape[-1]
    u = torch.randn(2 * d + 1, d, generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(x)
    along = x @ (u / u.norm(dim=1, keepdim=True)).mT
    return torch.cat([along, along**2, along[..., :1] ** 3], -1)


def default_points(landscape: Landscape) -> Tensor:
    """A network's own parameters; elsewhere three points of size 1, shape ``(P, d)``."""
    if callable(point := getattr(landscape, "point", None)):
        found: Tensor = point()[None]
        return found
    k = torch.arange(1, landscape.dim + 1, dtype=torch.float64)
    rows = torch.stack([1 + k.sin() / 2, 2 * (2 * k).cos(), -(3 * k).sin() - 0.3])
    return rows.to(landscape.device, landscape.dtype)


def verify_one_step(
    sde: SDE,
    landscape: Landscape,
    points: Tensor | None = None,
    *,
    etas: Sequence[float] | None = None,
    rho_scale: float = 0.8,
    values: Values | None = None,
    plan: OneStepPlan | None = None,
    progress: Progress = lambda done, total: None,
) -> WeakOrder:
    """Measure the order of the local error, which is 1 more than the weak order.

    ``E phi(x + eta h)`` is a mean over minibatches. ``(e^{eta L} phi)(x)`` is a mean over points that the drift and
    symmetric kicks of the right covariance reach, :func:`splitting_mean`: it is the semigroup up to ``O(eta^4)``, so
    local orders up to 3 are told apart, all that an SDE driven by Brownian motion has. In multi-precision ``eta`` is so
    small that the slope is clean to two digits.

    Of a recursion one step of the slow variable is measured, or one epoch, on the average over the invariant law of
    memory, see :mod:`.recursion_one_step`; in multi-precision only.

    Args:
        sde: from :func:`derive` or :func:`truncate`; it has ``beta`` in ``rho = rho_scale * eta^beta``.
        landscape: any in double precision; one with formulas in multi-precision.
        points: where, shape ``(P, d)``; default: :func:`default_points`.
        etas: at least two step sizes, decreasing, at least three for a verdict; default :data:`MULTI_ETAS`, or those of
            :data:`FLOAT64_ETAS` that do not drown in rounding. Of a recursion they are effective rates.
        rho_scale: ``c > 0``; the smallest step sizes are measured at 1.25 of it, too.
        values: of the rule's parameters and frozen directions.
        plan: the order to be confirmed, the precision, test functions and coefficients of one's own.
        progress: called with (done, total) from the start on, after each step size.

    Returns:
        With the details ``precision``, ``digits``, ``points``, ``rounding``, ``divisors`` and those of
        :class:`WeakOrder`.

    Raises:
        InputError: no formulas; a network in single precision; coefficients of one's own in multi-precision; errors of
            :func:`verify_on_torus`.

    Example:
        >>> from eigensam.landscapes import TiltedTorus
        >>> from eigensam.sde import derive, find_rule, verify_one_step
        >>> sde = derive(find_rule("sam"), weak_order=2, rho_exponent="2/3")
        >>> result = verify_one_step(sde, landscape=TiltedTorus.default(1))
        >>> result.verdict, round(result.slope, 2)
        ('pass', 3.0)
    """
    plan = OneStepPlan() if plan is None else plan
    precision, test_functions = plan.precision, plan.test_functions
    coefficients = drift_and_covariance if plan.coefficients is None else plan.coefficients
    own = coefficients is not drift_and_covariance
    if precision is None:
        formulas = _has_formulas(landscape) and landscape.dim <= _MOST_MULTI
        precision = "multi" if formulas and not own else "float64"
    multi = precision == "multi"
    trained = isinstance(sde, SDE) and isinstance(sde.rule, Recursion)
    if trained and (own or not multi):
        raise InputError(
            f"'{sde.rule.name}' is a recursion, whose one step is measured in multi-precision with its own "
            f"coefficients; give a landscape with formulas of at most {_MOST_MULTI} coordinates, and neither "
            "precision='float64' nor coefficients, or use verify_moments on a quadratic"
        )
    if multi and own:
        raise InputError("coefficients of one's own are numbers in double precision; use precision='float64'")
    default = etas is None
    etas = (MULTI_ETAS if multi else FLOAT64_ETAS) if etas is None else etas
    smallest = {"smallest_rho": 0.0} if multi else {}
    claim = Claim.checked(sde, landscape, etas, rho_scale, values, plan.expected, **smallest).of_one_step()
    if multi:
        claim = replace(claim, tolerance=_MULTI_TOLERANCE * claim.expected / 2)
    elif landscape.dtype != torch.float64:
        raise InputError(f"the landscape is in {landscape.dtype}; one step's error needs torch.float64: model.double()")
    if test_functions is None:
        test_functions = spanning_test_functions if own else polynomial_test_functions
    x = default_points(landscape) if points is None else points
    x = torch.as_tensor(x, dtype=landscape.dtype, device=landscape.device)
    if x.ndim != 2 or x.shape[1] != landscape.dim or not len(x) or not bool(x.isfinite().all()):
        raise InputError(f"points have shape {tuple(x.shape)}; expected finite numbers of shape (P, {landscape.dim})")
    largest = claim.etas[0]
    recursion = RecursionOneStep(claim, x) if trained else None
    if recursion is not None:
        x, found_divisors = recursion.points, recursion.divisors()
    else:
        found_divisors = divisors(sde.memoryless, landscape, x[:, None], claim.rho(largest), largest, values)
    for divisor in found_divisors:
        if not divisor.smallest > 0:
            raise InputError(f"rule '{sde.rule.name}' needs {divisor.name} away from 0, but it is 0 at a point")

    digits = math.ceil(max(0.0, 4 * -math.log10(claim.etas[-1]))) + 20 if multi else 15
    laws = [claim] if (other := claim.at_another_scale()) is None else [claim, other]
    total, done = sum(len(law.etas) for law in laws), 0
    progress(0, total)
    terms = needed_terms(sde, claim.order)
    evidence = []
    with mpmath.workdps(digits):
        if recursion is not None:
            step: Callable[..., tuple[Any, Any]] = recursion.step
        else:
            step = _multi(claim) if multi else _float64(claim, checked_coefficients(coefficients))
    for law in laws:
        steps = []
        with mpmath.workdps(digits):
            for eta in law.etas:
                chain, semigroup = step(law, x, eta, test_functions)
                steps.append(_Step.of(chain, semigroup, x, eta, test_functions))
                done += 1
                progress(done, total)
            if not all(np.isfinite(_largest(each.difference)) for each in steps):
                raise InputError(f"rule '{sde.rule.name}' gives values that are not finite on this landscape")
            rounding = [each.size * (10.0 ** (2 - digits) if multi else _EPSILON) for each in steps]
            found = Evidence.of(
                law, [each.difference for each in steps], chains=[each.moved for each in steps], norm=_largest
            )
            clear = len(law.etas)
            while default and clear > _LEAST and found.errors[clear - 1] < _DROWNS * rounding[clear - 1]:
                clear -= 1
            doubt = ""
            if found.errors[clear - 1] < _DROWNS * rounding[clear - 1]:
                doubt = (
                    f"the last error {found.errors[clear - 1]:.2g} is not far above rounding, "
                    f"{rounding[clear - 1]:.2g}; use larger step sizes"
                )
            used = found.upto(clear)
            if law is claim:
                whole, last = found, rounding[clear - 1]
            if recursion is not None:
                influences = recursion.influences(used.claim, terms, x, test_functions)
            else:
                influences = _influences(used.claim, terms, x, test_functions, multi)
            evidence.append(replace(used, influences=influences, doubt=doubt))
        if law is claim and clear < len(law.etas):
            laws[1:] = [] if (other := used.claim.at_another_scale()) is None else [other]
    return conclude(
        "one-step",
        evidence,
        etas=whole.claim.etas,
        errors=whole.errors,
        precision=precision,
        digits=digits,
        points=len(x),
        rounding=last,
        divisors=[d.to_dict() for d in found_divisors],
    )


class _Step(NamedTuple):
    """What one step did to the test functions: arrays of one shape.

    Attributes:
        difference: between rule and SDE.
        moved: by the rule, per unit of ``eta``.
        size: of the test functions.
    """

    difference: Any
    moved: Any
    size: float

    @classmethod
    def of(cls, chain: Any, semigroup: Any, x: Tensor, eta: float, test_functions: Callable[[Any], Any]) -> "_Step":
        before = test_functions(x if isinstance(chain, Tensor) else _many_digits(x))
        return cls(chain - semigroup, (chain - before) / eta, _largest(chain))


def _influences(
    claim: Claim, terms: list[Term], x: Tensor, test_functions: Callable[[Any], Any], multi: bool
) -> dict[Term, float]:
    """How far a change of each coefficient moves one step, to leading order: ``eta b . grad + eta^2 Sigma/2 : grad^2``.

    By differences of test functions along changes of the drift and along kicks that have the covariance's.
    """
    f, eta, rho, values = claim.landscape, claim.etas[-1], claim.rho(claim.etas[-1]), claim.values
    points = _many_digits(x) if multi else x
    here, epsilon = test_functions(points), 1e-4

    def second(kicks: Tensor) -> Any:
        """The mean over kicks ``(P, M, d)`` of ``grad^2 phi[k, k] / 2``."""
        total: Any = 0
        for k in kicks.unbind(1):
            step, size = _direction(k, epsilon, multi)
            both = test_functions(points + step) + test_functions(points - step)
            total = total + (both - 2 * here) * (size / epsilon) ** 2 / 2
        return total / kicks.shape[1]

    result = {}
    for term in terms:
        if term.part == "noise":
            both = (coefficients(f, sde, x[:, None], rho, values) for sde in (term.changed, term.right))
            more, before = (second(each.columns()) for each in both)
            moved = eta**2 * (more - before)
        else:
            step, size = _direction(coefficients(f, term.alone, x[:, None], rho, values).drift(eta), epsilon, multi)
            moved = eta * (test_functions(points + step) - test_functions(points - step)) * (size / epsilon) / 2
        result[term] = _largest(moved)
    return result


def _direction(vectors: Tensor, length: float, multi: bool) -> tuple[Any, float]:
    """Vectors of shape ``(P, d)`` of which the longest has this length, and the length that it had."""
    size = float(torch.linalg.vector_norm(vectors, dim=-1).max())
    step = vectors * (length / size) if size > 0 else vectors
    return (_many_digits(step) if multi else step), size


def _many_digits(x: Tensor) -> Any:
    return np.array([[mpmath.mpf(xi) for xi in row] for row in x.tolist()], dtype=object)


def _largest(values: Any) -> float:
    """The largest absolute value; NaN where one is, which the maximum of numbers other than floats would overlook."""
    return float(values.abs().max() if isinstance(values, Tensor) else np.abs(values).astype(np.float64).max())


def _has_formulas(landscape: Landscape) -> bool:
    return isinstance(landscape, Landscape) and type(landscape).formulas is not Landscape.formulas


def _float64(claim: Claim, own: CoefficientFunction) -> Callable[..., tuple[Tensor, Tensor]]:
    f, sde, values = claim.landscape, claim.sde, claim.values

    def step(law: Claim, x: Tensor, eta: float, test_functions: Callable[[Any], Any]) -> tuple[Tensor, Tensor]:
        rho = law.rho(eta)
        moved = x[:, None] + eta * exact_increments(f, sde.memoryless, x[:, None], rho, values)
        chain = test_functions(moved.flatten(0, 1)).unflatten(0, moved.shape[:2]).mean(1)

        def drift(y: Tensor) -> Tensor:
            if own is drift_and_covariance:  # without any matrix of size d x d
                return coefficients(f, sde, y[:, None], rho, values).drift(eta)
            return own(f, sde, y[:, None], rho, eta, values)[0]

        def columns(y: Tensor) -> Tensor:
            if own is drift_and_covariance:
                return coefficients(f, sde, y[:, None], rho, values).columns()
            eigenvalues, vectors = torch.linalg.eigh(own(f, sde, y[:, None], rho, eta, values)[1])
            root: Tensor = vectors * (f.dim * eigenvalues.clamp(min=0)).sqrt()[:, None]
            return root.mT

        return chain, splitting_mean(drift, columns, x, test_functions, eta)

    return step


def _multi(claim: Claim) -> Callable[..., tuple[Any, Any]]:
    f, sde = claim.landscape, claim.sde
    bound = bind(sde.memoryless, f, claim.rho_scale, claim.values)
    increments, found = exact_step(sde.memoryless, f, bound), sde_coefficients(sde, f, bound)

    def step(law: Claim, x: Tensor, eta: float, test_functions: Callable[[Any], Any]) -> tuple[Any, Any]:
        points, h = _many_digits(x), mpmath.mpf(eta)
        beta = sde.rho_exponent
        rho = mpmath.mpf(law.rho_scale) * h ** (mpmath.mpf(beta.numerator) / beta.denominator)
        moved = points[:, None] + h * increments(points, rho)
        chain = test_functions(moved.reshape(-1, f.dim)).reshape(*moved.shape[:2], -1).sum(1) / moved.shape[1]
        drift, columns = (lambda y, part=part: found(y, rho, h)[part] for part in (0, 1))
        return chain, splitting_mean(drift, columns, points, test_functions, h)

    return step
