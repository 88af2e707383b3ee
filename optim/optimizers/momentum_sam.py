"""SAM along the momentum: no pass but the one that a step makes anyway."""

from collections.abc import Iterable
from typing import Any, final

import torch
from torch import Tensor
from torch.optim import SGD, Optimizer

from ...ground.errors import InputError
from ..one_pass import OnePassOptimizer
from ..vector import Vector
from .sam import unit_

__all__ = ["MomentumSAM"]

_OF_BASES = ("momentum_buffer", "exp_avg")
_OWN = "momentum"


@final
class MomentumSAM(OnePassOptimizer):
    """``x+ = base step with grad f_m(x - rho v / |v|)``, ``v`` the momentum (Becker et al. 2024, Algorithm 1).

    The momentum is that of the base before the step, ``momentum_buffer`` of SGD, RMSprop and Muon, ``exp_avg`` of Adam
    and its relatives; the step of SGD is along ``-v``, so the perturbation looks ahead, as Nesterov's, but by a fixed
    length. Of a base that keeps none, such as SGD without momentum or Adagrad, the running sum ``v = decay v + g`` is
    kept here. The first step has no momentum and is the base's.

    **Weights at evaluation.** The paper leaves the parameters at ``y = x - rho v / |v|`` between steps, moves them back
    to ``x`` before the base's step, and must move them back to evaluate or to save, too. Here they are put back at the
    end of every ``step(closure)``, so they are ``x`` whenever anybody looks. Both are the same steps: ``v`` does not
    change from the end of a step to the pass of the next one, so that pass is made at the same ``y``; only where the
    radius changes in between, the paper's perturbation still has the old one. There is one difference: the released
    code (MarlonBecker/MSAM) decays the perturbed weights, ``g + decay y``, the base here the weights themselves.

    Args:
        params: parameters or parameter groups; every group may have its own ``rho``.
        base: class of the optimizer that takes the step; default SGD.
        rho: perturbation radius, at least 0 (released code: 0.3 by default, 3 in its examples: about ten times SAM's).
        decay: of the running sum where the base has no momentum, in [0, 1).
        **options: those of every method (:class:`SharpnessAwareOptimizer`), and of ``base``, e.g. ``lr=0.1,
            momentum=0.9``.

    Raises:
        InputError: ``rho < 0``; ``decay`` outside of [0, 1); gradients that were made before ``step``.

    Example:
        >>> import torch
        >>> from eigensam.optim import MomentumSAM
        >>> x = torch.nn.Parameter(torch.tensor([1.0]))
        >>> optimizer = MomentumSAM([x], rho=0.5, lr=0.1, momentum=0.5)
        >>> [round(optimizer.step(lambda: (x ** 2).sum()).item(), 6) for _ in range(2)]  # at 1, and at 0.8 - 0.5
        [1.0, 0.09]
        >>> round(x.item(), 6)  # 0.8 - 0.1 * (0.5 * 2 + 0.6)
        0.64
    """

    kept_settings = ("decay",)
    kept_tensors = (_OWN,)

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]],
        base: type[Optimizer] = SGD,
        *,
        rho: float = 0.3,
        decay: float = 0.9,
        **options: Any,
    ) -> None:
        if not 0 <= decay < 1:
            raise InputError(f"decay = {decay} is not a weight of the past; give one in [0, 1), such as 0.9")
        super().__init__(params, base, rho=rho, **options)
        self.decay = float(decay)

    def _of_base(self, p: Tensor) -> Tensor | None:
        """The momentum that the base keeps of a parameter."""
        state = self.base.state.get(p, {})
        found = next((state[name] for name in _OF_BASES if state.get(name) is not None), None)
        return found.to_dense() if found is not None and found.is_sparse else found

    def _momentum(self, p: Tensor) -> Tensor | None:
        found = self._of_base(p)
        return self.state.get(p, {}).get(_OWN) if found is None else found

    def direction(self) -> Vector | None:
        """``-v / |v|``; zero for parameters that have no momentum yet."""
        parameters = self.moving()
        found = [self._momentum(p) for p in parameters]
        if all(v is None for v in found):
            return None
        whole = (torch.zeros_like(p) if v is None else v.to(p.dtype) for v, p in zip(found, parameters, strict=True))
        return unit_(Vector(whole, parameters).clone()).mul_(-1.0)

    @torch.no_grad()
    def finish(self) -> None:
        """Add the gradient to the sum, where the base keeps none."""
        for p, sign in zip(self.parameters(), self.signs() or [1.0] * len(self.parameters()), strict=True):
            if p.grad is None or self._of_base(p) is not None:
                continue
            g = p.grad.to_dense() if p.grad.is_sparse else p.grad
            if _OWN not in self.state[p]:
                self.state[p][_OWN] = torch.zeros_like(p)
            self.state[p][_OWN].mul_(self.decay).add_(g, alpha=sign)
