"""Comparison with differences: agreement, disagreement, and what is neither."""

import pytest
import torch

from eigensam.landscapes.derivatives.derivative_check import (
    check_direction,
    compare_with_differences,
    without_constants,
)

D = torch.float64
X = torch.linspace(0.5, 2.0, 6, dtype=D)
SHAPES = [torch.Size([2, 2]), torch.Size([2])]


def cubes(x):
    return x**3


@pytest.mark.parametrize("dtype", [torch.float32, D])
def test_right_and_wrong_in_both_precisions(dtype):
    x = X.to(dtype)
    u = check_direction(x, SHAPES)
    right = compare_with_differences(lambda: 3 * x**2 * u, cubes, x, u, [4, 2])
    assert right.outcome == "agrees"
    assert right.error < (1e-7 if dtype == D else 1e-2)
    for share in (0.3, 0.1) if dtype == D else (2.0, 3.0):  # only gross errors are told from kinks in float32
        wrong = compare_with_differences(lambda s=share: (3 + s) * x**2 * u, cubes, x, u, [4, 2])
        assert wrong.outcome == "differs"
        assert wrong.error == pytest.approx(share / 3, rel=0.2 if dtype == torch.float32 else 1e-3)


def test_single_precision_says_nothing_of_errors_that_kinks_may_make():
    x = X.float()
    u = check_direction(x, SHAPES)
    assert compare_with_differences(lambda: 3.9 * x**2 * u, cubes, x, u, [4, 2]).outcome == "unclear"


def test_a_small_block_that_is_wrong_is_named():
    x, scale = X, torch.tensor([1.0, 1, 1, 1, 1e-3, 1e-3], dtype=D)
    u = check_direction(x, SHAPES)
    value = 3 * x**2 * u * scale
    value[4:] *= 1.1
    compared = compare_with_differences(lambda: value, lambda p: scale * p**3, x, u, [4, 2])
    assert (compared.outcome, compared.block) == ("differs", 1)
    # and is not seen behind the large one, if they are not told apart
    whole = compare_with_differences(lambda: value, lambda p: scale * p**3, x, u)
    assert whole.outcome == "agrees" or whole.error < 1e-3


def test_a_kink_is_no_proof():
    """The first step meets it, a smaller one does not; where all do, nothing can be said."""
    u = torch.ones(1, dtype=D)
    for place, outcome in ((5e-9, "agrees"), (0.0, "unclear")):

        def step(p, place=place):
            return p**2 + (p > 1 + place)  # jumps

        x = torch.ones(1, dtype=D)
        assert compare_with_differences(lambda x=x: 2 * x, step, x, u).outcome == outcome


def test_noise_is_unclear():
    generator = torch.Generator().manual_seed(0)
    u = check_direction(X, SHAPES)
    compared = compare_with_differences(
        lambda: 3 * X**2 * u, lambda p: p**3 + torch.randn(6, generator=generator, dtype=D), X, u
    )
    assert compared.outcome == "unclear"


def test_zero_and_nan():
    u = check_direction(X, SHAPES)
    constant = torch.full((6,), 1 / 3, dtype=D)
    assert compare_with_differences(lambda: torch.zeros(6, dtype=D), lambda p: constant, X, u).outcome == "agrees"
    rounding = compare_with_differences(lambda: torch.zeros(6, dtype=D), lambda p: constant + p - p, X, u)
    assert rounding.outcome == "agrees"
    nan = compare_with_differences(lambda: torch.full((6,), torch.nan, dtype=D), cubes, X, u)
    assert nan.outcome == "differs"  # another route may be finite
    lost = compare_with_differences(lambda: u, lambda p: p * torch.nan, X, u)
    assert lost.outcome == "unclear"


def test_directions():
    x = torch.cat([torch.zeros(4, dtype=D), X])
    shapes = [torch.Size([4]), torch.Size([6])]
    u = check_direction(x, shapes, seed=3)
    assert torch.equal(u, check_direction(x, shapes, seed=3))
    assert not torch.equal(u, check_direction(x, shapes, seed=4))
    assert u[4:].norm() == pytest.approx(X.norm())
    assert u[:4].norm() == pytest.approx(0.1 * X.norm() / 2**0.5)  # a tensor of zeros
    assert check_direction(torch.zeros(10, dtype=D), shapes)[:4].norm() == pytest.approx(1.0)


def test_constants_are_those_without_a_gradient_on_both_sides():
    u = torch.ones(3, dtype=D)
    assert without_constants(u, torch.tensor([0.0, 1, 0], dtype=D), torch.tensor([0.0, 0, 2], dtype=D)).tolist() == [
        0.0,
        1.0,
        1.0,
    ]
    assert without_constants(u, u, u) is None
