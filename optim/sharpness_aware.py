"""What all sharpness-aware optimizers share: a base optimizer, groups, hooks, passes, what is kept."""

import math
import threading
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from types import MappingProxyType
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.optim import SGD, Optimizer
from torch.utils.hooks import RemovableHandle

from ..ground.errors import InputError
from ..landscapes.derivatives.live_buffers import find_buffers
from .accumulating_loops import refuse_accumulation
from .base_optimizer import make_base, names_taken, refusing, step_base
from .data_parallel import Workers
from .given_gradients import GivenGradients
from .optimizer_state import hooks_held_back, keep_types, merge, split, whole_groups
from .other_gradients import joins, others_untouched
from .parameter_groups import PerturbedGroups
from .passes import Closure, NotFiniteError, Passes
from .scaling import report_to_scaler
from .state_entries import asks_for_entries, make_entries, say_there_are_entries
from .surroundings import in_progress, refuse_nested, refuse_surroundings, watched

__all__ = ["SharpnessAwareOptimizer"]


class SharpnessAwareOptimizer(PerturbedGroups, ABC):
    """A ``torch.optim`` optimizer that steps along a gradient which a method makes of several passes.

    All passes of a step see the same function: random numbers are replayed, and buffers move once. Whatever happens
    between them, the parameters are put back bit for bit.

    A method says what :meth:`make_gradient` does, and names what it keeps between steps.

    Args:
        params: parameters or parameter groups.
        base: class of the optimizer that takes the step; default SGD.
        rho: perturbation radius, at least 0.
        groups: further settings of a method that every parameter group may have its own of.
        nonfinite: what a loss or gradient that is not finite does: ``raise``, or ``skip`` the step and count it.
        local_ascent: under ``DistributedDataParallel`` all passes are averaged; given ``no_sync`` of the wrapped model,
            each worker perturbs along the gradient of its own minibatch (m-SAM). Not for sharded models (FSDP2).
        **base_arguments: for ``base``, e.g. ``lr=0.1, momentum=0.9``. One whose name the method has, too, has ``base_``
            before it: ``base_rho`` is Adadelta's, ``base_alpha`` RMSprop's.

    Attributes:
        base: the optimizer that takes the step.
        skipped: steps that were not taken because something was not finite.

    Raises:
        InputError: no parameters; an unknown base, or an argument that it does not take; a value out of range.
    """

    kept_settings: ClassVar[tuple[str, ...]] = ()
    """Attributes that a saved state must share with the optimizer that loads it."""
    kept_numbers: ClassVar[tuple[str, ...]] = ()
    """Attributes, numbers or text, that a state saves and loads."""
    kept_tensors: ClassVar[tuple[str, ...]] = ()
    """Entries of ``state`` of a parameter that are tensors like it, of which 0 stands for none."""

    ascent_may_be_local: ClassVar[bool] = True
    """Whether workers may make the first pass each of its own minibatch: not where the step contains its gradient."""

    turn: ClassVar[Any] = threading.RLock()
    """Held by a thread while it evaluates: buffers and random generators belong to all threads of a process."""

    # GradScaler.step(self) calls step also where a gradient is not finite. Not while a closure runs: a loop that clips
    # in its closure, such as Lightning's, would think that the gradients there are scaled.
    _step_supports_amp_scaling = True

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]],
        base: type[Optimizer] = SGD,
        *,
        rho: float = 0.05,
        groups: Mapping[str, Any] = MappingProxyType({}),
        nonfinite: str = "raise",
        local_ascent: Callable[[], AbstractContextManager[Any]] | None = None,
        **base_arguments: Any,
    ) -> None:
        if nonfinite not in ("raise", "skip"):
            raise InputError(f"nonfinite = {nonfinite!r}; choose one of: raise, skip")
        if local_ascent is not None and not self.ascent_may_be_local:
            raise InputError(
                f"{type(self).__name__} steps along what its first pass finds, too, or keeps it, so workers with local "
                "ascents would no longer train one model; leave local_ascent out"
            )
        groups = {"rho": rho, **groups}
        with refusing("parameters"):
            if isinstance(params, set):
                raise InputError("a set of parameters has no order that a state could be saved in; give a list")
            given: Any = list(params)
            if not given:
                raise InputError("there are no parameters; give an optimizer those of a model that has some")
            super().__init__(given, groups)
        self._taken = names_taken(base, groups)
        made = make_base(base, self.param_groups, base_arguments, self._taken)
        self.defaults = {**made.defaults, **groups}  # schedulers ask for a base's momentum there
        self.base = made
        self.nonfinite, self.local_ascent, self.skipped = nonfinite, local_ascent, 0
        self._told: Any = None
        self._given = GivenGradients()
        self._after_backward: OrderedDict[int, Callable[[Optimizer], None]] = OrderedDict()
        self._buffers_found = False
        self._workers: Workers | None = None
        if not self.parameters():
            raise InputError("no parameter requires a gradient; set requires_grad=True on some")
        joins(self)

    # -- what a method says

    @abstractmethod
    def make_gradient(self, passes: Passes) -> Tensor:
        """Leave in ``.grad`` what the base optimizer is to step along; returns the loss, detached.

        Nothing that the next step depends on may be changed here: :meth:`finish` is called if the step is taken.
        """

    def finish(self) -> None:
        """Called after a step that was taken."""

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group; what it does not set takes the defaults of this and of the base optimizer."""
        super().add_param_group(param_group)
        if hasattr(self, "_given"):  # passes of before have left gradients there, which are not for a step
            self._given.leave(self.param_groups[-1]["params"])

    # -- a step

    def step(self, closure: Closure | Sequence[Closure] | None = None, *, scaler: Any = None) -> Tensor:  # type: ignore[override]
        """One step.

        Args:
            closure: computes and returns the loss of the minibatch. It need not call ``backward``; it may, as
                ``torch.optim.LBFGS`` and Lightning ask. A sequence of closures stands for the mean of their losses, for
                minibatches that do not fit into memory at once; parts of different sizes count alike.
                Gradients that ``.grad`` holds already, made by ``backward`` of the same loss, take the place of the
                first pass.
            scaler: ``torch.amp.GradScaler`` of mixed precision; then call ``scaler.update()``.

        Returns:
            The loss at the unperturbed point, detached; NaN where no pass was made there.

        Raises:
            InputError: a closure without a loss that can be differentiated; something that is not finite (if so set).
                Nothing has been overwritten then.
        """
        with self.turn:
            return self._step(closure, scaler)

    def _step(self, closure: Closure | Sequence[Closure] | None, scaler: Any) -> Tensor:
        if closure is None:
            return self._along_gradients(scaler)
        closures = [closure] if callable(closure) else list(closure) if isinstance(closure, Iterable) else []
        if not closures or not all(callable(each) for each in closures):
            raise InputError("step takes a closure that returns the loss, or several in a sequence")
        if len(closures) == 1 and self.between_halves():
            return self._along_gradients(scaler, closures[0])
        self.check_idle()
        refuse_accumulation(closures)
        parameters = self.parameters()
        if not parameters:
            raise InputError("no parameter requires a gradient any more; set requires_grad=True on some")
        self.check_groups()
        refuse_surroundings(self, parameters)
        self.know_buffers()
        passes = Passes(
            parameters,
            [watched(each, parameters, self.parameters) for each in closures],
            signs=self.signs(),
            scaler=scaler,
            ascent=self.local_ascent,
            given=self._given.there(parameters),
            workers=self.workers(),
        )
        before = [p.grad if passes.given else None for p in parameters]
        self._step_supports_amp_scaling = False
        try:
            with others_untouched(parameters), in_progress(parameters):
                if passes.given:
                    self._given.check(passes)
                loss = self.make_gradient(passes)
        except BaseException as error:  # what passes have made until then is not for the next step
            unfrozen = [p for p in self.parameters() if id(p) not in {id(q) for q in parameters}]
            self._given.leave([p for p, g in zip(parameters, before, strict=True) if p.grad is not g] + unfrozen)
            if not isinstance(error, NotFiniteError):
                raise
            self.leave_out(error, scaler)
            return torch.full((), math.nan, device=parameters[0].device)
        finally:
            self._step_supports_amp_scaling = True
        self.take(scaler)
        return loss

    def know_buffers(self) -> None:
        """Find the modules with buffers, once: that takes longer than a step of a small network."""
        if not self._buffers_found:
            find_buffers()
            self._buffers_found = True

    def _along_gradients(self, scaler: Any, closure: Closure | None = None) -> Tensor:
        try:
            return self.step_along_gradients(scaler, closure)
        except Exception:
            # A scaler whose step calls this takes them away only if nothing is raised, and multiplies them else.
            for name in ("grad_scale", "found_inf"):
                self.__dict__.pop(name, None)
            raise

    def workers(self) -> Workers:
        """The processes that take each step together."""
        if self._workers is None:
            self._workers = Workers(self.parameters())
        return self._workers

    def take(self, scaler: Any = None) -> None:
        """Step along what ``.grad`` holds."""
        say_there_are_entries(self)
        try:
            for hook in self._after_backward.values():
                hook(self)
            if scaler is not None and scaler.is_enabled():
                self._told = report_to_scaler(scaler, self.parameters()[0], finite=True)
            step_base(self.base, self._taken)
        finally:
            self._given.leave(self.parameters())
        self.finish()

    def leave_out(self, error: NotFiniteError, scaler: Any = None) -> None:
        """Count a step that is not taken, and go on; raise the error where that is wanted."""
        if scaler is not None and scaler.is_enabled():  # which tries a large scale now and then, and expects this
            self._told = report_to_scaler(scaler, self.parameters()[0], finite=False)
        elif self.nonfinite == "raise":
            self._given.leave(self.parameters())
            raise error
        self.skipped += 1
        self.zero_grad()

    def check_idle(self) -> None:
        """Refuse to begin a step within another one, or on a wrapper."""
        self.check_own()
        refuse_nested(self.parameters())

    def check_own(self) -> None:
        """Refuse to be called on a training loop's wrapper, which would keep for itself what a call leaves.

        Raises:
            InputError: this is one, of a class made of its and of this class.
        """
        if "base" not in self.__dict__:
            raise InputError(
                f"this {type(self).__name__} is a training loop's wrapper of the optimizer, which does not see what "
                "first_step, restore and refresh leave in it; call them on its attribute optimizer, such as "
                "self.optimizers().optimizer in Lightning"
            )

    def between_halves(self) -> bool:
        """Whether the gradients of the first pass have been used, and those of the second not yet."""
        return False

    def step_along_gradients(self, scaler: Any, closure: Closure | None = None) -> Tensor:
        """``step()`` without a closure, or with one that does nothing.

        Raises:
            InputError: this method makes its gradients itself.
        """
        if asks_for_entries(self.param_groups):
            return make_entries(self)
        name = type(self).__name__
        raise InputError(
            f"{name} evaluates the loss several times in a step; call step(closure), where closure returns the loss"
        )

    def register_after_backward_hook(self, hook: Callable[[Optimizer], None]) -> RemovableHandle:
        """Call ``hook(optimizer)`` between the last pass and the base optimizer's step, to clip ``.grad``, say.

        Example:
            >>> import torch
            >>> from eigensam.optim import SAM
            >>> x = torch.nn.Parameter(torch.ones(4))
            >>> optimizer = SAM([x], rho=0.1, lr=1.0)
            >>> _ = optimizer.register_after_backward_hook(lambda _: torch.nn.utils.clip_grad_norm_([x], 0.5))
            >>> _ = optimizer.step(lambda: (x**2).sum())
            >>> round(x[0].item(), 5)
            0.75
        """
        handle = RemovableHandle(self._after_backward)
        self._after_backward[handle.id] = hook
        return handle

    # -- what is kept

    def _about(self) -> dict[str, Any]:
        names = (*self.kept_settings, *self.kept_numbers, "skipped")
        method, base = type(self).__name__, type(self.base).__name__
        return {"method": method, "base": base, **{name: getattr(self, name) for name in names}}

    def state_dict(self) -> dict[str, Any]:
        """Everything that a later step depends on, the base optimizer's state included."""
        for hook in self._optimizer_state_dict_pre_hooks.values():
            hook(self)
        with hooks_held_back(self), whole_groups():
            own = super().state_dict()
        with whole_groups():
            state = merge(own, self.base.state_dict(), self._about())
        for changed in self._optimizer_state_dict_post_hooks.values():
            found = changed(self, state)
            state = state if found is None else found
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Inverse of :meth:`state_dict`.

        Raises:
            InputError: a state of another method, base, settings or model; between the halves of a step, whose
                parameters would then be put back over those that were loaded. Nothing has been overwritten then.
        """
        self.check_idle()
        for hook in self._optimizer_load_state_dict_pre_hooks.values():
            found = hook(self, state_dict)
            state_dict = state_dict if found is None else found
        own, base, said = split(state_dict, self._about(), self.kept_settings, self.param_groups, self.defaults)
        with refusing("saved groups"):
            for group in own["param_groups"]:
                self.check_group(group)
        with hooks_held_back(self):
            super().load_state_dict(own)
        self.base.load_state_dict(base)
        keep_types(self.base, base)
        for name in (*self.kept_numbers, "skipped"):
            setattr(self, name, said[name])
        for done in self._optimizer_load_state_dict_post_hooks.values():
            done(self)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Inverse of :meth:`__getstate__`."""
        super().__setstate__({k: v for k, v in state.items() if k != "param_groups"})  # those are the base's
        joins(self)

    def __getstate__(self) -> dict[str, Any]:
        """For ``deepcopy`` and ``pickle``: all but hooks, which torch's optimizers leave out, too."""
        left_out = {"step", "_told", "_originals", "_workers", "_after_backward"}
        kept = {k: v for k, v in self.__dict__.items() if k not in left_out and not k.startswith("_optimizer_")}
        # Modules that are copied along have registered no buffers, so they have to be looked for again.
        empty = dict.fromkeys(("_told", "_originals", "_workers"))
        return {**kept, **empty, "_after_backward": OrderedDict(), "_buffers_found": False}
