"""Functions that are linear in their one argument act on every coefficient alike: shapes, sums, means, pooling."""

import itertools
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from .elementwise import warn_kinks
from .jet import Jet, NotCoveredError, checked_axis, is_jet, rule

__all__: list[str] = []


def _view(x: Jet, stack: Tensor) -> Jet:
    return x.view_of_stack(stack)


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
    return _view(input, input.stack.flatten(checked_axis(start_dim, input.ndim), checked_axis(end_dim, input.ndim)))


@rule(torch.unflatten, Tensor.unflatten)
def _unflatten(input: Jet, dim: int, sizes: Any) -> Jet:
    return _view(input, input.stack.unflatten(checked_axis(dim, input.ndim), sizes))


@rule(torch.transpose, Tensor.transpose, torch.swapaxes, Tensor.swapaxes)
def _transpose(input: Jet, dim0: int, dim1: int) -> Jet:
    return _view(input, input.stack.transpose(checked_axis(dim0, input.ndim), checked_axis(dim1, input.ndim)))


@rule(getattr(Tensor, "mT").__get__)  # noqa: B009 (its type is that of a tensor)
def _matrix_transpose(input: Jet) -> Jet:
    return _view(input, input.stack.mT)


@rule(Tensor.t, torch.t, getattr(Tensor, "T").__get__)  # noqa: B009
def _t(input: Jet) -> Jet:
    return _view(input, input.stack.permute(0, *range(input.ndim, 0, -1)))


@rule(torch.permute, Tensor.permute)
def _permute(input: Jet, *dims: Any) -> Jet:
    return _view(input, input.stack.permute(0, *(checked_axis(d, input.ndim) for d in _sizes(dims))))


@rule(torch.movedim, Tensor.movedim)
def _movedim(input: Jet, source: int, destination: int) -> Jet:
    if not isinstance(source, int) or not isinstance(destination, int):
        raise NotCoveredError("movedim of several axes")
    return _view(input, input.stack.movedim(checked_axis(source, input.ndim), checked_axis(destination, input.ndim)))


@rule(torch.unsqueeze, Tensor.unsqueeze)
def _unsqueeze(input: Jet, dim: int) -> Jet:
    return _view(input, input.stack.unsqueeze(checked_axis(dim, input.ndim + 1)))


@rule(torch.squeeze, Tensor.squeeze)
def _squeeze(input: Jet, dim: int | None = None) -> Jet:
    if dim is None:
        return _view(input, input.stack.view(len(input.stack), *(size for size in input.shape if size != 1)))
    if not isinstance(dim, int):
        raise NotCoveredError("squeeze of several axes")
    return _view(input, input.stack.squeeze(checked_axis(dim, input.ndim)))


@rule(Tensor.expand)
def _expand(input: Jet, *sizes: Any) -> Jet:
    given = _sizes(sizes)
    stack = input.stack
    stack = stack.view(len(stack), *[1] * (len(given) - input.ndim), *input.shape)
    return _view(input, stack.expand(-1, *given))


@rule(Tensor.expand_as)
def _expand_as(input: Jet, other: Tensor) -> Any:
    return _expand(input, *other.shape)


def _is_plain_index(part: Any) -> bool:
    if isinstance(part, Tensor):
        return not is_jet(part) and (part.ndim > 0 or part.dtype != torch.bool)
    if isinstance(part, list):
        return bool(part) and all(isinstance(i, int) for i in part)
    return part is None or part is Ellipsis or isinstance(part, slice) or type(part) is int


@rule(Tensor.__getitem__)
def _getitem(input: Any, index: Any) -> Jet:
    if not is_jet(input):
        raise NotCoveredError("an index that depends on the parameters")
    index = index if isinstance(index, tuple) else (index,)
    if not all(_is_plain_index(part) for part in index):
        raise NotCoveredError("an index other than numbers, slices, tensors and lists of numbers")
    # Indices that are tensors or lists, side by side, take their place behind the first axis, as they must.
    lists = [i for i, part in enumerate(index) if isinstance(part, (Tensor, list))]
    if lists and any(b - a > 1 for a, b in itertools.pairwise(lists)):
        raise NotCoveredError("lists of indices with a slice between them")
    return _view(input, input.stack[(slice(None), *index)])


@rule(torch.chunk, Tensor.chunk)
def _chunk(input: Jet, chunks: int, dim: int = 0) -> tuple[Jet, ...]:
    return tuple(_view(input, part) for part in input.stack.chunk(chunks, checked_axis(dim, input.ndim)))


@rule(torch.split, Tensor.split)
def _split(tensor: Jet, split_size_or_sections: Any, dim: int = 0) -> tuple[Jet, ...]:
    return tuple(
        _view(tensor, part) for part in tensor.stack.split(split_size_or_sections, checked_axis(dim, tensor.ndim))
    )


@rule(torch.unbind, Tensor.unbind, Tensor.__iter__)
def _unbind(input: Jet, dim: int = 0) -> tuple[Jet, ...]:
    return tuple(_view(input, part) for part in input.stack.unbind(checked_axis(dim, input.ndim)))


def _alike(tensors: Sequence[Any]) -> tuple[list[Tensor], int]:
    """Stacks of equal length, zeros in place of missing coefficients."""
    order = next(t.order for t in tensors if is_jet(t))
    stacks = [t.stack if is_jet(t) else t.unsqueeze(0) for t in tensors]
    count = max(len(s) for s in stacks)
    return [s if len(s) == count else torch.cat([s, s.new_zeros(count - len(s), *s.shape[1:])]) for s in stacks], order


@rule(torch.cat, torch.concat, torch.concatenate)
def _cat(tensors: Sequence[Any], dim: int = 0) -> Jet:
    stacks, order = _alike(tensors)
    return Jet.of_stack(torch.cat(stacks, checked_axis(dim, stacks[0].ndim - 1)), order)


@rule(torch.stack)
def _stack(tensors: Sequence[Any], dim: int = 0) -> Jet:
    stacks, order = _alike(tensors)
    return Jet.of_stack(torch.stack(stacks, checked_axis(dim, stacks[0].ndim)), order)


@rule(Tensor.contiguous)
def _contiguous(input: Jet, *args: Any, **kwargs: Any) -> Jet:
    return _view(input, input.stack)  # the same tensor or a copy: torch decides by strides that may differ here


@rule(Tensor.clone, torch.clone)
def _clone(input: Jet, *args: Any, **kwargs: Any) -> Jet:
    return input.copied()


@rule(Tensor.to, Tensor.type_as)
def _to(input: Any, *args: Any, **kwargs: Any) -> Any:
    args = tuple(argument.parts[0] if is_jet(argument) else argument for argument in args)
    if not is_jet(input):
        return input.to(*args, **kwargs)
    plain = input.parts[0].detach()
    target = plain.to(*args, **kwargs)
    if target.dtype != plain.dtype or target.device != plain.device:
        raise NotCoveredError("a change of type or device")
    return input if target is plain else input.copied()


def _reduced_axes(x: Jet, dim: Any) -> list[int]:
    """Axes of the stack; none given, or an empty list, means all of them."""
    dims = [dim] if isinstance(dim, int) else [] if dim is None else list(dim)
    if not x.ndim:
        return [checked_axis(d, 1) for d in dims if d not in (0, -1)]
    return [checked_axis(d, x.ndim) for d in dims or range(x.ndim)]


@rule(torch.sum, Tensor.sum)
def _sum(input: Jet, dim: Any = None, keepdim: bool = False) -> Jet:
    dims = _reduced_axes(input, dim)
    return Jet.of_stack(input.stack.sum(dims, keepdim), input.order) if dims else input.copied()


@rule(torch.mean, Tensor.mean)
def _mean(input: Jet, dim: Any = None, keepdim: bool = False) -> Jet:
    dims = _reduced_axes(input, dim)
    return Jet.of_stack(input.stack.mean(dims, keepdim), input.order) if dims else input.copied()


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
    if value or len(pad) > 2 * input.ndim:
        raise NotCoveredError("padding by a constant other than 0, or of more axes than there are")
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
    if scale_grad_by_freq or sparse:
        raise NotCoveredError("an embedding with gradients of its own")
    return Jet.of_parts([functional.embedding(input, part) for part in weight.parts], weight.order)
