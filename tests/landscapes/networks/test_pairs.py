"""Pairs of a point and a minibatch in passes: one pair at a time, autograd and differences say the same."""

import warnings

import pytest
import torch
from torch import nn

from eigensam.ground import InputError
from eigensam.landscapes import KinkWarning, NetworkLandscape
from eigensam.landscapes.derivatives.taylor import elementwise
from eigensam.landscapes.derivatives.taylor.jet import is_mapped
from eigensam.landscapes.landscape import contracted_gradient_of
from eigensam.landscapes.networks import pair_routes
from eigensam.landscapes.networks.pair_routes import StackedBatches, take_pair_route
from eigensam.sde import coefficients, find_rule, truncate

D = torch.float64
cross_entropy = nn.functional.cross_entropy


def images(*layers):
    return nn.Sequential(nn.Unflatten(1, (1, 2, 3)), nn.Conv2d(1, 4, 3, padding=1), *layers, nn.Flatten())


NETWORKS = {
    "tanh": lambda: nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 3)),
    "relu": lambda: nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3)),
    "gelu, no bias": lambda: nn.Sequential(nn.Linear(6, 5, bias=False), nn.GELU(), nn.Linear(5, 3)),
    "layer norm": lambda: nn.Sequential(nn.LayerNorm(6), nn.Linear(6, 5), nn.LayerNorm(5), nn.SiLU(), nn.Linear(5, 3)),
    "batch norm": lambda: nn.Sequential(nn.BatchNorm1d(6), nn.Linear(6, 5), nn.BatchNorm1d(5), nn.Linear(5, 3)),
    "convolution": lambda: nn.Sequential(images(nn.GELU(), nn.MaxPool2d((1, 2))), nn.Linear(8, 3)),
    "convolution, batch norm": lambda: nn.Sequential(
        images(nn.BatchNorm2d(4), nn.ReLU(), nn.AvgPool2d((2, 1))), nn.Linear(12, 3)
    ),
}
MODES = [(name, mode) for name in NETWORKS for mode in ("eval", "train") if mode == "eval" or "batch norm" in name]


def landscape(model, dtype=D, loss=cross_entropy, **options):
    torch.manual_seed(1)
    model = model.to(dtype)
    for module in model.modules():  # statistics of their own
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    return NetworkLandscape.from_tensors(
        model, loss, torch.randn(20, 6, dtype=dtype), torch.arange(20) % 3, batch_size=5, **options
    )


def pairs(f, count=7):
    torch.manual_seed(2)
    x = f.point() + 0.1 * torch.randn(count, f.dim, dtype=f.dtype)
    u, w, c = torch.randn_like(x), torch.randn(f.dim, dtype=f.dtype), torch.randn(count, dtype=f.dtype)
    return x, u, w, c, torch.tensor([0, 3, 2, 1, 1, 0, 3] * (count // 7))


def all_terms(u, w, c):
    return {
        "gradient": [(1.0, ())],
        "first": [(c, ()), (0.5, (u,))],
        "second": [(c, ()), (0.5, (w,)), (c, (w, w))],
        "mixed": [(1.0, ()), (c, (u, w)), (2.0, (w,))],
    }


@pytest.mark.parametrize(("name", "mode"), MODES)
def test_passes_are_pairs_one_at_a_time(name, mode):
    """The loop; and autograd of each loss by itself, which knows nothing of routes."""
    f, g = (landscape(NETWORKS[name](), mode=mode, points_per_pass=count) for count in (3, 1))
    g.network.load_point(f.point())
    x, u, w, c, minibatches = pairs(f)
    routes = {"gradient": "vmap", "first": "vmap-taylor", "second": "vmap-taylor", "mixed": "vmap"}
    for kind, terms in all_terms(u, w, c).items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", KinkWarning)
            found, loop = f.pair_gradients(x, terms, minibatches), g.pair_gradients(x, terms, minibatches)
        order = {"gradient": 0, "first": 1}.get(kind, 2)
        assert f.derivatives.used[order] == routes[kind]
        assert "of one pair at a time (float64, 5 examples)" in f.derivatives.how_checked(order)
        torch.testing.assert_close(found, loop, rtol=1e-10, atol=1e-12)
        for i in (1, 6):
            alone = [
                (t[i] if isinstance(t, torch.Tensor) else t, [u[i] if a is u else a for a in given])
                for t, given in terms
            ]
            exact = contracted_gradient_of(lambda p, i=i: g.minibatch_loss(p, int(minibatches[i])), x[i], alone)
            torch.testing.assert_close(found[i], exact, rtol=1e-10, atol=1e-12)
    one = torch.stack([g.minibatch_loss(p, int(m)) for p, m in zip(x, minibatches, strict=True)])
    torch.testing.assert_close(f.pair_losses(x, minibatches), one, rtol=1e-12, atol=0)


@pytest.mark.parametrize("name", ["tanh", "layer norm", "convolution"])
def test_passes_agree_with_differences(name):
    f = landscape(NETWORKS[name](), points_per_pass=10)
    x, u, _, _, m = pairs(f)
    h = 3e-6

    def derivative(s, k):
        return f.pair_gradients(x + s * u, [(1.0, (u,) * k)], m)

    losses = (f.pair_losses(x + h * u, m) - f.pair_losses(x - h * u, m)) / (2 * h)
    torch.testing.assert_close((derivative(0, 0) * u).sum(1), losses, rtol=1e-6, atol=1e-8)
    for k in (1, 2):
        differences = (derivative(h, k - 1) - derivative(-h, k - 1)) / (2 * h)
        torch.testing.assert_close(derivative(0, k), differences, rtol=1e-5, atol=1e-5)


def test_single_precision():
    f, g = (landscape(NETWORKS["gelu, no bias"](), torch.float32, points_per_pass=count) for count in (4, 1))
    g.network.load_point(f.point())
    x, u, w, c, m = pairs(f)
    for terms in all_terms(u, w, c).values():
        torch.testing.assert_close(f.pair_gradients(x, terms, m), g.pair_gradients(x, terms, m), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["vmap", "vmap-taylor"])
def test_swapped_minibatches_are_seen(monkeypatch, name):
    """Wrong on purpose: pairs that see each other's data are refused, and taken one at a time."""
    right = StackedBatches.of

    def swapped(batches):
        stacked = right(batches)
        return StackedBatches([t.roll(1, 0) for t in stacked.tensors], stacked.first)

    monkeypatch.setattr(pair_routes.StackedBatches, "of", staticmethod(swapped))
    f, g = (landscape(NETWORKS["tanh"](), points_per_pass=count) for count in (7, 1))
    g.network.load_point(f.point())
    x, u, _, _, m = pairs(f)
    terms = [(1.0, (u,))] if name == "vmap-taylor" else [(1.0, ())]
    assert not torch.allclose(
        take_pair_route(name, f.network, x, terms, swapped([f.batches[i] for i in m])), g.pair_gradients(x, terms, m)
    )
    torch.testing.assert_close(f.pair_gradients(x, terms, m), g.pair_gradients(x, terms, m))
    used = f.derivatives.used[len(terms[0][1])]
    assert used.startswith("reverse one pair at a time (refused: ")
    assert f"{name}: by " in used
    assert "off the same pairs one at a time (float64)" in used
    torch.testing.assert_close(f.pair_losses(x, m), g.pair_losses(x, m))


def test_a_wrong_jet_is_seen(monkeypatch):
    """Wrong on purpose: the second derivative of tanh has the other sign, in passes only."""
    right = elementwise.applied

    def wrong(x, derivatives):
        sign = -1 if is_mapped() else 1
        return right(x, lambda v: (sign * d if k == 2 else d for k, d in enumerate(derivatives(v))))

    monkeypatch.setattr(elementwise, "applied", wrong)
    f, g = (landscape(NETWORKS["tanh"](), points_per_pass=count) for count in (7, 1))
    g.network.load_point(f.point())
    x, u, _, _, m = pairs(f)
    torch.testing.assert_close(f.pair_gradients(x, [(1.0, (u,))], m), g.pair_gradients(x, [(1.0, (u,))], m))
    assert f.derivatives.used[1].startswith("vmap (refused: vmap-taylor: by ")


class Looks(nn.Module):
    """Looks at values, which vmap cannot map."""

    def forward(self, x):
        return x if bool((x > 0).any()) else x + 0


class Swish(torch.autograd.Function):
    """Without a rule for vmap; its backward pass is wrong if differentiated."""

    @staticmethod
    def forward(ctx, x):
        s = torch.sigmoid(x)
        ctx.save_for_backward(x, s)
        return x * s

    @staticmethod
    def backward(ctx, grad):
        x, s = ctx.saved_tensors
        return grad * (s + x * s * (1 - s))


class Wrong(nn.Module):
    def forward(self, x):
        return Swish.apply(x)


@pytest.mark.parametrize("layer", [Looks, Wrong, lambda: nn.Dropout(0.5)])
def test_what_cannot_be_mapped_goes_one_at_a_time(layer):
    def model():
        return nn.Sequential(nn.Linear(6, 5), nn.Tanh(), layer(), nn.Linear(5, 3))

    f, g = (landscape(model(), points_per_pass=count) for count in (3, 1))
    g.network.load_point(f.point())
    x, u, w, c, m = pairs(f)
    for kind, terms in all_terms(u, w, c).items():
        if layer is Wrong and kind in ("second", "mixed"):
            continue  # no route has its third derivative
        torch.testing.assert_close(f.pair_gradients(x, terms, m), g.pair_gradients(x, terms, m), rtol=1e-7, atol=1e-9)
    torch.testing.assert_close(f.pair_losses(x, m), g.pair_losses(x, m))
    if layer in (Looks, Wrong):
        assert "one pair at a time (refused: vmap" in f.derivatives.used[0]


def test_ignored_and_ragged_targets():
    """Chunks that count differently, and minibatches that cannot be stacked."""

    def loss(outputs, targets):
        return cross_entropy(outputs, targets, ignore_index=2)

    f, g = (landscape(NETWORKS["tanh"](), loss=loss, points_per_pass=c, count=None) for c in (3, 1))
    g.network.load_point(f.point())
    x, u, _, _, m = pairs(f)
    terms = [(1.0, ()), (1.0, (u,))]
    torch.testing.assert_close(f.pair_gradients(x, terms, m), g.pair_gradients(x, terms, m))
    batches = [(x, y, "two kinds"[: 3 + i]) for i, (x, y) in enumerate(f.batches)]

    def own(outputs, batch):
        return cross_entropy(outputs, batch[1]) * len(batch[2])

    h, k = (
        NetworkLandscape(
            f.network.model, own, batches, forward=lambda model, batch: model(batch[0]), points_per_pass=count
        )
        for count in (4, 1)
    )
    torch.testing.assert_close(h.pair_gradients(x, terms, m), k.pair_gradients(x, terms, m))
    assert "differ in more than the values of their tensors" in h.derivatives.used[1]


def test_chunks_of_pairs():
    f = landscape(NETWORKS["gelu, no bias"](), points_per_pass=4, chunk_size=2)
    g = NetworkLandscape(f.network.model, cross_entropy, f.batches)
    x, u, w, c, m = pairs(f)
    for terms in all_terms(u, w, c).values():
        torch.testing.assert_close(f.pair_gradients(x, terms, m), g.pair_gradients(x, terms, m), rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(f.pair_losses(x, m), g.pair_losses(x, m))


@pytest.mark.parametrize("count", [2, 8, 1000])
@pytest.mark.parametrize("points", [1, 3])
def test_families_of_points_are_pairs(points, count):
    """Losses, gradients and means over minibatches, whatever the passes; the SDE's coefficients through all of it."""
    f = landscape(NETWORKS["tanh"](), points_per_pass=count)
    g = NetworkLandscape(f.network.model, cross_entropy, f.batches)
    x = (f.point() + 0.1 * torch.randn(points, 1, f.dim, dtype=D)).squeeze(0)
    u, c = torch.randn(4, f.dim, dtype=D), torch.randn(4, dtype=D)
    terms = [(1.0, ()), (c, (u,)), (0.3, (u, u))]
    torch.testing.assert_close(f.contracted_gradients(x, terms), g.contracted_gradients(x, terms))
    torch.testing.assert_close(f.contracted_gradient(x, terms), g.contracted_gradient(x, terms))
    torch.testing.assert_close(f.losses(x), g.losses(x))
    sde = truncate(find_rule("sam"), "1/3", 3)
    torch.testing.assert_close(coefficients(f, sde, x, 0.1).increments, coefficients(g, sde, x, 0.1).increments)


def test_a_subset_shares_what_is_known():
    f = landscape(NETWORKS["tanh"](), points_per_pass=4)
    part = f.subset([3, 1])
    x = f.point()
    torch.testing.assert_close(part.gradients(x), f.gradients(x)[[3, 1]])
    assert part.derivatives is f.derivatives
    assert (part.size, f.size, part.network) == (2, 4, f.network)
    for wrong in ([], [4], [-1]):
        with pytest.raises(InputError, match=r"of 4; give at least one, from 0 to 3"):
            f.subset(wrong)


def test_picked_minibatches():
    f = landscape(NETWORKS["tanh"](), points_per_pass=4)
    x, u, _, c, m = pairs(f)
    g = f.picked(m)
    torch.testing.assert_close(g.losses(x[:, None])[:, 0], f.pair_losses(x, m))
    terms = [(c[:, None], (u[:, None],)), (1.0, ())]
    torch.testing.assert_close(
        g.contracted_gradients(x[:, None], terms)[:, 0], f.pair_gradients(x, [(c, (u,)), terms[1]], m)
    )
    sde = truncate(find_rule("sam"), "1/2", 2)
    every = coefficients(f, sde, x[:, None], 0.1).increments
    torch.testing.assert_close(coefficients(g, sde, x[:, None], 0.1).increments[:, 0], every[range(7), m])
    with pytest.raises(InputError, match=r"do not fit 7 picked minibatches; give \(7, 1, 53\)"):
        g.losses(f.point())


def test_what_does_not_fit_is_refused():
    f = landscape(NETWORKS["tanh"]())
    x, u, _, c, m = pairs(f)
    for points, members in ((x, m[:2]), (x[0], m), (x[:, :3], m)):
        with pytest.raises(InputError, match="one minibatch for each point"):
            f.pair_gradients(points, [(1.0, ())], members)
    for members in (m + 1, m - 1, m.double(), m > 0):
        with pytest.raises(InputError, match="whole numbers from 0 to 3"):
            f.pair_gradients(x, [(1.0, ())], members)
    for term in ((1.0, (u[:3],)), (c[:3], (u,)), (c[:, None], ())):
        with pytest.raises(InputError, match="a term has a tensor of shape"):
            f.pair_gradients(x, [term], m)
