"""A rule beside its SDEs on a network: what comes, the same bits after a kill, refusals."""

import json

import numpy as np
import pytest
import torch
from torch import nn

from eigensam.ground import InputError
from eigensam.landscapes import NetworkLandscape, Quadratic
from eigensam.sde import CompareSettings, Engine, compare, derive, find_rule, truncate
from eigensam.sde.simulation.networks import compared_networks as module
from eigensam.sde.simulation.networks.network_observables import NetworkObservables

from .small_networks import perceptron

SAM = find_rule("sam")
SDES = {f"drift order {order}": truncate(SAM, "1/3", order) for order in (2, 3)}
SETTINGS = CompareSettings(eta=0.1, rho=0.4, steps=6, paths=3, looks=3)
SGD, SHORT = find_rule("sgd"), CompareSettings(eta=0.1, rho=0.0, steps=2, paths=2)
NAMES = ["train loss", "parameter norm"]


@pytest.fixture(scope="module")
def f() -> NetworkLandscape:
    return perceptron(2)


def compared(f, settings=SETTINGS, **given):
    observables, engine = NetworkObservables(f, NAMES), Engine(seconds=0.0, checkpoint=given.pop("checkpoint", None))
    rule, sdes = given.pop("rule", SAM), given.pop("sdes", SDES)
    return compare(rule, sdes, f, f.point(), settings, observables=observables, engine=engine, **given)


def same(a, b) -> bool:
    pairs = zip((a.rule, *a.others), (b.rule, *b.others), strict=True)
    return all(np.array_equal(x.values[name], y.values[name]) for x, y in pairs for name in NAMES)


def test_what_comes(f):
    found = compared(f)
    assert [each.name for each in (found.rule, *found.others)] == ["sam", *SDES, "exact drift"]
    assert np.allclose(found.rule.times, [0, 0.2, 0.4, 0.6])
    for each in (found.rule, *found.others):
        assert each.values["train loss"].shape == (3, 4)
        assert np.allclose(each.values["train loss"][:, 0], float(f.loss(f.point())))
        assert len(set(each.values["train loss"][:, -1])) == 3  # paths differ
    json.dumps(found.about)
    assert set(found.about["integrator_error"]) == {*SDES, "exact drift"}
    assert all(0 < error < 1e-3 for error in found.about["integrator_error"].values())


def test_more_substeps_have_a_smaller_error_and_euler_a_larger_one(f):
    def errors(**changed):
        settings = CompareSettings(eta=0.5, rho=0.4, steps=2, paths=1, exact_drift=False, **changed)
        return compared(f, settings).about["integrator_error"]["drift order 3"]

    assert errors(substeps=2) < errors() / 8
    assert errors(scheme="euler-maruyama") > 20 * errors()


def test_flows_are_without_noise(f):
    found = compared(f, CompareSettings(eta=0.1, rho=0.4, steps=4, paths=3, flows=True, exact_drift=False))
    flow = next(each for each in found.others if each.name == "flow of drift order 3")
    assert flow.values["train loss"].shape == (1, 5)
    starts = torch.stack([f.point(), 1.1 * f.point()])
    settings = CompareSettings(eta=0.1, rho=0.4, steps=4, paths=2, flows=True, exact_drift=False)
    found = compare(SAM, SDES, f, starts, settings, observables=NetworkObservables(f, NAMES))
    flows = {each.name: each for each in found.others}["flow of drift order 2"]
    assert flows.values["train loss"].shape == (2, 5)


def test_path_by_path_the_noise_is_its_own(f):
    """The third of three paths is the third of five."""
    few = compared(f)
    many = compared(f, CompareSettings(eta=0.1, rho=0.4, steps=6, paths=5, looks=3))
    for a, b in zip((few.rule, *few.others), (many.rule, *many.others), strict=True):
        assert np.allclose(a.values["train loss"], b.values["train loss"][:3], rtol=1e-12)


class KilledError(Exception):
    pass


@pytest.mark.parametrize(("rule", "when"), [("sam", 1), ("sam", 8), ("eigen-sam", 5), ("eigen-sam", 20)])
def test_a_killed_run_goes_on_with_the_same_bits(f, tmp_path, monkeypatch, rule, when):
    chosen = find_rule(rule)
    given = {"rule": chosen, "sdes": {f"drift order {m}": truncate(chosen, "1/3", m) for m in (2, 3)}}
    if rule == "eigen-sam":
        given["values"] = {"alpha": 0.2}
    settings = CompareSettings(eta=0.1, rho=0.4, steps=6, paths=3, looks=3, sampling="reshuffled", power_iterations=2)
    whole = compared(f, settings, **given)
    advance, count = module.move, 0

    def watched(*arguments):
        *first, progress = arguments

        def killed(step):
            nonlocal count
            count += 1
            progress(step)
            if count == when:
                raise KilledError

        return advance(*first, killed)

    monkeypatch.setattr(module, "move", watched)
    with pytest.raises(KilledError):
        compared(f, settings, checkpoint=tmp_path, **given)
    monkeypatch.setattr(module, "move", advance)
    moved = []
    draw = module.StepNoise.draw
    monkeypatch.setattr(module.StepNoise, "draw", lambda self, step: moved.append(step) or draw(self, step))
    again = compared(f, settings, checkpoint=tmp_path, **given)
    assert same(whole, again)
    assert len(moved) == 24 - when + 4  # a trial of each; what was complete is not computed again
    moved.clear()
    assert same(whole, compared(f, settings, checkpoint=tmp_path, **given))
    assert moved == [0] * 4


def test_another_run_is_not_gone_on_with(f, tmp_path):
    compared(f, checkpoint=tmp_path)
    for changed, differs in (({"seed": 1}, "seed"), ({"sampling": "reshuffled"}, "sampling")):
        settings = CompareSettings(**{"eta": 0.1, "rho": 0.4, "steps": 6, "paths": 3, "looks": 3, **changed})
        with pytest.raises(InputError, match=rf"holds another run, which differs in .*{differs}"):
            compared(f, settings, checkpoint=tmp_path)
    with pytest.raises(InputError, match=r"differs in .*landscape"):
        compared(perceptron(2, seed=1), checkpoint=tmp_path)
    with pytest.raises(InputError, match=r"differs in .*process"):
        compared(f, sdes=dict(reversed(SDES.items())), checkpoint=tmp_path)
    state = tmp_path / "process-0" / "paths.json"
    content = json.loads(state.read_text())
    state.write_text(json.dumps(content | {"step": 4}))
    with pytest.raises(InputError, match="is damaged"):
        compared(f, checkpoint=tmp_path)
    state.write_text("[]")
    with pytest.raises(InputError, match="is no state of a simulation"):
        compared(f, checkpoint=tmp_path)


def test_other_data_with_the_same_losses_at_the_start_are_another_run(tmp_path):
    """With a last layer of zeros all data have the loss log 3."""
    f = perceptron()
    x = torch.zeros(f.dim, dtype=torch.float64)
    data = [torch.randn(9, 6, generator=torch.Generator().manual_seed(k), dtype=torch.float64) for k in (0, 1)]
    for k, inputs in enumerate(data):
        observables = NetworkObservables(f, ["test loss"], test=(inputs, torch.arange(9) % 3))
        given = {"observables": observables, "engine": Engine(checkpoint=tmp_path)}
        if k == 0:
            compare(SGD, {"drift order 1": truncate(SGD, 1, 1)}, f, x, SHORT, **given)
            continue
        with pytest.raises(InputError, match="differs in observables"):
            compare(SGD, {"drift order 1": truncate(SGD, 1, 1)}, f, x, SHORT, **given)


def test_paths_that_leave_the_finite_numbers_say_which(tmp_path):
    f = perceptron()
    settings = CompareSettings(eta=1e200, rho=0.1, steps=5, paths=2, looks=5)
    with pytest.raises(InputError, match=r"2 of 2 paths of '.*' have left the finite numbers by step \d, the first"):
        compared(f, settings, checkpoint=tmp_path)


def test_refusals(f):
    with pytest.raises(InputError, match=r"the start has shape \(3,\); expected a tensor of shape"):
        compare(SAM, SDES, f, torch.zeros(3), SETTINGS)
    with pytest.raises(
        InputError, match=r"the SDE 'drift order 2' is of the rule usam: .*; derive it of the rule that is compared"
    ):
        compared(f, sdes={"drift order 2": truncate(find_rule("usam"), "1/3", 2)})
    with pytest.raises(InputError, match="'drift order 2' is of type Rule; expected an SDE"):
        compared(f, sdes={"drift order 2": SAM})
    with pytest.raises(InputError, match="SDEs are of type list; give them by name"):
        compared(f, sdes=list(SDES.values()))
    rule = find_rule("eigen-sam")
    with pytest.raises(InputError, match="the symbol alpha is unbound"):
        compared(f, rule=rule, sdes={"drift order 2": truncate(rule, "1/3", 2)})
    with pytest.raises(InputError, match="integrated by splitting or euler-maruyama; found the scheme 'platen'"):
        compared(f, CompareSettings(rho=0.1, eta=0.1, steps=2, scheme="platen"))
    with pytest.raises(InputError, match="another name"):
        compared(f, sdes={"exact drift": SDES["drift order 2"]})
    with pytest.raises(InputError, match="the start is not finite"):
        compare(SAM, SDES, f, f.point() * torch.nan, SETTINGS)


def test_any_landscape_will_do(f):
    """A quadratic with few paths as a network would be: the chain's mean in closed form for SGD."""
    q = Quadratic([[2.0]], centres=[[0.0], [1.0]])
    sgd = find_rule("sgd")
    settings = CompareSettings(eta=0.1, rho=0.0, steps=10, paths=4000, exact_drift=False)
    found = module.compared_networks(
        sgd,
        {"weak order 2": derive(sgd, 2, 1)},
        q,
        torch.tensor([2.0], dtype=torch.float64),
        settings,
        observe=NetworkObservables(q, ["parameter norm"]),
        engine=Engine(),
    )
    mean = 0.5 + 1.5 * 0.8**10
    for each in (found.rule, *found.others):
        assert abs(each.values["parameter norm"][:, -1].mean() - mean) < 5 * each.values["parameter norm"].std() / 60


class _Once(torch.autograd.Function):
    """A kernel of one's own, whose backward pass cannot be differentiated."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.sin()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, given):
        return given * ctx.saved_tensors[0].cos()


class _Layer(nn.Module):
    def forward(self, x):
        return _Once.apply(x)


def test_a_loss_that_has_one_derivative_only_is_refused_before_work(monkeypatch):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 6), _Layer(), nn.Linear(6, 2)).double()
    data = torch.randn(8, 4, dtype=torch.float64), torch.arange(8) % 2
    f = NetworkLandscape.from_tensors(model, nn.functional.cross_entropy, *data, batch_size=4, route="reverse")
    monkeypatch.setattr(module, "move", None)
    with pytest.raises(InputError, match="does not cover this network"):
        compared(f, sdes={"drift order 3": SDES["drift order 3"]})
