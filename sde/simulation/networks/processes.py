"""What moves points of a network landscape: the rule itself, an SDE, and the flow of an SDE's drift.

One step of each takes the time ``eta``, or the effective rate where the rule has memory, and is given the same normal
numbers, so paths of one number are coupled: the rule takes the minibatch of the largest number, an SDE the weighted sum
of all of them.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import ClassVar, Literal

import torch
from torch import Tensor

from ....ground.errors import InputError
from ....landscapes.landscape import Landscape
from ....landscapes.networks.network import NetworkLandscape
from ...rules.exact_steps import evaluate
from ...rules.rule import Rule
from ..runge_kutta import timed_runge_kutta_step
from .directions import Directions
from .minibatch_fields import BoundValues, MinibatchField, averages_minibatches

__all__ = ["FieldProcess", "Process", "RuleChain", "Sampling", "State"]

State = Mapping[str, Tensor]
"""All that a process needs to go on, each with ``P`` rows: what is kept on disk."""

Sampling = Literal["independent", "reshuffled"]


class Process(ABC):
    """Points that move in steps of time ``eta``.

    Attributes:
        noisy: whether paths differ by chance.
    """

    noisy: ClassVar[bool] = True

    @abstractmethod
    def start(self, x: Tensor) -> State:
        """At points of shape ``(P, d)``."""

    @abstractmethod
    def advance(self, state: State, step: int, z: Tensor) -> State:
        """The state after one step.

        Args:
            state: before.
            step: its number, from 0.
            z: standard normal numbers of double precision, shape ``(P, substeps, M)``.
        """

    def points(self, state: State) -> Tensor:
        """Where the paths are, shape ``(P, d)``."""
        return state["x"]


class RuleChain(Process):
    """The update rule: ``x+ = x + eta h_gamma(x; rho)``, a minibatch ``gamma`` for each path and step.

    Args:
        landscape: the family of losses.
        rule: the update rule.
        values: of its symbols, from :func:`bind`.
        directions: what its directions are; they may be estimated along the path.
        eta: learning rate.
        sampling: "independent": every minibatch is as likely in every step. "reshuffled": without replacement, in an
            order that is drawn anew for every epoch of ``M`` steps.
    """

    def __init__(
        self,
        landscape: Landscape,
        rule: Rule,
        values: BoundValues,
        directions: Directions,
        eta: float,
        sampling: Sampling = "independent",
    ) -> None:
        if sampling not in ("independent", "reshuffled"):
            raise InputError(f"unknown sampling {sampling!r}; choose one of: independent, reshuffled")
        self.landscape, self.rule, self.eta, self.sampling = landscape, rule, eta, sampling
        self._values, self._directions = values, directions
        # A minibatch's step needs no other minibatch, and a network can evaluate that one alone.
        self._alone = isinstance(landscape, NetworkLandscape) and not averages_minibatches(rule)

    def start(self, x: Tensor) -> State:
        """No minibatch has been used."""
        used = torch.zeros(len(x), self.landscape.size, dtype=torch.bool, device=x.device)
        return {"x": x, "used": used, **self._directions.start(x)}

    def advance(self, state: State, step: int, z: Tensor) -> State:
        """One minibatch for each path."""
        x, used = state["x"], state["used"]
        gamma, used = drawn(z, used, self.sampling)
        known, kept = self._directions.along(x, step, state)
        values = {**self._values, **known}
        if self._alone:
            assert isinstance(self.landscape, NetworkLandscape)
            every = torch.arange(len(x), device=x.device)
            values = {name: _picked(value, every, gamma) for name, value in values.items()}
            h = -evaluate(self.rule.step, self.landscape.picked(gamma), x[:, None], values)[:, 0]
        else:
            every = -evaluate(self.rule.step, self.landscape, x[:, None], values)
            shape = (len(x), self.landscape.size, x.shape[-1])
            h = every.expand(shape)[torch.arange(len(x), device=x.device), gamma]
        return {"x": x + self.eta * h, "used": used, **kept}


def _picked(value: float | Tensor, every: Tensor, gamma: Tensor) -> float | Tensor:
    """Directions of the drawn minibatches, shape ``(P, 1, d)``; what is the same for all stays."""
    if isinstance(value, Tensor) and value.ndim == 3 and value.shape[1] > 1:
        return value[every, gamma][:, None]
    return value


def drawn(z: Tensor, used: Tensor, sampling: Sampling) -> tuple[Tensor, Tensor]:
    """The minibatch of each path, shape ``(P,)``, and which ones its epoch has used.

    Among those that may be drawn it is the one of the largest of independent equal normal numbers: uniform.

    Args:
        z: standard normal numbers, shape ``(P, substeps, M)``; those of a step are added up.
        used: in this epoch, shape ``(P, M)``.
        sampling: with or without replacement.

    Example:
        >>> z = torch.tensor([[[0.3, 0.9, -1.0]]])
        >>> drawn(z, torch.tensor([[False, True, False]]), "reshuffled")
        (tensor([0]), tensor([[ True,  True, False]]))
    """
    total = z.sum(1)
    if sampling == "independent":
        return total.argmax(1).to(used.device), used
    gamma = total.to(used.device).masked_fill(used, -torch.inf).argmax(1)
    used = used.scatter(1, gamma[:, None], True)
    return gamma, used & ~used.all(1, keepdim=True)  # a new epoch begins when all are used


class FieldProcess(Process):
    """An SDE, or the flow of its drift, integrated in ``m`` substeps of a rule's step.

    "splitting": half a substep along the drift by Runge and Kutta, the kick of the whole one, the other half; its error
    is ``O(h^4 + eta h^2 + eta^2 h)``. Two halves between kicks are one, so a substep takes four drifts and one kick.
    "euler-maruyama": ``x + h b + sqrt(eta h) kick``, of one evaluation of all minibatches.

    Args:
        field: drift and noise.
        values: of the rule's symbols.
        directions: what its directions are.
        scheme: how a substep is made.
        substeps: ``m``, each of the time ``eta / m``; a step has as many as it is given normal numbers for.
        noise: False is the flow.
        begin: where it starts, from where the rule does; None: there.
    """

    def __init__(
        self,
        field: MinibatchField,
        values: BoundValues,
        directions: Directions,
        *,
        scheme: str = "splitting",
        substeps: int = 1,
        noise: bool = True,
        begin: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        if scheme not in ("splitting", "euler-maruyama"):
            raise InputError(f"a network is integrated by splitting or euler-maruyama; found the scheme {scheme!r}")
        self.field, self.scheme, self.substeps = field, scheme, substeps
        self._values, self._directions = values, directions
        self.noisy = noise and field.has_noise  # type: ignore[misc]
        self._step, self._begin = field.eta / substeps, begin

    def start(self, x: Tensor) -> State:
        """No half of a substep is owed."""
        x = x if self._begin is None else self._begin(x)
        owed = torch.zeros(len(x), dtype=torch.bool, device=x.device)
        done = {"done": torch.zeros(len(x), dtype=torch.int64, device=x.device)} if self.field.timed else {}
        return {"x": x, "owed": owed, **done, **self._directions.start(x)}

    def _time(self, state: State) -> float:
        """Of what depends on it: that of the substeps that are done."""
        return int(state["done"][0]) * self._step if "done" in state else 0.0

    def points(self, state: State) -> Tensor:
        """Where the paths are when what is owed is done."""
        if not bool(state["owed"].any()):
            return state["x"]
        half = self._step / 2
        return self._flow(state["x"], half, self._values, self._time(state) - half)

    def advance(self, state: State, step: int, z: Tensor) -> State:
        """All substeps of a step of the rule."""
        x, owed, t, parts = state["x"], bool(state["owed"].any()), self._time(state), z.shape[1]
        known, kept = self._directions.along(x, step, state)
        values = {**self._values, **known}
        for k in range(parts):
            x, owed = self._substep(x, owed, z[:, k], values, t + k * self._step)
        if owed and self._directions.estimated:  # the next ones are those where the path is
            x, owed = self._flow(x, self._step / 2, values, t + (parts - 0.5) * self._step), False
        done = {"done": state["done"] + parts} if "done" in state else {}
        return {"x": x, "owed": torch.full_like(state["owed"], owed), **done, **kept}

    def _substep(self, x: Tensor, owed: bool, z: Tensor, values: BoundValues, t: float) -> tuple[Tensor, bool]:
        h, eta, z = self._step, self.field.eta, z.to(x.device)
        if self.scheme == "euler-maruyama":
            values = {**values, **self.field.scheduled(t)}
            if not self.noisy:
                return x + h * self.field.drift(x, values), False
            drift, kick = self.field.drift_and_kick(x, z, values)
            return x + h * drift + (eta * h) ** 0.5 * kick, False
        if not self.noisy:
            return self._flow(x, h, values, t), False
        x = self._flow(x, h if owed else h / 2, values, t - h / 2 if owed else t)
        values = {**values, **self.field.scheduled(t + h / 2)}
        return x + (eta * h) ** 0.5 * self.field.kick(x, z, values), True

    def _flow(self, x: Tensor, time: float, values: BoundValues, t: float) -> Tensor:
        def drift(s: float, y: Tensor) -> Tensor:
            return self.field.drift(y, {**values, **self.field.scheduled(s)})

        result: Tensor = timed_runge_kutta_step(drift, t, x, time)
        return result

    def step_error(self, state: State, step: int) -> Tensor:
        """How far a substep of the drift alone and two of half its length are apart, shape ``(P,)``.

        The integrator's own error, without which a distance to the rule says nothing about the SDE.
        """
        x, h = self.points(state), self._step
        values = {**self._values, **self._directions.along(x, step, state)[0]}
        t = max(0.0, self._time(state) - h)  # schedules may end where the run does
        if self.scheme == "euler-maruyama":
            values = {**values, **self.field.scheduled(t)}
            half = x + h / 2 * self.field.drift(x, values)
            later = {**values, **self.field.scheduled(t + h / 2)}
            once, twice = x + h * self.field.drift(x, values), half + h / 2 * self.field.drift(half, later)
        else:
            once = self._flow(x, h, values, t)
            twice = self._flow(self._flow(x, h / 2, values, t), h / 2, values, t + h / 2)
        error: Tensor = torch.linalg.vector_norm(once - twice, dim=-1)
        return error
