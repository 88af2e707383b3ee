"""Each observable of a network against plain torch, dense eigenvalues and scipy."""

import pytest
import torch
from scipy.sparse.linalg import eigsh

from eigensam.landscapes import Quadratic, Valley
from eigensam.landscapes.curvature.alignments import mean_alignment
from eigensam.landscapes.curvature.drift_decomposition import decompose_drift
from eigensam.landscapes.curvature.landscape_hessian import hessian, top_eigenpairs
from eigensam.sde.simulation.networks.network_observables import FIGURE_TWO, OBSERVABLES, NetworkObservables

from .small_networks import D, data, dense_hessian, landscape, plain_loss, points

KINDS = ["mlp", "cnn", "batch norm"]
EXACT = {torch.float64: 1e-10, torch.float32: 2e-5}
TOLERANCE = 1e-3
ROWS = 10  # of test data: other than a minibatch


def truth(f, x, test):
    """At one point, by torch alone and in the network's own precision; derivatives in float64."""
    x = x.detach().clone().requires_grad_()
    losses, outputs = zip(*(plain_loss(f, x, batch) for batch in f.batches), strict=True)
    loss = torch.stack(losses).mean()
    gradient = torch.autograd.grad(loss, x)[0]
    right = torch.cat([z.argmax(1) == batch[1] for z, batch in zip(outputs, f.batches, strict=True)])
    test_loss, z = plain_loss(f, x, test)
    return {
        "train loss": loss.item(),
        "train accuracy": right.double().mean().item(),
        "test loss": test_loss.item(),
        "test accuracy": (z.argmax(1) == test[1]).double().mean().item(),
        "parameter norm": x.double().norm().item(),
        "gradient norm": gradient.double().norm().item(),
    }


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("kind", KINDS)
def test_values_norms_and_accuracies_are_those_of_plain_torch(kind, dtype):
    f = landscape(kind, dtype)
    test = data(kind, ROWS, dtype, seed=5)
    names = [name for name in OBSERVABLES if name not in ("lambda_1", "gap", "alignment", "eigenvalue share")]
    for count in (1, 7):
        x = points(f, count)
        found = NetworkObservables(f, names, test=test)(x)
        assert list(found) == names
        for p in range(count):
            expected = truth(f, x[p], test)
            for name in names:
                assert found[name].shape == (count,)
                assert found[name].dtype == D
                assert found[name][p].item() == pytest.approx(expected[name], rel=EXACT[dtype], abs=1e-7), name


@pytest.mark.parametrize("kind", KINDS)
def test_eigenvalues_are_those_of_dense_hessians_and_of_scipy(kind):
    f = landscape(kind)
    x = points(f, 3)
    found = NetworkObservables(f, ["lambda_1", "gap"], tolerance=TOLERANCE, max_products=60)(x)
    for p in range(3):
        values = torch.linalg.eigvalsh(dense_hessian(f, x[p], f.batches).mean(0))
        assert found["lambda_1"][p].item() == pytest.approx(values[-1].item(), rel=TOLERANCE)
        assert found["gap"][p].item() == pytest.approx(
            (values[-1] - values[-2]).item(), abs=2 * TOLERANCE * float(values[-1])
        )
        scipy = eigsh(hessian(f, x[p]).to_scipy(), 1, which="LA", return_eigenvectors=False)
        assert found["lambda_1"][p].item() == pytest.approx(scipy.item(), rel=TOLERANCE)


def test_eigenvalues_in_float32():
    f, x = landscape("mlp"), points(landscape("mlp"), 7)
    single = NetworkObservables(landscape("mlp", torch.float32), ["lambda_1"])(x.float())["lambda_1"]
    torch.testing.assert_close(single, NetworkObservables(f, ["lambda_1"])(x)["lambda_1"], rtol=TOLERANCE, atol=0)


def test_a_tolerance_that_is_too_large_is_seen():
    """Wrong on purpose: what is content with a third is not within a thousandth everywhere."""
    f, x = landscape("mlp"), points(landscape("mlp"), 7)
    loose = NetworkObservables(f, ["lambda_1"], tolerance=0.33)(x)["lambda_1"]
    values = torch.stack([torch.linalg.eigvalsh(dense_hessian(f, p, f.batches).mean(0))[-1] for p in x])
    assert ((loose - values).abs() / values).max() > TOLERANCE


@pytest.mark.parametrize("kind", ["mlp", "batch norm"])
def test_alignment_and_share_are_those_of_one_point(kind):
    f = landscape(kind)
    x = points(f, 2)
    found = NetworkObservables(f, ["alignment", "eigenvalue share"], tolerance=1e-6)(x)
    for p in range(2):
        pairs = top_eigenpairs(f, x[p], tolerance=1e-8)
        assert found["alignment"][p].item() == pytest.approx(mean_alignment(f, x[p], pairs.vectors[0]), rel=1e-4)
        share = decompose_drift(f, x[p], pairs, 0.1).explained
        assert found["eigenvalue share"][p].item() == pytest.approx(share, rel=1e-3, abs=1e-6)


def test_a_perturbation_of_the_rule():
    """USAM's is the gradient itself: the same alignment, another share; DNSAM's uses all minibatches."""
    f = landscape("mlp")
    x, names = points(f, 2), ["alignment", "eigenvalue share"]
    usual = NetworkObservables(f, names, tolerance=1e-6)(x)
    usam = NetworkObservables(f, names, tolerance=1e-6, perturbation=lambda x, g: g)(x)
    torch.testing.assert_close(usam["alignment"], usual["alignment"], rtol=1e-9, atol=0)
    for p in range(2):
        share = decompose_drift(f, x[p], top_eigenpairs(f, x[p], tolerance=1e-8), 0.1, perturbation=lambda g: g)
        assert usam["eigenvalue share"][p].item() == pytest.approx(share.explained, rel=1e-3, abs=1e-6)
    shapes = []
    NetworkObservables(f, ["alignment"], perturbation=lambda x, g: shapes.append((x.shape, g.shape)) or g)(x)
    assert shapes == [(x.shape, (2, f.size, f.dim))]


def test_landscapes_that_are_no_networks():
    """The closed forms of a quadratic."""
    f = Quadratic(torch.diag(torch.tensor([3.0, 1.0, -4.0])), centres=[[0.0, 0.0, 0.0], [2.0, 0.0, 0.0]])
    x = torch.tensor([[1.0, 1.0, 0.0], [3.0, 0.0, 1.0]], dtype=D)
    found = NetworkObservables(f, ["train loss", "parameter norm", "gradient norm", "lambda_1", "gap", "alignment"])(x)
    assert found["train loss"].tolist() == pytest.approx([2.0, 5.5])
    assert found["parameter norm"].tolist() == pytest.approx([2**0.5, 10**0.5])
    assert found["gradient norm"].tolist() == pytest.approx([1.0, (36 + 16) ** 0.5])
    assert found["lambda_1"].tolist() == pytest.approx([3.0, 3.0])
    assert found["gap"].tolist() == pytest.approx([2.0, 2.0])
    first = 3 / 10**0.5  # of (3, 1) and (-3, 1)
    second = (9 / (81 + 16) ** 0.5 + 3 / 5) / 2
    assert found["alignment"].tolist() == pytest.approx([first, second])
    assert NetworkObservables(f).names == ("train loss", "parameter norm", "gradient norm", "lambda_1")
    valley, x = Valley(flat=1.0, sharp=5.0), torch.tensor([[1.0, 0.0]], dtype=D)
    value = torch.linalg.eigvalsh(torch.autograd.functional.hessian(valley.loss, x[0]))[-1].item()
    found = NetworkObservables(valley, ["lambda_1", "eigenvalue share"])(x)
    assert (found["lambda_1"].item(), found["eigenvalue share"].item()) == pytest.approx((value, 1.0))


@pytest.mark.parametrize("kind", KINDS)
def test_company_and_memory_change_rounding_only_and_a_second_look_nothing(kind):
    f = landscape(kind)
    x, test = points(f, 5), data(kind, ROWS, seed=5)
    names = list(OBSERVABLES)
    observables = NetworkObservables(f, names, test=test)
    together = observables(x)
    again, later = observables(x), NetworkObservables(f, names, test=test)(x)
    for name in names:
        assert torch.equal(again[name], together[name])
        assert torch.equal(later[name], together[name])  # as after a pause: nothing is remembered
    alone = [observables(x[p : p + 1]) for p in range(5)]
    little = NetworkObservables(f, names, test=test, memory=1)(x)
    half = NetworkObservables(f, names, test=test, memory=20_000)(x)
    for name in names:
        for other in (torch.cat([each[name] for each in alone]), little[name], half[name]):
            torch.testing.assert_close(other, together[name], rtol=1e-7, atol=1e-9)


def test_default_names():
    f, test = landscape("mlp"), data("mlp", ROWS)
    assert NetworkObservables(f, test=test).names == FIGURE_TWO
    assert NetworkObservables(f).names == ("train loss", "parameter norm", "gradient norm", "lambda_1")


def test_the_module_and_the_data_stay_as_they_are():
    f, test = landscape("batch norm"), data("batch norm", ROWS)
    state = {name: value.clone() for name, value in f.network.model.state_dict().items()}
    inputs = [batch[0].clone() for batch in f.batches]
    NetworkObservables(f, test=test)(points(f, 2))
    assert all(torch.equal(value, state[name]) for name, value in f.network.model.state_dict().items())
    assert all(torch.equal(batch[0], before) for batch, before in zip(f.batches, inputs, strict=True))
    assert f.network.model.training
