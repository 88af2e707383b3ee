"""What one Krylov space misses: copies, clusters, invariant subspaces, starts that are orthogonal to the wanted."""

import importlib
import math

import numpy as np
import pytest
import torch
from scipy.sparse.linalg import eigsh

from eigensam.ground import InputError
from eigensam.landscapes.spectra.block_lanczos_iteration import block_lanczos
from eigensam.landscapes.spectra.completeness import Completeness, beyond
from eigensam.landscapes.spectra.krylov_decomposition import KrylovDecomposition
from eigensam.landscapes.spectra.lanczos_iteration import lanczos
from eigensam.landscapes.spectra.lobpcg_iteration import lobpcg
from eigensam.landscapes.spectra.operators import FunctionOperator
from eigensam.landscapes.spectra.power_iteration import power_method
from eigensam.landscapes.spectra.spectrum_bound import SpectrumBound


def _diagonal(eigenvalues, dtype=torch.float64):
    values = torch.as_tensor(eigenvalues, dtype=torch.float64).to(dtype)
    return FunctionOperator(lambda v: values * v, len(values), dtype)


def _network_like(d=1200):
    """Outliers, then a bulk around 0 with a positive tail, as of a trained multilayer perceptron."""
    generator = torch.Generator().manual_seed(0)
    bulk = 0.01 * torch.randn(d - 40, generator=generator, dtype=torch.float64)
    tail = 0.04 * torch.rand(30, generator=generator, dtype=torch.float64) + 0.02
    return torch.cat([1.8 * 0.8 ** torch.arange(10, dtype=torch.float64), tail, bulk]).sort(descending=True).values


def test_sixty_values_of_a_network_are_the_sixty_largest():
    """The 60th product gives 60 Ritz values, the last ones at the wrong end; their residuals are small already."""
    spectrum = _network_like()
    found = lanczos(_diagonal(spectrum), 60, tolerance=1e-2, max_products=300)
    assert found.converged
    assert found.values.min() > 0
    assert (spectrum[:60] - found.values).abs().max() <= 1e-2 * spectrum[0]
    assert found.rest.upper <= found.values[-1] + 1e-2 * spectrum[0]
    assert found.rest.upper >= spectrum[60]
    few = lanczos(_diagonal(spectrum), 60, tolerance=1e-2)
    assert few.converged or few.missing
    # wrong on purpose: the values as they are after the sixtieth product
    early = lanczos(_diagonal(spectrum), 60, tolerance=1e-2, max_products=60)
    assert not early.converged
    assert early.values.min() < 0
    assert early.residuals.max() <= 1e-2 * spectrum[0]


CASES = {
    "three copies": [5.0] * 3 + [4.0, 3.0] + list(np.linspace(-1, 1, 300)),
    "identity and rank one": [2.0] + [1.0] * 299,
    "two equal blocks": list(np.linspace(0, 1, 150) ** 8) * 2,
    "nearly equal": [5.0, 5.0 - 1e-7, 5.0 - 2e-7, *np.linspace(-1, 1, 200)],
    "three values": [2.0] * 70 + [1.0] * 70 + [0.0] * 70,
}


@pytest.mark.parametrize("which", ["largest", "smallest", "both"])
@pytest.mark.parametrize("case", CASES)
def test_copies_are_found_or_asked_for(case, which, monkeypatch):
    """Truths: the spectrum itself, and scipy's Lanczos with a start for each value it misses (its own restarts)."""
    spectrum = torch.tensor(CASES[case], dtype=torch.float64).sort(descending=True).values
    truth = {"largest": spectrum[:3], "smallest": spectrum.flip(0)[:3]}
    truth["both"] = torch.cat([truth["largest"], truth["smallest"]])
    scale = truth[which].abs().max()
    for seed in range(3):
        found = lanczos(_diagonal(spectrum), 3, which=which, max_products=190, seed=seed)
        assert found.converged or (
            found.missing and which != "largest"
        )  # relative to smallest values of 0: unreachable
        assert not found.converged or (found.values - truth[which]).abs().max() <= 1e-3 * scale
    if case == "three copies" and which == "largest":
        # wrong on purpose: any fresh vector satisfies the check
        module = importlib.import_module("eigensam.landscapes.spectra.lanczos_iteration")
        monkeypatch.setattr(module, "beyond", lambda *arguments: -1.0)
        assert lanczos(_diagonal(spectrum), 3).values.tolist() == pytest.approx([5.0, 4.0, 3.0], rel=1e-3)
        found = eigsh(np.diag(CASES[case]), 3, which="LA", return_eigenvectors=False)
        assert sorted(found) == pytest.approx([5.0] * 3)


def test_a_start_inside_an_invariant_subspace():
    """Orthogonal to the largest eigenvectors, and not near any other one: 1 in place of 3."""
    spectrum = torch.cat([torch.tensor([3.0, 2.5]), torch.linspace(0, 1, 300)]).double()
    start = torch.randn(302, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    start[:2] = 0
    found = lanczos(_diagonal(spectrum), start=start)
    assert found.converged
    assert found.values.item() == pytest.approx(3.0, rel=1e-3)
    blind = lanczos(_diagonal(spectrum), start=start, max_products=40, tolerance=1e-9)  # no time for a check
    assert not blind.converged
    one = lobpcg(_diagonal(spectrum), start=start[None], tolerance=1e-2)
    block = block_lanczos(_diagonal(spectrum), 1, start=start[None])
    power = power_method(_diagonal(spectrum), 900, start=start)
    for other in (one, block, power):
        assert other.values.item() < 1.1 or other.values.item() == pytest.approx(3.0, rel=1e-2)
        assert other.converged == (other.values.item() > 2)
        assert other.converged or other.missing


@pytest.mark.parametrize("which", ["largest", "smallest", "both"])
def test_the_rest_lies_where_it_is_said_to(which):
    """Random spectra: the next eigenvalue is within the bound, which is not far from it."""
    generator, k, tight = torch.Generator().manual_seed(1), 3, []
    for seed in range(40):
        spectrum = torch.randn(400, generator=generator, dtype=torch.float64).sort(descending=True).values
        found = lanczos(_diagonal(spectrum), k, which=which, tolerance=1e-2, max_products=300, seed=seed)
        assert found.converged
        inside = (which == "smallest" or spectrum[k] <= found.rest.upper) and (
            which == "largest" or spectrum[-k - 1] >= found.rest.lower
        )
        assert inside
        tight.append(found.rest.upper - spectrum[k].item())
    if which == "largest":
        assert max(tight) < 0.5


def test_copies_of_the_other_end_do_not_count():
    """Of k values at each end, those of one end do not excuse others beyond them at the other end."""
    operator = _diagonal([3.0, 2.9, 0.0, -1.0, -2.0, 0.5])
    space = KrylovDecomposition.of_vectors(operator, torch.eye(6, dtype=torch.float64)[[0, 4]], 6)
    check = Completeness(space, "both", 1, 0.05)
    space.add_end(space.basis.outside(torch.Generator().manual_seed(0)))
    for _ in range(3):
        rest = check.bound(space.advance())
    assert rest.upper >= 2.9 - 1e-9
    assert rest.lower <= -1.0 + 1e-9
    assert beyond(SpectrumBound(-5.0, 2.0, 0.05), "both", [1.0, -4.0], 1) == 1.0


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_solvers_that_form_squares_refuse_such_scales(scale):
    """They would return 0 for 1e300, with a residual of 0."""
    operator = _diagonal(scale * torch.linspace(1, 2, 100).double())
    for solver in (power_method, lobpcg, lambda a: block_lanczos(a, 2)):
        with pytest.raises(InputError, match="whose square is no number; multiply the operator by"):
            solver(operator)


def test_power_iterates_see_asymmetry():
    matrix = torch.triu(torch.randn(40, 40, generator=torch.Generator().manual_seed(0), dtype=torch.float64))
    with pytest.raises(InputError, match="not symmetric or not deterministic"):
        power_method(FunctionOperator(lambda v: matrix @ v, 40))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"k": 1.5}, "k = 1.5 is not a whole number"),
        ({"max_products": 9.5}, "max_products = 9.5 is not a whole number"),
        ({"basis_size": 7.5}, "basis_size = 7.5 is not a whole number"),
        ({"seed": 0.5}, "seed = 0.5 is not a whole number"),
        ({"seed": 2**63}, "does not fit into 64 bits"),
        ({"tolerance": "small"}, "tolerance = small is no relative accuracy"),
        ({"start": torch.ones(50, dtype=torch.complex128)}, r"start vector is of torch.complex128; expected a real"),
        ({"start": [1.0] * 50}, "start vector is a list; expected a real tensor"),
    ],
)
def test_what_is_no_number_of_its_kind(arguments, message):
    with pytest.raises(InputError, match=message):
        lanczos(_diagonal(torch.linspace(0, 1, 50)), **arguments)
    with pytest.raises(InputError, match="found a Tensor for the operator"):
        lanczos(torch.eye(3))


@pytest.mark.parametrize("scale", [1e-290, 1e-150, 1.0, 1e150, 1e290])
@pytest.mark.parametrize("k", [1, 3])
def test_any_scale(scale, k):
    """Squares of these numbers are 0 or infinite: eigenvalues must scale, and products must be the same number."""
    spectrum = torch.cat([torch.tensor([3.0, 2.0, 2.0]), torch.linspace(-1, 1, 200)]).double()
    one, scaled = (lanczos(_diagonal(factor * spectrum), k, tolerance=1e-6) for factor in (1.0, scale))
    assert scaled.converged
    assert abs(scaled.products - one.products) <= 2
    assert (scaled.values / scale).tolist() == pytest.approx([3.0, 2.0, 2.0][:k], rel=1e-6)
    assert scaled.bound.upper / scale == pytest.approx(one.bound.upper, rel=1e-6)


@pytest.mark.parametrize("d", [1, 2, 7, 60, 100])
def test_small_operators_are_exact(d):
    """Where the products allow the whole space it is spanned, also where a basis of 40 would have been restarted."""
    spectrum = torch.cat([torch.linspace(0, 1, d - 1, dtype=torch.float64) ** 2, torch.tensor([100.0]).double()])
    k = min(3, d)
    found = lanczos(_diagonal(spectrum), k, which="smallest", tolerance=1e-9, max_products=d)
    assert found.converged
    assert (found.values - spectrum.sort().values[:k]).abs().max() < 1e-12
    every = lanczos(_diagonal(spectrum), d, max_products=d)
    assert (every.values - spectrum.sort(descending=True).values).abs().max() < 1e-12
    if d == 60:  # wrong on purpose: as many products with restarts
        short = lanczos(_diagonal(spectrum), 3, which="smallest", tolerance=1e-9, max_products=60, basis_size=40)
        assert not short.converged
        assert math.fabs(short.values[2] - spectrum[2]) > 1e-3 * spectrum[2]
