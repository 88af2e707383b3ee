"""What a user's drift and covariance are refused for, by both methods that take them; right ones pass."""

import re

import pytest
import torch

from eigensam.ground import InputError
from eigensam.landscapes import TiltedTorus
from eigensam.sde import derive, drift_and_covariance, find_rule, verify_on_torus, verify_one_step
from eigensam.sde.weak_order.one_step import polynomial_test_functions
from eigensam.sde.weak_order.own_coefficients import checked_coefficients
from eigensam.sde.weak_order.plans import OneStepPlan, TorusPlan

F = TiltedTorus.default(2)
SDE = derive(find_rule("sam"), 1, "1/3")


def both(change):
    return lambda *arguments: change(*drift_and_covariance(*arguments))


def somewhere(value):
    """NaN at one point of many."""
    return torch.cat([value[:-1], value[-1:] * torch.nan])


BAD = {
    "one tensor": (lambda b, s: b, "coefficients return Tensor; expected two: return drift, covariance"),
    "nothing": (lambda b, s: None, "coefficients return NoneType; expected two"),
    "three": (lambda b, s: (b, b, s), "coefficients return 3 of them; expected two"),
    "minibatches": (
        lambda b, s: (b[:, None], s),
        "a drift of shape (N, 1, 2) at N points x of shape (N, 1, 2); expected",
    ),
    "numpy": (lambda b, s: (b.numpy(), s.numpy()), "a drift of type ndarray; expected a torch.Tensor of shape (N, d)"),
    "scalar": (lambda b, s: (b, torch.tensor(0.1, dtype=b.dtype)), "a covariance of shape () at N points"),
    "variances": (lambda b, s: (b, s.diagonal(dim1=-2, dim2=-1)), "a variance s per coordinate is torch.diag_embed(s)"),
    "lower": (lambda b, s: (b, s.tril()), "a covariance that is not symmetric, at one point"),
    "upper": (lambda b, s: (b, s.triu()), "expected both triangles: s + s.mT"),
    "negative": (lambda b, s: (b, -s), "a covariance with the eigenvalue -"),
    "single": (lambda b, s: (b.float(), s), "a drift in torch.float32 on cpu; expected torch.float64 on cpu"),
    "nan": (lambda b, s: (somewhere(b), s), "numbers that are not finite at 1 of N points, first at x = ["),
    "inf": (lambda b, s: (b, somewhere(s)), "a covariance with numbers that are not finite at 1 of N points"),
}


@pytest.mark.parametrize(("change", "message"), BAD.values(), ids=BAD)
@pytest.mark.parametrize(
    ("verify", "plan", "count"),
    [(verify_on_torus, TorusPlan, 169), (verify_one_step, OneStepPlan, 3)],
    ids=["torus", "one-step"],
)
def test_refusals(verify, plan, count, change, message):
    text = message.replace("(N, 1", f"({count}, 1").replace(" N points", f" {count} points")
    with pytest.raises(InputError, match=re.escape(text)):
        verify(SDE, landscape=F, plan=plan(coefficients=both(change)))


def test_no_function():
    with pytest.raises(InputError, match="found coefficients of type int; expected a function of"):
        verify_on_torus(SDE, landscape=F, plan=TorusPlan(coefficients=3))


def test_right_ones_pass_unchanged():
    x = torch.rand(7, 1, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    own = checked_coefficients(both(lambda b, s: [b, s]))
    for found, truth in zip(
        own(F, SDE, x, 0.1, 0.1, None), drift_and_covariance(F, SDE, x, 0.1, 0.1, None), strict=True
    ):
        assert torch.equal(found, truth)
    singular = checked_coefficients(both(lambda b, s: (b, b[:, :, None] * b[:, None])))  # of rank 1
    singular(F, SDE, x, 0.1, 0.1, None)


@pytest.mark.parametrize(("order", "beta"), [(1, "1/3"), (2, "2/3")])
def test_one_step_of_ones_own(order, beta):
    """Kicks along the eigenvectors have the covariance of the minibatches' kicks: the same errors, to fourth order."""
    sde = derive(find_rule("sam"), order, beta)
    own = verify_one_step(
        sde,
        landscape=F,
        plan=OneStepPlan(coefficients=both(lambda b, s: (b, s)), test_functions=polynomial_test_functions),
    )
    theirs = verify_one_step(sde, landscape=F, plan=OneStepPlan(precision="float64"))
    assert own.verdict == theirs.verdict == "pass"
    assert own.errors[3:5] == pytest.approx(theirs.errors[3:5], rel=1e-3)
    wrong = verify_one_step(sde, landscape=F, plan=OneStepPlan(coefficients=both(lambda b, s: (1.001 * b, s))))
    assert wrong.verdict == "fail"
    if order == 2:
        assert (
            verify_one_step(sde, landscape=F, plan=OneStepPlan(coefficients=both(lambda b, s: (b, 1.1 * s)))).verdict
            == "fail"
        )


def test_many_digits_are_refused():
    with pytest.raises(InputError, match=r"coefficients of one's own are numbers in double precision; use precision="):
        verify_one_step(SDE, landscape=F, plan=OneStepPlan(coefficients=both(lambda b, s: (b, s)), precision="multi"))


def test_mistakes_in_single_components_are_seen():
    """Two fixed vectors saw only a few of them: a noise orthogonal to both passed."""
    sde, f = derive(find_rule("usam"), 2, 1), TiltedTorus.random(12, size=3, terms=12, highest_frequency=1, seed=3)

    def louder(*arguments):
        drift, covariance = drift_and_covariance(*arguments)
        covariance = covariance.clone()
        covariance[:, 10, 10] *= 4
        return drift, covariance

    def same(*arguments):
        return drift_and_covariance(*arguments)

    assert verify_one_step(sde, landscape=f, plan=OneStepPlan(coefficients=same)).verdict == "pass"
    assert verify_one_step(sde, landscape=f, plan=OneStepPlan(coefficients=louder)).verdict == "fail"
