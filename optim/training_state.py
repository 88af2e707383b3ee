"""A training between two epochs: model, optimizer, metrics; saved and restored bit for bit."""

import math
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim import Optimizer

from ..ground.errors import InputError
from ..ground.fingerprints import fingerprint
from ..ground.identities import differences
from ..landscapes.runs.build import build_model
from ..landscapes.runs.data_set import DataSet
from .identity import run_identity
from .measurement import evaluate, measure_sharpness
from .passes import NotFiniteError
from .settings import TrainSettings
from .sharpness_aware import SharpnessAwareOptimizer
from .state import load_state

__all__ = ["Training", "make_optimizer"]


def make_optimizer(settings: TrainSettings, model: nn.Module) -> Optimizer:
    """The optimizer that the settings describe, on the model's trainable parameters."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    base: dict[str, Any] = {"lr": settings.lr, "momentum": settings.momentum, "weight_decay": settings.weight_decay}
    return settings.method.make(parameters, seed=settings.seed, **base)


def _minibatches(data: DataSet, settings: TrainSettings, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
    """One permutation of the training set; all randomness follows from (seed, epoch)."""
    if settings.augment:
        from torchvision.transforms import v2  # seconds to import

        crop_and_flip = v2.Compose([v2.RandomCrop(data.shape[1:], padding=4), v2.RandomHorizontalFlip()])
    torch.manual_seed(settings.seed * 1_000_003 + epoch)
    order = torch.randperm(len(data.train_targets))
    for indices in order.split(settings.batch_size):
        if len(indices) == settings.batch_size:
            inputs = data.train_inputs[indices]
            if settings.augment:
                inputs = torch.stack([crop_and_flip(image) for image in inputs])
            yield inputs, data.train_targets[indices]


class Training:
    """Model, optimizer and metrics of a run between epochs."""

    def __init__(
        self,
        settings: TrainSettings,
        data: DataSet,
        device: torch.device,
        validation: tuple[Tensor, Tensor] | None = None,
    ) -> None:
        self.settings, self.data, self.device, self.validation = settings, data, device, validation
        self.identity = run_identity(data, device, settings)
        if validation is not None:
            self.identity["validation examples"] = fingerprint(*validation)
        torch.manual_seed(settings.seed)
        self.model = build_model(settings.model, data.shape, data.classes)
        self.initial = {name: tensor.clone() for name, tensor in self.model.state_dict().items()}
        self.model.to(device)
        self.optimizer = make_optimizer(settings, self.model)
        self.metrics: list[dict[str, Any]] = []
        self.steps_per_epoch = len(data.train_targets) // settings.batch_size

    def state(self) -> dict[str, Any]:
        """All that later epochs depend on."""
        return {
            "settings": self.settings.to_dict(),
            "identity": self.identity,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "metrics": self.metrics,
        }

    def restore(self, path: Path) -> None:
        """Go on from a saved state; a state that does not fit, whatever is wrong with it, is refused."""
        state = load_state(path)
        try:
            self._restore(state)
        except InputError:
            raise
        except Exception as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise InputError(f"{path} is not a usable training state ({reason}); train anew elsewhere") from None

    def _restore(self, state: dict[str, Any]) -> None:
        if len(state["metrics"]) > self.settings.epochs:
            raise InputError("the unfinished run has more epochs than its settings; remove it and train anew")
        ours = self.settings.to_dict()
        for name, value in ours.items():
            if state["settings"].get(name) != value:
                raise InputError(
                    f"the unfinished run has {name} = {state['settings'].get(name)}, this command {value}; "
                    f"repeat the first command's settings, or choose another --out"
                )
        if changes := differences(state.get("identity") or {}, self.identity):
            raise InputError(
                f"the unfinished run differs in {changes}, so what follows would not be one run; go on as it began "
                "(--device, --data-root, OMP_NUM_THREADS, versions), or choose another --out"
            )
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.metrics = state["metrics"]

    def _loss(self, inputs: Tensor, targets: Tensor) -> Tensor:
        outputs: Tensor = self.model(inputs.to(self.device, non_blocking=True))
        targets = targets.to(self.device, non_blocking=True)
        return cross_entropy(outputs, targets, label_smoothing=self.settings.label_smoothing)

    def epoch(self, after_step: Callable[[int, float], None]) -> None:
        """Train one epoch and append its metrics."""
        done, settings = len(self.metrics), self.settings
        total_steps = settings.epochs * self.steps_per_epoch
        self.model.train()
        losses = 0.0
        for step, (inputs, targets) in enumerate(_minibatches(self.data, settings, done)):
            fraction = (done * self.steps_per_epoch + step) / total_steps
            lr = settings.lr * 0.5 * (1 + math.cos(math.pi * fraction))
            for group in self.optimizer.param_groups:
                group["lr"] = lr
            if isinstance(self.optimizer, SharpnessAwareOptimizer):
                parts = zip(
                    inputs.chunk(settings.method.closures), targets.chunk(settings.method.closures), strict=True
                )
                try:
                    loss = float(self.optimizer.step([partial(self._loss, *part) for part in parts]))
                except NotFiniteError:
                    loss = math.nan
            else:
                self.optimizer.zero_grad()
                batch_loss = self._loss(inputs, targets)
                batch_loss.backward()
                self.optimizer.step()
                loss = float(batch_loss.detach())
            if not math.isfinite(loss):
                rho = getattr(settings.method, "rho", None)
                shorter = "" if rho is None else f" or --rho (now {rho:g})"
                raise InputError(
                    f"the loss became {loss} at step {step + 1} of epoch {done + 1}; lower --lr (now {settings.lr:g})"
                    + shorter
                )
            losses += loss
            after_step(step, loss)
        test_loss, test_accuracy = evaluate(self.model, self.data.test_inputs, self.data.test_targets)
        row: dict[str, Any] = {
            "epoch": done + 1,
            "lr": lr,
            "train_loss": losses / self.steps_per_epoch,
            "test_loss": test_loss,
            "test_accuracy": test_accuracy,
        }
        if self.validation is not None:
            row["validation_loss"], row["validation_accuracy"] = evaluate(self.model, *self.validation)
        every = settings.spectrum_every
        if every and ((done + 1) % every == 0 or done + 1 == settings.epochs):
            row |= measure_sharpness(self.model, self.optimizer, self.data, settings.batch_size)
        self.metrics.append(row)
