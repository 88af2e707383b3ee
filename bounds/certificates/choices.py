"""All that is decided before the kept examples are read."""

import hashlib
import math
from dataclasses import asdict, dataclass, fields
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor, nn

from ...ground.errors import InputError
from ...landscapes.runs.data_digests import data_digest
from ...landscapes.runs.data_set import DataSet
from ...landscapes.runs.run import Run
from ..bounded_loss import BoundedCrossEntropy
from ..gibbs.fresh_weights import MOST_NUMBERS
from ..pac_bayes.inequality import PacBayesInequality
from ..pac_bayes.registry import PAC_BAYES
from ..posteriors.isotropic_posterior import IsotropicPosterior
from ..posteriors.prior import GaussianPrior
from ..posteriors.prior_grid import PriorGrid
from ..rounding.arguments import check_delta
from ..rounding.intervals import intervals, lower_end
from .frozen import FrozenChoices
from .kept_examples import KeptExamples
from .ledger import Ledger
from .posterior_training import BATCH_SIZE
from .predictor import Predictor, make_predictor
from .settings import CertifySettings
from .width import choose_width, guess_risk

__all__ = ["Choices", "make_choices", "spend_delta"]

_PREDICTIONS = 3_000_000
_NUMBERS = 2_000_000_000  # ours: random numbers where each weight must be drawn; a minute on one core
_LEAST_EPOCHS = {"trained": 10, "initial": 20, "zero": 20}
_LEAST_STEPS = {"trained": 500, "initial": 2000, "zero": 2000}
"""Ours: where no epochs are given; a trained prior moves little, one without data has to learn everything."""
_WIDEST = 1e4  # ours: the largest variance of a prior on the grid
_GUESSED_KL = 0.1  # ours, in nats: a trained prior hardly moves


@dataclass(frozen=True)
class Choices:
    """Prior, inequality, parts of delta and effort.

    Attributes:
        settings: as given.
        predictor: what is random, with the prior's mean.
        width: standard deviation of the prior; 0 for one on a grid, which the posterior's training chooses.
        grid: of prior widths that a union is paid for; None if the width is fixed.
        inequality: with its free parameters fixed.
        delta_bound: what the inequality spends.
        delta_draws: what each of the two Monte-Carlo terms spends.
        draws: of fresh weights, per example, for the prior.
        posterior_draws: the same for the posterior: fewer by default where each weight must be drawn.
        epochs: of the posterior's training.
        identity: JSON-ready: everything above, the prior's and the data's digests.
    """

    settings: CertifySettings
    predictor: Predictor
    width: float
    grid: PriorGrid | None
    inequality: PacBayesInequality
    delta_bound: float
    delta_draws: float
    draws: int
    posterior_draws: int
    epochs: int
    identity: dict[str, Any]

    def prior(self, width: float) -> tuple[GaussianPrior, float, float]:
        """The prior for a posterior that was trained with a width: itself, its width, and its part of delta.

        On a grid the nearest width is taken, with the part of delta that the union leaves it.
        """
        mean = self.predictor.mean
        if self.grid is None:
            return GaussianPrior(mean, Fraction(self.width) ** 2), self.width, self.delta_bound
        k = max(1, round(self.grid.density * (math.log(self.grid.scale) - 2 * math.log(width))))
        iv, variance = intervals(), self.grid.variance(k)
        part = lower_end(iv.exp(-self.grid.intervals(iv, k, iv.real(self.delta_bound))[1]))
        return GaussianPrior(mean, variance), math.sqrt(variance), part

    def frozen(self) -> FrozenChoices:
        """As they are written down."""
        return FrozenChoices(self.identity, self.settings.looks)


def spend_delta(settings: CertifySettings, union: int) -> Ledger:
    """A ledger with what other certificates of one announcement spend.

    Args:
        settings: with delta and looks.
        union: certificates that share delta besides, as those of several split fractions.
    """
    ledger = Ledger(settings.delta)
    for count, what, why in (
        (settings.looks, "other looks", "certificates of these examples that were announced"),
        (union, "other fractions", "certificates for other shares of the prior part, any of which may be reported"),
    ):
        if count > 1:
            ledger.spend(what, Fraction(ledger.left) * (count - 1) / count, why)
    return ledger


def make_choices(
    run: Run, whole: DataSet, kept: KeptExamples, settings: CertifySettings, ledger: Ledger, device: torch.device | str
) -> Choices:
    """Decide everything, by the prior part and the examples that are left out of the bound.

    Raises:
        InputError: a network of which ``layers`` cannot be random exactly; an inequality that needs more examples.
    """
    trained = settings.prior == "trained"
    model = run.network(initial=not trained).to(device)
    digest = _digest(model)
    predictor = make_predictor(model, settings.layers, whole.test_inputs[:16].to(device))
    if settings.prior == "zero":
        predictor.mean = torch.zeros_like(predictor.mean)
    _freeze(ledger, settings)
    delta_draws = ledger.left * settings.mc_share / 2
    for what in ("Monte Carlo, prior", "Monte Carlo, posterior"):
        ledger.spend(what, delta_draws, "its empirical Gibbs risk is sampled")
    name = settings.inequality if settings.inequality != "auto" else ("catoni" if trained else "maurer")
    delta_bound = ledger.spend_rest(f"PAC-Bayes inequality: {PAC_BAYES[name].title}", "the risk on new data")
    ledger.cover("posterior", "the inequality holds for all posteriors at once")
    width, guessed, kl, grid = settings.width, 0.5, float(kept.count) / 20, None
    if trained:
        inputs, targets = predictor.inputs(kept.choice_inputs.to(device)), kept.choice_targets.to(device)
        width = width or choose_width(predictor, inputs, settings.seed)
        loss = None if settings.loss == "0-1" else BoundedCrossEntropy(settings.p_min)
        guessed, kl = guess_risk(predictor, inputs, targets, loss), _GUESSED_KL
    elif not width:
        grid = PriorGrid(scale=_WIDEST)
        ledger.cover("prior width", "one of a grid, each of which has its part of the inequality's delta")
    inequality = PAC_BAYES[name].fixed_for(guessed, kl, kept.count, delta_bound)
    if kept.count < inequality.least_examples:
        raise InputError(
            f"{kept.count} examples are too few for {inequality.title}, which needs {inequality.least_examples}; keep "
            "more, or take another --inequality"
        )
    draws = settings.draws or max(20, math.ceil(_PREDICTIONS / kept.count))
    posterior_draws = _posterior_draws(settings, predictor, kept.count, draws)
    steps = max(1, kept.count // BATCH_SIZE)
    epochs = settings.epochs or max(_LEAST_EPOCHS[settings.prior], -(-_LEAST_STEPS[settings.prior] // steps))
    for part in (delta_draws, delta_bound):  # what would be refused later is refused before the record is written
        check_delta(part)
    if grid is None:
        GaussianPrior(predictor.mean, Fraction(width) ** 2)
        predictor.network(IsotropicPosterior(predictor.mean, width))
    parameters = {each.name: getattr(inequality, each.name) for each in fields(inequality)}  # type: ignore[arg-type]
    identity = {
        "settings": asdict(settings),
        "data": data_digest(whole),
        "split": run.checkpoint.sha256.get("split.safetensors", ""),
        "prior": hashlib.sha256((digest + _digest_tensor(predictor.mean)).encode()).hexdigest(),
        "width": "grid" if grid is not None else width,
        "inequality": {"name": name, **parameters},
        "delta": {"bound": delta_bound, "draws": delta_draws},
        "examples": {"bound": kept.count, "choices": len(kept.choice_targets)},
        "draws": {"prior": draws, "posterior": posterior_draws},
        "device": torch.device(device).type,  # whose random numbers are its own
        "epochs": epochs,
    }
    efforts = draws, posterior_draws, epochs
    return Choices(settings, predictor, width, grid, inequality, delta_bound, delta_draws, *efforts, identity)


def _posterior_draws(settings: CertifySettings, predictor: Predictor, examples: int, draws: int) -> int:
    """As many as for the prior; fewer by default where a prediction needs many random numbers.

    Raises:
        InputError: so many that nobody would wait for them.
    """
    if settings.posterior != "low-rank" or not predictor.drawn_weights:
        return draws
    one = examples * predictor.drawn_weights
    draws = settings.draws or max(1, min(draws, _NUMBERS // one))
    if draws * one > MOST_NUMBERS:
        raise InputError(
            f"{draws} draws for {examples} examples, each with {predictor.drawn_weights} correlated weights, are "
            f"{draws * one:.2g} random numbers, more than {MOST_NUMBERS:.2g}; give --draws {MOST_NUMBERS // one or 1}, "
            "another --posterior, or --layers last"
        )
    return draws


def _freeze(ledger: Ledger, settings: CertifySettings) -> None:
    if settings.prior == "trained":
        ledger.freeze("split and prior network", "the split was written before the training, which never saw the rest")
        if not settings.width:
            ledger.freeze("prior width", "chosen on examples that are left out of the bound")
        ledger.freeze("inequality and its constant", "chosen on examples that are left out of the bound")
    else:
        ledger.freeze("prior mean", "independent of all examples")
        ledger.freeze("inequality", "chosen without examples")
    ledger.freeze("loss, shape of the posterior, number of draws, seeds", "settings, written down before")


def _digest(model: nn.Module) -> str:
    found = hashlib.sha256()
    for name, tensor in model.state_dict().items():
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        found.update(_digest_tensor(tensor).encode())
    return found.hexdigest()


def _digest_tensor(tensor: Tensor) -> str:
    return hashlib.sha256(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes()).hexdigest()
