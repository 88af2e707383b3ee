"""What ``eigensam simulate`` is asked for besides where it compares a rule with its SDEs; no torch is needed."""

from dataclasses import dataclass
from typing import Any

from ....ground.settings import check_settings, setting
from .compare_settings import EIGENVECTORS, OBSERVED, SAMPLINGS

__all__ = ["ComparisonOptions"]

_COUNT: dict[str, Any] = {"holds": lambda value: value >= 1, "otherwise": "must be at least 1"}


@dataclass(frozen=True, kw_only=True)
class ComparisonOptions:
    """See :class:`CompareSettings` for the first five and observed.

    Args:
        sampling: how the rule draws minibatches.
        exact_drift: whether the untruncated SDE is simulated, too.
        flows: whether the noiseless flows are, too.
        eigenvector: where a direction without a value is estimated.
        power_iterations: of that estimate.
        minibatches: of a run's training examples.
        batch_size: examples of each.
        initial: whether paths start at the run's initialisation, and not where it ended.
        observed: of a recursion with memory, the slow variable or the position.
        observables: of a network, separated by commas; empty: those of the paper's figures.

    Raises:
        InputError: a number out of its range, an unknown name.
    """

    sampling: str = setting(
        "independent", "How the rule draws minibatches; reshuffled is without replacement.", choices=lambda: SAMPLINGS
    )
    exact_drift: bool = setting(
        True, "Simulate the untruncated SDE, too: what the step size costs without any truncation."
    )
    flows: bool = setting(False, "Simulate the noiseless flow of every drift, too.")
    eigenvector: str = setting(
        "minibatch",
        "Where Eigen-SAM's v is estimated if --value gives none: on every minibatch, or once in a step.",
        choices=lambda: EIGENVECTORS,
    )
    power_iterations: int = setting(5, "Power iterations of that estimate, from the one before.", **_COUNT)
    minibatches: int = setting(8, "Minibatches of the run's first training examples.", **_COUNT)
    batch_size: int = setting(64, "Examples of each.", **_COUNT)
    initial: bool = setting(False, "Start at the run's initialisation, not where the training ended.")
    observed: str = setting(
        "slow",
        "Of a recursion with memory: its slow variable, which the SDE follows, or its position x.",
        choices=lambda: OBSERVED,
    )
    observables: str = setting("", "Observables of the network, separated by commas; those of the paper if left out.")

    def __post_init__(self) -> None:
        check_settings(self)
