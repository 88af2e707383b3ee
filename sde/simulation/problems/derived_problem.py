"""A derived SDE on a landscape as a problem to simulate."""

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor

from ....ground.errors import InputError
from ....landscapes.landscape import Landscape
from ...derivation.derived_sde import SDE
from ...rules.bindings import Values, bind
from .coefficients import Coefficients, bound_coefficients
from .covariance_problem import row_root
from .problem import SDEProblem
from .state import State
from .timed_schedules import timed_schedules

__all__ = ["Root", "check_type", "derived_problem"]

Root = Literal["minibatches", "coordinates"]


def derived_problem(
    landscape: Landscape, sde: SDE, *, rho: float, eta: float, values: Values | None = None, root: Root = "minibatches"
) -> SDEProblem:
    """``dX = (b_0 + eps b_1) dt + sqrt(eps) Sigma^{1/2} dW`` of a derived SDE.

    ``eps`` is the learning rate ``eta``, and for the SDE of a recursion its effective rate ``sde.rate * eta``: time is
    ``t = k eps`` after ``k`` steps of training. Schedules are read at that time.

    Args:
        landscape: the family of losses.
        sde: from :func:`derive` or :func:`truncate`.
        rho: perturbation radius.
        eta: learning rate: it is in the drift's correction and the factor of the covariance, and not the step length.
        values: of the rule's other parameters and directions.
        root: of the covariance. "minibatches": one Brownian motion for each of the ``M`` minibatches, whose columns are
            ``(h_m - E h) / sqrt(M)``; nothing is factorised. "coordinates": ``d`` of them, by the columns' triangular
            factor: fewer random numbers where ``M > d``.

    An SDE of several blocks, such as position and a momentum whose friction is small, takes a start of these names,
    ``{"x": ..., "m": ...}``, or all components in one vector, in the order of ``sde.blocks``. That of a recursion with
    memory that is averaged over starts at :func:`.shifted_start`.

    Raises:
        InputError: another object than an SDE, a learning rate or radius that is not positive, an unknown root, or a
            symbol of the rule without a value; when it is simulated, a start of another type or device than the
            landscape, see :meth:`Landscape.to`, or of other blocks.

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
    rate, at = float(sde.rate) * eta, timed_schedules(sde.rule)

    def found(t: Tensor, state: State) -> tuple[Coefficients, Sequence[str]]:
        x, names = _flat(sde, landscape, state)
        check_type(landscape, x)
        return bound_coefficients(landscape, sde, x, rho, {**bound, **at(t)}), names

    def drift(t: Tensor, state: State) -> State:
        coefficients, names = found(t, state)
        return _parted(coefficients.drift(rate), names)

    def columns(t: Tensor, state: State) -> State:
        coefficients, names = found(t, state)
        return _parted(coefficients.columns().mT * float((rate / landscape.size) ** 0.5), names)

    def factor(t: Tensor, state: State) -> State:
        coefficients, names = found(t, state)
        return _parted(row_root(coefficients.columns().mT * float((rate / landscape.size) ** 0.5)), names)

    if not sde.covariance:
        return SDEProblem(drift, None)
    return SDEProblem(drift, columns if root == "minibatches" else factor)


def _flat(sde: SDE, landscape: Landscape, state: State) -> tuple[Tensor, Sequence[str]]:
    """One vector, and the names of its parts; none where it was one vector already."""
    if not isinstance(state, Mapping):
        expected = landscape.dim * len(sde.blocks)
        if len(sde.blocks) > 1 and state.shape[-1] != expected:
            raise InputError(
                f"this is an SDE of {', '.join(sde.blocks)}; start at a dictionary of these blocks, or at a vector of "
                f"{expected} components; found {state.shape[-1]}"
            )
        return state, ()
    if tuple(state) != sde.blocks:
        raise InputError(f"the start has the blocks {', '.join(state)}; this is an SDE of {', '.join(sde.blocks)}")
    return torch.cat([*state.values()], -1), sde.blocks


def _parted(vectors: Tensor, names: Sequence[str]) -> State:
    """Rows by block."""
    return dict(zip(names, vectors.chunk(len(names)), strict=True)) if names else vectors


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
