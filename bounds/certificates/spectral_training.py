"""A posterior that is narrow along the Hessian's top eigenvectors, around a mean that was trained."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.func import functional_call

from ...landscapes.curvature.landscape_hessian import top_eigenpairs
from ...landscapes.derivatives.flat import unflatten
from ...landscapes.networks.network import NetworkLandscape
from ..posteriors.posterior import GaussianPosterior
from ..posteriors.prior import GaussianPrior
from ..posteriors.spectral import spectral_posterior
from .posterior_training import PosteriorTraining, TrainedPosterior
from .predictor import Predictor

__all__ = ["SpectralTraining"]

_ROWS = 500  # of a pass
_JUDGED = 4000  # ours: examples that a candidate is judged on
_DRAWS = 8  # ours: of the weights, the same normal numbers for every candidate
_KAPPAS = (0.0, *(4.0**j for j in range(-3, 5)))  # ours: in units of n; 0 is isotropic
_WIDTHS = (0.5, 2**-0.5, 1.0, 2**0.5, 2.0)  # ours: in units of the trained one


@dataclass(frozen=True)
class SpectralTraining:
    """``spectral_posterior(mean, width^2, eigenvalues, eigenvectors, kappa)`` with the best of a few ``kappa``.

    The mean is that of an isotropic posterior, trained. Curvature is that of the surrogate risk which that training
    lowers, at the mean, on the examples of the bound. ``kappa``, and the width if it is free, minimise the
    same objective, the quadratic PAC-Bayes bound of the surrogate, with the divergence exact and the risk by Monte
    Carlo, not by its expansion to second order, which may be off without bound. As ``kappa = 0`` is among them, the
    eigenvectors can only help the objective. Nothing here is proved or has to be: the posterior is certified
    afterwards, and all that it knows of the examples is paid for by its divergence.

    Attributes:
        training: of the isotropic posterior.
        eigenvectors: how many, at most the number of parameters.
        max_products: with the Hessian. Rows that have not converged are orthonormal, too, which is all that counts.

    Reference:
        Yang, Mao, Chaudhari 2022.
    """

    training: PosteriorTraining
    eigenvectors: int
    max_products: int = 400

    def run(
        self,
        predictor: Predictor,
        inputs: Tensor,
        targets: Tensor,
        generator: torch.Generator,
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> TrainedPosterior:
        """Train, look at the curvature, choose; arguments as :meth:`PosteriorTraining.run`."""
        trained = self.training.run(predictor, inputs, targets, generator, progress)
        mean, width = trained.posterior.mean, trained.width
        module = predictor.part
        count = min(self.eigenvectors, len(mean))
        landscape = NetworkLandscape.from_tensors(
            module, self.training.surrogate, inputs.double(), targets, chunk_size=_ROWS
        )
        pairs = top_eigenpairs(landscape, mean, count, max_products=self.max_products)
        seed = int(torch.randint(2**31, (), generator=generator, device=inputs.device))
        judged = inputs[:_JUDGED].double(), targets[:_JUDGED]

        def cost(posterior: GaussianPosterior, prior: GaussianPrior) -> float:
            risk = self._risk(predictor, posterior, judged, seed)
            return self._objective(risk, posterior.kl(prior), len(targets))

        best: tuple[float, GaussianPosterior, float] | None = None
        for each in [width * factor for factor in _WIDTHS] if self.training.free_width else [width]:
            prior = GaussianPrior(predictor.mean, each**2)
            for kappa in _KAPPAS:
                posterior = spectral_posterior(mean, each**2, pairs.values, pairs.vectors, kappa * len(targets))
                value = cost(posterior, prior)
                if best is None or value < best[0]:
                    best = value, posterior, each
        assert best is not None
        return TrainedPosterior(best[1], best[2])

    def _objective(self, risk: float, kl: float, examples: int) -> float:
        cost = (kl + math.log(2 * math.sqrt(examples) / self.training.delta)) / (2 * examples)
        return (math.sqrt(risk + cost) + math.sqrt(cost)) ** 2

    @torch.no_grad()
    def _risk(
        self,
        predictor: Predictor,
        posterior: GaussianPosterior,
        judged: tuple[Tensor, Tensor],
        seed: int,
    ) -> float:
        """Mean surrogate of a few draws, each for all examples."""
        inputs, targets = judged
        generator = torch.Generator(inputs.device).manual_seed(seed)
        names, shapes = zip(*[(name, p.shape) for name, p in predictor.part.named_parameters()], strict=True)
        total = 0.0
        for _ in range(_DRAWS):
            weights = dict(zip(names, unflatten(posterior.sample(1, generator)[0], shapes), strict=True))
            for x, y in zip(inputs.split(_ROWS), targets.split(_ROWS), strict=True):
                total += float(self.training.surrogate(functional_call(predictor.part, weights, (x,)), y)) * len(y)
        return total / (_DRAWS * len(targets))
