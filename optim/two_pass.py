"""Methods that perturb the parameters along the gradient, and step along the gradient found there."""

import math
from abc import abstractmethod
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor

from ..ground.errors import InputError
from ..landscapes.derivatives.live_buffers import BufferValues
from .passes import Closure, NotFiniteError, Passes, checked_gradient, deliver, gradient_vector, unscale
from .scaling import refuse_unscaled, report_to_scaler
from .sharpness_aware import SharpnessAwareOptimizer
from .state_entries import asks_for_entries, make_entries
from .surroundings import refuse_surroundings, same_parameters
from .vector import Vector

__all__ = ["TwoPassOptimizer"]

_UNFINISHED = (
    "the last first_step has had no second_step yet; call it first, or abandon() to leave that step out (gradients of "
    "several minibatches are given as closures: step([closure, ...]))"
)


class TwoPassOptimizer(SharpnessAwareOptimizer):
    """``x+ = base step with grad f_m(x + rho u)``, where the method says what ``u`` is.

    The gradient that ``u`` comes from is one vector over all parameters of groups with ``rho > 0``; every group may
    have its own ``rho``, and parameters of groups with ``rho = 0`` stay where they are.

    Called as ``step(closure)``, or, where the training loop makes the gradients itself::

        loss(model(x), y).backward()
        optimizer.first_step()
        loss(model(x), y).backward()
        optimizer.second_step()

    Then buffers move once, too, but dropout masks are those that the loop draws. A loop that cannot go on between the
    two, because a pass ran out of memory, say, calls :meth:`abandon`.

    A method says what :meth:`ascent` is; one that keeps something says what in :meth:`remember`,
    :meth:`forget` and :meth:`finish`.
    """

    _between: ExitStack | None = None
    _restored = False
    _first_scaled = False
    _not_finite: NotFiniteError | None = None
    _scaler: Any = None
    _of_first: Sequence[Tensor] = ()

    @abstractmethod
    def ascent(self, g: Vector) -> Vector:
        """``u`` from the gradient over perturbed parameters, which may be changed in place; nothing else may."""

    def prepare(self, passes: Passes) -> None:
        """Called before the first pass of a step; for what needs more than the gradient."""

    def forget(self) -> None:
        """Called at the beginning of a step, however it is called; for what one that was not taken has left."""

    def remember(self, g: Vector) -> None:
        """Called with the gradient over perturbed parameters, before it is changed."""

    def combined(self, second: Vector) -> Vector | None:
        """What to step along, from the gradient at the perturbed point over all parameters; None: that gradient.

        Called again in the same step only after it has been asked once, and then to return None.
        """
        return None

    def check_ready(self) -> None:
        """Refuse a first step for which something is missing that needs a closure."""

    def make_gradient(self, passes: Passes) -> Tensor:
        """Two passes; one, if no parameter is to be perturbed."""
        self.forget()
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
        self.check_groups()
        refuse_surroundings(self, parameters)
        if all(p.grad is None for p in parameters):
            raise InputError("first_step finds no gradients; call backward on the loss before it")
        self.check_ready()
        self._first_scaled = scaler is not None and scaler.is_enabled()
        if self._first_scaled:
            refuse_unscaled(scaler, self)
            unscale(parameters, scaler.get_scale())
        self._not_finite, self._scaler, shift = None, scaler, None
        self.forget()
        perturbed = self.perturbed()
        with ExitStack() as failing:
            failing.callback(self.zero_grad)  # what .grad holds is changed in place
            try:
                with self.workers().agreeing(NotFiniteError):
                    g = checked_gradient(parameters, self.signs(), None)
                if any(perturbed):
                    shift = self._shift(g.select(perturbed) if zero_grad else g.select(perturbed).clone())
            except NotFiniteError as error:
                if self.nonfinite == "raise" and (scaler is None or not scaler.is_enabled()):
                    failing.pop_all()
                    self._given.leave(parameters)
                    raise
                self._not_finite = error
            self.know_buffers()
            with ExitStack() as stack:
                stack.enter_context(BufferValues().standing_in())
                if shift is not None:
                    stack.enter_context(self.shifted(shift))
                if zero_grad:
                    self.zero_grad()
                self._between, self._of_first = stack.pop_all(), parameters
            failing.pop_all()

    def restore(self) -> None:
        """Put the parameters back, for what is to happen between the second pass and ``step()``; else ``step`` does.

        Then ``.grad`` holds what the step goes along, scaled as the second pass has made it, to be clipped, say.
        """
        self.check_own()
        if self._between is None:
            raise InputError("the parameters are not perturbed; call first_step before")
        self._check_parameters()
        self._put_back()
        if self._not_finite is None and type(self).combined is not TwoPassOptimizer.combined:
            self._combine_scaled(self.parameters())

    def abandon(self) -> None:
        """Leave a step that ``first_step`` has begun, as if it had not been begun; nothing where there is none.

        The parameters are put back bit for bit, buffers to what they were at ``first_step``, and ``.grad`` is emptied.
        Call it after an exception in the second pass, and before a checkpoint is loaded into the model and here.

        Example:
            >>> import torch
            >>> from eigensam.optim import SAM
            >>> x = torch.nn.Parameter(torch.tensor([1.0]))
            >>> optimizer = SAM([x], rho=0.5, lr=0.1)
            >>> (x**2).sum().backward()
            >>> optimizer.first_step()
            >>> x.item()
            1.5
            >>> optimizer.abandon()
            >>> x.item()
            1.0
        """
        self.check_own()
        if not self.between_halves():
            return
        if self._between is not None:
            self._put_back()
        self._restored, self._first_scaled, self._of_first = False, False, ()
        self._not_finite = self._scaler = None
        self.forget()
        self.zero_grad()

    def _check_parameters(self) -> None:
        same_parameters(self._of_first, self.parameters(), "between the two halves of a step (or call abandon())")

    def _put_back(self) -> None:
        assert self._between is not None
        self._between.close()
        self._between, self._restored = None, True

    @torch.no_grad()
    def _combine_scaled(self, parameters: Sequence[Tensor]) -> None:
        second, signs = gradient_vector(parameters), self.signs()
        if all(p.grad is None for p in parameters) or not second.is_finite():
            return  # step does it, or says what is wrong
        scaled = self._scaler is not None and self._scaler.is_enabled()
        scale = self._scaler.get_scale() if scaled else 1.0
        if signs is not None:
            second = second.clone().mul_(signs)
        found = self.combined(second.mul_(1 / scale))
        if found is not None:
            deliver(found.mul_(scale), parameters, signs)

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

    def between_halves(self) -> bool:
        """After ``first_step``, before the parameters have moved."""
        return self._between is not None or self._restored

    def step_along_gradients(self, scaler: Any, closure: Closure | None = None) -> Tensor:
        """The second half of a step in two halves."""
        if self.between_halves():
            self._check_parameters()
        if self._between is not None and closure is not None:  # which may look at gradients
            self.restore()
        elif self._between is not None:
            self._put_back()
        if closure is not None:
            _call_idle(closure, self.parameters())
        if not self._restored:
            if asks_for_entries(self.param_groups):
                return make_entries(self)
            raise InputError(
                f"{type(self).__name__} needs the gradient at two points: call step(closure) with a function that "
                "returns the loss, or first_step(), another backward, and then step()"
            )
        scaled = getattr(self, "found_inf", None) is not None or (scaler is not None and scaler.is_enabled())
        if scaled != self._first_scaled:  # the gradients of one pass would be as many times too long
            raise InputError(
                "only one half of the step was told of the scaler; call first_step(scaler=scaler), and then "
                "scaler.step(optimizer) or second_step(scaler=scaler)"
            )
        self._restored, self._of_first = False, ()
        scaler_of_first, self._scaler = self._scaler, None
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
            else:  # the scaler that calls this has looked at the second gradient, not at the first
                if self._not_finite is not None and scaler_of_first is not None:
                    self._told = report_to_scaler(scaler_of_first, parameters[0], finite=False)
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
        """Refuse to begin a step between the halves of another one, too."""
        super().check_idle()
        if self.between_halves():
            raise InputError(_UNFINISHED)

    def __getstate__(self) -> dict[str, Any]:
        """See the base class.

        Raises:
            InputError: between the halves of a step, whose parameters are elsewhere.
        """
        self.check_idle()
        return super().__getstate__()


def _call_idle(closure: Closure, parameters: Sequence[Tensor]) -> None:
    """Call a closure that may look at gradients and clip them: Lightning gives one where its user gave none.

    Raises:
        InputError: it made a loss, so it was to begin another step.
    """
    reached: list[Tensor] = []
    handles = [p.register_post_accumulate_grad_hook(reached.append) for p in parameters]
    try:
        found = closure()
    finally:
        for handle in handles:
            handle.remove()
    if found is not None or reached:
        raise InputError(_UNFINISHED)
