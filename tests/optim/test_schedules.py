"""Schedules of rho and alpha: the same factors as torch's LambdaLR of the learning rate, states, what is refused."""

import math

import pytest
import torch
from torch.optim import SGD
from torch.optim.lr_scheduler import LambdaLR, OneCycleLR

from eigensam.ground import InputError
from eigensam.optim import SAM, EigenSAM, GroupSchedule, LearningRateSchedule


def _optimizer(kind=SAM, **options):
    first, second = (torch.nn.Parameter(torch.ones(2)) for _ in range(2))
    return kind([{"params": [first]}, {"params": [second], "rho": 0.4}], rho=0.1, lr=0.2, **options)


def _loss(optimizer):
    return lambda: sum((i + 1) * p.cosh().log().sum() for i, p in enumerate(optimizer.parameters()))


def _factor(step):
    return 0.9**step * (1 + step % 3)


def _rhos(optimizer):
    return [group["rho"] for group in optimizer.param_groups]


def test_same_factors_as_lambda_lr():
    optimizer = _optimizer()
    schedule = GroupSchedule(optimizer, "rho", _factor)
    rate = SGD([torch.nn.Parameter(torch.ones(1))], lr=0.1)
    truth = LambdaLR(rate, _factor)
    for _ in range(10):
        lr = rate.param_groups[0]["lr"]
        assert _rhos(optimizer) == pytest.approx([lr, 4 * lr], rel=1e-14)
        rate.step()
        truth.step()
        schedule.step()
    assert schedule.steps == 10


def test_the_scheduled_radius_is_taken():
    """As with a radius set by hand before each step; not as with the first one throughout."""
    scheduled, by_hand, constant = (_optimizer() for _ in range(3))
    schedule = GroupSchedule(scheduled, "rho", _factor)
    for step in range(3):
        for group, start in zip(by_hand.param_groups, (0.1, 0.4), strict=True):
            group["rho"] = start * _factor(step)
        for optimizer in (scheduled, by_hand, constant):
            optimizer.step(_loss(optimizer))
        schedule.step()
    found, truth, other = (torch.cat(optimizer.parameters()) for optimizer in (scheduled, by_hand, constant))
    assert torch.equal(found, truth)
    assert (found - other).abs().max() > 1e-3


@pytest.mark.parametrize("source", ["minibatch", "stream"])
def test_a_radius_that_grows_from_zero(source):
    """Eigen-SAM has no eigenvector after the first step, then; it takes one as soon as something is perturbed."""
    optimizer = _optimizer(EigenSAM, refresh_every=10, curvature=source)
    schedule = GroupSchedule(optimizer, "rho", lambda step: step / 4)
    optimizer.step(_loss(optimizer))
    assert optimizer.eigenvector is None
    schedule.step()
    optimizer.step(_loss(optimizer))
    assert optimizer.eigenvalue > 0


def test_alpha():
    optimizer = _optimizer(EigenSAM, alpha=0.2)
    schedule = GroupSchedule(optimizer, "alpha", lambda step: 0.5**step)
    schedule.step()
    assert [group["alpha"] for group in optimizer.param_groups] == [0.1, 0.1]


def test_a_group_that_is_added_starts_when_it_is_seen():
    optimizer = _optimizer()
    schedule = GroupSchedule(optimizer, "rho", lambda step: 1 / (1 + step))
    schedule.step()
    optimizer.add_param_group({"params": [torch.nn.Parameter(torch.ones(1))], "rho": 0.8})
    schedule.step()
    assert _rhos(optimizer) == pytest.approx([0.1 / 3, 0.4 / 3, 0.8 / 3])


def test_state():
    first = GroupSchedule(_optimizer(), "rho", _factor)
    for _ in range(4):
        first.step()
    other = _optimizer()
    second = GroupSchedule(other, "rho", _factor)
    second.load_state_dict(first.state_dict())
    assert _rhos(other) == _rhos(first.optimizer)
    first.step()
    second.step()
    assert _rhos(other) == _rhos(first.optimizer)
    assert second.state_dict() == first.state_dict()


def test_proportional_to_the_learning_rate():
    """The formula of GSAM's paper, along a one-cycle schedule; each group by its own learning rate."""
    optimizer = _optimizer(momentum=0.9)
    rate = OneCycleLR(optimizer, max_lr=[1.0, 0.5], total_steps=8)
    schedule = LearningRateSchedule(optimizer, "rho", least=0.01, most=0.1, lr_least=0.0, lr_most=1.0)
    seen = []
    for _ in range(7):
        for group in optimizer.param_groups:
            share = (group["lr"] - 0.0) / (1.0 - 0.0)
            assert group["rho"] == pytest.approx(0.01 * (1 - share) + 0.1 * share, rel=1e-12)
        seen.append(_rhos(optimizer))
        optimizer.step(_loss(optimizer))
        rate.step()
        schedule.step()
    assert seen[0] != seen[2] != seen[6]
    assert max(rho for rho, _ in seen) == pytest.approx(0.1, rel=0.1)


def test_refused():
    optimizer = _optimizer()
    with pytest.raises(InputError, match=r"SAM have no number called 'alpha'; choose one of: .*lr.*rho"):
        GroupSchedule(optimizer, "alpha", _factor)
    with pytest.raises(InputError, match="no number called 'nesterov'"):
        GroupSchedule(optimizer, "nesterov", _factor)
    for wrong in (-1.0, math.inf, math.nan):
        schedule = GroupSchedule(optimizer, "rho", lambda step, wrong=wrong: wrong if step == 2 else 1.0)
        schedule.step()
        with pytest.raises(InputError, match=r"gives rho = .* at step 2 to parameter group 0"):
            schedule.step()
        assert _rhos(optimizer) == [0.1, 0.4]
        assert schedule.steps == 1
    with pytest.raises(InputError, match="the first must be smaller"):
        LearningRateSchedule(optimizer, "rho", least=0.0, most=0.1, lr_least=1.0, lr_most=1.0)
    with pytest.raises(InputError, match="gives rho = -0"):
        LearningRateSchedule(optimizer, "rho", least=0.0, most=0.1, lr_least=0.5, lr_most=1.0)
    assert _rhos(optimizer) == [0.1, 0.4]


def test_foreign_states_are_refused():
    schedule = GroupSchedule(_optimizer(), "rho", _factor)
    with pytest.raises(InputError, match="not a state of a GroupSchedule"):
        schedule.load_state_dict({"last_epoch": 3})
    with pytest.raises(InputError, match="that of 'alpha' of 2 parameter groups"):
        schedule.load_state_dict(GroupSchedule(_optimizer(EigenSAM), "alpha", _factor).state_dict())
    with pytest.raises(InputError, match="at step -1"):
        schedule.load_state_dict({"name": "rho", "steps": -1, "starts": [-0.1, 0.4]})
    assert schedule.steps == 0
    assert _rhos(schedule.optimizer) == [0.1, 0.4]
