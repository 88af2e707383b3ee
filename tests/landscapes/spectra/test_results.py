"""What estimators and solvers return prints in words, and turns into JSON and pictures."""

import json

import pytest
import torch

from eigensam.landscapes import DenseOperator, hutchinson, lanczos, lanczos_quadrature, spectral_density

OPERATOR = DenseOperator(torch.diag(torch.linspace(-1, 3, 50, dtype=torch.float64)))
RESULTS = {
    "eigenpairs": lambda: lanczos(OPERATOR, 3),
    "estimate": lambda: hutchinson(OPERATOR, probes=5),
    "quadrature": lambda: lanczos_quadrature(OPERATOR, probes=4, steps=20),
    "density": lambda: spectral_density(OPERATOR, probes=4, steps=20),
}


@pytest.mark.parametrize("name", RESULTS)
def test_a_result_is_json_and_prints_without_tensors(name):
    result = RESULTS[name]()
    again = json.loads(json.dumps(result.to_dict()))
    assert again["products"] == result.products
    assert "tensor(" not in repr(result)
    assert f"{result.products} products" in repr(result)
    assert max(map(len, repr(result).splitlines())) < 200


def test_values_stand_in_the_print():
    pairs = lanczos(OPERATOR, 3)
    lines = repr(pairs).splitlines()
    assert [float(line.split()[1]) for line in lines[:3]] == pytest.approx(pairs.values.tolist(), rel=1e-5)
    assert "converged" in lines[3]
    short = lanczos(OPERATOR, 2, max_products=3)
    assert not short.converged
    assert f"NOT converged: {short.missing}" in repr(short)
    assert repr(hutchinson(OPERATOR, probes=50)).startswith("50, estimate in [50, 50] at 95 %")
    assert "all eigenvalues" in repr(lanczos_quadrature(OPERATOR, probes=4, steps=50))


def test_a_density_draws_itself():
    density = spectral_density(OPERATOR, probes=4, steps=20)
    (axes,) = density.plot().axes
    (line,) = axes.lines
    assert line.get_xdata().tolist() == density.grid.tolist()
    assert line.get_ydata().tolist() == density.density.tolist()
    assert "95 % interval" in [text.get_text() for text in axes.get_legend().get_texts()]
