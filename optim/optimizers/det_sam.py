"""Det-SAM: the determinant of the Hessian as the measure of sharpness."""

import math
from collections.abc import Iterable
from typing import Any, final

import torch
from torch import Tensor
from torch.optim import SGD, Optimizer

from ...ground.errors import InputError
from ..noise import uniform
from ..passes import NotFiniteError, Passes
from ..sampled_sharpness import SampledSharpnessOptimizer
from ..vector import Vector

__all__ = ["DetSAM"]


@final
class DetSAM(SampledSharpnessOptimizer):
    """Base step along ``g + weight grad S``, ``S = (mean_j exp(-d_j/2))^-2``, ``d_j = (f(x + rho u_j) - f(x))/s^2``.

    ``f`` is the minibatch's loss, ``u_j`` uniform in the cube ``[-1, 1]^d``, and ``s`` is ``scale``. If the cube was
    all of space, then at a minimum the mean would be the integral of ``exp(-rho^2 u^T H u/(4 s^2))`` over its
    volume, and ``S`` proportional to ``det H`` (Tahmasebi et al., ICML 2024, "A universal class of sharpness-aware
    minimization algorithms").

    What is true of the estimate: it is consistent, and biased for any finite number of samples, as the inverse square
    of a mean is convex; with one sample, as in the released example, ``S = exp(d_1)``. And for a cube in which the loss
    changes by much less than ``s^2``, as in that example, ``S = 1 + mean_j d_j`` but for what is smaller: its mean is
    ``1 + rho^2 tr H/(6 s^2)``, so the trace is what is minimised, not the determinant; that needs
    ``rho sqrt(lambda)/s`` above 2 for all eigenvalues. In the released code (dbahri/universal_sam) the half length of
    the cube times its ``rho`` is our ``rho``, its ``rho`` is our ``scale``, and the factor ``1/scale^2`` of the
    gradient is missing, which makes no difference where the scale is 1.

    Args:
        params: parameters or parameter groups; every group may have its own ``rho``.
        base: class of the optimizer that takes the step; default SGD.
        rho: half length of the cube, at least 0 (released example: 0.01).
        weight: of the measure, at least 0 (released example: 1).
        samples: at least 1 (released example: 1).
        scale: whose square the differences of losses are divided by, above 0 (released example: 1).
        seed: of the perturbations.
        **options: those of every method (:class:`SharpnessAwareOptimizer`), and of ``base``, e.g. ``lr=0.1``.

    Attributes:
        steps: taken so far.

    Raises:
        InputError: an argument out of range; a closure that does not return the loss; gradients that were made before
            ``step``; groups that do and do not maximise.

    Example:
        >>> import torch
        >>> from eigensam.optim import DetSAM
        >>> x = torch.nn.Parameter(torch.tensor([1.0]))
        >>> optimizer = DetSAM([x], rho=0.5, weight=0.0, lr=0.1)
        >>> loss = optimizer.step(lambda: (x ** 2).sum())
        >>> round(x.item(), 6)  # a weight of 0 is the base alone
        0.8
    """

    kept_settings = ("weight", "samples", "seed", "scale")

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]],
        base: type[Optimizer] = SGD,
        *,
        rho: float = 0.01,
        weight: float = 1.0,
        samples: int = 1,
        scale: float = 1.0,
        seed: int = 0,
        **options: Any,
    ) -> None:
        if not 0 < scale < math.inf:
            raise InputError(f"scale = {scale} is no number to divide by; give one above 0, such as 1")
        super().__init__(params, base, rho=rho, weight=weight, samples=samples, seed=seed, **options)
        self.scale = float(scale)

    def drawn(self, generator: torch.Generator) -> Vector:
        """A point of the cube."""
        return uniform(self.moving(), generator)

    def add_measure(self, g: Vector, loss: float, passes: Passes) -> None:
        """``weight m^-3 mean_j e_j (g_j - g)/s^2``, ``e_j = exp(-d_j/2)``, ``m`` their mean, all over ``e_1``."""
        if math.isnan(loss):
            raise InputError(
                "DetSAM needs the value of the loss whose gradients .grad holds; call zero_grad() before step(closure)"
            )
        square, first, total = self.scale**2, 0.0, 0.0
        weighted: Vector | None = None
        try:
            for value, each in self.visited(passes):
                d = (value - loss) / square
                with torch.no_grad():
                    if weighted is None:
                        first, total, weighted = d, 1.0, each.clone()
                    else:
                        e = math.exp((first - d) / 2)
                        total += e
                        weighted.add_(each, e)
            mean = total / self.samples
            factor = self.weight / square * math.exp(first) / mean**3
        except OverflowError:
            raise NotFiniteError(
                f"losses nearby differ by so many times scale^2 = {square:g} that exp is out of range; the step is not "
                "taken and nothing has been changed: raise the scale, or let such steps be left out with "
                "nonfinite='skip'"
            ) from None
        assert weighted is not None
        with torch.no_grad():
            g.mul_(1 - factor * mean).add_(weighted, factor / self.samples)
