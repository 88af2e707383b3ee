"""The study on a network of a few weights: equal divergences, equal choices, certificates above their risks."""

import math

import pytest
import torch
from torch import nn

from eigensam.bounds import GaussianPrior, WeightDraws, ZeroOneRisk, gibbs_risk
from eigensam.paper_figures.measurements.posterior_shapes import SHAPES
from eigensam.paper_figures.measurements.spectral_study import PRODUCT, SpectralStudy, StudySize

SIZE = StudySize(
    nats=(5.0, 20.0),
    moves=(0.1, 0.3),
    shares=(0.99, 0.6),
    eigenvectors=5,
    search_draws=4,
    draws=20,
    certificate_draws=5,
    rate=1e-2,
    trap_widths=(0.01, 3.0),
)


@pytest.fixture(scope="module")
def study():
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(300, 4, generator=generator)
    targets = (inputs @ torch.randn(4, 3, generator=generator)).argmax(1)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.GELU(), nn.Linear(8, 3))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    for _ in range(100):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(inputs[:60]), targets[:60]).backward()
        optimizer.step()
    found = SpectralStudy(model.eval(), inputs[60:], targets[60:], SIZE, seed=0)
    return found, found.frontier()


def test_every_shape_spends_the_same(study):
    _, frontier = study
    assert list(frontier) == list(SHAPES)
    for rows in frontier.values():
        for row, nats in zip(rows, SIZE.nats, strict=True):
            assert row["kl"] == pytest.approx(nats, rel=1e-6)
            assert row["move"] in SIZE.moves
            assert row["share"] in SIZE.shares


def test_candidates_leave_the_move_its_share(study):
    """The divergence of an isotropic posterior as wide as the prior is the move's cost alone."""
    found, _ = study
    for nats in SIZE.nats:
        for each in found._candidates(nats):
            q = found.known["isotropic"].posterior(each.mean, each.width, 0.0)
            move = q.kl(GaussianPrior(found.centre, found.grid.variance(each.index)))
            assert each.share * nats * 0.99 < move <= each.share * nats * (1 + 1e-9)
            assert each.nats == pytest.approx(nats - move)


def test_risk_against_shared_draws(study):
    """A second way to evaluate a network with given weights, and the same numbers twice."""
    found, _ = study
    posterior = found._best["spectral"][0][1].posterior(found.known["spectral"])
    risk, _ = found._risks(posterior, 30, 2)
    assert risk == found._risks(posterior, 30, 2)[0]
    network = WeightDraws(found.model, posterior, found.inputs)
    (truth,) = gibbs_risk(
        network,
        found.inputs,
        found.targets,
        [ZeroOneRisk(0.1)],
        draws=30,
        generator=torch.Generator().manual_seed(2),  # of seed 0, stream 2
    )
    assert risk == pytest.approx(truth.mean, abs=2 / 240 / 30)
    assert found._risks(posterior, 30, 3)[0] != risk


def test_certificates_count_evaluations(study):
    found, _ = study
    certificates = found.certificates()
    assert list(certificates) == ["isotropic", "diagonal", "spectral"]  # no control
    for name, each in certificates.items():
        assert each["risk"] < each["risk_upper"] < each["certificate"] < 1
        assert each["kl"] >= 5 * (1 - 1e-9)
        design = {"isotropic": 0, "diagonal": 7, "spectral": found.products * PRODUCT}[name]
        assert each["predictions"] // 240 + design == 5 + found.products * PRODUCT


def test_taylor_is_right_near_by_and_wrong_far_away(study):
    near, far = study[0].trap()
    assert near["taylor"] == pytest.approx(near["loss"], rel=0.05)
    assert far["loss"] > 0.4  # near that of the uniform prediction, 0.35 for three classes, or above it
    assert not math.isclose(far["taylor"], far["loss"], rel_tol=0.3)


def test_at_prior(study):
    found = study[0].at_prior()
    assert 0 < found["errors"] < found["clopper_pearson"] < 1
