"""Code of anybody's, in float64."""

import pytest
import torch
from torch import nn

from eigensam.landscapes.derivatives.double_precision import DoublePrecision


class Stubborn(nn.Module):
    """Asks for single precision wherever one can."""

    def __init__(self):
        super().__init__()
        self.weight, self.constant = nn.Parameter(torch.randn(3, 3)), torch.tensor([1.0, 2.0, 3.0])

    def forward(self, x):
        h = (x.float() @ self.weight.to(torch.float32)).half().bfloat16().to(dtype=torch.float32)
        buffer = torch.zeros(len(x), 3)
        buffer[:] = h
        scale = torch.full((), 0.1) + torch.ones(1, dtype=torch.float16) * torch.tensor(0.3)
        return torch.cat([buffer * self.constant, torch.arange(3.0).expand(len(x), 3)]) * scale


def test_every_part_is_computed_in_float64():
    torch.manual_seed(0)
    model, x = Stubborn(), torch.randn(4, 3, dtype=torch.float64)
    with DoublePrecision():
        found = model(x)
    w, c = model.weight.detach().double(), model.constant.double()
    truth = torch.cat([(x @ w) * c, torch.arange(3.0).double().expand(4, 3)])
    truth = truth * (torch.tensor(0.1).double() + torch.tensor(0.3).double())  # constants of single precision
    torch.testing.assert_close(found, truth, rtol=1e-14, atol=1e-14)
    assert not torch.allclose(model(x).double(), truth, rtol=1e-6)  # which it is not otherwise
    assert model.weight.dtype == torch.float32


def test_substitutes_stand_for_parameters():
    model, x = nn.Linear(2, 1), torch.ones(1, 2)
    leaves = [torch.full(p.shape, 2.0, dtype=torch.float64, requires_grad=True) for p in model.parameters()]
    table = {id(p): leaf for p, leaf in zip(model.parameters(), leaves, strict=True)}
    with DoublePrecision(table):
        y = model(x).square().sum()
    assert y.item() == 36.0
    gradients = torch.autograd.grad(y, leaves)
    assert [g.tolist() for g in gradients] == [[[12.0, 12.0]], [12.0]]


@pytest.mark.parametrize("build", [lambda: nn.LSTM(4, 3), lambda: nn.TransformerEncoderLayer(4, 2, 5, 0.0)])
def test_modules_of_torch(build):
    torch.manual_seed(0)
    model, x = build(), torch.randn(5, 2, 4)
    with DoublePrecision():
        found = model(x)
    exact = build().double()
    exact.load_state_dict(model.state_dict())
    truth = exact(x.double())
    found, truth = (y[0] if isinstance(y, tuple) else y for y in (found, truth))
    torch.testing.assert_close(found, truth, rtol=1e-13, atol=1e-14)


def test_integers_and_complex_numbers():
    with DoublePrecision():
        assert (torch.arange(3) + 1).dtype == torch.int64
        assert torch.arange(3).float().dtype == torch.float64  # a float, as the code says: not an integer
        assert (torch.arange(3).float() @ torch.ones(3)).item() == 3
        assert torch.view_as_complex(torch.ones(2, 2)).dtype == torch.complex128
        assert torch.ones(2).to(torch.complex64).dtype == torch.complex128
