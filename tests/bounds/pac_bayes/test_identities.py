"""How the inequalities relate, whatever the numbers: exact relations between them, no golden numbers."""

import math
import random

import pytest

from eigensam.bounds import (
    PAC_BAYES,
    Alquier,
    Catoni,
    CatoniGrid,
    EmpiricalBernstein,
    GibbsSample,
    Maurer,
    McAllester,
    Quadratic,
    Thiemann,
    TolstikhinSeldin,
    UnexpectedBernstein,
    kl_inverse,
    log_xi,
)


def cases(count, seed=0):
    rng = random.Random(seed)
    for _ in range(count):
        r = rng.choice([0.0, rng.random(), 10 ** rng.uniform(-6, -1)])
        n = round(10 ** rng.uniform(1, 6))
        yield GibbsSample(r, rng.choice([0.0, 10 ** rng.uniform(-1, 3)]), n), 10 ** rng.uniform(-4, -0.1)


def test_relaxations_are_never_below_maurer():
    """And in their order: quadratic below Tolstikhin-Seldin, McAllester above all where the risk is large."""
    for sample, delta in cases(200):
        maurer, quadratic, relaxed, pinsker = (
            kind().upper(sample, delta) for kind in (Maurer, Quadratic, TolstikhinSeldin, McAllester)
        )
        assert maurer <= min(quadratic, pinsker)
        assert quadratic <= relaxed


def test_best_lambda_gives_the_quadratic_bound():
    for sample, delta in cases(200, 1):
        found = Thiemann().upper(sample, delta)
        assert found == pytest.approx(Quadratic().upper(sample, delta), rel=4e-16)


def test_best_constant_of_catoni_gives_the_inverse_relative_entropy():
    """kl^-1(r, (KL + ln(1/delta)) / n), which no other C is below: an exact minimum over C."""
    for sample, delta in cases(100, 2):
        if not 0.5 / sample.examples < sample.risk < 1:
            continue
        cost = (sample.kl + math.log(1 / delta)) / sample.examples
        inverse = kl_inverse(sample.risk, cost)
        best = Catoni.fixed_for(sample.risk, sample.kl, sample.examples, delta)
        if best.c > 30:
            continue  # p is 1 but for what floats do not hold
        assert best.upper(sample, delta) == pytest.approx(inverse, rel=1e-11)
        for factor in (0.5, 0.9, 1.1, 2.0):
            assert Catoni(best.c * factor).upper(sample, delta) >= inverse * (1 - 1e-14)


def test_maurer_pays_for_the_best_constant():
    """ln xi(n) nats: Catoni at its best C and at delta / xi(n) is Maurer."""
    for sample, delta in cases(100, 3):
        smaller = delta * math.exp(-log_xi(sample.examples))
        if 0.5 / sample.examples < sample.risk < 1:
            best = Catoni.fixed_for(sample.risk, sample.kl, sample.examples, smaller)
            if best.c < 30:
                maurer = Maurer().upper(sample, delta)
                assert best.upper(sample, smaller) == pytest.approx(maurer, rel=1e-11)


def test_a_grid_is_the_best_of_its_points_at_their_share():
    for sample, delta in cases(50, 4):
        grid = CatoniGrid(least=0.05, largest=5.0, points=5)
        alone = [Catoni(c).upper(sample, delta / 5) for c in grid.rates()]
        assert grid.upper(sample, delta) == pytest.approx(min(alone), rel=1e-14)


def test_a_guess_pays_less_than_a_grid():
    for sample, delta in cases(50, 5):
        if 0.5 / sample.examples < sample.risk < 0.9:
            right = Catoni.fixed_for(sample.risk, sample.kl, sample.examples, delta).upper(sample, delta)
            assert right <= CatoniGrid().upper(sample, delta)


def test_best_rate_of_alquier_is_hoeffding():
    """r + sqrt((KL + ln(1/delta)) / (2n)): McAllester without ln xi(n)."""
    for sample, delta in cases(100, 6):
        cost = (sample.kl + math.log(1 / delta)) / sample.examples
        best = Alquier.fixed_for(sample.risk, sample.kl, sample.examples, delta)
        if best.s < 10:
            hoeffding = min(1.0, sample.risk + math.sqrt(cost / 2))
            assert best.upper(sample, delta) == pytest.approx(hoeffding, rel=1e-13)


def test_unexpected_bernstein_is_catoni_for_losses_of_0_and_1():
    """And for others smaller, down to what 1 - e^-x gives at m = 0."""
    for sample, delta in cases(50, 7):
        catoni = CatoniGrid().upper(sample, delta)
        assert UnexpectedBernstein().upper(sample, delta) == pytest.approx(catoni, rel=4e-16)
        halved = GibbsSample(sample.risk, sample.kl, sample.examples, sample.risk / 2)
        found = UnexpectedBernstein().upper(halved, delta)
        assert found < catoni or sample.risk == 0 or catoni == 1


def test_unexpected_bernstein_is_below_the_linear_form_of_its_paper():
    for sample, delta in cases(50, 8):
        kind = UnexpectedBernstein()
        half = GibbsSample(sample.risk, sample.kl, sample.examples, sample.risk / 2)
        cost = (half.kl + math.log(kind.points / delta)) / half.examples
        linear = min(
            half.risk + (c + math.expm1(-c)) / -math.expm1(-c) * half.second_moment - cost / math.expm1(-c)
            for c in kind.rates()
        )
        assert kind.upper(half, delta) <= max(half.risk, linear) * (1 + 1e-14)


def test_empirical_bernstein_without_variance_and_with_the_largest():
    """Without errors or divergence of order 1/n; at V = 1/4 nearly sqrt(2 V ln(2k/delta) / n) above the risk."""
    n, delta = 10**6, 0.05
    free = EmpiricalBernstein().upper(GibbsSample(0.0, 0.0, n), delta)
    assert free < 3 * math.log(32 / delta) / n
    assert EmpiricalBernstein().upper(GibbsSample(0.0, 0.0, n // 10), delta) == pytest.approx(10 * free, rel=1e-4)
    rough = EmpiricalBernstein().upper(GibbsSample(0.5, 0.0, n), delta) - 0.5
    assert rough == pytest.approx(math.sqrt(2 * 0.25 * math.log(32 / delta) / n), rel=0.1)
    smooth = EmpiricalBernstein().upper(GibbsSample(0.5, 0.0, n, second_moment=0.251), delta) - 0.5
    assert smooth < rough


def test_order_of_the_whole():
    """At a small risk: Catoni with a good guess is least, Alquier and McAllester are largest."""
    sample, delta = GibbsSample(0.02, 5.0, 10_000), 0.05
    found = {name: kind.fixed_for(0.022, 6.0, 10_000, delta).upper(sample, delta) for name, kind in PAC_BAYES.items()}
    assert min(found, key=found.get) == "catoni"
    assert sorted(found, key=found.get)[-2:] == ["alquier", "mcallester"]
