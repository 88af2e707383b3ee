"""A vector of tensors against the same in one piece, in every order of postponed operations."""

import itertools
import math

import pytest
import torch

from eigensam.optim.vector import Vector

SHAPES = [(3, 4), (), (5,), (2, 2, 2)]


def _parts(seed, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype) for shape in SHAPES]


def _flat(parts):
    return torch.cat([part.reshape(-1) for part in parts])


OPERATIONS = {
    "scale": (lambda v, w: v.mul_(0.3), lambda a, b: 0.3 * a),
    "each": (lambda v, w: v.mul_([2.0, 1.0, -1.0, 0.5]), None),
    "add": (lambda v, w: v.add_(w, 0.7), lambda a, b: a + 0.7 * b),
    "plus": (lambda v, w: v.plus(w, -1.5), lambda a, b: a - 1.5 * b),
    "plus again": (lambda v, w: v.plus(w, 0.25), lambda a, b: a + 0.25 * b),
}
FACTORS = torch.cat([torch.full((math.prod(s),), f) for s, f in zip(SHAPES, [2.0, 1.0, -1.0, 0.5], strict=True)])


@pytest.mark.parametrize("look", [False, True])
@pytest.mark.parametrize("names", list(itertools.permutations(OPERATIONS, 3)))
def test_operations_in_any_order(names, look):
    """Looking at the norm in between, which is remembered, must change nothing."""
    v, w = Vector(_parts(0)), Vector(_parts(1)).mul_(2.0)
    a, b = _flat(_parts(0)), 2 * _flat(_parts(1))
    for name in names:
        operation, dense = OPERATIONS[name]
        operation(v, w)
        a = FACTORS.double() * a if dense is None else dense(a, b)
        if look:
            assert v.norm() == pytest.approx(a.norm().item(), rel=1e-13)
    target = Vector(_parts(2))
    target.add_(v, 1.1)
    torch.testing.assert_close(target.flat(), _flat(_parts(2)) + 1.1 * a, rtol=1e-13, atol=1e-14)
    assert v.dot(w) == pytest.approx((a @ b).item(), rel=1e-12)
    torch.testing.assert_close(v.flat(), a, rtol=1e-13, atol=1e-14)
    assert v.norm() == pytest.approx(a.norm().item(), rel=1e-13)
    torch.testing.assert_close(w.flat(), b)  # the other one is as it was


@pytest.mark.parametrize("size", [1e-20, 1e-22, 1e-30, 1e-42, 1e25])
def test_norms_beyond_squares_of_float32(size):
    v = Vector([torch.full((4,), size), torch.full((5,), size)])
    actual = float(torch.tensor(size).double())
    assert v.norm() == pytest.approx(3 * actual, rel=1e-6)
    assert v.dot(v) == pytest.approx(9 * actual**2, rel=1e-6)
    unit = v.mul_(1 / v.norm()).flat()
    assert unit.norm().item() == pytest.approx(1, rel=1e-2 if size < 1e-40 else 1e-6)


def test_half_precision_adds_up_in_float32():
    v = Vector([torch.full((1000,), 300.0, dtype=torch.float16)])
    assert v.norm() == pytest.approx(300 * 1000**0.5, rel=1e-3)
    assert v.dot(v) == pytest.approx(300**2 * 1000, rel=1e-3)


def test_complex_numbers_are_pairs():
    z = torch.tensor([3 + 4j])
    assert Vector([z]).norm() == 5
    v = Vector([z]).mul_(2.0).add_(Vector([torch.tensor([1 - 1j])]))
    assert v.parts[0].tolist() == [[7.0, 7.0]]
    assert z.item() == 7 + 7j  # in place


def test_views_and_selections():
    v = Vector(_parts(0))
    flat = torch.arange(26.0, dtype=torch.float64)[: len(v.flat())].clone()
    views = v.views(flat)
    views.mul_(2.0)
    assert torch.equal(views.flat(), flat)  # shared
    some = v.select([True, False, True, False])
    assert some.norm() == pytest.approx(_flat(_parts(0)[::2]).norm().item(), rel=1e-13)
    assert v.select([True] * 4) is v
    assert Vector([]).norm() == Vector([]).dot(Vector([])) == 0


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_finite(bad, dtype):
    parts = _parts(0, dtype)
    before = [part.clone() for part in parts]
    assert Vector(parts).is_finite()
    assert all(map(torch.equal, parts, before))
    parts[3][1, 0, 1] = bad
    assert not Vector(parts).is_finite()
    assert not math.isfinite(Vector(parts).norm())


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16])
def test_the_default_type_does_not_matter(dtype):
    """torch's check takes scalars of one type alone."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        v = Vector(_parts(0, dtype))
        assert v.is_finite()
        v.mul_(2.0).plus(v.clone(), 0.5)
        assert v.is_finite()
        assert math.isfinite(v.norm())
        assert math.isfinite(v.dot(v))
    finally:
        torch.set_default_dtype(before)


FAR = [(1e-6, 3e5), (1e-6, -3e5), (6e4, 1e-8), (6e4, 3e-9), (1e-7, 1e8), (1.0, 0.0), (1.0, 70000.0)]


@pytest.mark.parametrize(("size", "factor"), FAR)
def test_factors_beyond_the_range_of_float16(size, factor):
    """However the factor comes in; the numbers that result are in range, or infinite as they should be."""
    parts = [torch.tensor([size, 0.5 * size]).half(), torch.tensor(size).half()]
    expected = torch.cat([part.double().reshape(-1) for part in parts]) * factor
    expected = torch.where(expected.abs() > 65504, expected.sign() * math.inf, expected)

    def vector():
        return Vector([part.clone() for part in parts])

    zero = [torch.zeros_like(part) for part in parts]
    ways = {
        "number": lambda: vector().mul_(factor),
        "list": lambda: vector().mul_([factor, factor]),
        "twice": lambda: vector().mul_(factor / 10).mul_(10),
        "add": lambda: Vector([each.clone() for each in zero]).add_(vector(), factor),
        "add scaled": lambda: Vector([each.clone() for each in zero]).add_(vector().mul_(factor / 7), 7.0),
        "add list": lambda: Vector([each.clone() for each in zero]).add_(vector(), [factor, factor]),
        "plus": lambda: Vector([each.clone() for each in zero]).plus(vector(), factor),
    }
    for name, way in ways.items():
        found = way().flat().double()
        torch.testing.assert_close(found, expected, rtol=2e-3, atol=1.2e-7, msg=lambda text, name=name: name + text)
    shift = vector()
    Vector([each.clone() for each in zero]).add_(shift, factor)
    assert torch.equal(shift.flat(), vector().flat())
