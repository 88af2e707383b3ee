"""The optimizer of a run, from its settings."""

from typing import Any

from torch import nn
from torch.optim import Optimizer

from ...ground.errors import InputError
from ...ground.settings import settings_of
from ..base_optimizer import names_taken, own_name
from .settings import TrainSettings

__all__ = ["make_optimizer"]


def make_optimizer(settings: TrainSettings, model: nn.Module) -> Optimizer:
    """The optimizer that the settings describe, on the model's trainable parameters."""
    if not any(p.requires_grad for p in model.parameters()):
        raise InputError(
            f"{type(model).__name__} has no parameter that requires a gradient, so there is nothing to train"
        )
    kind = settings.base_optimizer.kind()
    own = names_taken(kind, [each.name for each in settings_of(settings.method)])
    options = {own_name(k) if k in own else k: v for k, v in settings.base_optimizer.options().items()}
    base: dict[str, Any] = {"base": kind, "lr": settings.lr, "weight_decay": settings.weight_decay, **options}
    return settings.method.make(settings.method.groups(model), seed=settings.seed, **base)
