"""One step of one state, and the random numbers that it takes: a scheme's of an SDE, or a chain's own."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from ..problems.point import PointProblem
from ..problems.point_chain import PointChain
from ..scheme import Scheme
from .draws import Draws

__all__ = ["PointStep", "chain_step", "scheme_step"]


@dataclass(frozen=True)
class PointStep:
    """What is moved, whatever it is.

    Attributes:
        point: of the problem.
        move: state, shape ``(d,)``, at the end of a step, of a time, a state, numbers ``z`` of variance 1, shape
            ``(m,)``, and signs.
        draws: of the numbers.
        made_of: the functions that a user gave, for messages.
    """

    point: PointProblem | PointChain
    move: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
    draws: Draws
    made_of: str

    @property
    def signs(self) -> int:
        """How many there are."""
        return self.draws.signs


def scheme_step(scheme: Scheme, point: PointProblem, h: float) -> PointStep:
    """A step of length ``h``."""

    def move(t: Tensor, x: Tensor, z: Tensor, signs: Tensor) -> Tensor:
        return scheme.step(point, t, x, h, z * h**0.5, signs)

    signs = scheme.sign_count(point.noise_dim)
    return PointStep(point, move, Draws(scheme.increments, point.noise_dim, signs, point.dtype), "drift and diffusion")


def chain_step(point: PointChain) -> PointStep:
    """The step itself."""

    def move(t: Tensor, x: Tensor, z: Tensor, signs: Tensor) -> Tensor:
        return point.step(t, x, z)

    draws = Draws("normal", point.noise_dim, 0, point.dtype, point.problem.substeps)
    return PointStep(point, move, draws, "the step")
