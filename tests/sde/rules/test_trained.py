"""A run's settings as a recursion: five steps of the optimizer that a run makes of them are five of the recursion.

The optimizer is stepped as the training loop does, learning rate of each step included, on three minibatches in turn.
"""

import json
from dataclasses import replace
from fractions import Fraction

import pytest
import torch
from torch import nn

from eigensam.ground import InputError
from eigensam.landscapes import TiltedTorus
from eigensam.optim import BASES, OPTIMIZERS, RATES, TrainSettings
from eigensam.optim.sharpness_aware import SharpnessAwareOptimizer
from eigensam.optim.training.learning_rate import learning_rate
from eigensam.optim.training.made_optimizer import make_optimizer
from eigensam.sde import derive
from eigensam.sde.rules.exact_steps import recursion_step
from eigensam.sde.rules.repartitioned import Repartitioned
from eigensam.sde.rules.sampling import Independent, Reshuffled
from eigensam.sde.rules.trained.methods import METHODS, REFUSED
from eigensam.sde.rules.trained.rates import trained_schedule
from eigensam.sde.rules.trained.run import recursion_of

LANDSCAPE = TiltedTorus.random(2, seed=1)
START = torch.tensor([0.4, -1.1], dtype=torch.float64)
V = torch.tensor([0.6, 0.8], dtype=torch.float64)
STEPS_PER_EPOCH, EXAMPLES, SIZE = 3, 26, 8


class Point(nn.Module):
    """A network that is a point of the landscape."""

    def __init__(self):
        super().__init__()
        self.x = nn.Parameter(START.clone())


BASE = {
    "plain steps": {"momentum": 0.0},
    "momentum": {"momentum": 0.9},
    "nesterov": {"momentum": 0.8, "nesterov": True},
}
SETTINGS = {
    "alone": {"schedule": "constant", "weight_decay": 0.0},
    "decay": {"schedule": "constant", "weight_decay": 0.05},
    "cosine and decay": {"schedule": RATES["cosine"](final=0.1), "weight_decay": 0.05},
    "cosine and warm-up": {"schedule": "cosine", "weight_decay": 0.05, "warmup_epochs": 2.0},
}


def settings_of(method, base, more):
    changes = {"sigma": 0.5} if method == "friendly-sam" else {"micro_batches": 2} if method == "m-sam" else {}
    return TrainSettings(
        OPTIMIZERS[method](**changes),
        base=BASES["sgd"](**BASE[base]),
        **{"epochs": 2, "batch_size": SIZE, "lr": 0.2, **SETTINGS[more]},
    )


def prepared(optimizer):
    """An optimizer that has an eigenvector already, and will have it in all steps."""
    if hasattr(optimizer, "eigenvalue"):
        (p,) = optimizer.parameters()
        optimizer.steps, optimizer.eigenvalue = 1, 1.0
        optimizer.state[p]["eigenvector"] = V.clone()
    return optimizer


def positions(settings, steps):
    """Of the optimizer: positions after each step, with what it remembers then."""
    model = Point()
    optimizer = prepared(make_optimizer(settings, model))
    found = []
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(settings, step, STEPS_PER_EPOCH)
        optimizer.zero_grad()
        count = settings.method.closures
        taken = [m % 3 for m in range(step, step + count)]
        closures = [lambda m=m: LANDSCAPE.losses(model.x)[m] for m in taken]
        if isinstance(optimizer, SharpnessAwareOptimizer):
            optimizer.step(closures)
        else:
            closures[0]().backward()
            optimizer.step()
        state = {**optimizer.state[model.x], **getattr(optimizer, "base", optimizer).state[model.x]}
        kept = {name: value.clone() for name, value in state.items() if torch.is_tensor(value)}
        found.append((model.x.detach().clone(), kept))
    return found


REMEMBERED = {"m": ["momentum_buffer"], "d": ["direction", "momentum"], "a": ["average"]}
"""Blocks of a recursion, and what optimizers call them."""


def blocks_after(found, recursion):
    """The state of the recursion from what the optimizer has after a step."""
    x, kept = found
    memory = [name for name in recursion.blocks if name != "x"]
    return {"x": x} | {name: next(kept[key] for key in REMEMBERED[name] if key in kept) for name in memory}


def recursion_positions(trained, blocks, first, steps):
    values = {name: float(value) for name, value in trained.values.items()}
    if trained.recursion.directions:
        values["v"] = V
    found = []
    for step in range(first, steps):
        time = step * float(trained.effective_rate)
        moved = recursion_step(
            LANDSCAPE, trained.recursion, blocks, float(trained.eta), float(trained.rho), values, time
        )
        draws = len(trained.recursion.draws)
        taken = tuple((step + i) % 3 for i in range(draws))
        blocks = {name: block[taken] for name, block in moved.items()}
        found.append(blocks["x"])
    return found


@pytest.mark.parametrize("more", SETTINGS)
@pytest.mark.parametrize("base", BASE)
@pytest.mark.parametrize("method", METHODS)
def test_five_steps(method, base, more):
    settings = settings_of(method, base, more)
    trained = recursion_of(json.loads(json.dumps(settings.to_dict())), EXAMPLES)
    assert trained.steps == STEPS_PER_EPOCH
    found = positions(settings, 6)
    # Averages of a method begin with the first gradient: of such the comparison begins after a step.
    first = 1 if method in ("vasso", "friendly-sam", "momentum-sam") else 0
    zero = {name: torch.zeros_like(START) for name in trained.recursion.blocks} | {"x": START}
    blocks = blocks_after(found[0], trained.recursion) if first else zero
    ours = recursion_positions(trained, blocks, first, 6)
    for (theirs, _), x in zip(found[first:], ours, strict=True):
        torch.testing.assert_close(x, theirs, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("method", ["sgd", "sam", "momentum-sam", "gsam"])
def test_other_settings_are_other_steps(method):
    """Wrong on purpose: each setting left out is seen."""
    settings = settings_of(method, "nesterov", "cosine and decay")
    found = positions(settings, 6)
    right = settings.to_dict()
    wrongs = [
        {"weight_decay": 0.0},
        {"schedule": {"name": "constant"}},
        {"base": {**right["base"], "nesterov": False}},
        {"base": {**right["base"], "momentum": 0.7}},
        {"warmup_epochs": 2.0},
    ]
    for wrong in wrongs:
        trained = recursion_of({**right, **wrong}, EXAMPLES)
        ours = recursion_positions(trained, blocks_after(found[0], trained.recursion), 1, 6)
        assert (ours[-1] - found[-1][0]).abs().max() > 1e-4, wrong


def test_every_optimizer_base_and_schedule_is_known_or_refused():
    """A new entry of a registry must be written as a recursion, or it must be said why it cannot be."""
    assert METHODS.keys() | REFUSED.keys() == set(OPTIMIZERS)
    assert not METHODS.keys() & REFUSED.keys()
    assert not [name for name in BASES if name != "sgd" and "divides each coordinate" not in refused_base(name)]
    for name in RATES:
        rate = RATES[name](**({"milestones": "9"} if name == "step" else {})).to_dict()
        trained_schedule(rate, 0, 5, 3, Fraction(1))


def refused_base(name):
    settings = TrainSettings("sam", base=name)
    with pytest.raises(InputError) as caught:
        recursion_of(settings.to_dict(), 1437)
    return str(caught.value)


PLAIN = TrainSettings("sam").to_dict()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"optimizer": {"name": "asam"}}, "'asam' scales each coordinate by itself"),
        ({"optimizer": {"name": "random-sam"}}, "'random-sam' draws random numbers of its own besides the minibatch"),
        ({"optimizer": {"name": "sam-on"}}, "perturbs some of the parameters only"),
        ({"optimizer": {"name": "mine"}}, "optimizer 'mine' is not known as a recursion; known are sgd"),
        ({"optimizer": {"name": "vasso", "rho": 0.1}}, "settings of optimizer 'vasso' have no 'theta'"),
        ({"optimizer": "sam"}, "the settings' optimizer 'sam' is no group with a name"),
        ({"base": {"name": "adamw"}}, "base 'adamw' divides each coordinate by a running magnitude"),
        ({"base": {"name": "mine"}}, "base 'mine' is not known as a recursion; known is sgd"),
        ({"clip_norm": 1.0}, "clip_norm = 1.0: a gradient that is shortened"),
        ({"batch_size": 2000}, "minibatches of 2000 of 1437 examples"),
        ({"schedule": {"name": "step", "milestones": "5,30", "gamma": 0.1}}, "the learning rate jumps after 5 epochs"),
        ({"schedule": {"name": "mine"}}, "schedule 'mine' is not known as a function of time"),
        ({"schedule": {"name": "cosine"}}, "schedule 'cosine' have no 'final'"),
        ({"warmup_epochs": 3.0}, "stops rising after 3 epochs of warm-up, a kink"),
    ],
)
def test_refusals(changed, message):
    with pytest.raises(InputError, match=message):
        recursion_of({**PLAIN, **changed}, 1437)


def test_settings_that_are_not_complete():
    for name in ("optimizer", "base", "lr"):
        with pytest.raises(InputError, match=f"the settings have no '{name}'; give those of a run's settings.json"):
            recursion_of({k: v for k, v in PLAIN.items() if k != name}, 1437)


def test_numbers_of_a_run():
    trained = recursion_of(PLAIN, 1437)  # 20 epochs of 22 steps, learning rate 0.1, momentum 0.9
    assert trained.recursion.sampling == Repartitioned(1437, 64)
    assert (trained.effective_rate, trained.horizon, trained.steps) == (1, 440, 22)
    assert trained.recursion.schedules["s"](220.0) == pytest.approx(0.5)
    assert trained.recursion.schedules["s"](440.0) == pytest.approx(0.0, abs=1e-15)
    assert derive(trained.recursion, 1, "1/2").rate == trained.base.rate == 10
    assert recursion_of(PLAIN, 1437, epochs=3).horizon == 66


@pytest.mark.parametrize("method", METHODS)
def test_every_method_is_derived_or_it_is_said_why_not(method):
    trained = recursion_of(settings_of(method, "momentum", "decay").to_dict(), 1437)
    if method in ("vasso", "friendly-sam", "momentum-sam"):
        with pytest.raises(InputError, match="is no polynomial in it; only memory that is affine"):
            derive(trained.recursion, 1, "2/3")
        return
    sde = derive(trained.recursion, 1, "2/3")
    assert sde.weak_order == 1
    assert sde.rate == trained.base.rate


def test_the_law_is_one_that_the_order_knows():
    sam, sgd = (recursion_of({**PLAIN, "optimizer": {"name": name, "rho": 0.1}}, 1437) for name in ("sam", "sgd"))
    for trained, order, exponent in [(sam, 2, "1/2"), (sam, 1, "1/5"), (sgd, 2, "1/5")]:
        assert trained.at(order, Fraction(exponent)) is trained
    fixed = sam.at(2, Fraction(1, 3))
    assert fixed.recursion.sampling == Reshuffled(23, steps=22)
    assert "23 minibatches are taken as fixed here" in fixed.neglected[-1]
    assert "an error of order 5/3" in fixed.neglected[-1]


def test_what_is_neglected_is_said():
    def neglected(**changed):
        return " ".join(recursion_of({**PLAIN, **changed}, 1437).neglected)

    assert neglected() == ""
    assert "noise of augmentation is left out" in neglected(augment=True)
    assert "Passes round to bfloat16" in recursion_of({**PLAIN, "precision": "bfloat16"}, 1437).remarks[0]
    micro = {"name": "m-sam", "rho": 0.1, "micro_batches": 4}
    assert "4 micro-batches of a step are taken as independent" in neglected(optimizer=micro)
    assert isinstance(recursion_of({**PLAIN, "optimizer": micro}, 1437).recursion.sampling, Independent)


def test_an_approximation_is_not_called_the_law():
    """Momentum, decay, cosine and the loader's epochs together have their SDE of order 2."""
    trained = recursion_of({**PLAIN, "optimizer": {"name": "sgd"}}, 1437)
    sde = derive(trained.recursion, 2, 1)
    other = derive(replace(trained.recursion, sampling=Independent()), 2, 1)
    assert sde.weak_order == other.weak_order == 2
    assert sde.correction != other.correction
    assert sde.covariance != other.covariance
