"""Methods that leave sharp minima: near a minimum they add, across the gradient, that of a perturbed point."""

import math
from abc import abstractmethod
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import SGD, Optimizer

from ..ground.errors import InputError
from .noise import generator_of
from .passes import Passes, deliver, gradient_vector
from .two_pass import TwoPassOptimizer
from .vector import Vector

__all__ = ["EscapingOptimizer"]


class EscapingOptimizer(TwoPassOptimizer):
    """``x+ = base step along g + v`` where ``|g| <= tolerance``, and along ``far g`` elsewhere (Ahn et al. 2024).

    ``v`` is what the gradient ``h`` at a perturbed point has across the plain one: ``h - <h, g> g / |g|^2``. Norm and
    projection are over the parameters that are perturbed; others step along ``g``. A method says what the perturbation
    is.

    Args:
        params: parameters or parameter groups; every group may have its own ``rho``.
        base: class of the optimizer that takes the step.
        rho: perturbation radius, at least 0.
        tolerance: ``epsilon_0``, the largest norm of the gradient of a minimum, above 0; infinite: always near one.
        far: the paper's ratio ``eta' / eta`` of the learning rates far from a minimum and near one, above 0.
        seed: of what is drawn.
        **options: those of every method (:class:`SharpnessAwareOptimizer`), and of ``base``.

    Attributes:
        steps: taken so far.
        near: whether the last step was one near a minimum.

    Raises:
        InputError: an argument out of range.
    """

    kept_settings = ("tolerance", "far", "seed")
    kept_numbers = ("steps",)
    ascent_may_be_local = False

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]],
        base: type[Optimizer] = SGD,
        *,
        rho: float = 0.05,
        tolerance: float = math.inf,
        far: float = 1.0,
        seed: int = 0,
        **options: Any,
    ) -> None:
        if not tolerance > 0:
            raise InputError(f"tolerance = {tolerance} is no norm; give one above 0, infinite for every step")
        if not 0 < far < math.inf:
            raise InputError(f"far = {far} is no ratio of learning rates; give one above 0, such as 1")
        super().__init__(params, base, rho=rho, **options)
        self.tolerance, self.far, self.seed, self.steps = float(tolerance), float(far), int(seed), 0
        self.near = False
        self._plain: Vector | None = None

    @abstractmethod
    def direction(self, g: Vector) -> Vector:
        """The perturbation over ``rho``, from the gradient that it may follow, which may be changed in place."""

    def generator(self) -> torch.Generator:
        """Of the coming step."""
        return generator_of(f"{type(self).__name__} {self.seed} {self.steps}")

    def ascent(self, g: Vector) -> Vector:
        """The direction; zero far from a minimum."""
        return self.direction(g) if g.norm() <= self.tolerance else g.mul_(0.0)

    def forget(self) -> None:
        """The gradient of a step that was not taken."""
        self._plain = None

    def remember(self, g: Vector) -> None:
        """The plain gradient over all parameters, which ``.grad`` holds, and whether it is that of a minimum."""
        self.near = g.norm() <= self.tolerance
        self._plain, signs = gradient_vector(self.parameters()).clone(), self.signs()
        if signs is not None:
            self._plain.mul_(signs)

    def combined(self, second: Vector) -> Vector | None:
        """``g + h - <h, g> g / |g|^2``, or ``far g``."""
        plain, self._plain = self._plain, None
        if plain is None:
            return None
        if not self.near:
            return plain.mul_(self.far)
        perturbed = self.perturbed()
        g, h = plain.select(perturbed), second.select(perturbed)
        norm = g.norm()
        share = h.dot(g) / norm / norm if norm > 0 else 0.0
        g.mul_(1.0 - share).add_(h)
        return plain

    def make_gradient(self, passes: Passes) -> Tensor:
        """One pass far from a minimum, else two and what the direction takes."""
        self.forget()
        loss, g = passes.gradient()
        perturbed = self.perturbed()
        if not any(perturbed):
            return loss
        with torch.no_grad():
            moving = g.select(perturbed)
            if moving.norm() > self.tolerance:
                self.near = False
                deliver(g.mul_(self.far), passes.parameters, passes.signs)
                return loss
            self.remember(moving)
        second = self.perturbed_gradient(passes, moving)
        self._combine(second, passes.parameters, passes.signs)
        return loss

    def perturbed_gradient(self, passes: Passes, g: Vector) -> Vector:
        """The gradient ``h``, over all parameters."""
        with torch.no_grad():
            shift = self.shift(self.direction(g))
        with self.shifted(shift):
            return passes.gradient()[1]

    def finish(self) -> None:
        """Count the step."""
        self.steps += 1
