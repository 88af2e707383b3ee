"""The assumption check: values in closed form, and which parts of a rule it looks at."""

import pytest
import torch

from eigensam.ground import InputError
from eigensam.landscapes import Quadratic, TiltedTorus
from eigensam.sde import RULES, Rule, derive, divisors, find_rule, verify_one_step
from eigensam.sde.rules import direction, grad, inner, norm, rho, sign
from eigensam.sde.weak_order.divisor_check import check_divisors

F = Quadratic([[2.0, 0.0], [0.0, 1.0]], centres=[[0.0, 0.0], [1.0, 1.0]])
X = torch.tensor([[[0.3, 0.4]]], dtype=torch.float64)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("sgd", []),
        ("usam", []),
        ("sam", ["norm(g)"]),
        ("dnsam", ["norm(E[g])"]),
    ],
)
def test_what_rules_divide_by(name, expected):
    assert [d.name for d in divisors(RULES[name], F, X, 0.1, 0.1)] == expected


def test_values_in_closed_form():
    (found,) = divisors(find_rule("sam"), F, X, 0.0, 0.5)
    g = torch.stack([torch.tensor([0.6, 0.4]), torch.tensor([-1.4, -0.6])])
    assert found.smallest == pytest.approx(g[0].norm().item())
    assert found.largest == pytest.approx(g[1].norm().item())
    # A step of 1/2 along -g_m changes g_n by -H g_m / 2.
    moved = g[None] - 0.5 * (g * torch.tensor([2.0, 1.0]))[:, None]
    change = ((moved.norm(dim=-1) - g.norm(dim=-1)).abs() / g.norm(dim=-1)).max()
    assert found.change == pytest.approx(change.item(), rel=1e-6)


def test_an_even_power_of_a_norm_is_smooth():
    x = torch.zeros(1, 1, 2, dtype=torch.float64)
    assert divisors(Rule("r", norm(grad()) ** 2 * grad()), F, x, 0.1, 0.1) == []
    assert divisors(Rule("r", norm(grad()) * grad()), F, x, 0.1, 0.1)[0].vanishes


def test_a_sign_that_changes():
    v = torch.tensor([1.0, 0.0], dtype=torch.float64)
    rule = Rule("signs", grad(rho * sign(inner(grad(), direction("v"))) * grad()))
    points = torch.tensor([[[0.3, 0.4]], [[-0.3, 0.4]]], dtype=torch.float64)
    (found,) = divisors(rule, F, points, 0.1, 0.1, {"v": v})
    assert found.changes_sign
    with pytest.raises(InputError, match=r"rule 'signs' needs inner\(g, v\) away from 0, which changes sign"):
        check_divisors([found], rule)
    (alone,) = divisors(rule, TiltedTorus.default(2), points, 0.1, 0.01, {"v": v})
    check_divisors([alone], rule)


def test_the_check_is_part_of_one_step():
    """At distance 1e-3 from the minimum of one minibatch a step of 1/4 turns its gradient around."""
    near = torch.tensor([[1e-3, 0.0]], dtype=torch.float64)
    result = verify_one_step(derive(find_rule("sam"), 1, "1/2"), landscape=F, points=near, etas=[1 / 4, 1 / 8, 1 / 16])
    (found,) = result.details["divisors"]
    assert found["change"] > 100
