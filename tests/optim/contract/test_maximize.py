"""``maximize`` of any base is minimising the negative: SAM used to climb towards the optimum."""

import pytest
import torch
from torch import nn

from eigensam.ground import InputError
from eigensam.optim import SAM

from .kinds import every_kind, every_two_pass, flat, loss_of, make, network, step_in_halves

BASES = pytest.mark.parametrize(
    ("base", "options"),
    [
        (torch.optim.SGD, {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01}),
        (torch.optim.SGD, {"lr": 0.1, "foreach": True}),
        (torch.optim.AdamW, {"lr": 0.01, "amsgrad": True}),
        (torch.optim.Adam, {"lr": 0.01, "fused": True}),
    ],
    ids=["SGD", "foreach", "AdamW", "fused"],
)


@pytest.mark.parametrize("maximize", [True, False])
def test_the_numbers_by_hand(maximize):
    """From (1, 1/2) on ``x0^2 + 3 x1^2``: the gradient is (2, 3), so the second pass is at (1.1664, 0.7496)."""
    x = nn.Parameter(torch.tensor([1.0, 0.5], dtype=torch.float64))
    sign = -1.0 if maximize else 1.0
    SAM([x], rho=0.3, lr=0.05, maximize=maximize).step(lambda: sign * (x[0] ** 2 + 3 * x[1] ** 2))
    assert x.tolist() == pytest.approx([0.8834, 0.2751], abs=5e-5)
    assert x.tolist() != pytest.approx([0.9166, 0.4249], abs=1e-2)  # what climbing towards the optimum gives


@every_kind
@BASES
def test_is_minimising_the_negative(kind, base, options):
    ends = []
    for maximize in (False, True):
        model = network()
        optimizer = make(kind, model.parameters(), base, maximize=maximize, **options)
        for _ in range(5):
            optimizer.step(loss_of(model, sign=-1.0 if maximize else 1.0))
        ends.append(flat(model))
    torch.testing.assert_close(*ends, rtol=1e-12, atol=1e-14)


@every_two_pass
def test_also_in_halves(kind):
    ends = []
    for maximize in (False, True):
        model = network()
        optimizer = make(kind, model.parameters(), maximize=maximize, lr=0.1)
        for _ in range(4):
            step_in_halves(optimizer, loss_of(model, sign=-1.0 if maximize else 1.0))
        ends.append(flat(model))
    torch.testing.assert_close(*ends, rtol=1e-12, atol=1e-14)


@every_kind
def test_groups_that_do_both(kind):
    """Ascent in b of ``p(a) - q(b)`` and descent in a is descent of ``p(a) + q(b)``: a saddle is looked for."""
    ends = []
    for mixed in (False, True):
        torch.manual_seed(0)
        a, b = (nn.Parameter(torch.randn(3, dtype=torch.float64)) for _ in range(2))
        optimizer = make(kind, [{"params": [a]}, {"params": [b], "maximize": mixed}], lr=0.02)
        scale = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
        sign = -1.0 if mixed else 1.0
        try:
            for _ in range(4):
                optimizer.step(
                    lambda a=a, b=b, s=scale, sign=sign: (
                        (s * a**2).sum() + sign * ((s * b**2).sum() + (b**4).sum() / 50)
                    )
                )
        except InputError as error:
            assert "have no common Hessian" in str(error)  # noqa: PT017 (most kinds do not raise)
            return
        ends.append(flat([a, b]))
    torch.testing.assert_close(*ends, rtol=1e-12, atol=1e-14)
