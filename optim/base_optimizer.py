"""The torch optimizer that takes the step: made, and stepped without being taken for another training's optimizer."""

import inspect
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from torch.optim import Optimizer

from ..ground.errors import InputError

__all__ = ["make_base", "names_taken", "own_name", "refusing", "step_base"]

_MISSING: Any = object()


def own_name(name: str) -> str:
    """What a setting of the base is called where a method has one of the same name.

    Example:
        >>> own_name("rho")  # Adadelta's
        'base_rho'
    """
    return f"base_{name}"


def names_taken(base: Any, names: Iterable[str]) -> tuple[str, ...]:
    """Settings of a method that the base has, too, and would take for its own.

    Example:
        >>> import torch
        >>> names_taken(torch.optim.RMSprop, ["rho", "alpha"])
        ('alpha',)
    """
    if not isinstance(base, type):
        return ()
    theirs = inspect.signature(base).parameters
    return tuple(name for name in names if name in theirs)


@contextmanager
def _as_base_sees(groups: list[dict[str, Any]], taken: Sequence[str]) -> Iterator[None]:
    """Inside, such settings are the base's in the groups that both share."""

    def swap() -> None:
        for group in groups:
            for name in taken:
                ours, theirs = group.pop(name, _MISSING), group.pop(own_name(name), _MISSING)
                group.update({k: v for k, v in ((name, theirs), (own_name(name), ours)) if v is not _MISSING})

    swap()
    try:
        yield
    finally:
        swap()


def make_base(
    base: Any, groups: list[dict[str, Any]], arguments: dict[str, Any], taken: Sequence[str] = ()
) -> Optimizer:
    """The base optimizer on these parameter groups.

    Args:
        base: its class.
        groups: of the method, which become those of the base, too.
        arguments: of the base.
        taken: settings of the method that the base has, too; its own have another name outside (:func:`own_name`).

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
    theirs = {own_name(name): name for name in taken}
    try:
        with _as_base_sees(groups, taken):
            made: Optimizer = base(groups, **{theirs.get(name, name): value for name, value in arguments.items()})
        made.defaults = {own_name(k) if k in taken else k: v for k, v in made.defaults.items()}
        return made
    except (TypeError, ValueError) as error:
        raise InputError(f"{base.__name__} does not take these arguments: {error}") from None


def step_base(base: Optimizer, taken: Sequence[str] = ()) -> None:
    """``base.step()``, which fires its own hooks but not torch's global ones: those belong to the step as a whole.

    Args:
        base: whose step it is.
        taken: see :func:`make_base`.
    """
    with _as_base_sees(base.param_groups, taken):
        _step(base)


def _step(base: Optimizer) -> None:
    if "step" in base.__dict__:  # a scheduler of the base counts its steps
        base.step()
        return
    for hook in base._optimizer_step_pre_hooks.values():
        hook(base, (base,), {})
    step = type(base).step
    getattr(step, "__wrapped__", step)(base)
    for hook in base._optimizer_step_post_hooks.values():
        hook(base, (base,), {})


@contextmanager
def refusing(what: str) -> Iterator[None]:
    """Errors of torch's optimizers about what they were given become ones that say what was given."""
    try:
        yield
    except InputError:
        raise
    except KeyError as error:
        raise InputError(f"the {what} do not fit: there is no {error}") from None
    except (TypeError, ValueError) as error:
        raise InputError(f"the {what} do not fit: {error}; give what a torch.optim optimizer takes") from None
