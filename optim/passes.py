"""The passes of one step: losses and gradients of the closure at several points, as of one function."""

import math
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from typing import Any

import torch
from torch import Tensor

from ..ground.errors import InputError
from ..landscapes.derivatives.one_function import OneFunction
from ..landscapes.derivatives.thread_patch import ThreadPatch
from .data_parallel import Workers
from .other_gradients import made_once
from .vector import Vector, real_view

__all__ = [
    "Closure",
    "NotFiniteError",
    "Passes",
    "ScalingSeen",
    "checked_gradient",
    "deliver",
    "gradient_vector",
    "unscale",
]

Closure = Callable[[], Tensor]


class NotFiniteError(InputError):
    """A loss or gradient that no step can be made of."""


def gradient_vector(parameters: Sequence[Tensor]) -> Vector:
    """What ``.grad`` holds, sharing its memory; zero where there is none, dense where it is sparse.

    A gradient that is not spread over processes as its parameter is (a partial sum, of tensor parallelism) is made so.
    """
    for p in parameters:
        if p.grad is not None and getattr(p.grad, "placements", None) != getattr(p, "placements", None):
            p.grad = p.grad.redistribute(p.device_mesh, p.placements)  # type: ignore[attr-defined]
    parts = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
    return Vector((part.to_dense() if part.is_sparse else part for part in parts), parameters)


def checked_gradient(
    parameters: Sequence[Tensor], signs: Sequence[float] | None, loss: Tensor | None, *, norm: bool = False
) -> Vector:
    """What ``.grad`` holds, of the objective that is minimised; its memory is that of ``.grad`` where signs are None.

    Args:
        parameters: whose gradients.
        signs: see :class:`Passes`.
        loss: where it is known.
        norm: whether the norm will be wanted, which then serves as the check.

    Raises:
        NotFiniteError: it is not finite, or the loss (where that is known).
    """
    g = gradient_vector(parameters)
    if norm:
        g.norm()
    if not g.is_finite() or (loss is not None and not math.isfinite(loss)):
        value = "the loss made before step" if loss is None else f"a loss of {float(loss)}"
        raise NotFiniteError(
            f"the gradient of {value} has norm {g.norm()}; the step is not taken and nothing has been changed: lower "
            "the learning rate or rho, or let such steps be left out with nonfinite='skip'"
        )
    return g if signs is None else g.clone().mul_(signs)


def deliver(g: Vector, parameters: Sequence[Tensor], signs: Sequence[float] | None) -> None:
    """Put a vector into ``.grad``, with the sign that the base optimizer expects, for it to step along.

    Sparse gradients stay sparse, for bases that take no others; a parameter that no pass has used stays without one.
    """
    if signs is not None:
        g.mul_(signs)
    for p, part in zip(parameters, g.parts, strict=True):
        if p.grad is not None and p.grad.is_sparse:
            dense = torch.view_as_complex(part) if p.is_complex() else part
            p.grad = dense.to_sparse(p.grad.sparse_dim())
        elif p.grad is not None or bool(part.any()):
            if p.grad is None:
                p.grad = torch.zeros_like(p)
            if (held := real_view(p.grad)).data_ptr() != part.data_ptr():
                held.copy_(part)


def unscale(parameters: Sequence[Tensor], factor: float) -> None:
    """Divide what ``.grad`` holds."""
    for p in parameters:
        if p.grad is not None:
            p.grad.mul_(1.0 / factor)


def _evaluated(closure: Closure, parameters: Sequence[Tensor]) -> Tensor:
    """The loss, with no gradients left from before and none of autocast's copies of other parameters.

    Raises:
        InputError: a closure that returns no loss with a gradient, and has not called ``backward`` itself.
    """
    for p in parameters:
        p.grad = None
    torch.clear_autocast_cache()  # it keeps narrow copies of the parameters, also when these have moved
    with torch.enable_grad():
        loss = closure()
    if all(p.grad is None for p in parameters):
        _check_loss(loss)
    return loss


def _check_loss(loss: Any) -> None:
    if not isinstance(loss, Tensor) or loss.numel() != 1 or not loss.requires_grad:
        raise InputError(
            "the closure must return the minibatch loss, a scalar tensor with a gradient (or call backward itself "
            f"before it returns); it returned {_described(loss)}"
        )


def _described(value: Any) -> str:
    if not isinstance(value, Tensor):
        return f"{value!r:.40}" if value is None else f"a {type(value).__name__}"
    return f"a tensor of shape {tuple(value.shape)}{'' if value.requires_grad else ' without a graph'}"


class Passes:
    """The closure of one step, evaluated at the parameters as they are at each call.

    The first call moves buffers (running statistics) and random generators, as a plain training step does. Every other
    one sees them as the first one did, and leaves buffers alone.

    Args:
        parameters: by which it is differentiated.
        closures: one, or several whose mean is the loss, evaluated one after the other.
        signs: -1 for parameters of which the base optimizer maximises the loss; gradients are then those of its
            negative, so that methods only ever minimise.
        scaler: of mixed precision; gradients come out unscaled.
        ascent: entered around the first call.
        given: whether ``.grad`` holds the gradients of the first pass already.
        workers: that make the same passes; what is not finite on one stops all.
    """

    def __init__(
        self,
        parameters: Sequence[Tensor],
        closures: Sequence[Closure],
        *,
        signs: Sequence[float] | None = None,
        scaler: Any = None,
        ascent: Callable[[], AbstractContextManager[Any]] | None = None,
        given: bool = False,
        workers: Workers | None = None,
    ) -> None:
        self.parameters, self.closures = parameters, closures
        self.scaler, self.signs, self.given = scaler, signs, given
        self._ascent, self._workers = ascent, workers
        self._devices = {p.device for p in parameters}
        self.function = OneFunction(self._devices)
        self._count = 0
        self._loss_known = True

    def parts(self) -> Iterator["Passes"]:
        """The passes of each closure alone, one after the other: buffers and random numbers go on from part to part.

        Raises:
            InputError: gradients that were made before are the mean of all parts, which none of them can use.
        """
        if self.given and len(self.closures) > 1:
            raise InputError(
                "the gradients in .grad are those of all minibatches together, but each of them needs its own; call "
                "zero_grad() before step([closure, ...])"
            )
        for closure in self.closures:
            yield Passes(
                self.parameters,
                [closure],
                signs=self.signs,
                scaler=self.scaler,
                ascent=self._ascent,
                given=self.given,
                workers=self._workers,
            )

    def gradient(self) -> tuple[Tensor, Vector]:
        """Loss (detached) and its gradient; ``.grad`` holds the gradient, too.

        Raises:
            NotFiniteError: one of them is not finite.
        """
        self._count += 1
        if self._count == 1 and self.given:
            nothing = torch.full((), math.nan, device=self.parameters[0].device)
            return nothing, self._vector(None)
        if self._count > 1 or self.given:
            with self.function.again(), made_once(self.parameters):
                loss = self._mean()
        else:
            with nullcontext() if self._ascent is None else self._ascent():
                loss = self._mean()
        return loss, self._vector(loss)

    def alone(self, index: int) -> Vector:
        """The gradient of one of the closures, at the parameters as they are; buffers are left alone.

        Raises:
            NotFiniteError: it is not finite.
        """
        with self.function.again(), made_once(self.parameters):
            loss = self._pass(self.closures[index])
        return self._vector(loss)

    def beforehand(self) -> tuple[Vector, bool]:
        """The gradient from a pass that leaves no trace, and whether it draws random numbers."""
        with self.function.again(), made_once(self.parameters):
            self._mean()
            moved = self.function.moved()
        g = gradient_vector(self.parameters).clone()
        self.function.rewind()
        return g, moved

    def _vector(self, loss: Tensor | None) -> Vector:
        known = loss if self._loss_known else None
        with nullcontext() if self._workers is None else self._workers.agreeing(NotFiniteError):
            return checked_gradient(self.parameters, self.signs, known, norm=self._count == 1)

    def _outside_autocast(self) -> AbstractContextManager[Any]:
        """Backward passes run in the precision of their forward passes, also inside a training loop's ``autocast``."""
        inside = [kind for kind in {device.type for device in self._devices} if torch.is_autocast_enabled(kind)]
        if not inside:
            return nullcontext()
        stack = ExitStack()
        for kind in inside:
            stack.enter_context(torch.autocast(kind, enabled=False))
        return stack

    def _mean(self) -> Tensor:
        if len(self.closures) == 1:
            return self._pass(self.closures[0])
        count = len(self.closures)
        total: dict[Tensor, Tensor] = {}
        losses = []
        for closure in self.closures:
            losses.append(self._pass(closure))
            for p in self.parameters:
                if p.grad is not None:
                    part = p.grad / count
                    total[p] = total[p] + part if p in total else part
        for p in self.parameters:
            p.grad = total.get(p)
        return torch.stack(losses).mean()

    def _pass(self, closure: Closure) -> Tensor:
        """One closure's loss; ``.grad`` then holds its gradient."""
        with ScalingSeen() as seen:
            loss = _evaluated(closure, self.parameters)
        enabled = self.scaler is not None and self.scaler.is_enabled()
        if seen.scaled and not enabled:
            raise InputError(
                "the closure scaled its loss with a GradScaler, so the step would be as many times too long; return "
                "the plain loss and call optimizer.step(closure, scaler=scaler), then scaler.update()"
            )
        found = _value(loss)
        self._loss_known = self._loss_known and found is not None
        value = torch.tensor(math.nan) if found is None else found
        own = all(p.grad is None for p in self.parameters)  # whether the backward pass is ours to make
        if own:
            with self._outside_autocast():
                (self.scaler.scale(loss) if enabled and not seen.scaled else loss).backward()
            if all(p.grad is None for p in self.parameters):
                raise InputError("the loss depends on no parameter of this optimizer; give it those of the model")
        if enabled and (own or seen.scaled):
            unscale(self.parameters, self.scaler.get_scale())
            value = value / self.scaler.get_scale() if own and seen.scaled else value
        return value


def _value(loss: Any) -> Tensor | None:
    """None if not known: closures that call ``backward`` may return a dictionary, as Lightning's does, or nothing."""
    if isinstance(loss, Tensor) and loss.numel() == 1:
        return loss.detach().reshape(())
    return torch.tensor(float(loss)) if isinstance(loss, int | float) else None


class ScalingSeen:
    """Notices whether a loss is scaled for mixed precision inside, in this thread."""

    def __enter__(self) -> "ScalingSeen":
        self.scaled = False
        self._outer = getattr(_seen, "by", None)
        _seen.by = self
        self._patch = _SCALE.inside()
        self._patch.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._patch.__exit__(None, None, None)
        _seen.by = self._outer


_seen = threading.local()


def _scale(original: Any, scaler: Any, outputs: Any) -> Any:
    _seen.by.scaled = _seen.by.scaled or scaler.is_enabled()
    return original(scaler, outputs)


_SCALE = ThreadPatch(torch.amp.GradScaler, "scale", _scale)
