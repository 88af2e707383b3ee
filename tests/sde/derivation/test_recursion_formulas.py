"""Closed formulas of the theory's section 8, written down by hand, as a second truth for derived recursions."""

from fractions import Fraction

import pytest

from eigensam.sde import derive
from eigensam.sde.algebra.sums import Sum
from eigensam.sde.derivation.averaging.recursion_parts import by_block
from eigensam.sde.rules.sampling import Reshuffled, SingleShuffle

from .composed_recursions import Family
from .exact_values import Values
from .recursions import SCHEDULE, recursion

Q = Fraction
G = Sum.derivative()
MEAN = G.mean()
X = Sum.state("x")
SAM = "grad(rho*unit(g))"
LENGTH = G.inner(G).power(Q(-1, 2))
H = {"g": {0: -G}, "grad(rho*g)": {0: -G, 1: -Sum.derivative(G)}, SAM: {0: -G, 1: -(Sum.derivative(G) * LENGTH)}}
"""Increments by hand, to the first power of ``rho``."""


def averages(increments):
    return {k: h.mean() for k, h in increments.items()}


def along(left, right):
    """``(D left) right``, to the first power of ``rho``."""
    result = {}
    for i, one in left.items():
        for j, other in right.items():
            if i + j < 2:
                result[i + j] = result.get(i + j, Sum()) + one.along(other)
    return result


def combined(*parts):
    """A sum of multiples, (factor, powers), without zeros."""
    result = {}
    for factor, powers in parts:
        for k, value in powers.items():
            result[k] = result.get(k, Sum()) + value * factor
    return {k: value for k, value in sorted(result.items()) if value}


def derived(text, **settings):
    return derive(recursion(text, **settings), 2, "2/3")


def first_two(powers):
    return {k: value for k, value in powers.items() if k < 2}


def centred(increments):
    return {k: h - h.mean() for k, h in increments.items()}


# -- linear memory

LINEAR = {
    "m = {b}*m + {h}; x = x - eta*m": (lambda b: 1 / (1 - b), lambda b: b / (1 - b)),
    "m = {b}*m + (1 - {b})*{h}; x = x - eta*m": (lambda b: Q(1), lambda b: b / (1 - b)),
    "d = {h}; m = {b}*m + d; x = x - eta*(d + {b}*m)": (lambda b: 1 / (1 - b), lambda b: b**2 / (1 - b)),
    "d = {h}; x = x - eta*((1 - {b})*d + {b}*m); m = d": (lambda b: Q(1), lambda b: b),
    "d = {h}; x = x - eta*((1 + {b})*d - {b}*m); m = d": (lambda b: Q(1), lambda b: -b),
    "m = {b}*m + {h}; n = 1/3*n + m; x = x - eta*n": (lambda b: Q(3, 2) / (1 - b), lambda b: Q(1, 2) + b / (1 - b)),
}


@pytest.mark.parametrize("beta", [Q(1, 2), Q(9, 10)])
@pytest.mark.parametrize("increment", list(H))
@pytest.mark.parametrize("text", list(LINEAR))
def test_linear_memory_has_its_rate_and_mean_age(text, increment, beta):
    """``b_1 = -(1/2 + tau)(D h)h`` and the covariance of one minibatch, unchanged."""
    rate, age = (function(beta) for function in LINEAR[text])
    sde = derived(text.format(b=beta, h=increment))
    mean = averages(H[increment])
    assert sde.rate == rate
    assert first_two(sde.drift) == mean
    assert first_two(sde.correction) == combined((-Q(1, 2) - age, along(mean, mean)))
    assert centred(first_two(sde.covariance)) == centred(H[increment])


def test_the_coefficients_at_nine_tenths():
    """-19/2 for heavy ball; -43/5 for Nesterov."""
    force = MEAN.along(MEAN)
    assert derived("m = 9/10*m + g; x = x - eta*m").correction == {0: force * Q(-19, 2)}
    assert derived("m = 9/10*m + g; x = x - eta*(g + 9/10*m)").correction == {0: force * Q(-43, 5)}


def test_the_corrector_of_heavy_ball_and_of_nesterov():
    """The shifted starts ``x_0 + beta eps (m_0 - h/(1 - beta))`` and ``beta^2 eps ...``; the buffer is ``-m_0``."""
    rest = Sum.state("m") - MEAN * 10
    for text, weight in (("x = x - eta*m", Q(9, 10)), ("x = x - eta*(g + 9/10*m)", Q(81, 100))):
        sde = derived(f"m = 9/10*m + g; {text}")
        assert sde.parts.effective(Q(2)).corrector == {"x": {0: rest * (-weight * 10)}}


# -- decay

DECAY = Q(1, 7)


@pytest.mark.parametrize("increment", list(H))
def test_coupled_decay_is_part_of_the_increment(increment):
    sde = derived(f"m = 2/3*m + {increment} + {DECAY}*x; x = x - eta*m")
    mean = combined((1, averages(H[increment])), (-DECAY, {0: X}))
    assert first_two(sde.drift) == mean
    assert first_two(sde.correction) == combined((-Q(1, 2) - 2, along(mean, mean)))


@pytest.mark.parametrize("increment", list(H))
def test_decoupled_decay_ages_with_the_gradient_only(increment):
    """``b_0 = h - (1 - beta) lambda x``, ``b_1 = -1/2 (D b_0) b_0 - tau (D h) b_0``."""
    sde = derived(f"m = 2/3*m + {increment}; x = x - eta*m - eta*{DECAY}*x")
    mean = averages(H[increment])
    drift = combined((1, mean), (-DECAY / 3, {0: X}))
    assert first_two(sde.drift) == drift
    assert first_two(sde.correction) == combined((-Q(1, 2), along(drift, drift)), (-2, along(mean, drift)))


def test_decay_in_the_ascent_or_not():
    """The drift differs by ``rho lambda`` times the Hessian's product with ``x``."""
    inside, outside = (
        derived(f"m = 2/3*m + grad(rho*{ascent}) + {DECAY}*x; x = x - eta*m") for ascent in (f"(g + {DECAY}*x)", "g")
    )
    assert combined((1, first_two(inside.drift)), (-1, first_two(outside.drift))) == {1: MEAN.along(X) * -DECAY}


# -- Lookahead


@pytest.mark.parametrize(("steps", "alpha"), [(2, Q(1, 3)), (2, Q(1, 2)), (3, Q(1, 2)), (4, Q(1, 5))])
def test_lookahead(steps, alpha):
    """Time ``alpha eta`` per inner step: ``eta alpha b_1 = -1/2 eta (1 - k (1 - alpha)) (Dh)h``, ``Sigma`` times 1.

    In units of ``eta``, as the theory has it, ``b_1`` is ``alpha`` times ours, and the covariance ``alpha Sigma``.
    """
    text = "; ".join(["y = x", *(f"x = x - eta*grad(draw='{i}')" for i in range(steps)), f"x = y + {alpha}*(x - y)"])
    sde = derived(text, inner_steps=steps)
    assert sde.rate == alpha
    assert sde.drift == {0: -MEAN}
    factor = Q(-1, 2) * (1 - steps * (1 - alpha)) / alpha
    assert sde.correction == combined((factor, {0: MEAN.along(MEAN)}))
    assert centred(sde.covariance) == {0: MEAN - G}


# -- epochs


def remembered(beta, length):
    """``S_M``."""
    return (1 - (1 - beta**length) / (length * (1 - beta))) / (1 - beta)


def fluctuation(increments):
    """``C = E (D h~) h~``."""
    mean = averages(increments)
    together = {k: value.mean() for k, value in along(increments, increments).items()}
    return combined((1, together), (-1, along(mean, mean)))


@pytest.mark.parametrize("beta", [Q(0), Q(1, 2), Q(9, 10)])
@pytest.mark.parametrize("length", [2, 3, 7])
@pytest.mark.parametrize("increment", list(H))
def test_epochs_with_momentum(increment, length, beta):
    """``b_1 = -(1/2 + tau)(Dh)h + c C``, no noise: the corrections of memory and of epochs do not add."""
    text = f"m = {beta}*m + {increment}; x = x - eta*m" if beta else f"x = x - eta*{increment}"
    mean = averages(H[increment])
    own = combined((-Q(1, 2) - beta / (1 - beta), along(mean, mean)))
    reshuffled = -Q(1, 2) + beta * remembered(beta, length) / (length - 1)
    single = -Q(1, 2) - beta / (length - 1) * (length * beta ** (length - 1) / (1 - beta**length) - 1 / (1 - beta))
    for sampling, c in ((Reshuffled(length), reshuffled), (SingleShuffle(length), single)):
        sde = derived(text, sampling=sampling)
        found = combined((1, first_two(sde.correction)), (-1, own))
        assert not sde.covariance
        share = sde.parts.epochs(2).share
        assert abs(share - c) <= Q(1, 10**15) * (1 if isinstance(sampling, SingleShuffle) else 0)
        assert found == combined((share, fluctuation(H[increment])))


@pytest.mark.parametrize(("batches", "steps"), [(3, 2), (4, 2), (5, 4), (4, 1)])
def test_steps_that_an_epoch_leaves_out_keep_noise(batches, steps):
    """``(N - M)/(N - 1) Cov h``; and ``b_1 = -1/2 E(Dh)h + 1/(2M) E (D S~) S~``, ``E (D S~) S~ = M (N-M)/(N-1) C``."""
    sde = derived("x = x - eta*g", sampling=Reshuffled(batches, steps=steps))
    kept = Q(batches - steps, batches - 1)
    root = Sum.number(kept).power(Q(1, 2))
    assert sde.covariance == {0: (MEAN - G) * root} or (kept == 1 and centred(sde.covariance) == {0: MEAN - G})
    force = MEAN.along(MEAN)
    together = (-G).along(-G).mean()
    assert sde.correction == {0: together * Q(-1, 2) + (together - force) * (kept / 2)}


def test_a_reshuffled_pair_of_parabolas():
    """``f = a x^2/2`` with ``a = 1, 3`` at ``x = 1``: ``b_1 = -5/2`` and no noise; -2 with independent draws."""
    pair = Family(({(2,): Q(1, 2)}, {(2,): Q(3, 2)}), (Q(1),))
    values = Values(pair, {})
    found = derived("x = x - eta*g", sampling=Reshuffled(2))
    assert (values.vector(found.correction[0]), found.covariance) == ([Q(-5, 2)], {})
    independent = derived("x = x - eta*g")
    assert values.vector(independent.correction[0]) == [Q(-2)]
    assert [values.vector(independent.covariance[0], {0: m}) for m in pair.members] == [[-1], [-3]]


# -- friction


@pytest.mark.parametrize("increment", list(H))
def test_friction_scaled_with_the_rate(increment):
    """``B_0 = (m, k(h - m))``, ``B_1 = (k(h - m)/2, -k(Dh)m/2 + k^2(h - m)/2)``, noise ``k`` in ``m`` alone."""
    kappa = Q(3)
    sde = derived(f"m = m + 3*eta*(-1*{increment} - m); x = x + eta*m")
    mean, memory = averages(H[increment]), {0: Sum.state("m")}
    pull = combined((1, mean), (-1, memory))
    assert sde.blocks == ("x", "m")
    assert sde.rate == 1
    drift, correction, noise = (blocks(first_two(part)) for part in (sde.drift, sde.correction, sde.covariance))
    assert drift == {"x": memory, "m": combined((kappa, pull))}
    bent = combined((-kappa / 2, along(mean, memory)), (kappa**2 / 2, pull))
    assert correction == {"x": combined((kappa / 2, pull)), "m": bent}
    assert {name: {k: v for k, v in centred(powers).items() if v} for name, powers in noise.items()} == {
        "x": {},
        "m": combined((kappa, centred(H[increment]))),
    }


def blocks(powers):
    result = {}
    for k, vector in powers.items():
        for name, part in by_block(vector).items():
            result.setdefault(name, {})[k] = part
    return result


# -- draws

CURVED = -Sum.derivative(MEAN).mean()  # -H g of the mean loss
K = -Sum.derivative(G).mean() - CURVED


@pytest.mark.parametrize(
    ("text", "distinct", "share"),
    [
        ("x = x - eta*grad(rho*g)", None, Q(1)),
        ("x = x - eta*grad(rho*E[g])", None, Q(0)),
        ("x = x - eta*grad(rho*grad(draw='a'))", None, Q(0)),
        ("x = x - eta*(grad(rho*u, draw='a') + grad(rho*u, draw='b'))/2", None, Q(1, 2)),
        ("x = x - eta*(grad(rho*u, draw='a') + grad(rho*u, draw='b'))/2", 5, Q(5 - 2, 2 * (5 - 1))),
        ("x = x - eta*(grad(rho*w, draw='a') + grad(rho*w, draw='b') + grad(rho*w, draw='c'))/3", 4, Q(1, 9)),
        ("x = x - eta*(grad(rho*grad(draw='a'), draw='a') + grad(rho*grad(draw='b'), draw='b'))/2", None, Q(1)),
        ("m = 3/4*m + 1/4*g; x = x - eta*grad(rho*m)", None, Q(1, 4)),
    ],
)
def test_the_share_of_the_noise_in_the_ascent(text, distinct, share):
    """Of USAM's first power of ``rho``, ``H g + K``: that of one batch of ``k``, of several, of independent ones."""
    two = "(grad(draw='a') + grad(draw='b'))/2"
    three = "(grad(draw='a') + grad(draw='b') + grad(draw='c'))/3"
    text = text.replace("rho*u", f"rho*{two}").replace("rho*w", f"rho*{three}")
    found = derive(recursion(text, distinct=distinct), 1, "1/2")
    assert found.drift == combined((1, {0: -MEAN, 1: CURVED + K * share}))


@pytest.mark.parametrize(("distinct", "share"), [(None, Q(1, 2)), (4, Q(4 - 2, 2 * (4 - 1)))])
def test_micro_batches_divide_the_noise(distinct, share):
    """``Sigma / k`` with replacement, times ``(N - k)/(N - 1)`` without."""
    half = "grad(rho*unit(grad(draw='{0}')), draw='{0}')"
    sde = derived(f"x = x - eta*({half.format('a')} + {half.format('b')})/2", distinct=distinct)
    root = Sum.number(share).power(Q(1, 2))
    assert first_two(sde.covariance) == {k: h * root for k, h in centred(H[SAM]).items()}
    assert first_two(sde.drift) == averages(H[SAM])


def test_independent_ascent_of_sam():
    """``H E[u]`` where a shared minibatch has ``E[H u]``."""
    found = derive(recursion("x = x - eta*grad(rho*unit(grad(draw='a')))"), 1, "1/2").drift
    assert found == {0: -MEAN, 1: MEAN.along((G * LENGTH).mean()) * -1}


# -- schedules

S, SLOPE = Sum.parameter("s"), Sum({((), ((("a", "s'"), Q(1)),)): Q(1)})


def scheduled(text):
    return derived(text, schedules=SCHEDULE)


@pytest.mark.parametrize("increment", list(H))
def test_schedules_of_the_rate(increment):
    """Outside the buffer ``-1/2 d_t b_0 - (1/2 + tau) s^2 (Dh)h``; inside ``-(1/2 + tau)(d_t b_0 + (D b_0) b_0)``."""
    mean, late = averages(H[increment]), Q(1, 2) + 2
    drift = {k: h * S for k, h in mean.items()}
    moved = {k: h * SLOPE for k, h in mean.items()}
    plain = scheduled(f"x = x - eta*s*{increment}")
    outside = scheduled(f"m = 2/3*m + {increment}; x = x - eta*s*m")
    inside = scheduled(f"m = 2/3*m + s*{increment}; x = x - eta*m")
    for sde in (plain, outside, inside):
        assert first_two(sde.drift) == drift
    bent = along(drift, drift)
    assert first_two(plain.correction) == combined((Q(-1, 2), moved), (Q(-1, 2), bent))
    assert first_two(outside.correction) == combined((Q(-1, 2), moved), (-late, bent))
    assert first_two(inside.correction) == combined((-late, moved), (-late, bent))


@pytest.mark.parametrize("increment", ["grad(rho*g)", SAM])
def test_schedules_of_the_radius(increment):
    """``-(1/2 + tau) rho' d_rho h`` with memory: the gradients of older radii are still in the buffer."""
    sde = scheduled(f"m = 2/3*m + {increment.replace('rho', 'rho*s')}; x = x - eta*m")
    increments = {0: H[increment][0], 1: H[increment][1] * S}
    mean, moved = averages(increments), {1: averages(H[increment])[1] * SLOPE}
    late = Q(1, 2) + 2
    assert first_two(sde.drift) == mean
    assert first_two(sde.correction) == combined((-late, moved), (-late, along(mean, mean)))
