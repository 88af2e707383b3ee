"""What reductions, products of matrices and writing do to components, operation by operation."""

import math
from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import torch
from torch import Tensor

from .labels import as_tensor, converted, each_component, index_of, of_type
from .program import NotSplitError, Program

__all__ = ["RULES", "Rule"]

aten = torch.ops.aten

_MOST_PRODUCTS = 64  # of a constant matrix that is written out in components: ours; above, compilation takes long

Rule = Callable[..., Any]
"""Of a program, a tensor like the result, and the operation's arguments with labels for tensors, to labels."""

RULES: dict[Any, Rule] = {}


def _rule(*packets: Any) -> Callable[[Rule], Rule]:
    def add(rule: Rule) -> Rule:
        RULES.update(dict.fromkeys(packets, rule))
        return rule

    return add


def _reduced(labels: Tensor, dims: Any, keepdim: bool, function: Callable[[list[int]], int]) -> Tensor:
    """A function of all components along dimensions."""
    count = labels.ndim
    chosen = range(count) if dims is None or dims == [] else dims if isinstance(dims, (list, tuple)) else [dims]
    along = sorted({each % count for each in chosen}) if count else []
    kept = [each for each in range(count) if each not in along]
    shape = [labels.shape[each] for each in kept]
    width = math.prod(labels.shape[each] for each in along)  # 1 of a number, 0 of nothing
    rows = (labels.permute(*kept, *along) if count else labels).reshape(math.prod(shape), width)
    result = torch.tensor([function(row) for row in rows.tolist()], dtype=torch.int64)
    final = [1 if each in along else labels.shape[each] for each in range(count)] if keepdim else shape
    return result.reshape(final)


@_rule(aten.sum)
def _sum(
    program: Program, result: Tensor, a: Tensor, dims: Any = None, keepdim: bool = False, dtype: Any = None
) -> Tensor:
    a = of_type(program, a, result.dtype)
    return _reduced(a, dims, keepdim, lambda row: program.total(row, result.dtype))


@_rule(aten.mean)
def _mean(
    program: Program, result: Tensor, a: Tensor, dims: Any = None, keepdim: bool = False, dtype: Any = None
) -> Tensor:
    def mean(row: list[int]) -> int:
        count = program.constant(float(len(row)), result.dtype)
        return program.infix("div", program.total(row, result.dtype), count)

    return _reduced(of_type(program, a, result.dtype), dims, keepdim, mean)


@_rule(aten.prod)
def _prod(
    program: Program, result: Tensor, a: Tensor, dims: Any = None, keepdim: bool = False, dtype: Any = None
) -> Tensor:
    def product(row: list[int]) -> int:
        return reduce(lambda x, y: program.infix("mul", x, y), row)

    return _reduced(of_type(program, a, result.dtype), dims, keepdim, product)


def _paired(name: str) -> Rule:
    """A reduction by an operation on two numbers."""

    def rule(program: Program, result: Tensor, a: Tensor, dims: Any = None, keepdim: bool = False) -> Tensor:
        if not isinstance(result, Tensor):
            raise NotSplitError(f"{name} with the place where it is")

        def pair(x: int, y: int) -> int:
            both = [as_tensor(program, each) for each in (x, y)]
            return program.call(f"torch.ops.aten.{name}.default({{}}, {{}})", both, result.dtype)

        return _reduced(of_type(program, a, result.dtype), dims, keepdim, lambda row: reduce(pair, row))

    return rule


_rule(aten.amax, aten.max)(_paired("maximum"))
_rule(aten.amin, aten.min)(_paired("minimum"))
_rule(aten.any)(_paired("logical_or"))


def _product(program: Program, matrix: Tensor, labels: Tensor) -> Tensor:
    """A constant matrix times a vector."""
    parts = [as_tensor(program, label) for label in labels.tolist()]
    form = f"product({program.array(matrix)}, [{', '.join(['{}'] * len(parts))}])"
    product = program.call(form, parts, matrix.dtype, matrix.numel())
    return torch.tensor([program.call(f"{{}}[{i}]", (product,), matrix.dtype) for i in range(len(matrix))])


@_rule(aten.mm, aten.bmm)
def _mm(program: Program, result: Tensor, a: Tensor, b: Tensor) -> Tensor:
    if a.ndim == 2:
        for matrix, other in ((a, b), (b.mT, a.mT)):
            numbers = program.known(matrix)
            if numbers is not None and int((numbers != 0).sum()) > _MOST_PRODUCTS:
                columns = torch.stack([_product(program, numbers, column) for column in other.unbind(1)], 1)
                return columns if other is b else columns.mT
    products = each_component(lambda x, y: program.infix("mul", x, y), a.unsqueeze(-1), b.unsqueeze(-3))
    return _reduced(products, [-2], False, lambda row: program.total(row, result.dtype))


def _cumulated(name: str) -> Rule:
    def rule(program: Program, result: Tensor, a: Tensor, dim: int, dtype: Any = None) -> Tensor:
        parts = list(of_type(program, a, result.dtype).unbind(dim))
        for k in range(1, len(parts)):
            parts[k] = each_component(lambda x, y: program.infix(name, x, y), parts[k - 1], parts[k])
        return torch.stack(parts, dim)

    return rule


_rule(aten.cumsum)(_cumulated("add"))
_rule(aten.cumprod)(_cumulated("mul"))


@_rule(aten.linalg_cholesky_ex)
def _cholesky(
    program: Program, result: Any, a: Tensor, upper: bool = False, check_errors: bool = False
) -> list[Tensor]:
    """The lower factor, column by column; a matrix that has none gives NaN, as the library's failure is seen there."""
    d, dtype = a.shape[-1], program.dtype(int(a.flatten()[0]))
    if a.ndim != 2:
        raise NotSplitError("aten.linalg_cholesky_ex of several matrices")
    zero = program.constant(0.0, dtype)
    factor = [[zero] * d for _ in range(d)]
    for j in range(d):
        for i in range(j, d):
            products = [program.infix("mul", factor[i][k], factor[j][k]) for k in range(j)]
            rest = program.infix("sub", int(a[i, j]), program.total(products, dtype))
            root = program.call("torch.ops.aten.sqrt.default({})", (as_tensor(program, rest),), dtype)
            factor[i][j] = root if i == j else program.infix("div", rest, factor[j][j])
    labels = torch.tensor(factor)
    return [labels.mT.clone() if upper else labels, program.constants(torch.zeros((), dtype=torch.int32))]


@_rule(aten.copy)
def _copy(program: Program, result: Tensor, a: Tensor, source: Tensor, non_blocking: bool = False) -> Tensor:
    return each_component(lambda _, b: converted(program, b, result.dtype), a, source)


@_rule(aten.var)
def _var(
    program: Program, result: Tensor, a: Tensor, dims: Any = None, correction: Any = 1, keepdim: bool = False
) -> Tensor:
    def variance(row: list[int]) -> int:
        count = program.constant(float(len(row)), result.dtype)
        mean = program.infix("div", program.total(row, result.dtype), count)
        deviations = [program.infix("sub", label, mean) for label in row]
        squares = program.total([program.infix("mul", each, each) for each in deviations], result.dtype)
        return program.infix("div", squares, program.constant(float(len(row) - correction), result.dtype))

    return _reduced(a, dims, keepdim, variance)


@_rule(aten.var_mean)
def _var_mean(program: Program, result: Any, a: Tensor, dims: Any = None, **kwargs: Any) -> list[Tensor]:
    mean = _mean(program, result[1], a, dims, kwargs.get("keepdim", False))
    return [_var(program, result[0], a, dims, **kwargs), mean]


@_rule(aten.mv)
def _mv(program: Program, result: Tensor, a: Tensor, b: Tensor) -> Tensor:
    columns: Tensor = _mm(program, result, a, b[:, None])
    return columns[:, 0]


@_rule(aten.dot)
def _dot(program: Program, result: Tensor, a: Tensor, b: Tensor) -> Tensor:
    product: Tensor = _mm(program, result, a[None], b[:, None])
    return product[0, 0]


def _put(program: Program, a: Tensor, places: Tensor, values: Tensor, accumulate: bool) -> Tensor:
    """Components of ``a`` with others in some places, or with those added to them."""
    labels = a.flatten().tolist()
    for place, value in zip(places.flatten().tolist(), values.expand(places.shape).flatten().tolist(), strict=True):
        labels[place] = program.infix("add", labels[place], value) if accumulate else value
    return torch.tensor(labels, dtype=torch.int64).reshape(a.shape)


def _numbered(a: Tensor) -> Tensor:
    return torch.arange(a.numel()).reshape(a.shape)


@_rule(aten.index_put)
def _index_put(
    program: Program, result: Tensor, a: Tensor, indices: Sequence[Any], values: Tensor, accumulate: bool = False
) -> Tensor:
    known = tuple(slice(None) if each is None else index_of(program, each) for each in indices)
    return _put(program, a, _numbered(a)[known], of_type(program, values, result.dtype), accumulate)


def _scattered(accumulate: bool) -> Rule:
    def rule(program: Program, result: Tensor, a: Tensor, dim: int, index: Tensor, source: Any) -> Tensor:
        places = _numbered(a).gather(dim, index_of(program, index))
        values = of_type(program, source, result.dtype)
        if values.ndim:
            values = values[tuple(slice(size) for size in places.shape)]
        return _put(program, a, places, values, accumulate)

    return rule


_rule(aten.scatter)(_scattered(False))
_rule(aten.scatter_add)(_scattered(True))
