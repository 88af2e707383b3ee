"""Paths of a rule and of its SDE that are driven by the same noise, and what is left of their difference.

One vector ``z`` of M standard normal numbers drives a step of both: the SDE by ``M^{-1/2} sum_m z_m (h_m - E h)``, the
rule by the minibatch of the largest ``z_m``, which is uniform among M. Noise is shared between step sizes, too: a
longer step takes the normalised sum. From both sides a control variate of mean zero is subtracted, the response to the
noise of the process linearised about one noiseless path: what remains is quadratic in the noise, so its standard
deviation falls like the error that is measured and not like its square root.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ...ground.errors import InputError
from ..simulation.problems.coefficients import coefficients, exact_increments
from ..simulation.splitting import splitting_path
from .claim import Claim, TestFunctions

__all__ = ["Level", "coarser", "level"]


@dataclass(frozen=True)
class Level:
    """One step size of a claim.

    Attributes:
        claim: rule, SDE, landscape.
        eta: the step size.
        steps: ``N = T / eta``.
        start: ``x_0``, shape ``(d,)``.
        test_functions: differentiable; their differences are measured.
        weights: of the control variate, shape ``(N, M, K)``; they sum to 0 over M.
    """

    claim: Claim
    eta: float
    steps: int
    start: Tensor
    test_functions: TestFunctions
    weights: Tensor

    def differences(self, z: Tensor) -> Tensor:
        """``phi(x_N) - phi(X_T)`` less control variates, shape ``(n, K)``, for noise of shape ``(n, c N, M)``."""
        z = coarser(z, self.steps)
        return self.chain(z) - self.solution(z)

    def chain(self, z: Tensor) -> Tensor:
        """The rule's ``phi(x_N)``, less its control variate, for noise of shape ``(n, N, M)``."""
        minibatches = z.argmax(-1)
        return self.test_functions(self._chain(minibatches)) - self._picked(minibatches)

    def solution(self, z: Tensor) -> Tensor:
        """The SDE's ``phi(X_T)`` less its control variate, for noise of shape ``(n, c N, M)``: ``c`` substeps."""
        ends = self.test_functions(self._solution(z))
        if not self.claim.sde.covariance:
            return ends
        control: Tensor = torch.einsum("nkm,kmj->nj", coarser(z, self.steps), self.weights) / z.shape[-1] ** 0.5
        return ends - control

    def plain_solution(self, z: Tensor) -> Tensor:
        """The SDE's ``phi(X_T)``, shape ``(n, K)``, for noise of shape ``(n, c N, M)``."""
        return self.test_functions(self._solution(z))

    def plain(self, z: Tensor) -> Tensor:
        """``phi(x_N)`` and ``phi(X_T)`` without control variates, shape ``(n, 2, K)``."""
        z = coarser(z, self.steps)
        ends = (self._chain(z.argmax(-1)), self._solution(z))
        return torch.stack([self.test_functions(x) for x in ends], 1)

    def _picked(self, minibatches: Tensor) -> Tensor:
        steps = torch.arange(self.steps, device=minibatches.device)
        total: Tensor = self.weights[steps, minibatches].sum(1)
        return total

    def _chain(self, minibatches: Tensor) -> Tensor:
        f, rule, rho = self.claim.landscape, self.claim.sde.memoryless, self.claim.rho(self.eta)
        x, every = self.start.expand(len(minibatches), -1), torch.arange(len(minibatches), device=minibatches.device)
        for minibatch in minibatches.unbind(1):
            h = exact_increments(f, rule, x[:, None], rho, self.claim.values)
            x = x + self.eta * h[every, minibatch]
        return self._finite(x, "the rule")

    def _solution(self, z: Tensor) -> Tensor:
        f, sde, rho, values = self.claim.landscape, self.claim.sde, self.claim.rho(self.eta), self.claim.values
        no_noise, noise_only = replace(sde, covariance={}), replace(sde, increments={}, correction={})

        def drift(y: Tensor) -> Tensor:
            return coefficients(f, no_noise, y[:, None], rho, values).drift(self.eta)

        def columns(y: Tensor) -> Tensor:
            return coefficients(f, noise_only, y[:, None], rho, values).columns()

        start, step = self.start.expand(len(z), -1), self.eta * self.steps / z.shape[1]
        end = splitting_path(drift, columns if sde.covariance else None, start, z, eta=self.eta, step=step)
        return self._finite(end, "the SDE")

    def _finite(self, x: Tensor, what: str) -> Tensor:
        if not bool(x.isfinite().all()):
            raise InputError(f"paths of {what} diverge at eta = {self.eta:g}; use smaller step sizes or a shorter T")
        return x


def level(claim: Claim, eta: float, steps: int, start: Tensor, test_functions: TestFunctions) -> Level:
    """A level with its control variate: ``lambda_{k+1} . eta (h_m - E h)`` along the noiseless path.

    ``lambda_k = lambda_{k+1} - eta H lambda_{k+1}`` carries the gradient of ``phi`` back through gradient descent; any
    deterministic weights leave the mean as it is, so an approximation costs variance only.
    """
    f, rho = claim.landscape, claim.rho(eta)

    def increments(x: Tensor) -> Tensor:
        return exact_increments(f, claim.sde.memoryless, x, rho, claim.values)

    path = [start]
    for _ in range(steps):
        path.append(path[-1] + eta * increments(path[-1]).mean(-2))
    end = path.pop()[None].detach().requires_grad_(True)
    values = test_functions(end)
    if values.ndim != 2 or len(values) != 1 or not values.requires_grad:
        raise InputError(
            f"test functions give shape {tuple(values.shape)} at 1 point, {'with' if values.requires_grad else 'no'} "
            "gradient; expected (1, K) by differentiable torch operations"
        )
    adjoints = torch.stack(
        [torch.autograd.grad(value, end, retain_graph=True, materialize_grads=True)[0][0] for value in values[0]]
    )
    weights = start.new_empty(steps, f.size, len(adjoints))
    for k in reversed(range(steps)):
        h = increments(path[k])  # once more, rather than M vectors per step in memory
        weights[k] = eta * (h - h.mean(-2, keepdim=True)) @ adjoints.mT
        curvature = f.hessian_product(path[k].expand(len(adjoints), 1, -1), adjoints[:, None])
        adjoints = adjoints - eta * curvature
    return Level(claim, eta, steps, start, test_functions, weights)


def coarser(z: Tensor, steps: int) -> Tensor:
    """Normalised sums of neighbours in time: standard normal again."""
    n, cells, minibatches = z.shape
    together = cells // steps
    return z if together == 1 else z.reshape(n, steps, together, minibatches).sum(2) / together**0.5
