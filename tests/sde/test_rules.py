"""The perturbation of each rule, and one contract for all of them."""

import pytest
import torch

from eigensam.landscapes import InputError
from eigensam.sde import RULES, find_rule

G = torch.tensor([[3.0, 4.0], [0.0, -2.0]], dtype=torch.float64)


@pytest.mark.parametrize(
    ("name", "u"),
    [
        ("sgd", [[0.0, 0.0], [0.0, 0.0]]),
        ("usam", [[3.0, 4.0], [0.0, -2.0]]),
        ("sam", [[0.6, 0.8], [0.0, -1.0]]),
        ("dnsam", (G / (1.5**2 + 1.0) ** 0.5).tolist()),
        ("reverse-sam", [[-0.6, -0.8], [0.0, 1.0]]),
    ],
)
def test_by_hand(name, u):
    torch.testing.assert_close(find_rule(name).perturbation(G), torch.tensor(u, dtype=torch.float64))


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_contract(rule):
    batch = torch.randn(4, 5, 3, generator=torch.Generator().manual_seed(0))
    u = rule.perturbation(batch)
    assert u.shape == batch.shape
    assert u.dtype == batch.dtype
    torch.testing.assert_close(u[2], rule.perturbation(batch[2]))
    assert rule.formula
    assert rule.perturbed == bool(u.any())


def test_unknown():
    with pytest.raises(InputError, match="unknown rule 'adam'; choose one of: sgd, usam, sam, dnsam, reverse-sam"):
        find_rule("adam")
