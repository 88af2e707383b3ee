"""Every hyper-parameter of a training run, checked before anything is written."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from typing import Any, get_args

from torch import nn
from torch.optim import SGD, Optimizer

from ..ground.errors import InputError
from ..landscapes.runs.data import DATA
from ..landscapes.runs.models import MODELS
from .eigen_sam import EigenSAM, Eigensolver
from .sam import SAM

__all__ = ["OPTIMIZERS", "TrainSettings"]

OPTIMIZERS: tuple[str, ...] = ("sgd", "sam", "eigen-sam")


@dataclass(frozen=True)
class TrainSettings:
    """One training run; two runs with equal settings on one machine are bit-identical.

    Attributes:
        data: name of the data set.
        model: name of the network.
        optimizer: ``sgd``, ``sam`` or ``eigen-sam``.
        epochs: passes over the training set (paper: 200; ours: 20, enough for digits).
        batch_size: examples per minibatch; the rest of each epoch's permutation is left out (paper: 256; ours: 64,
            as digits has 1437 examples).
        lr: initial learning rate (paper: 0.1, SVHN 0.01), cosine schedule to zero over all steps.
        momentum: of SGD (paper: 0.9).
        weight_decay: of SGD (paper: 5e-5).
        rho: perturbation radius (released code: 0.1).
        alpha: weight of the eigenvector (released code: 0.2).
        refresh_every: steps between eigenvector estimates (paper: 100).
        power_iterations: Hessian-vector products per estimate (released code: 5).
        solver: ``power`` (paper) or ``lanczos``.
        normalize: keep the perturbation of Eigen-SAM at length ``rho`` (paper: not).
        augment: random crop with padding 4 and horizontal flip (paper), for natural images only.
        spectrum_every: epochs between measurements of lambda_1 and alignment; 0 is never.
        seed: of initialisation, minibatches, augmentation and the first eigenvector estimate.

    Raises:
        InputError: a value out of range, with the repair.

    Example:
        >>> TrainSettings(rho=-1.0)
        Traceback (most recent call last):
        ...
        eigensam.ground.errors.InputError: rho = -1.0 must be positive; plain SGD is optimizer 'sgd'
    """

    data: str = "digits"
    model: str = "mlp"
    optimizer: str = "eigen-sam"
    epochs: int = 20
    batch_size: int = 64
    lr: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 5e-5
    rho: float = 0.1
    alpha: float = 0.2
    refresh_every: int = 100
    power_iterations: int = 5
    solver: str = "power"
    normalize: bool = False
    augment: bool = False
    spectrum_every: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        def choice(name: str, allowed: Iterable[str]) -> None:
            if getattr(self, name) not in allowed:
                raise InputError(f"unknown {name} '{getattr(self, name)}'; choose one of: {', '.join(allowed)}")

        def require(name: str, holds: bool, repair: str) -> None:
            if not holds:
                raise InputError(f"{name} = {getattr(self, name)} {repair}")

        for item in fields(self):
            value: Any = getattr(self, item.name)
            kind: type[Any] = type(item.default)
            allowed = (int, float) if kind is float else (kind,)
            if not isinstance(value, allowed) or (isinstance(value, bool) and kind is not bool):
                raise InputError(f"{item.name} = {value!r} is not of type {kind.__name__}")
            if kind in (int, float) and not abs(value) <= (2**31 - 1 if kind is int else 1e30):
                raise InputError(f"{item.name} = {value} is out of range; give a number of sensible size")
        choice("data", DATA)
        choice("model", MODELS)
        choice("optimizer", OPTIMIZERS)
        choice("solver", get_args(Eigensolver))
        for name in ("epochs", "batch_size", "refresh_every", "power_iterations"):
            require(name, getattr(self, name) >= 1, "must be at least 1")
        require("lr", self.lr > 0, "must be positive, e.g. 0.1")
        require("rho", self.rho > 0, "must be positive; plain SGD is optimizer 'sgd'")
        require("alpha", self.alpha >= 0, "must be at least 0; the paper tunes 0.05 to 0.2")
        require("momentum", 0 <= self.momentum < 1, "must lie in [0, 1)")
        require("weight_decay", self.weight_decay >= 0, "must be at least 0")
        require("spectrum_every", self.spectrum_every >= 0, "must be at least 0 (never)")
        require("seed", 0 <= self.seed < 2**31, "must lie in [0, 2^31)")

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dictionary."""
        return asdict(self)

    def build_optimizer(self, model: nn.Module) -> Optimizer:
        """The optimizer that these settings describe, on the model's trainable parameters."""
        parameters = [p for p in model.parameters() if p.requires_grad]
        base: dict[str, Any] = {"lr": self.lr, "momentum": self.momentum, "weight_decay": self.weight_decay}
        if self.optimizer == "sgd":
            return SGD(parameters, **base)
        if self.optimizer == "sam":
            return SAM(parameters, rho=self.rho, **base)
        return EigenSAM(
            parameters,
            rho=self.rho,
            alpha=self.alpha,
            refresh_every=self.refresh_every,
            iterations=self.power_iterations,
            solver=self.solver,  # type: ignore[arg-type]
            normalize=self.normalize,
            seed=self.seed,
            **base,
        )
