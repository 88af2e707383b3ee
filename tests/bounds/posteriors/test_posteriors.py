"""What Gaussian posteriors share: what is stored, samples, refusals."""

import math
from fractions import Fraction

import pytest
import torch

from eigensam.bounds import DiagonalPosterior, GaussianPrior, IsotropicPosterior, LayerwisePosterior, LowRankPosterior
from eigensam.ground import InputError

ALL = {
    "isotropic": lambda mean: IsotropicPosterior(mean, 0.5),
    "diagonal": lambda mean: DiagonalPosterior(mean, torch.linspace(0.1, 1, len(mean))),
    "layerwise": lambda mean: LayerwisePosterior(mean, torch.tensor([0.1, 1.0]), [1, len(mean) - 1]),
    "low rank": lambda mean: LowRankPosterior(mean, 0.5, torch.eye(len(mean))[:1], torch.tensor([0.1])),
}


@pytest.mark.parametrize("make", ALL.values(), ids=ALL)
def test_contract(make):
    """Means are kept exactly, detached, as a copy; samples are determined by the generator; nothing else is moved."""
    mean = torch.tensor([0.1, -2.0, 3.0], requires_grad=True)
    q = make(mean)
    assert q.mean.tolist() == mean.tolist()
    assert q.mean.dtype == torch.float64
    assert not q.mean.requires_grad
    kl = q.kl(GaussianPrior(torch.zeros(3), 1.0))
    first = q.sample(4, torch.Generator().manual_seed(1))
    with torch.no_grad():
        mean.zero_()
    assert q.kl(GaussianPrior(torch.zeros(3), 1.0)) == kl
    assert first.shape == (4, 3)
    assert torch.equal(q.to("cpu").sample(4, torch.Generator().manual_seed(1)), first)
    assert not torch.equal(q.sample(4, torch.Generator().manual_seed(2)), first)


@pytest.mark.parametrize("make", ALL.values(), ids=ALL)
def test_samples(make, f64):
    """Means and variances of 20 000 samples within 5 standard errors; standard deviations for variances fail."""
    q = make(torch.tensor([0.1, -2.0, 3.0]))
    samples = q.sample(20_000, torch.Generator().manual_seed(0))
    truth = {
        "IsotropicPosterior": [0.5] * 3,
        "DiagonalPosterior": torch.linspace(0.1, 1, 3).tolist(),
        "LayerwisePosterior": [0.1, 1.0, 1.0],
        "LowRankPosterior": [0.1, 0.5, 0.5],
    }[type(q).__name__]
    variance = torch.tensor(truth, dtype=f64).square()
    squares = (samples - q.mean).square()
    assert bool(((samples.mean(0) - q.mean).abs() < 5 * (variance / len(samples)).sqrt()).all())
    error = 5 * variance * math.sqrt(2 / len(samples))
    assert bool(((squares.mean(0) - variance).abs() < error).all())
    assert not bool(((squares.mean(0) - variance.sqrt()).abs() < error).all())


def test_numbers_that_no_float_holds():
    prior = GaussianPrior(torch.zeros(2), Fraction(1, 3))
    assert Fraction(prior.variance.item()) > Fraction(1, 3)
    assert repr(prior) == "GaussianPrior(dim=2, variance=0.333333)"
    assert repr(GaussianPrior(torch.zeros(2), torch.tensor([1.0, 2.0]))) == "GaussianPrior(dim=2, variance=1 to 2)"


@pytest.mark.parametrize("sigma", [0.0, -1.0, math.nan, math.inf, 1e-80, 1e80])
def test_refused_sigmas(sigma):
    mean = torch.zeros(2)
    for make in (
        lambda: IsotropicPosterior(mean, sigma),
        lambda: LowRankPosterior(mean, sigma, torch.eye(2)[:1], torch.ones(1)),
        lambda: GaussianPrior(mean, math.copysign(sigma * sigma, sigma)),
    ):
        with pytest.raises(InputError, match="not positive and finite"):
            make()
    sigmas = torch.tensor([1.0, sigma], dtype=torch.float64)
    for make in (
        lambda: DiagonalPosterior(mean, sigmas),
        lambda: LayerwisePosterior(mean, sigmas, [1, 1]),
        lambda: LowRankPosterior(mean, 1.0, torch.eye(2), sigmas),
    ):
        with pytest.raises(InputError, match=r"not positive and finite|entries that are not finite"):
            make()


@pytest.mark.parametrize(
    ("mean", "message"),
    [
        (torch.tensor([0.0, math.nan]), "entries that are not finite"),
        (torch.tensor([0.0, math.inf]), "entries that are not finite"),
        (torch.zeros(2, 2), r"has shape \(2, 2\), need \(d,\)"),
        (torch.zeros(0), r"has shape \(0,\), need \(d,\)"),
        (torch.zeros(2, dtype=torch.int64), "no dense floating tensor"),
        ([0.0], "of type list is no dense floating tensor"),
    ],
)
def test_refused_means(mean, message):
    for make in (lambda: IsotropicPosterior(mean, 1.0), lambda: GaussianPrior(mean, 1.0)):
        with pytest.raises(InputError, match=message):
            make()


def test_other_refusals():
    mean = torch.zeros(3)
    with pytest.raises(InputError, match=r"sizes = \[1, 1\] are not positive whole numbers that add up to 3"):
        LayerwisePosterior(mean, torch.ones(2), [1, 1])
    with pytest.raises(InputError, match=r"sigmas has shape \(2,\), need \(3,\)"):
        DiagonalPosterior(mean, torch.ones(2))
    with pytest.raises(InputError, match=r"variance has shape \(2,\), need one number or \(3,\)"):
        GaussianPrior(mean, torch.ones(2))
    with pytest.raises(InputError, match=r"variance of type torch.int64 is no dense floating tensor"):
        GaussianPrior(mean, torch.ones(3, dtype=torch.int64))
    with pytest.raises(InputError, match="count = 0 is no number of draws"):
        IsotropicPosterior(mean, 1.0).sample(0, torch.Generator())
