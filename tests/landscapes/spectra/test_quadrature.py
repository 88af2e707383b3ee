"""Stochastic Lanczos quadrature against dense eigenvectors, exactness for polynomials, and numpy's Gauss rules."""

import math

import numpy as np
import pytest
import torch

from eigensam.ground.errors import InputError
from eigensam.landscapes.spectra.operators import DenseOperator, FunctionOperator
from eigensam.landscapes.spectra.probes import (
    coefficients,
    draw_normal,
    draw_sphere,
    project_out,
    rows_at_a_time,
    working_dtype,
)
from eigensam.landscapes.spectra.quadrature import Quadrature
from eigensam.landscapes.spectra.stochastic_quadrature import as_quadrature, lanczos_quadrature

SINGLE = {"rtol": 1e-4, "atol": 1e-4}  # float32 products of matrices of norm about 10, a few hundred roundings each


def symmetric(eigenvalues, seed=0):
    """A matrix of these eigenvalues in a random orthonormal basis."""
    eigenvalues = torch.as_tensor(eigenvalues, dtype=torch.float64)
    generator = torch.Generator().manual_seed(seed)
    q = torch.linalg.qr(torch.randn(len(eigenvalues), len(eigenvalues), dtype=torch.float64, generator=generator))[0]
    matrix = (q * eigenvalues) @ q.mT
    return (matrix + matrix.mT) / 2


@pytest.fixture(autouse=True)
def sampled(monkeypatch):
    """The rules themselves, where eigenvalues of small matrices would be no dearer; test_traces.py has those."""
    monkeypatch.setattr("eigensam.landscapes.spectra.stochastic_quadrature._DENSE", 0)


def probe_vectors(operator, probes, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.stack([draw_sphere(operator, generator) for _ in range(probes)])


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_polynomials_of_degree_below_twice_the_steps_are_exact(steps):
    """``z^T A^p z`` by repeated products; at degree ``2 m`` the rule is wrong, so that the test can fail."""
    operator = DenseOperator(symmetric(np.linspace(-1.5, 1, 30)))
    quadrature = lanczos_quadrature(operator, probes=3, steps=steps, seed=4)
    z = probe_vectors(operator, 3, seed=4)
    assert quadrature.nodes.shape == quadrature.weights.shape == (3, steps)
    power = z
    for degree in range(2 * steps + 1):
        truth = (z * power).sum(-1)
        estimate = quadrature.traces(lambda t, p=degree: t**p)
        if degree < 2 * steps:
            torch.testing.assert_close(estimate, truth, rtol=1e-10, atol=1e-10)
        else:
            assert (estimate - truth).abs().min() > 1e-6
        power = operator @ power


def test_all_steps_give_the_spectral_measure_of_each_probe(f64):
    """Nodes are all eigenvalues, and weights the squared coordinates of the probe in the eigenvectors."""
    operator = DenseOperator(symmetric([-3.0, -1.0, 0.5, 2.0, 7.0]))
    values, vectors = torch.linalg.eigh(operator.matrix)
    quadrature = lanczos_quadrature(operator, probes=4, steps=100)
    assert quadrature.products == 20
    torch.testing.assert_close(quadrature.nodes, values.expand(4, 5), rtol=1e-10, atol=1e-10)
    expected = (probe_vectors(operator, 4) @ vectors) ** 2 / 5
    torch.testing.assert_close(quadrature.weights, expected, rtol=1e-10, atol=1e-10)


def test_gauss_legendre(f64, monkeypatch):
    """A measure that is uniform on 2000 midpoints has, to their spacing, the Gauss rule that numpy knows."""
    points = (torch.arange(2000, dtype=f64) + 0.5) / 2000
    monkeypatch.setattr(
        "eigensam.landscapes.spectra.stochastic_quadrature.draw_sphere",
        lambda operator, generator: torch.ones_like(points),
    )
    quadrature = lanczos_quadrature(DenseOperator(torch.diag(points), semidefinite=True), probes=1, steps=6)
    assert quadrature.lower.nodes[0, 0].item() == pytest.approx(0, abs=1e-10)  # below the spectrum: a Radau rule
    nodes, weights = np.polynomial.legendre.leggauss(6)
    np.testing.assert_allclose(quadrature.nodes[0], (nodes + 1) / 2, atol=1e-5)
    np.testing.assert_allclose(quadrature.weights[0], weights / 2, atol=1e-5)


@pytest.mark.parametrize(
    ("eigenvalues", "distinct"), [([2.0] * 12, 1), ([-1.0] * 5 + [3.0] * 7, 2), ([0.0] * 9, 1), ([5.0], 1)]
)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_a_closed_krylov_space_ends_early(eigenvalues, distinct, dtype):
    operator = DenseOperator(symmetric(eigenvalues).to(dtype))
    quadrature = lanczos_quadrature(operator, probes=3, steps=8)
    assert quadrature.products == 3 * distinct
    assert (quadrature.weights[:, distinct:] == 0).all()
    torch.testing.assert_close(quadrature.weights.sum(1), torch.ones(3, dtype=torch.float64))
    expected = torch.tensor(sorted(set(eigenvalues)), dtype=torch.float64).expand(3, distinct)
    torch.testing.assert_close(quadrature.nodes[:, :distinct], expected, **SINGLE)
    assert (quadrature.nodes[:, distinct:] == quadrature.nodes[:, distinct - 1 : distinct]).all()


def test_float32_agrees_with_float64():
    """Also with an eigenvalue far outside, where rounding is worst; and with the sums taken in pieces."""
    matrix = symmetric([1000.0, *np.linspace(-1, 1, 149)])
    double = lanczos_quadrature(DenseOperator(matrix), steps=30)
    single = lanczos_quadrature(DenseOperator(matrix.float()), steps=30)
    assert single.nodes.dtype == torch.float64
    for function in (torch.square, torch.atan):
        torch.testing.assert_close(single.traces(function), double.traces(function), rtol=1e-4, atol=1e-3 * 1000**0.5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_rounding_is_not_asymmetry(dtype):
    """100 steps, with and without an outlier, and on a spectrum that falls to rounding."""
    steps = torch.linspace(0, 1, 200, dtype=torch.float64)
    for eigenvalues in (steps, torch.cat([steps[1:], torch.tensor([1e4])]), torch.exp(-60 * steps)):
        lanczos_quadrature(DenseOperator(symmetric(eigenvalues).to(dtype)), probes=2, steps=100)


def test_half_precision_keeps_a_basis_in_single():
    types = [torch.float16, torch.bfloat16, torch.float32, torch.float64]
    kept = [working_dtype(FunctionOperator(lambda v: v, 2, dtype)) for dtype in types]
    assert kept == [torch.float32] * 3 + [torch.float64]
    operator = FunctionOperator(lambda v: v * torch.arange(20, dtype=torch.bfloat16), 20, torch.bfloat16)
    quadrature = lanczos_quadrature(operator, probes=2, steps=20)
    # Half precision has 8 bits; the rest is that of a form.
    z, values = probe_vectors(operator, 2), torch.arange(20, dtype=torch.float64)
    torch.testing.assert_close(quadrature.traces(lambda t: t), (z.double() ** 2 * values).sum(1), rtol=1e-2, atol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("kind", ["asymmetric", "skew", "random"])
def test_what_is_not_a_symmetric_matrix_is_refused(kind, dtype):
    matrix = symmetric(np.linspace(-1, 1, 40)).to(dtype)
    noise = torch.randn(40, 40, generator=torch.Generator().manual_seed(1)).to(dtype)
    generator = torch.Generator().manual_seed(2)

    def product(v):
        if kind == "random":
            return matrix @ v + 1e-3 * torch.randn(40, generator=generator).to(dtype)
        return (matrix + 1e-3 * noise if kind == "asymmetric" else noise - noise.mT) @ v

    with pytest.raises(
        InputError, match=r"not symmetric or not deterministic.*expected at most .*keep the batch fixed"
    ):
        lanczos_quadrature(FunctionOperator(product, 40, dtype))


def test_a_stated_accuracy_admits_noise():
    matrix, generator = symmetric(np.linspace(-1, 1, 40)), torch.Generator().manual_seed(2)

    def product(v):
        return matrix @ v + 1e-3 * torch.randn(40, generator=generator, dtype=torch.float64) / 40**0.5

    quadrature = lanczos_quadrature(FunctionOperator(product, 40, accuracy=1e-2), probes=3)
    torch.testing.assert_close(quadrature.nodes.max(), torch.tensor(1.0, dtype=torch.float64), rtol=0, atol=1e-2)


def test_seeds_and_progress():
    operator, counts = DenseOperator(symmetric(np.linspace(-1, 1, 20))), []
    first = lanczos_quadrature(operator, probes=3, steps=5, seed=7, callback=counts.append)
    again = lanczos_quadrature(operator, probes=5, steps=5, seed=7)
    other = lanczos_quadrature(operator, probes=3, steps=5, seed=8)
    assert counts == list(range(1, 16))
    assert first.products == 15
    assert torch.equal(first.nodes, again.nodes[:3])
    assert not torch.equal(first.nodes, other.nodes)


def test_an_operator_that_returns_its_vector_does_not_spoil_the_basis():
    quadrature = lanczos_quadrature(FunctionOperator(lambda v: v, 6), probes=2)
    assert quadrature.products == 2
    torch.testing.assert_close(quadrature.nodes, torch.ones(2, 6, dtype=torch.float64))


def test_sums_in_pieces(monkeypatch, f64):
    basis = torch.randn(3, 10, dtype=f64, generator=torch.Generator().manual_seed(0))
    v = torch.arange(10, dtype=f64)
    expected = basis @ v
    monkeypatch.setattr("eigensam.landscapes.spectra.probes._PIECE", 3)
    torch.testing.assert_close(coefficients(basis, v), expected)
    q = torch.linalg.qr(basis.mT)[0].mT
    assert coefficients(q, project_out(q, v)).abs().max() < 1e-14
    assert torch.equal(project_out(q[:0], v), v)


def test_probes_do_not_depend_on_the_type():
    for draw in (draw_sphere, draw_normal):
        single, double = (
            draw(FunctionOperator(lambda v: v, 50, dtype), torch.Generator().manual_seed(3))
            for dtype in (torch.float32, torch.float64)
        )
        assert torch.equal(single, double.float())
    z = draw_sphere(FunctionOperator(lambda v: v, 10_000), torch.Generator().manual_seed(0))
    assert z.norm().item() == pytest.approx(100)
    assert abs(z.sum().item()) < 4 * math.sqrt(10_000)


def test_batches_fit_into_memory():
    assert [rows_at_a_time(FunctionOperator(lambda v: v, d), None) for d in (10, 10**6, 10**7)] == [32, 8, 1]


@pytest.mark.parametrize(
    ("settings", "message"), [({"probes": 0}, "probes = 0; expected at least 1"), ({"steps": 0}, "steps = 0; expected")]
)
def test_refused_settings(settings, message):
    with pytest.raises(InputError, match=message):
        lanczos_quadrature(DenseOperator(torch.eye(2)), **settings)


def test_settings_beside_a_quadrature_are_refused():
    quadrature = lanczos_quadrature(DenseOperator(torch.eye(2)), probes=2)
    assert as_quadrature(quadrature) is quadrature
    for settings in ({"probes": 3}, {"steps": 3}, {"seed": 3}):
        with pytest.raises(InputError, match="belong to an operator"):
            as_quadrature(quadrature, **settings)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (torch.log, r"gives nan at -1; expected finite values on the whole spectrum, here at least \[-1, 3\]"),
        (lambda t: t.sum(), r"gives \(\) for nodes of shape \(1, 2\); expected a tensor of that shape"),
        (lambda t: 1.0, "gives float for nodes"),
    ],
)
def test_refused_functions(function, message):
    half = torch.tensor([[0.5, 0.5]])
    with pytest.raises(InputError, match=message):
        Quadrature(torch.tensor([[-1.0, 3.0]]), half, dim=2, products=2).traces(function)


def test_products_that_are_not_finite_are_refused():
    with pytest.raises(InputError, match="not finite"):
        lanczos_quadrature(FunctionOperator(lambda v: v / 0, 3))
