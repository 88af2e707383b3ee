"""Weak order of a recursion's SDE on tilted tori, without sampling: :mod:`.recursion_torus_errors` for step sizes."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from ...ground.errors import InputError
from ...landscapes.analytic.torus import TiltedTorus
from ..derivation.derived_sde import SDE
from ..rules.bindings import Values
from ..rules.leaves import POSITION
from ..rules.nodes import Loss
from ..rules.recursion import Recursion
from ..rules.traversal import walk
from ..simulation.problems.coefficients import drift_and_covariance
from .claim import Claim, Progress, step_count
from .divisor_check import check_divisors
from .evidence import Evidence, largest
from .needed_terms import needed_terms
from .own_coefficients import checked_coefficients
from .plans import TorusPlan
from .recursion_torus_errors import RecursionTorus, Resolution
from .torus_checks import check_periodic, common_times, periodic_test_functions
from .torus_divisors import torus_divisors
from .torus_errors import COARSE, Compared, finer
from .torus_steps import Steps
from .verdict import WeakOrder, conclude

__all__ = ["RECURSION_ETAS", "verify_recursion_on_torus"]

RECURSION_ETAS: tuple[float, ...] = tuple(2.0**-k for k in range(6, 17, 2))
"""Effective rates (ours: with momentum 0.9 a slope has settled at ``2^-14``), divided by the steps of a period."""

_TIMES = 8
_FIRST, _FIRST_NODES = {1: 17, 2: 13}, 4
_MOST_ROWS = 2500  # of a matrix that is squared several times: seconds
_MATRICES = 6  # of that size at a time
_ROUNDING = 4e-15  # ours, of a test function's largest value for each step: four times what is seen
_LEAST = 4


def verify_recursion_on_torus(
    sde: SDE,
    landscape: TiltedTorus,
    *,
    etas: Sequence[float] | None,
    rho_scale: float,
    values: Values | None,
    plan: TorusPlan,
    progress: Progress,
) -> WeakOrder:
    """As :func:`.verify_on_torus`, which sends the SDEs of recursions here.

    Chain and SDE are compared in the slow variable ``y = x + eta chi(x, q)`` at ends of periods (steps, or epochs),
    from memory ``q`` that is 0, about its mean, or at an edge of what it reaches. From about the mean the remainder is
    smallest and mistakes are best seen: these starts are evidence of their own besides all.

    Returns:
        With details as there, and ``memory``, the intervals of memory; ``nodes``, Chebyshev points of each; and
        ``initial_layer``, as :func:`.verify_moments` has it: errors of ``phi(x_k)`` itself, from memory 0, where the
        slope is 1 even with the right SDE, after the layer, and from memory at its mean; None without fast memory and
        with schedules. In a given order of the minibatches the slope is 1 after the layer, too: memory at the end of an
        epoch is that of its last minibatches, so that ``x`` stays behind ``y``.

    Raises:
        InputError: see :func:`.verify_on_torus`; a recursion that is not periodic, whose slow blocks are others than
            the position, or whose memory is too large; step sizes whose epochs do not divide the horizon.
    """
    _check_kind(sde, landscape)
    assert isinstance(sde.rule, Recursion)
    horizon = float(plan.horizon)
    own = None if plan.coefficients is None or plan.coefficients is drift_and_covariance else plan.coefficients
    if own is not None and sde.rule.schedules:
        raise InputError("coefficients of one's own do not see time; leave the schedules out, or the coefficients")
    default, length = etas is None, sde.rule.sampling.epoch * sde.rule.inner_steps
    etas = [eta / length for eta in RECURSION_ETAS] if etas is None else etas
    claim = Claim.checked(sde, landscape, etas, rho_scale, values, plan.expected)
    counts = [_periods(horizon, eta, length, sde.rule.name) for eta in claim.etas]
    times = common_times(horizon, counts, _TIMES)
    test_functions = periodic_test_functions if plan.test_functions is None else plan.test_functions
    check_periodic(test_functions, landscape)
    terms = needed_terms(sde, claim.order)
    torus = RecursionTorus(claim, landscape, times, test_functions, None if own is None else checked_coefficients(own))
    found_divisors = torus_divisors(torus)
    check_divisors(found_divisors, sde.rule)
    steps = Steps(progress, 2 * len(claim.etas) + 3)
    search = _Search(torus, plan, steps)
    size = float(test_functions(torus.start_x).abs().max())

    def rounding(eta: float) -> float:
        return _ROUNDING * size * max(100.0, horizon / eta)

    settled = search.settled(claim, rounding(claim.etas[-1]))
    while default and rounding(claim.etas[-1]) > COARSE * search.least(settled.found) and len(claim.etas) > _LEAST:
        claim = claim.upto(len(claim.etas) - 1)
        settled = search.settled(claim, rounding(claim.etas[-1]))
    resolution = settled.resolution
    evidence = []
    for law in [claim] if (other := claim.at_another_scale()) is None else [claim, other]:
        every = [search.compared(law, eta, resolution) for eta in (law.etas[:-1] if law is claim else law.etas)]
        every += [settled.found] if law is claim else []
        influences = torus.influences(law, terms, resolution.position)
        for group, influence in zip(torus.groups, influences, strict=True):
            parts = [Compared(each.chain[:, group], each.difference[:, group]) for each in every]
            doubt = ""
            if (noise := rounding(law.etas[-1])) > COARSE * parts[-1].error:
                doubt = (
                    f"the last error {parts[-1].error:.2g} is not far above rounding, {noise:.2g}; use larger step "
                    "sizes"
                )
            elif settled.change > COARSE:
                doubt = (
                    f"the last error still changes by {settled.change:.2g} of itself with {resolution.position} points "
                    f"and {resolution.memory} nodes of memory; "
                    + ("give a larger resolution" if plan.resolution is not None else "use a smoother landscape")
                )
            evidence.append(
                Evidence.of(
                    law,
                    [each.difference for each in parts],
                    chains=[each.chain for each in parts],
                    solutions=[each.chain - each.difference for each in parts],
                    influences=influence,
                    doubt=doubt,
                )
            )
    layer = torus.initial_layer(claim, resolution)
    steps.finish()
    return conclude(
        "torus",
        evidence,
        horizon=horizon,
        resolution=resolution.position,
        nodes=resolution.memory if torus.fast else None,
        memory={name: list(interval) for name, interval in zip(torus.fast, torus.box.intervals, strict=True)},
        discretisation=settled.change,
        rounding=rounding(claim.etas[-1]),
        divisors=[d.to_dict() for d in found_divisors],
        initial_layer=None if layer is None else layer.to_dict(),
    )


class _Settled(NamedTuple):
    resolution: Resolution
    found: Compared
    change: float


class _Search:
    """For a grid on which the last error has settled, in position and in memory."""

    def __init__(self, torus: RecursionTorus, plan: TorusPlan, steps: Steps) -> None:
        self.torus, self.plan, self.steps = torus, plan, steps

    def compared(self, law: Claim, eta: float, resolution: Resolution) -> Compared:
        found = self.torus.compared(law, eta, resolution)
        self.steps.step()
        return found

    def settled(self, claim: Claim, rounding: float) -> _Settled:
        """Errors of the smallest step size, until neither more points nor more nodes change them as functions."""
        torus, eta, given = self.torus, claim.etas[-1], self.plan.resolution
        least = 2 * int(torus.landscape.frequencies.abs().max()) + 1
        position = max(_FIRST[torus.landscape.dim], least) if given is None else given
        if position < least:
            raise InputError(f"resolution {position} does not see the landscape's waves; give at least {least}")
        here = Resolution(position, _FIRST_NODES if torus.fast else 1)
        if not self._possible(here):
            raise InputError(
                f"{here.position} points per axis and {here.memory} nodes of memory make a matrix of "
                f"{self._rows(here)} rows, at most {_MOST_ROWS} within a memory of {self.plan.memory / 2**30:.3g} GiB; "
                "give a smaller resolution or a larger memory"
            )
        found = self.compared(claim, eta, here)
        while True:
            others = [Resolution(finer(here.position), here.memory)] if given is None else []
            if torus.fast:
                others.append(Resolution(here.position, here.memory + 2))
            if given is not None and not torus.fast:
                others = [Resolution(finer(given), 1)]
            if not all(self._possible(other) for other in others):
                return _Settled(here, found, math.inf)
            better = [self.compared(claim, eta, other) for other in others]
            shares = [max(self._changes(found, each)) for each in better]
            change = max(shares)
            drowned = rounding > COARSE * self.least(found)
            if change <= COARSE / 2 or drowned or (given is not None and not torus.fast):
                return _Settled(here, found, change)
            self.steps.more(len(others))
            moved = [other for other, share in zip(others, shares, strict=True) if share > COARSE / 2]
            here = Resolution(max(r.position for r in moved), max(r.memory for r in moved))
            found = better[others.index(here)] if here in others else self.compared(claim, eta, here)
            if not self._possible(here):
                return _Settled(here, found, change)

    def least(self, found: Compared) -> float:
        """The largest error of that group of starts where it is smallest."""
        return min(largest(found.difference[:, group]) for group in self.torus.groups)

    def _changes(self, before: Compared, after: Compared) -> list[float]:
        """Of the errors as functions, compared with the largest of each group of starts."""
        moved = after.difference - before.difference
        return [
            largest(moved[:, group]) / size if (size := largest(before.difference[:, group])) > 0 else math.inf
            for group in self.torus.groups
        ]

    def _rows(self, resolution: Resolution) -> int:
        rows: int = resolution.position**self.torus.landscape.dim * resolution.memory ** len(self.torus.fast)
        return rows

    def _possible(self, resolution: Resolution) -> bool:
        rows = self._rows(resolution)
        return rows <= _MOST_ROWS and 8 * _MATRICES * rows**2 <= self.plan.memory


def _periods(horizon: float, eta: float, length: int, name: str) -> int:
    count = step_count(horizon, eta)
    if count % length:
        raise InputError(
            f"T / eta = {count} steps are no whole number of periods of {length} for recursion '{name}'; give step "
            f"sizes such as 1/{8 * length},1/{16 * length},1/{32 * length}"
        )
    return count // length


def _check_kind(sde: SDE, landscape: Any) -> None:
    """What this method can measure."""
    recursion = sde.rule
    assert isinstance(recursion, Recursion)
    name = f"recursion '{recursion.name}'"
    slow = sde.blocks
    fast = len(recursion.blocks) - len(slow)
    if not isinstance(landscape, TiltedTorus) or landscape.dim > (1 if fast else 2):
        raise InputError(
            f"found {type(landscape).__name__} of dimension {getattr(landscape, 'dim', '?')}; the torus method needs "
            f"a TiltedTorus of dimension 1{'' if fast else ' or 2'} for {name}{', which has memory' if fast else ''}; "
            "use TiltedTorus.default(1), or verify_one_step"
        )
    if slow != (POSITION,):
        raise InputError(
            f"{name} has the slow blocks {', '.join(slow[1:])} besides the position, which no torus holds; use "
            "verify_one_step, or verify_moments on a quadratic"
        )
    if fast > 2:
        raise InputError(
            f"{name} has {fast} blocks of memory, a grid holds at most 2 of them; use verify_one_step, or "
            "verify_moments on a quadratic"
        )
    if any(isinstance(node, Loss) for value in recursion.new_values.values() for node in walk(value)):
        raise InputError(f"{name} contains a loss, which is not periodic on a tilted torus; use verify_one_step")
