"""The bounded cross-entropy: range, formula, derivatives."""

import math

import pytest
import torch

from eigensam.bounds import BoundedCrossEntropy
from eigensam.ground import InputError


def test_formula_and_range(f64):
    scores = 30 * torch.randn(200, 5, generator=torch.Generator().manual_seed(0), dtype=f64)
    targets = torch.arange(200) % 5
    loss = BoundedCrossEntropy(0.01)
    each = torch.stack([loss(scores[i : i + 1], targets[i : i + 1]) for i in range(200)])
    p = scores.softmax(1).gather(1, targets[:, None])[:, 0]
    torch.testing.assert_close(each, -torch.log(0.01 + 0.99 * p) / math.log(100))
    assert each.min() >= 0
    assert each.max() <= 1
    torch.testing.assert_close(loss(scores, targets), each.mean())


def test_is_cross_entropy_up_to_scale_for_small_floors(f64):
    scores, targets = torch.randn(9, 4, dtype=f64), torch.arange(9) % 4
    p_min = 1e-12
    truth = torch.nn.functional.cross_entropy(scores, targets)
    torch.testing.assert_close(BoundedCrossEntropy(p_min)(scores, targets) * -math.log(p_min), truth, rtol=1e-9, atol=0)


def test_smooth(f64):
    loss = BoundedCrossEntropy(0.1)
    assert torch.autograd.gradgradcheck(
        lambda s: loss(s, torch.tensor([1, 0])), torch.randn(2, 3, dtype=f64, requires_grad=True)
    )


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_floors_at_the_edge_of_the_precision(dtype):
    """The smallest normal number still gives 1 for certain and wrong; what rounds to 0 or 1 is refused."""
    scores, target = torch.tensor([[0.0, 9e4 if dtype != torch.float16 else 6e4]], dtype=dtype), torch.tensor([0])
    tiny, eps = torch.finfo(dtype).tiny, torch.finfo(dtype).eps
    assert float(BoundedCrossEntropy(tiny)(scores, target)) == pytest.approx(1, abs=1e-3)
    assert float(BoundedCrossEntropy(0.5)(scores, target)) == pytest.approx(1, abs=1e-3)
    for p_min in (tiny / 2, 1 - eps):
        with pytest.raises(InputError, match=r"too close to 0 or 1 for torch\.float"):
            BoundedCrossEntropy(p_min)(scores, target)


@pytest.mark.parametrize("p_min", [0.0, 1.0, -0.1, math.nan, math.inf, 2])
def test_refusals(p_min):
    with pytest.raises(InputError, match=r"does not lie in \(0, 1\)"):
        BoundedCrossEntropy(p_min)
