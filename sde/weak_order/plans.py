"""How an order is measured: the settings of each method, checked when they are given; nothing here computes."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ...ground.errors import InputError

if TYPE_CHECKING:
    from .claim import TestFunctions
    from .own_coefficients import CoefficientFunction

__all__ = ["MEMORY", "MomentsPlan", "MonteCarloPlan", "OneStepPlan", "Precision", "TorusPlan"]

Precision = Literal["multi", "float64"]

MEMORY = 2.0**31
"""Bytes that the operators of one grid may take (ours: any laptop has them)."""

_LEAST_PATHS = 32  # fewer do not know their own variance well enough for intervals


@dataclass(frozen=True, kw_only=True)
class TorusPlan:
    """How :func:`verify_on_torus` measures.

    Attributes:
        expected: the order to be confirmed; default: the one that the derivation proves.
        horizon: final time ``T``.
        resolution: odd number of grid points per axis; by default it grows until the last error has settled.
        memory: bytes that a grid's operators may take.
        test_functions: maps points ``(N, d)`` to periodic functions ``(N, K)``; default:
            :func:`periodic_test_functions`.
        coefficients: drift and covariance of the SDE, to verify an implementation of one's own: the signature of
            :func:`drift_and_covariance`, which is the default; what it returns is checked.
    """

    expected: float | None = None
    horizon: float = 1.0
    resolution: int | None = None
    memory: float = MEMORY
    test_functions: "TestFunctions | None" = None
    coefficients: "CoefficientFunction | None" = None


@dataclass(frozen=True, kw_only=True)
class OneStepPlan:
    """How :func:`verify_one_step` measures.

    Attributes:
        expected: the weak order to be confirmed, of which ``expected`` of the result is 1 more; default: the one that
            the derivation proves.
        precision: ``multi`` or ``float64``; default: ``multi`` where there are formulas of at most three coordinates
            and no coefficients of one's own.
        test_functions: maps points ``(N, d)`` to functions ``(N, K)``; by arithmetic alone for ``multi``. Default:
            three polynomials; :func:`spanning_test_functions` for ``coefficients`` of one's own.
        coefficients: drift and covariance of the SDE, to verify an implementation of one's own in double precision: the
            signature of :func:`drift_and_covariance`; points have shape ``(N, 1, d)``; what it returns is checked.

    Raises:
        InputError: another precision.
    """

    expected: float | None = None
    precision: Precision | None = None
    test_functions: Any = None
    coefficients: "CoefficientFunction | None" = None

    def __post_init__(self) -> None:
        if self.precision not in ("multi", "float64", None):
            raise InputError(f"precision '{self.precision}' is not one of: multi, float64")


@dataclass(frozen=True, kw_only=True)
class MomentsPlan:
    """How :func:`verify_moments` measures.

    Attributes:
        expected: the order to be confirmed; default: the one that the derivation proves.
        horizon: final time ``T``.
        inside: of a recursion with epochs: whether to compare at all steps of an epoch, not at epoch ends alone; in a
            given order the order inside is 1.
    """

    expected: float | None = None
    horizon: float = 1.0
    inside: bool = False


@dataclass(frozen=True, kw_only=True)
class MonteCarloPlan:
    """How :func:`verify_monte_carlo` measures.

    Attributes:
        expected: the order to be confirmed; default: the one that the derivation proves.
        horizon: final time ``T``.
        test_functions: maps points ``(N, d)`` to differentiable functions ``(N, K)``; default:
            :func:`polynomial_test_functions` and the mean loss.
        paths: number of paths, for all step sizes; default: planned from a pilot.
        most_paths: most that may be planned.
        confidence: of each interval.
        seed: path ``i`` of a seed has the same noise in every run.
        chunk_size: paths per task, rounded up to whole blocks of at most 4096; results do not depend on it.
        jobs: processes, one thread each.
        state: a JSON file where the main run keeps its statistics; a killed run goes on from it, bit for bit. It is
            refused if anything that the statistics depend on has changed, test functions included:
            :mod:`.path_state`.

    Raises:
        InputError: numbers out of range.

    Example:
        >>> MonteCarloPlan(paths=2000, seed=1).confidence
        0.95
    """

    expected: float | None = None
    horizon: float = 1.0
    test_functions: "TestFunctions | None" = None
    paths: int | None = None
    most_paths: int = 100_000
    confidence: float = 0.95
    seed: int = 0
    chunk_size: int = 4096
    jobs: int = 1
    state: Path | str | None = None

    def __post_init__(self) -> None:
        for name, number, least in (
            ("paths", self.paths, _LEAST_PATHS),
            ("most paths", self.most_paths, _LEAST_PATHS),
            ("jobs", self.jobs, 1),
        ):
            most = 1024 if name == "jobs" else 2**40
            if number is not None and not least <= number <= most:
                raise InputError(f"{name} = {number}; give at least {least} and at most {most}")
        if not 0 < self.confidence < 1 or self.chunk_size < 1:
            raise InputError(f"confidence = {self.confidence}, chunk size = {self.chunk_size}; give e.g. 0.95 and 4096")
