"""Methods that minimise a measure of sharpness which is estimated from losses and gradients at random points."""

import math
from abc import abstractmethod
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.optim import SGD, Optimizer

from ..ground.errors import InputError
from .noise import generator_of
from .passes import NotFiniteError, Passes, deliver
from .sharpness_aware import SharpnessAwareOptimizer
from .vector import Vector

__all__ = ["SampledSharpnessOptimizer"]


class SampledSharpnessOptimizer(SharpnessAwareOptimizer):
    """Base step along ``g + weight grad S``, where ``S`` is estimated at ``samples`` points ``x + rho u``.

    As the measure depends on the values of the loss, a closure has to return it, and under data parallelism it is that
    of all workers together. Parameters of a group with ``rho = 0`` are not moved, but ``S`` depends on them, too.

    Args:
        params: parameters or parameter groups; every group may have its own ``rho``.
        base: class of the optimizer that takes the step.
        rho: size of the perturbations, at least 0.
        weight: of the measure, at least 0.
        samples: points in a step.
        seed: of the perturbations.
        **options: those of every method (:class:`SharpnessAwareOptimizer`), and of ``base``.

    Attributes:
        steps: taken so far.

    Raises:
        InputError: an argument out of range; a loss that is not told; groups that maximise and minimise.
    """

    kept_settings: ClassVar[tuple[str, ...]] = ("weight", "samples", "seed")
    kept_numbers = ("steps",)
    ascent_may_be_local = False

    fewest = 1
    """Samples that the estimate needs."""

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]],
        base: type[Optimizer] = SGD,
        *,
        rho: float,
        weight: float,
        samples: int,
        seed: int = 0,
        **options: Any,
    ) -> None:
        if not 0 <= weight < math.inf:
            raise InputError(
                f"weight = {weight} is negative or not finite; give weight >= 0, where 0 is the base alone"
            )
        if samples < self.fewest or samples % 1 != 0:
            raise InputError(f"samples = {samples} are too few or no whole number; give at least {self.fewest}")
        super().__init__(params, base, rho=rho, **options)
        self.weight, self.samples, self.seed, self.steps = float(weight), int(samples), int(seed), 0

    @abstractmethod
    def drawn(self, generator: torch.Generator) -> Vector:
        """A perturbation over ``rho``, over perturbed parameters."""

    @abstractmethod
    def add_measure(self, g: Vector, loss: float, passes: Passes) -> None:
        """Add ``weight grad S`` to the gradient, in place, by the samples of :meth:`visited`."""

    def noise_of(self, sample: int) -> Vector:
        """The perturbation over ``rho`` of a sample of the coming step."""
        return self.drawn(generator_of(f"{type(self).__name__} {self.seed} {self.steps} {sample}"))

    def make_gradient(self, passes: Passes) -> Tensor:
        """One pass, and one for each sample."""
        name = type(self).__name__
        if passes.signs is not None and len(set(passes.signs)) > 1:
            raise InputError(f"{name} maximises or minimises; groups that do both have no common Hessian to measure")
        loss, g = passes.gradient()
        if not any(self.perturbed()) or self.weight == 0:
            return loss
        with torch.no_grad():
            total = g.clone()
        self.add_measure(total, math.nan if passes.given else self._value(loss, passes), passes)
        if not total.is_finite():
            raise NotFiniteError(
                f"the measure of sharpness of {name} is not finite; the step is not taken and nothing has been "
                "changed: lower rho or the weight, or let such steps be left out with nonfinite='skip'"
            )
        deliver(total, passes.parameters, passes.signs)
        return loss

    def visited(self, passes: Passes) -> Iterator[tuple[float, Vector]]:
        """Loss and gradient at each sample; the gradient only until the next one."""
        for sample in range(self.samples):
            with torch.no_grad():
                shift = self.shift(self.noise_of(sample))
            with self.shifted(shift):
                loss, g = passes.gradient()
            yield self._value(loss, passes), g

    def _value(self, loss: Tensor, passes: Passes) -> float:
        """Of what is minimised, on all workers together."""
        value = float(loss)
        if not math.isfinite(value):  # that it is not finite, if it is known, has been said before
            raise InputError(
                f"{type(self).__name__} needs the value of the loss; let the closure return it, as a scalar tensor"
            )
        return self.workers().mean(value) * (passes.signs[0] if passes.signs else 1.0)

    def finish(self) -> None:
        """Count the step."""
        self.steps += 1
