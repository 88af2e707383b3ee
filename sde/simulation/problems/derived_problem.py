"""A derived SDE on a landscape as a problem to simulate."""

from typing import Literal

from torch import Tensor

from ....ground.errors import InputError
from ....landscapes.landscape import Landscape
from ...derivation.derived_sde import SDE
from ...rules.bindings import Values, bind
from .coefficients import bound_coefficients
from .covariance_problem import row_root
from .problem import SDEProblem

__all__ = ["Root", "check_type", "derived_problem"]

Root = Literal["minibatches", "coordinates"]


def derived_problem(
    landscape: Landscape, sde: SDE, *, rho: float, eta: float, values: Values | None = None, root: Root = "minibatches"
) -> SDEProblem:
    """``dX = b dt + sqrt(eta) Sigma^{1/2} dW`` with ``b`` and ``Sigma`` of a derived SDE.

    Time is ``t = k eta`` at step ``k`` of the rule.

    Args:
        landscape: the family of losses.
        sde: from :func:`derive` or :func:`truncate`.
        rho: perturbation radius.
        eta: learning rate: it is in the drift's correction and the factor of the covariance, and not the step length.
        values: of the rule's other parameters and directions.
        root: of the covariance. "minibatches": one Brownian motion for each of the ``M`` minibatches, whose columns are
            ``(h_m - E h) / sqrt(M)``; nothing is factorised. "coordinates": ``d`` of them, by the columns' triangular
            factor: fewer random numbers where ``M > d``.

    Raises:
        InputError: another object than an SDE, a learning rate or radius that is not positive, an unknown root, or a
            symbol of the rule without a value; when it is simulated, a start of another type or device than the
            landscape, see :meth:`Landscape.to`.

    Example:
        >>> import torch
        >>> from eigensam.landscapes import Quadratic
        >>> from eigensam.sde import derive, derived_problem, find_rule
        >>> f = Quadratic([[2.0]], centres=[[0.0], [1.0]])
        >>> problem = derived_problem(f, derive(find_rule("sgd"), 2, 1), rho=0.1, eta=0.5)
        >>> t, x = torch.zeros((), dtype=torch.float64), torch.ones(1, dtype=torch.float64)
        >>> problem.drift(t, x).tolist(), problem.diffusion(t, x).tolist()
        ([-1.5], [[-0.5, 0.5]])
    """
    if not isinstance(sde, SDE):
        raise InputError(f"found {type(sde).__name__}; expected an SDE: derive(rule, weak_order, rho_exponent)")
    if not eta > 0 or not rho >= 0:
        raise InputError(f"eta = {eta!r} and rho = {rho!r}; give a positive learning rate and a radius of at least 0")
    if root not in ("minibatches", "coordinates"):
        raise InputError(f"unknown root {root!r}; choose one of: minibatches, coordinates")

    bound = bind(sde.rule, landscape, rho, values)  # once: it looks at numbers, which no recorded function may

    def drift(t: Tensor, x: Tensor) -> Tensor:
        check_type(landscape, x)
        return bound_coefficients(landscape, sde, x, rho, bound).drift(eta)

    def columns(t: Tensor, x: Tensor) -> Tensor:
        found: Tensor = bound_coefficients(landscape, sde, x, rho, bound).columns().mT
        return found * float((eta / landscape.size) ** 0.5)

    def factor(t: Tensor, x: Tensor) -> Tensor:
        return row_root(columns(t, x))

    return SDEProblem(drift, columns if root == "minibatches" else factor)


def check_type(landscape: Landscape, x: Tensor) -> None:
    """Refuse points of another type than the landscape's.

    Raises:
        InputError: with both types, and how to change either.
    """
    if (x.dtype, x.device) != (landscape.dtype, landscape.device):
        raise InputError(
            f"the start has {x.dtype} on {x.device}, the landscape {landscape.dtype} on {landscape.device}; give the "
            f"problem landscape.to({x.dtype}, '{x.device}'), or start there"
        )
