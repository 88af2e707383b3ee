"""The normal numbers of a step: a function of seed, path and step, whoever draws them and when."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ..noise import PathNoise

__all__ = ["StepNoise"]


@dataclass(frozen=True)
class StepNoise:
    """``m`` substeps of ``M`` standard normal numbers for each path.

    Path 7 has the same numbers among ten paths and among a hundred, and a run that goes on has those of one that was
    never interrupted.

    Attributes:
        seed: of the run.
        paths: ``P``.
        substeps: ``m``.
        minibatches: ``M``.

    Example:
        >>> few, many = StepNoise(0, 2, 1, 3), StepNoise(0, 5, 1, 3)
        >>> bool((few.draw(7) == many.draw(7)[:2]).all()), few.draw(7).shape
        (True, torch.Size([2, 1, 3]))
    """

    seed: int
    paths: int
    substeps: int
    minibatches: int

    def draw(self, step: int) -> Tensor:
        """Of a step, double precision, shape ``(P, m, M)``."""
        noise = PathNoise(self.seed, step, self.substeps * self.minibatches)
        return torch.from_numpy(noise.draw(0, self.paths)).reshape(self.paths, self.substeps, self.minibatches)
