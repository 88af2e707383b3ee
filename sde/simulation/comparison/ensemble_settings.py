"""How a rule and its SDEs are compared on an analytic landscape."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, get_args

import numpy as np

from ....ground.errors import InputError
from ..given_numbers import finite_number, whole_number
from ..problems.rule_chain import Sampling
from ..seeds import checked_seed

__all__ = ["EnsembleSettings"]

_STATES = (1 / 3, 2 / 3, 1.0)  # of the run: ours
_CLOSE = 1e-6  # of the horizon, within which a time is a look


@dataclass(frozen=True)
class EnsembleSettings:
    """Settings of a comparison.

    Args:
        rho: perturbation radius.
        eta: learning rate: a step of the rule takes this time.
        steps: of the rule.
        paths: of each process.
        seed: of the noise, which all processes share.
        sampling: of the rule's minibatches: "independent" or "reshuffled".
        substeps: of the SDEs in a step of the rule.
        looks: after the start, about.
        state_times: at which states are kept, if ``d <= 3``: times of looks; None: those next to 1/3, 2/3 and the end.
        exact_drift: whether the SDE without truncation in ``rho`` is a further process, "exact drift".
        flows: whether for each SDE the flow of its drift without noise is, "flow of" its name.

    Raises:
        InputError: numbers out of range, an unknown sampling.

    Example:
        >>> settings = EnsembleSettings(rho=0.1, eta=0.1, steps=7, looks=3)
        >>> settings.look_steps, settings.times.round(1).tolist(), settings.state_looks()
        ([0, 3, 6, 7], [0.0, 0.3, 0.6, 0.7], [1, 2, 3])
    """

    rho: float
    eta: float
    steps: int
    paths: int = 1000
    seed: int = 0
    sampling: Sampling = "independent"
    substeps: int = 1
    looks: int = 25
    state_times: Sequence[float] | None = None
    exact_drift: bool = False
    flows: bool = False

    def __post_init__(self) -> None:
        times = self.state_times
        for name, value in (
            ("rho", finite_number("rho", self.rho, "a radius of at least 0")),
            ("eta", finite_number("eta", self.eta, "a positive learning rate")),
            *((name, whole_number(name, getattr(self, name), 1)) for name in ("steps", "paths", "substeps", "looks")),
            ("seed", checked_seed(self.seed)),
            ("state_times", times if times is None else tuple(finite_number("state_times", each) for each in times)),
        ):
            object.__setattr__(self, name, value)  # those of numpy as Python's
        if self.rho < 0 or self.eta <= 0:
            raise InputError(
                f"eta = {self.eta} and rho = {self.rho}; give a positive learning rate, and no rho below 0"
            )
        if self.sampling not in get_args(Sampling):
            raise InputError(f"unknown sampling {self.sampling!r}; choose one of: {', '.join(get_args(Sampling))}")
        self.state_looks()

    @property
    def every(self) -> int:
        """Steps of the rule between two looks."""
        return -(-self.steps // self.looks)

    @property
    def look_steps(self) -> list[int]:
        """Numbers of steps of the rule after which processes are looked at, from 0 on."""
        return [*range(0, self.steps, self.every), self.steps]

    @property
    def times(self) -> np.ndarray[Any, np.dtype[np.float64]]:
        """``t = k eta`` of the looks."""
        return np.array(self.look_steps) * self.eta

    def state_looks(self) -> list[int]:
        """Numbers of the looks at which states are kept.

        Raises:
            InputError: a time that is no look.
        """
        times, horizon = self.times, self.steps * self.eta
        given = [share * horizon for share in _STATES] if self.state_times is None else self.state_times
        found = [int(np.abs(times - t).argmin()) for t in given]
        for t, k in zip(given, found, strict=True):
            if self.state_times is not None and abs(times[k] - t) > _CLOSE * horizon:
                raise InputError(f"state_times has {t:g}, which is no look; the next one is at {times[k]:g}")
        return sorted(set(found))

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dictionary."""
        return asdict(self) | {"state_times": self.times[self.state_looks()].tolist()}
