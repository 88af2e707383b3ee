"""Losses of draws: never below exact arithmetic, whatever the scores."""

import mpmath
import pytest
import torch

from eigensam.bounds import BoundedCrossEntropy, CrossEntropyRisk, ZeroOneRisk
from eigensam.bounds.gibbs.risk_losses import logit_tolerance
from eigensam.ground import InputError

INF, NAN = float("inf"), float("nan")


@pytest.mark.parametrize(
    ("scores", "wrong"),
    [
        ([2.0, 1.0], False),
        ([1.0, 2.0], True),
        ([1.0, 1.0], True),  # a tie
        ([0.0, 0.0], True),
        ([1.0 + 1e-9, 1.0], True),  # what rounding could undo
        ([1.0 + 1e-6, 1.0], False),
        ([1e300, -1e300], False),
        ([NAN, 0.0], True),
        ([0.0, NAN], True),
        ([INF, 0.0], True),
        ([0.0, -INF], True),
        ([INF, INF], True),
    ],
)
def test_zero_one(scores, wrong):
    found = ZeroOneRisk(0.1).upper(torch.tensor([scores], dtype=torch.float64), torch.tensor([0]), 1e-8)
    assert found.tolist() == [wrong]
    if any(x != x or abs(x) == INF for x in scores):
        loss = CrossEntropyRisk(0.1).upper(torch.tensor([scores], dtype=torch.float64), torch.tensor([0]), 1e-8)
        assert loss.tolist() == [1.0]


def test_zero_one_is_argmax_elsewhere(f64):
    scores = torch.randn(500, 7, generator=torch.Generator().manual_seed(0), dtype=f64)
    targets = torch.arange(500) % 7
    assert torch.equal(ZeroOneRisk(0.1).upper(scores, targets, 1e-8), scores.argmax(1) != targets)


def _exact(scores, target, p_min):
    with mpmath.workdps(50):
        weights = [mpmath.exp(mpmath.mpf(x) - max(scores)) for x in scores]
        p = weights[target] / sum(weights)
        return -mpmath.log(p_min + (1 - mpmath.mpf(p_min)) * p) / -mpmath.log(p_min)


@pytest.mark.parametrize("p_min", [1e-5, 1e-3, 0.5])
def test_cross_entropy_is_above_the_truth(p_min, f64):
    """Also for scores that are off by the tolerance; without the slack it is below for many."""
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(200, 4, generator=generator, dtype=f64) * torch.logspace(-2, 2, 200, dtype=f64)[:, None]
    targets = torch.arange(200) % 4
    noise = 2 * torch.rand(200, 4, generator=generator, dtype=f64) - 1
    tolerance = 1e-8
    off = scores + tolerance * scores.abs().amax(1, keepdim=True) * noise
    found = CrossEntropyRisk(0.1, BoundedCrossEntropy(p_min)).upper(off, targets, tolerance)
    plain = BoundedCrossEntropy(p_min).per_example(off, targets)
    truths = [_exact(row, t, p_min) for row, t in zip(scores.tolist(), targets.tolist(), strict=True)]
    assert all(a >= b for a, b in zip(found.tolist(), truths, strict=True))
    assert sum(a < b for a, b in zip(plain.tolist(), truths, strict=True)) > 20
    assert float((found - plain).max()) < 1e-5
    assert float(found.max()) <= 1


def test_per_example_is_what_the_mean_is_of(f64):
    scores, targets = torch.randn(9, 4, dtype=f64), torch.arange(9) % 4
    loss = BoundedCrossEntropy()
    torch.testing.assert_close(loss.per_example(scores, targets).mean(), loss(scores, targets))


def test_refusals():
    for delta in (0.0, 1.0, NAN):
        with pytest.raises(InputError, match=r"does not lie in \(0, 1\)"):
            ZeroOneRisk(delta)
    with pytest.raises(InputError, match="not precise enough for a certificate"):
        logit_tolerance(torch.bfloat16)
