"""Weak order on tilted tori, without Monte-Carlo noise (theory, sections 3 and 4)."""

from collections.abc import Sequence

from ...ground.errors import InputError
from ...landscapes.analytic.torus import TiltedTorus
from ..derivation.derived_sde import SDE
from ..rules.bindings import Values
from ..rules.nodes import Loss
from ..rules.recursion import Recursion
from ..rules.traversal import walk
from ..simulation.problems.coefficients import drift_and_covariance
from .claim import ETAS, Claim, Progress, step_count, visible_etas
from .evidence import Evidence
from .needed_terms import needed_terms
from .own_coefficients import checked_coefficients
from .plans import TorusPlan
from .recursion_torus import verify_recursion_on_torus
from .torus_checks import check_periodic, common_times, periodic_test_functions
from .torus_errors import COARSE, DIMENSIONS, TorusErrors, finer
from .torus_steps import Steps
from .verdict import WeakOrder, conclude

__all__ = ["verify_on_torus"]

_TIMES = {1: 8, 2: 8, 3: 4}  # at which chain and SDE are compared
_ETAS = {1: ETAS, 2: ETAS, 3: ETAS[::2]}
_LEAST = 4  # step sizes: below, rounding is the verdict

_ROUNDING = 1e-12  # of the largest value of a test function: more than what pure shifts leave, see the tests


def verify_on_torus(
    sde: SDE,
    landscape: TiltedTorus | None = None,
    *,
    etas: Sequence[float] | None = None,
    rho_scale: float = 0.8,
    values: Values | None = None,
    plan: TorusPlan | None = None,
    progress: Progress = lambda done, total: None,
) -> WeakOrder:
    """Measure the weak order of an SDE against its rule, exactly, on a tilted torus.

    For periodic ``phi`` the rule's ``E phi(x_k)`` is ``P^k phi`` and the SDE's is ``e^{k eta L} phi``, both up to the
    grid's error, which decays faster than any power of its spacing, and with no sampling noise. The weak error is the
    largest difference over start points, test functions and eight times up to ``T`` that all chains reach. Neither
    operator is a matrix unless it is a small one, so ``eta = 2^-16`` and three dimensions are routine.

    A pass says more than a slope, see :mod:`.evidence`: the errors fall like ``eta^p`` as functions, at two values of
    ``c``, and a mistake of 10 % in any coefficient that the order needs would have been seen here.

    SDEs of recursions are measured in their slow variable, see :func:`.verify_recursion_on_torus`, which adds details.

    Args:
        sde: from :func:`derive` or :func:`truncate`; it has ``beta`` in ``rho = rho_scale * eta^beta``.
        landscape: default ``TiltedTorus.default(2)``, of a recursion ``TiltedTorus.default(1)``.
        etas: at least two step sizes, decreasing; each divides the plan's horizon; at least three, over a factor of 4,
            for a verdict. Default: :data:`ETAS`, every second one in three dimensions, less those that drown in
            rounding. Of a recursion they are effective rates, ``sde.rate`` times the learning rate, and by default
            :data:`.RECURSION_ETAS`.
        rho_scale: ``c > 0`` (default as in theory, section 4); the smallest step sizes are measured at 1.25 of it, too.
        values: of the rule's parameters and frozen directions.
        plan: the order to be confirmed, the horizon, the grid, test functions and coefficients of one's own.
        progress: called with (done, total) from the start on, several times per step size; the total grows with each
            grid that turns out to be too coarse.

    Returns:
        With the details ``horizon``, ``resolution``, ``discretisation`` (relative change of the last error between
        that grid and another, which is at least four points per axis coarser or finer), ``rounding`` (a generous
        estimate of the rounding error), ``divisors`` (see :func:`divisors`) and those of :class:`WeakOrder`. The
        verdict is ``inconclusive`` where the grid or rounding cannot tell.

    Raises:
        InputError: a nonpositive scale; step sizes that do not decrease or do not divide the horizon; a symbol of
            the rule without a value; a test function that is not periodic; a landscape where the rule divides by
            something that cannot be told from zero; a resolution that does not fit into memory; coefficients that are
            no drift and covariance.

    Example:
        >>> from eigensam.landscapes import TiltedTorus
        >>> from eigensam.sde import derive, find_rule, verify_on_torus
        >>> sde = derive(find_rule("sam"), weak_order=1, rho_exponent="1/2")
        >>> result = verify_on_torus(sde, landscape=TiltedTorus.default(1))
        >>> result.verdict, round(result.slope, 1)
        ('pass', 1.0)
    """
    plan = TorusPlan() if plan is None else plan
    if isinstance(sde, SDE) and isinstance(sde.rule, Recursion):
        landscape = TiltedTorus.default(1) if landscape is None else landscape
        return verify_recursion_on_torus(
            sde, landscape, etas=etas, rho_scale=rho_scale, values=values, plan=plan, progress=progress
        )
    landscape = TiltedTorus.default(2) if landscape is None else landscape
    own = etas is not None
    if etas is None:
        etas = visible_etas(sde, _ETAS.get(getattr(landscape, "dim", 0), ETAS), rho_scale)
    claim = Claim.checked(sde, landscape, etas, rho_scale, values, plan.expected)
    if not isinstance(landscape, TiltedTorus) or landscape.dim not in DIMENSIONS:
        raise InputError(
            f"found {type(landscape).__name__} of dimension {claim.landscape.dim}; the torus method needs a "
            "TiltedTorus of dimension 1, 2 or 3"
        )
    if any(isinstance(node, Loss) for node in walk(sde.memoryless.step)):
        raise InputError(f"rule '{sde.rule.name}' contains a loss, which is not periodic on a tilted torus")
    horizon, resolution, memory = float(plan.horizon), plan.resolution, plan.memory
    test_functions = periodic_test_functions if plan.test_functions is None else plan.test_functions
    counts = [step_count(horizon, eta) for eta in claim.etas]
    times = common_times(horizon, counts, _TIMES[landscape.dim])
    check_periodic(test_functions, landscape)
    terms = needed_terms(sde, claim.order)
    laws = [claim] if (other := claim.at_another_scale()) is None else [claim, other]
    evaluations = sum(len(law.etas) for law in laws) + 1 + len(laws) * bool(terms)
    steps = Steps(progress, evaluations * len(times))
    coefficients = checked_coefficients(drift_and_covariance if plan.coefficients is None else plan.coefficients)
    torus = TorusErrors(claim, landscape, times, test_functions, coefficients, steps)
    rounding = _ROUNDING * float(test_functions(torus.starts.points).abs().max())

    if resolution is not None:
        n, found, discretisation = torus.at(resolution, memory)
    else:
        n, found, discretisation = torus.settled(claim, rounding, memory)
        while not own and rounding > COARSE * found.error and len(claim.etas) > _LEAST:
            claim = claim.upto(len(claim.etas) - 1)  # the smallest of the default ones drowns
            n, found, discretisation = torus.settled(claim, rounding, memory)
    laws = [claim] if (other := claim.at_another_scale()) is None else [claim, other]
    evidence = []
    for law in laws:
        every = [torus.compared(law, eta, n) for eta in (law.etas[:-1] if law is claim else law.etas)]
        every += [found] if law is claim else []
        doubt = ""
        if rounding > COARSE * every[-1].error:
            doubt = (
                f"the last error {every[-1].error:.2g} is not far above rounding, {rounding:.2g}; use larger step sizes"
            )
        elif law is claim and discretisation > COARSE:
            doubt = f"the last error still changes by {discretisation:.2g} of itself at resolution {n}; " + (
                "give a larger one"
                if resolution is not None
                else f"the next grid needs {torus.bytes(finer(n)) / 2**30:.2g} GiB and {torus.work(finer(n)):.2g} "
                "multiplications per application: use a smoother landscape or larger step sizes"
            )
        evidence.append(
            Evidence.of(
                law,
                [each.difference for each in every],
                chains=[each.chain for each in every],
                solutions=[each.chain - each.difference for each in every],
                influences=torus.influences(law, terms, n),
                doubt=doubt,
            )
        )
    steps.finish()
    return conclude(
        "torus",
        evidence,
        horizon=horizon,
        resolution=n,
        discretisation=discretisation,
        rounding=rounding,
        divisors=[d.to_dict() for d in torus.found],
    )
