"""Steps of length 0 by which torch.distributed.checkpoint asks for entries of a state."""

import pytest
import torch

from eigensam.ground import InputError
from eigensam.optim import SAM, EigenSAM, VaSSO


def _asked(optimizer, p):
    p.grad = torch.zeros_like(p)
    rates = [group["lr"] for group in optimizer.param_groups]
    for group in optimizer.param_groups:
        group["lr"] = 0.0
    optimizer.step(closure=None)
    for group, rate in zip(optimizer.param_groups, rates, strict=True):
        group["lr"] = rate
    p.grad = None


@pytest.mark.parametrize("kind", [SAM, EigenSAM, VaSSO])
def test_entries_are_made_once(kind):
    def train(ask):
        p = torch.nn.Parameter(torch.tensor([1.0, 2.0]))
        optimizer = kind([p], torch.optim.AdamW, rho=0.1, lr=0.1)
        for _ in range(3):
            optimizer.step(lambda: (p**4).sum())
            if ask:
                _asked(optimizer, p)
        return p, optimizer

    (p, asked), (q, _) = train(True), train(False)
    assert torch.equal(p, q)
    assert asked.base.state[p]["step"] == 3


def test_a_fresh_optimizer_has_them_then_and_no_eigenvector():
    p = torch.nn.Parameter(torch.tensor([1.0, 2.0]))
    optimizer = EigenSAM([p], torch.optim.AdamW, rho=0.1, lr=0.1)
    _asked(optimizer, p)
    assert p.tolist() == [1, 2]
    assert optimizer.eigenvector is None
    assert {"exp_avg", "exp_avg_sq", "step", "sharpness_aware.eigenvector"} == set(optimizer.state_dict()["state"][0])
    q = torch.nn.Parameter(p.detach().clone())
    fresh = EigenSAM([q], torch.optim.SGD, rho=0.1, lr=0.1)
    _asked(fresh, q)
    plain = EigenSAM([p], torch.optim.SGD, rho=0.1, lr=0.1)
    fresh.step(lambda: (q**4).sum())
    plain.step(lambda: (p**4).sum())
    assert torch.equal(p, q)


def test_the_second_half_of_a_step_is_none_of_them():
    """Also where the learning rate and the second gradient happen to be 0: the parameters are put back."""
    p = torch.nn.Parameter(torch.tensor([1.0, 2.0]))
    optimizer = SAM([p], rho=0.1, lr=0.0)
    p.grad = torch.ones(2)
    optimizer.first_step()
    p.grad = torch.zeros(2)
    optimizer.step()
    assert p.tolist() == [1, 2]


def test_other_steps_without_a_closure_are_refused():
    p = torch.nn.Parameter(torch.tensor([1.0, 2.0]))
    for rate, gradient in ((0.1, torch.zeros(2)), (0.0, torch.ones(2)), (0.0, None)):
        optimizer = SAM([p], rho=0.1, lr=rate)
        p.grad = gradient
        with pytest.raises(InputError, match="gradient at two points"):
            optimizer.step()


def test_entries_of_a_fresh_vasso_are_no_average():
    """Its average begins with the first gradient; a state that is loaded into the entries goes on."""

    def loss(p, step):
        return lambda: ((p - step) ** 4).sum()

    made = []
    for ask in (False, True):
        p = torch.nn.Parameter(torch.tensor([1.0, 2.0]))
        optimizer = VaSSO([p], rho=0.1, theta=0.3, lr=0.01)
        if ask:
            _asked(optimizer, p)
            assert not optimizer.state_dict()["state"][0]["sharpness_aware.direction"].any()
        for step in range(3):
            optimizer.step(loss(p, step))
        made.append((p, optimizer))
    (p, plain), (q, _) = made
    assert torch.equal(p, q)
    r = torch.nn.Parameter(p.detach().clone())
    fresh = VaSSO([r], rho=0.1, theta=0.3, lr=0.01)
    _asked(fresh, r)
    fresh.load_state_dict(plain.state_dict())
    plain.step(loss(p, 3))
    fresh.step(loss(r, 3))
    assert torch.equal(p, r)
