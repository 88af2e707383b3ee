"""X-SAM: the corrected step, whose eigenvector, and why the sign of the paper's equation 11 is left out."""

import copy

import pytest
import torch
from torch import nn
from torch.func import grad, hessian

from eigensam.ground import InputError
from eigensam.optim import SAM, XSAM, EigenSAM

from .transcriptions import BATCHES, RHO, SGD, flat, flat_loss, loss_of, network, sgd_step

EXACT = {"refresh_every": 1, "iterations": 43, "guard": 0.0}  # as many products as there are parameters


def _transcribed(alpha, rule=None, batches=BATCHES, sign=1.0):
    """Steps with the eigenvector of a dense Hessian; of ``-f`` where the sign is -1."""
    x, buffer = flat(network()), None
    for batch in batches:
        loss = flat_loss(network(), batch)

        def f(x, loss=loss):
            return sign * loss(x)

        g, v = grad(f)(x), torch.linalg.eigh(hessian(f)(x)).eigenvectors[:, -1]
        there = grad(f)(x + RHO * g / g.norm())
        x, buffer = sgd_step(x, (rule or _projected)(there, v, alpha), buffer)
    return x


def _projected(g, v, alpha):
    return (torch.eye(len(g), dtype=g.dtype) - alpha * torch.outer(v, v)) @ g


def _signed(g, v, alpha):
    """Equation 11, but for the gradient's length."""
    return g - alpha * (g @ v).sign() * (g @ v) * v


def _ours(alpha, sign=1.0, **more):
    model = network()
    optimizer = XSAM(model.parameters(), rho=RHO, alpha=alpha, **EXACT, **SGD, **more)
    for batch in BATCHES:
        optimizer.step(lambda batch=batch: sign * loss_of(model, batch)())
    return flat(model)


@pytest.mark.parametrize("alpha", [0.2, 1.0, 2.0])
def test_steps_with_an_exact_eigenvector(alpha):
    found = _ours(alpha)
    torch.testing.assert_close(found, _transcribed(alpha), rtol=1e-7, atol=1e-8)
    for wrong in (0.0, 1.3 * alpha):
        assert (_transcribed(wrong) - found).norm() > 1e-3


def test_maximising_is_minimising_the_negative():
    torch.testing.assert_close(_ours(0.7, -1.0, maximize=True), _ours(0.7), rtol=1e-9, atol=1e-10)
    torch.testing.assert_close(_transcribed(0.7, sign=1.0), _ours(0.7), rtol=1e-7, atol=1e-8)


def test_the_sign_of_equation_11_is_a_matter_of_chance():
    """Both of ``v`` and ``-v`` are eigenvectors; the step may not depend on which one it is."""
    g = torch.randn(5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    v = torch.ones(5, dtype=torch.float64) / 5**0.5
    torch.testing.assert_close(_projected(g, v, 0.4), _projected(g, -v, 0.4), rtol=0, atol=0)
    assert (_signed(g, v, 0.4) - _signed(g, -v, 0.4)).norm() == pytest.approx(0.8 * abs(float(g @ v)))
    model, twin = network(), network()
    optimizers = [XSAM(m.parameters(), rho=RHO, alpha=0.4, lr=0.1) for m in (model, twin)]
    for optimizer, net in zip(optimizers, (model, twin), strict=True):
        optimizer.refresh(loss_of(net, BATCHES[0]))
    for state in optimizers[1].state.values():
        state["eigenvector"].neg_()
    for optimizer, net in zip(optimizers, (model, twin), strict=True):
        optimizer.step(loss_of(net, BATCHES[0]))
    torch.testing.assert_close(flat(model), flat(twin), rtol=1e-13, atol=1e-15)


def test_a_quadratic_in_closed_form():
    """``diag(1, 4)`` from (0.6, 0.2): the gradient is (3, 4)/5, and v the second axis."""
    x = nn.Parameter(torch.tensor([0.6, 0.2], dtype=torch.float64))
    optimizer = XSAM([x], rho=0.5, alpha=0.3, lr=0.1)
    optimizer.step(lambda: 0.5 * (x[0] ** 2 + 4 * x[1] ** 2))
    there = [0.6 + 0.5 * 0.6, 4 * (0.2 + 0.5 * 0.8)]
    assert x.tolist() == pytest.approx([0.6 - 0.1 * there[0], 0.2 - 0.1 * 0.7 * there[1]], rel=1e-12)
    assert optimizer.eigenvalue == pytest.approx(4)
    assert optimizer.alignment == pytest.approx(there[1] / (there[0] ** 2 + there[1] ** 2) ** 0.5, rel=1e-9)


def test_the_eigenvector_is_eigen_sams():
    """One estimate of the same network, bit for bit."""
    vectors = []
    for kind in (XSAM, EigenSAM):
        model = network()
        optimizer = kind(model.parameters(), rho=RHO, lr=0.1)
        optimizer.refresh(loss_of(model, BATCHES[0]))
        vectors.append(optimizer.eigenvector)
    assert torch.equal(*vectors)


@pytest.mark.parametrize("halves", [False, True])
def test_alpha_zero_is_sam(halves):
    ends = []
    for kind, own in ((XSAM, {"alpha": 0.0}), (SAM, {})):
        model = network()
        optimizer = kind(model.parameters(), rho=RHO, **SGD, **own)
        for batch in BATCHES:
            if halves:
                if kind is XSAM and optimizer.due:
                    optimizer.refresh(loss_of(model, batch))
                loss_of(model, batch)().backward()
                optimizer.first_step()
                loss_of(model, batch)().backward()
                optimizer.second_step(zero_grad=True)
            else:
                optimizer.step(loss_of(model, batch))
        ends.append(flat(model))
    torch.testing.assert_close(*ends, rtol=1e-13, atol=1e-15)


def test_groups_with_their_own_alpha():
    """Rows of ``I - diag(alpha) v v^T``; a group without a radius is outside of ``v``, and its gradient is whole."""
    x, y, z = (nn.Parameter(torch.tensor([value], dtype=torch.float64)) for value in (1.0, 2.0, 3.0))
    h = torch.tensor([[2.0, 1.0], [1.0, 3.0]], dtype=torch.float64)
    groups = [{"params": [x], "alpha": 0.5}, {"params": [y], "alpha": 1.0}, {"params": [z], "rho": 0.0}]
    optimizer = XSAM(groups, rho=0.2, lr=1.0)

    def loss():
        pair = torch.cat([x, y])
        return 0.5 * pair @ h @ pair + 0.5 * z.sum() ** 2

    start = torch.tensor([1.0, 2.0], dtype=torch.float64)
    optimizer.step(loss)
    g, v = h @ start, torch.linalg.eigh(h).eigenvectors[:, -1]
    there = h @ (start + 0.2 * g / g.norm())
    expected = start - there + torch.tensor([0.5, 1.0], dtype=torch.float64) * (there @ v) * v
    assert [x.item(), y.item()] == pytest.approx(expected.tolist(), rel=1e-10)
    assert z.item() == pytest.approx(0.0, abs=1e-15)


def test_a_failed_step_leaves_no_trace():
    model = network()
    optimizer = XSAM(model.parameters(), rho=RHO, nonfinite="skip", refresh_every=2, **SGD)
    optimizer.step(loss_of(model, BATCHES[0]))
    state, before, calls = copy.deepcopy(optimizer.state_dict()), flat(model), []

    def closure():
        calls.append(1)
        return loss_of(model, BATCHES[1])() * (float("nan") if len(calls) == 2 else 1.0)

    optimizer.step(closure)
    assert torch.equal(flat(model), before)
    other = copy.deepcopy(model)
    twin = XSAM(other.parameters(), rho=RHO, nonfinite="skip", refresh_every=2, **SGD)
    twin.load_state_dict(state)
    for batch in BATCHES[1:]:
        optimizer.step(loss_of(model, batch))
        twin.step(loss_of(other, batch))
    assert torch.equal(flat(model), flat(other))


def test_what_has_no_gradient_stays():
    """The eigenvector that few products find of a random start has entries there; a true one has none."""
    x, unused = (nn.Parameter(torch.ones(3, dtype=torch.float64)) for _ in range(2))
    optimizer = XSAM([x, unused], rho=0.1, alpha=1.0, lr=0.1, iterations=1)
    optimizer.step(lambda: (x**4).sum() + 0.0 * unused.sum())
    assert optimizer.state[unused]["eigenvector"].abs().max() > 1e-3
    assert unused.tolist() == [1.0, 1.0, 1.0]
    assert (x != 1).all()


@pytest.mark.parametrize(
    ("own", "message"),
    [
        ({"alpha": 2.1}, r"alpha = 2.1 would lengthen the gradient; give 0 \(SAM\) to 2"),
        ({"alpha": -0.1}, "alpha = -0.1 would lengthen the gradient"),
        ({"alpha": float("nan")}, "alpha = nan would lengthen the gradient"),
        ({"synchronised": False}, "workers of X-SAM step along the eigenvector, so they share one"),
        ({"guard": -1.0}, "guard = -1.0 is the length of a vector"),
        ({"solver": "qr"}, "unknown solver 'qr'"),
        ({"curvature": "other"}, "curvature = 'other'; choose minibatch or stream"),
        ({"refresh_every": 0}, "refresh_every = 0"),
    ],
)
def test_refusals(own, message):
    with pytest.raises(InputError, match=message):
        XSAM(network().parameters(), rho=RHO, lr=0.1, **own)
