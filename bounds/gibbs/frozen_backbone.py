"""A network whose last linear layer alone is random, fresh for every example."""

from typing import final

import torch
from torch import Generator, Tensor
from torch.nn.functional import pad

from ...ground.errors import InputError
from ..posteriors.independent_posterior import IndependentPosterior
from ..posteriors.low_rank_posterior import LowRankPosterior
from ..posteriors.posterior import GaussianPosterior
from .stochastic_network import StochasticNetwork

__all__ = ["FrozenBackbone"]


@final
class FrozenBackbone(StochasticNetwork):
    """``W phi(x) + b`` with random ``(W, b)`` and fixed features: exactly Gaussian scores, drawn in float64.

    Given ``phi`` the scores have mean ``M phi + m_b``. With independent weights they are independent, of variances
    ``sum_j sigma_cj^2 phi_j^2 + sigma_bc^2``. With ``w = mean + A z``, ``A = sigma (I + V^T D V)`` (low rank), their
    covariance over classes is ``sigma^2 (|phi|^2 I + R^T (2D + DGD) R)``, ``G = V V^T``, the columns of ``R`` being
    ``V`` applied to the gradients of the scores; its symmetric square root times standard normal numbers is drawn.
    (No eigenvalue is far below ``2^-32 sigma^2 |phi|^2``, beyond the reach of rounding; a NaN counts as an error.)

    The inputs of ``logits`` are the features, computed once: ``split_last_layer`` gives the function for them. The
    features must be frozen before the sample of the bound is looked at.

    Args:
        posterior: over weight ``(classes, features)`` and then bias ``(classes,)``, flat, in the order of
            ``head.parameters()``.
        classes: number of scores.
        features: number of features ``F``.
        bias: whether the layer has one; it acts as a feature that is always 1.

    Raises:
        InputError: a posterior of another dimension or kind.

    Example:
        >>> import torch
        >>> from eigensam.bounds import IsotropicPosterior
        >>> network = FrozenBackbone(IsotropicPosterior(torch.zeros(8), 0.1), classes=2, features=3)
        >>> network.logits(torch.ones(5, 3), 4, torch.Generator()).shape
        torch.Size([4, 5, 2])
    """

    fresh_per_example = True

    def __init__(self, posterior: GaussianPosterior, classes: int, features: int, *, bias: bool = True) -> None:
        if posterior.dim != classes * (features + bias):
            raise InputError(
                f"the posterior has {posterior.dim} parameters; {classes} classes of {features} features "
                f"{'and a bias ' if bias else ''}have {classes * (features + bias)}"
            )
        if not isinstance(posterior, IndependentPosterior | LowRankPosterior):
            raise InputError(f"scores of a {type(posterior).__name__} are not known in closed form; use WeightDraws")
        self.posterior = posterior
        self.classes = classes
        self.features = features
        self.bias = bias
        self._mean = self._matrix(posterior.mean)
        if isinstance(posterior, IndependentPosterior):
            self._variance = self._matrix(posterior.sigmas.square().expand(posterior.dim))
        else:
            vectors, d = posterior.vectors.to(torch.float64), posterior.stretches
            self._directions = torch.stack([self._matrix(row) for row in vectors])
            self._middle = 2 * d.diag() + d[:, None] * (vectors @ vectors.T) * d

    def _matrix(self, flat: Tensor) -> Tensor:
        """Weight and bias side by side, ``(classes, features + bias)``."""
        weight = flat[: self.classes * self.features].view(self.classes, self.features)
        return torch.cat([weight, flat[weight.numel() :, None]], 1) if self.bias else weight

    def logits(self, inputs: Tensor, draws: int, generator: Generator) -> Tensor:
        """See the base class; inputs are features ``(batch, F)``, scores float64.

        Raises:
            InputError: features of another shape.
        """
        if inputs.ndim != 2 or inputs.shape[1] != self.features:
            raise InputError(f"features have shape {tuple(inputs.shape)}, need (batch, {self.features})")
        phi = inputs.to(torch.float64)
        if self.bias:
            phi = pad(phi, (0, 1), value=1.0)
        mean = phi @ self._mean.T
        noise = torch.randn(draws, *mean.shape, generator=generator, dtype=torch.float64, device=mean.device)
        if isinstance(self.posterior, LowRankPosterior):
            return mean + torch.einsum("ncd,mnd->mnc", self._root(self.posterior.sigma, phi), noise)
        return mean + (phi.square() @ self._variance.T).sqrt() * noise

    def _root(self, sigma: float, phi: Tensor) -> Tensor:
        """Symmetric square roots of the covariances, ``(batch, classes, classes)``."""
        seen = torch.einsum("kcf,nf->nck", self._directions, phi)
        identity = torch.eye(self.classes, dtype=torch.float64, device=phi.device)
        covariance = phi.square().sum(1)[:, None, None] * identity + seen @ self._middle @ seen.mT
        values, vectors = torch.linalg.eigh((covariance + covariance.mT) / 2)
        root: Tensor = sigma * (vectors * values.sqrt()[:, None, :]) @ vectors.mT
        return root
