"""The torch optimizer that takes the step: made, and stepped without being taken for another training's optimizer."""

import inspect
from typing import Any

from torch.optim import Optimizer

from ..ground.errors import InputError

__all__ = ["make_base", "step_base"]


def make_base(base: Any, groups: list[dict[str, Any]], arguments: dict[str, Any]) -> Optimizer:
    """The base optimizer on these parameter groups.

    Raises:
        InputError: not a class of optimizers, one that evaluates the loss itself, arguments that it does not take.
    """
    if not (isinstance(base, type) and issubclass(base, Optimizer)):
        found = f"an object of {type(base).__name__}" if isinstance(base, Optimizer) else repr(base)
        raise InputError(f"base = {found} is not a class of torch.optim; give one, such as torch.optim.AdamW")
    closure = inspect.signature(base.step).parameters.get("closure")
    if closure is not None and closure.default is inspect.Parameter.empty:
        raise InputError(
            f"{base.__name__} evaluates the loss itself, where no perturbation would follow; use a base that steps "
            "along a given gradient, such as SGD or AdamW"
        )
    try:
        return base(groups, **arguments)
    except (TypeError, ValueError) as error:
        raise InputError(f"{base.__name__} does not take these arguments: {error}") from None


def step_base(base: Optimizer) -> None:
    """``base.step()``, which fires its own hooks but not torch's global ones: those belong to the step as a whole."""
    if "step" in base.__dict__:  # a scheduler of the base counts its steps
        base.step()
        return
    for hook in base._optimizer_step_pre_hooks.values():
        hook(base, (base,), {})
    step = type(base).step
    getattr(step, "__wrapped__", step)(base)
    for hook in base._optimizer_step_post_hooks.values():
        hook(base, (base,), {})
