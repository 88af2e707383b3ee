"""How a rule and its SDEs are compared."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ....ground.errors import InputError
from ..given_numbers import finite_number, whole_number
from ..seeds import checked_seed

__all__ = ["EIGENVECTORS", "OBSERVED", "SAMPLINGS", "CompareSettings"]

OBSERVED: Sequence[str] = ("slow", "x")
SAMPLINGS: Sequence[str] = ("independent", "reshuffled")  # of rule_chain, which loads torch
EIGENVECTORS: Sequence[str] = ("minibatch", "step")

_COUNTS = ("steps", "paths", "substeps", "looks", "power_iterations")
_STATES = (1 / 3, 2 / 3, 1.0)  # of the run: ours
_CLOSE = 1e-6  # of the horizon, within which a time is a look


@dataclass(frozen=True)
class CompareSettings:
    """Settings of a comparison.

    Args:
        rho: perturbation radius.
        eta: learning rate: a step of the rule takes this time, and one of a recursion what ``step_time`` says.
        steps: of the rule.
        paths: of each process.
        seed: of the noise, which all processes share.
        sampling: how the rule draws minibatches: "independent", or "reshuffled", without replacement in each epoch.
            The SDEs are those of independent minibatches in either case. A recursion has a sampling of its own.
        scheme: of the SDEs; on a network "splitting" or "euler-maruyama".
        substeps: of the SDEs in a step of the rule: the scheme's step is ``eta / substeps``.
        looks: after the start, about.
        every: steps between two looks instead; None leaves it to ``looks``.
        state_times: at which states are kept, if ``d <= 3``: times of looks; None: those next to 1/3, 2/3 and the end.
        exact_drift: whether the SDE without truncation in ``rho`` is a further process, "exact drift": the drift and
            the covariance of the rule's own increments. Its distance to the rule is what the step size costs.
        flows: whether for each SDE the flow of its drift without noise is, "flow of" its name.
        eigenvector: on a network, where a direction that has no value is estimated as a top eigenvector: on every
            "minibatch", or once in a "step", on the mean loss.
        power_iterations: of that estimate, from the one before.
        observed: of a recursion with memory. "slow": ``x + eta chi(x, q)``, which its SDE follows from the first step
            on; "x": the position, which is near it once the memory is full.
        step_time: the time that a step of the rule takes; None: ``eta``. A comparison with a recursion finds it.

    Raises:
        InputError: numbers out of range, an unknown name.

    Example:
        >>> settings = CompareSettings(rho=0.1, eta=0.1, steps=7, looks=3)
        >>> settings.look_steps, settings.times.round(1).tolist(), settings.state_looks()
        ([0, 3, 6, 7], [0.0, 0.3, 0.6, 0.7], [1, 2, 3])
    """

    rho: float
    eta: float
    steps: int
    paths: int = 1000
    seed: int = 0
    sampling: str = "independent"
    scheme: str = "splitting"
    substeps: int = 1
    looks: int = 25
    every: int | None = None
    state_times: Sequence[float] | None = None
    exact_drift: bool = True
    flows: bool = False
    eigenvector: str = "minibatch"
    power_iterations: int = 5
    observed: str = "slow"
    step_time: float | None = None

    def __post_init__(self) -> None:
        times = self.state_times
        for name, value in (
            ("rho", finite_number("rho", self.rho, "a radius of at least 0")),
            ("eta", finite_number("eta", self.eta, "a positive learning rate")),
            *((name, whole_number(name, getattr(self, name), 1)) for name in _COUNTS),
            ("every", None if self.every is None else whole_number("every", self.every, 1)),
            ("seed", checked_seed(self.seed)),
            ("step_time", None if self.step_time is None else finite_number("step_time", self.step_time)),
            ("state_times", times if times is None else tuple(finite_number("state_times", each) for each in times)),
        ):
            object.__setattr__(self, name, value)  # those of numpy as Python's
        if self.rho < 0 or self.eta <= 0:
            raise InputError(
                f"eta = {self.eta} and rho = {self.rho}; give a positive learning rate, and no rho below 0"
            )
        if self.step_time is not None and self.step_time <= 0:
            raise InputError(f"step_time = {self.step_time}; give a positive time, or None")
        for name, choices in (("sampling", SAMPLINGS), ("eigenvector", EIGENVECTORS), ("observed", OBSERVED)):
            if getattr(self, name) not in choices:
                raise InputError(f"unknown {name} {getattr(self, name)!r}; choose one of: {', '.join(choices)}")
        self.state_looks()

    @staticmethod
    def rounding(numbers: str) -> float:
        """Of values along paths, relative to the observable's size; by the name of their type."""
        return 1e-12 if "float64" in numbers else 1e-6

    @property
    def stride(self) -> int:
        """Steps of the rule between two looks."""
        return self.every or -(-self.steps // self.looks)

    @property
    def look_steps(self) -> list[int]:
        """Numbers of steps of the rule after which processes are looked at, from 0 on."""
        return [*range(0, self.steps, self.stride), self.steps]

    @property
    def times(self) -> np.ndarray[Any, np.dtype[np.float64]]:
        """``t = k eta`` of the looks; of a recursion ``k`` times the time of its step."""
        return np.array(self.look_steps) * self.clock

    @property
    def clock(self) -> float:
        """The time that a step of the rule takes."""
        return self.eta if self.step_time is None else self.step_time

    def state_looks(self) -> list[int]:
        """Numbers of the looks at which states are kept.

        Raises:
            InputError: a time that is no look.
        """
        times, horizon = self.times, self.steps * self.clock
        given = [share * horizon for share in _STATES] if self.state_times is None else self.state_times
        found = [int(np.abs(times - t).argmin()) for t in given]
        for t, k in zip(given, found, strict=True):
            if self.state_times is not None and abs(times[k] - t) > _CLOSE * horizon:
                raise InputError(f"state_times has {t:g}, which is no look; the next one is at {times[k]:g}")
        return sorted(set(found))

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dictionary."""
        return asdict(self) | {"state_times": self.times[self.state_looks()].tolist()}
