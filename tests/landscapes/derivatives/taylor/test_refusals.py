"""What a Taylor expansion has no rule for, or a wrong one, is refused."""

import warnings

import numpy as np
import pytest
import torch
from torch.nn import functional

from eigensam.landscapes import NetworkFunction
from eigensam.landscapes.derivatives.taylor.gradient import taylor_gradients_of
from eigensam.landscapes.derivatives.taylor.jet import NotCoveredError

from .taylor_pass import _Custom, taylor


class _Straight(torch.autograd.Function):
    """A gradient that is not that of the forward function: no Taylor pass can know it."""

    @staticmethod
    def forward(ctx, x):
        return x.round()

    @staticmethod
    def backward(ctx, grad):
        return grad


class _StraightByShape(_Straight):
    @staticmethod
    def forward(ctx, x):
        return torch.ones(x.shape, dtype=torch.float64)


@torch.jit.script
def _scripted(x):
    return x * torch.sigmoid(x)


def _into_a_view(z):
    z[:, 0].mul_(2.0)
    return z


def _assigned(z):
    z = z * 1
    z[:, 0] = 1.0
    return z


@pytest.mark.parametrize(
    "function",
    [_Straight.apply, torch.cumsum, torch.erfinv, _into_a_view, _assigned, lambda z: z.detach() * z, lambda z: z.data,
     lambda z: z * float(z.sum()), lambda z: torch.zeros_like(z).add_(z), lambda z: z.float().double()],
)  # fmt: skip
def test_what_has_no_rule_is_refused_and_never_wrong(function):
    torch.manual_seed(0)
    if function is torch.cumsum:
        network = NetworkFunction(_Custom(lambda z: torch.cumsum(z, 1)).double(), functional.cross_entropy)
    else:
        network = NetworkFunction(_Custom(function).double(), functional.cross_entropy)
    batch = torch.randn(4, 12, dtype=torch.float64), torch.arange(4) % 3
    x = network.point()
    with pytest.raises(NotCoveredError):
        taylor(network, batch, x, torch.ones_like(x), (0.0, 0.0, 1.0))


def _in_place_under_a_view(view, change):
    def function(z):
        z = z * 1
        kept = view(z)
        change(z)
        return z + kept.reshape(-1)[: z.numel()].sum()

    return function


def _attend(z, **given):
    return functional.scaled_dot_product_attention(z, z, z, **given)


def _constructed(z):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch advises against it
        return z * torch.tensor(z).sum()


REFUSED = {
    "script": lambda z: _scripted(z) + z,
    "vmap": lambda z: torch.vmap(lambda r: r * r)(z) + z,
    "vmap of a constant": lambda z: torch.vmap(lambda r: r * z[0])(torch.ones(4, 3).double()),
    "constructor": _constructed,
    "straight-through by shape": lambda z: _StraightByShape.apply(z) * z,
    "flatten, then silu": _in_place_under_a_view(lambda z: z.flatten(), lambda z: functional.silu(z, inplace=True)),
    "reshape, then relu": _in_place_under_a_view(lambda z: z.reshape(2, 6), lambda z: functional.relu(z, inplace=True)),
    "slice, then relu_": _in_place_under_a_view(lambda z: z[:, :2], lambda z: z.relu_()),
    "unsqueeze, then +=": _in_place_under_a_view(lambda z: z.unsqueeze(1), lambda z: z.add_(1)),
    "view of a view": _in_place_under_a_view(lambda z: z.view(-1).view(3, 4), lambda z: z.mul_(2)),
    "contiguous of a transpose": lambda z: z.t().tanh().contiguous().add_(1).t() * z,
    "arrays around a slice": lambda z: z.view(2, 2, 3)[np.arange(2), :, np.arange(2)].sum() + z,
    "ranges around a slice": lambda z: z.view(2, 2, 3)[range(2), :, range(2)].t().sum(1).mean() * z,
    "nested lists": lambda z: z[[[0, 1], [1, 2]]],
    "axis of the coefficients": lambda z: z.sum(-3),
    "row that sees nothing": lambda z: _attend(z, attn_mask=torch.arange(4)[:, None].expand(4, 4) != 2),
    "two masks": lambda z: _attend(z, attn_mask=torch.zeros(4, 4).double(), is_causal=True),
    "one value per channel": lambda z: functional.batch_norm(z[:1], None, None, training=True).expand(4, -1),
    "unequal groups": lambda z: functional.group_norm(z[:2].view(1, 3, 2), 2).view(2, 3),
    "padding too long": lambda z: functional.pad(z, (0, 0, 0, 0, 0, 1)),
    "unknown reduction": lambda z: functional.mse_loss(z, z * 2, reduction="avg") * z,
    "broadcasting loss": lambda z: functional.binary_cross_entropy_with_logits(z, torch.ones(3).double()) * z,
    "unknown argument": lambda z: z * z.sum(1, keepdim=True, dtype=torch.float64),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_a_rule_would_get_wrong_is_refused(name):
    torch.manual_seed(0)
    network = NetworkFunction(_Custom(REFUSED[name]).double(), functional.cross_entropy)
    batch = torch.randn(4, 12, dtype=torch.float64), torch.arange(4) % 3
    x = network.point()
    with pytest.raises(NotCoveredError):
        taylor(network, batch, x, torch.ones_like(x), (0.0, 0.0, 1.0))


@pytest.mark.parametrize("given", [{"scale_grad_by_freq": True}, {"sparse": True}])
def test_embeddings_with_gradients_of_their_own_are_refused(given):
    table = torch.randn(4, 3, dtype=torch.float64)
    with pytest.raises(NotCoveredError):
        taylor_gradients_of(
            lambda p: functional.embedding(torch.tensor([0, 1, 1]), p[0], **given).square().sum(),
            [table], [torch.ones_like(table)], (0.0, 1.0),
        )  # fmt: skip


def test_no_gradient_blocks_are_refused():
    def without(z):
        with torch.no_grad():
            return z * 2

    network = NetworkFunction(_Custom(without).double(), functional.cross_entropy)
    batch = torch.randn(4, 12, dtype=torch.float64), torch.arange(4) % 3
    x = network.point()
    with pytest.raises(NotCoveredError, match="without gradients"):
        taylor(network, batch, x, torch.ones_like(x), (0.0, 1.0))
