"""One network: posteriors of several shapes at equal divergence, their risks, certificates, and Taylor's estimate."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from ...bounds.bounded_loss import BoundedCrossEntropy
from ...bounds.concentration.binomial_tail import clopper_pearson
from ...bounds.gibbs.fresh_weights import FreshWeights
from ...bounds.gibbs.gibbs_risk import gibbs_risk
from ...bounds.gibbs.mean_field_perceptron import MeanFieldPerceptron
from ...bounds.gibbs.risk_losses import ZeroOneRisk
from ...bounds.pac_bayes.gibbs_sample import GibbsSample
from ...bounds.pac_bayes.inequalities.maurer import Maurer
from ...bounds.posteriors.independent_posterior import IndependentPosterior
from ...bounds.posteriors.posterior import GaussianPosterior
from ...bounds.posteriors.prior import GaussianPrior
from ...bounds.posteriors.prior_grid import PriorGrid
from ...bounds.rounding.intervals import intervals, lower_end
from ...landscapes.curvature.landscape_hessian import top_eigenpairs
from ...landscapes.derivatives.flat import flatten, unflatten
from ...landscapes.networks.network import NetworkLandscape
from .perceptron_diagonal import perceptron_diagonal
from .posterior_shapes import CONTROLS, SHAPES, PosteriorShape, narrowing, posterior_shapes

__all__ = ["PRODUCT", "SpectralStudy", "StudySize"]

PRODUCT = 6
"""Ours: predictions that a product with the Hessian costs for an example: a forward and a backward pass, derived."""

_FLOOR = 0.05  # of the surrogate, as in the posteriors that are trained for certificates
_DELTA, _DELTA_DRAWS = 0.049, 0.001
_MOVE_STEPS = 100


@dataclass(frozen=True)
class StudySize:
    """How much is tried; the same for all shapes.

    Attributes:
        nats: divergences at which shapes are compared.
        moves: prior widths for which means are trained: a wider prior lets the mean move farther.
        shares: of the nats that the move costs, which sets the prior's width; the others pay for narrowing.
        eigenvectors: that the spectral shape knows.
        max_products: with the Hessian for them; what has not converged by then designs a posterior as well.
        search_draws: of the weights, to choose move and share with.
        draws: of the weights, of the risk that is reported; others than those of the search.
        certificate_draws: fresh weights for each example, in a spectral posterior's certificate. The other shapes have
            as many more as the spectral one's eigenvectors cost evaluations.
        shapes: of ``SHAPES``.
        rate: of Adam's steps along which the mean moves.
        trap_widths: widths at which Taylor's estimate is compared; none without.
    """

    nats: tuple[float, ...] = (5.0, 10.0, 20.0, 40.0)
    moves: tuple[float, ...] = (0.05, 0.07, 0.1, 0.15)
    shares: tuple[float, ...] = (0.995, 0.85, 0.7)
    eigenvectors: int = 20
    max_products: int = 150
    search_draws: int = 8
    draws: int = 40
    certificate_draws: int = 8
    shapes: tuple[str, ...] = SHAPES
    rate: float = 1e-3
    trap_widths: tuple[float, ...] = ()


@dataclass(frozen=True)
class _Candidate:
    """A posterior of one shape at one divergence."""

    mean: Tensor
    index: int  # of the prior's width, on the grid
    width: float
    nats: float  # left for narrowing
    moved: float  # for which prior width the mean was trained
    share: float

    def posterior(self, shape: PosteriorShape) -> GaussianPosterior:
        return shape.posterior(self.mean, self.width, self.nats)


class SpectralStudy:
    """Everything that is measured around one prior mean.

    Args:
        model: a perceptron in evaluation mode, at the prior's mean.
        inputs: of the examples of the bound.
        targets: their classes.
        size: effort.
        seed: of draws, shuffling and random directions.
    """

    def __init__(self, model: nn.Module, inputs: Tensor, targets: Tensor, size: StudySize, seed: int) -> None:
        self.model, self.inputs, self.targets = model.float(), inputs.float(), targets
        self.size, self.seed = size, seed
        named = dict(model.named_parameters())
        self._names, self._shapes = list(named), [p.shape for p in named.values()]
        self.centre = flatten([p.detach() for p in named.values()]).double()
        self.surrogate = BoundedCrossEntropy(_FLOOR)
        self.grid = PriorGrid(scale=1.0, density=100.0)  # wider than any width here; within half a percent of all
        self.means = {move: self._moved(move) for move in size.moves}
        self._design()

    def _scores(self, weights: Tensor) -> Tensor:
        named = dict(zip(self._names, unflatten(weights, self._shapes), strict=True))
        scores: Tensor = functional_call(self.model, named, (self.inputs,))
        return scores

    def _moved(self, width: float) -> Tensor:
        """The mean that minimises the surrogate plus what the move costs, ``|x - x0|^2 / (2 width^2 n)``."""
        start, n = self.centre.float(), len(self.targets)
        shift = torch.zeros_like(start, requires_grad=True)
        optimizer = torch.optim.Adam([shift], lr=self.size.rate)
        for step in range(_MOVE_STEPS):
            optimizer.param_groups[0]["lr"] = self.size.rate * (1 + math.cos(math.pi * step / _MOVE_STEPS)) / 2
            cost = self.surrogate(self._scores(start + shift), self.targets)
            (gradient,) = torch.autograd.grad(cost + shift.square().sum() / (2 * width**2 * n), shift)
            shift.grad = gradient
            optimizer.step()
        return self.centre + shift.detach().double()

    def _design(self) -> None:
        """Curvature at the middle one of the means, for all of them: they lie close together."""
        centre = self.means[self.size.moves[len(self.size.moves) // 2]]
        landscape = NetworkLandscape.from_tensors(self.model, self.surrogate, self.inputs, self.targets)
        most = self.size.max_products
        pairs = top_eigenpairs(landscape, centre.float(), self.size.eigenvectors, max_products=most, tolerance=1e-2)
        with torch.no_grad():
            for p, value in zip(self.model.parameters(), unflatten(centre.float(), self._shapes), strict=True):
                p.copy_(value)
        diagonal = perceptron_diagonal(self.model, self.inputs)
        classes = int(self._scores(centre.float()).shape[1])
        self.eigenvalues = pairs.values
        known = posterior_shapes(pairs.values, pairs.vectors, diagonal, self.seed)
        self.known = {name: known[name] for name in self.size.shapes}
        self.evaluations = {"isotropic": 0, "diagonal": 1 + 2 * classes}  # of an example, for the design
        self.products = pairs.products
        self._trace = float(diagonal.sum()) / -math.log(_FLOOR)

    def _candidates(self, nats: float) -> list[_Candidate]:
        found = []
        for move, mean in self.means.items():
            squared = float((mean - self.centre).square().sum())
            for share in self.size.shares:
                # the next wider prior of the grid, so that the move costs no more than its share
                k = max(1, math.floor(self.grid.density * math.log(self.grid.scale * 2 * share * nats / squared)))
                width = math.sqrt(self.grid.variance(k))
                found.append(_Candidate(mean, k, width, nats - squared / (2 * width**2), move, share))
        return found

    @torch.no_grad()
    def _risks(self, posterior: GaussianPosterior, draws: int, stream: int) -> tuple[float, float]:
        """Gibbs risk and surrogate by draws that serve all examples: an estimate. One stream, the same noise."""
        generator = torch.Generator().manual_seed(1000 * self.seed + stream)
        errors = loss = 0.0
        for _ in range(draws):
            scores = self._scores(posterior.sample(1, generator)[0].float())
            errors += float((scores.argmax(1) != self.targets).double().mean())
            loss += float(self.surrogate(scores, self.targets))
        return errors / draws, loss / draws

    def frontier(self) -> dict[str, list[dict[str, Any]]]:
        """For each shape and divergence the best of the candidates, with its risk by new draws."""
        found: dict[str, list[dict[str, Any]]] = {name: [] for name in self.known}
        self._best: dict[str, list[tuple[float, _Candidate]]] = {name: [] for name in self.known}
        for nats in self.size.nats:
            candidates = self._candidates(nats)
            for name, shape in self.known.items():
                risks = [self._risks(each.posterior(shape), self.size.search_draws, 1)[0] for each in candidates]
                searched, best = min(zip(risks, candidates, strict=True), key=lambda pair: pair[0])
                self._best[name].append((searched, best))
                posterior = best.posterior(shape)
                kl = posterior.kl(GaussianPrior(self.centre, best.width**2))
                risk, loss = self._risks(posterior, self.size.draws, 2)
                found[name].append(
                    {"nats": nats, "kl": kl, "risk": risk, "loss": loss, "width": best.width, "move": best.moved}
                    | {"share": best.share}
                )
        return found

    def certificates(self) -> dict[str, dict[str, Any]]:
        """Of each shape the certificate of what the search says is best, with exact fresh weights for every example.

        Each holds by itself with probability 0.95; whatever was chosen pays, the prior's width by a union over a grid.
        What they would be if Gibbs risks were known without sampling is an estimate.
        """
        found, n, inequality = {}, len(self.targets), Maurer()
        inputs, iv = self.inputs.double(), intervals()
        for name in (each for each in self.known if each not in CONTROLS):
            options = []
            for searched, each in self._best[name]:
                posterior = each.posterior(self.known[name])
                kl = posterior.kl(GaussianPrior(self.centre, self.grid.variance(each.index)))
                part = lower_end(iv.exp(-self.grid.intervals(iv, each.index, iv.real(_DELTA))[1]))
                options.append((inequality.upper(GibbsSample(searched, kl, n), part), posterior, kl, part))
            _, posterior, kl, part = min(options, key=lambda option: option[0])
            model = self.model.double()
            spare = self.products * PRODUCT - self.evaluations.get(name, self.products * PRODUCT)
            network = (
                MeanFieldPerceptron(model, posterior)
                if isinstance(posterior, IndependentPosterior)
                else FreshWeights(model, posterior, inputs[:8])
            )
            (risk,) = gibbs_risk(
                network,
                inputs,
                self.targets,
                [ZeroOneRisk(_DELTA_DRAWS)],
                draws=self.size.certificate_draws + max(0, spare),
                generator=torch.Generator().manual_seed(1000 * self.seed + 3),
            )
            upper = inequality.upper(GibbsSample(risk.upper, kl, n), part)
            unsampled = inequality.upper(GibbsSample(risk.mean, kl, n), part)
            found[name] = {"certificate": upper, "kl": kl, "risk": risk.mean, "risk_upper": risk.upper}
            found[name] |= {"predictions": risk.independent, "estimate_without_sampling": unsampled}
            self.model.float()
        return found

    def trap(self) -> list[dict[str, float]]:
        """Taylor's second-order estimate of the surrogate's Gibbs risk beside Monte Carlo's, by width of the prior.

        ``f(x) + s^2/2 (tr H - sum_i lambda_i (1 - sigma_i^2/s^2))`` for the spectral shape that spends the largest
        divergence on narrowing; the trace is that of the Gauss-Newton matrix, which is exact.
        """
        mean = self.means[self.size.moves[len(self.size.moves) // 2]]
        shape, nats, found = self.known["spectral"], self.size.nats[-1], []
        ratios = narrowing(shape.curvature, nats).square()
        with torch.no_grad():
            base = float(self.surrogate(self._scores(mean.float()), self.targets))
        rest = max(self._trace - float((self.eigenvalues.clamp(min=0) * (1 - ratios)).sum()), 0.0)
        for width in self.size.trap_widths:
            errors, loss = self._risks(shape.posterior(mean, width, nats), self.size.search_draws, 4)
            found.append({"width": width, "taylor": base + width**2 / 2 * rest, "loss": loss, "risk": errors})
        return found

    def at_prior(self) -> dict[str, float]:
        """The network that was not randomised: errors on these examples, and Clopper-Pearson's upper value."""
        with torch.no_grad():
            wrong = int((self._scores(self.centre.float()).argmax(1) != self.targets).sum())
        n = len(self.targets)
        return {"errors": wrong / n, "clopper_pearson": clopper_pearson(wrong, n, 0.05)}
