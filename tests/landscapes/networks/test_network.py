"""Networks as landscapes: dense truths by torch.func in float64, and nothing of the module is disturbed."""

import copy

import pytest
import torch
from torch import nn
from torch.func import functional_call, grad
from torch.nn.functional import cross_entropy, mse_loss
from torch.utils.data import DataLoader, TensorDataset

from eigensam.ground import InputError
from eigensam.landscapes import NetworkLandscape, build_model


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)
        self.norm = nn.LayerNorm(4)
        self.head = nn.Linear(4, 3)

    def forward(self, x):
        x = x.view(-1, 2, 4)
        return self.head(self.norm(self.attention(x, x, x, need_weights=False)[0]).mean(1))


NETWORKS = {
    "mlp": lambda: nn.Sequential(nn.Linear(8, 5), nn.GELU(), nn.Linear(5, 3)),
    "batch-norm": lambda: nn.Sequential(nn.Linear(8, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 3)),
    "convolution": lambda: nn.Sequential(
        nn.Unflatten(1, (2, 2, 2)), nn.Conv2d(2, 3, 2, padding=1), nn.Softplus(), nn.AvgPool2d(3), nn.Flatten()
    ),
    "attention": Attention,
}


@pytest.fixture(params=[(name, mode) for name in NETWORKS for mode in ("train", "eval")], name="landscape")
def _landscape(request):
    name, mode = request.param
    torch.manual_seed(0)
    model = NETWORKS[name]().double()
    inputs, targets = torch.randn(12, 8, dtype=torch.float64), torch.arange(12) % 3
    return NetworkLandscape.from_tensors(model, cross_entropy, inputs, targets, batch_size=4, mode=mode)


def _dense_loss(landscape, minibatch):
    """A second path to the same function: an own deep copy in the right mode, parameters by name."""
    model = copy.deepcopy(landscape.network.model).train(landscape.network.mode == "train")
    inputs, targets = landscape.batches[minibatch]

    def loss(x):
        parts, at = {}, 0
        for name, p in model.named_parameters():
            parts[name] = x[at : at + p.numel()].reshape(p.shape)
            at += p.numel()
        buffers = {name: b.clone() for name, b in model.named_buffers()}
        with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
            return cross_entropy(functional_call(model, (parts, buffers), (inputs,)), targets)

    return loss


def test_derivatives_equal_dense_ones(landscape):
    """Truths: a dense Hessian by torch.func, and for the third derivative its central differences along u."""
    x, step = landscape.point(), 1e-5
    u = torch.randn(3, landscape.dim, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    gradients, seconds, thirds = (
        landscape.gradients(x),
        landscape.hessian_products(x, u),
        landscape.third_products(x, u),
    )
    for m in range(3):
        slope = grad(_dense_loss(landscape, m))
        hessian = torch.func.jacrev(slope)
        difference = (hessian(x + step * u[m]) - hessian(x - step * u[m])) @ u[m] / (2 * step)
        torch.testing.assert_close(gradients[m], slope(x), rtol=1e-10, atol=1e-12)
        torch.testing.assert_close(seconds[m], hessian(x) @ u[m], rtol=1e-9, atol=1e-11)
        torch.testing.assert_close(thirds[m], difference, rtol=1e-4, atol=1e-6 * difference.abs().max().item())
        torch.testing.assert_close(landscape.minibatch_gradient(x, m), gradients[m])
    torch.testing.assert_close(landscape.gradient(x), gradients.mean(0))
    torch.testing.assert_close(landscape.third_product(x, u[0]), landscape.third_products(x, u[0]).mean(0))


def test_batches_of_points(landscape):
    points = torch.stack([landscape.point(), landscape.point() * 0.9])[:, None]
    losses = landscape.losses(points)
    assert losses.shape == (2, 3)
    torch.testing.assert_close(landscape.gradients(points)[1], landscape.gradients(points[1, 0]))
    torch.testing.assert_close(landscape.gradient(points)[1], landscape.gradient(points[1, 0]))


def test_nothing_of_the_module_is_disturbed(landscape):
    landscape.network.model.train()
    list(landscape.network.model.modules())[-1].eval()  # a mixed mode must come back as it was
    modes = [module.training for module in landscape.network.model.modules()]
    before = copy.deepcopy(landscape.network.model.state_dict())
    landscape.third_product(landscape.point() + 0.1, torch.ones(landscape.dim, dtype=torch.float64))
    after = landscape.network.model.state_dict()
    assert [module.training for module in landscape.network.model.modules()] == modes
    assert all(torch.equal(after[name], before[name]) for name in before)
    assert all(p.grad is None for p in landscape.network.model.parameters())


def test_parameters_enter_as_views(landscape):
    x = landscape.point()
    seen = []

    def hook(_module, _inputs):
        seen.extend(p.data_ptr() for p in landscape.network.model.parameters())

    handle = landscape.network.model.register_forward_pre_hook(hook)
    landscape.minibatch_loss(x, 0)
    handle.remove()
    low, high = x.data_ptr(), x.data_ptr() + x.numel() * x.element_size()
    assert seen
    assert all(low <= pointer < high for pointer in seen)


def test_train_and_eval_differ_only_with_batch_norm():
    torch.manual_seed(0)
    model = NETWORKS["batch-norm"]().double()
    data = torch.randn(8, 8, dtype=torch.float64), torch.arange(8) % 3
    train, evaluate = (NetworkLandscape.from_tensors(model, cross_entropy, *data, mode=m) for m in ("train", "eval"))
    assert not torch.isclose(train.loss(train.point()), evaluate.loss(evaluate.point()))


@pytest.mark.parametrize("mode", ["train", "eval"])
@pytest.mark.parametrize(
    "layer",
    [
        lambda: nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5)),
        lambda: nn.Sequential(nn.Unflatten(1, (1, 4)), nn.TransformerEncoderLayer(4, 2, 8, 0.5, batch_first=True)),
    ],
)
def test_dropout_is_off_so_that_the_loss_is_a_function(layer, mode):
    model = nn.Sequential(layer(), nn.Flatten(), nn.LazyLinear(2))
    data = torch.randn(6, 4), torch.arange(6) % 2
    model(data[0])
    f = NetworkLandscape.from_tensors(model, cross_entropy, *data, mode=mode)
    assert f.loss(f.point()) == f.loss(f.point())


def test_chunks_change_memory_only():
    torch.manual_seed(0)
    model = NETWORKS["mlp"]().double()
    data = torch.randn(11, 8, dtype=torch.float64), torch.arange(11) % 3
    whole = NetworkLandscape.from_tensors(model, cross_entropy, *data)
    chunked = NetworkLandscape.from_tensors(model, cross_entropy, *data, chunk_size=4)
    x, u = whole.point(), torch.ones(whole.dim, dtype=torch.float64)
    torch.testing.assert_close(chunked.loss(x), whole.loss(x))
    for method in ("gradients", "gradient"):
        torch.testing.assert_close(getattr(chunked, method)(x), getattr(whole, method)(x))
    for method in ("hessian_products", "third_product"):
        torch.testing.assert_close(getattr(chunked, method)(x, u), getattr(whole, method)(x, u), rtol=1e-9, atol=1e-12)
    for size, mode in ((0, "eval"), (4, "train")):
        with pytest.raises(InputError, match=f"chunk_size = {size} in mode '{mode}'"):
            NetworkLandscape.from_tensors(model, cross_entropy, *data, mode=mode, chunk_size=size)


def test_load_point_and_loader():
    model = nn.Linear(3, 1)
    data = TensorDataset(torch.randn(10, 3), torch.randn(10, 1))
    f = NetworkLandscape.from_loader(model, mse_loss, DataLoader(data, batch_size=4, drop_last=True))
    assert (f.size, f.dim) == (2, 4)
    f.load_point(torch.arange(4.0))
    assert f.point().tolist() == [0, 1, 2, 3]


def test_frozen_parameters_are_no_coordinates():
    model = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 2))
    model[0].requires_grad_(False)
    f = NetworkLandscape.from_tensors(model, cross_entropy, torch.randn(4, 3), torch.arange(4) % 2)
    assert f.dim == 6


def test_refusals():
    model, data = nn.Linear(3, 2), (torch.randn(10, 3), torch.arange(10) % 2)
    loader = DataLoader(TensorDataset(*data), batch_size=4)
    with pytest.raises(InputError, match=r"sizes \[2, 4\]; expected equal ones, use drop_last=True"):
        NetworkLandscape.from_loader(model, cross_entropy, loader)
    with pytest.raises(InputError, match="found minibatches of sizes none"):
        NetworkLandscape(model, cross_entropy, [])
    with pytest.raises(InputError, match="batch size 11 does not fit 10 examples"):
        NetworkLandscape.from_tensors(model, cross_entropy, *data, batch_size=11)
    with pytest.raises(InputError, match="mode 'test' is not one of: train, eval"):
        NetworkLandscape.from_tensors(model, cross_entropy, *data, mode="test")
    with pytest.raises(InputError, match="is empty or has more inputs than targets"):
        NetworkLandscape(model, cross_entropy, [(data[0], data[1][:3])])
    vector = lambda o, t: cross_entropy(o, t, reduction="none")  # noqa: E731
    f = NetworkLandscape.from_tensors(model, vector, *data)
    with pytest.raises(InputError, match=r"the loss has shape \(10,\); expected the mean"):
        f.gradient(f.point())
    with pytest.raises(InputError, match="no trainable parameter"):
        NetworkLandscape.from_tensors(nn.Flatten(), cross_entropy, *data)


@pytest.mark.parametrize("name", ["mlp", "cnn6", "resnet18"])
def test_real_models_have_second_derivatives(name):
    torch.manual_seed(0)
    model = build_model(name, (3, 8, 8), 4)
    f = NetworkLandscape.from_tensors(model, cross_entropy, torch.randn(2, 3, 8, 8), torch.tensor([0, 1]), mode="train")
    x = f.point()
    v = torch.randn(f.dim, generator=torch.Generator().manual_seed(0))
    # symmetric: <w, H v> = <v, H w>
    w = torch.randn(f.dim, generator=torch.Generator().manual_seed(1))
    assert float(w @ f.hessian_product(x, v)) == pytest.approx(float(v @ f.hessian_product(x, w)), rel=1e-3, abs=1e-3)


@pytest.mark.parametrize("points_per_pass", [2, 100])
def test_several_points_in_one_pass(points_per_pass):
    """The same numbers as one point at a time, for losses and all contractions, with tensor coefficients."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.LayerNorm(4), nn.Linear(4, 2)).double()
    data = torch.randn(6, 3, dtype=torch.float64), torch.arange(6) % 2
    f, g = (
        NetworkLandscape.from_tensors(
            model, nn.functional.cross_entropy, *data, batch_size=2, chunk_size=1, points_per_pass=count
        )
        for count in (1, points_per_pass)
    )
    x = f.point() + torch.randn(5, 3, f.dim, dtype=torch.float64)
    u, w = torch.randn(5, 1, f.dim, dtype=torch.float64), torch.randn(3, f.dim, dtype=torch.float64)
    c = torch.randn(5, 1, dtype=torch.float64)
    terms = [(1.0, ()), (c, (u,)), (0.5, (u, w)), (2.0, (w,))]
    torch.testing.assert_close(g.losses(x), f.losses(x), rtol=1e-13, atol=0)
    torch.testing.assert_close(
        g.contracted_gradients(x, terms), f.contracted_gradients(x, terms), rtol=1e-12, atol=1e-13
    )


def test_points_per_pass_is_positive():
    with pytest.raises(InputError, match="points_per_pass = 0; it must be at least 1"):
        NetworkLandscape.from_tensors(
            nn.Linear(1, 1), nn.functional.mse_loss, torch.ones(1, 1), torch.ones(1, 1), points_per_pass=0
        )


def test_the_type_of_numbers_is_the_networks():
    f = NetworkLandscape.from_tensors(nn.Linear(1, 1), nn.functional.mse_loss, torch.ones(1, 1), torch.ones(1, 1))
    assert f.to(torch.float32) is f
    with pytest.raises(InputError, match=r"numbers of type torch\.float32 on cpu; convert it"):
        f.to(torch.float64)
