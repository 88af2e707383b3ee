"""Networks and losses of which torch says something wrong about second derivatives, without a word.

Each was wrong once: a converged eigenvalue, some with a bound. The truth is a twin in plain operations, or differences
of gradients.
"""

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.nn.functional import cross_entropy
from torch.utils.checkpoint import checkpoint

from eigensam.landscapes import GaussNewton, Hessian, NetworkFunction, lanczos
from eigensam.landscapes.networks.network_derivatives import NotDifferentiableError

from .small_networks import BATCH, Apply, D, SavesWhatItComputed, X, Y, differenced_hessian, network_of, relative


def fused(h, weight, y):
    return functional.linear_cross_entropy(h, weight, y, options=nn.LinearCrossEntropyOptions())


@pytest.mark.skipif(not hasattr(nn, "LinearCrossEntropyOptions"), reason="a loss of torch 2.14 and newer")
@pytest.mark.parametrize("dtype", [torch.float32, D])
def test_a_loss_that_computes_its_gradient_in_the_forward_pass(dtype):
    """It was 0.19 with a bound of 0.19."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 5), nn.Tanh()).to(dtype)
    weight = torch.randn(3, 5, generator=torch.Generator().manual_seed(1), dtype=D).to(dtype)
    batch = X.to(dtype), Y
    rough = NetworkFunction(model, lambda h, y: fused(h, weight, y))
    plain = NetworkFunction(model, lambda h, y: cross_entropy(h @ weight.mT, y))
    truth = torch.linalg.eigvalsh(Hessian(plain, [batch]).dense())[-1].item()
    for graph_bytes in (0, 2**30):
        operator = Hessian(rough, [batch], graph_bytes=graph_bytes)
        pairs = lanczos(operator, tolerance=1e-6)
        assert pairs.values.item() == pytest.approx(truth, rel=1e-5)
        assert pairs.bound.upper >= truth
        assert operator.used.startswith("difference (refused: reverse: ")
        assert pairs.checked.startswith("differences at two step sizes agree")
    unchecked = lanczos(Hessian(rough, [batch], check=False), tolerance=1e-6)
    assert unchecked.converged
    assert unchecked.values.item() < 0.5 * truth  # what torch says
    assert unchecked.checked == "not checked: switched off"
    with pytest.raises(NotDifferentiableError, match="GaussNewton is by 100% off differences"):
        GaussNewton(rough, [batch], convex=True) @ torch.ones(rough.dim)


@pytest.mark.parametrize("graph_bytes", [0, 2**30])
def test_a_function_that_saves_what_it_computed(graph_bytes):
    rough, plain = network_of(Apply(SavesWhatItComputed.apply)), network_of(nn.SiLU())
    truth = Hessian(plain, [BATCH]).dense()
    assert relative(truth, differenced_hessian(plain)) < 1e-8
    operator = Hessian(rough, [BATCH], graph_bytes=graph_bytes)
    assert relative(operator.dense(), truth) < 1e-8
    assert "off differences of gradients" in operator.used
    assert "the fault lies in module '1' (Apply)" in operator.used
    assert relative(Hessian(rough, [BATCH], check=False).dense(), truth) > 0.1
    # The Jacobian's trick differentiates backward passes by their weight only, which is right here.
    assert relative(GaussNewton(rough, [BATCH]).dense(), GaussNewton(plain, [BATCH]).dense()) < 1e-12
    for method in ("graph", "reverse"):
        with pytest.raises(
            NotDifferentiableError, match=rf"'{method}' .*; use method 'auto'|'{method}' .*route 'auto'"
        ):
            Hessian(rough, [BATCH], method=method) @ rough.point()


class NormedWeight(nn.Module):
    def __init__(self):
        super().__init__()
        self.v, self.g = nn.Parameter(torch.randn(4, 4)), nn.Parameter(torch.rand(4, 1) + 0.5)
        self.head = nn.Linear(4, 3)

    def forward(self, x):
        return self.head(torch.tanh(nn.functional.linear(x, torch._weight_norm(self.v, self.g, 0))))


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning", "ignore:`torch.jit:FutureWarning")
def test_weight_norm_that_torchscript_has_compiled():
    torch.manual_seed(0)
    model = NormedWeight().double()
    scripted = NetworkFunction(torch.jit.script(model), cross_entropy)
    operator = Hessian(scripted, [BATCH])
    assert relative(operator.dense(), differenced_hessian(NetworkFunction(model, cross_entropy))) < 1e-7
    assert "the fault lies in the model (NormedWeight), which TorchScript has compiled" in operator.used
    assert lanczos(operator, tolerance=1e-6).converged


class Checkpointed(nn.Module):
    def __init__(self, reentrant):
        super().__init__()
        self.first, self.rest, self.reentrant = nn.Linear(4, 5), nn.Sequential(nn.Tanh(), nn.Linear(5, 3)), reentrant

    def forward(self, x):
        return checkpoint(self.rest, self.first(x), use_reentrant=self.reentrant)


@pytest.mark.parametrize("reentrant", [True, False])
def test_activation_checkpointing(reentrant):
    torch.manual_seed(0)
    network = NetworkFunction(Checkpointed(reentrant).double(), cross_entropy)
    x = network.point() + 0.3  # not where the module is
    found = Hessian(network, [BATCH], x).dense()
    network.load_point(x)
    assert relative(found, differenced_hessian(network)) < 1e-7
