"""The check of derivatives: right networks of every kind pass it, wrong ones never do."""

import warnings

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.nn.functional import cross_entropy
from torchvision.models import resnet18

from eigensam.landscapes import Hessian, KinkWarning, NetworkDerivatives, NetworkFunction
from eigensam.landscapes.derivatives import derivative_check as comparisons
from eigensam.landscapes.networks.network_derivatives import NotDifferentiableError
from eigensam.landscapes.networks.route_check import RouteCheck, WrongDerivativeError
from eigensam.landscapes.runs.wide_resnet import WideResNet

D = torch.float64


class Residual(nn.Module):
    def __init__(self, *inner):
        super().__init__()
        self.inner = nn.Sequential(*inner)

    def forward(self, x):
        return x + self.inner(x)


class Last(nn.Module):
    """The last output of a recurrent network over rows of four."""

    def __init__(self, kind):
        super().__init__()
        self.recurrent, self.head = kind(4, 5, batch_first=True), nn.Linear(5, 3)

    def forward(self, x):
        return self.head(self.recurrent(x.view(len(x), 4, 4))[0][:, -1])


class Transformer(nn.Module):
    def __init__(self, mask=False, norm_first=False, activation="gelu"):
        super().__init__()
        self.block = nn.TransformerEncoderLayer(
            4, 2, 6, 0.1, activation=activation, batch_first=True, norm_first=norm_first
        )
        self.head, self.mask = nn.Linear(4, 3), mask

    def forward(self, x):
        x = x.view(len(x), 4, 4)
        mask = torch.ones(4, 4, dtype=torch.bool).triu(1) if self.mask else None
        padding = torch.zeros(len(x), 4, dtype=torch.bool)
        padding[:, 3] = self.mask
        return self.head(self.block(x, src_mask=mask, src_key_padding_mask=padding if self.mask else None)[:, 0])


class FloatMask(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention, self.head = nn.MultiheadAttention(4, 2, batch_first=True), nn.Linear(4, 3)
        self.mask = nn.Transformer.generate_square_subsequent_mask(4)  # in float32, and no buffer

    def forward(self, x):
        x = x.view(len(x), 4, 4)
        return self.head(self.attention(x, x, x, attn_mask=self.mask.to(x.dtype))[0][:, -1])


class SwiGLU(nn.Module):
    def __init__(self):
        super().__init__()
        self.gate, self.up, self.down = nn.Linear(16, 6), nn.Linear(16, 6), nn.Linear(6, 3)

    def forward(self, x):
        return self.down(functional.silu(self.gate(x)) * self.up(x))


class Fourier(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.head = nn.Linear(16, 16), nn.Linear(16, 3)

    def forward(self, x):
        return self.head(torch.fft.fft(torch.tanh(self.first(x))).real)


class Words(nn.Module):
    def __init__(self, padding=None):
        super().__init__()
        self.table, self.head = nn.Embedding(7, 4, padding_idx=padding), nn.Linear(4, 3)

    def forward(self, x):
        return self.head(torch.tanh(self.table((3 * x).long().abs() % 7).mean(1)))


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder, self.decoder, self.head = nn.Linear(16, 16), nn.Linear(16, 16), nn.Linear(16, 3)
        self.decoder.weight = self.encoder.weight

    def forward(self, x):
        return self.head(self.decoder(torch.tanh(self.encoder(x))))


class RootMeanSquare(nn.Module):
    """As language models have it: computed in float32, with a constant that is no buffer."""

    def __init__(self):
        super().__init__()
        self.weight, self.shift = nn.Parameter(torch.ones(16)), torch.full((16,), 0.1)

    def forward(self, x):
        h = x.to(torch.float32)
        h = h * torch.rsqrt(h.pow(2).mean(-1, keepdim=True) + 1e-6)
        return self.weight * h.to(x.dtype) + self.shift


def image(*layers, channels=4, size=4):
    return nn.Sequential(nn.Unflatten(1, (1, 4, 4)), *layers, nn.Flatten(), nn.Linear(channels * size, 3))


def conv(out=4, **options):
    return nn.Conv2d(1, out, 3, padding=1, **options)


NETWORKS = {
    "relu": lambda: nn.Sequential(nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 3)),
    "leaky, prelu": lambda: nn.Sequential(
        nn.Linear(16, 8), nn.LeakyReLU(), nn.Linear(8, 8), nn.PReLU(), nn.Linear(8, 3)
    ),
    "hard activations": lambda: nn.Sequential(
        nn.Linear(16, 8), nn.Hardtanh(), nn.Linear(8, 8), nn.ReLU6(), nn.Linear(8, 3)
    ),
    "smooth activations": lambda: nn.Sequential(
        nn.Linear(16, 8), nn.ELU(), nn.Linear(8, 8), nn.SELU(), nn.Linear(8, 8), nn.Mish(), nn.Linear(8, 3)
    ),
    "glu": lambda: nn.Sequential(nn.Linear(16, 8), nn.GLU(), nn.Linear(4, 3)),
    "residual": lambda: nn.Sequential(Residual(nn.Linear(16, 16), nn.GELU(), nn.Linear(16, 16)), nn.Linear(16, 3)),
    "rnn": lambda: Last(nn.RNN),
    "gru": lambda: Last(nn.GRU),
    "lstm": lambda: Last(nn.LSTM),
    "transformer": Transformer,
    "masked transformer": lambda: Transformer(mask=True),
    "attention with a mask": FloatMask,
    "relu transformer": lambda: Transformer(norm_first=True, activation="relu"),
    "batch norm": lambda: image(conv(), nn.BatchNorm2d(4), nn.ReLU(), size=16),
    "layer norm": lambda: nn.Sequential(nn.Linear(16, 8), nn.LayerNorm(8), nn.ReLU(), nn.Linear(8, 3)),
    "group norm": lambda: image(conv(), nn.GroupNorm(2, 4), nn.Tanh(), size=16),
    "instance norm": lambda: image(conv(), nn.InstanceNorm2d(4, affine=True), nn.GELU(), size=16),
    "local response norm": lambda: image(conv(), nn.LocalResponseNorm(2), nn.Tanh(), size=16),
    "rms norm": lambda: nn.Sequential(nn.Linear(16, 16), RootMeanSquare(), nn.SiLU(), nn.Linear(16, 3)),
    "torch's rms norm": lambda: nn.Sequential(nn.Linear(16, 8), nn.RMSNorm(8), nn.Tanh(), nn.Linear(8, 3)),
    "weight norm": lambda: nn.Sequential(
        nn.utils.parametrizations.weight_norm(nn.Linear(16, 8)), nn.Tanh(), nn.Linear(8, 3)
    ),
    "spectral norm": lambda: nn.Sequential(
        nn.utils.parametrizations.spectral_norm(nn.Linear(16, 8)), nn.Tanh(), nn.Linear(8, 3)
    ),
    "max pooling": lambda: image(conv(), nn.ReLU(), nn.MaxPool2d(2)),
    "average pooling": lambda: image(conv(), nn.Tanh(), nn.AvgPool2d(2)),
    "adaptive pooling": lambda: image(conv(), nn.Tanh(), nn.AdaptiveMaxPool2d(2)),
    "lp pooling": lambda: image(conv(), nn.Sigmoid(), nn.LPPool2d(2, 2)),
    "depthwise": lambda: image(conv(), nn.ReLU(), nn.Conv2d(4, 8, 3, groups=4), nn.GELU(), channels=8),
    "transposed": lambda: image(
        conv(2), nn.Tanh(), nn.ConvTranspose2d(2, 2, 3, 2, 1, output_padding=1), channels=8, size=16
    ),
    "dilated, strided": lambda: image(nn.Conv2d(1, 4, 2, dilation=2), nn.Tanh(), nn.Conv2d(4, 4, 2, 2), size=1),
    "pixel shuffle, upsampling": lambda: image(conv(), nn.PixelShuffle(2), nn.Upsample(scale_factor=0.5), nn.Tanh()),
    "embedding": Words,
    "embedding with padding": lambda: Words(padding=0),
    "tied": Tied,
    "swiglu": SwiGLU,
    "fourier": Fourier,
    "bilinear": lambda: nn.Sequential(nn.Linear(16, 6), Square(), nn.Linear(6, 3)),
    "dropout": lambda: nn.Sequential(nn.Linear(16, 8), nn.Dropout(0.5), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 3)),
}  # fmt: skip


class Square(nn.Module):
    def __init__(self):
        super().__init__()
        self.form = nn.Bilinear(6, 6, 6)

    def forward(self, x):
        return self.form(x, x)


def data(dtype, count=12):
    x = torch.randn(count, 16, generator=torch.Generator().manual_seed(0), dtype=D)
    return x.to(dtype), torch.arange(count) % 3


def products(network, batch):
    """A Hessian product and a third derivative by the automatic route, and what is said of them."""
    derivatives, x = NetworkDerivatives(network), network.point()
    u = torch.randn(network.dim, generator=torch.Generator().manual_seed(1), dtype=D).to(x)
    u /= u.norm()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", KinkWarning)
        return [derivatives.contracted_gradient(x, [(1.0, (u,) * k)], batch) for k in (1, 2)], derivatives


@pytest.mark.parametrize("mode", ["eval", "train"])
@pytest.mark.parametrize("name", NETWORKS)
def test_right_networks_pass(name, mode):
    """In float32 as in float64, by the same routes; and float32 gives what float64 gives."""
    found = {}
    for dtype in (D, torch.float32):
        torch.manual_seed(0)
        model = NETWORKS[name]().to(dtype)
        model.train()(data(dtype)[0])
        found[dtype], derivatives = products(NetworkFunction(model, cross_entropy, mode=mode), data(dtype))
        for order in (1, 2):
            assert derivatives.how_checked(order).startswith("within ")
            assert derivatives.how_checked(order).endswith(" of differences (float64, 8 examples)")
            assert "off differences" not in derivatives.used[order]
            assert not derivatives.used[order].startswith("difference")
    for exact, single in zip(found[D], found[torch.float32], strict=True):
        assert (single.double() - exact).norm() <= 2e-4 * exact.norm() + 1e-5


@pytest.mark.parametrize("mode", ["eval", "train"])
@pytest.mark.parametrize("build", [lambda: resnet18(num_classes=10), lambda: WideResNet(3, 10, depth=10, width=1)])
def test_deep_networks_with_rectifiers_pass(build, mode):
    """Differences of single-precision gradients of these are off by a tenth and more."""
    torch.manual_seed(0)
    model = build()
    inputs = torch.randn(16, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    batch = inputs, torch.arange(16) % 10
    model.train()(inputs)
    network = NetworkFunction(model, cross_entropy, mode=mode, parameters=["*conv*", "*.weight", "*.bias"])
    check = RouteCheck(network)
    check.admit("reverse", 1, network.point(), batch)
    assert check.found["reverse", 1].startswith("within ")
    assert "float64, 8 examples" in check.found["reverse", 1]


class Wrong(torch.autograd.Function):
    """A function whose backward pass multiplies by a constant where it should by something that moves."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x.detach().clone(), x.tanh())
        return x.tanh()

    @staticmethod
    def backward(ctx, grad):
        _, y = ctx.saved_tensors
        return grad * (1 - y * y)


class Layer(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


class WrongNorm(nn.Module):
    """Layer norm whose statistics are detached in the backward pass only: a gradient that is right to no order."""

    def forward(self, x):
        return LayerNormOnce.apply(x)


class LayerNormOnce(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        deviation = x.var(-1, keepdim=True, correction=0).add(1e-5).sqrt()
        normal = (x - x.mean(-1, keepdim=True)) / deviation
        ctx.save_for_backward(normal, deviation)
        return normal

    @staticmethod
    def backward(ctx, grad):
        normal, deviation = ctx.saved_tensors
        centred = grad - grad.mean(-1, keepdim=True) - normal * (grad * normal).mean(-1, keepdim=True)
        return centred / deviation


WRONG = {
    "a tanh": lambda: nn.Sequential(nn.Linear(16, 8), nn.ReLU(), Residual(Layer(Wrong.apply)), nn.Linear(8, 3)),
    "a norm behind a convolution": lambda: image(conv(), nn.ReLU(), WrongNorm(), size=16),
    "a small part": lambda: nn.Sequential(
        nn.Linear(16, 32), nn.GELU(), nn.Linear(32, 8), Layer(lambda z: z + 1e-3 * Wrong.apply(z)), nn.Linear(8, 3)
    ),
}  # fmt: skip


@pytest.mark.parametrize("dtype", [torch.float32, D])
@pytest.mark.parametrize("name", WRONG)
def test_wrong_networks_do_not(name, dtype):
    torch.manual_seed(0)
    network = NetworkFunction(WRONG[name]().to(dtype), cross_entropy)
    check = RouteCheck(network)
    with pytest.raises(
        WrongDerivativeError, match=r"off differences of gradients at '.*'; the fault lies in module '.*'"
    ):
        check.admit("reverse", 1, network.point(), data(dtype))
    assert not check.found
    derivatives = NetworkDerivatives(network)
    derivatives.contracted_gradient(network.point(), [(1.0, (network.point(),))], data(dtype))
    assert derivatives.used[1].startswith("difference (refused: reverse: by ")


class OnlySingle(torch.autograd.Function):
    """A kernel that exists in single precision only."""

    @staticmethod
    def forward(ctx, x, wrong):
        if x.dtype != torch.float32:
            raise RuntimeError("this kernel takes float32")
        ctx.save_for_backward(x * 2 if wrong else x)
        ctx.wrong = wrong
        return x**2

    @staticmethod
    def backward(ctx, grad):
        (saved,) = ctx.saved_tensors
        return grad * (saved if ctx.wrong else 2 * saved), None


@pytest.mark.parametrize("wrong", [False, True])
def test_a_network_that_cannot_be_computed_in_float64(wrong):
    torch.manual_seed(0)
    layer = Layer(lambda z: OnlySingle.apply(z, wrong))
    network = NetworkFunction(nn.Sequential(nn.Linear(16, 8), layer), lambda z, y: z.mean())
    check = RouteCheck(network)
    if wrong:  # grossly, which is all that can be seen there
        with pytest.raises(WrongDerivativeError):
            check.admit("reverse", 1, network.point(), data(torch.float32))
    else:
        check.admit("reverse", 1, network.point(), data(torch.float32))
        assert check.found["reverse", 1].startswith("weak check: within ")
        assert check.found["reverse", 1].endswith(" of differences (float32, 8 examples)")


def test_a_network_that_needs_the_whole_batch():
    class Fixed(nn.Module):
        def __init__(self):
            super().__init__()
            self.mix, self.head = nn.Parameter(torch.randn(12, 12) / 4), nn.Linear(16, 3)

        def forward(self, x):
            return self.head(torch.tanh(self.mix @ x))

    torch.manual_seed(0)
    network = NetworkFunction(Fixed().double(), cross_entropy)
    check = RouteCheck(network)
    check.admit("reverse", 1, network.point(), data(D))
    assert check.found["reverse", 1].endswith("(float64, 12 examples)")


def test_a_check_is_made_once_and_costs_few_gradients(monkeypatch):
    """Later calls cost nothing; a snapshot and its landscape know what either has found."""
    calls = []
    original = comparisons.compare_with_differences

    def counted(*arguments):
        calls.append(1)
        return original(*arguments)

    monkeypatch.setattr(comparisons, "compare_with_differences", counted)
    torch.manual_seed(0)
    network = NetworkFunction(NETWORKS["relu"]().double(), cross_entropy)
    derivatives, x = NetworkDerivatives(network), network.point()
    twin = derivatives.on(network.snapshot())
    for given in (derivatives, twin, derivatives):
        given.contracted_gradient(x, [(1.0, (x,))], data(D))
    assert len(calls) == 1
    assert twin.how_checked(1) == derivatives.how_checked(1)
    off = NetworkDerivatives(network, check=False)
    off.contracted_gradient(x, [(1.0, (x,))], data(D))
    assert len(calls) == 1
    assert off.how_checked(1) == "not checked: switched off"


def test_modules_are_as_they_were(monkeypatch):
    torch.manual_seed(0)
    model = NETWORKS["batch norm"]()
    model.train()(data(torch.float32)[0])
    model[1].eval()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    types = [(p.dtype, p.requires_grad) for p in model.parameters()]
    products(NetworkFunction(model, cross_entropy, mode="train"), data(torch.float32))
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert [(p.dtype, p.requires_grad) for p in model.parameters()] == types
    assert (model[1].training, model[2].training) == (False, True)
    assert all(p.grad is None for p in model.parameters())


class OfFixedSize(nn.Module):
    """Takes so many examples and no others."""

    def __init__(self, rows):
        super().__init__()
        self.rows = rows

    def forward(self, x):
        if len(x) != self.rows:
            raise ValueError(f"{self.rows} rows are needed")
        return x


def network_with(function, *layers):
    torch.manual_seed(0)
    return NetworkFunction(
        nn.Sequential(nn.Linear(16, 5), *layers, Layer(function), nn.Linear(5, 3)).double(), cross_entropy
    )


def test_a_gradient_of_no_function_is_refused_on_a_network_of_fixed_size():
    """Eight examples cannot be looked at, so all twelve are; it was passed over once."""
    network = network_with(lambda x: x * torch.sigmoid(x).detach(), OfFixedSize(12))
    with pytest.raises(NotDifferentiableError, match="not that of any function"):
        NetworkDerivatives(network).contracted_gradient(network.point(), [(1.0, (network.point(),))], data(D))


def test_what_is_wrong_is_found_once(monkeypatch):
    """Each Hessian of one landscape is an operator of its own; what one has found, the next knows."""
    calls, original = [], comparisons.compare_with_differences

    def counted(*arguments):
        calls.append(1)
        return original(*arguments)

    monkeypatch.setattr(comparisons, "compare_with_differences", counted)
    network = network_with(Wrong.apply)
    derivatives, x = NetworkDerivatives(network), network.point()
    first = Hessian(network, [data(D)], derivatives=derivatives) @ x
    seen = len(calls)
    assert torch.equal(Hessian(network, [data(D)], derivatives=derivatives) @ x, first)
    assert len(calls) == seen
    wrong = Hessian(network, [data(D)], derivatives=derivatives, check=False) @ x
    assert (wrong - first).norm() > 1e-2 * first.norm()  # what was asked for; and the others know nothing of it
    assert torch.equal(Hessian(network, [data(D)], derivatives=derivatives) @ x, first)


def test_one_rough_difference_is_not_remembered(monkeypatch):
    """A point at a kink is no reason to refuse the next one."""
    network = network_with(Wrong.apply)
    derivatives, x = NetworkDerivatives(network), network.point()
    take, rough = derivatives._difference.take, [True]

    def once(*arguments):
        if rough.pop() if rough else False:
            raise WrongDerivativeError("differences disagree")
        return take(*arguments)

    monkeypatch.setattr(derivatives._difference, "take", once)
    with pytest.raises(NotDifferentiableError, match="differences disagree"):
        derivatives.contracted_gradient(x, [(1.0, (x,))], data(D))
    assert derivatives.contracted_gradient(x, [(1.0, (x,))], data(D)).any()
    assert "disagree" not in derivatives.used[1]


@pytest.mark.parametrize("route", ["taylor", "difference", "reverse", "func"])
def test_every_route_has_the_gradient(route):
    network = network_with(torch.tanh)
    x = network.point()
    found = NetworkDerivatives(network, route).contracted_gradient(x, [(1.0, ())], data(D))
    truth = NetworkDerivatives(network).contracted_gradient(x, [(1.0, ())], data(D))
    torch.testing.assert_close(found, truth, rtol=1e-12, atol=1e-14)
    points, u = torch.stack([x, 0.9 * x]), torch.stack([x, x])
    rows = NetworkDerivatives(network, route).contracted_gradients(points, [(1.0, (u,))], data(D))
    singles = [NetworkDerivatives(network).contracted_gradient(p, [(1.0, (x,))], data(D)) for p in points]
    torch.testing.assert_close(rows, torch.stack(singles), rtol=1e-7, atol=1e-9)
