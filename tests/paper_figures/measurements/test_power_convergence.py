"""Estimates after so many products against dense algebra, and the training that they are made along."""

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from eigensam.landscapes import DenseOperator, load_data
from eigensam.landscapes.spectra.short_lanczos import short_lanczos
from eigensam.optim import EigenSAMSettings, TrainSettings
from eigensam.optim.training.training import Training
from eigensam.paper_figures.measurements import power_convergence
from eigensam.paper_figures.measurements.control_plan import Pair, used_data
from eigensam.paper_figures.measurements.power_convergence import (
    convergence_along,
    lanczos_estimates,
    power_estimates,
    refresh_steps,
)

METHOD = EigenSAMSettings(solver="power", guard=0.0, refresh_every=4)
SETTINGS = TrainSettings(optimizer=METHOD, model="mlp32", epochs=3, batch_size=16, seed=3)
DATA = used_data(Pair("tiny", "digits", "mlp32", train=96, test=20, pool=2, batch_size=16), load_data("digits"))
"""18 steps in three epochs, and 874 parameters: small enough for dense Hessians."""


def _matrix(dim=12, seed=0):
    g = torch.Generator().manual_seed(seed)
    a = torch.randn(dim, dim, generator=g, dtype=torch.float64)
    v = torch.randn(dim, generator=g, dtype=torch.float64)
    return a + a.T + 2 * torch.eye(dim, dtype=torch.float64), v / v.norm()


def test_the_power_method_against_powers():
    a, v = _matrix()
    found = power_estimates(DenseOperator(a), v, 6)
    for p, (estimate, quotient) in enumerate(found):
        expected = np.linalg.matrix_power(a.numpy(), p) @ v.numpy()
        expected /= np.linalg.norm(expected)
        np.testing.assert_allclose(estimate.numpy(), expected, rtol=1e-9, atol=1e-12)
        assert quotient == pytest.approx(expected @ a.numpy() @ expected, rel=1e-10)


def test_lanczos_against_rayleigh_and_ritz():
    """On an orthonormal basis of the Krylov space from a QR; and against the optimizer's own solver."""
    a, v = _matrix()
    found = lanczos_estimates(DenseOperator(a), v, 6)
    for p in range(1, 7):
        krylov = np.stack([np.linalg.matrix_power(a.numpy(), j) @ v.numpy() for j in range(p)], 1)
        basis, _ = np.linalg.qr(krylov)
        values, vectors = np.linalg.eigh(basis.T @ a.numpy() @ basis)
        assert found[p][1] == pytest.approx(values[-1], rel=1e-8)
        assert abs(found[p][0].numpy() @ basis @ vectors[:, -1]) == pytest.approx(1, abs=1e-8)
        own = short_lanczos(DenseOperator(a), p, start=v)
        assert found[p][1] == pytest.approx(float(own.values[0]), rel=1e-10)
        assert abs(float(found[p][0] @ own.vectors[0])) == pytest.approx(1, abs=1e-10)
    torch.testing.assert_close(found[0][0], v)


def test_more_products_than_dimensions():
    a, v = _matrix(3)
    found = lanczos_estimates(DenseOperator(a), v, 8)
    assert len(found) == 9
    assert found[-1][1] == pytest.approx(float(torch.linalg.eigvalsh(a)[-1]), rel=1e-10)
    zero = DenseOperator(torch.zeros(3, 3, dtype=torch.float64))
    assert len(power_estimates(zero, v, 4)) == 5  # it ends where a product vanishes


@pytest.mark.parametrize(("steps", "expected"), [(18, [0, 8, 16]), (5, [0, 4]), (3, [0])])
def test_moments_are_refreshes(steps, expected):
    assert refresh_steps(SETTINGS, steps) == expected


@pytest.fixture(scope="module")
def rows():
    return convergence_along(SETTINGS, DATA, "cpu", 60, 12)


def test_what_is_looked_at(rows):
    found = [(row["point"], row["step"], row["hessian"], sorted(row["curves"])) for row in rows]
    both = ["cold", "warm"]
    assert found == [
        ("initial", 0, "minibatch", ["cold"]),
        ("initial", 0, "whole", ["cold"]),
        ("half trained", 8, "minibatch", both),
        ("half trained", 8, "whole", both),
        ("trained", 16, "minibatch", both),
        ("trained", 16, "whole", both),
    ]
    for row in rows:
        for solvers in row["curves"].values():
            power, lanczos = solvers["power"], solvers["lanczos"]
            assert len(power["alignment"]) == len(lanczos["ratio"]) == 13
            assert np.all(np.diff(lanczos["ratio"]) > -1e-5)  # Ritz values only rise
            assert 0.9 < lanczos["ratio"][12] < 1.001
            # The best of a space that holds the power method's vector of one product less.
            assert all(b > a - 1e-4 for a, b in zip(power["ratio"], lanczos["ratio"][1:], strict=False))
            assert max(power["ratio"] + lanczos["alignment"] + power["alignment"]) < 1.001


def test_the_training_is_not_disturbed(monkeypatch):
    """Parameters after it are those of a training that nobody looks into; and its own estimate is the warm start."""
    made, starts = [], []

    class Kept(Training):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            made.append(self)

    original = power_convergence.power_estimates
    monkeypatch.setattr(power_convergence, "Training", Kept)
    monkeypatch.setattr(
        power_convergence, "power_estimates", lambda a, v, p: (starts.append(v.clone()), original(a, v, p))[1]
    )
    convergence_along(SETTINGS, DATA, "cpu", 60, 2)
    plain = Training(SETTINGS, DATA, torch.device("cpu"))
    estimates = {}

    def note(step, loss):
        if plain.steps in (8, 16):
            estimates[plain.steps] = plain.optimizer.eigenvector.clone()

    for _ in range(3):
        plain.epoch(note)
    for a, b in zip(made[0].model.parameters(), plain.model.parameters(), strict=True):
        assert torch.equal(a, b)
    # initial: two cold starts; then for each Hessian a cold and a warm one
    for place, step in ((3, 8), (5, 8), (7, 16), (9, 16)):
        assert torch.equal(starts[place], estimates[step])
    assert len(starts) == 10


def test_the_truth_at_the_start_is_that_of_a_dense_hessian(rows):
    """Of the whole loss's examples, drawn by the words that are written."""
    from .test_settled_top import dense_hessian

    model = Training(SETTINGS, DATA, torch.device("cpu")).model
    generator = power_convergence.loss_of_examples(model, DATA, 60, "whole 3", torch.device("cpu"))
    inputs, targets = (torch.cat(parts) for parts in zip(*generator.batches, strict=True))
    assert cross_entropy(model(inputs), targets).item() == pytest.approx(float(generator.loss(generator.point())))
    x = torch.linalg.eigvalsh(dense_hessian(model, inputs, targets))
    whole = rows[1]
    assert [whole["lambda_1"], whole["lambda_2"]] == pytest.approx(x[-2:].flip(0).tolist(), rel=2e-3)
    assert whole["lambda_min"] >= float(x[0]) - 1e-4
