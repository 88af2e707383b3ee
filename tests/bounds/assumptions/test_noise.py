"""The mean over draws and held-out examples: arithmetic, coverage, verdicts."""

import math

import pytest
import scipy.stats
import torch
from torch import nn

from eigensam.bounds import AssumptionSettings
from eigensam.bounds.assumptions.noise import Rise, noise_rows, rise_interval
from eigensam.bounds.assumptions.subject import Subject


def test_by_hand():
    values = torch.tensor([[0.0, 1.0, 5.0], [2.0, 3.0, 1.0]])
    found = rise_interval(values, 0.1)
    rows, columns = values.double().numpy().mean(1), values.double().numpy().mean(0)
    halves = [
        scipy.stats.t.ppf(0.975, len(means) - 1) * means.std(ddof=1) / math.sqrt(len(means))
        for means in (rows, columns)
    ]
    assert found.value == pytest.approx(2.0)
    assert (found.over_draws, found.over_examples) == pytest.approx(tuple(halves))
    assert (found.lower, found.upper) == pytest.approx((2 - sum(halves), 2 + sum(halves)))


def test_verdicts():
    assert Rise(1, 0.0, 2, 1, 0).verdict == "holds"
    assert Rise(-1, -2, -0.1, 1, 0).verdict == "fails"
    assert Rise(1, -0.1, 2, 1, 0).verdict == "cannot be decided here"


def misses(interval, repeats=600):
    """How often a mean of 0 is missed, with variation of draws, of examples and of both together."""
    generator = torch.Generator().manual_seed(0)
    count = 0
    for _ in range(repeats):
        draws = torch.randn(8, 1, generator=generator, dtype=torch.float64)
        examples = torch.randn(1, 40, generator=generator, dtype=torch.float64) * 6
        found = interval(draws + examples + torch.randn(8, 40, generator=generator, dtype=torch.float64))
        count += not found.lower <= 0 <= found.upper
    return count / repeats


def test_coverage():
    assert misses(lambda values: rise_interval(values, 0.1)) <= 0.1


def test_an_interval_over_draws_alone_misses():
    """Wrong on purpose: the examples are a sample, too."""

    def narrow(values):
        full = rise_interval(values, 0.1)
        return Rise(full.value, full.value - full.over_draws, full.value + full.over_draws, full.over_draws, 0.0)

    assert misses(narrow) > 0.3


def test_rows_of_a_run(table, sam_run, digits):
    """The mean by a plain loop, with the same draws."""
    rows = [row for row in table.rows if row.name.startswith("f_D(x)")]
    assert [row.numbers["sigma"] for row in rows] == [0.001, 0.01, 0.1]
    assert all(row.ground == "interval" for row in rows)
    settings = AssumptionSettings(examples=64, draws=4)
    subject = Subject(sam_run, digits, settings, torch.device("cpu"), lambda what: None)
    inputs, targets = subject.held_out_part
    model, loss = sam_run.network().double(), subject.bounded_loss
    generator = torch.Generator().manual_seed(3)
    start = subject.x.clone()
    total = 0.0
    for _ in range(4):
        noise = torch.randn(len(start), generator=generator).double()
        for sign in (-1, 1):
            torch.nn.utils.vector_to_parameters(start + sign * 0.1 * noise, model.parameters())
            total += float(loss(model(inputs), targets).detach()) / 8
    torch.nn.utils.vector_to_parameters(start, model.parameters())
    here = float(loss(model(inputs), targets).detach())
    assert rows[-1].numbers["loss_at_x"] == pytest.approx(here)
    assert rows[-1].numbers["rise"] == pytest.approx(total - here, rel=1e-9)


def test_a_network_at_the_top_of_its_loss_fails(subject_of):
    """Wrong on purpose: every label is wrong with certainty, so that any noise helps."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    nn.init.zeros_(model[1].weight)
    model[1].bias.data = torch.tensor([-6.0] * 9 + [6.0])
    rows = noise_rows(subject_of(model, effort=AssumptionSettings(sigmas="0.2", examples=360, draws=30)))
    assert [row.verdict for row in rows] == ["fails"]


def test_noise_that_breaks_the_network(subject_of):
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    model[1].bias.data[0] = 1e300 if model[1].bias.dtype == torch.float64 else 3e38
    rows = noise_rows(subject_of(model.double(), effort=AssumptionSettings(sigmas="1e6", examples=8, draws=2)))
    assert rows[0].verdict in ("cannot be decided here", "holds", "fails")
    assert all(value is None or value == value for value in rows[0].numbers.values())
