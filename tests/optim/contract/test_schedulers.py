"""Every scheduler of torch acts as on a plain optimizer, and none warns."""

import copy
import inspect
import pickle
import warnings

import pytest
import torch
from torch.optim import lr_scheduler as schedulers

from .kinds import every_kind, every_two_pass, flat, loss_of, make, network, step_in_halves

HOW = {
    "LambdaLR": lambda o: schedulers.LambdaLR(o, lambda epoch: 0.9**epoch),
    "MultiplicativeLR": lambda o: schedulers.MultiplicativeLR(o, lambda epoch: 0.9),
    "StepLR": lambda o: schedulers.StepLR(o, 2, gamma=0.5),
    "MultiStepLR": lambda o: schedulers.MultiStepLR(o, [1, 3]),
    "ConstantLR": lambda o: schedulers.ConstantLR(o, total_iters=2),
    "LinearLR": lambda o: schedulers.LinearLR(o, total_iters=3),
    "ExponentialLR": lambda o: schedulers.ExponentialLR(o, 0.9),
    "SequentialLR": lambda o: schedulers.SequentialLR(
        o, [schedulers.ConstantLR(o, total_iters=2), schedulers.ExponentialLR(o, 0.5)], [2]
    ),
    "CosineAnnealingLR": lambda o: schedulers.CosineAnnealingLR(o, 4),
    "ChainedScheduler": lambda o: schedulers.ChainedScheduler(
        [schedulers.ConstantLR(o, total_iters=2), schedulers.ExponentialLR(o, 0.5)]
    ),
    "ReduceLROnPlateau": lambda o: schedulers.ReduceLROnPlateau(o, patience=0, threshold=10.0),
    "CyclicLR": lambda o: schedulers.CyclicLR(o, 0.01, 0.1, step_size_up=2),
    "CosineAnnealingWarmRestarts": lambda o: schedulers.CosineAnnealingWarmRestarts(o, 2),
    "OneCycleLR": lambda o: schedulers.OneCycleLR(o, 0.2, total_steps=6),
    "PolynomialLR": lambda o: schedulers.PolynomialLR(o, 4),
    "SWALR": lambda o: torch.optim.swa_utils.SWALR(o, swa_lr=0.05, anneal_epochs=3),
}
every_scheduler = pytest.mark.parametrize("name", HOW)


def _rates(optimizer, name, step, keys):
    scheduler = HOW[name](optimizer)
    found = []
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        for _ in range(5):
            step()
            scheduler.step(*([1.0] if name == "ReduceLROnPlateau" else []))
            found.append([group[key] for group in optimizer.param_groups for key in keys])
    said = [str(w.message) for w in warned]
    assert not [each for each in said if "before `optimizer.step()`" in each], said
    return found


def test_none_is_left_out():
    known = {
        name
        for name, value in vars(schedulers).items()
        if inspect.isclass(value) and issubclass(value, schedulers.LRScheduler) and not name.startswith("_")
    }
    assert known - {"LRScheduler"} <= HOW.keys()


@every_kind
@every_scheduler
@pytest.mark.parametrize(
    ("base", "options", "keys"),
    [
        (torch.optim.SGD, {"lr": 0.1, "momentum": 0.9}, ["lr", "momentum"]),
        (torch.optim.AdamW, {"lr": 0.1}, ["lr", "betas"]),
    ],
    ids=["SGD", "AdamW"],
)
def test_same_rates_as_on_the_base(kind, name, base, options, keys):
    model, twin = network(), network()
    plain = base(twin.parameters(), **options)

    def plain_step():
        plain.zero_grad()
        loss_of(twin)().backward()
        plain.step()

    optimizer = make(kind, model.parameters(), base, **options)
    truth = _rates(plain, name, plain_step, keys)
    assert _rates(optimizer, name, lambda: optimizer.step(loss_of(model)), keys) == truth
    assert optimizer.base.param_groups[0]["lr"] == truth[-1][0]


@every_two_pass
def test_no_warning_in_halves(kind):
    model = network()
    optimizer = make(kind, model.parameters(), lr=0.1)
    rates = _rates(optimizer, "StepLR", lambda: step_in_halves(optimizer, loss_of(model)), ["lr"])
    assert rates == [[0.1], [0.05], [0.05], [0.025], [0.025]]


@every_kind
def test_a_scheduler_of_the_base_acts_too(kind):
    model = network()
    optimizer = make(kind, model.parameters(), lr=0.1)
    scheduler = schedulers.ExponentialLR(optimizer.base, 0.5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        optimizer.step(loss_of(model))
        scheduler.step()
    assert optimizer.param_groups[0]["lr"] == 0.05


@every_kind
@pytest.mark.parametrize("through", [copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))])
def test_a_copy_of_one_that_has_a_scheduler_is_independent(kind, through):
    """Torch binds the scheduled ``step`` to the instance; a copy with it would step the original."""
    model = network()
    optimizer = make(kind, model.parameters(), lr=0.1)
    schedulers.StepLR(optimizer, 1)
    optimizer.step(loss_of(model))
    twin, other = through((model, optimizer))
    before = flat(model)
    other.step(loss_of(twin))
    assert torch.equal(flat(model), before)
    optimizer.step(loss_of(model))
    assert torch.equal(flat(model), flat(twin))
