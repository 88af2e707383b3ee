"""What a step does to parameters that a torch optimizer trains: they have the gradient of one pass."""

import torch
from torch import nn

from eigensam.optim.one_pass import OnePassOptimizer

from .kinds import every_kind, make


@every_kind
def test_a_head_under_another_optimizer(kind):
    """Backbone ``b`` under the method, head ``h`` under SGD; ``d/dh (3 b h + b^2) = 3 b``."""
    b, h = nn.Parameter(torch.tensor([1.0])), nn.Parameter(torch.tensor([2.0]))
    optimizer, other = make(kind, [b], rho=0.1, lr=0.1), torch.optim.SGD([h], lr=0.1)
    for _ in range(3):
        other.zero_grad()
        before = b.item()
        optimizer.step(lambda: (b * 3 * h + b**2).sum())
        if not issubclass(kind, OnePassOptimizer):  # whose one pass is at the perturbed point
            assert abs(h.grad.item() - 3 * before) < 1e-5
        other.step()


@every_kind
def test_what_the_head_has_accumulated_is_kept(kind):
    b, h = nn.Parameter(torch.tensor([1.0])), nn.Parameter(torch.tensor([2.0]))
    optimizer, other = make(kind, [b], rho=0.1, lr=0.1), torch.optim.SGD([h], lr=0.1)
    (10 * h).sum().backward()
    optimizer.step(lambda: (b * 3 * h + b**2).sum())
    assert abs(h.grad.item() - 13) < (0.5 if issubclass(kind, OnePassOptimizer) else 1e-6)
    other.step()
