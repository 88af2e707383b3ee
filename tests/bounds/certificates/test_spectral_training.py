"""The posterior has the Hessian's eigenvectors, by a dense truth, and is never worse than without them."""

import math

import pytest
import torch
from torch import nn

from eigensam.bounds import GaussianPrior, IsotropicPosterior, LowRankPosterior
from eigensam.bounds.certificates.certify import certify
from eigensam.bounds.certificates.choices import make_choices, spend_delta
from eigensam.bounds.certificates.kept_examples import kept_examples
from eigensam.bounds.certificates.posterior_training import PosteriorTraining
from eigensam.bounds.certificates.predictor import LastLayerPredictor, PerceptronPredictor
from eigensam.bounds.certificates.settings import CertifySettings
from eigensam.bounds.certificates.spectral_training import SpectralTraining
from eigensam.ground import InputError
from eigensam.landscapes import load_data
from eigensam.optim import TrainSettings, train


def _problem(hidden):
    """A small network that knows its classes well, from features of very different sizes: curvature varies."""
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(400, 4, generator=generator) * torch.tensor([6.0, 2.0, 1.0, 0.3])
    truth = torch.randn(4, 3, generator=generator) / torch.tensor([6.0, 2.0, 1.0, 0.3])[:, None]
    targets = (inputs @ truth).argmax(1)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3)) if hidden else nn.Sequential(nn.Linear(4, 3))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    for _ in range(150):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(inputs), targets).backward()
        optimizer.step()
    return model.eval(), inputs, targets


def _trained(hidden, width=0.3, free=False, k=4):
    model, images, targets = _problem(hidden)
    predictor = PerceptronPredictor(model, images[:8]) if hidden else LastLayerPredictor(model, images[:8])
    inputs = predictor.inputs(images).double()
    training = SpectralTraining(PosteriorTraining("isotropic", width, free, 0.05, p_min=0.05, scale=0.67, epochs=3), k)
    generator = torch.Generator().manual_seed(1)
    return training, predictor, inputs, targets, training.run(predictor, inputs, targets, generator)


def _dense_hessian(loss, predictor, mean, inputs, targets):
    part = predictor.part
    names, shapes = zip(*[(n, p.shape) for n, p in part.named_parameters()], strict=True)

    def risk(w):
        parts = w.split([s.numel() for s in shapes])
        named = {n: p.view(s) for n, p, s in zip(names, parts, shapes, strict=True)}
        return loss(torch.func.functional_call(part, named, (inputs,)), targets)

    return torch.autograd.functional.hessian(risk, mean)


@pytest.mark.parametrize("hidden", [False, True])
def test_eigenvectors_by_a_dense_hessian(hidden):
    training, predictor, inputs, targets, found = _trained(hidden)
    q, loss = found.posterior, training.training.surrogate
    assert isinstance(q, LowRankPosterior)
    values, vectors = torch.linalg.eigh(_dense_hessian(loss, predictor, q.mean, inputs, targets))
    top, rows = values.flip(0)[:4], vectors.T.flip(0)[:4]
    assert ((q.vectors.double() @ rows.T).diagonal().abs() > 0.999).all()
    spread = (q.sigma / q.sigmas).square() - 1  # kappa s^2 lambda_i
    torch.testing.assert_close(spread / spread[0], top / top[0], rtol=1e-3, atol=1e-6)
    kappa = float(spread[0] / (q.sigma**2 * top[0])) / len(targets)
    assert math.log(kappa, 4) == pytest.approx(round(math.log(kappa, 4)), abs=1e-2)
    assert q.sigma == pytest.approx(0.3)
    assert found.width == 0.3


@pytest.mark.parametrize("hidden", [False, True])
def test_objective_is_below_that_of_other_directions(hidden):
    """Isotropic of the same width, and wrong on purpose: the same deviations along random directions."""
    training, predictor, inputs, targets, found = _trained(hidden)
    q = found.posterior
    generator = torch.Generator().manual_seed(0)
    other = torch.linalg.qr(torch.randn(q.dim, 4, generator=generator, dtype=torch.float64)).Q.T.contiguous()
    prior = GaussianPrior(predictor.mean, found.width**2)

    def objective(posterior):
        risk = training._risk(predictor, posterior, (inputs, targets), 7)
        return training._objective(risk, posterior.kl(prior), len(targets))

    best = objective(q)
    assert best < objective(IsotropicPosterior(q.mean, found.width))
    assert best < objective(LowRankPosterior(q.mean, q.sigma, other, q.sigmas))


def test_free_width_is_one_of_a_ladder():
    _, _, _, _, found = _trained(hidden=False, free=True)
    assert found.posterior.sigma == pytest.approx(found.width)


def test_more_eigenvectors_than_parameters():
    _, _, _, _, found = _trained(hidden=False, k=100)
    assert found.posterior.vectors.shape == (15, 15)


def test_surrogate_risk_by_the_exact_law():
    """Shared draws, against fresh weights for every example."""
    training, predictor, inputs, targets, found = _trained(hidden=True)
    network = predictor.network(found.posterior)
    scores = network.logits(inputs, 50, torch.Generator().manual_seed(0))
    truth = float(training.training.surrogate(scores.flatten(0, 1), targets.repeat(50)))
    shared = [training._risk(predictor, found.posterior, (inputs, targets), seed) for seed in range(20)]
    error = 4 * float(torch.tensor(shared).std()) / 20**0.5
    assert abs(sum(shared) / 20 - truth) < error


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    settings = TrainSettings("sgd", epochs=8, prior_fraction=0.5)
    return train(settings, load_data("digits"), tmp_path_factory.mktemp("runs") / "a")


def test_certificates_of_both_layers(run):
    for layers, draws in (("last", 20), ("all", 1)):
        settings = CertifySettings(posterior="low-rank", layers=layers, eigenvectors=3, draws=draws, epochs=1, looks=2)
        found = certify(run, settings)
        assert found.optimised.posterior == "low-rank posterior"
        assert found.optimised.risk < found.optimised.risk_upper < found.optimised.certificate < 0.3
        assert found.certificate == min(found.optimised.certificate, found.at_prior.certificate)


def test_default_draws_are_few_where_weights_are_drawn(run):
    """The prior's certificate does not suffer from what the posterior's costs."""
    counts = {}
    for layers in ("last", "all"):
        settings = CertifySettings(posterior="low-rank", layers=layers)
        data = load_data("digits")
        kept = kept_examples(run, data, "trained", settings.choice_share, settings.delta)
        found = make_choices(run, data, kept, settings, spend_delta(settings, 1), "cpu")
        counts[layers] = found.draws, found.posterior_draws
        assert found.identity["draws"] == {"prior": found.draws, "posterior": found.posterior_draws}
    assert counts["last"] == (4393, 4393)
    assert counts["all"] == (4393, 2_000_000_000 // (683 * 104_842))


def test_too_many_random_numbers(run):
    settings = CertifySettings(posterior="low-rank", layers="all", draws=10_000, looks=2)
    with pytest.raises(InputError, match=r"10000 draws for 683 examples, each with 104842 .* give --draws 1919"):
        certify(run, settings)
