"""From a run to a certificate: choices, the record of them, the kept examples, two statements, one ledger."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ...ground.workers import one_thread
from ...landscapes.runs.data import load_data
from ...landscapes.runs.data_set import DataSet
from ...landscapes.runs.run import Run
from ..bounded_loss import BoundedCrossEntropy
from ..concentration.binomial_tail import clopper_pearson
from ..gibbs.gibbs_risk import gibbs_risk
from ..gibbs.risk_losses import CrossEntropyRisk, GibbsLoss, ZeroOneRisk, logit_tolerance
from ..pac_bayes.gibbs_sample import GibbsSample
from ..posteriors.independent_posterior import IndependentPosterior
from ..posteriors.isotropic_posterior import IsotropicPosterior
from ..posteriors.posterior import GaussianPosterior
from .certificate import Certificate, Statement
from .choices import Choices, make_choices, spend_delta
from .kept_examples import kept_examples
from .posterior_training import PosteriorTraining
from .settings import CertifySettings
from .spectral_training import SpectralTraining
from .width import starting_width

__all__ = ["certify"]

Progress = Callable[[str, int, int], None]

_TEST_PREDICTIONS = 200_000
_FLOOR = 0.05  # ours: of the probabilities in the surrogate of the 0-1 loss


@dataclass(frozen=True)
class _Sample:
    """What the random part is given, and classes."""

    inputs: Tensor
    targets: Tensor


def certify(
    run: Run | Path | str,
    settings: CertifySettings | None = None,
    data: DataSet | None = None,
    *,
    union: int = 1,
    device: torch.device | str = "cpu",
    progress: Progress = lambda what, done, total: None,
) -> Certificate:
    """A certificate of a randomised network: with probability ``1 - delta`` its risk on new data is at most this.

    The prior is the run's network, trained on a part of the training set that was drawn before (``prior_fraction``),
    or its initialisation. Whatever depends on the examples that were kept pays: the posterior by its divergence, its
    sampled risk by a part of delta. All else is written into the run's ``frozen.json`` before they are read, and
    compared afterwards.

    Args:
        run: a finished run, or its directory.
        settings: what is certified, and how; default ``CertifySettings()``.
        data: the whole data set that was split; None loads it, which works for data that are built in.
        union: certificates that share delta, of which the best may be reported, as for several split fractions.
        device: where to compute.
        progress: called with what is being computed, and how much of it is done.

    Raises:
        InputError: a network that was trained on all examples; a prior, split or data that are not those of the
            record; other choices than those that the kept examples were read for.

    Reference:
        Langford & Caruana 2002; Maurer 2004; Catoni 2007; Perez-Ortiz et al. 2021.

    Example:
        >>> import pathlib, tempfile
        >>> from eigensam.landscapes import load_data
        >>> from eigensam.optim import TrainSettings, train
        >>> folder = pathlib.Path(tempfile.mkdtemp()) / "a"
        >>> run = train(TrainSettings("sgd", epochs=5, prior_fraction=0.5), load_data("digits"), folder)
        >>> found = certify(run, CertifySettings(draws=20, epochs=1))
        >>> found.clopper_pearson < found.certificate < 0.2 and found.kind == "certificate"
        True
    """
    opened = run if isinstance(run, Run) else Run(run)
    with one_thread():  # sums in one order: the same choices give the same number on every machine
        return _certify(opened, settings or CertifySettings(), data, (union, device, progress))


def _certify(
    run: Run, settings: CertifySettings, data: DataSet | None, how: tuple[int, torch.device | str, Progress]
) -> Certificate:
    union, device, progress = how
    whole = load_data(run.checkpoint.data) if data is None else data
    kept = kept_examples(run, whole, settings.prior, settings.choice_share, settings.delta)
    ledger = spend_delta(settings, union)
    share = ledger.left  # of delta, for this certificate
    progress("choices", 0, 1)
    choices = make_choices(run, whole, kept, settings, ledger, device)
    frozen, predictor = choices.frozen(), choices.predictor
    frozen.write(run.directory)
    images, targets = kept.read(frozen, run.directory)
    sample = _Sample(predictor.inputs(images.to(device)), targets.to(device))
    test = _Sample(predictor.inputs(whole.test_inputs.to(device)), whole.test_targets.to(device))

    trivial = _trivial_risk(settings, whole)
    width = choices.width or starting_width(predictor, sample.inputs, settings.seed)
    training = _training(choices, width, trivial)
    generator = torch.Generator(device).manual_seed(settings.seed)
    trained = training.run(
        predictor, sample.inputs, sample.targets, generator, lambda done, total: progress("posterior", done, total)
    )
    named = {
        "the prior": IsotropicPosterior(predictor.mean, choices.prior(trained.width)[1]),
        f"{settings.posterior} posterior": trained.posterior,
    }
    statements = [
        _statement(choices, name, posterior, trained.width, (sample, test), settings.seed + 1 + i, progress)
        for i, (name, posterior) in enumerate(named.items())
    ]
    again = make_choices(run, whole, kept, settings, spend_delta(settings, union), device)
    again.frozen().check(run.directory)
    best = min(statements, key=lambda statement: statement.certificate)
    errors, test_errors = (_errors(choices, each) for each in (sample, test))
    return Certificate(
        certificate=best.certificate,
        risk=best.risk,
        delta=settings.delta,
        vacuous=best.certificate >= trivial,
        trivial_risk=trivial,
        loss=settings.loss,
        at_prior=statements[0],
        optimised=statements[1],
        clopper_pearson=clopper_pearson(errors, kept.count, share) if settings.loss == "0-1" else None,
        error_at_prior=errors / kept.count,
        test_error=test_errors / len(test.targets),
        examples={**choices.identity["examples"], "prior": _prior_examples(settings, run)},
        frozen=choices.identity,
        ledger=ledger,
        assumptions=_assumptions(settings, run),
    )


def _prior_examples(settings: CertifySettings, run: Run) -> int:
    """That the prior was trained on."""
    if settings.prior != "trained" or run.split is None:
        return 0
    examples = run.examples
    return len(run.split.prior if examples is None else examples.train)


def _loss(settings: CertifySettings, delta: float) -> GibbsLoss:
    if settings.loss == "0-1":
        return ZeroOneRisk(delta)
    return CrossEntropyRisk(delta, BoundedCrossEntropy(settings.p_min))


def _training(choices: Choices, width: float, trivial: float) -> PosteriorTraining | SpectralTraining:
    """Of the posterior's shape, from a width on."""
    settings, low_rank = choices.settings, choices.settings.posterior == "low-rank"
    plain = PosteriorTraining(
        "isotropic" if low_rank else settings.posterior,
        width,
        free_width=choices.grid is not None,
        delta=choices.delta_bound,
        p_min=_FLOOR if settings.loss == "0-1" else settings.p_min,
        scale=trivial,
        epochs=choices.epochs,
    )
    return SpectralTraining(plain, settings.eigenvectors) if low_rank else plain


def _statement(
    choices: Choices,
    name: str,
    posterior: GaussianPosterior,
    width: float,
    samples: tuple[_Sample, _Sample],
    seed: int,
    progress: Progress,
) -> Statement:
    """What is proved of a posterior, and its risk on the test set."""
    (sample, test), settings = samples, choices.settings
    network = choices.predictor.network(posterior)
    draws = choices.draws if isinstance(posterior, IndependentPosterior) else choices.posterior_draws
    generator = torch.Generator(sample.inputs.device).manual_seed(seed)
    (risk,) = gibbs_risk(
        network,
        sample.inputs,
        sample.targets,
        [_loss(settings, choices.delta_draws)],
        draws=draws,
        generator=generator,
        progress=lambda done, total: progress(f"draws of {name}", done, total),
    )
    prior, _, delta = choices.prior(width)
    kl = posterior.kl(prior)
    certificate = choices.inequality.upper(GibbsSample(risk.upper, kl, len(sample.targets)), delta)
    (tested,) = gibbs_risk(
        network,
        test.inputs,
        test.targets,
        [_loss(settings, 0.5)],
        draws=max(1, min(_TEST_PREDICTIONS // len(test.targets), draws)),
        generator=generator,
    )
    return Statement(name, certificate, kl, risk.mean, risk.upper, tested.mean)


def _errors(choices: Choices, sample: _Sample) -> int:
    """Of the network at the prior's mean; near ties are errors, so that the count holds in float32, too."""
    scores = choices.predictor.centre(sample.inputs)
    return int(ZeroOneRisk(0.5).upper(scores, sample.targets, logit_tolerance(torch.float32)).sum())


def _trivial_risk(settings: CertifySettings, whole: DataSet) -> float:
    """What a prediction that looks at nothing risks, if all classes are equally frequent."""
    share = 1 / whole.classes
    if settings.loss == "0-1":
        return 1 - share
    return math.log(settings.p_min + (1 - settings.p_min) * share) / math.log(settings.p_min)


def _assumptions(settings: CertifySettings, run: Run) -> list[str]:
    noise = run.examples if settings.prior == "trained" else None
    found = [
        "The training examples are independent draws from one distribution, of which new data are draws, too.",
        "What is certified is the randomised network: every prediction draws its weights anew. Of the network at the "
        "prior's mean Clopper-Pearson speaks.",
        "Pseudo-random numbers are as good as random ones.",
    ]
    if noise is not None and noise.replaced:
        found.append(
            f"{noise.replaced} of the {len(noise.train)} labels that the prior was trained on are noise; risk is with "
            "respect to the data set's own labels, which the kept examples have."
        )
    if run.checkpoint.data != "digits":
        found.append(
            "The mean and deviation that images are standardised by count as fixed before, though they are those of "
            "all training images."
        )
    else:
        found.append("The training set of digits was drawn class by class, which is not quite independent.")
    found.append(
        "Nobody has looked at these examples before, nor chosen by certificates among runs, seeds, copies of a run or "
        "recipes; another seed deals the same examples anew."
    )
    if settings.prior != "trained":
        found.append("The network's architecture was not chosen by looking at these examples.")
    return found
