"""What the frozen directions of a rule are along a path: given once, or estimated anew as the path moves."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from ....ground.errors import InputError
from ...rules.recursion import Recursion
from ...rules.rule import Rule
from .eigenvectors import EigenvectorEstimate

__all__ = ["Directions"]


@dataclass(frozen=True)
class Directions:
    """Eigen-SAM's ``v``: constant, or the top eigenvector of the Hessian where the path is.

    Args:
        rule: whose directions they are.
        estimate: how an eigenvector is estimated in every step; None where the rule has no direction, or all are given.

    Raises:
        InputError: none or several directions to estimate.
    """

    rule: Rule | Recursion
    estimate: EigenvectorEstimate | None = None

    def __post_init__(self) -> None:
        names = self.rule.directions
        if self.estimate is not None and len(names) != 1:
            found = ", ".join(names) or "none"
            raise InputError(
                f"rule '{self.rule.name}' has the directions {found}; one is estimated as an eigenvector, so give "
                "values for them"
            )

    @property
    def estimated(self) -> bool:
        """Whether they change along the path."""
        return self.estimate is not None

    def start(self, x: Tensor) -> dict[str, Tensor]:
        """What is kept of estimates, of no step yet; ``x`` are points, shape ``(P, d)``."""
        if self.estimate is None:
            return {}
        return {"v": self.estimate.start(range(len(x))), "residual": x.new_ones(len(x))}

    def along(self, x: Tensor, step: int, state: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Directions at ``x``, shape ``(P, 1 or M, d)`` by name, and what is kept for the next step.

        Args:
            x: points, shape ``(P, d)``.
            step: its number, from 0.
            state: of the path.
        """
        if self.estimate is None:
            return {}, {}
        found = self.estimate(x, state["v"] if step else None)
        (name,), residual = self.rule.directions, found.residuals.mean(1).to(x)
        return {name: found.vectors}, {"v": found.state, "residual": residual}
