"""The Hessian of a closure's loss, as training loops have it."""

import gc
import weakref

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.nn.functional import cross_entropy
from torch.utils.checkpoint import checkpoint

from eigensam.ground import InputError
from eigensam.landscapes import ClosureCheck, ClosureHessian, Hessian, NetworkFunction, lanczos
from eigensam.landscapes.networks.route_comparison import UnsteadyLossError

D = torch.float64
GENERATOR = torch.Generator().manual_seed(0)
X, Y = torch.randn(10, 4, generator=GENERATOR, dtype=D), torch.arange(10) % 3


class Cube(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return 3 * x**2 * grad


class SavesWhatItComputed(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        y = x.tanh()
        ctx.save_for_backward(y, x)
        return y.clone()

    @staticmethod
    def backward(ctx, grad):
        y, _ = ctx.saved_tensors
        return grad * (1 - y * y)


class Apply(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def model_of(*layers, dtype=D):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 5), *layers, nn.Linear(5, 3)).to(dtype)


def operator_of(model, check=None, x=None, **options):
    x = X.to(next(model.parameters()).dtype) if x is None else x
    return ClosureHessian(lambda: cross_entropy(model(x), Y), list(model.parameters()), check)


def truth_of(model):
    return Hessian(NetworkFunction(model.double(), cross_entropy), [(X, Y)]).dense()


@pytest.mark.parametrize("dtype", [torch.float32, D])
def test_a_plain_network(dtype):
    model = model_of(nn.Tanh(), nn.Linear(5, 5), nn.ReLU(), dtype=dtype)
    before = [p.clone() for p in model.parameters()]
    operator = operator_of(model)
    assert (operator.used, operator.dtype) == ("graph", dtype)
    assert operator.checked.startswith("within ")
    assert operator.checked.endswith("differences (float64)")
    dense = operator.dense().double()
    assert all(torch.equal(p, q) and p.grad is None for p, q in zip(model.parameters(), before, strict=True))
    torch.testing.assert_close(dense, truth_of(model), rtol=1e-4 if dtype == torch.float32 else 1e-11, atol=1e-6)
    assert lanczos(operator_of(model)).checked.startswith("within ")


@pytest.mark.parametrize("dtype", [torch.float32, D])
@pytest.mark.parametrize("function", [SavesWhatItComputed.apply, Cube.apply])
def test_functions_whose_second_derivative_is_wrong(function, dtype):
    smooth = torch.tanh if function == SavesWhatItComputed.apply else lambda x: x**3
    rough = operator_of(model_of(Apply(function), dtype=dtype))
    truth = truth_of(model_of(Apply(smooth)))
    assert rough.used.startswith("difference (")
    assert "off differences of gradients" in rough.used or "once_differentiable" in rough.used
    assert (rough.dense().double() - truth).norm() < 1e-5 * truth.norm()
    assert rough.checked.startswith("differences at two step sizes agree to ")
    unchecked = operator_of(model_of(Apply(SavesWhatItComputed.apply), dtype=dtype), ClosureCheck(enabled=False))
    wrong_by = (unchecked.dense().double() - truth_of(model_of(nn.Tanh()))).norm() / truth.norm()
    assert wrong_by > 0.01
    assert unchecked.checked == "not checked: switched off"


@pytest.mark.parametrize("dtype", [torch.float32, D])
def test_a_function_on_a_parameter_itself(dtype):
    """Nobody can step in between; so differences move the parameter itself, for a moment."""
    w = nn.Parameter(torch.tensor([2.0, 0.5], dtype=dtype))
    before = w.detach().clone()
    operator = ClosureHessian(lambda: Cube.apply(w).sum() + w.square().sum() / 2, [w])
    dense = operator.dense()
    assert torch.equal(w, before)
    torch.testing.assert_close(
        dense, torch.diag(6 * before + 1), rtol=1e-3 if dtype == torch.float32 else 1e-8, atol=1e-3
    )
    assert "once_differentiable" in operator.used


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning", "ignore:`torch.jit:FutureWarning")
def test_compiled_code_is_checked_in_its_own_precision():
    model = torch.jit.script(model_of(nn.Tanh(), dtype=torch.float32))
    operator = operator_of(model)
    assert operator.used == "graph"
    assert operator.checked.startswith("weak check: within ")
    torch.testing.assert_close(operator.dense().double(), truth_of(model_of(nn.Tanh())), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("reentrant", [True, False])
def test_activation_checkpointing(reentrant):
    inner = nn.Sequential(nn.Linear(5, 5), nn.Tanh()).double()
    model = model_of(Apply(lambda z: checkpoint(inner, z, use_reentrant=reentrant)))
    plain = nn.Sequential(model[0], inner, model[2])
    parameters = list(plain.parameters())
    operator = ClosureHessian(lambda: cross_entropy(model(X), Y), parameters)
    torch.testing.assert_close(operator.dense(), truth_of(plain), rtol=1e-10, atol=1e-12)


def test_what_is_known_is_not_looked_at_again():
    model, check, calls = model_of(nn.ReLU()), ClosureCheck(), []

    def closure():
        calls.append(1)
        return cross_entropy(model(X), Y)

    counts = []
    for _ in range(3):
        calls.clear()
        ClosureHessian(closure, list(model.parameters()), check) @ torch.ones(43, dtype=D)
        counts.append(len(calls))
    assert counts[1:] == [1, 1]
    assert counts[0] <= 6


def test_random_numbers_are_refused():
    model = model_of(Apply(lambda z: functional.dropout(z, 0.5, training=True)))
    with pytest.raises(UnsteadyLossError, match="two evaluations at one point differ"):
        operator_of(model)


def test_errors_of_the_closure_come_out_as_they_are():
    error = KeyError("layer 7")

    def closure():
        raise error

    with pytest.raises(KeyError) as caught:
        ClosureHessian(closure, [nn.Parameter(torch.ones(2))])
    assert caught.value is error
    with pytest.raises(InputError, match="the closure must return the loss"):
        ClosureHessian(lambda: 3.0, [nn.Parameter(torch.ones(2))])
    with pytest.raises(InputError, match=r"does not depend on the parameters \(tensor 0\)"):
        ClosureHessian(lambda: torch.ones(()), [nn.Parameter(torch.ones(2))])


def test_noise_is_no_product():
    w, generator = nn.Parameter(torch.ones(3, dtype=D)), torch.Generator().manual_seed(0)

    def closure():
        return Cube.apply(w * (1 + torch.rand((), generator=generator, dtype=D))).sum()

    with pytest.raises(InputError, match="disagree by"):
        ClosureHessian(closure, [w], ClosureCheck(enabled=False)) @ torch.ones(3, dtype=D)


def test_a_linear_loss_has_no_curvature():
    w = nn.Parameter(torch.ones(3, dtype=D))
    operator = ClosureHessian(lambda: w.sum(), [w])
    assert not operator.dense().any()


@pytest.mark.parametrize("dtype", [torch.float32, D])
def test_parameters_that_have_to_be_positive(dtype):
    """A check looks near the parameters; where these must not go there, at them."""
    scale, y = nn.Parameter(torch.tensor([1e-3, 2.0], dtype=dtype)), torch.tensor([2e-3, 1.0], dtype=dtype)

    def closure():
        if not bool((scale > 0).all()):
            raise ValueError("a standard deviation is positive")
        return -torch.distributions.Normal(0.0, scale, validate_args=False).log_prob(y).sum()

    s, z = scale.detach().double(), y.double()
    operator = ClosureHessian(closure, [scale])
    torch.testing.assert_close(operator.dense().double(), torch.diag(3 * z**2 / s**4 - 1 / s**2), rtol=1e-3, atol=1e-3)
    assert operator.used == "graph"


def test_gradients_of_no_function_are_refused():
    """A straight-through pass: what reverse passes and what differences make of it are two things, and no Hessian."""
    model = model_of(Apply(lambda z: z * torch.sigmoid(z).detach()))
    with pytest.raises(InputError, match="not that of any function"):
        operator_of(model)
    unchecked = operator_of(model, ClosureCheck(enabled=False))
    assert unchecked.dense().any()
    assert unchecked.checked == "not checked: switched off"


def test_an_operator_is_freed_with_its_last_name():
    """Graphs are large; one that hangs in a cycle stays until the collector comes."""
    gc.collect()
    gc.disable()
    try:
        operator = operator_of(model_of(Apply(Cube.apply)))
        operator @ torch.ones(operator.dim, dtype=D)
        watch = weakref.ref(operator)
        del operator
        assert watch() is None
    finally:
        gc.enable()


def test_switched_off_is_said_where_differences_are_taken_all_the_same():
    operator = operator_of(model_of(Apply(Cube.apply)), ClosureCheck(enabled=False))
    operator @ torch.ones(operator.dim, dtype=D)
    assert operator.used.startswith("difference")
    assert operator.checked == "not checked: switched off"
