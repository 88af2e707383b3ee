"""What is measured around a trained network, against plain torch; files are used again."""

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from eigensam.ground import InputError
from eigensam.landscapes import load_data
from eigensam.optim import TrainSettings, train
from eigensam.paper_figures.measurements import minima
from eigensam.paper_figures.measurements.filter_directions import filter_normalised
from eigensam.paper_figures.measurements.minima import MinimumSize, kept_minimum, measure_minimum

DATA = load_data("digits")
SIZE = MinimumSize(distances=(0.05, 0.1), points=3, reach=0.2, tolerance=1e-4)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    settings = TrainSettings("sam", model="mlp32", epochs=4, subset=200, snapshot_every=2)
    return train(settings, DATA, tmp_path_factory.mktemp("minima") / "run")


@pytest.fixture(scope="module")
def found(run):
    return measure_minimum(run, DATA, SIZE, plane=True)


def _loss_at(run, x):
    model = run.network().double()
    nn.utils.vector_to_parameters(x, model.parameters())
    data = run.training_part(DATA)
    with torch.no_grad():
        return float(cross_entropy(model(data.train_inputs.double()), data.train_targets))


def test_against_plain_torch(run, found):
    model = run.network().double()
    x = nn.utils.parameters_to_vector(model.parameters()).detach()
    assert found["loss"] == pytest.approx(_loss_at(run, x))
    assert found["norm"] == pytest.approx(float(x.norm()))
    assert found["second_difference"] == pytest.approx(found["lambda_1"], rel=1e-4)
    # Power iteration with products of plain torch: another way to the eigenvalue.
    data = run.training_part(DATA)
    loss = cross_entropy(model(data.train_inputs.double()), data.train_targets)
    gradient = nn.utils.parameters_to_vector(torch.autograd.grad(loss, list(model.parameters()), create_graph=True))

    def product(v):
        rows = torch.autograd.grad(gradient @ v, list(model.parameters()), retain_graph=True)
        return nn.utils.parameters_to_vector(rows)

    v = torch.ones_like(x) / len(x) ** 0.5
    for _ in range(200):
        v = product(v)
        v = v / v.norm()
    assert found["lambda_1"] == pytest.approx(float(v @ product(v)), rel=1e-3)
    d = filter_normalised(v, x, [p.shape for p in model.parameters()])
    twice = (_loss_at(run, x + 0.1 * d) + _loss_at(run, x - 0.1 * d)) / 2 - found["loss"]
    assert found["rise"][1] == pytest.approx(twice, rel=0.02)
    assert found["kept_curvature"] == pytest.approx(float(d @ product(d) / (d @ d) / found["lambda_1"]), rel=0.02)
    sides = (_loss_at(run, x + 0.5 * v) + _loss_at(run, x - 0.5 * v)) / 2 - found["loss"]
    assert found["unit_rise"] == pytest.approx(sides, rel=0.02)


def test_path_and_plane(run, found):
    plane = found["plane"]
    assert [row["epoch"] for row in plane["trajectory"]] == [0, 2, 4]
    assert plane["losses"][1][1] == pytest.approx(found["loss"])
    start, _, end = plane["trajectory"]
    assert (end["a"], end["b"], end["distance"], end["share"]) == (0.0, 0.0, 0.0, 1.0)
    initial = nn.utils.parameters_to_vector(run.network(initial=True).parameters()).detach().double()
    trained = nn.utils.parameters_to_vector(run.network().parameters()).detach().double()
    assert start["distance"] == pytest.approx(float((initial - trained).norm()))
    assert start["loss"] == pytest.approx(_loss_at(run, initial))
    assert 0 < start["share"] < 0.5
    assert start["a"] < 0 < start["b"]  # where no legend is
    assert abs(start["loss"] - start["drawn_loss"]) > 0.1  # what the picture must not hide
    assert "plane" not in measure_minimum(run, DATA, replace(SIZE, distances=(0.05,)), plane=False)


def test_batch_norm_has_the_statistics_of_its_chunk(tmp_path):
    run = train(TrainSettings("sgd", model="mlp32-bn", epochs=1, subset=120), DATA, tmp_path / "run")
    found = measure_minimum(run, DATA, replace(SIZE, chunk=60), plane=False)
    part = run.training_part(DATA)
    order = torch.randperm(120, generator=minima.generator_of("examples of minima"))
    model = run.network().double().train()
    with torch.no_grad():
        losses = [
            float(cross_entropy(model(part.train_inputs[rows].double()), part.train_targets[rows]))
            for rows in order.split(60)
        ]
        running = float(cross_entropy(run.network().double()(part.train_inputs.double()), part.train_targets))
    assert found["loss"] == pytest.approx(sum(losses) / 2)
    assert abs(found["loss"] - running) > 1e-3  # wrong: running statistics


def test_files_are_used_again(run, tmp_path, monkeypatch):
    first = kept_minimum(run.directory, DATA, SIZE, "cpu", tmp_path, False)
    monkeypatch.setattr(minima, "measure_minimum", None)
    assert kept_minimum(run.directory, DATA, SIZE, "cpu", tmp_path, False) == first
    with pytest.raises(TypeError):
        kept_minimum(run.directory, DATA, replace(SIZE, unit_distance=0.1), "cpu", tmp_path, False)


def test_sizes_that_make_no_sense():
    with pytest.raises(InputError, match=r"distance = 0\.3 is not one of"):
        MinimumSize(distance=0.3)
    with pytest.raises(InputError, match="odd number"):
        MinimumSize(points=10)
