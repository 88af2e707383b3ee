"""The covariance of minibatch gradients against torch.cov of all of them, for networks and for formulas."""

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from eigensam.ground import InputError
from eigensam.landscapes import GradientCovariance, NetworkLandscape, Quadratic, Valley, lanczos

D = torch.float64


def network(dtype=D):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 2)).to(dtype)
    data = torch.randn(20, 3, dtype=dtype), torch.arange(20) % 2
    return NetworkLandscape.from_tensors(model, cross_entropy, *data, batch_size=4, mode="train")


def quadratic():
    return Quadratic(torch.diag(torch.tensor([2.0, 1.0, 0.5])), centres=torch.randn(6, 3).tolist())


LANDSCAPES = {"network": network, "quadratic": quadratic, "valley": lambda: Valley(flat=1.0, sharp=5.0)}


def point(f):
    generator = torch.Generator().manual_seed(1)
    start = f.point() if isinstance(f, NetworkLandscape) else torch.zeros(f.dim, dtype=f.dtype)
    return start + 0.3 * torch.randn(f.dim, generator=generator, dtype=D).to(f.dtype)


@pytest.mark.parametrize("name", LANDSCAPES)
@pytest.mark.parametrize("keep_bytes", [0, 2**30])
def test_against_the_covariance_of_all_gradients(name, keep_bytes):
    torch.manual_seed(0)
    f = LANDSCAPES[name]()
    x = point(f)
    operator = GradientCovariance(f, x, keep_bytes=keep_bytes)
    truth = torch.cov(f.gradients(x).mT, correction=0).view(f.dim, f.dim)
    torch.testing.assert_close(operator.dense(), truth, rtol=1e-10, atol=1e-15)
    v = torch.randn(3, f.dim, dtype=D)
    for row in v:
        torch.testing.assert_close(operator @ row, truth @ row, rtol=1e-9, atol=1e-14)
    torch.testing.assert_close(operator @ v, v @ truth, rtol=1e-9, atol=1e-14)
    assert operator.semidefinite
    if f.size > 1:  # wrong on purpose: the unbiased covariance, and the second moment without the mean
        assert (operator.dense() - torch.cov(f.gradients(x).mT)).norm() > 0.1 * truth.norm()
        moment = f.gradients(x).mT @ f.gradients(x) / f.size
        assert (operator.dense() - moment).norm() > 0.01 * truth.norm()


def test_the_top_and_the_rank():
    f = network()
    x = point(f)
    operator = GradientCovariance(f, x)
    values = torch.linalg.eigvalsh(operator.dense())
    assert int((values > 1e-12 * values[-1]).sum()) <= f.size - 1
    assert lanczos(operator, tolerance=1e-8).values.item() == pytest.approx(values[-1].item(), rel=1e-8)
    one = GradientCovariance(Quadratic([[2.0]], centres=[[1.0]]), torch.ones(1, dtype=D))
    assert one.dense().tolist() == [[0.0]]


@pytest.mark.parametrize("keep_bytes", [0, 2**30])
def test_float32(keep_bytes):
    f, single = network(), network(torch.float32)
    single.load_point(f.point().float())
    x = f.point()
    batches = [(inputs.float(), targets) for inputs, targets in f.batches]
    single = NetworkLandscape(single.network.model, cross_entropy, batches, mode="train")
    found = GradientCovariance(single, x.float(), keep_bytes=keep_bytes).dense()
    truth = GradientCovariance(f, x).dense()
    assert found.dtype == torch.float32
    assert (found.double() - truth).norm() < 1e-5 * truth.norm()


def test_bad_input():
    f = network()
    with pytest.raises(InputError, match=rf"the point has shape \(3,\); expected \({f.dim},\)"):
        GradientCovariance(f, torch.zeros(3))
    with pytest.raises(InputError, match="the point holds NaN or infinity"):
        GradientCovariance(f, torch.full((f.dim,), float("nan")))
