"""How large the terms of SAM's drift are on a network: what decides whether a truncation can be seen."""

from collections.abc import Mapping

import torch
from torch import Tensor

from ...landscapes.landscape import Landscape
from ...sde.simulation.networks.network_observables import NetworkObservables

__all__ = ["DRIFT_TERMS", "DriftTerms"]

DRIFT_TERMS = ("second term", "third term", "noise")
"""``|E_m rho H_m u_m|``, ``|E_m rho^2/2 T_m[u_m, u_m]|``, and ``(E_m |h_m - E h|^2)^{1/2}`` of SAM's own increments."""


class DriftTerms:
    """Observables of a network, and the sizes of SAM's drift terms; ``u_m = g_m / |g_m|``.

    Args:
        landscape: the family of minibatch losses.
        observables: what is looked at besides.
        rho: perturbation radius.

    Attributes:
        names: of all of them.

    Example:
        On ``f = x^2`` the second term is ``2 rho`` and there is no third:

        >>> import torch
        >>> from eigensam.landscapes import Quadratic
        >>> f = Quadratic([[2.0]], centres=[[0.0]])
        >>> terms = DriftTerms(f, NetworkObservables(f, ["train loss"]), rho=0.5)
        >>> found = terms(torch.ones(1, 1, dtype=torch.float64))
        >>> {name: round(values.item(), 6) for name, values in found.items()}
        {'train loss': 1.0, 'second term': 1.0, 'third term': 0.0, 'noise': 0.0}
    """

    def __init__(self, landscape: Landscape, observables: NetworkObservables, rho: float) -> None:
        self.landscape, self.observables, self.rho = landscape, observables, rho
        self.names = (*observables.names, *DRIFT_TERMS)

    def __call__(self, x: Tensor) -> dict[str, Tensor]:
        """Values at points of shape ``(P, d)``, each of shape ``(P,)``."""
        return {**self.observables(x), **self._terms(x)}

    def _terms(self, x: Tensor) -> Mapping[str, Tensor]:
        f, rho, points = self.landscape, self.rho, x[:, None]
        g = f.gradients(points)
        u = g / torch.linalg.vector_norm(g, dim=-1, keepdim=True)
        h = f.gradients(points + rho * u)
        means = {
            "second term": rho * f.hessian_products(points, u).mean(1),
            "third term": rho**2 / 2 * f.third_products(points, u).mean(1),
        }
        sizes = {name: torch.linalg.vector_norm(each, dim=-1).double() for name, each in means.items()}
        spread = (h - h.mean(1, keepdim=True)).double().square().sum(-1).mean(1).sqrt()
        return {**sizes, "noise": spread}
