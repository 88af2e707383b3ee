"""What a comparison of a rule with its SDEs is asked for; no torch is needed to know that."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ....ground.errors import InputError
from ....ground.settings import check_settings, setting

__all__ = ["EIGENVECTORS", "SAMPLINGS", "CompareSettings"]

SAMPLINGS: Sequence[str] = ("independent", "reshuffled")
EIGENVECTORS: Sequence[str] = ("minibatch", "step")

_POSITIVE: dict[str, Any] = {"holds": lambda value: value > 0, "otherwise": "must be positive, e.g. 0.1"}
_COUNT: dict[str, Any] = {"holds": lambda value: value >= 1, "otherwise": "must be at least 1"}
_COUNT_OR_NONE: dict[str, Any] = {"holds": lambda value: value >= 0, "otherwise": "must be at least 0"}


@dataclass(frozen=True, kw_only=True)
class CompareSettings:
    """A rule and its SDEs on the same noise.

    Args:
        eta: learning rate: a step of the rule takes so much time.
        rho: perturbation radius.
        steps: of the rule.
        paths: independent ones of each process.
        seed: of all noise.
        sampling: how the rule draws minibatches: "independent", or "reshuffled", without replacement in each epoch.
            The SDEs are those of independent minibatches in either case.
        scheme: of the SDEs.
        substeps: of the SDEs in a step of the rule: the integrator's step is ``eta / substeps``.
        every: steps between two looks; 0: about 25 looks.
        exact: whether the untruncated SDE is simulated, too: the drift and the covariance of the rule's own increments.
            Its distance to the rule is what the step size costs, without any truncation in ``rho``.
        flows: whether the noiseless flow of every drift is, too.
        eigenvector: where a rule's direction that has no value is estimated as a top eigenvector: on every "minibatch",
            or once in a "step", on the mean loss.
        power_iterations: of that estimate, from the one before.

    Raises:
        InputError: a number out of its range, an unknown name.

    Example:
        >>> CompareSettings(eta=0.1, steps=100).looks()[:3]
        [0, 4, 8]
        >>> CompareSettings(sampling="shuffled")
        Traceback (most recent call last):
        ...
        eigensam.ground.errors.InputError: unknown sampling 'shuffled'; choose one of: independent, reshuffled
    """

    eta: float = setting(0.1, "Learning rate: a step of the rule takes so much time.", **_POSITIVE)
    rho: float = setting(0.1, "Perturbation radius.", holds=lambda value: value >= 0, otherwise="must be at least 0")
    steps: int = setting(100, "Steps of the rule.", **_COUNT)
    paths: int = setting(5, "Independent paths of each process.", **_COUNT)
    seed: int = setting(0, "Seed of all noise; a path keeps its noise when there are more paths.", **_COUNT_OR_NONE)
    sampling: str = setting("independent", "How the rule draws minibatches.", choices=lambda: SAMPLINGS)
    scheme: str = setting("splitting", "How a step of an SDE is made: a scheme of docs/simulation.md.")
    substeps: int = setting(1, "Steps of the scheme in a step of the rule.", **_COUNT)
    every: int = setting(0, "Steps between two looks; 0 makes about 25 looks.", **_COUNT_OR_NONE)
    exact: bool = setting(True, "Simulate the untruncated SDE, too: the floor of the step size's own error.")
    flows: bool = setting(False, "Simulate the noiseless flow of every drift, too.")
    eigenvector: str = setting(
        "minibatch", "Where a direction without a value is estimated as an eigenvector.", choices=lambda: EIGENVECTORS
    )
    power_iterations: int = setting(5, "Power iterations of that estimate.", **_COUNT)

    def __post_init__(self) -> None:
        check_settings(self)
        if self.steps >= 2**32:
            raise InputError(f"steps = {self.steps}; give fewer than 2^32")

    def looks(self) -> list[int]:
        """Numbers of steps after which paths are looked at, from 0 to ``steps``."""
        return [*range(0, self.steps, self.every or -(-self.steps // _LOOKS)), self.steps]


_LOOKS = 25  # ours: points of a curve; a look at a network costs as much as some steps
