"""Which models are trained and compared. Loads no torch."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ...ground.errors import InputError
from ...ground.settings import check_settings, setting, settings_of
from ...landscapes.runs.registries import DATA, MODELS

if TYPE_CHECKING:
    from ...optim.training.settings import TrainSettings

__all__ = ["Configuration", "OrderSettings"]


@dataclass(frozen=True, order=True)
class Configuration:
    """One point of the grid of hyper-parameters; seeds repeat it.

    Attributes:
        method: name of the optimizer, with its radius if it has one: ``sgd``, ``sam 0.1``.
        batch_size: of a step.
        lr: learning rate.
    """

    method: str
    batch_size: int
    lr: float

    @property
    def rho(self) -> float:
        """Radius; 0 without one."""
        return float(self.method.partition(" ")[2] or 0.0)


@dataclass(frozen=True)
class OrderSettings:
    """A grid of trainings: optimizers with their radii, batch sizes, learning rates, seeds.

    Attributes:
        data: data set.
        model: network.
        optimizers: names, separated by commas.
        rhos: radii of those that have one.
        batch_sizes: of a step.
        lrs: learning rates.
        seeds: how many trainings each configuration has: seeds 0, 1, ...
        epochs: of each.
        subset: examples that are trained on; all others of the training set are held out, with the test set.
        fitted: least training accuracy of a model that is compared: where training errors differ, they order models.
        delta: probability with which each bound may fail.
        p_min: of the bounded cross-entropy.
        resamples: of the bootstrap and of the permutations.
        keep_unfitted: whether models below that accuracy are compared all the same.

    Raises:
        InputError: a number out of its range, an unknown name, fewer than six configurations.

    Example:
        >>> len(OrderSettings().runs())
        54
    """

    data: str = setting("digits", "Data set.", choices=lambda: DATA)
    model: str = setting("mlp32", "Network.", choices=lambda: MODELS)
    optimizers: str = setting("sgd,sam", "Optimizers, separated by commas.", listed=True)
    rhos: str = setting("0.05,0.2", "Radii of the optimizers that have one, separated by commas.", listed=True)
    batch_sizes: str = setting("16,32,64", "Batch sizes, separated by commas.", listed=True)
    lrs: str = setting("0.02,0.1", "Learning rates, separated by commas.", listed=True)
    seeds: int = setting(
        3, "Trainings of each configuration.", holds=lambda v: v >= 1, otherwise="is no number of trainings"
    )
    epochs: int = setting(60, "Epochs of each training.", holds=lambda v: v >= 1, otherwise="is no number of epochs")
    subset: int = setting(
        500,
        "Examples to train on; the others of the training set are held out, with the test set. 0: all.",
        holds=lambda v: v >= 0,
        otherwise="is no number of examples",
    )
    fitted: float = setting(
        0.99,
        "Least training accuracy of a model that is compared.",
        holds=lambda v: 0 <= v <= 1,
        otherwise="is no accuracy between 0 and 1",
    )
    delta: float = setting(
        0.05, "Probability with which each bound may fail.", holds=lambda v: 0 < v < 1, otherwise="must lie in (0, 1)"
    )
    p_min: float = setting(
        1e-3, "Floor of the probabilities in the loss.", holds=lambda v: 0 < v < 1, otherwise="must lie in (0, 1)"
    )
    resamples: int = setting(
        2000, "Resamples of the intervals.", holds=lambda v: v >= 100, otherwise="are too few; give at least 100"
    )
    keep_unfitted: bool = setting(False, "Compare the models below --fitted, too.")

    def __post_init__(self) -> None:
        check_settings(self)
        found = self.configurations()
        if len(found) < 6:
            raise InputError(
                f"{len(found)} configurations are too few to order; give more optimizers, radii, batch sizes or "
                "learning rates, at least 6 in all"
            )
        self.runs()

    def configurations(self) -> list[Configuration]:
        """The grid, without seeds.

        Raises:
            InputError: a list that is empty, has something twice, or what is no number.
        """
        methods = []
        for name in _listed("optimizers", self.optimizers, str):
            radii = _listed("rhos", self.rhos, float) if self._has_radius(name) else [None]
            methods += [name if rho is None else f"{name} {rho:g}" for rho in radii]
        sizes, rates = _listed("batch sizes", self.batch_sizes, int), _listed("learning rates", self.lrs, float)
        return [Configuration(method, size, rate) for method in methods for size in sizes for rate in rates]

    def runs(self) -> "dict[tuple[Configuration, int], TrainSettings]":
        """The settings of every training, by configuration and seed."""
        found = {}
        for each in self.configurations():
            for seed in range(self.seeds):
                found[each, seed] = replace(self._training(each), seed=seed)
        return found

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {each: getattr(self, each) for each in self.__dataclass_fields__}

    def _has_radius(self, name: str) -> bool:
        from ...optim.registry import OPTIMIZERS

        if name not in OPTIMIZERS:
            raise InputError(f"unknown optimizer '{name}'; choose among: {', '.join(OPTIMIZERS)}")
        return "rho" in {each.name for each in settings_of(OPTIMIZERS[name])}

    def _training(self, each: Configuration) -> "TrainSettings":
        from ...optim.registry import OPTIMIZERS
        from ...optim.training.settings import TrainSettings

        name, _, rho = each.method.partition(" ")
        method = OPTIMIZERS[name](**({"rho": float(rho)} if rho else {}))
        return TrainSettings(
            optimizer=method,
            data=self.data,
            model=self.model,
            batch_size=each.batch_size,
            lr=each.lr,
            epochs=self.epochs,
            subset=self.subset,
        )


def _listed(name: str, text: str, kind: Any) -> list[Any]:
    parts = [part.strip() for part in text.split(",") if part.strip()]
    try:
        values = [kind(part) for part in parts]
    except ValueError:
        raise InputError(f"{name} '{text}' holds what is no number; give e.g. 16,64") from None
    if not values or len(set(values)) < len(values):
        raise InputError(f"{name} '{text}': give at least one, and each once")
    return values
