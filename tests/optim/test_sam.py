"""SAM: the step by hand, train-mode batch norm and dropout, restoration, state; plain SGD must fail the same checks."""

import copy

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from eigensam.ground import InputError
from eigensam.optim import SAM, EigenSAM
from eigensam.optim.optimizers.sam import unit_
from eigensam.optim.vector import Vector

BOTH = pytest.mark.parametrize("kind", [SAM, EigenSAM])


def _model(*layers):
    torch.manual_seed(0)
    return nn.Sequential(*(layers or (nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3)))).double()


DATA = torch.randn(10, 4, generator=torch.Generator().manual_seed(5), dtype=torch.float64), torch.arange(10) % 3


def _closure(model):
    return lambda: cross_entropy(model(DATA[0]), DATA[1])


def _by_hand(model, rho, lr, steps):
    """SAM written a second time: flat vectors, torch.func, no optimizer."""
    names = dict(model.named_parameters())
    x = torch.cat([p.detach().reshape(-1) for p in names.values()])

    def loss(x):
        parts = x.split([p.numel() for p in names.values()])
        state = {name: part.view(p.shape) for (name, p), part in zip(names.items(), parts, strict=True)}
        return cross_entropy(torch.func.functional_call(model, state, (DATA[0],)), DATA[1])

    for _ in range(steps):
        g = torch.func.grad(loss)(x)
        x = x - lr * torch.func.grad(loss)(x + rho * g / g.norm())
    return x


def _flat(model):
    return torch.cat([p.detach().reshape(-1) for p in model.parameters()])


def test_equals_the_step_by_hand():
    model = _model()
    truth = _by_hand(model, 0.3, 0.5, 4)
    twin = copy.deepcopy(model)
    optimizer = SAM(model.parameters(), rho=0.3, lr=0.5)
    for _ in range(4):
        optimizer.step(_closure(model))
    torch.testing.assert_close(_flat(model), truth, rtol=1e-12, atol=1e-14)
    # the check is not passed by plain SGD
    sgd = torch.optim.SGD(twin.parameters(), lr=0.5)
    for _ in range(4):
        sgd.zero_grad()
        _closure(twin)().backward()
        sgd.step()
    assert not torch.allclose(_flat(twin), truth, rtol=1e-3)


def test_returns_the_loss_at_the_unperturbed_point():
    model = _model()
    before = _closure(model)()
    loss = SAM(model.parameters(), rho=0.3, lr=0.5).step(_closure(model))
    assert torch.equal(loss, before.detach())
    assert not loss.requires_grad


@BOTH
def test_batch_norm_statistics_move_once_a_step(kind):
    """Exactly as in a plain training step, also at a refresh (every step here)."""
    model = _model(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Tanh(), nn.Linear(6, 3))
    twin = copy.deepcopy(model)
    options = {"refresh_every": 1} if kind is EigenSAM else {}
    kind(model.parameters(), rho=0.3, lr=0.1, **options).step(_closure(model))
    _closure(twin)()
    for name, buffer in model.named_buffers():
        assert torch.equal(buffer, dict(twin.named_buffers())[name]), name
    assert model[1].num_batches_tracked == 1


@BOTH
def test_dropout_draws_the_same_mask_in_every_pass(kind):
    model = _model(nn.Linear(4, 64), nn.Dropout(0.5), nn.Linear(64, 3))
    masks = []
    model[1].register_forward_hook(lambda _m, inputs, output: masks.append((output == 0) & (inputs[0] != 0)))
    optimizer = kind(model.parameters(), rho=0.1, lr=0.1)
    optimizer.step(_closure(model))
    optimizer.step(_closure(model))
    per_step = len(masks) // 2 if kind is SAM else 3
    assert all(torch.equal(mask, masks[0]) for mask in masks[:per_step])
    assert not torch.equal(masks[0], masks[-1])  # another step, another mask


@pytest.mark.parametrize(("kind", "failing_pass"), [(SAM, 1), (SAM, 2), (EigenSAM, 1), (EigenSAM, 2), (EigenSAM, 3)])
def test_an_exception_leaves_no_parameter_perturbed(kind, failing_pass):
    """The last pass of each is the one at the perturbed point."""
    model = _model()
    options = {"check": False} if kind is EigenSAM else {}  # the check has passes of its own
    optimizer = kind(model.parameters(), rho=0.3, lr=0.5, **options)
    before, visited = _flat(model), []

    def closure():
        visited.append(_flat(model))
        if len(visited) == failing_pass:
            raise RuntimeError("interrupted")
        return _closure(model)()

    with pytest.raises(RuntimeError, match="interrupted"):
        optimizer.step(closure)
    assert torch.equal(_flat(model), before)
    perturbed = failing_pass == (2 if kind is SAM else 3)
    assert torch.equal(visited[-1], before) != perturbed  # the exception did come at the perturbed point


@BOTH
@pytest.mark.parametrize(
    ("base", "arguments"), [(torch.optim.SGD, {"lr": 0.1, "momentum": 0.9}), (torch.optim.AdamW, {"lr": 0.01})]
)
def test_state_round_trip_is_bit_identical(kind, base, arguments):
    model = _model()
    optimizer = kind(model.parameters(), base, rho=0.1, **arguments)
    for _ in range(3):
        optimizer.step(_closure(model))
    twin = _model()
    twin.load_state_dict(copy.deepcopy(model.state_dict()))
    other = kind(twin.parameters(), base, rho=0.1, **arguments)
    other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for _ in range(3):
        optimizer.step(_closure(model))
        other.step(_closure(twin))
    assert torch.equal(_flat(model), _flat(twin))


def test_momentum_and_weight_decay_belong_to_the_base_optimizer():
    """The base optimizer, fed with the perturbed gradients by hand, takes the same steps."""
    model = _model()
    twin = copy.deepcopy(model)
    optimizer = SAM(model.parameters(), rho=0.2, lr=0.1, momentum=0.9, weight_decay=0.01)
    base = torch.optim.SGD(twin.parameters(), lr=0.1, momentum=0.9, weight_decay=0.01)
    for _ in range(3):
        optimizer.step(_closure(model))
        base.zero_grad()
        _closure(twin)().backward()
        norm = torch.cat([p.grad.reshape(-1) for p in twin.parameters()]).norm()
        shifts = [0.2 * p.grad / norm for p in twin.parameters()]
        with torch.no_grad():
            for p, shift in zip(twin.parameters(), shifts, strict=True):
                p.add_(shift)
        base.zero_grad()
        _closure(twin)().backward()
        with torch.no_grad():
            for p, shift in zip(twin.parameters(), shifts, strict=True):
                p.sub_(shift)
        base.step()
    torch.testing.assert_close(_flat(model), _flat(twin), rtol=1e-12, atol=1e-14)


def test_groups_share_the_norm_and_have_their_own_radius():
    a, b = (nn.Parameter(torch.tensor([v], dtype=torch.float64)) for v in (3.0, 4.0))
    optimizer = SAM([{"params": [a], "rho": 0.5}, {"params": [b], "lr": 0.0}], rho=1.0, lr=1.0)
    seen = []

    def closure():
        seen.append((a.item(), b.item()))
        return 0.5 * (a**2 + b**2).sum()

    optimizer.step(closure)
    assert seen[0] == (3.0, 4.0)
    assert seen[1] == pytest.approx((3.0 + 0.5 * 0.6, 4.0 + 0.8))
    assert (a.item(), b.item()) == pytest.approx((3.0 - 3.3, 4.0))
    c = nn.Parameter(torch.zeros(1, dtype=torch.float64))
    optimizer.add_param_group({"params": [c]})
    assert optimizer.param_groups[-1]["lr"] == 1.0
    assert optimizer.base.param_groups is optimizer.param_groups


def test_schedulers_act_on_it():
    x = nn.Parameter(torch.ones(1))
    optimizer = SAM([x], rho=0.1, lr=1.0)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.5)
    optimizer.step(lambda: (x**2).sum())
    scheduler.step()
    assert optimizer.base.param_groups[0]["lr"] == 0.5


def test_unused_and_frozen_parameters_and_a_zero_gradient():
    x, unused = nn.Parameter(torch.zeros(2)), nn.Parameter(torch.ones(2))
    frozen = nn.Parameter(torch.ones(2), requires_grad=False)
    SAM([x, unused, frozen], rho=0.1, lr=1.0).step(lambda: (x**2).sum())
    assert (x.tolist(), unused.tolist(), frozen.tolist()) == ([0.0, 0.0], [1.0, 1.0], [1.0, 1.0])


def test_units():
    assert unit_(Vector([torch.zeros(3)])).flat().tolist() == [0, 0, 0]
    tiny = torch.tensor([3e-42, 4e-42])
    assert unit_(Vector([tiny])).flat().tolist() == pytest.approx([0.6, 0.8], rel=1e-2)  # subnormal: few digits


def test_parts_of_different_sizes_are_weighted_as_the_page_says():
    """Their plain mean is another loss."""
    found = {}
    for weighted in (True, False):
        model = _model()
        parts = [(x, y) for x, y in zip(DATA[0].split(4), DATA[1].split(4), strict=True)]  # 4, 4 and 2 examples

        def closure(x, y, model=model, weighted=weighted):
            return cross_entropy(model(x), y) * (len(x) * 3 / 10 if weighted else 1)

        SAM(model.parameters(), rho=0.3, lr=0.5).step([lambda x=x, y=y: closure(x, y) for x, y in parts])
        found[weighted] = _flat(model)
    twin = _model()
    SAM(twin.parameters(), rho=0.3, lr=0.5).step(_closure(twin))
    torch.testing.assert_close(found[True], _flat(twin), rtol=1e-12, atol=1e-14)
    assert not torch.allclose(found[False], _flat(twin), rtol=1e-3)


@pytest.mark.parametrize("keep", [False, True])
def test_a_closure_may_call_backward(keep):
    """As torch's LBFGS and Lightning ask; Eigen-SAM, which differentiates twice, says what it needs."""
    model, twin = _model(), _model()

    def with_backward():
        loss = _closure(model)()
        loss.backward(retain_graph=keep)
        return loss

    SAM(model.parameters(), rho=0.1, lr=0.1).step(with_backward)
    SAM(twin.parameters(), rho=0.1, lr=0.1).step(_closure(twin))
    assert torch.equal(_flat(model), _flat(twin))
    with pytest.raises(InputError, match="its closure must not call backward"):
        EigenSAM(model.parameters(), rho=0.1, lr=0.1).step(with_backward)
    own = EigenSAM(model.parameters(), rho=0.1, lr=0.1, curvature=_closure(model))
    own.step(with_backward)
    assert own.eigenvalue > 0


def test_refusals():
    model = _model()
    for rho in (-0.1, float("nan"), float("inf")):
        with pytest.raises(InputError, match=f"rho = {rho} is not a radius"):
            SAM(model.parameters(), rho=rho, lr=0.1)
    optimizer = SAM(model.parameters(), rho=0.1, lr=0.1)
    for wrong in (lambda: None, lambda: torch.ones(1), lambda: model(DATA[0])):
        with pytest.raises(InputError, match="closure must return the minibatch loss"):
            optimizer.step(wrong)

    with pytest.raises(InputError, match="no parameter requires a gradient"):
        SAM([torch.zeros(2)], rho=0.1, lr=0.1)
    sgd = torch.optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(InputError, match="not a state of SAM"):
        optimizer.load_state_dict(sgd.state_dict())
    eigen, other = (EigenSAM(m.parameters(), rho=0.1, lr=0.1) for m in (model, nn.Linear(4, 3).double()))
    eigen.step(_closure(model))
    with pytest.raises(InputError, match="the state has groups of"):
        other.load_state_dict(eigen.state_dict())
