"""The Hessian product of EGR is right, or caught; and it leaves no trace on what the next step sees."""

import copy

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from eigensam.ground import InputError
from eigensam.optim import EGR

from .transcriptions import BATCHES, RHO, Egr, flat, flat_loss, loss_of, network


class _Cubed(torch.autograd.Function):
    """x^3 with the right gradient, and a second derivative that is 0 without a word."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * 3 * (x**2).detach()


@pytest.mark.parametrize("check", [True, False])
def test_a_wrong_second_derivative_is_caught(check):
    """x^3 at 1 and 2: the step is 3 x^2 + rho H g/|g|, with H = diag(6, 12); unchecked, H is lost."""
    x = nn.Parameter(torch.tensor([1.0, 2.0], dtype=torch.float64))
    g, h = torch.tensor([3.0, 12.0], dtype=torch.float64), torch.tensor([6.0, 12.0], dtype=torch.float64)
    optimizer = EGR([x], rho=0.5, lr=1.0, check=check)
    before = x.detach().clone()
    optimizer.step(lambda: _Cubed.apply(x).sum())
    found = before - x.detach()
    truth = g + 0.5 * h * g / g.norm()
    assert torch.allclose(found, truth, rtol=1e-6) == check
    assert torch.allclose(found, g) != check
    assert optimizer.checked.startswith("differences" if check else "not checked: switched off")


def test_it_is_the_gradient_of_the_regularised_loss():
    """Of f + rho |grad f|, by differences of that function's values."""
    model = network()
    f = flat_loss(model, BATCHES[0])
    x = flat(model)

    def objective(x):
        return f(x) + RHO * torch.func.grad(f)(x).norm()

    optimizer = EGR(model.parameters(), rho=RHO, lr=1.0)
    optimizer.step(loss_of(model, BATCHES[0]))
    found, h = x - flat(model), 1e-5
    axes = torch.eye(len(x), dtype=x.dtype)
    truth = torch.stack([(objective(x + h * axis) - objective(x - h * axis)) / (2 * h) for axis in axes])
    torch.testing.assert_close(found, truth, rtol=1e-6, atol=1e-8)
    assert optimizer.checked.startswith("within")


def test_dropout_goes_on_as_in_plain_training():
    """The masks of the next step are those that SGD would draw, also after the check in float64."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 40), nn.Dropout(0.5), nn.Linear(40, 3))
    twin, masks = copy.deepcopy(model), {}
    for name, net in (("egr", model), ("sgd", twin)):
        masks[name] = []
        net[1].register_forward_hook(lambda _m, _i, out, name=name: masks[name].append((out == 0).tolist()))
    inputs, targets = BATCHES[0][0].float(), BATCHES[0][1]
    torch.manual_seed(7)
    optimizer = EGR(model.parameters(), rho=0.1, lr=0.01)
    for _ in range(3):
        masks["egr"].clear()
        optimizer.step(lambda: cross_entropy(model(inputs), targets))
    last = masks["egr"][0]
    torch.manual_seed(7)
    for _ in range(3):
        twin(inputs)
    assert last == masks["sgd"][2] != masks["sgd"][1]


def test_batch_norm_moves_once():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Linear(5, 3)).double()
    twin = copy.deepcopy(model)
    EGR(model.parameters(), rho=RHO, lr=0.1).step(loss_of(model, BATCHES[0]))
    twin(BATCHES[0][0])
    assert torch.equal(model[1].running_mean, twin[1].running_mean)
    assert model[1].num_batches_tracked == 1


def test_scaled_gradients():
    """By ``scaler`` the step is the same; a closure that scales itself would be differentiated with the scale."""
    model, twin = network().float(), network().float()
    inputs, targets = BATCHES[0][0].float(), BATCHES[0][1]
    scaler = torch.amp.GradScaler("cpu", init_scale=64.0)
    optimizer = EGR(model.parameters(), rho=RHO, lr=0.1)
    optimizer.step(lambda: cross_entropy(model(inputs), targets), scaler=scaler)
    scaler.update()
    EGR(twin.parameters(), rho=RHO, lr=0.1).step(lambda: cross_entropy(twin(inputs), targets))
    torch.testing.assert_close(flat(model), flat(twin), rtol=1e-5, atol=1e-6)
    before = flat(model)
    with pytest.raises(InputError, match="the closure must return the plain loss"):
        optimizer.step(lambda: scaler.scale(cross_entropy(model(inputs), targets)), scaler=scaler)
    assert torch.equal(flat(model), before)


def test_refusals():
    model = network()
    optimizer = EGR(model.parameters(), rho=RHO, lr=0.1)

    def with_backward():
        loss = loss_of(model, BATCHES[0])()
        loss.backward()
        return loss

    before = flat(model)
    with pytest.raises(InputError, match="its closure must not call backward"):
        optimizer.step(with_backward)
    optimizer.zero_grad()
    z = nn.Parameter(torch.ones(2, dtype=torch.complex128))
    with pytest.raises(InputError, match="Hessian by complex parameters"):
        EGR([z], rho=RHO, lr=0.1).step(lambda: (z.abs() ** 2).sum())
    # a loss whose gradient is finite, and its derivative is not
    x = nn.Parameter(torch.zeros(2, dtype=torch.float64))
    wild = EGR([x], rho=RHO, lr=0.1, check=False, nonfinite="skip")
    wild.step(lambda: (x.abs() ** 1.5).sum() + x.sum())
    assert (wild.skipped, x.tolist()) == (1, [0.0, 0.0])
    assert torch.equal(flat(model), before)
    optimizer.step(loss_of(model, BATCHES[0]))
    dense = Egr({})
    truth = before - 0.1 * dense.direction([flat_loss(model, BATCHES[0])], before, torch.full_like(before, RHO))
    torch.testing.assert_close(flat(model), truth, rtol=1e-10, atol=1e-12)
