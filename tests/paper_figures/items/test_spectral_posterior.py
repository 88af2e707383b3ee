"""The item at a tiny size, and what its words say of given numbers."""

from dataclasses import replace

import pytest

from eigensam.optim import SAMSettings, TrainSettings
from eigensam.paper_figures.items.spectral_posterior import SpectralPosterior
from eigensam.paper_figures.measurements.posterior_shapes import SHAPES
from eigensam.paper_figures.measurements.spectral_study import StudySize
from eigensam.paper_figures.trainings import Trainings


def _study(seed, spectral):
    """Isotropic 10 % and 5 % at 5 and 20 nats; the seed's own offset is common to all shapes."""
    rows = {
        name: [
            {"nats": nats, "risk": risk * (spectral if name == "spectral" else 1.0) + 0.01 * seed}
            for nats, risk in ((5.0, 0.1), (20.0, 0.05))
        ]
        for name in SHAPES
    }
    certificates = {
        name: {"certificate": 0.2 + 0.01 * seed + add, "kl": 5.0, "predictions": 1000, "estimate_without_sampling": 0.1}
        for name, add in (("isotropic", 0.0), ("diagonal", 0.0), ("spectral", 0.001 * seed))
    }
    trap = [{"width": 0.1, "taylor": 0.01, "loss": 0.01, "risk": 0.01}]
    trap.append({"width": 1.0, "taylor": 0.05, "loss": 0.7, "risk": 0.9})
    found = {"seed": seed, "examples": 100, "products": 7, "frontier": rows, "certificates": certificates}
    return found | {"trap": trap, "at_prior": {"errors": 0.03, "clopper_pearson": 0.05}}


def _result(*factors):
    return {"trained": [_study(seed, factor) for seed, factor in enumerate(factors)], "initial": [_study(0, 1.0)]}


def test_verdicts_follow_the_numbers():
    claims = SpectralPosterior().claims(_result(0.8, 0.81, 0.79))
    assert [claim.verdict.word for claim in claims] == [
        *["reproduced"] * 5,
        "not resolved here",
        "reproduced",
    ]
    assert claims[0].measured.startswith("-1.500 ± ")
    assert "Taylor 0.050, Monte Carlo 0.700, error 0.90" in claims[-1].measured


def test_no_effect_is_not_resolved_and_harm_is_said():
    """Wrong on purpose: numbers without an effect, and with one of the other sign."""
    nothing = SpectralPosterior().claims(_result(0.99, 1.0, 1.02))
    assert {claim.verdict.word for claim in nothing[:4]} == {"not resolved here"}
    harm = SpectralPosterior().claims(_result(1.2, 1.21, 1.19))
    assert [claim.verdict.word for claim in harm[:4]] == ["not reproduced"] * 4
    one = SpectralPosterior().claims(_result(0.8))
    assert {claim.verdict.word for claim in one[:6]} == {"not resolved here"}
    assert "nan" not in str(one).lower()


def test_plot_shows_the_numbers():
    figure = SpectralPosterior().plot(_result(0.8, 0.81, 0.79))
    left, middle, right = figure.axes
    curves = {line.get_label(): list(line.get_ydata()) for line in left.lines}
    assert curves["isotropic"] == pytest.approx([11.0, 6.0])
    assert curves["spectral"] == pytest.approx([9.0, 5.0])
    assert len(middle.containers) == 4
    gaps = {each.get_label(): list(each.lines[0].get_ydata()) for each in middle.containers}
    assert gaps["spectral"] == pytest.approx([-2.0, -1.0])
    assert gaps["random directions"] == [0.0, 0.0]
    assert list(right.lines[0].get_ydata()) == pytest.approx([0.01, 0.05])


def test_tables_and_words():
    item = SpectralPosterior()
    trained, initial = item.tables(_result(0.8, 0.81, 0.79))
    assert [row[0] for row in trained.rows] == [
        "isotropic",
        "diagonal",
        "spectral",
        "shuffled eigenvalues",
        "random directions",
    ]
    assert trained.rows[3][-1] == ""
    assert "one seed" in initial.note
    assert "nan" not in str((trained, initial)).lower()
    assert "100 examples" in item.caption(_result(0.8, 0.81))
    assert "7 products" in item.notes(_result(0.8))[0]


def test_measures_at_a_tiny_size(tmp_path):
    size = StudySize(
        nats=(5.0, 20.0),
        moves=(0.1,),
        shares=(0.99, 0.8),
        eigenvectors=2,
        search_draws=1,
        draws=2,
        certificate_draws=1,
        shapes=("isotropic", "spectral"),
        trap_widths=(0.05, 0.3),
    )
    settings = TrainSettings(epochs=2, prior_fraction=0.9)
    item = SpectralPosterior(
        Trainings(settings, seeds=(0, 1), optimizers=(SAMSettings(),)), size, replace(size, trap_widths=()), 0
    )
    result = item.run(tmp_path)
    assert [study["seed"] for study in result["trained"]] == [0, 1]
    for study in result["trained"]:
        assert [row["kl"] for row in study["frontier"]["spectral"]] == pytest.approx([5.0, 20.0], rel=1e-4)
    for each in (item.plot(result), item.claims(result), item.tables(result), item.caption(result), item.size()):
        assert each
