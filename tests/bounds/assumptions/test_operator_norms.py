"""Constants of single layers: against dense matrices and slopes on a grid."""

import pytest
import torch
from scipy.optimize import minimize_scalar
from torch import nn

from eigensam.bounds.assumptions import operator_norms
from eigensam.bounds.assumptions.input_lipschitz import input_lipschitz_row, norm_product, perceptron_of
from eigensam.bounds.assumptions.operator_norms import convolution_norm, layer_constant, slopes


def dense_norm(layer, shape):
    """Of an affine layer: its Jacobian, whole."""
    layer = layer.double().eval()
    jacobian = torch.autograd.functional.jacobian(lambda a: layer(a[None])[0].flatten(), torch.randn(shape).double())
    return float(torch.linalg.matrix_norm(jacobian.flatten(1), 2))


CONVOLUTIONS = [
    nn.Conv2d(2, 3, 3, padding=1),
    nn.Conv2d(2, 4, (2, 3), padding=2),
    nn.Conv2d(2, 3, 3, stride=2),
    nn.Conv2d(2, 4, 3, padding=2, dilation=2),
    nn.Conv2d(4, 4, 3, padding=1, groups=2),
    nn.Conv2d(2, 3, 1),
]


@pytest.mark.parametrize("layer", CONVOLUTIONS, ids=str)
def test_convolutions(layer, monkeypatch):
    torch.manual_seed(0)
    nn.init.normal_(layer.weight)
    shape = (layer.in_channels, 7, 6)
    found, true = convolution_norm(layer, 7, 6), dense_norm(layer, shape)
    assert true <= found
    if layer.stride == (1, 1):
        assert found <= 1.35 * true  # a kernel that wraps around would be bounded, too, but not the one of the image
    assert layer_constant(nn.Conv2d(1, 1, 3, padding=1, padding_mode="reflect"), (1, 8, 8)) is None
    monkeypatch.setattr(operator_norms, "_MOST_ENTRIES", 10)
    assert found <= convolution_norm(layer, 7, 6) <= 9 * found  # the sum over pixels


@pytest.mark.parametrize(
    "layer", [nn.AvgPool2d(2), nn.AvgPool2d(3, 1), nn.AvgPool2d((2, 3)), nn.AvgPool2d(3, 2)], ids=str
)
def test_mean_pooling(layer):
    found, true = layer_constant(layer, (2, 8, 8)), dense_norm(layer, (2, 8, 8))
    assert true <= found <= 1.5 * true


def test_max_pooling():
    """An input in several windows counts in each: overlapping windows stretch."""
    torch.manual_seed(0)
    for layer in (nn.MaxPool2d(2), nn.MaxPool2d(3, 1), nn.MaxPool2d(3, 2, padding=1)):
        a = torch.zeros(1, 1, 9, 9).double()
        b = a.clone()
        b[0, 0, 4, 4] = 1
        stretched = float((layer(b) - layer(a)).norm() / (b - a).norm())
        assert stretched <= layer_constant(layer, (1, 9, 9))
    assert stretched < layer_constant(nn.MaxPool2d(3, 1), (1, 9, 9))
    assert float((nn.MaxPool2d(3, 1)(b) - nn.MaxPool2d(3, 1)(a)).norm()) == 3
    assert layer_constant(nn.MaxPool2d(2, dilation=2), (1, 9, 9)) is None


def test_other_layers():
    norm = nn.BatchNorm2d(3)
    norm.running_var.copy_(torch.tensor([0.25, 1.0, 4.0]))
    norm.weight.data = torch.tensor([1.0, -3.0, 1.0])
    assert layer_constant(norm.eval(), (3, 4, 4)) == pytest.approx(dense_norm(norm, (3, 4, 4)), rel=1e-6)
    linear = nn.Linear(5, 3)
    assert layer_constant(linear, (5,)) >= dense_norm(linear, (5,))
    assert layer_constant(linear, (5,)) == pytest.approx(dense_norm(linear, (5,)), rel=1e-6)
    assert layer_constant(nn.LayerNorm(3), (3,)) is None
    assert layer_constant(nn.AvgPool2d(2, ceil_mode=True), (1, 9, 9)) is None


@pytest.mark.parametrize(
    "activation",
    [nn.GELU(), nn.SiLU(), nn.Tanh(), nn.Sigmoid(), nn.Softplus(), nn.ReLU(), nn.LogSigmoid(), nn.Softsign(),
     nn.Tanhshrink(), nn.LeakyReLU(0.2), nn.LeakyReLU(1.5), nn.Hardtanh(), nn.ReLU6()],
    ids=str,
)  # fmt: skip
def test_slopes(activation):
    """On a grid of 10^5 points none is outside, and both ends are nearly taken."""
    t = torch.linspace(-30, 30, 100_001, dtype=torch.float64, requires_grad=True)
    (found,) = torch.autograd.grad(activation(t).sum(), t)
    low, high = slopes(activation)
    assert low <= found.min() + 1e-15
    assert found.max() <= high
    assert (float(found.min()), float(found.max())) == pytest.approx((low, high), abs=2e-3)


@pytest.mark.parametrize("activation", [nn.GELU(), nn.SiLU()], ids=str)
def test_slopes_to_all_digits(activation):
    """The maximum by another method, to ten digits: the table's end lies just beyond it."""

    def slope(t):
        t = torch.tensor(t, dtype=torch.float64, requires_grad=True)
        return float(torch.autograd.grad(activation(t), t)[0])

    top = -minimize_scalar(lambda t: -slope(t), bounds=(1, 3), method="bounded", options={"xatol": 1e-9}).fun
    low, high = slopes(activation)
    assert 0 <= high - top < 1e-6
    assert low + high == pytest.approx(1)  # slopes at t and -t add to 1


def test_unknown_activations():
    assert slopes(nn.GELU(approximate="tanh")) is None
    assert slopes(nn.ELU()) is None


def test_chains():
    layers = [nn.Flatten(), nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2)]
    norms = [float(torch.linalg.matrix_norm(layers[i].weight.detach(), 2)) for i in (1, 3)]
    product = norms[0] * norms[1]
    assert norm_product(layers, (1, 2, 2)) == pytest.approx(product, rel=1e-5)
    assert norm_product([*layers, nn.LayerNorm(2)], (1, 2, 2)) is None
    for other in ([nn.Linear(2, 2)], layers[:-1], [nn.Linear(2, 2), nn.ELU(), nn.Linear(2, 2)],
                  [nn.Linear(2, 2), nn.Tanh(), nn.Tanh()], [nn.Tanh(), nn.Linear(2, 2), nn.Tanh()]):  # fmt: skip
        assert perceptron_of(other) is None


def test_row_of_a_run(table):
    numbers = table.row("outputs Lipschitz in the inputs").numbers
    assert numbers["sampled_lower"] <= numbers["semidefinite"] <= numbers["norm_product"]
    assert numbers["upper"] == numbers["semidefinite"]


def test_a_bound_below_a_sample_stops(subject_of, monkeypatch):
    """Wrong on purpose: a norm that is too small."""
    monkeypatch.setattr("eigensam.bounds.assumptions.input_lipschitz.norm_product", lambda layers, shape: 1e-3)
    with pytest.raises(RuntimeError, match=r"exceeds the proved 0\.001"):
        input_lipschitz_row(subject_of(nn.Sequential(nn.Flatten(), nn.Linear(64, 10))))


def test_no_chain(subject_of):
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(64, 10)

        def forward(self, images):
            return self.layer(images.flatten(1)) * 2

    model = Twice()
    row = input_lipschitz_row(subject_of(model))
    assert (row.verdict, row.numbers["unknown"]) == ("cannot be decided here", ["Twice"])
    norm = float(torch.linalg.matrix_norm(model.layer.weight.detach().double(), 2))
    assert row.numbers["sampled_lower"] == pytest.approx(2 * norm)
