"""A module and a loss as functions of one flat vector of parameters."""

import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase
from typing import Any, Literal

import torch
import torch.utils.checkpoint
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.parallel import DataParallel, DistributedDataParallel

from .errors import InputError
from .flat import flatten, unflatten

__all__ = ["Batch", "LossFunction", "Mode", "NetworkFunction", "differentiable"]

Batch = tuple[Tensor, Tensor]
LossFunction = Callable[[Tensor, Tensor], Tensor]
Mode = Literal["train", "eval"]

_Norm = nn.modules.batchnorm._NormBase
_HALF = (torch.float16, torch.bfloat16)


@contextmanager
def differentiable(device: torch.device) -> Iterator[None]:
    """Whatever the caller has switched on or off: gradients can be taken, in full precision, backward passes too."""
    with torch.inference_mode(False), torch.enable_grad(), torch.autocast(device.type, enabled=False):
        yield


class NetworkFunction:
    """The outputs and the mean loss of a network at any parameters ``x``, shape ``(d,)``.

    The module's own parameters, buffers and mode are left as they were. Half-precision parameters are evaluated in
    float32, and autocast is off: curvature of a loss rounded to 8 bits is noise.

    Args:
        model: any module; of a wrapper for parallel training or of a compiled module, which cannot be differentiated
            twice, the module inside is taken.
        loss: maps (outputs, targets) of one batch to its mean loss, a scalar.
        mode: ``eval`` uses batch norm's running statistics; ``train`` those of the batch, leaving the running ones
            untouched. All other modules, dropout among them, are in eval mode in both.
        parameters: names or patterns (``"layer4.*"``) of the parameters that are coordinates; all other ones are held
            fixed. Default: all trainable ones, in the order of ``named_parameters``.

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
        self, model: nn.Module, loss: LossFunction, *, mode: Mode = "eval", parameters: Sequence[str] | None = None
    ) -> None:
        if mode not in ("train", "eval"):
            raise InputError(f"mode '{mode}' is not one of: train, eval")
        model = _unwrapped(model)
        trainable = {name: p for name, p in model.named_parameters() if p.requires_grad}
        if not trainable:
            raise InputError("the model has no trainable parameter; set requires_grad=True on some")
        if parameters is not None:
            trainable = _chosen(model, trainable, [parameters] if isinstance(parameters, str) else parameters)
        self.model, self.loss_function, self.mode = model, loss, mode
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
        places = {id(p): index for index, p in enumerate(trainable.values())}
        self._slots: list[tuple[Any, str, int | None]] = [
            (module._parameters, key, places.get(id(p)))
            for module in self._modules
            for key, p in module._parameters.items()
            if p is not None and (id(p) in places or p.requires_grad or self._promoted)
        ]

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

    def outputs(self, parameters: Sequence[Tensor], inputs: Tensor) -> Tensor:
        """The network's outputs where the chosen parameters have the given values."""
        with self._evaluating(parameters):
            return self._outputs(inputs)

    def loss(self, parameters: Sequence[Tensor], batch: Batch) -> Tensor:
        """The mean loss of one batch, a scalar; terms of the loss that read the module's parameters count, too."""
        with self._evaluating(parameters):
            loss = self.loss_of(self._outputs(batch[0]), batch[1])
        if not self._isolated:
            self._check_isolation(loss)
        return loss

    def _outputs(self, inputs: Tensor) -> Tensor:
        result: Tensor = self.model(self._wide(inputs.to(self.device)))
        return result

    @contextmanager
    def _evaluating(self, parameters: Sequence[Tensor]) -> Iterator[None]:
        # The fused attention kernels have no second derivative; the plain one has all of them.
        with (
            self._in_mode(),
            self._holding(parameters),
            _without_checkpointing(),
            sdpa_kernel(SDPBackend.MATH),
            torch.autocast(self.device.type, enabled=False),
        ):
            yield

    def _check_isolation(self, loss: Tensor) -> None:
        """Refuse a graph that reaches the module's own parameters past the given ones (once: it is always the same)."""
        own = {id(p) for p in self.model.parameters()}
        root = getattr(loss, "stack", loss).grad_fn
        if root is None:
            return
        waiting, seen = [root], {root}
        while waiting:
            node = waiting.pop()
            if id(getattr(node, "variable", None)) in own:
                raise InputError(
                    "the loss reaches a parameter that the module does not hold where it is registered (a copy in a "
                    "list or a closure); look it up as an attribute of the module, or by module.parameters()"
                )
            for below, _ in node.next_functions:
                if below is not None and below not in seen:
                    seen.add(below)
                    waiting.append(below)
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
        before: list[tuple[dict[str, Tensor | None], str, Tensor | None]] = []
        try:
            for owner, key, index in self._slots:
                old = owner[key]
                before.append((owner, key, old))
                # The other parameters are constants, so that no graph is built for them.
                owner[key] = parameters[index] if index is not None else self._wide(old.detach())
            if self.mode == "train" or self._promoted:
                copies: dict[int, Tensor] = {}  # one for each buffer, also where modules share it
                for module in self._modules:
                    for key, buffer in module._buffers.items():
                        if buffer is None:
                            continue
                        before.append((module._buffers, key, buffer))
                        if id(buffer) not in copies:
                            # Batch norm writes its running statistics into these.
                            copies[id(buffer)] = self._wide(buffer).clone()
                        module._buffers[key] = copies[id(buffer)]
            yield
        finally:
            for owner, key, old in reversed(before):
                owner[key] = old

    def loss_of(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The mean loss of one batch whose outputs are known, a scalar."""
        with torch.autocast(self.device.type, enabled=False):
            loss = self.loss_function(outputs, self._wide(targets.to(self.device)))
        if not isinstance(loss, Tensor):
            raise InputError(f"the loss is a {type(loss).__name__}; expected a tensor that torch can differentiate")
        if loss.numel() != 1:
            raise InputError(f"the loss has shape {tuple(loss.shape)}; expected the mean over the examples, a scalar")
        return loss.reshape(()) if loss.ndim else loss

    def _wide(self, tensor: Tensor) -> Tensor:
        """What a model with half-precision parameters computes with."""
        return tensor.to(self.dtype) if self._promoted and tensor.is_floating_point() else tensor


def _recomputes(*arguments: Any, **options: Any) -> Any:
    raise InputError(
        "the network uses activation checkpointing, which computes again in the backward pass, when the module holds "
        "other parameters; switch it off (for instance model.gradient_checkpointing_disable()) and use smaller batches"
    )


class _Recomputing:
    apply = staticmethod(_recomputes)


@contextmanager
def _without_checkpointing() -> Iterator[None]:
    """Refuse activation checkpointing, of both of torch's kinds."""
    module: Any = torch.utils.checkpoint
    stubs = {"_CheckpointFrame": _recomputes, "CheckpointFunction": _Recomputing}
    before = {name: getattr(module, name) for name in stubs}
    try:
        for name, stub in stubs.items():
            setattr(module, name, stub)
        yield
    finally:
        for name, old in before.items():
            setattr(module, name, old)


def _unwrapped(model: nn.Module) -> nn.Module:
    while True:
        if isinstance(model, (DataParallel, DistributedDataParallel)):
            model = model.module
        elif isinstance(getattr(model, "_orig_mod", None), nn.Module):  # torch.compile's
            model = model._orig_mod  # type: ignore[assignment]
        else:
            return model


def _chosen(model: nn.Module, trainable: dict[str, nn.Parameter], patterns: Sequence[str]) -> dict[str, nn.Parameter]:
    """The parameters that have a name that matches; one that is shared by several modules has several names."""
    if not patterns:
        raise InputError("no parameter is chosen; give at least one name or pattern")
    matched: set[int] = set()
    for pattern in patterns:
        every = model.named_parameters(remove_duplicate=False)
        found = {id(p) for name, p in every if p.requires_grad and fnmatchcase(name, pattern)}
        if not found:
            known = ", ".join(list(trainable)[:8]) + (", ..." if len(trainable) > 8 else "")
            raise InputError(f"no trainable parameter matches '{pattern}'; there are: {known}")
        matched |= found
    return {name: p for name, p in trainable.items() if id(p) in matched}
