"""The two passes that sharpness-aware methods share: perturb, take the gradient there, put back, step."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.optim import SGD, Optimizer

from ..ground.errors import InputError
from ..landscapes.derivatives.flat import flatten, unflatten
from ..landscapes.derivatives.one_function import RandomState, frozen_statistics

__all__ = ["Closure", "TwoPassOptimizer", "unit"]

Closure = Callable[[], Tensor]


def unit(g: Tensor) -> Tensor:
    """``g / |g|`` along the last axis; zero where ``g`` is zero.

    Example:
        >>> import torch
        >>> unit(torch.tensor([[3.0, 4.0], [0.0, 0.0]])).tolist()
        [[0.6000000238418579, 0.800000011920929], [0.0, 0.0]]
    """
    norm = torch.linalg.vector_norm(g, dim=-1, keepdim=True)
    return g / torch.where(norm > 0, norm, torch.ones_like(norm))


class TwoPassOptimizer(Optimizer, ABC):
    """``x+ = base step with grad f_m(x + rho u)``, where the method says what ``u`` is.

    The gradient that ``u`` comes from is over all parameters of all groups; every group may have its own ``rho``. Both
    passes see the same function: dropout masks are replayed, and batch norm's running statistics move in the first pass
    only. Whatever happens between the passes, the parameters are restored bit for bit.

    A method says what :meth:`perturbation` is; one that needs more than the gradient computes it in :meth:`prepare`.

    Args:
        params: parameters or parameter groups, on one device.
        base: optimizer that takes the step; default SGD.
        rho: perturbation radius, positive.
        **base_arguments: for ``base``, e.g. ``lr=0.1, momentum=0.9``.

    Raises:
        InputError: ``rho <= 0``; a closure that does not return a differentiable loss.
    """

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]],
        base: type[Optimizer] = SGD,
        *,
        rho: float = 0.05,
        **base_arguments: Any,
    ) -> None:
        super().__init__(params, {"rho": rho})
        # The groups are one list shared with the base optimizer, so schedulers of either act on both.
        self.base = base(self.param_groups, **base_arguments)
        self.param_groups = self.base.param_groups
        if not self._parameters():
            raise InputError("no parameter requires a gradient; set requires_grad=True on some")

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group; what it does not set takes the defaults of this and of the base optimizer."""
        base = getattr(self, "base", None)
        super().add_param_group({**base.defaults, **param_group} if base is not None else param_group)
        rho = self.param_groups[-1]["rho"]
        if not 0 < rho < float("inf"):
            self.param_groups.pop()
            raise InputError(f"rho = {rho} is not a positive radius; give rho > 0, or use the base optimizer alone")

    @abstractmethod
    def perturbation(self, g: Tensor) -> Tensor:
        """``u`` from the flat gradient, shape ``(..., d)`` to the same shape."""

    def prepare(self, closure: Closure) -> None:
        """Called before the first pass of a step; for subclasses that need more than the gradient."""

    def step(self, closure: Closure) -> Tensor:  # type: ignore[override]
        """One step.

        Args:
            closure: computes and returns the loss of the minibatch. It must *not* call ``backward``: the number
                of passes is this optimizer's business.

        Returns:
            The loss at the unperturbed point, detached.
        """
        random = RandomState(self._parameters()[0].device)
        self.prepare(closure)
        random.restore()
        loss = self._backward(closure)
        g = flatten(torch.zeros_like(p) if p.grad is None else p.grad for p in self._parameters())
        random.restore()
        with self._shifted_by(self.perturbation(g)), frozen_statistics():
            self._backward(closure)
        self.base.step()
        return loss

    def _parameters(self) -> list[Tensor]:
        return [p for group in self.param_groups for p in group["params"] if p.requires_grad]

    def _evaluate(self, closure: Closure) -> Tensor:
        self.zero_grad()
        with torch.enable_grad():
            loss = closure()
        if any(p.grad is not None for p in self._parameters()):
            raise InputError("the closure called backward; it must only compute and return the loss")
        if not isinstance(loss, Tensor) or loss.numel() != 1 or not loss.requires_grad:
            raise InputError("the closure must return the minibatch loss, a scalar tensor with a gradient")
        return loss

    def _backward(self, closure: Closure) -> Tensor:
        loss = self._evaluate(closure)
        loss.backward()
        return loss.detach()

    @contextmanager
    def _shifted_by(self, u: Tensor) -> Iterator[None]:
        """Parameters at ``x + rho u``; put back bit for bit, also when an exception passes through."""
        parameters = self._parameters()
        radii = [group["rho"] for group in self.param_groups for p in group["params"] if p.requires_grad]
        originals = [p.detach().clone() for p in parameters]
        try:
            with torch.no_grad():
                for p, shift, rho in zip(parameters, unflatten(u, [p.shape for p in parameters]), radii, strict=True):
                    p.add_(shift, alpha=rho)
            yield
        finally:
            with torch.no_grad():
                for p, original in zip(parameters, originals, strict=True):
                    p.copy_(original)

    def state_dict(self) -> dict[str, Any]:
        """Everything that a later step depends on, the base optimizer's state included."""
        return {**super().state_dict(), "base": self.base.state_dict()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Inverse of :meth:`state_dict`."""
        if "base" not in state_dict:
            raise InputError(
                f"this is not a state of {type(self).__name__}: it has no entry 'base'; give what state_dict() returned"
            )
        super().load_state_dict({key: state_dict[key] for key in ("state", "param_groups")})
        self.base.load_state_dict(state_dict["base"])
        self.base.param_groups = self.param_groups
