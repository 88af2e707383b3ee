"""SDEs of epochs against exact moments over all orders of an epoch, step by step (:mod:`.long_run`)."""

import itertools
from fractions import Fraction

import numpy as np
import pytest

from eigensam.sde.derivation.averaging.recursion_parts import LAGGED
from eigensam.sde.rules.sampling import Epochs, GivenOrder

from .composed_recursions import memory_of
from .derived_numbers import both, check
from .exact_values import Values
from .recursions import EPOCHS, Trained, recursion


@pytest.mark.parametrize("name", list(EPOCHS))
def test_epochs(name):
    """Averages over all orders of an epoch, step by step; a single shuffle's weights are rounded to 30 digits."""
    trained = EPOCHS[name]
    if name not in ("single shuffle with momentum", "single shuffle, moved twice"):
        check(trained, 1, 2)
        return
    ours, truth = both(trained, 1, 2)
    assert ours.drift == truth.drift
    assert not any(any(powers) for powers in truth.covariance.values())
    for found, right in zip(ours.correction["x", 0], truth.correction["x", 0], strict=True):
        assert abs(found - right) < Fraction(1, 10**15)


def test_epochs_in_two_dimensions():
    check(EPOCHS["reshuffled SAM"], 2, 1)


@pytest.mark.parametrize(
    ("text", "weight"),
    [
        ("x = x - eta*grad(rho*g)", Fraction(0)),
        ("m = 1/2*m + grad(rho*g); x = x - eta*m", Fraction(1)),
        ("d = grad(rho*g); m = 1/2*m + d; x = x - eta*(d + 1/2*m)", Fraction(1, 2)),
    ],
)
def test_a_given_order(text, weight):
    """``y = x + eta chi`` follows the SDE, ``chi = -weight (m + B_0)``; at the end of an epoch ``chi`` has a value."""
    rule = recursion(text, sampling=GivenOrder(3))
    factors = (Fraction(1, 2),) if weight else ()
    trained = Trained(text, Fraction(2 if weight else 1), factors, settings={"sampling": rule.sampling})
    ours, truth = both(trained, 1, 1)
    (x,) = truth.slow
    assert ours.drift == truth.drift
    assert not any(any(powers) for powers in truth.covariance.values())
    right = at_the_corrector(truth, weight, memory_of(rule, 1))
    assert not np.allclose(np.array(ours.correction[x], dtype=float), np.array(right, dtype=float), rtol=1e-2)
    with_pairs = in_pairs(ours, memory_of(rule, 1))
    np.testing.assert_allclose(with_pairs, np.array(right, dtype=float), rtol=1e-13)


def in_pairs(ours, memory):
    """The correction with ``E_b (D h_b)[sum_a K_ba h_a]``, to the first power of ``rho``."""
    members, kernel = ours.losses.members, ours.parts.kernel
    ((x, found),) = ours.correction.items()
    found = np.array(found, dtype=float)
    h = [ours.coordinates(ours.parts.increments(2), 1, {0: m})[x] for m in members]
    for k, expression in ours.parts.ordered(2).items():
        for b, j in itertools.product(members, range(2 - k)):
            lagged = [sum(Fraction(kernel[b][a]) * h[a][j] for a in members)]
            values = Values(ours.losses, memory, {LAGGED: lagged})
            found[k + j] += values.vector(expression, {0: b})[0] * ours.scale / len(members)
    return found


@pytest.mark.parametrize("text", ["x = x - eta*grad(rho*g)", "m = 1/2*m + grad(rho*g); x = x - eta*m"])
@pytest.mark.parametrize("epochs", [((0, 1), (2, 3)), ((0, 1), (1, 2), (2, 0)), ((0, 1), (0, 1), (2, 3), (2, 3))])
def test_epochs_of_given_sets(text, epochs):
    """Re-partitioned minibatches, for example: pairs that are not all alike, and noise of a matrix of pairs."""
    settings = (Fraction(2), (Fraction(1, 2),)) if "m" in text else (Fraction(1), ())
    trained = Trained(text, *settings, settings={"sampling": Epochs(epochs)})
    ours, truth = both(trained, 1, 1)
    (x,) = truth.slow
    right = np.array(truth.correction[x], dtype=float)
    assert ours.drift == truth.drift
    assert not np.allclose(np.array(ours.correction[x], dtype=float), right, rtol=1e-2)
    np.testing.assert_allclose(in_pairs(ours, memory_of(trained.recursion, 1)), right, rtol=1e-13)
    matrix, members = trained.recursion.sampling.noise_matrix(), ours.losses.members
    h = [ours.coordinates(ours.parts.covariance(2), 1, {0: m})[x] for m in members]
    h = np.array([[c - sum(one[k] for one in h) / len(h) for k, c in enumerate(row)] for row in h], dtype=float)
    square = np.array(matrix) / len(members) * float(ours.scale)
    found = [h[:, 0] @ square @ h[:, 0], 2 * h[:, 0] @ square @ h[:, 1]]
    np.testing.assert_allclose(found, np.array(truth.covariance[x, x], dtype=float), rtol=1e-12)


def at_the_corrector(truth, weight, memory):
    """The correction of ``y`` where ``x`` at epoch ends is ``y - eta end(y)``."""
    (x,) = truth.slow
    drift = truth.drift[x]
    slopes = truth.slopes(x, x)
    start = [-weight * (b + (memory["m"][0] if weight and not k else 0)) for k, b in enumerate(drift)]
    end = [c - found for c, found in zip(start, truth.corrector[x], strict=True)]
    end_slope = [-weight * row[1] - row[0] for row in slopes]
    result = list(truth.correction[x])
    for i, j in itertools.product(range(truth.most + 1), repeat=2):
        if i + j <= truth.most:
            result[i + j] += end_slope[i] * drift[j] - slopes[i][1] * end[j]
    return result
