"""Monte Carlo at a trained point: the loss around it, ``f_S(Q)``, the certificate that follows, the test set."""

import math
from collections.abc import Callable

import numpy as np
import torch

from ...landscapes.runs.data_set import DataSet
from ..concentration.binomial_tail import clopper_pearson
from ..eigenvalue.best_posterior import seeger
from ..eigenvalue.bound import Bound, Kind
from ..gibbs.estimate import GibbsEstimate
from ..gibbs.gibbs_risk import gibbs_risk
from ..gibbs.risk_losses import CrossEntropyRisk, ZeroOneRisk
from ..gibbs.weight_draws import WeightDraws
from ..posteriors.isotropic_posterior import IsotropicPosterior
from ..posteriors.prior_grid import PriorGrid
from .explanation import HeldOut
from .posterior_risk import LossAround, loss_around, monte_carlo_bound
from .sampled_point import SampledPoint

__all__ = ["certify_point", "look_around", "measure_risk", "measure_test_set"]

Progress = Callable[[str], None]

_SIGMAS = 10  # ours: between the narrowest and the widest posterior
_TEST_PAIRS = 4  # ours: draws +e and -e on the test set
_TEST_EXAMPLES = 1000  # ours: of the test set that they are evaluated on, at random
_CANDIDATES = 200  # of sigma, between those that were looked at


def look_around(point: SampledPoint, sigma: float, widest: float, progress: Progress) -> LossAround:
    """The loss under ``N(x, s^2 I)``, for ``s`` from a tenth of the bound's sigma to three times the weights' own size.

    The bound's sigma is among them, and the widest one of all forms. What comes out of it only chooses; nothing is
    certified by these draws.
    """
    size = 3 * float(point.x.double().norm()) / math.sqrt(point.landscape.dim)
    others = np.geomspace(
        max(sigma / 10, 1e-12), min(max(10 * sigma, size, widest), 1e6), _SIGMAS - 1
    )  # as far as sigma may go
    generator = point.generator("look around")
    pairs = 1 if point.settings.draws < 10 else max(2, point.settings.draws // 20)
    sigmas = sorted({sigma, *map(float, others)})
    return loss_around(point.landscape, point.x, sigmas, pairs=pairs, generator=generator, progress=progress)


def measure_risk(
    point: SampledPoint, sigma: float, stream: str, progress: Progress
) -> tuple[GibbsEstimate, GibbsEstimate]:
    """``f_S(Q)`` for ``N(x, sigma^2 I)``, bounded cross-entropy and zero-one, by draws of a stream of their own."""
    settings, (inputs, targets) = point.settings, point.sample
    delta = settings.delta * settings.mc_share
    network = WeightDraws(point.model, IsotropicPosterior(point.x.double(), sigma), inputs, settings.batch_size)
    cross_entropy, zero_one = gibbs_risk(
        network,
        inputs,
        targets,
        [CrossEntropyRisk(delta, point.loss), ZeroOneRisk(delta)],
        draws=settings.draws,
        generator=point.generator(stream, inputs.device),
        progress=lambda done, total: progress(f"draws from the posterior: {done // len(inputs)} of {settings.draws}"),
    )
    return cross_entropy, zero_one


def certify_point(point: SampledPoint, around: LossAround, progress: Progress) -> tuple[Bound, GibbsEstimate]:
    """The bound with ``f_S(Q)`` by Monte Carlo, at the sigma that the look around suggests, by fresh draws."""
    given = point.settings.sigma
    sigma = _suggested_sigma(point, around) if given is None else given
    risk, _ = measure_risk(point, sigma, "certificate", progress)
    kind: Kind = "certificate" if point.fixed else "estimate"
    return monte_carlo_bound(risk, sigma, kind=kind, **point.arguments), risk


def _suggested_sigma(point: SampledPoint, around: LossAround) -> float:
    priors, settings = PriorGrid.for_dim(point.landscape.dim), point.settings
    delta = settings.delta * (1 - settings.mc_share)
    sampling = math.log(1 / (settings.delta * settings.mc_share)) / settings.draws
    best = math.inf, around.sigmas[0]
    for sigma in map(float, np.geomspace(around.sigmas[0], around.sigmas[-1], _CANDIDATES)):
        k = priors.best(point.landscape.dim, sigma**2, point.squared_distance)
        log_ratio = np.array([2 * math.log(sigma)]) - priors.log_variances(np.array([k]))
        cost = priors.costs(np.array([k]), point.landscape.dim, log_ratio, point.squared_distance)
        c = (cost + math.log(2 * math.sqrt(point.examples) / delta)) / point.examples
        mean = min(max(point.empirical + around.at(sigma), 0.0), 1.0)
        upper = 1 / (1 + np.exp(-seeger(np.array([mean]), np.array([sampling]))[0]))  # of what draws will say
        best = min(best, (float(seeger(upper, c)[0][0]), sigma))
    return best[1]


def measure_test_set(point: SampledPoint, data: DataSet, sigma: float) -> HeldOut:
    """Errors and losses on the test set, at ``x`` and around."""
    landscape = point.other(data.test_inputs, data.test_targets)
    ((inputs, targets),) = landscape.batches
    generator = point.generator("test set")
    with torch.no_grad():
        parts = inputs.split(point.settings.batch_size)
        scores = torch.cat([landscape.outputs(point.x, part) for part in parts])
        errors = int((scores.argmax(1) != targets).sum())
    some = torch.randperm(len(targets), generator=generator)[:_TEST_EXAMPLES].sort().values.to(targets.device)
    part = point.other(inputs[some], targets[some])
    around = loss_around(part, point.x, [sigma], pairs=_TEST_PAIRS, generator=generator)
    loss = float(point.loss(scores, targets))
    return HeldOut(
        len(targets),
        errors,
        clopper_pearson(errors, len(targets), point.settings.delta),
        loss,
        loss + around.mean[0],
        around.standard_error[0],
    )
