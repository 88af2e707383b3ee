"""Constants in the parameters: proved ones against dense derivatives, sampled ones against closed forms."""

import dataclasses
import math

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from eigensam.bounds.assumptions import parameter_lipschitz
from eigensam.bounds.assumptions.boundedness import bounded_loss_rows, domain_row
from eigensam.bounds.assumptions.head import Growth, curvature_growth, find_head
from eigensam.bounds.assumptions.parameter_lipschitz import (
    GRADIENT,
    HESSIAN,
    linear_model_constants,
    parameter_lipschitz_rows,
    sampled_constants,
)
from eigensam.landscapes import NetworkLandscape, TiltedTorus


def linear_model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))


def perceptron(activation):
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 12), activation, nn.Linear(12, 10))


@pytest.mark.parametrize("classes", [2, 5])
def test_constants_of_a_linear_model(classes):
    """Norms of dense derivatives at random weights stay below, and with two classes come near."""
    generator = torch.Generator().manual_seed(1)
    features = torch.randn(3, 4, generator=generator, dtype=torch.float64)
    second, third = linear_model_constants(features)
    largest = [0.0, 0.0]
    for scale in (0.0, 0.3, 1.0, 3.0):
        for _ in range(8):
            weights = scale * torch.randn(classes, 4, generator=generator, dtype=torch.float64)
            for a in features:  # each example is a minibatch

                def loss(w, a=a):
                    return cross_entropy((w.view(classes, 4) @ a)[None], torch.tensor([0]))

                hessian = torch.func.hessian(loss)(weights.flatten())
                largest[0] = max(largest[0], float(torch.linalg.matrix_norm(hessian, 2)))
                v = torch.zeros(classes, 4, dtype=torch.float64)
                v[0], v[1] = a / a.norm() / math.sqrt(2), -a / a.norm() / math.sqrt(2)
                v = v.flatten()
                along = torch.func.jvp(
                    lambda w, v=v, loss=loss: torch.func.hessian(loss)(w) @ v @ v, (weights.flatten(),), (v,)
                )[1]
                largest[1] = max(largest[1], abs(float(along)))
    assert largest[0] <= second
    assert largest[1] <= third
    if classes == 2:
        assert largest[0] == pytest.approx(second, rel=1e-6)  # p = 1/2 at w = 0
        assert largest[1] >= 0.85 * third


def test_a_linear_model_holds(subject_of, digits):
    first, second = parameter_lipschitz_rows(subject_of(linear_model()))
    features = torch.cat([digits.train_inputs.flatten(1), torch.ones(1437, 1)], 1).double()
    longest = float(features.square().sum(1).max().sqrt())
    assert (first.verdict, second.verdict) == ("holds", "holds")
    assert first.numbers["upper"] == pytest.approx(longest**2 / 2, rel=1e-6)
    assert second.numbers["upper"] == pytest.approx(longest**3 * math.sqrt(2 / 27), rel=1e-6)
    assert 0 < first.numbers["local_lower"] <= first.numbers["upper"]


def test_an_upper_end_below_the_sample_stops(subject_of, monkeypatch):
    """Wrong on purpose."""
    monkeypatch.setattr(parameter_lipschitz, "linear_model_constants", lambda features: (1e-9, 1e-9))
    with pytest.raises(RuntimeError, match="gradient Lipschitz in the parameters: the sampled"):
        parameter_lipschitz_rows(subject_of(linear_model()))


@pytest.mark.parametrize("activation", [nn.GELU(), nn.Tanh(), nn.Softplus()], ids=str)
def test_a_perceptron_fails(subject_of, activation):
    for row in parameter_lipschitz_rows(subject_of(perceptron(activation))):
        assert (row.verdict, row.ground, row.numbers["upper"]) == ("fails", "sampled", None)
        ray = row.numbers["along_ray"]
        assert ray[-1] == pytest.approx(2 * ray[-2], rel=1e-2)


def test_what_jumps_has_no_constant(subject_of):
    rows = parameter_lipschitz_rows(subject_of(perceptron(nn.ReLU())))
    assert [(row.name, row.verdict) for row in rows] == [(GRADIENT, "fails"), (HESSIAN, "fails")]
    assert {row.ground for row in rows} == {"proof"}
    rows = parameter_lipschitz_rows(subject_of(perceptron(nn.Softsign())))
    assert [row.verdict for row in rows] == ["fails", "fails"]


def test_no_head_is_not_decided(subject_of):
    class Squashed(nn.Module):
        """Outputs are bounded: along no ray does the loss grow."""

        def __init__(self):
            super().__init__()
            self.inner = perceptron(nn.Tanh())

        def forward(self, images):
            return self.inner(images).tanh()

    subject = subject_of(Squashed())
    assert subject.head is None  # tanh is odd: a sign alone would not tell it from a linear layer
    assert bounded_loss_rows(subject)[0].verdict == "cannot be decided here"
    rows = parameter_lipschitz_rows(subject)
    assert {row.verdict for row in rows} == {"cannot be decided here"}


def test_the_head():
    model = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 2)).double()
    inputs, targets = torch.tensor([[1.0, 2.0], [0.5, -1.0]]).double(), torch.tensor([0, 1])
    f = NetworkLandscape.from_tensors(model, cross_entropy, inputs, targets)
    head = find_head(f)
    assert head.mask.tolist() == [False] * 9 + [True] * 8
    outputs = model(inputs).detach()
    expected = sum(float(row[y] - row.min()) for row, y in zip(outputs, targets, strict=True)) / 2
    assert head.slope == pytest.approx(expected)
    for t in (1.0, 30.0, 1e4):
        assert float(f.loss(torch.where(head.mask, -t * f.point(), f.point()))) >= t * head.slope
    no_linear = torch.ones(1, 1, 2), torch.zeros(1, 2).long()
    assert find_head(NetworkLandscape.from_tensors(nn.Conv1d(1, 1, 1), cross_entropy, *no_linear)) is None
    model[2].bias.requires_grad_(False)
    assert find_head(NetworkLandscape.from_tensors(model, cross_entropy, inputs, targets)) is None


def test_growth_against_a_dense_hessian():
    model = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 2)).double()
    data = torch.tensor([[1.0, 2.0], [0.5, -1.0]]).double(), torch.tensor([0, 1])
    f = NetworkLandscape.from_tensors(model, cross_entropy, *data)
    head, u = find_head(f), torch.linspace(-1, 1, f.dim).double()
    found = curvature_growth(f, head, u, doublings=3)
    v = torch.where(head.mask, 0.0, u)
    v = v / v.norm()
    for factor, curvature in zip(found.factors, found.curvatures, strict=True):
        point = torch.where(head.mask, -factor * f.point(), f.point())
        hessian = torch.autograd.functional.hessian(f.loss, point)
        assert curvature == pytest.approx(float((hessian @ v)[:9].norm()), rel=1e-9)
    assert found.factors == [1, 2, 4, 8]


def test_what_grows():
    assert Growth.grows([1.0, 2, 4, 8])
    assert not Growth.grows([1.0, 2, 4, 4])
    assert not Growth.grows([1.0, 1, 1, 1])
    assert not Growth.grows([0.0, 0, 0, 0])


def test_sampled_constants_of_a_torus():
    """Below what is true, and near it where the ball is small: -sum a k^2 cos, sum a k^3 sin."""
    f = TiltedTorus([[2.0]], [[1]], [[0.5]], [[0.4]])
    x, v = torch.tensor([1.0]).double(), torch.tensor([1.0]).double()
    first, second = sampled_constants(f, x, v, 0.01, torch.tensor([[1.0], [-1.0]]).double())
    assert first == pytest.approx(0.5 * abs(math.cos(1.4)), rel=0.1)
    assert second == pytest.approx(0.5 * abs(math.sin(1.4)), rel=0.1)
    wide = sampled_constants(f, x, v, 3.0, torch.tensor([[1.0], [-1.0]]).double())
    assert max(wide) <= 0.5


def test_the_range_of_the_loss(subject_of):
    trained, instead = bounded_loss_rows(subject_of(perceptron(nn.GELU())))
    assert (trained.verdict, trained.ground) == ("fails", "proof")
    for factor, loss in zip(trained.numbers["factors"], trained.numbers["losses"], strict=True):
        assert loss >= factor * trained.numbers["slope"] > 0
    assert trained.numbers["losses"][-1] == pytest.approx(1000 * trained.numbers["slope"], rel=0.2)
    assert (instead.verdict, instead.ground) == ("holds", "proof")
    assert 0 <= instead.numbers["smallest"] <= instead.numbers["largest"] <= 1


def test_the_domain(subject_of):
    model = perceptron(nn.GELU())
    row = domain_row(subject_of(model, {"weight_decay": 0.5}))
    norm = math.sqrt(sum(float(p.detach().double().square().sum()) for p in model.parameters()))
    assert row.verdict == "fails"
    assert (row.numbers["norm"], row.numbers["weight_decay"]) == pytest.approx((norm, 0.5))


def test_effort(subject_of):
    subject = subject_of(perceptron(nn.GELU()))
    assert len(subject.training_part[1]) == 64
    assert len(subject.few.batches[0][1]) == 16
    again = dataclasses.replace(subject)
    assert torch.equal(subject.training_part[1], again.training_part[1])
