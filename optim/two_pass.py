"""Methods that perturb the parameters along the gradient, and step along the gradient found there."""

import math
from abc import abstractmethod
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor

from ..ground.errors import InputError
from ..landscapes.derivatives.live_buffers import BufferValues, find_buffers
from .optimizer_state import asks_for_entries
from .passes import NotFiniteError, Passes, checked_gradient, deliver, unscale
from .sharpness_aware import SharpnessAwareOptimizer
from .vector import Vector

__all__ = ["TwoPassOptimizer"]


class TwoPassOptimizer(SharpnessAwareOptimizer):
    """``x+ = base step with grad f_m(x + rho u)``, where the method says what ``u`` is.

    The gradient that ``u`` comes from is one vector over all parameters of groups with ``rho > 0``; every group may
    have its own ``rho``, and parameters of groups with ``rho = 0`` stay where they are.

    Called as ``step(closure)``, or, where the training loop makes the gradients itself::

        loss(model(x), y).backward()
        optimizer.first_step()
        loss(model(x), y).backward()
        optimizer.second_step()

    Then buffers move once, too, but dropout masks are those that the loop draws.

    A method says what :meth:`ascent` is; one that keeps something says what in :meth:`remember` and :meth:`finish`.
    """

    _between: ExitStack | None = None
    _restored = False
    _not_finite: NotFiniteError | None = None

    @abstractmethod
    def ascent(self, g: Vector) -> Vector:
        """``u`` from the gradient over perturbed parameters, which may be changed in place; nothing else may."""

    def prepare(self, passes: Passes) -> None:
        """Called before the first pass of a step; for what needs more than the gradient."""

    def remember(self, g: Vector) -> None:
        """Called with the gradient over perturbed parameters, before it is changed."""

    def combined(self, second: Vector) -> Vector | None:
        """What to step along, from the gradient at the perturbed point over all parameters; None: that gradient."""
        return None

    def check_ready(self) -> None:
        """Refuse a first step for which something is missing that needs a closure."""

    def make_gradient(self, passes: Passes) -> Tensor:
        """Two passes; one, if no parameter is to be perturbed."""
        self.prepare(passes)
        loss, g = passes.gradient()
        perturbed = self.perturbed()
        if not any(perturbed):
            return loss
        with self.shifted(self._shift(g.select(perturbed))):
            _, second = passes.gradient()
        self._combine(second, passes.parameters, passes.signs)
        return loss

    @torch.no_grad()
    def _combine(self, second: Vector, parameters: Sequence[Tensor], signs: Sequence[float] | None) -> None:
        found = self.combined(second)
        if found is not None:
            deliver(found, parameters, signs)

    @torch.no_grad()
    def _shift(self, g: Vector) -> Vector:
        self.remember(g)
        return self.shift(self.ascent(g))

    def perturbation(self, g: Tensor) -> Tensor:
        """``u`` from a gradient over all parameters in one piece, shape ``(..., d)`` to the same shape; of gradients at
        the parameters as they are, for the diagnostics of :mod:`eigensam.landscapes`.
        """
        perturbed, whole = self.perturbed(), Vector(self.parameters())
        dim = sum(part.numel() for part in whole.parts)
        if g.shape[-1:] != (dim,):
            raise InputError(f"gradients have shape {tuple(g.shape)}; expected (..., {dim})")
        u = torch.zeros_like(g)
        with torch.no_grad():
            for row, out in zip(g.reshape(-1, dim), u.view(-1, dim), strict=True):
                found = self.ascent(whole.views(row).select(perturbed).clone())
                whole.views(out).select(perturbed).copy_(found)
        return u

    # -- called with gradients that the training loop makes

    def first_step(self, *, zero_grad: bool = True, scaler: Any = None) -> None:
        """Move the parameters to ``x + rho u``, where ``.grad`` holds the gradient at ``x``.

        Args:
            zero_grad: whether ``.grad`` is emptied for the next pass; else the next one adds to it.
            scaler: of mixed precision, if the loss was scaled.

        Raises:
            InputError: called twice; gradients that are missing, or not finite (if these are not left out).
        """
        self.check_idle()
        parameters = self.parameters()
        if all(p.grad is None for p in parameters):
            raise InputError("first_step finds no gradients; call backward on the loss before it")
        self.check_ready()
        if scaler is not None and scaler.is_enabled():
            unscale(parameters, scaler.get_scale())
        self._not_finite, shift = None, None
        perturbed = self.perturbed()
        try:
            with self.workers().agreeing(NotFiniteError):
                g = checked_gradient(parameters, self.signs(), None)
            if any(perturbed):
                shift = self._shift(g.select(perturbed) if zero_grad else g.select(perturbed).clone())
        except NotFiniteError as error:
            if self.nonfinite == "raise" and (scaler is None or not scaler.is_enabled()):
                raise
            self._not_finite = error
        find_buffers()
        self._between = stack = ExitStack()
        stack.enter_context(BufferValues().standing_in())
        if shift is not None:
            stack.enter_context(self.shifted(shift))
        if zero_grad:
            self.zero_grad()

    def restore(self) -> None:
        """Put the parameters back, for what is to happen between the second pass and ``step()``; else ``step`` does."""
        if self._between is None:
            raise InputError("the parameters are not perturbed; call first_step before")
        self._between.close()
        self._between, self._restored = None, True

    def second_step(self, *, zero_grad: bool = False, scaler: Any = None) -> None:
        """Put the parameters back and step along what ``.grad`` holds, the gradient at the perturbed point.

        ``step()`` without a closure does the same, and may be called by ``scaler.step(optimizer)``.

        Args:
            zero_grad: whether ``.grad`` is emptied afterwards.
            scaler: of mixed precision, if the loss was scaled.

        Raises:
            InputError: no ``first_step`` before; gradients that are not finite (if these are not left out).
        """
        self.step(scaler=scaler)
        if zero_grad:
            self.zero_grad()

    def step_along_gradients(self, scaler: Any) -> Tensor:
        """The second half of a step in two halves."""
        if self._between is not None:
            self.restore()
        if not self._restored:
            if asks_for_entries(self.param_groups):
                return self.make_entries()
            raise InputError(
                f"{type(self).__name__} needs the gradient at two points: call step(closure) with a function that "
                "returns the loss, or first_step(), another backward, and then step()"
            )
        self._restored = False
        parameters = self.parameters()
        nothing = torch.full((), math.nan, device=parameters[0].device)
        try:
            self._scaled_back(parameters, scaler)
            if self._not_finite is not None:
                raise self._not_finite
            self._combine(checked_gradient(parameters, self.signs(), None), parameters, self.signs())
        except NotFiniteError as error:
            if getattr(self, "found_inf", None) is None:
                self.leave_out(error, scaler)
            else:  # the scaler that calls this knows
                self.skipped += 1
                self.zero_grad()
            return nothing
        self.take(scaler)
        return nothing

    def _scaled_back(self, parameters: Sequence[Tensor], scaler: Any) -> None:
        factor = getattr(self, "grad_scale", None)  # set by the scaler whose step calls this
        if scaler is not None and scaler.is_enabled():
            factor = scaler.get_scale()
        if factor is not None:
            unscale(parameters, float(factor))

    def check_idle(self) -> None:
        """Refuse to begin a step between the halves of another one."""
        if self._between is not None or self._restored:
            raise InputError(
                "the last first_step has had no second_step yet; call it before the next step (gradients of several "
                "minibatches are given as closures: step([closure, ...]))"
            )

    def __getstate__(self) -> dict[str, Any]:
        """See the base class.

        Raises:
            InputError: between the halves of a step, whose parameters are elsewhere.
        """
        self.check_idle()
        return super().__getstate__()
