"""What ``eigensam simulate`` is asked for; no torch is needed to know that."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ...ground.errors import InputError
from ...ground.settings import check_settings, setting

__all__ = ["BACKENDS", "DTYPES", "ROOTS", "SimulateSettings"]

BACKENDS: Sequence[str] = ("auto", "compiled", "eager")
ROOTS: Sequence[str] = ("minibatches", "coordinates")
DTYPES: Sequence[str] = ("float64", "float32")

_PATHS, _NETWORK_PATHS = 10_000, 5

_POSITIVE: dict[str, Any] = {"holds": lambda value: value > 0, "otherwise": "must be positive, e.g. 0.1"}
_COUNT_OR_NONE: dict[str, Any] = {"holds": lambda value: value >= 0, "otherwise": "must be at least 0"}


@dataclass(frozen=True, kw_only=True)
class SimulateSettings:
    """An ensemble of a derived SDE, and what is kept of it.

    Args:
        eta: learning rate, in the correction of the drift and the size of the noise.
        rho: perturbation radius.
        horizon: final time.
        steps: how many instead; 0: as many as the horizon takes.
        dt: length of a step; 0: ``eta``.
        paths: how many; None: ten thousand, and five of a network.
        seed: of the random numbers.
        chunk: paths that are moved together; 0: as many as a processor's cache holds.
        scheme: one of ``SCHEMES``. Ours: "splitting", made for noise of variance ``eta`` and steps of about ``eta``.
        start: coordinates, separated by commas; one number stands for all.
        root: of the covariance, see :func:`derived_problem`.
        dtype: of all numbers.
        backend: see :class:`Engine`.
        every: steps between two looks; 0: about 50 looks.
        trajectories: of the first so many paths the states at every look are kept.
        quantiles: their relative error; 0: none.

    Raises:
        InputError: a number out of its range, an unknown name.

    Example:
        >>> SimulateSettings(eta=0.05, horizon=2.0).step_length
        0.05
        >>> SimulateSettings(backend="gpu")
        Traceback (most recent call last):
        ...
        eigensam.ground.errors.InputError: unknown backend 'gpu'; choose one of: auto, compiled, eager
    """

    eta: float = setting(0.1, "Learning rate: a step of the rule takes so much time.", **_POSITIVE)
    rho: float = setting(0.1, "Perturbation radius.", holds=lambda value: value >= 0, otherwise="must be at least 0")
    horizon: float = setting(10.0, "Final time T, which the length of a step divides.", **_POSITIVE)
    steps: int = setting(
        0, "Instead of --horizon: how many steps, with --drift-orders of the rule; 0: by the horizon.", **_COUNT_OR_NONE
    )
    dt: float = setting(
        0.0, "Length of a step of the scheme; 0 is eta.", holds=lambda value: value >= 0, otherwise="must be positive"
    )
    paths: int | None = setting(
        None,
        "How many paths; by default 10 000, and 5 of a run's network.",
        holds=lambda value: value is None or (type(value) is int and 1 <= value < 2**31),
        otherwise=f"is not a number of paths; give a whole number from 1 to {2**31 - 1}",
    )
    seed: int = setting(0, "Seed of all noise; a path keeps its noise when there are more paths.", **_COUNT_OR_NONE)
    chunk: int = setting(
        0, "Paths that are moved together (memory only); 0: as many as a cache holds.", **_COUNT_OR_NONE
    )
    scheme: str = setting("splitting", "How a step is made: a scheme of docs/simulation.md.")
    start: str = setting("1", "Where all paths begin, such as 0.5,-1; one number stands for all coordinates.")
    root: str = setting(
        "minibatches",
        "Of the covariance: a Brownian motion for each minibatch, or for each coordinate (Cholesky).",
        choices=lambda: ROOTS,
    )
    dtype: str = setting("float64", "Type of all numbers.", choices=lambda: DTYPES)
    backend: str = setting(
        "auto",
        "How states are moved; auto compiles where the run is longer than compilation.",
        choices=lambda: BACKENDS,
    )
    every: int = setting(0, "Steps between two looks at the states; 0 makes about 50 looks.", **_COUNT_OR_NONE)
    trajectories: int = setting(0, "Keep so many paths at all looks, for the picture.", **_COUNT_OR_NONE)
    quantiles: float = setting(
        0.01,
        "Relative error of the quantiles, 1e-4 to 0.5; 0 keeps none.",
        holds=lambda value: value == 0 or 1e-4 <= value <= 0.5,
        otherwise="must lie in [1e-4, 0.5], or be 0 for none",
    )

    def __post_init__(self) -> None:
        check_settings(self)
        if self.trajectories > self.number():
            raise InputError(f"trajectories = {self.trajectories} of {self.number()} paths; keep fewer")

    def number(self, *, network: bool = False) -> int:
        """Of paths."""
        return self.paths if self.paths is not None else _NETWORK_PATHS if network else _PATHS

    @property
    def step_length(self) -> float:
        """Of the scheme."""
        return self.dt or self.eta
