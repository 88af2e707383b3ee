"""LOBPCG against dense eigenvalues and Lanczos; products counted, residuals honest, no warnings."""

import math

import pytest
import torch

from eigensam.ground import InputError
from eigensam.landscapes.spectra.lanczos_iteration import lanczos
from eigensam.landscapes.spectra.lobpcg_iteration import lobpcg
from eigensam.landscapes.spectra.operators import FunctionOperator

SPECTRUM = torch.cat([torch.tensor([5.0, 5.0, 4.0]), torch.linspace(-3, 0.5, 97)]).double()


def _operator(dtype=torch.float64, calls=None):
    values = SPECTRUM.to(dtype)

    def product(v):
        if calls is not None:
            calls.append(1)
        return values * v

    return FunctionOperator(product, len(values), dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("which", ["largest", "smallest", "both"])
def test_against_the_spectrum_and_lanczos(which, dtype):
    calls = []
    found = lobpcg(_operator(dtype, calls), 2, which=which, tolerance=1e-3)
    assert found.converged
    assert found.vectors.dtype == dtype
    assert found.products == len(calls)
    low, high = SPECTRUM.sort().values[:2], SPECTRUM.sort(descending=True).values[:2]
    truth = {"largest": high, "smallest": low, "both": torch.cat([high, low])}[which]
    torch.testing.assert_close(found.values, truth, rtol=1e-3, atol=0)
    other = lanczos(_operator(), which=which, tolerance=1e-6).values
    assert found.values[0].item() == pytest.approx(other[0].item(), rel=1e-3)
    errors = (_operator(dtype) @ found.vectors - found.values[:, None].to(dtype) * found.vectors).norm(dim=1)
    torch.testing.assert_close(errors.double(), found.residuals, rtol=1e-2, atol=1e-5)


def test_says_when_it_has_not_converged():
    found = lobpcg(_operator(), max_iterations=1, tolerance=1e-8)
    assert not found.converged
    assert found.residuals.item() > 1e-3


def test_same_seed_same_result_and_warm_start():
    one, two = (lobpcg(_operator(), 2, seed=1) for _ in range(2))
    assert torch.equal(one.vectors, two.vectors)
    assert lobpcg(_operator(), 2, start=one.vectors).products < one.products


def test_refusals():
    operator = FunctionOperator(lambda v: v, 9)
    with pytest.raises(InputError, match=r"lobpcg finds k <= d/5 eigenpairs, not 2 of 9; use lanczos"):
        lobpcg(operator, 2)
    with pytest.raises(InputError, match="k = 0 eigenpairs"):
        lobpcg(operator, 0)
    with pytest.raises(InputError, match="max_iterations = 0; expected at least 1"):
        lobpcg(operator, max_iterations=0)
    with pytest.raises(InputError, match=r"start block has shape \(9,\); expected \(1, 9\)"):
        lobpcg(operator, start=torch.ones(9))
    with pytest.raises(InputError, match="1 rows of the start block are linearly dependent or not finite"):
        lobpcg(operator, start=torch.zeros(1, 9))
    with pytest.raises(InputError, match="not finite"):
        lobpcg(FunctionOperator(lambda v: v * math.nan, 9))
