"""Frob-SAM and Det-SAM: what their estimates are on average, in closed form and by quadrature; and which are biased."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from eigensam.ground import InputError
from eigensam.optim import DetSAM, FrobSAM

from .transcriptions import BATCHES, RHO, flat, loss_of, network


def _mean_step(optimizer, p, loss, count):
    """What steps at one point go along: the mean, and its standard error."""
    found = []
    for _ in range(count):
        optimizer.step(loss)
        found.append(p.grad.clone())
    found = torch.stack(found)
    return found.mean(0), found.std(0) / count**0.5


def _parameter(*values):
    return nn.Parameter(torch.tensor(values, dtype=torch.float64))


@pytest.mark.parametrize("denominator", ["n - 1", "n: wrong on purpose"])
@pytest.mark.parametrize("rho", [0.01, 0.5])
def test_frob_sam_on_a_quadratic_is_a_multiple_of_the_gradient(rho, denominator):
    """``E g' = (I + weight H) g``, for any radius and number of samples: unbiased."""
    h, p = torch.tensor([1.0, 3.0], dtype=torch.float64), _parameter(1.0, -0.5)
    wrong = denominator != "n - 1"
    optimizer = FrobSAM([p], rho=rho, weight=0.4 * (0.5 if wrong else 1.0), samples=2, lr=0.0)
    mean, error = _mean_step(optimizer, p, lambda: 0.5 * (h * p**2).sum(), 600)
    truth = (1 + 0.4 * h) * h * p.detach()
    assert bool(((mean - truth).abs() < 4.5 * error).all()) != wrong


def test_frob_sam_at_a_minimum_that_is_not_quadratic():
    """``h x^2/2 + c x^3/6`` at 0: the covariance of loss and gradient is ``h c rho^4``, half of it from the norm.

    That is ``weight rho^2 h c`` in the step: ``weight rho^2/4 (h^2)'`` and ``weight rho^2/2 h h'``.
    """
    h, c, rho, weight, p = 2.0, 3.0, 0.4, 5.0, _parameter(0.0)
    optimizer = FrobSAM([p], rho=rho, weight=weight, samples=4, lr=0.0)
    mean, error = _mean_step(optimizer, p, lambda: (h * p**2 / 2 + c * p**3 / 6).sum(), 1200)
    assert abs(mean - weight * rho**2 * h * c).item() < 4.5 * error.item()
    assert abs(mean - weight * rho**2 * h * c / 2).item() > 4.5 * error.item()  # the norm alone


def test_frob_sam_keeps_the_digits_of_losses_that_are_large():
    """A constant does not change what is minimised, however large it is."""
    ends = []
    for constant in (0.0, 1e6):
        p = _parameter(1.0, -0.5)
        FrobSAM([p], rho=0.01, weight=1.0, lr=1.0).step(lambda p=p, c=constant: (p**4).sum() + c)
        ends.append(p.detach())
    torch.testing.assert_close(*ends, rtol=1e-6, atol=0)


def _quadrature(h, x, rho, scale, nodes=200):
    """Of a one-dimensional quadratic: ``d`` and its derivative by ``x`` at nodes of the interval, and weights."""
    u, w = np.polynomial.legendre.leggauss(nodes)
    u, w = rho * u, w / 2
    return h * (x * u + u**2 / 2) / scale**2, h * u / scale**2, w


def _gradient_of_measure(h, x, rho, scale):
    """Of ``S = (E exp(-d/2))^-2``."""
    d, slope, w = _quadrature(h, x, rho, scale)
    e = np.exp(-d / 2)
    return (w @ (e * slope)) / (w @ e) ** 3


@pytest.mark.parametrize("scaled", [True, False], ids=["its gradient", "wrong on purpose"])
def test_det_sam_with_many_samples_is_the_gradient_of_the_measure(scaled):
    """As the number of samples grows; without ``1/scale^2``, as in the released code, it is not."""
    h, x, rho, scale, weight = 2.0, 0.7, 1.5, 0.6, 0.1
    p = _parameter(x)
    optimizer = DetSAM([p], rho=rho, weight=weight if scaled else weight * scale**2, samples=100, scale=scale, lr=0.0)
    mean, error = _mean_step(optimizer, p, lambda: h * (p**2).sum() / 2, 40)
    truth = h * x + weight * _gradient_of_measure(h, x, rho, scale)
    assert (abs(mean.item() - truth) < 5 * error.item() + 0.02 * abs(truth)) == scaled


def test_det_sam_with_one_sample_is_biased():
    """Its mean is ``E exp(d) d'``, which is not the gradient of the measure."""
    h, x, rho, scale, weight = 2.0, 0.4, 0.8, 1.0, 1.0
    p = _parameter(x)
    optimizer = DetSAM([p], rho=rho, weight=weight, samples=1, scale=scale, lr=0.0)
    mean, error = _mean_step(optimizer, p, lambda: h * (p**2).sum() / 2, 2000)
    d, slope, w = _quadrature(h, x, rho, scale)
    assert abs(mean.item() - (h * x + weight * (w @ (np.exp(d) * slope)))) < 4.5 * error.item()
    assert abs(mean.item() - (h * x + weight * _gradient_of_measure(h, x, rho, scale))) > 4.5 * error.item()


@pytest.mark.parametrize(("rho", "power"), [(20.0, 1.0), (0.01, 0.0)], ids=["wide", "narrow"])
def test_what_the_measure_of_det_sam_measures(rho, power):
    """At the minimum of ``h x^2/2``: proportional to ``det H = h`` for a wide interval, else ``1 + rho^2 h/6``."""

    def measure(h):
        d, _, w = _quadrature(h, 0.0, rho, 1.0, nodes=400)
        return (w @ np.exp(-d / 2)) ** -2

    assert math.log(measure(4.0) / measure(1.0), 4.0) == pytest.approx(power, abs=1e-4)
    if power == 0:
        assert measure(4.0) - 1 == pytest.approx(4 * rho**2 / 6, rel=1e-3)
    else:
        assert measure(1.0) == pytest.approx(rho**2 / math.pi, rel=1e-6)


def test_differences_that_are_too_large_are_said():
    p = _parameter(1.0)
    optimizer = DetSAM([p], rho=50.0, samples=20, lr=0.1)
    with pytest.raises(InputError, match=r"differ by so many times scale\^2 = 1 that exp is out of range"):
        optimizer.step(lambda: (p**4).sum())
    assert p.item() == 1.0
    wide = DetSAM([p], rho=50.0, samples=20, lr=0.1, nonfinite="skip")
    wide.step(lambda: (p**4).sum())
    assert (wide.skipped, p.item()) == (1, 1.0)


@pytest.mark.parametrize("kind", [FrobSAM, DetSAM])
def test_passes_and_samples(kind):
    """One more pass than samples, each at another point; and other ones in the next step."""
    model, visited = network(), []
    optimizer = kind(model.parameters(), rho=RHO, samples=4, lr=0.0)
    for _ in range(2):
        optimizer.step(lambda: visited.append(flat(model)) or loss_of(model, BATCHES[0])())
    shifts = torch.stack(visited) - flat(model)
    assert len(shifts) == 10
    assert not shifts[[0, 5]].any()
    others = shifts[[1, 2, 3, 4, 6, 7, 8, 9]]
    assert torch.pdist(others).min() > 0.1 * RHO
    spread = others.std().item() / RHO
    assert spread == pytest.approx(1.0 if kind is FrobSAM else 3**-0.5, rel=0.15)
    assert (others.abs().max() <= RHO) == (kind is DetSAM)


@pytest.mark.parametrize("kind", [FrobSAM, DetSAM])
def test_a_loss_that_is_not_told_is_asked_for(kind):
    model = network()
    optimizer = kind(model.parameters(), rho=RHO, lr=0.1)
    before = flat(model)

    def closure():
        loss_of(model, BATCHES[0])().backward()
        return {"loss": "somewhere else"}

    with pytest.raises(InputError, match="needs the value of the loss; let the closure return it"):
        optimizer.step(closure)
    assert torch.equal(flat(model), before)


def test_gradients_without_their_loss():
    """Det-SAM compares with the loss at the parameters, Frob-SAM does not need it."""
    model = network()
    for kind in (FrobSAM, DetSAM):
        optimizer = kind(model.parameters(), rho=RHO, lr=0.0)
        optimizer.zero_grad()
        loss_of(model, BATCHES[0])().backward()
        if kind is DetSAM:
            with pytest.raises(InputError, match=r"call zero_grad\(\) before step\(closure\)"):
                optimizer.step(loss_of(model, BATCHES[0]))
        else:
            optimizer.step(loss_of(model, BATCHES[0]))
