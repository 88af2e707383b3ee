"""A module and a loss as functions of one flat vector of parameters."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase
from typing import Literal

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel

from .errors import InputError
from .flat import flatten, unflatten

__all__ = ["Batch", "LossFunction", "Mode", "NetworkFunction"]

Batch = tuple[Tensor, Tensor]
LossFunction = Callable[[Tensor, Tensor], Tensor]
Mode = Literal["train", "eval"]

_Norm = nn.modules.batchnorm._NormBase


@contextmanager
def _in_mode(model: nn.Module, mode: Mode) -> Iterator[None]:
    """Put normalisations in ``mode``, all else in eval (a loss must be a function: no dropout); restore it after."""
    before = [(module, module.training) for module in model.modules()]
    try:
        for module, _ in before:
            module.training = mode == "train" and isinstance(module, _Norm)
        yield
    finally:
        for module, training in before:
            module.training = training


class NetworkFunction:
    """The outputs and the mean loss of a network at any parameters ``x``, shape ``(d,)``.

    The module's own parameters, buffers and mode are left as they were. Half-precision parameters are evaluated in
    float32, and autocast is off: curvature of a loss rounded to 8 bits is noise.

    Args:
        model: any module.
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
        trainable = {name: p for name, p in model.named_parameters() if p.requires_grad}
        if not trainable:
            raise InputError("the model has no trainable parameter; set requires_grad=True on some")
        if parameters is not None:
            for pattern in [parameters] if isinstance(parameters, str) else parameters:
                if not any(fnmatchcase(name, pattern) for name in trainable):
                    known = ", ".join(list(trainable)[:8]) + (", ..." if len(trainable) > 8 else "")
                    raise InputError(f"no trainable parameter matches '{pattern}'; there are: {known}")
            patterns = [parameters] if isinstance(parameters, str) else list(parameters)
            trainable = {n: p for n, p in trainable.items() if any(fnmatchcase(n, pattern) for pattern in patterns)}
            if not trainable:
                raise InputError("no parameter is chosen; give at least one name or pattern")
        self.model, self.loss_function, self.mode = model, loss, mode
        self.names = list(trainable)
        self.shapes = [p.shape for p in trainable.values()]
        first = next(iter(trainable.values()))
        self.dim = sum(shape.numel() for shape in self.shapes)
        self._promoted = first.dtype in (torch.float16, torch.bfloat16)
        self.dtype = torch.float32 if self._promoted else first.dtype
        self.device = first.device

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
        state: dict[str, Tensor] = {}
        inputs = inputs.to(self.device)
        if self._promoted:
            others = [*self.model.named_parameters(), *self.model.named_buffers()]
            state = {n: t.detach().to(self.dtype) if t.is_floating_point() else t for n, t in others}
            inputs = inputs.to(self.dtype) if inputs.is_floating_point() else inputs
        if self.mode == "train":  # batch norm writes its running statistics into these copies
            state |= {n: state.get(n, buffer).clone() for n, buffer in self.model.named_buffers()}
        state |= dict(zip(self.names, parameters, strict=True))
        # The fused attention kernels have no second derivative; the plain one has all of them.
        with (
            _in_mode(self.model, self.mode),
            sdpa_kernel(SDPBackend.MATH),
            torch.autocast(self.device.type, enabled=False),
        ):
            result: Tensor = functional_call(self.model, state, (inputs,))
        return result

    def loss(self, parameters: Sequence[Tensor], batch: Batch) -> Tensor:
        """The mean loss of one batch, a scalar."""
        loss = self.loss_function(self.outputs(parameters, batch[0]), batch[1].to(self.device))
        if loss.numel() != 1:
            raise InputError(f"the loss has shape {tuple(loss.shape)}; expected the mean over the examples, a scalar")
        return loss
