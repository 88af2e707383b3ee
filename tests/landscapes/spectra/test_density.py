"""The smoothed density against dense eigenvalues and scipy's normal distribution; its error bars cover the truth."""

import numpy as np
import pytest
import torch
from scipy.stats import norm

from eigensam.ground.errors import InputError
from eigensam.landscapes.spectra.density import spectral_density
from eigensam.landscapes.spectra.operators import DenseOperator, FunctionOperator
from eigensam.landscapes.spectra.stochastic_quadrature import lanczos_quadrature

REPLICATIONS = 200
MARGIN = 0.04  # 2.6 standard errors of a fraction of 0.95 in 200 replications
# 0: probes are drawn where eigenvalues would be no dearer
DENSE = "eigensam.landscapes.spectra.stochastic_quadrature._DENSE"
DRAW = "eigensam.landscapes.spectra.stochastic_quadrature.draw_sphere"


def symmetric(eigenvalues, seed=0):
    """A matrix of these eigenvalues in a random orthonormal basis."""
    eigenvalues = torch.as_tensor(eigenvalues, dtype=torch.float64)
    generator = torch.Generator().manual_seed(seed)
    q = torch.linalg.qr(torch.randn(len(eigenvalues), len(eigenvalues), dtype=torch.float64, generator=generator))[0]
    matrix = (q * eigenvalues) @ q.mT
    return (matrix + matrix.mT) / 2


def smoothed(eigenvalues, grid, width):
    """The truth: mean densities and distribution functions of normals around the eigenvalues."""
    z = (np.asarray(grid)[:, None] - np.asarray(eigenvalues)) / width
    return norm.pdf(z).mean(1) / width, norm.cdf(z).mean(1)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("eigenvalues", [[3.0], [-2.0, -2.0, 0.0, 1.0, 1.0, 1.0, 4.0], [0.5] * 5])
def test_small_matrices_are_exact(eigenvalues, dtype):
    """d = 1, repeated and negative eigenvalues: no more products than the probes would have spent."""
    operator = DenseOperator(torch.diag(torch.tensor(eigenvalues, dtype=dtype)))
    density = spectral_density(operator, width=0.3, probes=3)
    expected, fraction = smoothed(eigenvalues, density.grid, 0.3)
    precision = 1e-5 if dtype == torch.float32 else 1e-12
    np.testing.assert_allclose(density.density, expected, atol=precision)
    np.testing.assert_allclose(density.cumulative, fraction, atol=precision)
    np.testing.assert_allclose(density.upper - density.lower, 0, atol=precision)
    assert density.density.dtype == torch.float64
    assert density.width == 0.3
    assert density.products == len(eigenvalues)


def test_each_probe_by_dense_matrices(monkeypatch):
    """``z^T f z / d`` with ``f`` of the dense matrix; mean over probes, variance ``2 (|f z|^2 - (z^T f z)^2 / d)``."""
    monkeypatch.setattr(DENSE, 0)
    matrix, grid = symmetric(np.linspace(-1, 1, 12)), torch.tensor([-0.5, 0.1], dtype=torch.float64)
    quadrature = lanczos_quadrature(DenseOperator(matrix), probes=3, steps=12)
    density = spectral_density(quadrature, width=0.2, grid=grid, confidence=0.9)
    values, vectors = np.linalg.eigh(matrix.numpy())
    generator = torch.Generator().manual_seed(0)
    draws = np.stack([torch.randn(12, generator=generator, dtype=torch.float64).numpy() for _ in range(3)])
    weights = (draws @ vectors / np.linalg.norm(draws, axis=1)[:, None]) ** 2
    z = (grid.numpy()[:, None] - values) / 0.2
    for function, mean, lower, upper in (
        (norm.pdf(z) / 0.2, density.density, density.lower, density.upper),
        (norm.cdf(z), density.cumulative, density.cumulative_lower, density.cumulative_upper),
    ):
        probes = weights @ function.T
        np.testing.assert_allclose(mean, probes.mean(0), rtol=1e-10)
        variances = 2 / 12 * (weights @ (function**2).T - probes**2)
        half = 2.919985580 * (variances.mean(0) / 3) ** 0.5  # a table's 95 % quantile of two degrees of freedom
        np.testing.assert_allclose(lower, np.maximum(probes.mean(0) - half, 0), rtol=1e-8)
        np.testing.assert_allclose(upper, probes.mean(0) + half, rtol=1e-8)
    assert density.confidence == 0.9
    assert density.products == quadrature.products == 36


@pytest.mark.parametrize("eigenvalues", [np.linspace(-1, 2, 40), [1.0] * 6, [0.0] * 4, [-1e-9, 3e-9, 1e-9]])
def test_default_grid_holds_the_mass(eigenvalues, monkeypatch):
    monkeypatch.setattr(DENSE, 0)
    density = spectral_density(DenseOperator(symmetric(eigenvalues)), steps=15, probes=2)  # long bars, cut at 0 and 1
    assert torch.trapezoid(density.density, density.grid).item() == pytest.approx(1, abs=1e-8)
    integral = torch.cumulative_trapezoid(density.density, density.grid)
    # The trapezoidal rule at a point inside: error h^2 / 12 |phi'|, with 4 points in a width.
    np.testing.assert_allclose(density.cumulative[1:], integral, atol=2e-3)
    for lower, middle, upper in (
        (density.lower, density.density, density.upper),
        (density.cumulative_lower, density.cumulative, density.cumulative_upper),
    ):
        assert ((lower >= 0) & (lower <= middle) & (middle <= upper)).all()
    assert density.cumulative_upper.max() <= 1
    assert density.cumulative.max() <= 1
    assert (density.cumulative.diff() >= 0).all()
    assert len(density.grid) < 1000


@pytest.mark.parametrize("steps", [10, 40])
def test_default_width_shows_the_spectrum_and_not_the_nodes(steps, monkeypatch):
    """Half the default width shows the nodes: the same comparison fails. The start sees all eigenvalues alike."""
    monkeypatch.setattr(DRAW, lambda operator, generator: torch.ones(operator.dim, dtype=torch.float64))
    monkeypatch.setattr(DENSE, 0)
    eigenvalues = torch.linspace(-1, 2, 600, dtype=torch.float64)
    quadrature = lanczos_quadrature(DenseOperator(torch.diag(eigenvalues)), probes=2, steps=steps)

    def error(width):
        density = spectral_density(quadrature, width=width)
        truth = smoothed(eigenvalues, density.grid, density.width)[0]
        return np.abs(density.density.numpy() - truth).max() / truth.max()

    default = spectral_density(quadrature).width
    assert error(None) < 0.002
    assert error(default / 2) > 0.1


def test_error_bars_cover_the_truth():
    """In 91 % of 200 replications or more, for density and fraction; bars of half the length do not."""
    eigenvalues, width, grid = np.linspace(-1, 1, 60), 0.4, torch.tensor([0.25], dtype=torch.float64)
    operator = DenseOperator(symmetric(eigenvalues))
    density_truth, fraction_truth = (float(truth[0]) for truth in smoothed(eigenvalues, grid, width))
    covered = {(kind, scale): 0 for kind in ("density", "fraction") for scale in (1, 0.5)}
    for seed in range(REPLICATIONS):
        density = spectral_density(operator, width=width, grid=grid, probes=6, steps=8, seed=seed)
        for scale in (1, 0.5):
            bar = scale * (density.upper - density.density).item()
            covered["density", scale] += abs(density.density.item() - density_truth) <= bar
            bar = scale * (density.cumulative_upper - density.cumulative).item()
            covered["fraction", scale] += abs(density.cumulative.item() - fraction_truth) <= bar
    for kind in ("density", "fraction"):
        assert covered[kind, 1] / REPLICATIONS >= 0.95 - MARGIN, covered
        assert covered[kind, 0.5] / REPLICATIONS < 0.95 - MARGIN, covered


def test_settings_reach_the_quadrature():
    operator, counts = DenseOperator(symmetric(np.linspace(-1, 1, 20))), []
    direct = spectral_density(operator, probes=3, steps=5, seed=7, callback=counts.append)
    given = spectral_density(lanczos_quadrature(operator, probes=3, steps=5, seed=7))
    assert counts == list(range(1, 16))
    assert torch.equal(direct.density, given.density)
    assert direct.width == pytest.approx((direct.grid[-1] - direct.grid[0]).item() / 17)  # range / 5, and 6 at each end


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"width": 0.0}, "width = 0.0 is not positive"),
        ({"width": float("nan")}, "width = nan is not positive"),
        ({"width": 1e-9}, r"width = 1e-09 on a spectrum of length 2 needs .* grid points; give a larger width"),
        ({"confidence": 1.0}, "confidence = 1.0 is not between 0 and 1"),
        ({"probes": 1}, "1 probe.* no interval"),
        ({"grid": torch.tensor([0.0, 0.0])}, "not finite and increasing"),
        ({"grid": torch.tensor([0.0, float("inf")])}, "not finite and increasing"),
        ({"grid": torch.zeros(2, 2)}, r"grid has shape \(2, 2\); expected \(n,\)"),
        ({"grid": torch.zeros(0)}, r"grid has shape \(0,\)"),
    ],
)
def test_refusals(settings, message):
    with pytest.raises(InputError, match=message):
        spectral_density(DenseOperator(torch.diag(torch.tensor([-1.0, 1.0]))), **settings)


def test_one_probe_has_no_error_bars():
    """Said before any product is spent, too."""
    operator = FunctionOperator(lambda v: pytest.fail("a product was spent"), 3)
    with pytest.raises(InputError, match="no interval"):
        spectral_density(operator, probes=1)
    with pytest.raises(InputError, match="no interval"):
        spectral_density(lanczos_quadrature(DenseOperator(torch.eye(300)), probes=1))
