"""What each term is for: measured orders are those of theory, and wrong SDEs fail where they should."""

from fractions import Fraction

import pytest
import torch

from eigensam.landscapes import TiltedTorus
from eigensam.paper_figures.measurements.ablations import ablations, transposed_cholesky
from eigensam.paper_figures.measurements.order_cells import TABLE_ETAS
from eigensam.sde import drift_and_covariance, verify_on_torus

EVERY = list(ablations())
FIRST, SECOND = (sorted({a.group for a in EVERY})[i] for i in (0, 1))


@pytest.mark.parametrize("ablation", EVERY, ids=lambda a: f"{a.group.split(',')[0]}-{a.change}")
def test_order_of_theory(ablation):
    found = verify_on_torus(
        ablation.sde, etas=TABLE_ETAS[1:], coefficients=ablation.coefficients, expected=float(ablation.order)
    )
    assert found.slope == pytest.approx(float(ablation.order), abs=0.1 if ablation.order == 2 else 0.06)


@pytest.mark.parametrize(
    ("group", "change", "claimed", "verdict"),
    [
        (FIRST, "ρ² in the drift halved", 1, "fail"),
        (FIRST, "the SDE of USAM", 1, "fail"),
        (FIRST, "diffusion doubled (Σ × 4)", 1, "pass"),  # at order 1 nobody can tell
        (FIRST, "Cholesky factor transposed", 1, "pass"),
        (SECOND, "sign of b₁ flipped", 2, "fail"),
        (SECOND, "diffusion doubled (Σ × 4)", 2, "fail"),
        (SECOND, "Cholesky factor transposed", 2, "fail"),
        (SECOND, "without noise", 2, "fail"),
    ],
)
def test_negative_controls(group, change, claimed, verdict):
    (ablation,) = (a for a in EVERY if (a.group, a.change) == (group, change))
    found = verify_on_torus(ablation.sde, etas=TABLE_ETAS[:3], coefficients=ablation.coefficients, expected=claimed)
    assert found.verdict == verdict, found.reason


def test_groups_begin_with_the_whole_sde():
    assert [a.change for a in EVERY].count("none") == 2
    assert {a.group: a.order for a in EVERY if a.change == "none"} == {FIRST: Fraction(1), SECOND: Fraction(2)}


def test_the_transposed_factor_is_another_covariance():
    """Same eigenvalues, other eigenvectors; in one dimension the mistake is none."""
    f, sde = TiltedTorus.default(2), EVERY[0].sde
    x = torch.tensor([[[1.0, 2.0]]], dtype=torch.float64)
    right, wrong = (c(f, sde, x, 0.1, 0.1, None)[1][0] for c in (drift_and_covariance, transposed_cholesky))
    torch.testing.assert_close(torch.linalg.eigvalsh(right), torch.linalg.eigvalsh(wrong), rtol=1e-6, atol=1e-12)
    assert (right - wrong).abs().max() > 0.01 * right.abs().max()
    one = TiltedTorus.default(1)
    right, wrong = (c(one, sde, x[..., :1], 0.1, 0.1, None)[1] for c in (drift_and_covariance, transposed_cholesky))
    torch.testing.assert_close(right, wrong)
