"""What the frozen directions of a rule are along a path: given once, or estimated anew as the path moves."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ....ground.errors import InputError
from ....landscapes.landscape import Landscape
from ....landscapes.networks.network import NetworkLandscape
from ...rules.rule import Rule
from .eigenvectors import EigenvectorEstimate

__all__ = ["Directions"]


@dataclass(frozen=True)
class Directions:
    """Eigen-SAM's ``v``: constant, or the top eigenvector of the Hessian where the path is.

    Args:
        rule: whose directions they are.
        estimate: how an eigenvector is estimated; None where the rule has no direction, or all are given.
        refresh: steps that an estimate serves; more than 1 only for one of the mean loss, since a step of another
            minibatch has another eigenvector.

    Raises:
        InputError: two directions to estimate, or a refresh that fits no estimate.
    """

    rule: Rule
    estimate: EigenvectorEstimate | None = None
    refresh: int = 1

    def __post_init__(self) -> None:
        names = self.rule.directions
        if self.estimate is not None and len(names) != 1:
            found = ", ".join(names) or "none"
            raise InputError(
                f"rule '{self.rule.name}' has the directions {found}; one is estimated as an eigenvector, so give "
                "values for them"
            )
        if self.refresh < 1 or (self.refresh > 1 and self.estimate is not None and self.estimate.kind == "minibatch"):
            raise InputError(
                f"an eigenvector is refreshed every {self.refresh} steps; estimated on minibatches it is refreshed at "
                "every step: estimate it on the mean loss, eigenvector = 'step', or refresh it at every step"
            )

    @property
    def estimated(self) -> bool:
        """Whether they change along the path."""
        return self.estimate is not None

    def start(self, landscape: Landscape, x: Tensor) -> dict[str, Tensor]:
        """What is kept of estimates, of no step yet."""
        return {} if self.estimate is None else {"v": self.estimate.start(landscape, len(x))}

    def along(
        self, landscape: Landscape, x: Tensor, step: int, state: Mapping[str, Tensor], minibatches: Tensor | None
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Directions at ``x``, shape ``(P, 1 or M, d)`` by name, and what is kept for the next step.

        Args:
            landscape: the family of losses.
            x: points, shape ``(P, d)``.
            step: its number.
            state: of the path.
            minibatches: of each path, shape ``(P,)``, if no other one's direction is needed.
        """
        if self.estimate is None:
            return {}, {}
        (name,), v = self.rule.directions, state["v"]
        if step % self.refresh:
            return {name: v}, {"v": v}
        if self.estimate.kind == "step" or minibatches is None:
            v = self.estimate.refine(landscape, x, v).vectors
            return {name: v}, {"v": v}
        assert isinstance(landscape, NetworkLandscape)
        every = torch.arange(len(x), device=x.device)
        found = self.estimate.refine(landscape.picked(minibatches), x, v[every, minibatches][:, None]).vectors
        v = v.clone()
        v[every, minibatches] = found[:, 0]
        return {name: found}, {"v": v}
