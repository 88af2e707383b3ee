"""Schedules of what parameter groups have their own of besides the learning rate: ``rho``, ``alpha``."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, final

from torch.optim import Optimizer

from ..ground.errors import InputError

__all__ = ["GroupSchedule", "LearningRateSchedule"]


class _Schedule(ABC):
    """Sets one number of all parameter groups, when it is made and at every :meth:`step`."""

    def __init__(self, optimizer: Optimizer, name: str) -> None:
        for group in optimizer.param_groups:
            if isinstance(group.get(name), bool) or not isinstance(group.get(name), int | float):
                known = sorted(k for k, v in group.items() if isinstance(v, int | float) and not isinstance(v, bool))
                raise InputError(
                    f"the parameter groups of {type(optimizer).__name__} have no number called '{name}'; choose one "
                    f"of: {', '.join(known)}"
                )
        self.optimizer, self.name = optimizer, name
        self.steps = 0

    @abstractmethod
    def _value(self, index: int, group: dict[str, Any]) -> float:
        """Of a group."""

    def _set(self) -> None:
        groups = self.optimizer.param_groups
        values = [float(self._value(i, group)) for i, group in enumerate(groups)]
        for i, value in enumerate(values):
            if not 0 <= value < math.inf:
                raise InputError(
                    f"the schedule gives {self.name} = {value} at step {self.steps} to parameter group {i}; it must "
                    "be 0 or more, and finite"
                )
        for group, value in zip(groups, values, strict=True):
            group[self.name] = value

    def step(self) -> None:
        """Call it after the optimizer's step, and after that of a scheduler of the learning rate.

        Raises:
            InputError: a value that is negative or not finite; nothing has been changed then.
        """
        self.steps += 1
        try:
            self._set()
        except Exception:
            self.steps -= 1
            raise


@final
class GroupSchedule(_Schedule):
    """``value = start * function(step)``, as ``LambdaLR`` of torch has it for the learning rate.

    The start is what a group has when the schedule is made, or when a group that was added later is first seen.

    Args:
        optimizer: whose parameter groups.
        name: of the number, such as ``rho`` or ``alpha``.
        function: factor at step 0, 1, 2, ...

    Attributes:
        steps: taken so far.

    Raises:
        InputError: groups without such a number; a value that is negative or not finite.

    Example:
        >>> import torch
        >>> from eigensam.optim import SAM, GroupSchedule
        >>> optimizer = SAM([torch.nn.Parameter(torch.ones(1))], rho=0.1, lr=0.1)
        >>> schedule = GroupSchedule(optimizer, "rho", lambda step: min(1.0, (step + 1) / 4))
        >>> optimizer.param_groups[0]["rho"]
        0.025
        >>> schedule.step()
        >>> optimizer.param_groups[0]["rho"]
        0.05
    """

    def __init__(self, optimizer: Optimizer, name: str, function: Callable[[int], float]) -> None:
        super().__init__(optimizer, name)
        self._function = function
        self._starts: list[float] = []
        self._set()

    def _value(self, index: int, group: dict[str, Any]) -> float:
        if index == len(self._starts):
            self._starts.append(float(group[self.name]))
        return self._starts[index] * float(self._function(self.steps))

    def state_dict(self) -> dict[str, Any]:
        """Steps and starts; the function is not kept."""
        return {"name": self.name, "steps": self.steps, "starts": list(self._starts)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Inverse of :meth:`state_dict`; sets the groups, too.

        Raises:
            InputError: a state of something else. Nothing has been changed then.
        """
        try:
            name, steps, starts = (state_dict[key] for key in ("name", "steps", "starts"))
        except (KeyError, TypeError):
            raise InputError("this is not a state of a GroupSchedule; give what state_dict() of one returned") from None
        count = len(self.optimizer.param_groups)
        if name != self.name or len(starts) > count:
            raise InputError(
                f"the state is that of '{name}' of {len(starts)} parameter groups, this schedule that of "
                f"'{self.name}' of {count}; make the same groups and schedule"
            )
        before = self.steps, self._starts
        self.steps, self._starts = int(steps), list(starts)
        try:
            self._set()
        except Exception:
            self.steps, self._starts = before
            raise


@final
class LearningRateSchedule(_Schedule):
    """``value = least + (most - least) (lr - lr_least) / (lr_most - lr_least)``, with each group's own ``lr``.

    The schedule of the radius in GSAM (Zhuang et al. 2022, "Surrogate gap minimization improves sharpness-aware
    training", appendix B). It has no state: it follows from that of the learning rate.

    Args:
        optimizer: whose parameter groups.
        name: of the number, such as ``rho``.
        least: value at the learning rate ``lr_least``.
        most: value at ``lr_most``.
        lr_least: the smallest learning rate of the training, warm-up included.
        lr_most: the largest one.

    Raises:
        InputError: groups without such a number; ``lr_least >= lr_most``; a value that is negative or not finite.

    Example:
        >>> import torch
        >>> from eigensam.optim import SAM, LearningRateSchedule
        >>> optimizer = SAM([torch.nn.Parameter(torch.ones(1))], rho=0.1, lr=0.25)
        >>> _ = LearningRateSchedule(optimizer, "rho", least=0.0, most=0.5, lr_least=0.0, lr_most=1.0)
        >>> optimizer.param_groups[0]["rho"]
        0.125
    """

    def __init__(
        self, optimizer: Optimizer, name: str, *, least: float, most: float, lr_least: float, lr_most: float
    ) -> None:
        super().__init__(optimizer, name)
        if not lr_least < lr_most:
            raise InputError(
                f"lr_least = {lr_least}, lr_most = {lr_most}: the first must be smaller; for a learning rate that "
                f"does not change, set {name} in the parameter groups"
            )
        self._least, self._lr_least, self._slope = least, lr_least, (most - least) / (lr_most - lr_least)
        self._set()

    def _value(self, index: int, group: dict[str, Any]) -> float:
        return self._least + self._slope * (float(group["lr"]) - self._lr_least)
