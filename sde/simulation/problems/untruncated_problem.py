"""The SDE of a rule without any expansion in the radius."""

from torch import Tensor

from ....ground.errors import InputError
from ....landscapes.landscape import Landscape
from ...rules.bindings import Values, bind
from ...rules.rule import Rule
from ..given_numbers import finite_number
from .coefficients import bound_increments
from .derived_problem import check_type
from .problem import SDEProblem

__all__ = ["untruncated_problem"]


def untruncated_problem(
    landscape: Landscape, rule: Rule, *, rho: float, eta: float, values: Values | None = None
) -> SDEProblem:
    """``dX = E h dt + sqrt(eta) Cov(h)^{1/2} dW`` with the rule's exact increments ``h_m``.

    Derived SDEs truncate ``h`` in ``rho``. What is left between this one and the rule is the step size's own error, so
    it separates both. Its noise is as that of :func:`derived_problem` with the root "minibatches".

    Args:
        landscape: the family of losses.
        rule: the update rule.
        rho: perturbation radius.
        eta: learning rate.
        values: of the rule's other parameters and directions.

    Raises:
        InputError: another object than a rule, a learning rate or radius that is not positive, a symbol of the rule
            without a value; when it is simulated, a start of another type or device than the landscape.

    Example:
        >>> import torch
        >>> from eigensam.landscapes import Quadratic
        >>> from eigensam.sde import find_rule, untruncated_problem
        >>> f = Quadratic([[2.0]], centres=[[0.0], [1.0]])
        >>> problem = untruncated_problem(f, find_rule("sgd"), rho=0.1, eta=0.5)
        >>> t, x = torch.zeros((), dtype=torch.float64), torch.ones(1, dtype=torch.float64)
        >>> problem.drift(t, x).tolist(), problem.diffusion(t, x).tolist()
        ([-1.0], [[-0.5, 0.5]])
    """
    if not isinstance(rule, Rule):
        raise InputError(f"found {type(rule).__name__}; expected a rule: find_rule('sam'), or Rule(name, step)")
    eta = finite_number("eta", eta, "a positive learning rate")
    if not eta > 0 or not rho >= 0:
        raise InputError(f"eta = {eta!r} and rho = {rho!r}; give a positive learning rate and a radius of at least 0")
    bound = bind(rule, landscape, rho, values)  # once: it looks at numbers, which no recorded function may

    def drift(t: Tensor, x: Tensor) -> Tensor:
        check_type(landscape, x)
        return bound_increments(landscape, rule, x, bound).mean(-2)

    def columns(t: Tensor, x: Tensor) -> Tensor:
        h = bound_increments(landscape, rule, x, bound)
        found: Tensor = (h - h.mean(-2, keepdim=True)).mT
        return found * float((eta / landscape.size) ** 0.5)

    return SDEProblem(drift, columns)
