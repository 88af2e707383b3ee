"""Truths: powers in extended precision, scipy's expm and expm_multiply, closed forms of nilpotent matrices."""

import math

import numpy as np
import pytest
import torch
from scipy.linalg import expm
from scipy.sparse.linalg import LinearOperator, expm_multiply

from eigensam.sde.weak_order.evolution import Evolution


class Counted:
    """Applies a matrix, and counts."""

    def __init__(self, matrix):
        self.matrix, self.calls = torch.as_tensor(matrix, dtype=torch.float64), 0

    def __call__(self, v):
        self.calls += 1
        return self.matrix @ v


def stable(seed, d=7, norm=1.0):
    """Non-normal: a random upper triangle on top of eigenvalues in the left half plane."""
    draw = np.random.default_rng(seed)
    matrix = np.triu(draw.standard_normal((d, d)), 1) - np.diag(draw.uniform(0.1, 1, d))
    rotation = np.linalg.qr(draw.standard_normal((d, d)))[0]
    matrix = rotation @ matrix @ rotation.T
    return matrix * norm / np.linalg.norm(matrix, 2)


def block(seed, d=7, columns=3):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal((d, columns)))


def power(matrix, steps, v):
    """``(I + matrix)^steps v`` in 80 bits."""
    base = np.eye(len(matrix), dtype=np.longdouble) + matrix.astype(np.longdouble)
    return (np.linalg.matrix_power(base, steps) @ v.numpy().astype(np.longdouble)).astype(np.float64)


@pytest.mark.parametrize("steps", [1, 2, 3, 17, 512, 16384])
@pytest.mark.parametrize("norm", [0.5, 3.0, 40.0])
def test_chain_against_matrix_powers(steps, norm):
    """Rounding stays below 1e-15 per step, of the largest value; torch's own power is a rougher truth."""
    step = 1 / max(steps, norm)
    a, v = stable(1, norm=norm), block(2)
    found = Evolution(Counted(a), step).advance(v, steps * step)
    scale = float(v.abs().max())
    np.testing.assert_allclose(found.numpy(), power(step * a, steps, v), rtol=0, atol=scale * (1e-15 * steps + 1e-14))
    one = torch.eye(7, dtype=torch.float64) + step * torch.from_numpy(a)
    twin = torch.linalg.matrix_power(one, steps) @ v
    np.testing.assert_allclose(found.numpy(), twin.numpy(), rtol=0, atol=1e-10 * scale)


@pytest.mark.parametrize("norm", [1e-3, 1.0, 10.0, 1e3])
@pytest.mark.parametrize("seed", [0, 1])
def test_flow_against_two_of_scipy(norm, seed):
    """Norm 1000 forces hundreds of cuts."""
    a, v = stable(seed, norm=norm), block(seed)
    found = Evolution(Counted(a)).advance(v, 1.5).numpy()
    operator = LinearOperator(a.shape, matvec=lambda x: a @ x, rmatvec=lambda x: a.T @ x, dtype=np.float64)
    scale = 1e-12 * float(v.abs().max())
    np.testing.assert_allclose(found, expm(1.5 * a) @ v.numpy(), rtol=0, atol=scale)
    sparse = expm_multiply(1.5 * operator, v.numpy(), traceA=1.5 * np.trace(a))
    np.testing.assert_allclose(found, sparse, rtol=0, atol=10 * scale)


def test_oscillation_keeps_its_length():
    """Norm 300 without decay: a rotation by 300 radians."""
    a, v = 300 * np.array([[0.0, -1.0], [1.0, 0.0]]), torch.tensor([1.0, 0.0], dtype=torch.float64)
    found = Evolution(Counted(a)).advance(v, 1.0)
    np.testing.assert_allclose(found.numpy(), [math.cos(300), math.sin(300)], rtol=0, atol=1e-12)


def test_chain_and_flow_differ_by_half_a_step():
    """Wrong on purpose: one for the other, ``(1 - h)^(1/h) = e^{-1} (1 - h/2 + ...)``."""
    one, step = torch.ones(1, dtype=torch.float64), 1 / 1024
    chain = Evolution(lambda v: -v, step).advance(one, 1.0).item()
    flow = Evolution(lambda v: -v).advance(one, 1.0).item()
    assert chain == pytest.approx((1 - step) ** 1024, rel=1e-13)
    assert flow == pytest.approx(math.exp(-1), rel=1e-15)
    assert chain / flow - 1 == pytest.approx(-step / 2, rel=1e-2)


@pytest.mark.parametrize("large", [1e2, 1e5, 1e9])
@pytest.mark.parametrize("step", [None, 2.0**-10])
def test_far_from_normal_takes_few_applications(large, step):
    """``[[0, a], [0, 0]]`` takes ``(0, 1)`` to ``(a t, 1)``: growth, not cancellation, so cuts are undone."""
    operator = Counted([[0, large], [0, 0]])
    found = Evolution(operator, step).advance(torch.tensor([0.0, 1.0], dtype=torch.float64), 1.0)
    assert found.tolist() == pytest.approx([large, 1.0], rel=1e-12)
    assert operator.calls < 250


def test_sixteen_thousand_steps_cost_as_much_as_their_flow():
    a, v = stable(0, norm=2.0), block(0)
    chain, flow = Counted(a), Counted(a)
    Evolution(chain, 2.0**-14).advance(v, 1.0)
    Evolution(flow).advance(v, 1.0)
    assert abs(chain.calls - flow.calls) <= 2
    assert flow.calls < 30


def test_one_step_is_one_application():
    operator, v = Counted(stable(0, norm=1e6)), block(0)
    found = Evolution(operator, 0.25).advance(v, 0.25)
    assert operator.calls == 1
    assert torch.equal(found, v + 0.25 * (operator.matrix @ v))


@pytest.mark.parametrize("step", [None, 1 / 64])
def test_pieces_of_time_compose(step):
    """Also where the first piece has been cut."""
    a, v = stable(3, norm=40.0), block(3)
    pieces, whole = Evolution(Counted(a), step), Evolution(Counted(a), step)
    composed = v
    for time in (0.5, 0.0, 0.25, 0.25):
        composed = pieces.advance(composed, time)
    np.testing.assert_allclose(composed.numpy(), whole.advance(v, 1.0).numpy(), rtol=0, atol=1e-13)


def test_no_time_and_no_state():
    operator, v = Counted(stable(0)), block(0)
    assert torch.equal(Evolution(operator).advance(v, 0.0), v)
    assert operator.calls == 0
    for step in (None, 1 / 16):
        assert not Evolution(operator, step).advance(torch.zeros_like(v), 1.0).any()
    assert operator.calls <= 4


def test_any_shape():
    """A matrix equation, ``dZ/dt = A Z + Z A^T``: ``e^A Z e^(A^T)``."""
    a = torch.from_numpy(stable(5))
    z = block(5, columns=7)
    found = Evolution(lambda m: a @ m + m @ a.mT).advance(z, 1.0)
    truth = expm(a.numpy()) @ z.numpy() @ expm(a.numpy().T)
    np.testing.assert_allclose(found.numpy(), truth, rtol=0, atol=1e-13)


@pytest.mark.parametrize("step", [None, 1 / 16])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_numbers_that_are_not_finite_end(step, value):
    """In the state, in the operator at once, and in the operator's second image."""
    v = torch.tensor([1.0, 0.0], dtype=torch.float64)
    bad = torch.tensor([1.0, value], dtype=torch.float64)
    assert not Evolution(Counted(np.eye(2)), step).advance(bad, 1.0).isfinite().all()
    for matrix in ([[value, 0], [0, 1]], [[0, value], [1, 0]]):
        operator = Counted(matrix)
        assert not Evolution(operator, step).advance(v, 1.0).isfinite().all()
        assert operator.calls < 100
