"""The optimizers of training runs as steps of the language, by name; or why one has none."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from ....ground.errors import InputError
from ..known_recursions import averaged_steps
from ..language import alpha, direction, grad, inner, norm, rho, state, unit
from ..momentum import BUFFER, SGDStep, exact
from ..nodes import Vector
from ..rule import RULES

__all__ = ["METHODS", "REFUSED", "TrainedMethod", "trained_method"]

_FROZEN = (
    "v is the eigenvector estimate of the moment: the SDE holds between two refreshes, which are {} steps apart, as "
    "far as v does not depend on the step's own minibatch."
)
_FIRST = "The average {} starts with the first gradient: given its value after a step, all later ones are as derived."


@dataclass(frozen=True)
class TrainedMethod:
    """What an optimizer makes of its minibatch.

    Attributes:
        step: along which the base optimizer steps.
        before: statements that come first.
        values: of parameters that the step leaves open.
        remarks: sentences for who reads its SDE.
        parts: micro-batches of the minibatch, each with a draw of its own, if more than 1.
    """

    step: Vector
    before: Sequence[tuple[str, Vector]] = ()
    values: Mapping[str, Fraction] = field(default_factory=dict)
    remarks: Sequence[str] = ()
    parts: int = 1


Settings = Mapping[str, Any]

_PERTURBED = state("r")


def _cr_sam(own: Settings, base: SGDStep) -> TrainedMethod:
    u, gamma, beta = rho * unit(grad()), exact(own["gamma"], "gamma"), exact(own["beta"], "beta")
    up, down = grad(u), grad(-u)
    step = up
    if gamma:
        step = step + gamma * (up + down - 2 * grad())
    if beta:
        step = step + beta * (up - down)
    return TrainedMethod(step)


def _gsam(own: Settings, base: SGDStep) -> TrainedMethod:
    climb = exact(own["alpha"], "alpha")
    r, g = _PERTURBED, grad()
    across = g - inner(g, r) / norm(r) ** 2 * r
    step = r - climb * across if climb else r
    return TrainedMethod(step, [("r", grad(rho * unit(g)))])


def _x_sam(own: Settings, base: SGDStep) -> TrainedMethod:
    taken, v, r = exact(own["alpha"], "alpha"), direction("v"), _PERTURBED
    before = [("r", grad(rho * unit(grad())))]
    if not taken:
        return TrainedMethod(r, before)
    return TrainedMethod(r - taken * inner(r, v) * v, before, remarks=[_FROZEN.format(own["refresh_every"])])


def _eigen_sam(own: Settings, base: SGDStep) -> TrainedMethod:
    weight = exact(own["alpha"], "alpha")
    if not weight:
        return TrainedMethod(RULES["sam"].step)
    step = RULES["eigen-sam"].step
    if own["normalize"]:
        shift = step.shift / rho  # type: ignore[attr-defined]  # a gradient
        step = grad(rho * unit(shift))
    return TrainedMethod(step, values={alpha.name: weight}, remarks=[_FROZEN.format(own["refresh_every"])])  # type: ignore[attr-defined]


def _vasso(own: Settings, base: SGDStep) -> TrainedMethod:
    theta, d = exact(own["theta"], "theta"), state("d")
    if theta == 1:
        return TrainedMethod(RULES["sam"].step)
    average = (1 - theta) * d + theta * grad()
    return TrainedMethod(grad(rho * unit(d)), [("d", average)], remarks=[_FIRST.format("d")])


def _friendly_sam(own: Settings, base: SGDStep) -> TrainedMethod:
    sigma, kept, a = exact(own["sigma"], "sigma"), exact(own["decay"], "decay"), state("a")
    if not sigma:
        return TrainedMethod(RULES["sam"].step)
    before = [("r", grad(rho * unit(grad() - sigma * a))), ("a", kept * a + (1 - kept) * grad())]
    return TrainedMethod(_PERTURBED, before, remarks=[_FIRST.format("a")])


def _momentum_sam(own: Settings, base: SGDStep) -> TrainedMethod:
    if base.beta:
        return TrainedMethod(grad(-rho * unit(state(BUFFER))))
    kept, d, r = Fraction(9, 10), state("d"), _PERTURBED  # the optimizer's default, which a run cannot change
    return TrainedMethod(r, [("r", grad(-rho * unit(d))), ("d", kept * d + r)])


def _m_sam(own: Settings, base: SGDStep) -> TrainedMethod:
    parts = own["micro_batches"]
    return TrainedMethod(averaged_steps(RULES["sam"], parts), parts=parts)


def _known(name: str) -> Callable[[Settings, SGDStep], TrainedMethod]:
    return lambda own, base: TrainedMethod(RULES[name].step)


METHODS: dict[str, Callable[[Settings, SGDStep], TrainedMethod]] = {
    **{name: _known(name) for name in ("sgd", "sam", "usam", "reverse-sam", "egr")},
    "plain": _known("sgd"),
    "cr-sam": _cr_sam,
    "gsam": _gsam,
    "x-sam": _x_sam,
    "eigen-sam": _eigen_sam,
    "vasso": _vasso,
    "friendly-sam": _friendly_sam,
    "momentum-sam": _momentum_sam,
    "m-sam": _m_sam,
}
"""By the name of the optimizer: its settings, and those of the base, to what it does."""

_ELEMENTWISE = "scales each coordinate by itself, and the language has vectors as wholes only"
_RANDOM = "draws random numbers of its own besides the minibatch, which no statement of the language does"

REFUSED: dict[str, str] = {
    "asam": _ELEMENTWISE,
    "fisher-sam": _ELEMENTWISE,
    "random-sam": _RANDOM,
    "smoothed-perturbation": _RANDOM,
    "aware-perturbation": _RANDOM,
    "det-sam": _RANDOM,
    "frob-sam": _RANDOM,
    "sam-on": "perturbs some of the parameters only, and the language has vectors as wholes only",
}
"""By name: why an optimizer is no recursion of the language."""


def trained_method(own: Settings, base: SGDStep) -> TrainedMethod:
    """What an optimizer does, from its group of a run's settings.

    Args:
        own: its name, and its settings.
        base: the step around it.

    Raises:
        InputError: an optimizer that the language cannot write, with the reason; one that is not known; settings that
            are not complete.

    Example:
        >>> print(trained_method({"name": "sam", "rho": 0.1}, SGDStep()).step)
        grad(rho*g/norm(g))
    """
    name = own.get("name")
    if name in REFUSED:
        raise InputError(f"optimizer '{name}' {REFUSED[name]}; SDEs are derived of {', '.join(METHODS)}")
    if name not in METHODS:
        raise InputError(f"optimizer {name!r:.60} is not known as a recursion; known are {', '.join(METHODS)}")
    try:
        return METHODS[name](own, base)
    except KeyError as error:
        raise InputError(
            f"the settings of optimizer '{name}' have no {error}; give those of a run's settings.json"
        ) from None
