"""The picture of a spectrum says what was measured."""

import pytest
import torch

from eigensam.landscapes import DenseOperator, lanczos, spectral_density
from eigensam.landscapes.spectra.spectrum_picture import draw_spectrum


@pytest.fixture
def result():
    operator = DenseOperator(torch.diag(torch.linspace(-1, 3, 50, dtype=torch.float64)))
    pairs = lanczos(operator, 3)
    found = spectral_density(operator, probes=4, steps=20)
    names = ("grid", "density", "lower", "upper")
    return {
        "operator": "Hessian",
        "dim": 50,
        "eigenvalues": pairs.values.tolist(),
        "residuals": pairs.residuals.tolist(),
        "bound": {"lower": pairs.bound.lower, "upper": pairs.bound.upper, "delta": 0.05},
        "density": {n: getattr(found, n).tolist() for n in names} | {"width": found.width, "confidence": 0.95},
    }


def test_density_values_and_bound(result):
    (axes,) = draw_spectrum(result).axes
    curve, marks, bound = axes.lines
    assert curve.get_ydata().tolist() == result["density"]["density"]
    assert marks.get_xdata().tolist() == result["eigenvalues"]
    assert bound.get_xdata()[0] == result["bound"]["upper"]
    assert "$\\lambda$" in axes.get_xlabel()
    single = max(result["density"]["density"]) / 50
    assert axes.get_ylim()[0] < single  # one eigenvalue is visible


def test_eigenvalues_alone(result):
    (axes,) = draw_spectrum(result | {"density": None, "bound": None}).axes
    assert axes.lines[0].get_ydata().tolist() == result["eigenvalues"]
    assert "probability" not in str([text.get_text() for text in axes.get_legend().get_texts()])
