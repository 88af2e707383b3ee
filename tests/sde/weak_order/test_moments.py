"""Truths: the moments' recursions as loops, geometric sums, Kronecker exponentials, Lyapunov equations, one step."""

import json
import math
import re

import numpy as np
import pytest
import torch
from scipy.linalg import expm, solve_continuous_lyapunov, solve_discrete_lyapunov

from eigensam.ground import InputError
from eigensam.landscapes import NetworkLandscape, Quadratic, TiltedTorus
from eigensam.sde import RULES, Rule, affine_moments, derive, find_rule, truncate, verify_moments, verify_one_step
from eigensam.sde.rules import direction, grad, inner, norm, rho, sign
from eigensam.sde.weak_order.moments import Moments
from eigensam.sde.weak_order.plans import MomentsPlan, OneStepPlan

from .changed import changed
from .planned import planned

SGD, USAM = RULES["sgd"], RULES["usam"]
# Its expansion ends with rho^2 on a quadratic; that of USAM with rho.
TWO_STEP = Rule("usam-2-step", grad(rho / 2 * grad() + rho / 2 * grad(rho / 2 * grad())))
FINE = [2.0**-k for k in range(9, 13)]
F64 = torch.float64


def additive(dim, size=3, seed=1):
    """One Hessian, eigenvalues near 1, so that no step is unstable."""
    draw = np.random.default_rng(seed)
    root = draw.standard_normal((dim, dim)) / dim**0.5
    return Quadratic(0.4 * root @ root.T + 0.5 * np.eye(dim), centres=draw.standard_normal((size, dim)))


def multiplicative(dim, size=3, seed=2):
    """One Hessian for each minibatch: the noise depends on x."""
    draw = np.random.default_rng(seed)
    roots = draw.standard_normal((size, dim, dim)) / dim**0.5
    return Quadratic(
        0.4 * roots @ roots.transpose(0, 2, 1) + 0.5 * np.eye(dim), centres=draw.standard_normal((size, dim))
    )


def maps(f, radius):
    """USAM's ``h_m(x) = -B_m x + r_m`` with ``B = A + rho A^2``, by hand: numpy ``(M, d, d)`` and ``(M, d)``."""
    a = f.hessian.expand(f.size, f.dim, f.dim).numpy()
    b = a + radius * a @ a
    return b, np.einsum("mij,mj->mi", b, f.centres.numpy())


def homogeneous(b, r):
    d = b.shape[-1]
    result = np.zeros((len(b), d + 1, d + 1))
    result[:, :d, :d], result[:, :d, d] = -b, r
    return result


def close(found, truth, tolerance=1e-12):
    np.testing.assert_allclose(np.asarray(found), truth, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("f", [additive(3), multiplicative(3)], ids=["additive", "multiplicative"])
@pytest.mark.parametrize("steps", [1, 2, 64])
def test_chain_against_the_recursion_as_a_loop(f, steps):
    eta, radius = 1 / 16, 0.3
    start = torch.tensor([1.0, -2.0, 0.5], dtype=F64)
    found = affine_moments(truncate(USAM, "1/3", 2), landscape=f, start=start, eta=eta, horizon=steps * eta, rho=radius)
    b, r = maps(f, radius)
    mean, second = start.numpy(), np.outer(start, start)
    for _ in range(steps):
        p, q = np.eye(3) - eta * b, eta * r
        crossed = [p[m] @ np.outer(mean, q[m]) for m in range(f.size)]
        second = np.mean(
            [p[m] @ second @ p[m].T + crossed[m] + crossed[m].T + np.outer(q[m], q[m]) for m in range(f.size)], axis=0
        )
        mean = np.mean(p @ mean + q, axis=0)
    close(found.chain[:-1, -1], mean)
    close(found.chain[:-1, :-1], second)
    close(found.chain, found.chain.mT.numpy())
    assert found.chain[-1, -1].item() == 1.0


def test_chain_against_all_sequences():
    """Three steps, 3^3 sequences."""
    f, eta, radius = multiplicative(2), 0.25, 0.3
    b, r = maps(f, radius)
    ends = np.ones((1, 2))
    for _ in range(3):
        ends = np.concatenate([ends - eta * (ends @ b[m].T - r[m]) for m in range(3)])
    found = affine_moments(truncate(USAM, "1/3", 2), landscape=f, eta=eta, horizon=0.75, rho=radius)
    close(found.chain[:-1, -1], ends.mean(0))
    close(found.chain[:-1, :-1], ends.T @ ends / len(ends))


@pytest.mark.parametrize("steps", [8, 4096])
def test_sgd_in_one_dimension_in_closed_form(steps):
    """Geometric sums, and the Ornstein-Uhlenbeck process."""
    a, centres, start, horizon = 0.8, np.array([1.0, -0.4, 2.1]), 1.7, 2.0
    eta = horizon / steps
    f = Quadratic([[a]], centres=centres[:, None])
    sde = truncate(SGD, 1, 1)
    found = affine_moments(sde, landscape=f, start=torch.tensor([start], dtype=F64), eta=eta, horizon=horizon, rho=eta)
    centre, spread = centres.mean(), centres.var()
    q = 1 - eta * a
    mean = centre + q**steps * (start - centre)
    variance = eta**2 * a**2 * spread * (1 - q ** (2 * steps)) / (1 - q**2)
    close(found.chain, [[mean**2 + variance, mean], [mean, 1]], 1e-12)
    decay = math.exp(-a * horizon)
    mean = centre + decay * (start - centre)
    variance = eta * a**2 * spread * (1 - decay**2) / (2 * a)
    close(found.solution, [[mean**2 + variance, mean], [mean, 1]], 1e-13)


@pytest.mark.parametrize("f", [additive(2), multiplicative(2)], ids=["additive", "multiplicative"])
@pytest.mark.parametrize("order", [1, 2])
def test_solution_against_a_kronecker_exponential(f, order):
    """``d vec(Z) / dt = (G (x) 1 + 1 (x) G + eta E N (x) N) vec(Z)``; for order 2 with ``b_1 = -(Db) b / 2``."""
    eta, horizon, radius = 1 / 8, 1.5, 0.3
    found = affine_moments(derive(USAM, order, "2/3"), landscape=f, eta=eta, horizon=horizon, rho=radius)
    h, h0 = homogeneous(*maps(f, radius)), homogeneous(*maps(f, 0.0))
    g, g0 = h.mean(0), h0.mean(0)
    noise = h - g
    one = np.eye(3)
    squared = g @ g - (g - g0) @ (g - g0)  # b_1 keeps rho^0 and rho^1
    drift = g - 0.5 * eta * squared if order == 2 else g
    operator = np.kron(drift, one) + np.kron(one, drift) + eta * np.mean([np.kron(n, n) for n in noise], axis=0)
    truth = (expm(horizon * operator) @ np.ones(9)).reshape(3, 3)
    close(found.solution, truth)
    # wrong on purpose: the noise that is counted twice
    twice = (expm(horizon * (operator + eta * np.mean([np.kron(n, n) for n in noise], axis=0))) @ np.ones(9)).reshape(
        3, 3
    )
    assert np.abs(twice - truth).max() > 1e-3


def test_stationary_covariances_against_lyapunov_equations():
    f, eta, radius, horizon = additive(4), 1 / 8, 0.3, 64.0
    found = affine_moments(truncate(USAM, "1/3", 2), landscape=f, eta=eta, horizon=horizon, rho=radius)
    b, r = maps(f, radius)
    sigma = np.cov(r.T, bias=True)
    mean = f.centres.numpy().mean(0)
    for second, truth in (
        (found.chain, solve_discrete_lyapunov(np.eye(4) - eta * b[0], eta**2 * sigma)),
        (found.solution, solve_continuous_lyapunov(-b[0], -eta * sigma)),
    ):
        close(second[:-1, -1], mean)
        close(second[:-1, :-1].numpy() - np.outer(mean, mean), truth)


def test_error_is_the_largest_over_test_functions():
    """At ``a`` along the difference of means; ``Q`` of nuclear norm 1 along the top eigenvector."""
    draw = np.random.default_rng(0)
    for scale in (0.1, 10.0):
        second = draw.standard_normal((3, 3))
        second = second + second.T
        mean = scale * draw.standard_normal(3)
        difference = np.block([[second, mean[:, None]], [mean[None], np.zeros((1, 1))]])
        z = torch.from_numpy(draw.standard_normal((4, 4)))
        found = Moments(z + torch.from_numpy(difference), z).error()
        truth = max(np.linalg.norm(mean), np.abs(np.linalg.eigvalsh(second)).max())
        assert found == pytest.approx(truth, rel=1e-12)


@pytest.mark.parametrize(("powers", "slope"), [(1, 1 / 3), (2, 2 / 3), (3, 1.0)])
@pytest.mark.parametrize("dim", [2, 5])
def test_orders_of_truncations(powers, slope, dim):
    for f in (additive(dim), multiplicative(dim)):
        result = verify_moments(truncate(TWO_STEP, "1/3", powers), landscape=f, etas=[2.0**-12, 2.0**-14, 2.0**-16])
        assert result.expected == pytest.approx(slope)
        assert result.slope == pytest.approx(slope, abs=0.05)
        assert result.verdict == "pass"


def test_usam_is_better_on_quadratics_than_elsewhere():
    """``T[g, g] = 0`` there, so that two powers do what three do: the slope is 1, not the claimed 2/3."""
    for powers, slope in ((1, 1 / 3), (2, 1.0), (3, 1.0)):
        sde = truncate(USAM, "1/3", powers)
        result = verify_moments(sde, landscape=multiplicative(3), etas=[2.0**-10, 2.0**-12, 2.0**-14])
        assert result.slope == pytest.approx(slope, abs=0.05)
        assert result.verdict == ("pass" if powers == 1 else "inconclusive")  # nor can rho^2 be told from nothing


@pytest.mark.parametrize("beta", ["2/3", 1])
@pytest.mark.parametrize("rule", [SGD, USAM, TWO_STEP], ids=str)
def test_order_2(rule, beta):
    for f in (additive(3), multiplicative(3)):
        result = verify_moments(derive(rule, 2, beta), landscape=f, etas=FINE)
        assert result.slope == pytest.approx(2, abs=0.1)
        if rule is USAM and beta != 1:  # its rho^2 vanishes on quadratics
            assert "rho^2 of the drift, without which the order is 4/3, has no influence at all" in result.reason
        else:
            assert result.verdict == "pass", result.reason


def test_two_hundred_dimensions():
    f = Quadratic.random(200, size=3, seed=1)
    result = verify_moments(
        derive(USAM, 2, "2/3"), landscape=f, etas=[2.0**-9, 2.0**-10], rho_scale=0.3, plan=MomentsPlan(horizon=2.0**-6)
    )
    assert result.details["dim"] == 200
    assert result.slope == pytest.approx(2, abs=0.1)


@pytest.mark.parametrize(
    ("part", "factors"), [("correction", {0: -1, 1: -1}), ("covariance", {0: 2, 1: 2}), ("increments", {0: 1, 1: 1.5})]
)
@pytest.mark.parametrize("f", [additive(3), multiplicative(3)], ids=["additive", "multiplicative"])
def test_wrong_sdes_of_order_2_fail(part, factors, f):
    wrong = changed(derive(USAM, 2, "2/3"), part, factors)
    result = verify_moments(wrong, landscape=f, etas=FINE, plan=MomentsPlan(expected=2))
    assert result.verdict == "fail"
    assert result.slope == pytest.approx(float(wrong.weak_order), abs=0.1)
    assert wrong.weak_order <= 1


def test_diffusion_does_not_matter_at_order_1():
    wrong = changed(derive(USAM, 1, "1/2"), "covariance", {0: 2, 1: 2})
    assert verify_moments(wrong, landscape=multiplicative(3), etas=FINE).verdict == "pass"


@pytest.mark.parametrize(("order", "beta"), [(1, "1/2"), (2, "2/3")])
def test_one_step_of_moments_is_one_step(order, beta):
    """After a single step the error is that of :func:`verify_one_step`, whose semigroup is right to ``eta^4``."""
    f, etas = multiplicative(2), [2.0**-6, 2.0**-7]
    sde = derive(USAM, order, beta)
    x = torch.tensor([[0.7, -1.1]], dtype=F64)

    def monomials(y):
        return torch.stack([y[:, 0], y[:, 1], y[:, 0] ** 2, y[:, 0] * y[:, 1], y[:, 1] ** 2], 1)

    step = verify_one_step(
        sde, landscape=f, points=x, etas=etas, plan=OneStepPlan(test_functions=monomials, precision="float64")
    )
    for eta, error in zip(etas, step.errors, strict=True):
        radius = 0.8 * math.pow(eta, float(sde.rho_exponent))
        found = affine_moments(sde, landscape=f, start=x[0], eta=eta, horizon=eta, rho=radius)
        difference = (found.chain - found.solution).abs().max().item()
        assert error == pytest.approx(difference, abs=20 * eta**4)
        assert error > 200 * eta**4 if order == 1 else error > 10 * eta**4
    assert verify_moments(sde, landscape=f, etas=FINE).slope == pytest.approx(step.expected - 1, abs=0.1)


def test_any_units():
    """Centres far from the start: moments grow by a factor of 10^10 within a step."""
    errors = []
    for unit in (1.0, 1e5):
        f = Quadratic([[1.0]], centres=[[unit], [2 * unit]])
        result = verify_moments(derive(USAM, 2, "2/3"), landscape=f, etas=FINE[:2], start=torch.zeros(1, dtype=F64))
        errors.append(result.errors)
    assert errors[1] == pytest.approx([1e10 * e for e in errors[0]], rel=1e-4)


def test_minibatches_that_are_all_the_same():
    """Noise that is zero up to rounding is no departure from an affine map."""
    f = Quadratic([[0.7, 0.1], [0.1, 0.3]], centres=[[0.3, -0.77]] * 7)
    result = verify_moments(derive(USAM, 2, 1), landscape=f, etas=FINE)
    assert result.slope == pytest.approx(2, abs=0.1)
    assert "of the noise, without which the order is 1" in result.reason  # a wrong one would not be seen


def test_a_linear_network_is_a_quadratic():
    generator = torch.Generator().manual_seed(0)
    inputs, targets = (torch.randn(12, k, generator=generator, dtype=F64) for k in (2, 1))
    model = torch.nn.Linear(2, 1, dtype=F64)
    loss = torch.nn.functional.mse_loss
    f = NetworkLandscape.from_tensors(model, loss, inputs, targets, batch_size=4)
    ones = torch.cat([inputs, torch.ones(12, 1, dtype=F64)], 1).view(3, 4, 3)
    hessian = 2 * ones.mT @ ones / 4
    centres = torch.linalg.solve(hessian, 2 * ones.mT @ targets.view(3, 4, 1) / 4)[..., 0]
    kwargs = {"eta": 0.125, "horizon": 1.0, "rho": 0.1}
    sde = derive(USAM, 2, "2/3")
    ours, truth = (affine_moments(sde, landscape=g, **kwargs) for g in (f, Quadratic(hessian, centres)))
    close(ours.chain, truth.chain, 1e-10)
    close(ours.solution, truth.solution, 1e-10)
    single = NetworkLandscape.from_tensors(model.float(), loss, inputs.float(), targets.float())
    with pytest.raises(InputError, match=r"the landscape is in torch.float32; moments need torch.float64"):
        affine_moments(sde, landscape=single, **kwargs)


def test_start_in_any_type():
    f, sde = additive(2), derive(USAM, 1, "1/2")
    truth = verify_moments(sde, landscape=f, etas=[0.25, 0.125]).errors
    for start in (torch.ones(2), torch.ones(2, dtype=torch.int64), [1.0, 1.0]):
        assert verify_moments(sde, landscape=f, etas=[0.25, 0.125], start=start).errors == truth


def test_progress_and_json():
    seen = []
    result = verify_moments(
        derive(USAM, 1, "1/2"),
        landscape=additive(2),
        etas=FINE,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert seen == [(k, 13) for k in range(14)]
    written = json.loads(json.dumps(result.to_dict()))
    assert (written["method"], written["dim"], written["horizon"]) == ("moments", 2, 1.0)
    assert 0 < written["rounding"] < 1e-11


def test_an_exact_sde_has_no_error_to_measure():
    drift = Rule("wind", direction("v"))
    v = {"v": torch.tensor([0.6, 0.8], dtype=F64)}
    result = verify_moments(derive(drift, 1, 1), landscape=additive(2), values=v)
    assert result.verdict == "inconclusive"
    assert "is not far above rounding" in result.reason
    assert max(result.errors) < 1e-13


def test_errors_that_drown_are_inconclusive():
    etas = [2.0**-18, 2.0**-19]
    assert verify_moments(derive(USAM, 2, 1), landscape=additive(2), etas=etas, rho_scale=1.0).verdict == "inconclusive"


@pytest.mark.parametrize(
    ("rule", "what"),
    [
        (RULES["sam"], "1/norm(g)"),
        (RULES["dnsam"], "1/norm(E[g])"),
        (Rule("sign", grad(rho * sign(inner(grad(), direction("v"))) * direction("v"))), "sign(inner(g, v))"),
        (Rule("long", norm(grad()) * grad()), "norm(g)"),
        (find_rule("inner(g,g)**(1/3)*g"), "inner(g, g)**(1/3)"),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
@pytest.mark.parametrize("dim", [1, 2])
def test_rules_that_are_not_affine(rule, what, dim):
    """In one dimension SAM and signs are affine on either side of the minimum, far from the probes here."""
    f = Quadratic(np.eye(dim), centres=np.full((2, dim), 50.0))
    values = {name: torch.eye(dim, dtype=F64)[0] for name in rule.directions}
    with pytest.raises(InputError, match="is not affine: it contains " + re.escape(what)):
        verify_moments(truncate(rule, "1/2", 1), landscape=f, values=values)


def test_norms_of_constants_are_affine():
    rule = Rule("push", grad(rho * direction("v") / norm(direction("v"))))
    v = {"v": torch.tensor([0.6, 0.8], dtype=F64)}
    assert verify_moments(derive(rule, 2, 1), landscape=additive(2), values=v, etas=FINE).verdict == "pass"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"landscape": TiltedTorus.default(2)}, "rule 'usam' is not affine on this landscape: its increments depart"),
        ({"sde": truncate(Rule("square", inner(grad(), grad()) * grad()), 1, 1)}, "rule 'square' is not affine on"),
        ({"start": torch.ones(3, dtype=F64)}, "start has shape (3,); expected (2,) finite numbers"),
        ({"start": torch.ones(1, 2, dtype=F64)}, "start has shape (1, 2); expected (2,)"),
        ({"start": torch.tensor([1.0, math.nan])}, "expected (2,) finite numbers"),
        (
            {"landscape": Quadratic(1e4 * np.eye(2), centres=[[0, 0]]), "horizon": 64.0},
            "moments overflow at eta = 0.125: the recursion is unstable here; use smaller step sizes",
        ),
        ({"etas": [0.3, 0.1]}, "eta = 0.3 does not divide T = 1"),
        ({"horizon": -1.0}, "T = -1 is not a positive time"),
        ({"sde": USAM}, "found Rule; expected an SDE"),
    ],
)
def test_refusals(arguments, message):
    with pytest.raises(InputError, match=re.escape(message)):
        verify_moments(
            **planned(MomentsPlan, **{"sde": truncate(USAM, "1/3", 2), "landscape": additive(2), **arguments})
        )
