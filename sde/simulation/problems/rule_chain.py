"""An update rule on a landscape as a chain to simulate."""

from functools import partial
from typing import Literal

import torch
from torch import Tensor

from ....ground.errors import InputError
from ....landscapes.landscape import Landscape
from ...rules.bindings import Values, bind
from ...rules.rule import Rule
from ..given_numbers import finite_number
from .chain_problem import ChainProblem
from .coefficients import bound_increments
from .derived_problem import check_type
from .minibatch_laws import drawn_minibatch

__all__ = ["Sampling", "rule_chain"]

Sampling = Literal["independent", "reshuffled"]


def rule_chain(
    landscape: Landscape,
    rule: Rule,
    *,
    rho: float,
    eta: float,
    values: Values | None = None,
    sampling: Sampling = "independent",
    substeps: int = 1,
) -> ChainProblem:
    """``x+ = x + eta h_m(x)`` with a random minibatch ``m`` in each step: the discrete optimizer itself.

    Its minibatch is that of the largest of ``M`` standard normal numbers, which is uniform. The same numbers kick an
    SDE of :func:`derived_problem` with the root "minibatches", the same seed and a scheme whose increments are normal,
    in steps of ``eta / substeps``: so paths of the rule and of its SDEs are coupled, one by one.

    Args:
        landscape: the family of losses.
        rule: the update rule.
        rho: perturbation radius.
        eta: learning rate, which is the time of a step, too.
        values: of the rule's other parameters and directions.
        sampling: "independent": each step draws among all minibatches. "reshuffled": without replacement, among those
            that this epoch, of ``M`` steps, has not used yet; so each epoch's order is uniform among all ``M!``, and
            independent of the others.
        substeps: of the SDEs that the chain is coupled to, in one of its own.

    Raises:
        InputError: a learning rate or radius that is not positive, an unknown sampling, a symbol of the rule without a
            value; when it is simulated, a start of another type or device than the landscape, see
            :meth:`Landscape.to`.

    Example:
        SGD between two parabolas ends about where its mean loss is least:

        >>> import torch
        >>> from eigensam.landscapes import Quadratic
        >>> from eigensam.sde import find_rule, simulate
        >>> f = Quadratic([[2.0]], centres=[[0.0], [1.0]])
        >>> chain = rule_chain(f, find_rule("sgd"), rho=0.0, eta=0.1, sampling="reshuffled")
        >>> found = simulate(chain, torch.ones(1, dtype=torch.float64), dt=0.1, steps=100, paths=500)
        >>> round(float(found.mean[-1, 0]), 1), found.final.shape
        (0.5, torch.Size([500, 1]))
    """
    if not isinstance(rule, Rule):
        raise InputError(f"found {type(rule).__name__}; expected a rule: find_rule('sam'), or Rule(name, step)")
    eta = finite_number("eta", eta, "a positive learning rate")
    if not eta > 0 or not rho >= 0:
        raise InputError(f"eta = {eta!r} and rho = {rho!r}; give a positive learning rate and a radius of at least 0")
    if sampling not in ("independent", "reshuffled"):
        raise InputError(f"unknown sampling {sampling!r}; choose one of: independent, reshuffled")
    bound = bind(rule, landscape, rho, values)  # once: it looks at numbers, which no recorded function may

    def moved(x: Tensor, drawn: Tensor) -> Tensor:
        check_type(landscape, x)
        steps = eta * bound_increments(landscape, rule, x, bound)
        # Where, not a product: what the other minibatches would have done may be infinite.
        return x + torch.where(drawn[:, None] > 0, steps, torch.zeros_like(steps)).sum(0)

    def independent(t: Tensor, x: Tensor, z: Tensor) -> Tensor:
        return moved(x, drawn_minibatch(z))

    def reshuffled(t: Tensor, x: Tensor, z: Tensor, used: Tensor) -> tuple[Tensor, Tensor]:
        drawn = drawn_minibatch(torch.where(used > 0, torch.full_like(z, -torch.inf), z))
        used = used + drawn
        return moved(x, drawn), torch.where(used.sum() < landscape.size, used, torch.zeros_like(used))

    make = partial(ChainProblem, noise_dim=landscape.size, dt=eta, substeps=substeps)
    return make(independent) if sampling == "independent" else make(reshuffled, memory=(0.0,) * landscape.size)
