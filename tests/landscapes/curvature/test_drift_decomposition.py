"""Terms of the drift against dense derivatives of a network, closed forms, and differences of the eigenvalue."""

import json
import math

import pytest
import torch
from torch import nn
from torch.func import functional_call, hessian, jacfwd
from torch.nn.functional import cross_entropy

from eigensam.ground import InputError
from eigensam.landscapes import NetworkLandscape, Quadratic, Valley, eigenvalue_gradient, top_eigenpairs
from eigensam.landscapes.curvature.drift_decomposition import decompose_drift
from eigensam.landscapes.spectra.eigenpairs import Eigenpairs

RHO = 0.3


def _pairs(vectors):
    count = len(vectors)
    return Eigenpairs(torch.zeros(count), vectors, torch.zeros(count), 0, True)


class _Truth:
    """All derivatives of a small network's minibatch losses as dense tensors, by torch.func."""

    def __init__(self):
        torch.manual_seed(3)
        model = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 2)).double()
        inputs, targets = torch.randn(12, 2, dtype=torch.float64), torch.arange(12) % 2
        self.landscape = NetworkLandscape.from_tensors(model, cross_entropy, inputs, targets, batch_size=4)
        self.x = self.landscape.point()
        names = [name for name, _ in model.named_parameters()]
        shapes = [p.shape for p in model.parameters()]

        def losses(x):
            parts = x.split([shape.numel() for shape in shapes])
            state = {name: p.view(shape) for name, p, shape in zip(names, parts, shapes, strict=True)}
            outputs = functional_call(model, state, (inputs,))
            return cross_entropy(outputs, targets, reduction="none").view(3, 4).mean(1)

        self.losses = losses
        self.g = torch.func.jacrev(losses)(self.x)
        self.hessians = hessian(losses)(self.x)
        self.third = jacfwd(hessian(losses))(self.x)
        self.values, vectors = (part.flip(-1) for part in torch.linalg.eigh(self.hessians.mean(0)))
        self.vectors = vectors.mT

    def terms(self, u):
        second = torch.einsum("mij,mj->i", self.hessians, u) / 3
        third = torch.einsum("mijk,mi,mj->k", self.third, u, u) / 3
        return torch.stack([self.g.mean(0), RHO * second, RHO**2 / 2 * third])


@pytest.fixture(scope="module")
def truth():
    return _Truth()


def _sam(g):
    return g / g.norm(dim=-1, keepdim=True)


def _longer(g):
    return 0.7 * _sam(g) + torch.linspace(0, 1, g.shape[-1], dtype=g.dtype)


@pytest.mark.parametrize("perturbation", [None, _longer, "tensor"])
@pytest.mark.parametrize("k", [1, 3])
def test_network_against_dense_derivatives(truth, perturbation, k, monkeypatch):
    def all_at_once(*_):
        raise AssertionError("a network's minibatches are differentiated one at a time")

    monkeypatch.setattr(truth.landscape, "contracted_gradients", all_at_once)
    u = _sam(truth.g) if perturbation is None else _longer(truth.g)
    given = u if perturbation == "tensor" else perturbation
    v = truth.vectors[:k]
    found = decompose_drift(truth.landscape, truth.x, _pairs(v), RHO, perturbation=given)
    terms = truth.terms(u)
    torch.testing.assert_close(found.components, terms @ v.mT, rtol=1e-10, atol=1e-13)
    torch.testing.assert_close(found.norms, terms.norm(dim=1), rtol=1e-10, atol=0)
    torch.testing.assert_close(found.outside, (terms - terms @ v.mT @ v).norm(dim=1), rtol=1e-10, atol=1e-13)
    squares = ((u @ v.mT) ** 2).mean(0)
    torch.testing.assert_close(found.squared_alignments, squares, rtol=1e-10, atol=0)
    mean_third = truth.third.mean(0)
    flattening = RHO**2 / 2 * squares[:, None] * torch.einsum("ijk,ni,nj->nk", mean_third, v, v)
    torch.testing.assert_close(found.shares, flattening @ terms[2] / terms[2].square().sum(), rtol=1e-9, atol=1e-12)
    assert found.explained == pytest.approx(found.shares.sum().item(), rel=1e-12)
    # wrong on purpose: squared alignments taken for those of the next eigenvector
    other = ((u @ truth.vectors[1 : k + 1].mT) ** 2).mean(0)
    assert not torch.allclose(found.squared_alignments, other, rtol=0.1)


def test_what_the_shares_leave_is_cross_terms_and_minibatches(truth):
    """With all d eigenvectors nothing is outside, and the rest of the third-order term is known."""
    found = decompose_drift(truth.landscape, truth.x, _pairs(truth.vectors), RHO)
    assert found.outside.max() < 1e-12
    u, mean_third = _sam(truth.g), truth.third.mean(0)
    third = truth.terms(u)[2]
    c = u @ truth.vectors.mT
    crossed = torch.einsum("mi,mj->ij", c, c) / 3
    crossed.fill_diagonal_(0)
    v = truth.vectors
    cross = RHO**2 / 2 * torch.einsum("ab,ai,bj,ijk->k", crossed, v, v, mean_third)
    minibatches = RHO**2 / 2 * torch.einsum("mijk,mi,mj->k", truth.third - mean_third, u, u) / 3
    rest = (cross + minibatches) @ third / third.square().sum()
    assert found.explained + rest.item() == pytest.approx(1, rel=1e-9)
    assert abs(rest) > 1e-3  # there is something left to explain


def test_valley_in_closed_form():
    """Beside the valley: H = [[s'' y^2/2, s' y], [s' y, s]] and T of the mean by hand."""
    f = Valley(flat=1.0, sharp=5.0)
    along, across = 0.8, 0.2
    x = torch.tensor([along, across], dtype=torch.float64)
    e = 4 * math.exp(-(along**2) / 2)
    s, s1, s2, s3 = 5 - e, along * e, (1 - along**2) * e, (along**3 - 3 * along) * e
    v = torch.eye(2, dtype=torch.float64)
    g = torch.tensor([[s1 * across**2 / 2, s * across + n] for n in f.noise.tolist()], dtype=torch.float64)
    u = _sam(g)
    found = decompose_drift(f, x, _pairs(v), RHO)
    dense = torch.tensor([[s2 * across**2 / 2, s1 * across], [s1 * across, s]], dtype=torch.float64)
    third = torch.tensor(
        [[[s3 * across**2 / 2, s2 * across], [s2 * across, s1]], [[s2 * across, s1], [s1, 0]]], dtype=torch.float64
    )
    expected = torch.stack(
        [g.mean(0), RHO * dense @ u.mean(0), RHO**2 / 2 * torch.einsum("ijk,mi,mj->k", third, u, u) / 3]
    )
    torch.testing.assert_close(found.components, expected, rtol=1e-10, atol=1e-14)


def test_quadratic_has_no_third_order_term():
    f = Quadratic(torch.diag(torch.tensor([3.0, 1.0], dtype=torch.float64)), centres=[[1.0, 0.0], [0.0, 1.0]])
    found = decompose_drift(f, torch.zeros(2), _pairs(torch.eye(2)), RHO)  # g = (-3, 0) and (0, -1)
    assert found.components.tolist() == [[-1.5, -0.5], [pytest.approx(-RHO * 1.5), pytest.approx(-RHO * 0.5)], [0, 0]]
    assert found.squared_alignments.tolist() == [0.5, 0.5]
    assert math.isnan(found.explained)


def test_reverse_sam_and_a_zero_gradient():
    f, x = Valley(noise=(0.0, 0.5, -0.5)), torch.tensor([0.5, 0.0], dtype=torch.float64)
    pairs = top_eigenpairs(f, x)
    forward, backward = decompose_drift(f, x, pairs, RHO), decompose_drift(f, x, pairs, -RHO)
    torch.testing.assert_close(forward.components[2], backward.components[2])
    torch.testing.assert_close(forward.components[1], -backward.components[1])
    assert forward.squared_alignments.item() == pytest.approx(2 / 3, abs=1e-9)  # one minibatch has no perturbation


def test_names_for_json(truth):
    found = decompose_drift(truth.landscape, truth.x, _pairs(truth.vectors[:2]), RHO).to_dict()
    assert json.loads(json.dumps(found)) == found
    assert found["drift_third_2"] == truth_component(truth, 2, 1)
    assert {"rho", "drift_gradient_1", "drift_hessian_norm", "drift_third_outside"} <= found.keys()
    assert {"squared_alignment_2", "eigenvalue_share_1", "eigenvalue_share"} <= found.keys()


def truth_component(truth, term, i):
    return pytest.approx((truth.terms(_sam(truth.g)) @ truth.vectors[i])[term].item(), rel=1e-9)


def test_gradient_of_the_top_eigenvalue_against_differences(truth):
    """Central differences of the dense lambda_1, error of order h^2; the second eigenvector fails."""

    def top(x):
        return torch.linalg.eigvalsh(hessian(lambda p: truth.losses(p).mean())(x))[-1]

    h = 1e-5
    steps = h * torch.eye(truth.landscape.dim, dtype=torch.float64)
    differences = torch.stack([(top(truth.x + step) - top(truth.x - step)) / (2 * h) for step in steps])
    assert truth.values[0] - truth.values[1] > 0.05 * truth.values[0]  # a simple eigenvalue
    v = top_eigenpairs(truth.landscape, truth.x, tolerance=1e-9).vectors[0]
    found = eigenvalue_gradient(truth.landscape, truth.x, v)
    error = (found - differences).norm() / differences.norm()
    assert error < 1e-7
    wrong = eigenvalue_gradient(truth.landscape, truth.x, truth.vectors[1])
    assert (wrong - differences).norm() / differences.norm() > 0.1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": torch.zeros(3)}, r"point has shape \(3,\)"),
        ({"vectors": torch.ones(1, 3)}, r"eigenvectors have shape \(1, 3\)"),
        ({"vectors": torch.ones(0, 2)}, r"eigenvectors have shape \(0, 2\)"),
        ({"vectors": torch.ones(1, 2)}, "not orthonormal"),
        ({"vectors": torch.full((1, 2), torch.nan)}, "not orthonormal"),
        ({"rho": math.nan}, "rho = nan"),
        ({"perturbation": torch.ones(2)}, r"perturbations have shape \(2,\); expected \(3, 2\)"),
        ({"perturbation": torch.sum}, r"a perturbation has shape \(\)"),
    ],
)
def test_bad_input(change, message):
    arguments = {"x": torch.zeros(2), "vectors": torch.eye(2)[:1], "rho": RHO, "perturbation": None} | change
    with pytest.raises(InputError, match=message):
        decompose_drift(
            Valley(),
            arguments["x"],
            _pairs(arguments["vectors"]),
            arguments["rho"],
            perturbation=arguments["perturbation"],
        )


def test_it_prints_as_a_table():
    f = Valley(flat=1.0, sharp=5.0)
    x = torch.tensor([1.0, 0.0], dtype=torch.float64)
    found = decompose_drift(f, x, top_eigenpairs(f, x), rho=0.1)
    head, names, *rows = repr(found).splitlines()
    assert head == "drift of SAM, rho = 0.1, explained by eigenvalues: 1"
    assert names.split() == ["norm", "outside", "v_1"]
    assert [row.split()[0] for row in rows] == ["gradient", "hessian", "third", "<u,", "share"]
    assert float(rows[2].split()[1]) == pytest.approx(found.norms[2].item(), rel=1e-3)
    assert float(rows[4].split()[1]) == pytest.approx(1)
    assert max(map(len, rows)) == len(names)
