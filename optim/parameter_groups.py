"""Parameters in groups, each with its own settings of a method, and how they are moved and put back."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from ..ground.errors import InputError
from .base_optimizer import own_name, refusing
from .vector import Vector

__all__ = ["PerturbedGroups"]


class PerturbedGroups(Optimizer):
    """An optimizer whose groups have a radius ``rho``, by which their parameters are perturbed for a pass."""

    _originals: Vector | None = None
    _taken: tuple[str, ...] = ()
    _complete: tuple[list[dict[str, Any]], list[dict[str, Any]]] | None = None

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """The groups: one list, which is the base optimizer's, so schedulers of either act on both.

        Whoever gives the base other ones, as its own ``load_state_dict`` does, need not know the method's settings:
        groups keep those that they had, and new ones take the defaults.
        """
        base = getattr(self, "base", None)
        if base is None:  # torch's constructor makes them before there is one
            first: list[dict[str, Any]] = self.__dict__.setdefault("_first_groups", [])
            return first
        groups: list[dict[str, Any]] = base.param_groups
        known = self._complete
        if known is None or known[0] is not groups or len(known[1]) != len(groups):
            for group in groups:  # in a state of the base alone its setting has the name that the base gives it
                for name in self._taken:
                    if own_name(name) not in group and name in group:
                        group[own_name(name)] = group.pop(name)
            self._fill(groups)
        return groups

    @param_groups.setter
    def param_groups(self, groups: list[dict[str, Any]]) -> None:
        base = getattr(self, "base", None)
        if base is None:
            self.__dict__["_first_groups"] = groups
        else:
            self._fill(groups)
            base.param_groups = groups

    def _fill(self, groups: list[dict[str, Any]]) -> None:
        known = [] if self._complete is None else self._complete[1]
        for group in groups:
            its = [id(p) for p in group["params"]]
            old = next((each for each in known if [id(p) for p in each["params"]] == its), {})
            for name, value in self.defaults.items():
                # Torch adds the last one to the defaults of every copy, also of optimizers that do not know it.
                if name not in group and name != "differentiable":
                    group[name] = old.get(name, value)
        self._complete = groups, list(groups)
        self.__dict__.pop("_first_groups", None)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group; what it does not set takes the defaults of this and of the base optimizer."""
        with refusing("parameters of a group"):
            group = dict(param_group)
            if not isinstance(group["params"], Tensor | set):
                group["params"] = given = list(group["params"])
                tensors = [each[1] if isinstance(each, tuple) else each for each in given]
                if len({id(p) for p in tensors}) < len(tensors):
                    raise InputError("a parameter is in a group twice, and would be perturbed twice; give it once")
            super().add_param_group(group)
            try:
                self.check_group(self.param_groups[-1])
            except BaseException:
                self.param_groups.pop()
                raise

    def check_group(self, group: dict[str, Any]) -> None:
        """Refuse settings of a parameter group that are out of range."""
        rho = float(group["rho"])
        if not 0 <= rho < math.inf:
            raise InputError(f"rho = {rho} is not a radius; give rho > 0, or 0 for parameters that are not perturbed")

    def check_groups(self) -> None:
        """Refuse settings that have been changed since the groups were given, before a step goes by them."""
        with refusing("settings of a parameter group"):
            for group in self.param_groups:
                self.check_group(group)

    def parameters(self) -> list[Tensor]:
        """Those that require a gradient, of all groups, in order."""
        return [p for group in self.param_groups for p in group["params"] if p.requires_grad]

    def of_groups(self, name: str) -> list[Any]:
        """A setting of the groups, once for each of :meth:`parameters`."""
        return [group[name] for group in self.param_groups for p in group["params"] if p.requires_grad]

    def perturbed(self) -> list[bool]:
        """Which of :meth:`parameters` move in the ascent: those of groups whose ``rho`` is not 0."""
        return [rho != 0 for rho in self.of_groups("rho")]

    def moving(self) -> list[Tensor]:
        """Those of :meth:`parameters` that move in the ascent."""
        return [p for group in self.param_groups if group["rho"] != 0 for p in group["params"] if p.requires_grad]

    def of_moving(self, name: str) -> list[Any]:
        """A setting of the groups, once for each of :meth:`moving`."""
        return [value for value, moves in zip(self.of_groups(name), self.perturbed(), strict=True) if moves]

    def signs(self) -> list[float] | None:
        """-1 for parameters of groups whose base maximises the loss; None if there are none."""
        if not any(group.get("maximize") for group in self.param_groups):
            return None
        return [-1.0 if maximize else 1.0 for maximize in self.of_groups("maximize")]

    def shift(self, u: Vector) -> Vector:
        """``rho u``, in place, with the radius of each group."""
        different = {float(group["rho"]) for group in self.param_groups} - {0.0}
        return u.mul_(different.pop() if len(different) == 1 else [float(rho) for rho in self.of_moving("rho")])

    @contextmanager
    def shifted(self, shift: Vector) -> Iterator[None]:
        """Perturbed parameters moved by a vector; put back bit for bit, also when an exception passes through."""
        moving = Vector(self.moving())
        with torch.no_grad():
            # Kept from step to step: they are needed when memory is scarcest anyway.
            originals = self._originals
            if originals is None or not originals.fits(moving):
                originals = self._originals = moving.clone()
            else:
                originals.copy_(moving)
        try:
            with torch.no_grad():
                moving.add_(shift)
            torch.clear_autocast_cache()  # of one that is open around both halves of a step; it has copies of before
            yield
        finally:
            with torch.no_grad():
                moving.copy_(originals)
            torch.clear_autocast_cache()
