"""A bound of a spectrum knows whether it is a certificate, whoever made it."""

import pytest
import torch

from eigensam.landscapes import DenseOperator, lanczos
from eigensam.landscapes.spectra.chebyshev_bound import chebyshev_bound
from eigensam.landscapes.spectra.spectrum_bound import SpectrumBound

VALUES = torch.linspace(-1, 3, 200, dtype=torch.float64)


@pytest.mark.parametrize(
    ("dtype", "kind", "why"),
    [(torch.float64, "certificate", "up to rounding"), (torch.float32, "estimate", "in float32")],
)
def test_the_type_of_the_products_decides(dtype, kind, why):
    """Of the bound of all eigenvalues, and of that of all others, which is there for several."""
    pairs = lanczos(DenseOperator(torch.diag(VALUES).to(dtype)), 2, max_products=150)
    for bound in (pairs.bound, pairs.rest):
        assert (bound.kind, bound.why) == (kind, why)
        assert bound.to_dict() == {"lower": bound.lower, "upper": bound.upper, "delta": bound.delta, "kind": kind}
        assert repr(bound).endswith(f"({kind} {why})")
    assert pairs.to_dict()["bound"]["kind"] == kind
    assert f"({kind} {why})" in repr(pairs)


def test_numbers_without_products_are_exact():
    assert chebyshev_bound(-1.0, 1.0, 1000, 40, 0.05).kind == "certificate"
    assert SpectrumBound(0.0, 1.0, 0.05).why == "in exact arithmetic"


def test_a_given_start_has_no_bound():
    pairs = lanczos(DenseOperator(torch.diag(VALUES)), start=torch.ones(200, dtype=torch.float64))
    assert pairs.bound is None
    assert pairs.to_dict()["bound"] is None
    assert "whole spectrum" not in repr(pairs)
