"""Three routes to the same contracted derivatives; what they refuse is said, and users' errors are not theirs."""

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from eigensam.ground import InputError
from eigensam.landscapes import NetworkDerivatives, NetworkFunction
from eigensam.landscapes.networks import network_derivatives as module
from eigensam.landscapes.networks import routes
from eigensam.landscapes.networks.network_derivatives import NotDifferentiableError
from eigensam.landscapes.networks.routes import is_refusal

BATCH = (
    torch.randn(7, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64),
    torch.arange(7) % 3,
)
ROUTES = ["taylor", "reverse", "func"]


def network_of(*layers, loss=cross_entropy):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 5), *layers, nn.Linear(5, 3)).double()
    return NetworkFunction(model, loss, mode="train")


def smooth():
    return network_of(nn.BatchNorm1d(5), nn.GELU(), nn.utils.parametrizations.weight_norm(nn.Linear(5, 5)), nn.Tanh())


class Apply(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


class Kernel(torch.autograd.Function):
    """``tanh`` whose backward pass is computed outside of torch's graph, as by a kernel of one's own."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x.tanh())
        return x.tanh()

    @staticmethod
    def backward(ctx, grad):
        (y,) = ctx.saved_tensors
        return torch.from_numpy(grad.detach().numpy() * (1 - y.detach().numpy() ** 2))


class Once(torch.autograd.Function):
    """``tanh`` with a backward pass as fused kernels have it."""

    @staticmethod
    def forward(ctx, x):
        y = x.tanh()
        ctx.save_for_backward(y)
        return y

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad):
        (y,) = ctx.saved_tensors
        return grad * (1 - y * y)


def point(network):
    u = torch.randn(network.dim, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return network.point(), u / u.norm()


@pytest.mark.parametrize("route", [*ROUTES, "auto"])
def test_every_route_against_differences_of_gradients(route):
    """``g + c_1 H u + c_2 T[u, u]``, with numbers, with tensors, and with a coefficient that carries a gradient."""
    network = smooth()
    derivatives = NetworkDerivatives(network, route)
    x, u = point(network)
    reverse = NetworkDerivatives(network, "reverse")

    def gradient(p):
        return reverse.contracted_gradient(p, [(1.0, ())], BATCH)

    h = 2e-3
    steps = {k: gradient(x + k * h * u) for k in (-2, -1, 0, 1, 2)}
    first = (8 * (steps[1] - steps[-1]) - (steps[2] - steps[-2])) / (12 * h)
    second = (16 * (steps[1] + steps[-1]) - (steps[2] + steps[-2]) - 30 * steps[0]) / (12 * h**2)
    truth = steps[0] + 0.3 * first + 0.045 * second
    exact = reverse.contracted_gradient(x, [(1.0, ()), (0.3, (u,)), (0.045, (u, u))], BATCH)
    torch.testing.assert_close(exact, truth, rtol=1e-6, atol=1e-7)
    assert (exact - steps[0] - 0.3 * first).norm() > 1e-3 * truth.norm()  # the third derivative counts
    c1, c2 = torch.tensor(0.3, dtype=torch.float64, requires_grad=True), torch.tensor([[0.045]], dtype=torch.float64)
    moving = x.clone().requires_grad_()
    for terms in ([(1.0, ()), (0.3, (u,)), (0.045, (u, u))], [(1.0, ()), (c1, (u,)), (c2, (u, u))]):
        found = derivatives.contracted_gradient(moving, terms, BATCH)
        torch.testing.assert_close(found, exact, rtol=1e-10, atol=1e-13)
        assert not found.requires_grad
    assert derivatives.used[2].startswith("taylor" if route == "auto" else route)


@pytest.mark.parametrize("route", ["reverse", "func"])
def test_several_directions_and_the_gradient(route):
    network = smooth()
    x, u = point(network)
    w = u.flip(0)
    derivatives, other = NetworkDerivatives(network, route), NetworkDerivatives(network, "auto")
    for terms in ([(1.0, (u, w))], [(2.0, ()), (1.0, (w,)), (0.5, (u, w))], [(1.5, ())], []):
        if terms or route == "reverse":
            torch.testing.assert_close(
                derivatives.contracted_gradient(x, terms, BATCH),
                other.contracted_gradient(x, terms, BATCH),
                rtol=1e-10,
                atol=1e-13,
            )
    with pytest.raises(NotDifferentiableError, match="along several directions"):
        NetworkDerivatives(network, "taylor").contracted_gradient(x, [(1.0, (u, w))], BATCH)


def test_used_says_the_route_and_what_was_refused(monkeypatch):
    network = network_of(Apply(lambda z: torch.cumsum(z, 1)), nn.Tanh())
    x, u = point(network)
    derivatives = NetworkDerivatives(network)
    derivatives.contracted_gradient(x, [(1.0, ())], BATCH)
    derivatives.contracted_gradient(x, [(1.0, (u,))], BATCH)  # so small that reverse passes come first
    third = derivatives.contracted_gradient(x, [(1.0, (u, u))], BATCH)
    assert derivatives.used == {0: "reverse", 1: "reverse", 2: "reverse (refused: taylor: cumsum)"}
    torch.testing.assert_close(
        third,
        NetworkDerivatives(network, "func").contracted_gradient(x, [(1.0, (u, u))], BATCH),
        rtol=1e-10,
        atol=1e-13,
    )
    with pytest.raises(NotDifferentiableError, match=r"route 'taylor' does not cover this network: cumsum; use.*auto"):
        NetworkDerivatives(network, "taylor").contracted_gradient(x, [(1.0, (u,))], BATCH)
    monkeypatch.setattr(module, "_SMALL", 0)
    derivatives = NetworkDerivatives(network)
    derivatives.contracted_gradient(x, [(1.0, (u,))], BATCH)
    assert derivatives.used[1] == "reverse (refused: taylor: cumsum)"
    large = NetworkDerivatives(smooth())
    large.contracted_gradient(*(lambda x, u: (x, [(1.0, (u,))]))(*point(large.network)), BATCH)
    assert large.used[1] == "taylor"


def test_a_refusal_is_remembered(monkeypatch):
    network = network_of(Apply(lambda z: torch.cumsum(z, 1)))
    x, u = point(network)
    derivatives, calls = NetworkDerivatives(network), []
    taylor = routes._ROUTES["taylor"]
    monkeypatch.setitem(routes._ROUTES, "taylor", lambda *a: (calls.append(1), taylor(*a))[1])
    for _ in range(3):
        derivatives.contracted_gradient(x, [(1.0, (u, u))], BATCH)
    assert len(calls) == 1


def test_nested_forward_passes_where_reverse_ones_are_refused():
    """A function whose double backward is refused, but whose forward derivative is known to ``torch.func``."""

    class Forward(torch.autograd.Function):
        @staticmethod
        def forward(x):
            return x.sin()

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.save_for_backward(*inputs)
            ctx.save_for_forward(*inputs)

        @staticmethod
        def backward(ctx, grad):
            return Slope.apply(*ctx.saved_tensors) * grad

        @staticmethod
        def jvp(ctx, tangent):
            return tangent * ctx.saved_tensors[0].cos()

    class Slope(torch.autograd.Function):
        @staticmethod
        def forward(x):
            return x.cos()

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.save_for_forward(*inputs)

        @staticmethod
        def backward(ctx, grad):
            raise NotImplementedError("the derivative for 'slope' is not implemented")

        @staticmethod
        def jvp(ctx, tangent):
            return -tangent * ctx.saved_tensors[0].sin()

    network, twin = network_of(Apply(Forward.apply)), network_of(Apply(torch.sin))
    x, u = point(network)
    derivatives = NetworkDerivatives(network)
    found = derivatives.contracted_gradient(x, [(1.0, (u,))], BATCH)
    truth = NetworkDerivatives(twin, "reverse").contracted_gradient(x, [(1.0, (u,))], BATCH)
    torch.testing.assert_close(found, truth, rtol=1e-10, atol=1e-13)
    assert derivatives.used[1] == "func (refused: reverse: the derivative for 'slope' is not implemented)"


@pytest.mark.parametrize(("function", "skip"), [(Once, False), (Once, True), (Kernel, False)])
def test_differences_where_no_other_route_goes_through(function, skip):
    """``torch.autograd.grad`` itself raises nothing here and is wrong by more than a tenth."""
    network = network_of(Apply((lambda z: z + function.apply(z)) if skip else function.apply))
    twin = network_of(Apply((lambda z: z + z.tanh()) if skip else torch.tanh))
    x, u = point(network)
    derivatives = NetworkDerivatives(network)
    truth = NetworkDerivatives(twin, "reverse").contracted_gradient(x, [(1.0, (u,))], BATCH)
    for _ in range(2):  # the second time from memory
        found = derivatives.contracted_gradient(x, [(1.0, (u,))], BATCH)
        torch.testing.assert_close(found, truth, rtol=1e-7, atol=1e-9)
        assert "once_differentiable" in derivatives.used[1]
        assert derivatives.how_checked(1).startswith("differences at two step sizes agree to ")
        # Nothing is left to take differences of.
        with pytest.raises(NotDifferentiableError, match=r"no derivative of order 3.*one order below is not to be had"):
            derivatives.contracted_gradient(x, [(1.0, (u, u))], BATCH)
    assert derivatives.contracted_gradient(x, [(1.0, ())], BATCH).isfinite().all()
    with pytest.raises(InputError, match=r"route 'reverse' does not cover.*once_differentiable.*; use route 'auto'"):
        NetworkDerivatives(network, "reverse").contracted_gradient(x, [(1.0, (u,))], BATCH)


def raising(error):
    def function(z):
        raise error

    return function


@pytest.mark.parametrize("route", ["auto", *ROUTES])
@pytest.mark.parametrize(
    "error",
    [KeyError("layer 7"), RuntimeError("sizes differ"), TypeError("no number"), ZeroDivisionError("by zero"),
     NotImplementedError("this padding is not implemented"), RuntimeError(), torch.OutOfMemoryError("out of memory"),
     RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 1000 bytes")],
    ids=lambda e: str(e)[:20],
)  # fmt: skip
def test_errors_of_the_network_come_out_as_they_are(route, error):
    network = network_of(Apply(raising(error)))
    x, u = point(network)
    with pytest.raises(type(error)) as caught:
        NetworkDerivatives(network, route).contracted_gradient(x, [(1.0, (u, u))], BATCH)
    assert caught.value is error
    assert caught.value.__cause__ is None


def test_out_of_memory_in_one_route_is_not_answered_by_another(monkeypatch):
    network = smooth()
    x, u = point(network)

    def full(*arguments):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setitem(routes._ROUTES, "taylor", full)
    with pytest.raises(torch.OutOfMemoryError):
        NetworkDerivatives(network).contracted_gradient(x, [(1.0, (u, u))], BATCH)


def test_shapes_that_do_not_fit_come_out_as_they_are():
    network = smooth()
    x, u = point(network)
    derivatives = NetworkDerivatives(network)
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        derivatives.contracted_gradient(x, [(1.0, (u, u))], (BATCH[0][:, :3], BATCH[1]))
    derivatives.contracted_gradient(x, [(1.0, (u, u))], BATCH)
    assert derivatives.used[2] == "taylor"  # the bad batch is not held against the route


@pytest.mark.parametrize("route", ["auto", "reverse"])
@pytest.mark.parametrize("order", [0, 1, 2])
def test_a_loss_that_cannot_be_differentiated_at_all(route, order):
    network = network_of(nn.Tanh(), loss=lambda z, y: (z.argmax(1) == y).double().mean())
    x, u = point(network)
    with pytest.raises(InputError, match=r"does not depend on the parameters \(0.weight, 0.bias, 2.weight, \.\.\.\)"):
        NetworkDerivatives(network, route).contracted_gradient(x, [(1.0, (u,) * order)], BATCH)


@pytest.mark.parametrize("route", ["auto", "reverse", "func"])
def test_a_loss_linear_in_the_parameters_has_no_curvature(route):
    torch.manual_seed(0)
    network = NetworkFunction(nn.Linear(4, 3).double(), lambda z, y: z.mean())
    x, u = point(network)
    derivatives = NetworkDerivatives(network, route)
    assert not derivatives.contracted_gradient(x, [(1.0, (u,))], BATCH).any()
    assert not derivatives.contracted_gradient(x, [(1.0, (u, u))], BATCH).any()
    assert derivatives.contracted_gradient(x, [(1.0, ())], BATCH).any()


@pytest.mark.parametrize(
    "context", [torch.no_grad, torch.inference_mode, lambda: torch.autocast("cpu", torch.bfloat16)]
)
@pytest.mark.parametrize("route", ROUTES)
def test_the_callers_contexts_do_not_matter(context, route):
    network = network_of(nn.Tanh())
    network.model.float()
    network = NetworkFunction(network.model, cross_entropy)
    x, u = (v.float() for v in point(network))
    batch = BATCH[0].float(), BATCH[1]
    derivatives = NetworkDerivatives(network, route)
    outside = derivatives.contracted_gradient(x, [(1.0, (u,))], batch)
    with context():
        assert torch.equal(derivatives.contracted_gradient(x, [(1.0, (u,))], batch), outside)


def test_bad_input_and_what_counts_as_a_refusal():
    with pytest.raises(InputError, match="unknown route 'backwards'; choose one of: auto, taylor, reverse, func"):
        NetworkDerivatives(smooth(), "backwards")
    assert is_refusal(NotImplementedError("derivative for aten::_flash_attention_backward is not implemented"))
    assert is_refusal(RuntimeError("torch.compile with aot_autograd does not currently support double backward"))
    assert not is_refusal(NotImplementedError("this padding is not implemented"))
    assert not is_refusal(ValueError("the derivative for 'x' is not implemented"))
