"""Functions that are linear in their one argument act on every coefficient alike: shapes, sums, means, pooling."""

import itertools
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from .elementwise import warn_kinks
from .jet import Jet, NotCoveredError, is_jet, rule

__all__: list[str] = []


def _view(x: Jet, stack: Tensor) -> Jet:
    return Jet.of_stack(stack, x.order, is_view=True)


def _axis(dim: int) -> int:
    """An axis of the tensor as one of the stack."""
    return dim if dim < 0 else dim + 1


def _sizes(given: tuple[Any, ...]) -> tuple[int, ...]:
    return tuple(given[0]) if len(given) == 1 and isinstance(given[0], Sequence) else given


@rule(Tensor.view, Tensor.reshape)
def _reshape(x: Jet, *shape: Any, **named: Any) -> Any:
    if named or any(isinstance(size, torch.dtype) for size in shape):
        raise NotCoveredError("a view as another type")
    return _view(x, x.stack.reshape(len(x.stack), *_sizes(shape)))


@rule(torch.reshape)
def _reshape_function(input: Jet, shape: Sequence[int]) -> Jet:
    return _view(input, input.stack.reshape(len(input.stack), *shape))


@rule(torch.flatten, Tensor.flatten)
def _flatten(input: Jet, start_dim: int = 0, end_dim: int = -1) -> Jet:
    if input.ndim == 0:
        return _view(input, input.stack.view(-1, 1))
    return _view(input, input.stack.flatten(_axis(start_dim), _axis(end_dim)))


@rule(torch.unflatten, Tensor.unflatten)
def _unflatten(input: Jet, dim: int, sizes: Any) -> Jet:
    return _view(input, input.stack.unflatten(_axis(dim), sizes))


@rule(torch.transpose, Tensor.transpose, torch.swapaxes, Tensor.swapaxes)
def _transpose(input: Jet, dim0: int, dim1: int) -> Jet:
    return _view(input, input.stack.transpose(_axis(dim0), _axis(dim1)))


@rule(getattr(Tensor, "mT").__get__)  # noqa: B009 (its type is that of a tensor)
def _matrix_transpose(input: Jet) -> Jet:
    return _view(input, input.stack.mT)


@rule(Tensor.t, torch.t, getattr(Tensor, "T").__get__)  # noqa: B009
def _t(input: Jet) -> Jet:
    return _view(input, input.stack.permute(0, *range(input.ndim, 0, -1)))


@rule(torch.permute, Tensor.permute)
def _permute(input: Jet, *dims: Any) -> Jet:
    return _view(input, input.stack.permute(0, *(d % input.ndim + 1 for d in _sizes(dims))))


@rule(torch.movedim, Tensor.movedim)
def _movedim(input: Jet, source: int, destination: int) -> Jet:
    if not isinstance(source, int) or not isinstance(destination, int):
        raise NotCoveredError("movedim of several axes")
    return _view(input, input.stack.movedim(_axis(source), _axis(destination)))


@rule(torch.unsqueeze, Tensor.unsqueeze)
def _unsqueeze(input: Jet, dim: int) -> Jet:
    return _view(input, input.stack.unsqueeze(_axis(dim)))


@rule(torch.squeeze, Tensor.squeeze)
def _squeeze(input: Jet, dim: int | None = None) -> Jet:
    if dim is None or not isinstance(dim, int):
        kept = [size for size in input.shape if size != 1] if dim is None else None
        if kept is None:
            raise NotCoveredError("squeeze of several axes")
        return _view(input, input.stack.view(len(input.stack), *kept))
    return _view(input, input.stack.squeeze(_axis(dim)))


@rule(Tensor.expand)
def _expand(input: Jet, *sizes: Any) -> Jet:
    given = _sizes(sizes)
    stack = input.stack
    stack = stack.view(len(stack), *[1] * (len(given) - input.ndim), *input.shape)
    return _view(input, stack.expand(-1, *given))


@rule(Tensor.expand_as)
def _expand_as(input: Jet, other: Tensor) -> Any:
    return _expand(input, *other.shape)


@rule(Tensor.__getitem__)
def _getitem(input: Any, index: Any) -> Jet:
    if not is_jet(input):
        raise NotCoveredError("an index that depends on the parameters")
    index = index if isinstance(index, tuple) else (index,)
    if any(is_jet(part) for part in index):
        raise NotCoveredError("an index that depends on the parameters")
    # An index that is a tensor or a list takes its place behind the first axis, as it must: slices only lie before it.
    lists = [i for i, part in enumerate(index) if isinstance(part, (Tensor, list))]
    if lists and any(b - a > 1 for a, b in itertools.pairwise(lists)):
        raise NotCoveredError("lists of indices with a slice between them")
    return _view(input, input.stack[(slice(None), *index)])


@rule(torch.chunk, Tensor.chunk)
def _chunk(input: Jet, chunks: int, dim: int = 0) -> tuple[Jet, ...]:
    return tuple(_view(input, part) for part in input.stack.chunk(chunks, _axis(dim)))


@rule(torch.split, Tensor.split)
def _split(tensor: Jet, split_size_or_sections: Any, dim: int = 0) -> tuple[Jet, ...]:
    return tuple(_view(tensor, part) for part in tensor.stack.split(split_size_or_sections, _axis(dim)))


@rule(torch.unbind, Tensor.unbind, Tensor.__iter__)
def _unbind(input: Jet, dim: int = 0) -> tuple[Jet, ...]:
    return tuple(_view(input, part) for part in input.stack.unbind(_axis(dim)))


def _alike(tensors: Sequence[Any]) -> tuple[list[Tensor], int]:
    """Stacks of equal length, zeros in place of missing coefficients."""
    order = next(t.order for t in tensors if is_jet(t))
    stacks = [t.stack if is_jet(t) else t.unsqueeze(0) for t in tensors]
    count = max(len(s) for s in stacks)
    return [s if len(s) == count else torch.cat([s, s.new_zeros(count - len(s), *s.shape[1:])]) for s in stacks], order


@rule(torch.cat, torch.concat, torch.concatenate)
def _cat(tensors: Sequence[Any], dim: int = 0) -> Jet:
    stacks, order = _alike(tensors)
    return Jet.of_stack(torch.cat(stacks, _axis(dim)), order)


@rule(torch.stack)
def _stack(tensors: Sequence[Any], dim: int = 0) -> Jet:
    stacks, order = _alike(tensors)
    return Jet.of_stack(torch.stack(stacks, _axis(dim)), order)


@rule(Tensor.contiguous)
def _contiguous(input: Jet, *args: Any, **kwargs: Any) -> Jet:
    return input


@rule(Tensor.clone, torch.clone)
def _clone(input: Jet, *args: Any, **kwargs: Any) -> Jet:
    return Jet.of_stack(input.stack.clone(), input.order)


@rule(Tensor.to, Tensor.type_as)
def _to(input: Any, *args: Any, **kwargs: Any) -> Any:
    args = tuple(argument.parts[0] if is_jet(argument) else argument for argument in args)
    if not is_jet(input):
        return input.to(*args, **kwargs)
    target = input.parts[0].detach().to(*args, **kwargs)
    if target.dtype != input.dtype or target.device != input.device:
        raise NotCoveredError("a change of type or device")
    return input


@rule(torch.sum, Tensor.sum)
def _sum(input: Jet, dim: Any = None, keepdim: bool = False) -> Jet:
    dims = range(input.ndim) if dim is None else [dim] if isinstance(dim, int) else dim
    if not input.ndim:
        return input
    return Jet.of_stack(input.stack.sum([_axis(d) for d in dims], keepdim), input.order)


@rule(torch.mean, Tensor.mean)
def _mean(input: Jet, dim: Any = None, keepdim: bool = False) -> Jet:
    dims = range(input.ndim) if dim is None else [dim] if isinstance(dim, int) else dim
    if not input.ndim:
        return input
    return Jet.of_stack(input.stack.mean([_axis(d) for d in dims], keepdim), input.order)


@rule(
    functional.dropout,
    functional.dropout1d,
    functional.dropout2d,
    functional.dropout3d,
    functional.alpha_dropout,
    functional.feature_alpha_dropout,
)
def _dropout(input: Jet, p: float = 0.5, training: bool = True, inplace: bool = False) -> Jet:
    if training and p:
        raise NotCoveredError("dropout")
    return input


def _linear_on_images(function: Any) -> Any:
    """A function of each example alone: coefficients are more examples."""

    def apply(input: Jet, *args: Any, **kwargs: Any) -> Jet:
        stack = input.stack
        if input.ndim < 3:
            raise NotCoveredError("pooling without a batch axis")
        return Jet.of_stack(function(stack.flatten(0, 1), *args, **kwargs).unflatten(0, stack.shape[:2]), input.order)

    return apply


for _functions in (
    (functional.avg_pool2d, torch._C._nn.avg_pool2d),
    (functional.avg_pool1d, torch.avg_pool1d),
    (functional.adaptive_avg_pool2d,),
    (functional.adaptive_avg_pool1d, torch.adaptive_avg_pool1d),
    (functional.interpolate,),
):
    rule(*_functions)(_linear_on_images(_functions[0]))


@rule(functional.max_pool2d, torch.max_pool2d)
def _max_pool2d(input: Jet, *args: Any, **kwargs: Any) -> Jet:
    if kwargs.pop("return_indices", False):
        raise NotCoveredError("max pooling that returns indices")
    if input.ndim != 4:
        raise NotCoveredError("max pooling without a batch axis")
    if input.order > 1:
        warn_kinks("max pooling")
    with torch.no_grad():
        values, indices = functional.max_pool2d_with_indices(input.parts[0], *args, **kwargs)
    flat = input.stack.flatten(-2)
    chosen = indices.flatten(-2).expand(len(flat), -1, -1, -1)
    return Jet.of_stack(flat.gather(-1, chosen).view(len(flat), *values.shape), input.order)


@rule(functional.pad)
def _pad(input: Jet, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Jet:
    if value:
        raise NotCoveredError("padding by a constant other than 0")
    if mode != "constant":
        return _linear_on_images(lambda x: functional.pad(x, pad, mode))(input)  # type: ignore[no-any-return]
    return Jet.of_stack(functional.pad(input.stack, pad), input.order)


@rule(functional.embedding)
def _embedding(
    input: Tensor,
    weight: Any,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Jet:
    if not is_jet(weight) or is_jet(input) or padding_idx is not None or max_norm is not None:
        raise NotCoveredError("an embedding with a padding index or a largest norm")
    return Jet.of_parts([part[input] for part in weight.parts], weight.order)
