"""Curvature of the bounded cross-entropy: automatic differentiation, intervals, a search for the worst scores."""

import itertools
import math

import numpy as np
import pytest
import torch
from mpmath import iv
from scipy.optimize import minimize
from torch import nn
from torch.func import functional_call, hessian

from eigensam.bounds import BoundedCrossEntropy, score_curvature, smoothness_of_linear
from eigensam.ground import InputError

D = torch.float64


def _in_scores(p, s, y):
    """Hessian in the scores by the formula of the docstring, in numpy."""
    pi = np.exp(s - s.max())
    pi /= pi.sum()
    w = (1 - p) * pi[y] / (p + (1 - p) * pi[y])
    u = -pi
    u[y] += 1
    return w * (np.diag(pi) - np.outer(pi, pi) - (1 - w) * np.outer(u, u)) / math.log(1 / p)


def _cases(seed):
    rng = np.random.default_rng(seed)
    for _ in range(300):
        classes = int(rng.integers(2, 8))
        s = rng.normal(size=classes) * 10.0 ** rng.uniform(-1, 1)
        yield 10.0 ** -rng.uniform(0.01, 6), s, int(rng.integers(classes))


def test_formula_against_automatic_differentiation():
    for p, s, y in list(_cases(0))[:60]:
        loss = BoundedCrossEntropy(p)
        found = hessian(lambda t, loss=loss, y=y: loss(t[None], torch.tensor([y])))(torch.tensor(s))
        np.testing.assert_allclose(found.numpy(), _in_scores(p, s, y), rtol=1e-9, atol=1e-13)


def test_bound_holds_at_random_scores():
    for p, s, y in _cases(1):
        h, most = _in_scores(p, s, y), score_curvature(p)
        assert np.abs(np.linalg.eigvalsh(h)).max() <= most * (1 + 1e-12)
        assert -np.trace(h) <= most * (1 + 1e-12)


@pytest.mark.parametrize("p", [1e-6, 1e-3, 0.1, 0.9])
def test_bound_is_nearly_reached_by_a_search(p):
    """From 30 starts each; for small p the search ends within 1 % of each of the three, never beyond."""
    rng = np.random.default_rng(2)
    found = {}
    for name, size in (
        ("top", lambda h: np.linalg.eigvalsh(h)[-1]),
        ("least", lambda h: -np.linalg.eigvalsh(h)[0]),
        ("trace", lambda h: -np.trace(h)),
    ):
        starts = rng.normal(size=(30, 3)) * 4
        ends = [minimize(lambda s: -size(_in_scores(p, s, 0)), s, method="Nelder-Mead").fun for s in starts]  # noqa: B023
        found[name] = -min(ends) / score_curvature(p)
        assert found[name] <= 1 + 1e-9
    if p <= 1e-3:
        assert min(found.values()) > 0.99


def test_two_classes_by_intervals():
    """``H = w (a (1-a) - (1-w)(1-a)^2) [[1, -1], [-1, 1]] / ln(1/p)``, whose eigenvalue, which is the trace, too, is at
    most a half of ``1/ln(1/p)`` on each of the intervals that [0, 1] is cut into. For more classes the trace is least
    where all that is not ``a`` is one class, so that this is the trace's worst case for any number.
    """
    for p in (1e-6, 1e-3, 0.1, 0.5):
        low, high = math.inf, -math.inf
        ends = np.r_[0.0, np.geomspace(1e-9, 0.5, 6000), 1 - np.geomspace(0.5, 1e-9, 3000)[1:], 1.0]
        for left, right in itertools.pairwise(ends):
            a = iv.mpf([left, right])
            w = 1 - p / (p + (1 - iv.mpf(p)) * a)
            size = 2 * w * (1 - a) * (a - (1 - w) * (1 - a))
            low, high = min(low, float(size.a)), max(high, float(size.b))
        assert low >= -0.51
        assert high <= 0.51  # a half, and the width of the intervals


@pytest.mark.parametrize("trained", ["both", "weight", "bias"])
def test_constants_of_the_parameters(trained):
    """Dense Hessians of single examples at many parameters, with inputs as long as allowed."""
    generator = torch.Generator().manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(3, 4)).double()
    layer = model[-1]
    layer.weight.requires_grad_(trained != "bias")
    layer.bias.requires_grad_(trained != "weight")
    loss = BoundedCrossEntropy(1e-3)
    smooth = smoothness_of_linear(model, loss, squared_input_norm=3.0)
    seen = {"both": 4.0, "weight": 3.0, "bias": 1.0}[trained]
    assert smooth.gradient_lipschitz == pytest.approx(seen / (2 * math.log(1000)), rel=1e-14)
    names = [name for name, p in model.named_parameters() if p.requires_grad]
    largest = 0.0
    for _ in range(60):
        size = 10 ** float(torch.rand(1, generator=generator) * 2 - 0.5)
        values = {n: size * torch.randn(p.shape, generator=generator, dtype=D) for n, p in model.named_parameters()}
        phi = torch.sign(torch.randn(1, 3, generator=generator, dtype=D))

        def single(flat, values=values, phi=phi):
            parts = flat.split([values[n].numel() for n in names])
            chosen = {n: part.view(values[n].shape) for n, part in zip(names, parts, strict=True)}
            return loss(functional_call(model, {**values, **chosen}, (phi,)), torch.tensor([1]))

        h = hessian(single)(torch.cat([values[n].flatten() for n in names]))
        eigenvalues = torch.linalg.eigvalsh(h)
        largest = max(largest, float(eigenvalues.abs().max()), -float(h.trace()))
    assert 0.5 * smooth.gradient_lipschitz < largest <= smooth.gradient_lipschitz
    assert smooth.negative_trace == smooth.gradient_lipschitz
    assert smooth.kind == "certificate"


def test_frozen_features_are_allowed():
    features = nn.Sequential(nn.Linear(5, 6), nn.ReLU()).requires_grad_(False)
    smooth = smoothness_of_linear(
        nn.Sequential(features, nn.Sequential(nn.Linear(6, 3))), BoundedCrossEntropy(), squared_input_norm=1
    )
    assert smooth.negative_trace == pytest.approx(2 / (2 * math.log(1000)))


def test_what_is_missing_is_said():
    loss, linear = BoundedCrossEntropy(), nn.Linear(4, 3)

    class Twice(nn.Linear):
        def forward(self, x):
            return 2 * super().forward(x)

    hooked = nn.Linear(4, 3)
    hooked.register_forward_hook(lambda module, given, output: 2 * output)
    tied = nn.Linear(4, 4)
    for model, message in (
        (nn.Sequential(nn.Linear(4, 4), nn.GELU(), nn.Linear(4, 3)), "parameters before the last layer are trained"),
        (nn.Sequential(linear, nn.Softmax(1)), "made by Softmax"),
        (Twice(4, 3), "made by Twice"),
        (nn.utils.parametrizations.weight_norm(nn.Linear(4, 3)), "made by ParametrizedLinear"),
        (hooked, "hooks or shared"),
        (nn.Sequential(tied, nn.GELU(), tied), "hooks or shared|before the last layer"),
        (nn.Linear(4, 3).requires_grad_(False), "no trained parameter"),
        (nn.Sequential(), "made by Sequential"),
    ):
        with pytest.raises(InputError, match=message):
            smoothness_of_linear(model, loss, squared_input_norm=4)
    with pytest.raises(InputError, match="missing is a bound of its Hessian in the scores"):
        smoothness_of_linear(linear, nn.CrossEntropyLoss(), squared_input_norm=4)
    for norm in (-1.0, math.nan, math.inf):
        with pytest.raises(InputError, match="squared input norm"):
            smoothness_of_linear(linear, loss, squared_input_norm=norm)
    for p in (0.0, 1.0, math.nan):
        with pytest.raises(InputError, match="p_min"):
            score_curvature(p)
