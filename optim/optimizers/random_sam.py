"""SAM whose perturbation has nothing to do with the gradient: a control."""

import hashlib
from collections.abc import Iterable
from typing import Any, final

import torch
from torch import Tensor
from torch.optim import SGD, Optimizer

from ...ground.errors import InputError
from ..passes import Passes
from ..sharpness_aware import SharpnessAwareOptimizer
from ..vector import Vector
from .sam import unit_

__all__ = ["RandomSAM"]


@final
class RandomSAM(SharpnessAwareOptimizer):
    """``x+ = base step with grad f_m(x + rho z / |z|)``, ``z`` Gaussian and new in every step.

    The control of the question whether it is the gradient's direction that makes SAM what it is. There is one pass, at
    the perturbed point, where running statistics move, too, and :meth:`step` returns the loss of that point. A step
    costs no more than a plain one, but for the numbers, which are drawn on the CPU so that they are the same on every
    device and worker, and depend on nothing but the seed and the number of steps taken.

    Args:
        params: parameters or parameter groups; every group may have its own ``rho``.
        base: class of the optimizer that takes the step; default SGD.
        rho: perturbation radius, at least 0.
        gaussian: perturb by ``rho z`` instead, which is about ``rho sqrt(d)`` long for ``d`` parameters.
        seed: of the perturbations.
        **options: those of every method (:class:`SharpnessAwareOptimizer`), and of ``base``, e.g. ``lr=0.1``.

    Attributes:
        steps: taken so far.

    Raises:
        InputError: ``rho < 0``; gradients that were made at the unperturbed point.

    Example:
        >>> import torch
        >>> from eigensam.optim import RandomSAM
        >>> x = torch.nn.Parameter(torch.zeros(3))
        >>> optimizer = RandomSAM([x], rho=0.5, lr=0.5)
        >>> loss = optimizer.step(lambda: (x ** 2).sum())
        >>> round(loss.item(), 6), round(x.norm().item(), 6)
        (0.25, 0.5)
    """

    kept_settings = ("gaussian", "seed")
    kept_numbers = ("steps",)
    ascent_may_be_local = False

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]],
        base: type[Optimizer] = SGD,
        *,
        rho: float = 0.05,
        gaussian: bool = False,
        seed: int = 0,
        **options: Any,
    ) -> None:
        super().__init__(params, base, rho=rho, **options)
        self.gaussian, self.seed, self.steps = bool(gaussian), int(seed), 0

    def _noise(self) -> Vector:
        """Of the coming step, over the perturbed parameters."""
        # Neighbouring seeds of torch's generator, and seeds that others use, would make related numbers.
        words = hashlib.sha256(f"random perturbation {self.seed} {self.steps}".encode()).digest()
        generator = torch.Generator().manual_seed(int.from_bytes(words[:8], "little") >> 1)
        return Vector(_drawn(p, generator) for p in self.moving())

    def make_gradient(self, passes: Passes) -> Tensor:
        """One pass at the perturbed point."""
        if passes.given:
            raise InputError(
                "RandomSAM needs gradients at the perturbed point only, but .grad holds some that were made before "
                "step; call zero_grad() first and leave backward to the closure"
            )
        if not any(self.perturbed()):
            return passes.gradient()[0]
        with torch.no_grad():
            z = self._noise()
            shift = self.shift(z if self.gaussian else unit_(z))
        with self.shifted(shift):
            return passes.gradient()[0]

    def finish(self) -> None:
        """Count the step."""
        self.steps += 1


def _drawn(p: Any, generator: torch.Generator) -> Tensor:
    """Standard normal numbers in the shape of a parameter; complex parts have variance 1 each."""
    shape = (*p.shape, 2) if p.is_complex() else p.shape
    numbers = torch.randn(shape, generator=generator, dtype=torch.float32, device="cpu")  # of every type the same ones
    whole = torch.view_as_complex(numbers) if p.is_complex() else numbers
    if hasattr(p, "device_mesh"):  # every worker draws all of it and takes its own shard
        from torch.distributed.tensor import distribute_tensor

        whole = distribute_tensor(whole.to(p.device, p.dtype), p.device_mesh, p.placements, src_data_rank=None)
    return whole.to(p.device, p.dtype)
