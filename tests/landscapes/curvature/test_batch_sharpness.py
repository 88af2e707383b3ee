"""The batch sharpness: closed forms, dense Hessians of a network, a transcription in plain torch."""

import math

import pytest
import sympy
import torch
from torch import nn
from torch.func import functional_call
from torch.nn.functional import cross_entropy

from eigensam.ground import InputError
from eigensam.landscapes import CurvatureRecorder, FormulaLandscape, NetworkLandscape, Quadratic, batch_sharpness


def _curved(scales):
    """``f_m = s_m (a_m x^2 + b_m y^2) / 2``, so that ``g = s (a x, b y)`` and ``H = s diag(a, b)``."""
    x, y = sympy.symbols("x y")
    curvatures = [(5, 1), (1, 2)]
    return FormulaLandscape(
        [x, y], [s * (a * x**2 + b * y**2) / 2 for s, (a, b) in zip(scales, curvatures, strict=True)]
    )


def test_closed_form():
    # at (1, 1): s (a^3 + b^3) / (a^2 + b^2) = s 126 / 26, s 9 / 5
    x = torch.ones(2, dtype=torch.float64)
    assert batch_sharpness(_curved([1, 1]), x) == pytest.approx((126 / 26 + 9 / 5) / 2, rel=1e-12)
    assert batch_sharpness(_curved([3, 1]), x) == pytest.approx((3 * 126 / 26 + 9 / 5) / 2, rel=1e-12)


def test_one_hessian_and_many_gradients():
    """``f_m = (x - c_m)^T A (x - c_m) / 2``: Rayleigh quotients of A along ``A (x - c_m)``."""
    a, centres = torch.diag(torch.tensor([4.0, 1.0], dtype=torch.float64)), [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]
    f = Quadratic(a, centres=centres)
    # along (4, 0): 4; along (0, 1): 1; along (4, 1): 65 / 17
    assert batch_sharpness(f, torch.zeros(2, dtype=torch.float64)) == pytest.approx((4 + 1 + 65 / 17) / 3, rel=1e-12)


def _full_batch(f, x):
    """Wrong on purpose: the mean loss's Hessian along the minibatches' gradients."""
    quotients = [g @ f.hessian_product(x, g) / (g @ g) for g in f.gradients(x)]
    return torch.stack(quotients).mean().item()


def _ratio_of_means(f, x):
    """Wrong on purpose: long gradients count more."""
    g = f.gradients(x)
    return ((g * f.hessian_products(x, g)).sum() / (g * g).sum()).item()


@pytest.mark.parametrize("wrong", [_full_batch, _ratio_of_means])
def test_wrong_ones_are_far_off(wrong):
    f, x = _curved([3, 1]), torch.ones(2, dtype=torch.float64)
    assert abs(wrong(f, x) / batch_sharpness(f, x) - 1) > 0.1


@pytest.mark.parametrize("normalised", [False, True])
def test_a_network_against_dense_hessians_of_each_minibatch(normalised):
    torch.manual_seed(0)
    layers = [nn.Linear(3, 4), *([nn.BatchNorm1d(4)] if normalised else []), nn.Tanh(), nn.Linear(4, 2)]
    model = nn.Sequential(*layers).double()
    inputs, targets = torch.randn(24, 3, dtype=torch.float64), torch.arange(24) % 2
    f = NetworkLandscape.from_tensors(model, cross_entropy, inputs, targets, batch_size=6, mode="train")
    # torch.func's second derivatives of batch_norm are by percents off, in torch 2.14, too: two reverse passes it is.
    shapes = {name: p.shape for name, p in model.named_parameters()}

    def loss(x, rows):
        parts = x.split([shape.numel() for shape in shapes.values()])
        named = {name: part.view(shape) for (name, shape), part in zip(shapes.items(), parts, strict=True)}
        buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
        return cross_entropy(functional_call(model, {**named, **buffers}, (inputs[rows],)), targets[rows])

    x, whole = f.point(), 0.0
    for start in range(0, 24, 6):
        rows = slice(start, start + 6)
        g = torch.autograd.functional.jacobian(lambda x: loss(x, rows), x)  # noqa: B023
        h = torch.autograd.functional.hessian(lambda x: loss(x, rows), x)  # noqa: B023
        whole += (g @ h @ g / (g @ g)).item() / 4
    assert batch_sharpness(f, x) == pytest.approx(whole, rel=1e-9)
    assert CurvatureRecorder(f, sharpness=True).step(0)["batch_sharpness"] == pytest.approx(whole, rel=1e-9)
    assert abs(_full_batch(f, x) / whole - 1) > 0.01  # wrong on purpose


def test_short_gradients_of_float32_do_not_vanish():
    model = nn.Linear(2, 1, bias=False)
    data = torch.eye(2), torch.zeros(2, 1)
    f = NetworkLandscape.from_tensors(model, nn.functional.mse_loss, *data, batch_size=1)
    assert batch_sharpness(f, torch.full((2,), 1e-25)) == pytest.approx(2.0)  # the square would be 0


def test_no_gradient_no_direction():
    f = Quadratic(torch.eye(2), centres=[[0.0, 0.0], [1.0, 0.0]])
    assert math.isnan(batch_sharpness(f, torch.zeros(2)))


def test_only_where_it_is_asked_for_and_never_in_one_file_with_rows_without(tmp_path):
    f, x = _curved([1, 1]), torch.ones(2)
    assert "batch_sharpness" not in CurvatureRecorder(f, k=1, path=tmp_path / "rows.jsonl").step(0, x)
    with pytest.raises(InputError, match=r"another sharpness \(None, now True\)"):
        CurvatureRecorder(f, k=1, sharpness=True, path=tmp_path / "rows.jsonl").step(1, x)
    CurvatureRecorder(f, k=1, sharpness=True, path=tmp_path / "more.jsonl").step(0, x)
    with pytest.raises(InputError, match=r"another sharpness \(True, now None\)"):
        CurvatureRecorder(f, k=1, path=tmp_path / "more.jsonl").step(1, x)
