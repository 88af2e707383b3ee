"""A module and a loss as functions of one flat vector of parameters."""

import copy
import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from threading import get_ident
from typing import Any, Literal, NamedTuple, TypedDict

import torch
from torch import Tensor, nn

from ...ground.errors import InputError
from ..derivatives.double_precision import DoublePrecision
from ..derivatives.flat import flatten, unflatten
from ..derivatives.plain_evaluation import differentiable, plain_evaluation
from ..derivatives.reverse_products import reaches
from .batch_rows import map_tensors, versions_of
from .chosen_parameters import matching_parameters, unwrapped
from .loss_counts import CountFunction, count_of
from .module_state import ModuleState, restore_state, state_of

__all__ = ["Batch", "ForwardFunction", "FunctionOptions", "LossFunction", "Mode", "NetworkFunction"]


Batch = Any
"""A pair (inputs, targets) of tensors; with a ``forward`` function of one's own, whatever that takes."""
LossFunction = Callable[[Any, Any], Tensor]
ForwardFunction = Callable[[nn.Module, Any], Any]
Mode = Literal["train", "eval"]
_Norm = nn.modules.batchnorm._NormBase
_HALF = (torch.float16, torch.bfloat16)


class _Slot(NamedTuple):
    """Where a module keeps a tensor, which coordinate it is, if any, and what stands for it in a snapshot."""

    owner: Any
    key: str
    place: int | None
    kept: Tensor | None = None
    buffer: bool = False


class FunctionOptions(TypedDict, total=False):
    """Keywords of :class:`NetworkFunction`, for what is built on one."""

    mode: Mode
    parameters: Sequence[str] | None
    forward: ForwardFunction | None
    count: CountFunction | None


class NetworkFunction:
    """The outputs and the mean loss of a network at any parameters ``x``, shape ``(d,)``.

    The module's own parameters, buffers and mode are left as they were. Half-precision parameters are evaluated in
    float32, and autocast is off: curvature of a loss rounded to 8 bits is noise.

    Activation checkpointing is off (:func:`plain_evaluation`).

    Args:
        model: any module; of a wrapper for parallel training or of a compiled module, which cannot be differentiated
            twice, the module inside is taken.
        loss: maps (outputs, targets) of one batch to its mean loss, a scalar; with ``forward``, (outputs, batch).
        mode: ``eval`` uses batch norm's running statistics; ``train`` those of the batch, leaving the running ones
            untouched. All other modules, dropout among them, are in eval mode in both.
        parameters: names or patterns (``"layer4.*"``) of the parameters that are coordinates; all other ones are held
            fixed. Default: all trainable ones, in the order of ``named_parameters``.
        forward: maps (model, batch) to the outputs, for batches other than a pair (inputs, targets), such as
            ``lambda model, batch: model(**batch)``.
        count: maps a batch to what its mean loss was divided by, for the mean over several batches. Default: the number
            of examples; for torch's cross-entropy, the weights of its targets that are not ignored.

    Attributes:
        names: of the coordinates' parameters.
        shapes: theirs.
        dim: ``d``.
        dtype: of ``x``.
        device: of the parameters.

    Raises:
        InputError: no trainable parameter, or a pattern that matches none.

    Example:
        >>> import torch
        >>> model = torch.nn.Sequential(torch.nn.Linear(3, 5), torch.nn.Tanh(), torch.nn.Linear(5, 2))
        >>> last = NetworkFunction(model, torch.nn.functional.cross_entropy, parameters=["2.*"])
        >>> last.names, last.dim
        (['2.weight', '2.bias'], 12)
    """

    def __init__(
        self,
        model: nn.Module,
        loss: LossFunction,
        *,
        mode: Mode = "eval",
        parameters: Sequence[str] | None = None,
        forward: ForwardFunction | None = None,
        count: CountFunction | None = None,
    ) -> None:
        if mode not in ("train", "eval"):
            raise InputError(f"mode '{mode}' is not one of: train, eval")
        model = unwrapped(model)
        trainable = {name: p for name, p in model.named_parameters() if p.requires_grad}
        if not trainable:
            raise InputError("the model has no trainable parameter; set requires_grad=True on some")
        if parameters is not None:
            trainable = matching_parameters(
                model, trainable, [parameters] if isinstance(parameters, str) else parameters
            )
        self.model, self.loss_function, self.mode = model, loss, mode
        self.forward_function, self.count_function = forward, count
        self.names = list(trainable)
        self.shapes = [p.shape for p in trainable.values()]
        self.dim = sum(shape.numel() for shape in self.shapes)
        self._promoted = any(p.dtype in _HALF for p in model.parameters())
        # The widest of their types; where some are halves, at least float32.
        self.dtype = functools.reduce(
            torch.promote_types,
            (p.dtype for p in trainable.values()),
            torch.float32 if self._promoted else next(iter(trainable.values())).dtype,
        )
        self.device = next(iter(trainable.values())).device
        self._modules = list(model.modules())
        self._isolated = False
        self._prepared: int | None = None  # the thread that is inside of prepared()
        self._writes: bool | None = None
        self._doubled = False
        chosen = {id(p): index for index, p in enumerate(trainable.values())}
        self._places = {  # by name, not by tensor: load_state_dict(assign=True) puts others there
            (index, key): chosen[id(p)]
            for index, module in enumerate(self._modules)
            for key, p in module._parameters.items()
            if id(p) in chosen
        }
        self._slots = self._find_slots(every=self._promoted)

    def _find_slots(self, *, every: bool, keep: bool = False) -> list[_Slot]:
        """The coordinates and all else that has to be put in its place; every tensor, if that is asked for."""
        copies: dict[int, Tensor] = {}  # one for each tensor, also where modules share it

        def kept(tensor: Tensor) -> Tensor | None:
            return copies.setdefault(id(tensor), tensor.detach().clone()) if keep else None

        slots = []
        for index, module in enumerate(self._modules):
            for key, p in module._parameters.items():
                place = self._places.get((index, key))
                if place is not None:
                    slots.append(_Slot(module._parameters, key, place))
                elif p is not None and (p.requires_grad or every):
                    slots.append(_Slot(module._parameters, key, None, kept(p)))
        for module in self._modules:
            buffers = [(key, buffer) for key, buffer in module._buffers.items() if buffer is not None]
            slots += [_Slot(module._buffers, key, None, kept(buffer), buffer=True) for key, buffer in buffers]
        return slots

    def snapshot(self) -> "NetworkFunction":
        """The same function for good: parameters that are not coordinates and buffers are copied as they are now."""
        twin = self._twin()
        twin._slots = self._find_slots(every=True, keep=True)
        return twin

    def in_double(self) -> "NetworkFunction":
        """The same function in float64, of a point and batches of any type; nothing of the module is copied for good.

        Evaluating it fails where a part of the network cannot be computed in float64.
        """
        twin = self._twin()
        twin.dtype, twin._promoted, twin._doubled = torch.float64, True, True
        if not self._promoted and not any(slot.kept is not None for slot in self._slots):
            twin._slots = self._find_slots(every=True)
        return twin

    def _twin(self) -> "NetworkFunction":
        twin = copy.copy(self)
        twin._prepared = None
        return twin

    def point(self) -> Tensor:
        """The module's current parameters as one new vector, shape ``(d,)``."""
        parameters = dict(self.model.named_parameters())
        return flatten(parameters[name].detach() for name in self.names).to(self.dtype)

    @torch.no_grad()
    def load_point(self, x: Tensor) -> None:
        """Write ``x`` into the module's parameters."""
        parameters = dict(self.model.named_parameters())
        for name, view in zip(self.names, unflatten(x, self.shapes), strict=True):
            parameters[name].copy_(view)

    def inputs_of(self, batch: Batch) -> Any:
        """The part of a batch that :meth:`outputs` takes."""
        return self._pair(batch)[0] if self.forward_function is None else batch

    def targets_of(self, batch: Batch) -> Any:
        """The part of a batch that :meth:`loss_of` takes."""
        return self._pair(batch)[1] if self.forward_function is None else batch

    def count(self, batch: Batch) -> float:
        """What the mean loss of a batch was divided by."""
        return count_of(self.loss_function, self.count_function, self.targets_of(batch), batch)

    def outputs(self, parameters: Sequence[Tensor], inputs: Any) -> Any:
        """The network's outputs where the chosen parameters have the given values."""
        with self.evaluating(parameters):
            return self._outputs(inputs)

    def loss(self, parameters: Sequence[Tensor], batch: Batch) -> Tensor:
        """The mean loss of one batch, a scalar; terms of the loss that read the module's parameters count, too."""
        inputs, targets = self.inputs_of(batch), self.targets_of(batch)
        with self.evaluating(parameters):
            loss = self.loss_of(self._outputs(inputs), targets)
        if not self._isolated:
            self._check_isolation(loss)
        return loss

    @staticmethod
    def _pair(batch: Batch) -> tuple[Any, Any]:
        if not isinstance(batch, list | tuple) or len(batch) != 2:
            found = f"a {type(batch).__name__}"
            if isinstance(batch, list | tuple):
                found += f" of {len(batch)} parts"
            raise InputError(
                f"a batch is {found}; expected a pair of tensors (inputs, targets); for another one give "
                "forward=lambda model, batch: ..., for instance model(**batch), and a loss of (outputs, batch)"
            )
        return batch[0], batch[1]

    def _outputs(self, inputs: Any) -> Any:
        inputs = map_tensors(inputs, self._here)
        if self._writes is False:
            return self._called(inputs)
        # A network that writes into its inputs must not write into the data; known after one evaluation.
        inputs = map_tensors(inputs, torch.clone)
        versions = versions_of(inputs)
        outputs = self._called(inputs)
        self._writes = versions_of(inputs) != versions
        return outputs

    def _called(self, inputs: Any) -> Any:
        return self.model(inputs) if self.forward_function is None else self.forward_function(self.model, inputs)

    @contextmanager
    def evaluating(self, parameters: Sequence[Tensor]) -> Iterator[None]:
        """The module as it is evaluated at the given parameters; as it was, after."""
        if self._prepared == get_ident():
            with self._holding(parameters):
                yield
            return
        with (
            self._in_mode(),
            self._holding(parameters),
            plain_evaluation(),
            torch.autocast(self.device.type, enabled=False),
            DoublePrecision() if self._doubled else nullcontext(),
        ):
            yield

    @contextmanager
    def prepared(self) -> Iterator[None]:
        """Many evaluations and their backward passes, in this thread: what is the same for all is set up once.

        Of a small network, the modes of modules and of torch cost as much as a gradient.
        """
        if self._doubled or self._prepared is not None:
            yield
            return
        with self._in_mode(), plain_evaluation(), differentiable(self.device):
            self._prepared = get_ident()
            try:
                yield
            finally:
                self._prepared = None

    def _check_isolation(self, loss: Tensor) -> None:
        """Refuse a graph that reaches the module's own parameters past the given ones (once: it is always the same)."""
        if torch._C._are_functorch_transforms_active():
            return  # there tensors do not show their graph; who maps a network evaluates it plainly as well
        if reaches(getattr(loss, "stack", loss), self.model.parameters()):
            raise InputError(
                "the loss reaches a parameter that the module does not hold where it is registered (a copy in a list "
                "or a closure); look it up as an attribute of the module, or by module.parameters()"
            )
        self._isolated = True

    @contextmanager
    def _in_mode(self) -> Iterator[None]:
        """Normalisations in the mode, all else in eval (a loss must be a function: no dropout); restored after."""
        before = [module.training for module in self._modules]
        train = self.mode == "train"
        try:
            for module in self._modules:
                module.training = train and isinstance(module, _Norm)
            yield
        finally:
            for module, training in zip(self._modules, before, strict=True):
                module.training = training

    @contextmanager
    def _holding(self, parameters: Sequence[Tensor]) -> Iterator[None]:
        """The module with the given parameters, all others constant, and buffers that may be written; restored after.

        Like ``torch.func.functional_call``, which looks every name up again at each call: a third of a small
        network's gradient.
        """
        if len(parameters) != len(self.names):
            raise InputError(f"found {len(parameters)} parameters; expected {len(self.names)}")
        before: list[tuple[Any, str, Tensor]] = []
        copies: dict[int, Tensor] = {}
        attributes: list[tuple[dict[str, Any], ModuleState]] = []
        try:
            attributes += [(module.__dict__, state_of(module)) for module in self._modules]
            for owner, key, place, kept, buffer in self._slots:
                old = owner[key]
                before.append((owner, key, old))
                if place is not None:
                    owner[key] = _aligned(parameters[place])
                    continue
                given = old if kept is None else kept
                if id(given) not in copies:  # one for each tensor, also where modules share it
                    # The others are constants, so that no graph is built for them.
                    wide = self._wide(given.detach())
                    # Batch norm writes its running statistics into these, and others what they count.
                    copies[id(given)] = wide.clone() if buffer and wide.dtype == given.dtype else wide
                owner[key] = copies[id(given)]
            yield
        finally:
            for owner, key, old in reversed(before):
                owner[key] = old
            for holder, state in attributes:
                restore_state(holder, state)

    def loss_of(self, outputs: Any, targets: Any) -> Tensor:
        """The mean loss of one batch whose outputs are known, a scalar."""
        if self._prepared == get_ident():
            loss = self.loss_function(outputs, map_tensors(targets, self._here))
        else:
            double = DoublePrecision() if self._doubled else nullcontext()
            with torch.autocast(self.device.type, enabled=False), double:
                loss = self.loss_function(outputs, map_tensors(targets, self._here))
        if not isinstance(loss, Tensor):
            raise InputError(f"the loss is a {type(loss).__name__}; expected a tensor that torch can differentiate")
        if loss.numel() != 1:
            raise InputError(f"the loss has shape {tuple(loss.shape)}; expected the mean over the examples, a scalar")
        return loss.reshape(()) if loss.ndim else loss

    def _here(self, tensor: Tensor) -> Tensor:
        return self._wide(tensor.to(self.device))

    def _wide(self, tensor: Tensor) -> Tensor:
        """What a model with half-precision parameters computes with."""
        return tensor.to(self.dtype) if self._promoted and tensor.is_floating_point() else tensor


def _aligned(p: Tensor) -> Tensor:
    """Pairs of numbers that are read as complex ones must begin at an even place in memory, which a flat vector's views
    need not do."""
    if type(p) is Tensor and p.shape[-1:] == (2,) and p.storage_offset() % 2:
        return p * 1  # and not a clone, whose derivative would be another view
    return p
