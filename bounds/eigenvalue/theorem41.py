"""The eigenvalue bound (the paper, Theorem 4.1) with every constant explicit (theory, section 6)."""

from collections.abc import Sequence
from typing import Any, SupportsFloat

from ...ground.errors import InputError
from ..posteriors.isotropic_kl import gaussian_kl_interval
from ..posteriors.prior_grid import PriorGrid
from ..rounding.intervals import intervals, upper_end
from .best_posterior import best_posterior, pinsker, seeger
from .bound import Bound, Curvature
from .bound_value import Value, best_bound, value_at
from .effective_dimension import best_spectral_value
from .form import Form, available_forms, chosen_forms
from .inputs import Inputs, check_inputs, check_sigma

__all__ = ["eigenvalue_bound", "theorem_forms"]

_STATEMENTS = pinsker, seeger


def _evaluate(given: Inputs, forms: Sequence[Form], sigma: float, k: int) -> Value:
    """The form with the least remainder at one sigma and one prior."""
    iv = intervals()
    s = iv.real(sigma)
    kl = gaussian_kl_interval(iv, given.dim, s**2, given.priors.interval(iv, k), iv.real(given.squared_distance))
    rest, form = min(((given.remainder(iv, s, form), form) for form in forms), key=lambda found: upper_end(found[0]))
    return value_at(iv, given, form, (given.slope(iv, form) * s**2, rest, kl), k, {"sigma": sigma})


def eigenvalue_bound(
    empirical_loss: SupportsFloat,
    curvature: Curvature,
    *,
    dim: int,
    squared_distance: SupportsFloat,
    examples: int,
    delta: SupportsFloat = 0.05,
    loss_bound: SupportsFloat = 1.0,
    sigma: SupportsFloat | None = None,
    priors: PriorGrid | None = None,
    form: Form | None = None,
    assumptions: Sequence[str] = (),
) -> Bound:
    """Theorem 4.1: with probability at least ``1 - delta`` over the sample, for all ``x``, ``sigma`` and ``k`` at once,

    ``f_D(Q) <= f_S(x) + (d sigma^2 / 2) max(lambda_1, 0) + R + B sqrt((KL_k + ln(2 sqrt(n) / delta_k)) / (2 n))``.

    The first three terms bound ``f_S(Q)`` (Taylor); the last is Maurer's inequality with a union over the priors
    ``k`` (:class:`PriorGrid`), relaxed by Pinsker's. ``bound_kl`` is ``B kl^-1`` of the same (Langford & Seeger 2001),
    at a sigma and a ``k`` of its own. Both numbers are at least what their formulas give in real arithmetic for the
    arguments as given, at the sigma and ``k`` in ``details``; arguments that are rounded must have been rounded up.

    Args:
        empirical_loss: ``f_S(x)`` on the sample, in ``[0, B]``. Like all numbers here, any real scalar.
        curvature: lambda_1 and a higher-derivative constant, with their kind.
        dim: number of parameters ``d``.
        squared_distance: ``|x - x0|^2``, ``x0`` independent of the sample.
        examples: sample size ``n`` (Maurer's inequality needs at least 8).
        delta: probability of failure, in (0, 1); ``curvature.spent`` of it is taken for the curvature.
        loss_bound: ``B``.
        sigma: posterior standard deviation; default: for each form the one that minimises it over all sigma and
            priors, which is allowed as the statement holds for all of them.
        priors: grid fixed before the sample was seen; default ``PriorGrid.for_dim(dim)``.
        form: which curvature term and remainder; default: the paper's curvature term with the smallest remainder that
            there is a constant for. Others: :func:`theorem_forms`.
        assumptions: sentences to carry along.

    Raises:
        InputError: an argument out of range, or a number that the form needs and that is not there.

    Reference:
        The paper, Theorem 4.1; Langford & Seeger 2001; Maurer 2004 (constant ``2 sqrt(n)``); Foret et al. 2021.

    Example:
        >>> from eigensam.bounds import Curvature, eigenvalue_bound
        >>> flat = Curvature(top_eigenvalue=0.1, fourth_derivative=0.1)
        >>> result = eigenvalue_bound(0.05, flat, dim=20, squared_distance=1.0, examples=60_000)
        >>> [term.name for term in result.terms]
        ['empirical loss', 'curvature', 'remainder', 'complexity']
        >>> result.vacuous, result.bound_kl <= result.bound
        (False, True)
    """
    given = check_inputs(empirical_loss, curvature, dim, squared_distance, examples, delta, loss_bound, priors)
    forms = chosen_forms(curvature, form)
    if form is not None and form.curvature == "effective dimension":
        if sigma is not None:
            raise InputError(f"the form '{form}' has a sigma for each eigenvector; leave sigma out")
        isotropic = Form("trace", form.remainder)
        (problem,) = given.problems([isotropic])
        found = [
            best_spectral_value(given, form, statement, *best_posterior(problem, statement)[1:])
            for statement in _STATEMENTS
        ]
        return best_bound(given, curvature, found[:1], found[1:], assumptions)
    if sigma is None:
        posteriors = [
            [best_posterior(problem, statement)[1:] for problem in given.problems(forms)] for statement in _STATEMENTS
        ]
    else:
        sigma = check_sigma(sigma)
        k = given.priors.best(given.dim, sigma**2, given.squared_distance)
        posteriors = [[(sigma, k)]] * 2
    values = [[_evaluate(given, forms, *posterior) for posterior in some] for some in posteriors]
    return best_bound(given, curvature, values[0], values[1], assumptions)


def theorem_forms(empirical_loss: SupportsFloat, curvature: Curvature, **arguments: Any) -> dict[Form, Bound]:
    """Theorem 4.1 in every form that there are numbers for, each at the sigma and the prior that are best for it.

    All hold at once, as all bound the same ``f_S(Q)``: the smallest one may be chosen afterwards. But the form with
    ``M_4`` is no bound: see :class:`Form`. With a given ``sigma`` the effective dimension is left out.

    Args:
        empirical_loss: as in :func:`eigenvalue_bound`.
        curvature: with all that was measured.
        **arguments: the others of :func:`eigenvalue_bound`.

    Raises:
        InputError: an argument out of range; no constant of a remainder.

    Example:
        >>> from eigensam.bounds import Curvature
        >>> measured = Curvature(0.1, fourth_derivative=0.1, third_partial=0.1, trace=0.5)
        >>> found = theorem_forms(0.05, measured, dim=20, squared_distance=1.0, examples=60_000)
        >>> {str(form): round(bound.bound, 3) for form, bound in found.items()}
        {'eigenvalue, K_4': 0.073, 'eigenvalue, C': 0.075, 'trace, K_4': 0.07, 'trace, C': 0.074}
    """
    forms = available_forms(curvature)
    if not forms:
        raise InputError("no bound on a higher derivative was given; give fourth_derivative or hessian_lipschitz")
    if arguments.get("sigma") is not None:  # one for all directions
        forms = [form for form in forms if form.curvature != "effective dimension"]
    return {form: eigenvalue_bound(empirical_loss, curvature, form=form, **arguments) for form in forms}
