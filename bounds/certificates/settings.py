"""What ``eigensam certify`` is asked for. Loads no torch."""

from dataclasses import dataclass
from typing import Any, Literal, get_args

from ...ground.errors import InputError
from ...ground.settings import check_settings, setting
from ..rounding.arguments import check_delta

__all__ = ["CertifySettings"]

LossName = Literal["0-1", "cross-entropy"]
PriorName = Literal["trained", "initial", "zero"]
Layers = Literal["last", "all"]
PosteriorName = Literal["isotropic", "layerwise", "diagonal", "low-rank"]


def _choice(kind: Any, default: str, help: str) -> Any:
    return setting(default, help, choices=lambda: get_args(kind))


def _at_least(default: int, low: int, help: str) -> Any:
    return setting(default, help, holds=lambda value: value >= low, otherwise=f"must be at least {low}")


def _share(default: float, help: str) -> Any:
    return setting(default, help, holds=lambda value: 0 < value < 1, otherwise="must lie in (0, 1)")


@dataclass(frozen=True)
class CertifySettings:
    """Everything that is fixed before the kept examples are read.

    Attributes:
        delta: probability with which the certificate may fail.
        loss: whose risk is certified; the bounded cross-entropy is :class:`BoundedCrossEntropy`.
        p_min: floor of its probabilities.
        prior: mean of the prior: the network trained on the prior part, its initialisation, or zero. The last two
            have seen no data, so that all examples count, and the posterior has to learn everything.
        layers: which parameters are random. With ``last`` the rest is a frozen backbone, which is part of the prior.
        posterior: shape of its covariance.
        eigenvectors: of the Hessian, for a posterior of low rank.
        inequality: ``auto`` is Catoni's with its constant fixed for a trained prior, Maurer's for the others, where
            the divergence is too large for its logarithm to matter.
        choice_share: of the kept examples, which are left out of the bound: the prior's width and the inequality's
            constant are chosen on them (ours: 0.05).
        width: standard deviation of a trained prior; 0 chooses it.
        draws: fresh weights for each example, in the Monte-Carlo term; 0 makes about three million predictions, or
            fewer where each weight must be drawn: a low-rank posterior of all layers.
        mc_share: of delta, spent on the Monte-Carlo term.
        epochs: of training the posterior; 0 is 10 for a trained prior, else 20, and more where these are few steps.
        looks: certificates that will be computed from the same kept examples; each gets its share of delta.
        seed: of the draws and of the posterior's training.

    Raises:
        InputError: a value out of range, with the repair.

    Example:
        >>> CertifySettings(delta=0.01).posterior
        'diagonal'
        >>> CertifySettings(draws=-1)
        Traceback (most recent call last):
        ...
        eigensam.ground.errors.InputError: draws = -1 must be at least 0
    """

    delta: float = setting(0.05, "Probability with which the certificate may fail, between 0 and 1.")
    loss: str = _choice(LossName, "0-1", "The loss whose risk is certified.")
    p_min: float = _share(1e-3, "Floor of the probabilities in the bounded cross-entropy.")
    prior: str = _choice(
        PriorName, "trained", "Mean of the prior: trained on the prior part, the initialisation, or zero."
    )
    layers: str = _choice(Layers, "last", "Random parameters: the last layer on a frozen backbone, or all.")
    posterior: str = _choice(PosteriorName, "diagonal", "Covariance of the posterior.")
    eigenvectors: int = _at_least(20, 1, "Eigenvectors of the Hessian that a low-rank posterior knows.")
    inequality: str = setting("auto", "PAC-Bayes inequality, fixed before; auto is catoni or, without data, maurer.")
    choice_share: float = _share(0.05, "Share of the kept examples on which choices are made, left out of the bound.")
    width: float = setting(
        0.0,
        "Standard deviation of the prior; 0 chooses it on examples that are left out, or from a grid that is paid.",
        holds=lambda value: value >= 0,
        otherwise="must be positive, or 0 to choose it",
    )
    draws: int = _at_least(0, 0, "Fresh weights for each example, in the Monte-Carlo term; 0 is some 3 million in all.")
    mc_share: float = _share(0.02, "Share of delta that the Monte-Carlo term spends.")
    epochs: int = _at_least(0, 0, "Epochs of training the posterior; 0 is enough steps for the size of the data.")
    looks: int = _at_least(1, 1, "Certificates that will be made of the same kept examples; each has delta over them.")
    seed: int = _at_least(0, 0, "Seed of the draws and of the posterior's training.")

    def __post_init__(self) -> None:
        check_settings(self)
        check_delta(self.delta)
        from ..pac_bayes.registry import PAC_BAYES

        if self.inequality != "auto" and self.inequality not in PAC_BAYES:
            raise InputError(f"unknown inequality '{self.inequality}'; choose one of: auto, {', '.join(PAC_BAYES)}")
        if self.posterior == "low-rank" and self.prior == "zero":
            raise InputError("at zero a network has no curvature to learn from; take --prior initial or trained")
