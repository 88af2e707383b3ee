"""Gradients that a training loop made before it called ``step``, told apart from those that the last step left."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from ..ground.errors import InputError
from .passes import Passes, gradient_vector
from .vector import real_view

__all__ = ["GivenGradients"]

_SAME = 0.99  # cosine of two gradients of one loss, clipped or rounded in between
_PARALLEL = 1 - 1e-5  # of a gradient and itself, scaled
_SAMPLED, _OF_EACH = 32, 16  # numbers that are kept of a gradient to know it by, and of one parameter


class GivenGradients:
    """What is known of ``.grad`` at the start of a step."""

    def __init__(self) -> None:
        self._checked = False

    @staticmethod
    def leave(parameters: Sequence[Tensor]) -> None:
        """Note on the gradients that a step has used them, as long as nobody adds to them."""
        wanted = _SAMPLED
        for p in parameters:
            if p.grad is not None:
                p.grad._used_at = p.grad._version  # type: ignore[attr-defined]
                p.grad._left = None  # type: ignore[attr-defined]
                if wanted > 0 and not p.grad.is_sparse and not hasattr(p.grad, "device_mesh"):
                    p.grad._left = _sample(p.grad).clone()  # type: ignore[attr-defined]
                    wanted -= p.grad._left.numel()  # type: ignore[attr-defined]

    @staticmethod
    def there(parameters: Sequence[Tensor]) -> bool:
        """Whether somebody made gradients that no step has used.

        Zeros are none, nor are those that the last step left and a hook before this one has clipped.
        """
        there = [p.grad for p in parameters if p.grad is not None]
        if all(getattr(g, "_used_at", None) == g._version for g in there) or _only_scaled(there):
            return False
        return gradient_vector(parameters).norm() != 0

    def check(self, passes: Passes) -> None:
        """Refuse, once, gradients of another loss than the closure's.

        They replace the first pass; where a loop accumulates other minibatches before, as Lightning does, these would
        be lost from the step. A closure that draws random numbers gives another gradient each time and cannot be told.

        Raises:
            InputError: they point elsewhere than the closure's at the same parameters.
        """
        if passes.scaler is not None and passes.scaler.is_enabled():
            raise InputError(
                "nobody can tell whether the gradients in .grad are scaled; call zero_grad() before step(closure, "
                "scaler=scaler), or first_step(scaler=scaler) with them"
            )
        if self._checked:
            return
        found = [p.grad for p in passes.parameters]
        given = gradient_vector(passes.parameters).clone()
        if not math.isfinite(given.norm()):
            return  # the first pass says so
        own, moved = passes.beforehand()
        for p, g in zip(passes.parameters, found, strict=True):
            p.grad = g
        product = own.norm() * given.norm()
        if not moved and not own.dot(given) >= _SAME * product:
            raise InputError(
                f"the gradients in .grad and those of the closure differ (cosine {own.dot(given) / product:.3f}): "
                "gradients made before step(closure) take the place of its first pass, so the closure must be of the "
                "same minibatches; for accumulation give one closure for each, step([closure, ...]), or call "
                "zero_grad() first"
            )
        self._checked = True


def _sample(g: Tensor) -> Tensor:
    """Some numbers of it, from all over: the rows of an embedding that nobody looked up are zero."""
    flat = real_view(g).reshape(-1)
    return flat[:: max(1, flat.numel() // _OF_EACH)][:_OF_EACH]


def _only_scaled(gradients: Sequence[Tensor]) -> bool:
    """Whether gradients are what a step left, times a number."""
    known = [g for g in gradients if getattr(g, "_left", None) is not None]
    if not known:
        return False
    left = torch.cat([g._left.double().reshape(-1).cpu() for g in known])  # type: ignore[attr-defined]
    now = torch.cat([_sample(g).double().reshape(-1).cpu() for g in known])
    if int((now != 0).sum()) < 2 < sum(g.numel() for g in gradients):
        return False  # one number is every other one, scaled
    product = float(left.norm() * now.norm())
    return product > 0 and float(left @ now) >= _PARALLEL * product
