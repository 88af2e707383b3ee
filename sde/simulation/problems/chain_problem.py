"""A Markov chain to simulate: its step as a function of a point and of normal numbers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

from ....ground.errors import InputError
from ..given_numbers import finite_number, whole_number

__all__ = ["ChainProblem"]

_MOST = 1024  # ours: steps of an SDE in one of the chain, whose numbers are drawn and added in one


@dataclass(frozen=True)
class ChainProblem:
    """``x_{k+1} = s(t_k, x_k, z_k)`` with ``m`` independent standard normal numbers ``z_k`` in each step.

    With the same seed, path and step an SDE with ``m`` Brownian motions is driven by the same numbers: there, with a
    scheme whose increments are normal, ``dW_k = sqrt(dt) z_k``. So chain and SDE are coupled.

    Args:
        step: ``s(t, x, z)``, shape ``(d,)``, at a time without a shape, one point of shape ``(d,)`` (or blocks by
            name) and numbers of shape ``(m,)``, in torch operations whose course does not depend on numbers. With a
            memory ``s(t, x, z, memory)``, which gives a pair: the next point and the next memory.
        noise_dim: ``m``.
        dt: time that a step takes, which ``simulate`` then insists on; None: what ``simulate`` is told.
        memory: what a step hands on besides the point, as it is at the start of each path: numbers, which nothing
            observes. Empty: nothing.
        substeps: ``c``: in a run whose noise is that of an SDE in steps of ``dt / c``, with the same seed, ``z_k`` is
            the sum of what drives ``c`` of its steps, divided by ``sqrt(c)``.
        t0: time of the start.

    Raises:
        InputError: a step that is no function, numbers out of range.

    Example:
        A random walk:

        >>> walk = ChainProblem(lambda t, x, z: x + 0.1 * z, noise_dim=2)
        >>> walk.substeps
        1
    """

    step: Callable[..., Any]
    noise_dim: int
    dt: float | None = None
    memory: Sequence[float] = ()
    substeps: int = 1
    t0: float = 0.0

    def __post_init__(self) -> None:
        if not callable(self.step):
            raise InputError(f"the step is of type {type(self.step).__name__}; give a function of t, x and z")
        if not isinstance(self.memory, Sequence) or not all(isinstance(each, Real) for each in self.memory):
            raise InputError(f"memory = {self.memory!r}; give a list of numbers, as they are at the start")
        for name, value in (
            ("noise_dim", whole_number("noise_dim", self.noise_dim, 0)),
            ("dt", None if self.dt is None else finite_number("dt", self.dt, "a positive number, or None")),
            ("memory", tuple(finite_number("memory", each) for each in self.memory)),
            ("substeps", whole_number("substeps", self.substeps, 1, _MOST)),
            ("t0", finite_number("t0", self.t0)),
        ):
            object.__setattr__(self, name, value)  # those of numpy as Python's
        if self.dt is not None and self.dt <= 0:
            raise InputError(f"dt = {self.dt!r}; give a positive number, or None")
