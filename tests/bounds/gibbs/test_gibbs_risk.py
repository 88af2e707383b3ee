"""The Gibbs risk: a closed form as second truth, refusals, the same number for the same seed."""

import math
from fractions import Fraction

import pytest
import torch
from torch import nn

from eigensam.bounds import (
    CrossEntropyRisk,
    GibbsEstimate,
    IsotropicPosterior,
    MeanFieldPerceptron,
    StochasticNetwork,
    WeightDraws,
    ZeroOneRisk,
    gibbs_risk,
    kl_inverse,
)
from eigensam.bounds.gibbs import gibbs_risk as module
from eigensam.ground import InputError

from .linear_scores import MEAN, SIGMA, exact, networks, sample, seeded


@pytest.mark.parametrize("name", ["frozen", "mean field", "draws"])
def test_against_the_closed_form(name):
    """Within 5 standard errors; the certificate is above."""
    x, y = sample(300)
    draws = 2000
    (risk,) = gibbs_risk(networks(x)[name], x, y, [ZeroOneRisk(1e-3)], draws=draws, generator=seeded(1))
    truth = exact(x, y)
    independent = draws if name == "draws" else 300 * draws
    assert risk.independent == independent
    assert abs(risk.mean - truth) < 5 * math.sqrt(truth * (1 - truth) / independent)
    assert truth < risk.upper < truth + 5 / math.sqrt(independent)
    assert risk.upper == pytest.approx(kl_inverse(risk.mean, -math.log(1e-3) / independent), rel=1e-12)


def test_two_losses_from_the_same_draws(f64):
    """Each spends its own delta; the second does not change the first. Cross-entropy against quadrature."""
    x, y = sample(20)
    network = networks(x)["frozen"]
    zero_one, entropy = gibbs_risk(
        network, x, y, [ZeroOneRisk(0.02), CrossEntropyRisk(0.01)], draws=20_000, generator=seeded(1)
    )
    (alone,) = gibbs_risk(network, x, y, [ZeroOneRisk(0.02)], draws=20_000, generator=seeded(1))
    assert zero_one == alone
    assert (zero_one.delta, entropy.delta, entropy.loss) == (0.02, 0.01, "cross-entropy")
    nodes = torch.linspace(-9, 9, 4001, dtype=f64)
    weights = torch.exp(-nodes.square() / 2)
    weights /= weights.sum()
    difference = x @ (MEAN[:2] - MEAN[2:]).double()
    margin = torch.where(y == 0, difference, -difference)[:, None] + SIGMA * 2**0.5 * x.norm(dim=1)[:, None] * nodes
    truth = float((-(1e-3 + 0.999 * margin.sigmoid()).log() / -math.log(1e-3) @ weights).mean())
    assert abs(entropy.mean - truth) < 5 * 0.5 / math.sqrt(entropy.independent)
    assert truth < entropy.upper


def test_same_seed_same_number():
    """Whatever the number of examples and draws of one call would be, the constants fix it; and other seeds differ."""
    x, y = sample(600)
    network = networks(x)["frozen"]

    def risk(seed):
        return gibbs_risk(network, x, y, [ZeroOneRisk(0.1)], draws=20, generator=seeded(seed))

    assert risk(1) == risk(1)
    assert risk(1) != risk(2)


def test_threads_change_summation_at_most(f64):
    model = nn.Sequential(nn.Linear(2, 300), nn.GELU(), nn.Linear(300, 2))
    network = MeanFieldPerceptron(model, IsotropicPosterior(torch.zeros(1502), 0.1))
    x, y = sample(300)
    risks = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        losses = [ZeroOneRisk(0.1), CrossEntropyRisk(0.1)]
        risks.append(gibbs_risk(network, x, y, losses, draws=20, generator=seeded(1)))
    torch.set_num_threads(1)
    assert risks[0][0] == risks[1][0]
    assert risks[0][1].upper == pytest.approx(risks[1][1].upper, rel=1e-12)


def test_weights_drawn_do_not_depend_on_the_batch_size(f64):
    x, y = sample(50)
    q = IsotropicPosterior(MEAN, SIGMA)
    risks = [
        gibbs_risk(
            WeightDraws(nn.Linear(2, 2, bias=False).double(), q, x, batch_size=size), x, y,
            [ZeroOneRisk(0.1), CrossEntropyRisk(0.1)], draws=30, generator=seeded(1),
        )
        for size in (1, 7, 1000)
    ]  # fmt: skip
    assert {each[0] for each in risks} == {risks[0][0]}
    assert [each[1].mean for each in risks] == pytest.approx([risks[0][1].mean] * 3, rel=1e-12)


def test_sums_are_rounded_outward(f64):
    """Never below exact sums; torch's sums are below some."""
    below = 0
    for seed in range(50):
        parts = torch.rand(3, 4096, generator=seeded(seed), dtype=f64)
        total = module._Sum(CrossEntropyRisk(0.1))
        for part in parts:
            total.add(part)
        exactly = sum(Fraction(x) for x in parts.flatten().tolist()) / parts.numel()
        assert exactly <= total.mean(parts.numel()) <= exactly * (1 + Fraction(1, 10**11))
        below += Fraction(float(parts.sum())) / parts.numel() < exactly
    assert below > 10
    count = module._Sum(ZeroOneRisk(0.1))
    count.add(torch.tensor([True, False, True]))
    assert count.mean(3) == Fraction(2, 3)


def test_exponent_and_mean_are_outward():
    x, y = sample(3)
    (risk,) = gibbs_risk(networks(x)["frozen"], x, y, [ZeroOneRisk(0.1)], draws=1, generator=seeded(1))
    errors = round(risk.mean * 3)
    assert Fraction(risk.mean) >= Fraction(errors, 3)
    assert risk.upper >= kl_inverse(Fraction(errors, 3), math.log(10) / 3)
    assert risk.to_dict()["independent"] == 3


def test_progress():
    x, y = sample(300)
    seen = []
    gibbs_risk(
        networks(x)["frozen"], x, y, [ZeroOneRisk(0.1)], draws=20, generator=seeded(),
        progress=lambda done, total: seen.append((done, total)),
    )  # fmt: skip
    assert seen == [(4096, 6000), (5120, 6000), (5824, 6000), (6000, 6000)]


def test_repr():
    text = repr(GibbsEstimate("zero-one", 0.01, 0.0123, 0.05, 100, 10, 1000, 1e-8))
    assert text == "GibbsEstimate(zero-one <= 0.0123 at 95 %, mean 0.01, 1000 independent losses)"


class _Liar(StochasticNetwork):
    """Shared weights that are called fresh. Wrong on purpose."""

    classes = 2
    fresh_per_example = True

    def logits(self, inputs, draws, generator):
        weights = torch.randn(draws, 2, 2, generator=generator, dtype=torch.float64)
        return inputs @ weights


class _Shape(StochasticNetwork):
    fresh_per_example = False

    def __init__(self, classes, dtype=torch.float64):
        self.classes = classes
        self.dtype = dtype

    def logits(self, inputs, draws, generator):
        return torch.zeros(draws, len(inputs), 2, dtype=self.dtype)


@pytest.mark.parametrize(
    ("network", "change", "message"),
    [
        (_Liar(), {}, "repeated examples have the same scores"),
        (_Shape(3), {}, r"scores of shape \(1, 9, 2\), need \(draws, batch, classes\) \(1, 9, 3\)"),
        (_Shape(1), {}, "a network with 1 class cannot err"),
        (_Shape(2, torch.float16), {}, "not precise enough"),
        (_Shape(2), {"draws": 0}, "draws = 0 is no number of draws"),
        (_Shape(2), {"draws": True}, "draws = True is no number of draws"),
        (_Shape(2), {"losses": []}, "need at least one"),
        (_Shape(2), {"losses": [ZeroOneRisk(0.1), ZeroOneRisk(0.2)]}, "each of another name"),
        (_Shape(2), {"targets": torch.full((9,), 2)}, "targets between 2 and 2 are not classes 0 to 1"),
        (_Shape(2), {"targets": torch.full((9,), -1)}, "targets between -1 and -1 are not classes 0 to 1"),
        (_Shape(2), {"targets": torch.zeros(8, dtype=torch.int64)}, "need one int64 class for each"),
        (_Shape(2), {"targets": torch.zeros(9, device="meta")}, "inputs are on cpu, targets on meta"),
        (_Shape(2), {"targets": torch.zeros(9)}, "need one int64 class for each"),
    ],
)
def test_refusals(network, change, message):
    x, y = sample(9)
    given = {"targets": y, "losses": [ZeroOneRisk(0.1)], "draws": 3, **change}
    with pytest.raises(InputError, match=message):
        gibbs_risk(network, x, given["targets"], given["losses"], draws=given["draws"], generator=seeded())
