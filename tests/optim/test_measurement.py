"""Accuracy by hand; lambda_1 and alignment against a dense Hessian."""

import hashlib
import math
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from eigensam.landscapes import DataSet, NetworkLandscape, batch_sharpness, top_eigenpairs
from eigensam.landscapes.runs.build import build_model
from eigensam.optim import SAM, EigenSAM, MomentumSAM, RandomSAM, evaluate, measure_sharpness, training_recorder

# What is measured of 40 examples; the number is the hash of "measured examples".
_DIGEST = hashlib.sha256(b"measured examples").digest()
MEASURED = torch.randperm(40, generator=torch.Generator().manual_seed(int.from_bytes(_DIGEST[:8], "little") >> 1))


@pytest.fixture
def tiny():
    generator = torch.Generator().manual_seed(0)
    inputs, targets = torch.randn(40, 1, 1, 3, generator=generator), torch.arange(40) % 2
    return DataSet("tiny", inputs, targets, inputs, targets, 2, False)


def _model(*more):
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(3, 4), nn.Tanh(), *more, nn.Linear(4, 2))


def test_evaluate_batches_and_keeps_the_mode(tiny):
    model = _model(nn.Dropout(0.5)).train()
    loss, accuracy = evaluate(model, tiny.test_inputs, tiny.test_targets, batch_size=7)
    assert model.training
    outputs = model.eval()(tiny.test_inputs)
    assert loss == pytest.approx(cross_entropy(outputs, tiny.test_targets).item(), rel=1e-5)
    assert accuracy == (outputs.argmax(1) == tiny.test_targets).float().mean().item()


@pytest.mark.parametrize("name", ["sgd", "sam", "eigen-sam", "momentum-sam", "random-sam"])
def test_spectrum_against_the_dense_hessian(tiny, name):
    model = _model()
    parameters = list(model.parameters())
    optimizer = {
        "sgd": lambda: torch.optim.SGD(parameters, lr=0.1),
        "sam": lambda: SAM(parameters, rho=0.1, lr=0.1),
        "momentum-sam": lambda: MomentumSAM(parameters, rho=0.1, lr=0.1, momentum=0.9),
        "random-sam": lambda: RandomSAM(parameters, rho=0.1, lr=0.1),
        "eigen-sam": lambda: EigenSAM(parameters, rho=0.1, lr=0.1, alpha=0.7, iterations=50),
    }[name]()
    if name == "eigen-sam":
        optimizer.refresh(lambda: cross_entropy(model(tiny.train_inputs), tiny.train_targets))
    if name == "momentum-sam":  # before its first step it has no perturbation
        assert math.isnan(measure_sharpness(model, optimizer, tiny, 10)["alignment"])
        optimizer.step(lambda: cross_entropy(model(tiny.train_inputs[5:15]), tiny.train_targets[5:15]))
        v = -torch.cat([optimizer.base.state[p]["momentum_buffer"].flatten() for p in parameters])
    found = measure_sharpness(model, optimizer, tiny, 10)

    names = [n for n, _ in model.named_parameters()]

    def loss(x, rows=slice(None)):
        parts = x.split([p.numel() for p in parameters])
        state = {n: part.view(p.shape) for n, part, p in zip(names, parts, parameters, strict=True)}
        outputs = torch.func.functional_call(model, state, (tiny.train_inputs[rows],))
        return cross_entropy(outputs, tiny.train_targets[rows])

    x = torch.cat([p.detach().reshape(-1) for p in parameters])
    values, vectors = torch.linalg.eigh(torch.func.hessian(loss)(x))
    assert found["lambda_1"] == pytest.approx(values[-1].item(), rel=1e-3)
    cosines = []
    for start in range(0, 40, 10):
        u = torch.func.grad(loss)(x, MEASURED[start : start + 10])
        if name == "momentum-sam":
            u = v
        elif name != "sgd":
            u = optimizer.perturbation(u)
        cosines.append(abs(u @ vectors[:, -1]).item() / u.norm().item())
    assert found["alignment"] == pytest.approx(sum(cosines) / 4, rel=1e-2)


def test_batch_norm_is_measured_in_train_mode(tiny):
    """The function that is trained: minibatch statistics, not the running ones (which are far off here)."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 2))
    found = measure_sharpness(model, torch.optim.SGD(model.parameters(), lr=0.1), tiny, 20)
    f = NetworkLandscape.from_tensors(
        model.double(), cross_entropy, tiny.train_inputs.double()[MEASURED], tiny.train_targets[MEASURED],
        batch_size=20, mode="train",
    )  # fmt: skip
    truth = top_eigenpairs(f, f.point(), tolerance=1e-6).values.item()
    assert found["lambda_1"] == pytest.approx(truth, rel=1e-3)
    f.network.mode = "eval"
    assert top_eigenpairs(f, f.point(), tolerance=1e-6).values.item() != pytest.approx(truth, rel=1e-2)


def test_both_measure_the_function_in_training(tiny):
    """Also with layers other than batch norm that differ between the modes."""

    class Channels(nn.Module):
        def forward(self, x):
            return x.reshape(-1, 2, 2)

    norm = nn.InstanceNorm1d(2, track_running_stats=True, affine=True)
    model = _model(Channels(), norm, nn.Flatten()).train()
    norm.running_var *= 50
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    row = training_recorder(model, optimizer, tiny, 10, every=1).step(0)
    found = measure_sharpness(model, optimizer, tiny, 10)
    assert found["lambda_1"] == pytest.approx(row["lambda_1"], rel=1e-2)


def test_the_order_of_the_data_does_not_count(digits):
    """Data that come class by class, as folders of images do, have other first examples and other neighbours."""
    torch.manual_seed(0)
    model = build_model("mlp32", digits.shape, digits.classes)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    for x, y in zip(digits.train_inputs.split(64), digits.train_targets.split(64), strict=True):
        optimizer.zero_grad()
        cross_entropy(model(x), y).backward()
        optimizer.step()
    order = digits.train_targets.argsort()
    by_class = replace(digits, train_inputs=digits.train_inputs[order], train_targets=digits.train_targets[order])
    rows = [training_recorder(model, optimizer, data, 64, every=1, examples=512).step(0) for data in (digits, by_class)]
    for name in ("lambda_1", "batch_sharpness"):
        assert rows[0][name] == pytest.approx(rows[1][name], rel=0.15), name
    in_order = NetworkLandscape.from_tensors(
        model, cross_entropy, by_class.train_inputs[:512], by_class.train_targets[:512], batch_size=64, mode="train"
    )
    assert batch_sharpness(in_order, in_order.point()) > 1.5 * rows[0]["batch_sharpness"]  # wrong on purpose
