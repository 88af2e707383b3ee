"""Frob-SAM: the Frobenius norm of the Hessian as the measure of sharpness."""

from collections.abc import Iterable
from typing import Any, final

import torch
from torch import Tensor
from torch.optim import SGD, Optimizer

from ..noise import gaussian
from ..passes import Passes
from ..sampled_sharpness import SampledSharpnessOptimizer
from ..vector import Vector

__all__ = ["FrobSAM"]


@final
class FrobSAM(SampledSharpnessOptimizer):
    """Base step along ``g + weight/rho^2 cov(f_m(x + rho z), grad f_m(x + rho z))``, ``z`` Gaussian.

    The covariance is that of ``n`` samples, with ``n - 1`` in the denominator: an unbiased estimate, for any ``n`` and
    ``rho``, of the gradient of ``weight/(2 rho^2) var f_m(x + rho z)``. To the orders that are written,
    ``var f(x + rho z) = rho^2 |grad f|^2 + rho^4 (|H|_F^2/2 + <grad f, grad tr H>) + ...``, so what is minimised is

        ``f + weight/2 |grad f|^2 + weight rho^2/4 |H|_F^2 + weight rho^2/2 <grad f, grad tr H>``

    and the Frobenius norm of the Hessian is the leading term only at minima, where gradients vanish; the last term adds
    ``weight rho^2/2 H grad tr H`` to the step there. On a quadratic the expected step is ``(1 + weight H) g``, whatever
    ``rho`` is. (Tahmasebi et al., ICML 2024, "A universal class of sharpness-aware minimization algorithms"; the
    estimator is that of the released code, dbahri/universal_sam.)

    Losses of the samples differ by about ``rho |g|``; a loss in half precision does not resolve that for a small
    ``rho``. Of groups with different radii the mean square over perturbed parameters is the ``rho^2`` that is divided
    by.

    Args:
        params: parameters or parameter groups; every group may have its own ``rho``.
        base: class of the optimizer that takes the step; default SGD.
        rho: standard deviation of the perturbation of each parameter, at least 0 (released example: 0.005).
        weight: of the measure, at least 0 (released example: 0.005).
        samples: at least 2 (released example: 2).
        seed: of the perturbations.
        **options: those of every method (:class:`SharpnessAwareOptimizer`), and of ``base``, e.g. ``lr=0.1``.

    Attributes:
        steps: taken so far.

    Raises:
        InputError: an argument out of range; a closure that does not return the loss; groups that do and do not
            maximise.

    Example:
        >>> import torch
        >>> from eigensam.optim import FrobSAM
        >>> x = torch.nn.Parameter(torch.tensor([1.0]))
        >>> optimizer = FrobSAM([x], rho=0.5, weight=0.1, samples=2, lr=0.1)
        >>> calls = []
        >>> loss = optimizer.step(lambda: calls.append(1) or (x ** 2).sum())
        >>> len(calls), loss.item()
        (3, 1.0)
    """

    fewest = 2

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]],
        base: type[Optimizer] = SGD,
        *,
        rho: float = 0.005,
        weight: float = 0.005,
        samples: int = 2,
        seed: int = 0,
        **options: Any,
    ) -> None:
        super().__init__(params, base, rho=rho, weight=weight, samples=samples, seed=seed, **options)

    def drawn(self, generator: torch.Generator) -> Vector:
        """Standard normal numbers."""
        return gaussian(self.moving(), generator)

    def add_measure(self, g: Vector, loss: float, passes: Passes) -> None:
        """The sample covariance; losses are compared with the first one, so that few digits are lost."""
        first, excess = 0.0, 0.0
        products: Vector | None = None
        gradients: Vector | None = None
        for value, each in self.visited(passes):
            with torch.no_grad():
                if products is None or gradients is None:
                    first, gradients = value, each.clone()
                    products = each.clone().mul_(0.0)
                else:
                    products.add_(each, value - first)
                    gradients.add_(each)
                    excess += value - first
        assert products is not None
        assert gradients is not None
        n, factor = self.samples, self.weight / self._square()
        with torch.no_grad():
            g.add_(products, factor / (n - 1)).add_(gradients, -factor * excess / (n * (n - 1)))

    def _square(self) -> float:
        """The mean square of the radii."""
        counts = [p.numel() for p in self.moving()]
        squares = [float(rho) ** 2 for rho in self.of_moving("rho")]
        return sum(c * s for c, s in zip(counts, squares, strict=True)) / sum(counts)
