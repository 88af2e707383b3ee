"""How a prior is trained where only data are given: what was measured to certify well. Loads no torch."""

from dataclasses import dataclass, replace
from typing import Any

from ...ground.console import parse_number
from ...ground.errors import InputError
from ...ground.settings import check_settings, setting
from ...landscapes.runs.registries import DATA, MODELS
from ...optim.registry import OPTIMIZERS
from ...optim.training.settings import TrainSettings

__all__ = ["PriorRecipe"]

_SMALL = 10_000  # examples
_RADII = {"small": 0.5, "large": 0.1}
_SAME_RADIUS = ("sam", "eigen-sam")


@dataclass(frozen=True)
class PriorRecipe:
    """A training on a part of the data. For any other setting train a run with ``--prior-fraction``, and certify that.

    What is not given depends on the size of the data alone (ours; tuned by some twenty looks at digits and a dozen at
    MNIST, with other seeds, which deal the same examples anew: what a union over them would cost is
    ``ln 20 = 3`` nats): below ten thousand examples SAM with rho 0.5 for 60 epochs on a half, above with rho 0.1
    for 30 (the perceptron) or 8 (other networks, which take longer for each) on 7 of 10; minibatches of 64, learning
    rate 0.1, weight decay 1e-3.

    Attributes:
        data: name of the data set.
        model: name of the network.
        optimizer: name of a method; others than SAM and Eigen-SAM, which have one radius, have
            their own defaults.
        fractions: shares of the training set for the prior, a number or several with commas; a certificate for each
            of several spends its part of delta, so that the best may be reported. ``auto`` is as above.
        prior_epochs: of the training; 0 is as above.
        prior_seed: of split, initialisation and training.

    Raises:
        InputError: a value out of range.

    Example:
        >>> PriorRecipe().training(1437, 0.5).epochs
        60
    """

    data: str = setting("digits", "Data to certify on, where no RUN is given.", choices=lambda: DATA)
    model: str = setting("mlp", "The network.", choices=lambda: MODELS)
    optimizer: str = setting("sam", "What trains the prior.", choices=lambda: OPTIMIZERS)
    fractions: str = setting(
        "auto",
        "Share of the training set that trains the prior, the rest being kept; several, with commas, share delta; auto "
        "is 0.5 below ten thousand examples, else 0.7.",
    )
    prior_epochs: int = setting(
        0,
        "Epochs of that training; 0 is 60 below ten thousand examples, else 30 for mlp and 8 for others.",
        holds=lambda value: value >= 0,
        otherwise="must be at least 0",
    )
    prior_seed: int = setting(
        0,
        "Seed of the split and of that training.",
        holds=lambda value: 0 <= value < 2**31,
        otherwise="must lie in [0, 2^31)",
    )

    def __post_init__(self) -> None:
        check_settings(self)
        self.shares(_SMALL)

    def shares(self, examples: int) -> list[float]:
        """The fractions as numbers, for so many examples in all.

        Raises:
            InputError: something else, or one twice.
        """
        if self.fractions == "auto":
            return [0.5 if examples < _SMALL else 0.7]
        found = [float(parse_number("--fractions", part)) for part in self.fractions.split(",")]
        if not all(0 < share < 1 for share in found) or len(set(found)) < len(found):
            raise InputError(f"--fractions {self.fractions}: need different numbers in (0, 1), such as 0.3,0.5,0.7")
        return found

    def training(self, examples: int, fraction: float) -> TrainSettings:
        """The settings of the training of one prior.

        Args:
            examples: of the training set in all.
            fraction: of them for the prior.
        """
        size = "small" if examples < _SMALL else "large"
        method: Any = OPTIMIZERS[self.optimizer]()
        if self.optimizer in _SAME_RADIUS:
            method = replace(method, rho=_RADII[size])
        return TrainSettings(
            method,
            data=self.data,
            model=self.model,
            epochs=self.prior_epochs or (60 if size == "small" else 30 if self.model == "mlp" else 8),
            batch_size=64,
            lr=0.1,
            weight_decay=1e-3,
            prior_fraction=fraction,
            seed=self.prior_seed,
        )
