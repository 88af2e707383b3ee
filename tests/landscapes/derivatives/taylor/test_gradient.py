"""The Taylor pass against two truths in float64: jvp(jvp(grad)) and central differences of gradients."""

import warnings

import pytest
import torch
from torch import nn
from torch.func import functional_call, grad, jvp
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from eigensam.landscapes import KinkWarning, NetworkFunction, SmoothNorms, flatten, unflatten
from eigensam.landscapes.derivatives.taylor.gradient import taylor_gradients_of
from eigensam.landscapes.runs.wide_resnet import WideResNet

from .taylor_pass import _Custom, taylor


class Attention(nn.Module):
    def __init__(self, causal=False):
        super().__init__()
        self.causal = causal
        self.embed = nn.Linear(3, 8)
        self.token = nn.Parameter(torch.randn(1, 1, 8))
        self.position = nn.Parameter(torch.randn(1, 5, 8) * 0.1)
        self.block = nn.TransformerEncoderLayer(8, 2, 16, 0.0, activation="gelu", batch_first=True, norm_first=True)
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        x = torch.cat([self.token.expand(len(x), -1, -1), self.embed(x.view(len(x), 4, 3))], dim=1) + self.position
        mask = nn.Transformer.generate_square_subsequent_mask(5).to(x.dtype) if self.causal else None
        return self.head(self.block(x, src_mask=mask, is_causal=self.causal)[:, 0])


class OwnAttention(nn.Module):
    """As people write it: one projection, split, einsum, softmax."""

    def __init__(self, fused=True, causal=False):
        super().__init__()
        self.qkv, self.out, self.fused, self.causal = nn.Linear(6, 18), nn.Linear(6, 3), fused, causal

    def forward(self, x):
        q, k, v = self.qkv(x.view(len(x), 2, 6)).view(len(x), 2, 3, 2, 3).permute(2, 0, 3, 1, 4).unbind(0)
        if self.fused:
            y = functional.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        else:
            y = torch.softmax(q @ k.transpose(-2, -1) / 3**0.5, dim=-1) @ v
        return self.out(y.transpose(1, 2).reshape(len(x), 2, 6).mean(1))


class Arithmetic(nn.Module):
    """Functions that appear in people's own layers."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Parameter(torch.rand(12) + 0.5), nn.Parameter(torch.rand(3, 12))
        self.table = nn.Embedding(4, 12)

    def forward(self, x):
        h = x * self.a + 1.5
        h = h / (self.a.square() + 2) - (2 - h) * 0.3 + 1 / (h.pow(2) + 1)
        h += self.table(torch.arange(len(x)) % 4)
        h = torch.exp(-h.square()) + torch.log(h**2 + 1) + torch.sqrt(self.a + 1) + torch.sin(h) * torch.cos(self.a)
        h = torch.stack([h, -h], dim=1).sum(1, keepdim=True).squeeze(1) + torch.einsum("bi,i->bi", h, self.a)
        h = torch.sigmoid(h) * torch.rsqrt(h * h + 1) + functional.leaky_relu(h, 0.2) + torch.logsumexp(h, -1, True)
        return h @ self.b.t() - self.b.mean() * h[:, :1] + self.a[None, 3:6].unsqueeze(0).squeeze(0)


def image_net(*layers):
    return nn.Sequential(nn.Unflatten(1, (3, 2, 2)), *layers)


NETWORKS = {
    "linear, gelu": lambda: nn.Sequential(nn.Linear(12, 6), nn.GELU(), nn.Linear(6, 3)),
    "tanh gelu": lambda: nn.Sequential(nn.Linear(12, 6), nn.GELU("tanh"), nn.Linear(6, 3)),
    "tanh, softplus, silu": lambda: nn.Sequential(
        nn.Linear(12, 6), nn.Tanh(), nn.Linear(6, 5, bias=False), nn.Softplus(2.0), nn.Linear(5, 4), nn.SiLU(),
        nn.Linear(4, 3),
    ),
    "sigmoid, softmax, dropout": lambda: nn.Sequential(
        nn.Linear(12, 6), nn.Sigmoid(), nn.Dropout(0.5), nn.Linear(6, 5), nn.Softmax(1), nn.Linear(5, 3)
    ),
    "relu": lambda: nn.Sequential(
        nn.Linear(12, 6), nn.ReLU(inplace=True), nn.Linear(6, 5), nn.LeakyReLU(), nn.Linear(5, 3)
    ),
    "conv, pooling": lambda: image_net(
        nn.Conv2d(3, 4, 3, padding=1),
        nn.Tanh(),
        nn.Conv2d(4, 4, 3, padding="same", groups=2, bias=False),
        nn.GELU(),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(4, 3),
    ),
    "strided conv, max pooling": lambda: image_net(
        nn.Upsample(scale_factor=3),
        nn.Conv2d(3, 4, 2, stride=2, dilation=2),
        nn.Tanh(),
        nn.MaxPool2d(2, 1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 3),
    ),
    "batch norm": lambda: image_net(
        nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Tanh(), nn.Flatten(), nn.Linear(16, 5), nn.BatchNorm1d(5),
        nn.Linear(5, 3),
    ),
    "layer, group, instance norm": lambda: image_net(
        nn.Conv2d(3, 4, 1), nn.GroupNorm(2, 4), nn.GELU(), nn.InstanceNorm2d(4, affine=True), nn.Flatten(),
        nn.Linear(16, 5), nn.LayerNorm(5), nn.Linear(5, 3),
    ),
    "conv1d": lambda: nn.Sequential(
        nn.Unflatten(1, (3, 4)), nn.Conv1d(3, 4, 2), nn.GELU(), nn.AvgPool1d(2), nn.Flatten(), nn.Linear(4, 3)
    ),
    "transformer": Attention,
    "causal transformer": lambda: Attention(causal=True),
    "own attention": OwnAttention,
    "own causal attention": lambda: OwnAttention(causal=True),
    "plain attention": lambda: OwnAttention(fused=False),
    "arithmetic": Arithmetic,
    "weight norm": lambda: nn.Sequential(
        nn.utils.parametrizations.weight_norm(nn.Linear(12, 6)), nn.Tanh(), nn.Unflatten(1, (3, 2)),
        nn.utils.parametrizations.weight_norm(nn.Conv1d(3, 4, 2)), nn.Flatten(), nn.Linear(4, 3),
    ),
    "residual network": lambda: image_net(nn.Upsample(scale_factor=2), WideResNet(3, 3, depth=10, width=1)),
}  # fmt: skip
LOSSES = {
    "cross-entropy": functional.cross_entropy,
    "squared cross-entropy": lambda z, y: functional.cross_entropy(z, y) ** 2,  # looks at all its coefficients
    "smoothed": lambda z, y: functional.cross_entropy(z, y, label_smoothing=0.1),
    "summed": lambda z, y: functional.cross_entropy(z, y, reduction="sum"),
    "soft targets": lambda z, y: functional.cross_entropy(z, functional.one_hot(y, 3).to(z) * 0.8 + 0.1),
    "likelihood": lambda z, y: functional.nll_loss(functional.log_softmax(z, 1), y),
    "squares": lambda z, y: functional.mse_loss(z + 0, functional.one_hot(y, 3).to(z), reduction="none").mean(),
    "sigmoids": lambda z, y: functional.binary_cross_entropy_with_logits(z, functional.one_hot(y, 3).to(z)),
}
COEFFICIENTS = [(0.0, 1.0), (1.0, 0.3), (0.0, 0.0, 1.0), (1.0, 0.3, 0.045)]


def problem(name, loss="cross-entropy", mode="train", seed=0):
    torch.manual_seed(seed)
    network = NetworkFunction(NETWORKS[name]().double(), LOSSES[loss], mode=mode)
    batch = torch.randn(7, 12, dtype=torch.float64), torch.arange(7) % 3
    u = torch.randn(network.dim, dtype=torch.float64)
    return network, batch, network.point(), u / u.norm()


def nested_forward_mode(network, batch, x, u):
    """First, second and third derivative, contracted with ``u``."""
    gradient = grad(lambda p: network.loss(unflatten(p, network.shapes), batch))

    def along(p):
        return jvp(gradient, (p,), (u,))[1]

    with SmoothNorms(3), sdpa_kernel(SDPBackend.MATH):
        first, second = jvp(along, (x,), (u,))
        return gradient(x), first, second


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("mode", ["train", "eval"])
def test_every_layer_against_nested_forward_mode(name, mode):
    network, batch, x, u = problem(name, mode=mode)
    truths = nested_forward_mode(network, batch, x, u)
    for coefficients in COEFFICIENTS:
        truth = sum(c * t for c, t in zip(coefficients, truths, strict=False))
        torch.testing.assert_close(taylor(network, batch, x, u, coefficients), truth, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_layer_against_differences_of_gradients(name):
    """No derivative formula beyond the gradient is trusted here: Richardson's extrapolated central differences."""
    network, batch, x, u = problem(name)

    def gradient(p):
        leaves = [part.detach().requires_grad_() for part in unflatten(p, network.shapes)]
        return flatten(torch.autograd.grad(network.loss(leaves, batch), leaves))

    def differences(h):
        plus, minus = gradient(x + h * u), gradient(x - h * u)
        return (plus - minus) / (2 * h), (plus - 2 * gradient(x) + minus) / h**2

    h = 1e-3
    first, second = (4 * fine / 3 - coarse / 3 for fine, coarse in zip(differences(h), differences(2 * h), strict=True))
    scale = second.norm()
    assert (taylor(network, batch, x, u, (0.0, 1.0)) - first).norm() < 1e-8 * first.norm()
    assert (taylor(network, batch, x, u, (0.0, 0.0, 1.0)) - second).norm() < 1e-6 * scale
    # the same comparison sees a wrong coefficient
    assert (taylor(network, batch, x, u, (0.0, 0.0, 1.001)) - second).norm() > 1e-4 * scale


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss(loss):
    network, batch, x, u = problem("linear, gelu", loss)
    truths = nested_forward_mode(network, batch, x, u)
    for coefficients in COEFFICIENTS:
        truth = sum(c * t for c, t in zip(coefficients, truths, strict=False))
        torch.testing.assert_close(taylor(network, batch, x, u, coefficients), truth, rtol=1e-9, atol=1e-11)


def test_float32_is_as_exact_as_float32_allows():
    network, batch, x, u = problem("linear, gelu")
    truth = taylor(network, batch, x, u, (1.0, 0.3, 0.045))
    single = NetworkFunction(network.model.float(), network.loss_function, mode="train")
    found = taylor(single, (batch[0].float(), batch[1]), x.float(), u.float(), (1.0, 0.3, 0.045))
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), truth, rtol=1e-4, atol=1e-6)


def test_a_subset_of_parameters_and_a_frozen_one():
    network, batch, x, u = problem("linear, gelu")
    part = NetworkFunction(network.model, network.loss_function, parameters=["2.*"])
    u[: -part.dim] = 0
    whole = taylor(network, batch, x, u, (1.0, 0.3, 0.045))
    found = taylor(part, batch, x[-part.dim :], u[-part.dim :], (1.0, 0.3, 0.045))
    torch.testing.assert_close(found, whole[-part.dim :], rtol=1e-12, atol=1e-14)


def test_piecewise_linear_networks_warn_about_third_derivatives_only():
    network, batch, x, u = problem("relu")
    pieces = [unflatten(v, network.shapes) for v in (x, u)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        taylor_gradients_of(lambda p: network.loss(p, batch), *pieces, (0.0, 1.0))
    with pytest.warns(KinkWarning, match="almost everywhere"):
        taylor_gradients_of(lambda p: network.loss(p, batch), *pieces, (0.0, 0.0, 1.0))


def _changed_copy(copy):
    def function(z):
        total = z.tanh().sum()
        other = copy(total)
        other.add_(1.0)
        return z * total * other

    return function


_ATTENTION = nn.MultiheadAttention(3, 1, batch_first=True).double()


def _weighted(z, **given):
    mask = torch.ones(4, 4, dtype=torch.bool).triu(1)
    mixed, weights = _ATTENTION(z[None], z[None].sin(), z[None], attn_mask=mask, **given)
    return mixed[0] if weights is None else mixed[0] * weights.flatten(0, -3)[0].sum(0)[:, None]


@pytest.mark.parametrize(
    "function",
    [_changed_copy(lambda z: z.to(torch.float64, copy=True)), _changed_copy(torch.sum),
     _changed_copy(torch.mean), _changed_copy(torch.clone),
     lambda z: z + z.flatten().sum() * functional.silu(z * 1, inplace=True),
     lambda z: z * z.sum(dim=(), keepdim=True), lambda z: z * z.mean(dim=[]),
     lambda z: z[[1, 0, 2, 3], [2, 1, 0, 0]] + z.t(),
     _weighted, lambda z: _weighted(z, average_attn_weights=False), lambda z: _weighted(z, need_weights=False),
     lambda z: _weighted(z, need_weights=False, is_causal=True),
     lambda z: functional.scaled_dot_product_attention(*torch.ones(2, 4, 3).double(), z)],
)  # fmt: skip
def test_functions_against_nested_forward_mode(function):
    torch.manual_seed(0)
    network = NetworkFunction(_Custom(function).double(), lambda z, y: z.sin().sum())
    batch = torch.randn(4, 12, dtype=torch.float64), torch.arange(4) % 3
    x = network.point()
    u = torch.ones_like(x) / x.norm()
    truths = nested_forward_mode(network, batch, x, u)
    for coefficients in COEFFICIENTS:
        truth = sum(c * t for c, t in zip(coefficients, truths, strict=False))
        torch.testing.assert_close(taylor(network, batch, x, u, coefficients), truth, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("logit", [-28.0, 3.0, 25.0])
def test_the_tails_of_the_binary_cross_entropy(logit):
    """Third derivative ``s (1 - s) (1 - 2 s)``."""
    point = torch.tensor([[logit]], dtype=torch.float64)
    one = torch.ones_like(point)

    def loss(parameters):
        return functional.binary_cross_entropy_with_logits(parameters[0], one)

    (found,) = taylor_gradients_of(loss, [point], [one], (0.0, 0.0, 1.0))
    s, rest = torch.sigmoid(point), torch.sigmoid(-point)
    torch.testing.assert_close(found, s * rest * (rest - s), rtol=1e-12, atol=0.0)


def test_the_module_is_left_as_it_was():
    network, batch, x, u = problem("batch norm")
    before = {name: value.clone() for name, value in network.model.state_dict().items()}
    taylor(network, batch, x, u, (1.0, 0.3, 0.045))
    assert all(torch.equal(value, before[name]) for name, value in network.model.state_dict().items())
    assert all(type(p) is nn.Parameter and p.grad is None for p in network.model.parameters())
    assert functional_call(network.model, {}, (batch[0],)).shape == (7, 3)
