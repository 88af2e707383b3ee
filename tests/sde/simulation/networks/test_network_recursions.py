"""Recursions beside their SDEs on a network: torch's own optimizer, a control that is farther, a kill, refusals."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn.functional import cross_entropy

from eigensam.ground.errors import InputError
from eigensam.landscapes import NetworkLandscape, Quadratic
from eigensam.sde import CompareSettings, Engine, compare, derive, find_rule, truncate
from eigensam.sde.rules.recursion import Recursion
from eigensam.sde.rules.sampling import Epochs, GivenOrder, Independent, Reshuffled, SingleShuffle, repartitions
from eigensam.sde.rules.schedules import Schedule, cosine
from eigensam.sde.rules.statements import parse_statements
from eigensam.sde.simulation.comparison.given_sdes import Control
from eigensam.sde.simulation.networks import compared_networks as module
from eigensam.sde.simulation.networks import recursion_process
from eigensam.sde.simulation.networks.directions import Directions
from eigensam.sde.simulation.networks.minibatch_fields import SDEField
from eigensam.sde.simulation.networks.network_observables import NetworkObservables
from eigensam.sde.simulation.networks.network_processes import NetworkProcesses
from eigensam.sde.simulation.networks.recursion_process import RecursionProcess, SlowVariable
from eigensam.sde.simulation.networks.step_noise import StepNoise
from eigensam.sde.simulation.problems.derived_problem import derived_problem
from eigensam.sde.simulation.problems.minibatch_laws import minibatch_law
from eigensam.sde.simulation.problems.shifted_start import shifted_start

D, SIZE = torch.float64, 4
HEAVY_BALL = "m = 1/2*m + g; x = x - eta*m"
NAMES = ["train loss", "parameter norm"]
SGD = find_rule("sgd")


def digits_data():
    images, targets = load_digits(return_X_y=True)
    return torch.tensor(images[: 8 * SIZE] / 16, dtype=D), torch.tensor(targets[: 8 * SIZE])


@pytest.fixture(scope="module")
def f() -> NetworkLandscape:
    """410 parameters, 4 minibatches of 8 digits."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(64, 5), nn.Tanh(), nn.Linear(5, 10)).to(D)
    return NetworkLandscape.from_tensors(model, cross_entropy, *digits_data(), batch_size=8)


def recursion(text=HEAVY_BALL, schedules=None, **options):
    schedules = schedules or {}
    return Recursion("r", parse_statements(text, list(schedules)), schedules=schedules, **options)


def compared(f, rule, sdes, settings, **given):
    engine = Engine(seconds=0.0, checkpoint=given.pop("checkpoint", None), progress=False)
    return compare(rule, sdes, f, f.point(), settings, observables=NetworkObservables(f, NAMES), engine=engine, **given)


def minibatches(rule, seed, steps, paths):
    """Numbers of the minibatches that the law picks, path by path without any batching."""
    law, noise = minibatch_law(rule, SIZE), StepNoise(seed, paths, 1, SIZE)
    draws = [noise.draw(step)[:, 0] for step in range(steps)]
    found = []
    for path in range(paths):
        memory, picked = torch.tensor(law.memory, dtype=D), []
        for z in draws:
            (chosen,), memory = law.pick(z[path], memory)
            picked.append(int(chosen.argmax()))
        found.append(picked)
    return found


LAWS = {
    "independent": Independent(),
    "reshuffled": Reshuffled(SIZE),
    "a part of each epoch": Reshuffled(SIZE, steps=2),
    "one shuffle": SingleShuffle(SIZE),
    "in order": GivenOrder(SIZE),
}


@pytest.mark.parametrize("name", LAWS)
def test_it_is_torch_s_own_optimizer(f, name):
    """``torch.optim.SGD`` with momentum, weight decay and a scheduler, on the minibatches of the law."""
    schedule, eta, steps = Schedule("1 - t/4"), 0.1, 6
    text = "m = 1/2*m + g + 1/100*x; x = x - eta*s*m"
    rule = recursion(text, {"s": schedule}, sampling=LAWS[name])
    clock = 0.2
    process = RecursionProcess(f, rule, {"rho": 0.0}, eta, clock)
    noise, picked = StepNoise(3, 2, 1, SIZE), minibatches(rule, 3, steps, 2)
    if name != "independent":
        period = LAWS[name].epoch
        epochs = [path[k : k + period] for path in picked for k in range(0, steps - period, period)]
        assert all(len(set(epoch)) == period for epoch in epochs)
    inputs, targets = digits_data()
    for path, order in enumerate(picked):
        model = nn.Sequential(nn.Linear(64, 5), nn.Tanh(), nn.Linear(5, 10)).to(D)
        nn.utils.vector_to_parameters(f.point(), model.parameters())
        optimizer = torch.optim.SGD(model.parameters(), lr=eta, momentum=0.5, weight_decay=0.01)
        state = process.start(f.point().expand(2, -1))
        for step, gamma in enumerate(order):
            optimizer.param_groups[0]["lr"] = eta * schedule(step * clock)
            optimizer.zero_grad()
            rows = slice(8 * gamma, 8 * gamma + 8)
            cross_entropy(model(inputs[rows]), targets[rows]).backward()
            optimizer.step()
            state = process.advance(state, step, noise.draw(step))
            here = nn.utils.parameters_to_vector(model.parameters()).detach()
            assert torch.allclose(process.points(state)[path], here, rtol=0, atol=1e-13)


def test_its_sde_of_order_2_is_nearer_than_that_without_memory(f):
    """In the slow variable; the control is SGD's SDE of the same order, at the same effective rate."""
    rule = recursion()
    settings = CompareSettings(eta=0.05, rho=0.0, steps=4, paths=16, every=4)
    sdes = {"order 2": derive(rule, 2, 1), "sgd": Control(derive(SGD, 2, 1))}
    found = compared(f, rule, sdes, settings)
    assert [each.name for each in (found.rule, *found.others)] == ["r", *sdes]
    assert found.rule.times[-1] == pytest.approx(4 * 0.1)
    starts = [each.values["train loss"][:, 0] for each in (found.rule, *found.others)]
    assert np.array_equal(starts[0], starts[1])
    assert abs(starts[2] - float(f.loss(f.point()))).max() < 1e-14  # where the training starts
    assert (starts[0] > starts[2]).all()  # a way of the flow back
    near, far = (abs(found.differences(name, "train loss")[:, -1].mean()) for name in sdes)
    assert near < far / 2
    assert found.contrast("order 2", "sgd", "train loss", factor=4.0).sign == -1
    assert all(error < 1e-3 for error in found.about["integrator_error"].values())


F = Quadratic([[[1.0, 0.2], [0.2, 2.0]], [[3.0, 0.0], [0.0, 0.5]]], centres=[[-1.0, 0.0], [2.0, 1.0]])
START = torch.tensor([-2.0, 1.0], dtype=D)
ALIKE = {
    "a given order": (HEAVY_BALL, {}, {"sampling": GivenOrder(2)}),
    "SAM in a given order": ("m = 1/2*m + grad(rho*g); x = x - eta*m", {}, {"sampling": GivenOrder(2)}),
    "a schedule": ("m = 1/2*m + mean(g); x = x - eta*s*m", {"s": cosine(4)}, {}),
    "a mean, two steps in one": (
        "m = 1/2*m + mean(g); y = x - eta*s*m; x = y - eta*s*m",
        {"s": cosine(4)},
        {"inner_steps": 2},
    ),
}


@pytest.mark.parametrize(("name", "observed"), [*((name, "slow") for name in ALIKE), ("a schedule", "x")])
def test_what_is_not_random_goes_as_on_a_toy(name, observed):
    """The engine of toys has its own chain, schedules, start and coefficients; its splitting halves each step."""
    text, schedules, options = ALIKE[name]
    rule, scheme = recursion(text, schedules, **options), "euler-maruyama"
    settings = CompareSettings(eta=0.05, rho=0.1, steps=8, paths=1, every=4, observed=observed, scheme=scheme)
    sdes = {"order 2": derive(rule, 2, 1), "order 1": derive(rule, 1, 1)}
    engine, norm, observe = Engine("eager", progress=False), "parameter norm", NetworkObservables(F, ["parameter norm"])
    toy = compare(rule, sdes, F, START, settings, observables={norm: lambda x: x.norm(dim=-1)}, engine=engine)
    found = module.compared_networks(rule, sdes, F, START, settings, observe=observe, engine=engine)
    for one, other in zip((toy.rule, *toy.others), (found.rule, *found.others), strict=True):
        assert one.name == other.name
        assert np.allclose(one.times, other.times, rtol=1e-14)
        assert np.allclose(one.values[norm], other.values[norm], rtol=1e-12)


def test_without_the_shifted_start_it_is_farther():
    """As a control it starts where the training does; nothing is random."""
    rule, norm = recursion("m = 1/2*m + mean(g); x = x - eta*m"), "parameter norm"
    sde, observe = derive(rule, 2, 1), NetworkObservables(F, ["parameter norm"])
    sdes, engine = {"shifted": sde, "unshifted": Control(sde)}, Engine(progress=False)
    for observed in ("slow", "x"):
        settings = CompareSettings(eta=0.005, rho=0.0, steps=50, paths=1, every=50, observed=observed)
        found = module.compared_networks(rule, sdes, F, START, settings, observe=observe, engine=engine)
        near, far = (abs(found.differences(name, norm)[0, -1]) for name in sdes)
        assert near < far / 20


@pytest.mark.parametrize("sampling", [Independent(), Reshuffled(2, steps=1)])
def test_drift_and_noise_are_those_of_the_toy_s_problem(sampling):
    rule = recursion("m = 1/2*m + s*g; x = x - eta*m", {"s": cosine(4)}, sampling=sampling)
    sde, eta, t = derive(rule, 2, 1), 0.05, 0.7
    z = torch.tensor([[0.3, -1.2]], dtype=D)
    field = SDEField(F, sde, 2 * eta)
    values = {"rho": 0.0, **field.scheduled(t)}
    drift, kick = field.drift_and_kick(START[None], z, values)
    problem = derived_problem(F, sde, rho=0.0, eta=eta)
    time = torch.tensor(t, dtype=D)
    assert torch.allclose(drift[0], problem.drift(time, START), rtol=1e-13)
    assert torch.allclose((2 * eta) ** 0.5 * kick[0], problem.diffusion(time, START) @ z[0], rtol=1e-13)


def test_a_control_has_the_rule_s_effective_rate():
    """Also where the other one is a recursion, whose values are its own."""
    control = Control(derive(recursion(), 2, 1))
    settings = CompareSettings(eta=0.05, rho=0.1, steps=2, paths=1)
    for rule, eta in ((find_rule("sam"), 0.05), (recursion(sampling=Reshuffled(2)), 0.1)):
        bound = {"rho": 0.1}
        makers = NetworkProcesses(rule, F, settings, None, bound, Directions(rule))
        process = dict(makers.processes({"other": control}))["other"]
        assert process.field.eta == pytest.approx(eta)
        assert torch.equal(process.points(process.start(START[None])), START[None])


class KilledError(Exception):
    pass


@pytest.mark.parametrize(("sampling", "when"), [(Reshuffled(SIZE, steps=3), 2), (SingleShuffle(SIZE), 2), (None, 6)])
def test_a_killed_run_goes_on_with_the_same_bits(f, tmp_path, monkeypatch, sampling, when):
    """In the middle of an epoch, with memory; and of an SDE with a schedule, when half a flow is owed."""
    rule = recursion("m = 1/2*m + s*g; x = x - eta*m", {"s": cosine(4)}, sampling=sampling or Independent())
    sdes = {"order 1": derive(rule, 1, 1)}
    settings = CompareSettings(eta=0.05, rho=0.0, steps=4, paths=2, every=3)
    whole, go_on = compared(f, rule, sdes, settings), module.move

    def move(*arguments):
        *first, progress = arguments
        store = first[-1]

        def killed(step):
            progress(step)
            if store.folder.name == f"process-{(when - 1) // 4}" and step == (when - 1) % 4 + 1:
                raise KilledError

        return go_on(*first, killed)

    monkeypatch.setattr(module, "move", move)
    with pytest.raises(KilledError):
        compared(f, rule, sdes, settings, checkpoint=tmp_path)
    monkeypatch.setattr(module, "move", go_on)
    again = compared(f, rule, sdes, settings, checkpoint=tmp_path)
    for a, b in zip((whole.rule, *whole.others), (again.rule, *again.others), strict=True):
        assert all(np.array_equal(a.values[name], b.values[name]) for name in NAMES)
    other = recursion("m = 1/2*m + s*g; x = x - eta*m", {"s": Schedule("1 - t/4 + t/8")}, sampling=rule.sampling)
    with pytest.raises(InputError, match=r"holds another run, which differs in .*rule"):
        compared(f, other, {"order 1": derive(other, 1, 1)}, settings, checkpoint=tmp_path)


def test_points_are_taken_some_at_a_time(monkeypatch):
    rule = recursion()
    slow = SlowVariable(derive(rule, 2, 1), F, 0.05, 0.0)
    x, m = torch.randn(5, 2, dtype=D), torch.randn(5, 2, dtype=D)
    monkeypatch.setattr(recursion_process, "points_at_a_time", lambda f: 2)
    whole = shifted_start(slow.sde, F, x, 0.05, 0.0, memory={"m": m})
    assert torch.allclose(slow(x, {"m": m}), whole, rtol=1e-14)


def test_what_is_refused(f):
    settings = CompareSettings(eta=0.05, rho=0.1, steps=2, paths=1)
    rule, two = recursion(), recursion("x = x - eta*grad(draw='a') - eta*grad(draw='b')")
    with pytest.raises(InputError, match="draws 2 minibatches in a step; on a network a step takes one"):
        compared(f, two, {"a": derive(two, 1, 1)}, settings)
    friction = recursion("m = m + 2*eta*(-1*g - m); x = x + eta*m")
    with pytest.raises(InputError, match="moves x and m; on a network an SDE is of the position alone"):
        compared(f, friction, {"a": derive(friction, 1, 1)}, settings)
    with pytest.raises(InputError, match="a recursion has its own"):
        compared(f, rule, {}, CompareSettings(eta=0.05, rho=0.1, steps=2, sampling="reshuffled"))
    with pytest.raises(InputError, match="draws among 3 minibatches, and the landscape has 4"):
        compared(f, recursion(sampling=Reshuffled(3)), {}, settings)
    with pytest.raises(InputError, match="has epochs of a family of 3 minibatches, and the landscape has 4"):
        compared(f, rule, {"a": Control(derive(recursion(sampling=Reshuffled(3)), 1, 1))}, settings)
    _, epochs = repartitions(4, 2)
    with pytest.raises(InputError, match="has epochs of a family of 6"):
        compared(f, rule, {"a": Control(truncate(recursion(sampling=epochs), 1, 1))}, settings)
    pairs = Control(truncate(recursion(sampling=Epochs(((0, 1), (2, 3)))), 1, 1))
    with pytest.raises(InputError, match="epochs whose minibatches go together"):
        compared(f, rule, {"a": pairs}, settings)
    with pytest.raises(InputError, match="memory starts at 0"):
        compare(rule, {}, f, {"x": f.point(), "m": f.point()}, settings)
    directed = recursion("m = 1/2*m + grad(rho*v); x = x - eta*m")
    with pytest.raises(InputError, match="the direction v is unbound"):
        compared(f, directed, {"a": derive(directed, 1, 1)}, settings)
    with pytest.raises(InputError, match="another name"):
        compared(f, rule, {"r": derive(rule, 1, 1)}, settings)
