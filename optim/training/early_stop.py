"""When a training has stopped to get better, and the weights that it had at its best."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from ...landscapes.networks.whole_state import load_whole_state, whole_state

__all__ = ["EarlyStop"]


class EarlyStop:
    """Stops when the validation loss has had no new minimum for so many epochs, and keeps the weights of the minimum.

    The validation examples choose the epoch, so the loss there is no longer one of unseen examples: it is too small on
    average. The test set is not looked at.

    Args:
        patience: epochs; 0 never stops, and keeps nothing.

    Attributes:
        epoch: of the least loss, from 1; 0 before the first epoch.
        loss: the least one.

    Example:
        >>> stop, model = EarlyStop(2), nn.Linear(1, 1)
        >>> [stop.after(epoch, loss, model) for epoch, loss in enumerate([3.0, 1.0, 2.0, 1.5], start=1)]
        [False, False, False, True]
        >>> stop.epoch, stop.loss
        (2, 1.0)
    """

    def __init__(self, patience: int) -> None:
        self.patience = patience
        self.epoch, self.loss = 0, float("inf")
        self.weights: dict[str, Tensor] = {}

    def after(self, epoch: int, loss: float, model: nn.Module) -> bool:
        """Whether to stop after this epoch."""
        if not self.patience:
            return False
        if loss < self.loss:
            self.epoch, self.loss = epoch, loss
            self.weights = _copy(model)
        return epoch - self.epoch >= self.patience

    def give_best(self, model: nn.Module) -> None:
        """Load the kept weights, if there are any."""
        if self.weights:
            load_whole_state(model, self.weights)

    @contextmanager
    def at_best(self, model: nn.Module) -> Iterator[None]:
        """With the kept weights; then those that were there are back."""
        now = _copy(model)
        self.give_best(model)
        try:
            yield
        finally:
            load_whole_state(model, now)

    def state_dict(self) -> dict[str, Any]:
        """All of it."""
        return {"epoch": self.epoch, "loss": self.loss, "weights": self.weights}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Inverse of :meth:`state_dict`."""
        self.epoch, self.loss, self.weights = int(state["epoch"]), float(state["loss"]), dict(state["weights"])


def _copy(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in whole_state(model).items()}
