"""The worked example against powers of the matrix in exact arithmetic, and against numpy's eigenvectors."""

from fractions import Fraction

import numpy as np
import pytest

from eigensam.paper_figures.measurements.power_example import EXAMPLES, Example, power_steps


def _powers(example, steps):
    """``(A + shift)^p e_1`` in fractions: what a student would write down before scaling."""
    (a, b), (c, d) = (tuple(map(Fraction, row)) for row in example.matrix)
    shift, found = Fraction(example.shift), [(Fraction(1), Fraction(0))]
    for _ in range(steps):
        x, y = found[-1]
        found.append(((a + shift) * x + b * y, c * x + (d + shift) * y))
    return found


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda each: each.name)
def test_iterates_are_powers(example):
    found = power_steps(example, 6)
    for step, (x, y) in zip(found["steps"], _powers(example, 6), strict=True):
        length = float(x * x + y * y) ** 0.5
        assert step["v"] == pytest.approx([float(x) / length, float(y) / length], rel=1e-12)
        (a, b), (c, d) = example.matrix
        quotient = (Fraction(a) * x * x + Fraction(b + c) * x * y + Fraction(d) * y * y) / (x * x + y * y)
        assert step["rayleigh"] == pytest.approx(float(quotient), rel=1e-12)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda each: each.name)
def test_the_tangent_shrinks_by_the_ratio_of_eigenvalues(example):
    """Against numpy's eigenvalues; wrong on purpose: the ratio of the unshifted ones, or the inverse."""
    found = power_steps(example, 8)
    values = np.linalg.eigvalsh(np.array(example.matrix))
    small, large = sorted(abs(values + example.shift))
    errors = [step["error"] for step in found["steps"]]
    assert errors == pytest.approx([(small / large) ** p for p in range(9)], rel=1e-6)
    assert errors != pytest.approx([(large / small) ** p for p in range(9)], rel=1e-6)
    assert sorted(found["eigenvalues"]) == pytest.approx(values.tolist())
    matrix, vector = np.array(example.matrix), np.array(found["vector"])
    np.testing.assert_allclose(matrix @ vector, found["eigenvalues"][found["limit"]] * vector, atol=1e-12)


def test_the_saddle_needs_its_shift():
    """The iterates approach the most negative eigenvalue and change their sign each time; with a shift the largest."""
    saddle, shifted = (power_steps(each, 12) for each in EXAMPLES[1:])
    assert saddle["steps"][-1]["rayleigh"] == pytest.approx(-4, abs=1e-5)
    assert shifted["steps"][-1]["rayleigh"] == pytest.approx(2, abs=1e-5)
    first, second = (np.array(step["v"]) for step in saddle["steps"][-2:])
    assert first @ second == pytest.approx(-1, abs=1e-4)
    too_small = power_steps(Example("", EXAMPLES[1].matrix, shift=0.5), 40)  # wrong on purpose
    assert too_small["steps"][-1]["rayleigh"] == pytest.approx(-4, abs=1e-5)
