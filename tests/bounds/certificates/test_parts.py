"""The parts of a certificate: width, starting width, training of a posterior, the door to the kept examples."""

import dataclasses
import math

import pytest
import torch

from eigensam.bounds import BoundedCrossEntropy
from eigensam.bounds.certificates.frozen import FrozenChoices
from eigensam.bounds.certificates.kept_examples import KeptExamples
from eigensam.bounds.certificates.posterior_training import PosteriorTraining
from eigensam.bounds.certificates.predictor import make_predictor
from eigensam.bounds.certificates.width import choose_width, guess_risk, starting_width
from eigensam.bounds.posteriors.prior import GaussianPrior
from eigensam.ground import InputError


@pytest.fixture(scope="module")
def predictor(trained, digits):
    return make_predictor(trained.network(), "last", digits.test_inputs[:16])


@pytest.fixture(scope="module")
def inputs(predictor, digits):
    return predictor.inputs(digits.test_inputs)


def test_the_centre_is_the_network(predictor, inputs, trained, digits):
    scores = trained.network()(digits.test_inputs)
    assert torch.allclose(predictor.centre(inputs).float(), scores, atol=1e-4)
    whole = make_predictor(trained.network(), "all", digits.test_inputs[:16])
    assert torch.allclose(whole.centre(digits.test_inputs).float(), scores, atol=1e-4)


def test_a_width_changes_few_predictions_and_the_next_too_many(predictor, inputs):
    """By explicit draws of the last layer."""
    part = inputs[:200].double()
    width = choose_width(predictor, inputs[:200], seed=0)
    classes = predictor.centre(part).argmax(1)

    def changed(scale):
        generator, total = torch.Generator().manual_seed(5), 0
        for _ in range(300):
            w = predictor.mean + scale * torch.randn(predictor.mean.shape, generator=generator, dtype=torch.float64)
            weight, bias = w[:-10].view(10, -1), w[-10:]
            total += int(((part @ weight.T + bias).argmax(1) != classes).sum())
        return total / (300 * len(part))

    assert changed(width) < 0.003
    assert changed(width * 2**0.5) > 0.0015
    assert changed(4 * width) > 0.01  # wrong on purpose: a width that is chosen without looking


def test_widths_scale_with_the_network(predictor, inputs):
    """A head of another size has the same predictions, and a width of its size."""
    width = choose_width(predictor, inputs[:100], seed=0)
    other = make_predictor_scaled(predictor, 8.0)
    assert choose_width(other, inputs[:100], seed=0) == pytest.approx(8 * width, rel=1e-6)


def make_predictor_scaled(predictor, factor):
    import copy

    other = copy.copy(predictor)
    other.mean = predictor.mean * factor
    return other


def test_a_starting_width_makes_scores_of_order_one(predictor, inputs):
    width = starting_width(predictor, inputs, seed=0)
    sizes = inputs[:256].double().square().sum(1) + 1
    assert 0.6 < width * float(sizes.mean().sqrt()) <= 1.1


def test_a_guess_is_never_0_or_1(predictor, inputs, digits):
    right = predictor.centre(inputs[:50]).argmax(1)
    assert guess_risk(predictor, inputs[:50], right, None) == pytest.approx(1 / 90)
    assert guess_risk(predictor, inputs[:50], (right + 1) % 10, None) == pytest.approx(51 / 90)
    loss = BoundedCrossEntropy()
    mean = float(loss(predictor.centre(inputs[:50]), right))
    assert guess_risk(predictor, inputs[:50], right, loss) == pytest.approx((50 * mean + 1) / 90)


@pytest.mark.parametrize("kind", ["isotropic", "layerwise", "diagonal"])
def test_training_finds_a_better_bound_than_the_prior(kind, predictor, inputs, digits):
    """From a prior without data: the quadratic bound of the cross-entropy falls; without steps it does not."""
    blank = make_predictor_scaled(predictor, 0.0)
    training = PosteriorTraining(
        kind, 1.0, free_width=True, delta=0.05, p_min=0.05, scale=0.9, epochs=60, batch_size=90
    )

    def objective(found):
        prior = GaussianPrior(blank.mean, found.width**2)
        sigmas = found.posterior.sigmas.expand(blank.mean.shape)
        scores = blank.scores(found.posterior.mean, sigmas, inputs.double(), torch.Generator().manual_seed(1))
        chosen = scores.softmax(1).gather(1, digits.test_targets[:, None])
        risk = 0.9 * float((0.05 + 0.95 * chosen).log().mean()) / math.log(0.05 + 0.95 / 10)
        cost = (found.posterior.kl(prior) + math.log(2 * math.sqrt(360) / 0.05)) / 720
        return (math.sqrt(risk + cost) + math.sqrt(cost)) ** 2

    def run(each):
        return each.run(blank, inputs, digits.test_targets, torch.Generator().manual_seed(0))

    start = objective(run(dataclasses.replace(training, rate=1e-9)))
    assert objective(run(training)) < start - 0.1
    assert run(training).width != 1.0
    assert run(dataclasses.replace(training, free_width=False)).width == 1.0


def test_training_is_deterministic(predictor, inputs, digits):
    training = PosteriorTraining("diagonal", 0.1, free_width=False, delta=0.05, p_min=0.05, scale=0.9, epochs=2)
    first, second = (
        training.run(predictor, inputs, digits.test_targets, torch.Generator().manual_seed(3)) for _ in range(2)
    )
    assert torch.equal(first.posterior.mean, second.posterior.mean)
    assert torch.equal(first.posterior.sigmas, second.posterior.sigmas)


def test_the_door(digits, tmp_path):
    kept, frozen = KeptExamples(digits, 0.1), FrozenChoices({"a": 1})
    assert (len(kept.choice_targets), kept.count) == (144, 1293)
    with pytest.raises(InputError, match="does not hold these choices"):
        kept.read(frozen, tmp_path)
    frozen.write(tmp_path)
    images, targets = kept.read(frozen, tmp_path)
    assert (len(images), len(targets)) == (1293, 1293)
    assert torch.equal(torch.cat([kept.choice_targets, targets]), digits.train_targets)
    assert KeptExamples(digits, 0.0).count == 1437


def test_a_sliver_for_choices_is_one_example(digits):
    assert len(KeptExamples(digits, 1e-9).choice_targets) == 1
