"""Continuous derivatives and growth: from types, and from numbers on lines."""

import math

import pytest
import sympy
import torch
from torch import nn

from eigensam.bounds.assumptions.jumps import find_jump, jump_of_function
from eigensam.bounds.assumptions.modules import jump_of, known_network, layers_of
from eigensam.bounds.assumptions.smoothness import growth_row, smoothness_row
from eigensam.landscapes import FormulaLandscape, build_model

SMOOTH = [nn.GELU(), nn.GELU("tanh"), nn.Tanh(), nn.Sigmoid(), nn.SiLU(), nn.Mish(), nn.LogSigmoid(), nn.Softplus()]
KINKED = [nn.ReLU(), nn.LeakyReLU(), nn.PReLU(), nn.ReLU6(), nn.SELU(), nn.Hardtanh(), nn.Hardswish(), nn.Hardsigmoid(),
          nn.Softshrink(), nn.ELU(0.5), nn.ELU(), nn.CELU(), nn.Softsign()]  # fmt: skip


def perceptron(activation):
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 12), activation, nn.Linear(12, 10))


class Hidden(nn.Module):
    """A function of nobody's type."""

    def __init__(self, function):
        super().__init__()
        self.inner, self.function = perceptron(nn.Identity()), function

    def forward(self, images):
        return self.inner[3](self.function(self.inner[1](images.flatten(1))))


@pytest.mark.parametrize("activation", [*SMOOTH, *KINKED], ids=str)
def test_the_table_of_types_is_what_derivatives_do(activation):
    """One-sided differences of each derivative at every place where torch's source has a case."""
    places = torch.tensor([-3.0, -1.0, -0.5, 0.0, 0.5, 1.0, 3.0, 6.0], dtype=torch.float64)
    found = 0
    for order in (1, 2, 3):
        sides = []
        for shift in (-1e-7, 1e-7):
            t = (places + shift).requires_grad_()
            value = activation.double()(t)
            for _ in range(order):
                (value,) = torch.autograd.grad(value.sum(), t, create_graph=True) if value.requires_grad else (0 * t,)
            sides.append(value.detach())
        if float((sides[0] - sides[1]).abs().max()) > 1e-3:
            found = order
            break
    assert found == jump_of(activation)


@pytest.mark.parametrize("activation", [nn.ReLU(), nn.ELU(), nn.Softsign(), nn.MaxPool1d(2)], ids=str)
def test_kinks_fail(subject_of, activation):
    model = perceptron(activation)
    if isinstance(activation, nn.MaxPool1d):
        model[3] = nn.Linear(6, 10)
    row = smoothness_row(subject_of(model))
    assert (row.verdict, row.ground) == ("fails", "proof")
    assert row.numbers["jump_found"]
    assert row.numbers["jump_order"] == row.numbers["lowest_order"] == jump_of(activation)
    assert row.numbers["share_left"] > 0.9
    assert growth_row(subject_of(model)).verdict == "fails"


@pytest.mark.parametrize("activation", [nn.GELU(), nn.Tanh(), nn.Softplus()], ids=str)
def test_smooth_ones_hold(subject_of, activation):
    row = smoothness_row(subject_of(perceptron(activation)))
    assert (row.verdict, row.ground) == ("holds", "proof")
    assert not row.numbers["jump_found"]
    assert row.numbers["share_left"] == pytest.approx(2**-10, rel=0.05)
    assert ("20" in row.text) == isinstance(activation, nn.Softplus)
    growth = growth_row(subject_of(perceptron(activation)))
    assert growth.verdict == "holds"
    assert 0 < growth.numbers["largest_exponent"] < 4


def test_a_function_of_nobodys_type(subject_of):
    """The same kink and the same smooth function, hidden: numbers may refute, and never confirm."""
    kinked = smoothness_row(subject_of(Hidden(torch.relu)))
    assert (kinked.verdict, kinked.ground) == ("fails", "sampled")
    assert kinked.numbers["kinked_operations"] == ["relu"]
    smooth = smoothness_row(subject_of(Hidden(torch.tanh)))
    assert (smooth.verdict, smooth.numbers["unknown_modules"]) == ("cannot be decided here", ["Hidden"])
    assert growth_row(subject_of(Hidden(torch.tanh))).verdict == "cannot be decided here"
    steep = growth_row(subject_of(Hidden(lambda a: a.square().exp())))
    assert (steep.verdict, steep.ground) == ("fails", "sampled")


def test_derivatives_that_cannot_be_taken(subject_of):
    class Detached(Hidden):
        def forward(self, images):
            return super().forward(images) * self.inner[3].bias.detach().sum().exp()

    row = smoothness_row(subject_of(Detached(torch.tanh)))
    assert row.verdict == "cannot be decided here"
    assert row.numbers["refused"] or row.numbers["jump_found"] is not None


@pytest.mark.parametrize(
    ("formula", "order"),
    [("x*Abs(x)", 2), ("Abs(x)**3", 3), ("Abs(x)", 1), ("x**4*Abs(x)", None), ("sin(x)", None), ("exp(x)", None)],
)
def test_jumps_of_formulas(formula, order):
    """x^4 |x| has three continuous derivatives, and a fourth."""
    x = sympy.Symbol("x", real=True)
    landscape = FormulaLandscape([x], [sympy.sympify(formula, locals={"x": x})])
    start, line = torch.tensor([-1.0]).double(), torch.tensor([[math.pi]]).double()
    found = find_jump(landscape, start, line)
    assert found.found == (order is not None)
    if order is not None:
        assert found.order == order
        assert found.change == pytest.approx({1: 2, 2: 4, 3: 12}[order], rel=1e-4)


def test_jumps_of_functions():
    assert jump_of_function(lambda t: 1e-3 * (t > 0.7) + math.sin(t)).change == pytest.approx(1e-3, rel=1e-3)
    assert not jump_of_function(lambda t: math.tanh(1e4 * (t - 0.3))).found  # steep and smooth
    assert not jump_of_function(lambda t: 1.0).found
    assert not jump_of_function(lambda t: t**0.5).found  # continuous, without a derivative at 0


def test_known_networks():
    names = {
        name: known_network(build_model(name, (1, 8, 8), 10))
        for name in ("mlp", "cnn4", "cnn2-bn", "vit-small", "resnet18", "random-filters")
    }
    assert [each.unknown for each in names.values()] == [[], [], [], [], [], ["Strongest", "Centred"]]
    assert names["resnet18"].jumps == {"ReLU": 1}
    assert not any(names[name].jumps for name in ("mlp", "cnn4", "cnn2-bn", "vit-small"))
    assert [name for name, each in names.items() if each.normalised] == ["cnn2-bn", "resnet18"]


def test_what_is_changed_is_not_known():
    hooked = perceptron(nn.Tanh())
    hooked[2].register_forward_hook(lambda module, inputs, outputs: outputs.relu())
    assert known_network(hooked).unknown == ["Tanh"]
    patched = perceptron(nn.Tanh())
    patched[2].forward = torch.relu
    assert known_network(patched).unknown == ["Tanh"]
    assert layers_of(patched) is None

    class Own(nn.Linear):
        pass

    assert known_network(Own(2, 2)).unknown == ["Own"]
    assert known_network(nn.Embedding(2, 2, max_norm=1.0)).unknown == ["Embedding"]
    assert known_network(nn.LayerNorm(2, eps=0.0)).unknown == ["LayerNorm"]  # divides by 0 where all inputs are alike
    assert layers_of(build_model("resnet18", (1, 8, 8), 10)) is None
