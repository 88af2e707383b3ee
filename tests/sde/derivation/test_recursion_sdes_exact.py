"""SDEs of recursions against what grows in exact moments of many steps: rational arithmetic that is not the engine's.

Drift, corrector, correction and covariance to ``rho^3``, of independent draws and of epochs; see :mod:`.long_run`.
"""

import itertools
from fractions import Fraction

import numpy as np
import pytest

from eigensam.ground import InputError
from eigensam.sde import derive
from eigensam.sde.algebra.sums import Sum
from eigensam.sde.derivation.averaging.recursion_parts import LAGGED, RecursionParts, by_block
from eigensam.sde.rules.sampling import Epochs, GivenOrder, Independent, SingleShuffle

from .composed_recursions import family, memory_of
from .exact_values import Values
from .long_run import LongRun
from .recursions import EPOCHS, TRAINED, Trained, recursion

ONE = Fraction(1)
SLOPES = {"s": (Fraction(2, 3), Fraction(-3, 7))}
GIVEN = {"s": Fraction(2, 3), "s'": Fraction(-3, 7)}


class Derived:
    """What the engine derives, in numbers by coordinate and power of ``rho``, in units of a step of the recursion."""

    def __init__(self, trained, losses, memory, most):
        self.trained, self.losses, self.most = trained, losses, most
        self.parts = RecursionParts(trained.recursion, ONE)
        self.values = Values(losses, memory, GIVEN)
        self.rate = self.parts.rate * trained.recursion.inner_steps
        self.scale = self.rate**2 / trained.recursion.inner_steps

    def coordinates(self, powers, scale=1, draws=None):
        found = {(name, i): [Fraction(0)] * (self.most + 1) for name in self.trained.slow for i in range(self.dim)}
        for k, expression in powers.items():
            for name, part in by_block(expression).items():
                for i, c in enumerate(self.values.vector(part, draws)):
                    found[name, i][k] = c * scale
        return found

    @property
    def dim(self):
        return self.losses.dim

    @property
    def drift(self):
        powers = {k: h.mean() for k, h in self.parts.increments(self.most + 1).items()}
        return self.coordinates(powers, self.rate)

    @property
    def corrector(self):
        found = self.parts.effective(ONE + self.most).corrector
        result = self.coordinates({})
        for name, powers in found.items():
            for k, chi in powers.items():
                for i, c in enumerate(self.values.vector(chi) if k <= self.most else []):
                    result[name, i][k] = c
        return result

    @property
    def correction(self):
        return self.coordinates(self.parts.correction(self.most + 1), self.scale)

    def covariance(self, count):
        radical = Sum.number(self.trained.radical).power(Fraction(1, 2))
        powers = {k: h * radical for k, h in self.parts.covariance(count).items()}
        members = [self.coordinates(powers, 1, {0: m}) for m in self.losses.members]
        result = {}
        for one, other in itertools.combinations_with_replacement(list(members[0]), 2):
            result[one, other] = [
                sum(covariance([h[one][i] for h in members], [h[other][k - i] for h in members]) for i in range(k + 1))
                * self.scale
                / self.trained.radical
                for k in range(count)
            ]
        return result


def covariance(left, right):
    n = len(left)
    return sum((a * b for a, b in zip(left, right, strict=True)), Fraction(0)) / n - sum(left) * sum(right) / n**2


def orders_of(sampling):
    """Of the minibatches of an epoch, equally likely."""
    if isinstance(sampling, GivenOrder):
        return [tuple(range(sampling.batches))]
    if isinstance(sampling, Epochs):
        return [order for epoch in sampling.epochs for order in itertools.permutations(epoch)]
    return list(itertools.permutations(range(sampling.batches), sampling.epoch))


def both(trained, dim, most, members=2):
    """The engine's SDE and the long run's."""
    rule, settings = trained.recursion, {}
    if rule.distinct:
        members = rule.distinct
    if not isinstance(rule.sampling, Independent):
        members = rule.sampling.family
        settings = {"orders": orders_of(rule.sampling), "single": isinstance(rule.sampling, SingleShuffle)}
    most = most if rule.perturbed else 0
    losses, memory = family(dim, members), memory_of(rule, dim)
    truth = LongRun(trained, losses, memory, most, SLOPES if rule.schedules else {}, **settings)
    return Derived(trained, losses, memory, most), truth


def check(trained, dim, most):
    ours, truth = both(trained, dim, most)
    assert ours.rate == trained.rate
    assert ours.drift == truth.drift
    assert ours.corrector == truth.corrector
    assert ours.correction == truth.correction
    count = min(ours.most + 1, trained.noise)
    assert ours.covariance(count) == {pair: powers[:count] for pair, powers in truth.covariance.items()}


@pytest.mark.parametrize("name", list(TRAINED))
def test_drift_corrector_correction_and_covariance_to_the_third_power(name):
    check(TRAINED[name], 1, 1 if name == "momentum-SAM" else 3)


@pytest.mark.parametrize("name", list(TRAINED))
def test_drift_corrector_correction_and_covariance_in_two_dimensions(name):
    check(TRAINED[name], 2, 1)


@pytest.mark.parametrize("name", ["SAM with momentum", "VaSSO", "friction", "schedule inside"])
def test_drift_corrector_correction_and_covariance_in_three_dimensions(name):
    check(TRAINED[name], 3, 1)


@pytest.mark.parametrize("name", list(EPOCHS))
def test_epochs(name):
    """Averages over all orders of an epoch, step by step; a single shuffle's weights are rounded to 30 digits."""
    trained = EPOCHS[name]
    if name != "single shuffle with momentum":
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
    settings = (Fraction(2), (Fraction(1, 2),)) if "m" in text else (ONE, ())
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


def test_where_the_noise_is_no_covariance_over_one_minibatch():
    """At ``rho^2`` VaSSO's noise has products of two minibatches: the long run differs, and the proof sees it."""
    ours, truth = both(TRAINED["VaSSO"], 1, 2)
    found, right = (each["x", 0][2] for each in (ours.correction, truth.correction))
    assert found == right
    pair = (("x", 0), ("x", 0))
    assert ours.covariance(3)[pair][:2] == truth.covariance[pair][:2]
    assert ours.covariance(3)[pair][2] != truth.covariance[pair][2]
    with pytest.raises(InputError, match="finds weak order 5/3 only, in η²ρ²: its noise is no covariance over one"):
        derive(TRAINED["VaSSO in the increment"].recursion, 2, "1/3")


@pytest.mark.parametrize(
    ("right", "wrong", "equal"),
    [
        ("heavy ball", "x = x - 10*eta*g", (True, False)),
        ("Nesterov", "m = 1/2*m + g; x = x - eta*m", (True, False)),
        ("decoupled decay", "m = 1/2*m + grad(rho*unit(g)) + 1/10*x; x = x - eta*m", (True, False)),
        ("Lookahead 3", "x = x - 3/2*eta*g", (True, False)),
        ("VaSSO", "x = x - eta*grad(rho*g)", (False, False)),
    ],
)
def test_the_long_run_tells_rules_apart(right, wrong, equal):
    """Whether drift and correction are another rule's: an SDE with the same drift has another correction."""
    ours, _ = both(TRAINED[right], 1, 1)
    rate = {"heavy ball": Fraction(10), "Nesterov": Fraction(2), "decoupled decay": Fraction(2)}.get(right, ours.rate)
    factors = TRAINED[right].factors if "m" in wrong else ()
    other = Trained(wrong, rate, factors)
    memory = {name: ours.values.blocks[name] for name in other.recursion.blocks[1:]}
    truth = LongRun(other, ours.losses, memory, ours.most, {})
    assert (ours.drift == truth.drift, ours.correction == truth.correction) == equal
