"""Tensor operations on labels: what each does to the components."""

import math
from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import torch
from torch import Tensor

from ....ground.errors import InputError
from .program import NotSplitError, Program

__all__ = ["apply"]

aten = torch.ops.aten


_MOST_PRODUCTS = 64  # of a constant matrix that is written out in components: ours; above, compilation takes long

Rule = Callable[..., Any]
_RULES: dict[Any, Rule] = {}
_INFIX = {aten.add: "add", aten.sub: "sub", aten.mul: "mul", aten.div: "div"}

# They copy components, whatever these are, or put zeros: done on labels.
_MOVES = {
    getattr(aten, name)
    for name in [
        "alias",
        "as_strided",
        "cat",
        "clone",
        "constant_pad_nd",
        "detach",
        "diag_embed",
        "diagonal",
        "diagonal_scatter",
        "expand",
        "flip",
        "gather",
        "index",
        "index_select",
        "lift_fresh_copy",
        "movedim",
        "narrow",
        "permute",
        "repeat",
        "roll",
        "select",
        "select_scatter",
        "slice",
        "slice_scatter",
        "split",
        "split_with_sizes",
        "squeeze",
        "squeeze_",
        "stack",
        "t",
        "transpose",
        "tril",
        "triu",
        "unbind",
        "unsqueeze",
        "view",
        "_unsafe_view",
        "reshape",
    ]
}
# Their result depends on shapes alone.
_CREATES = {
    getattr(aten, name) for name in ["zeros_like", "ones_like", "full_like", "new_zeros", "new_ones", "new_full"]
}


def apply(program: Program, target: Any, args: Sequence[Any], kwargs: dict[str, Any], result: Any, inputs: Any) -> Any:
    """Labels of an operation's result.

    Args:
        program: which values are added to.
        target: the operation.
        args: its arguments, with labels for tensors.
        kwargs: by name.
        result: a tensor like the result, without values.
        inputs: ``args`` with tensors without values.

    Raises:
        NotSplitError: no rule for it.
        InputError: it is random.
    """
    packet = target.overloadpacket
    labels = [each for each in _flat((*args, *kwargs.values())) if isinstance(each, Tensor)]
    if torch.Tag.nondeterministic_seeded in target.tags:
        raise InputError(
            f"the function draws random numbers of its own ({target}); its noise is dW alone: enlarge G by a column"
        )
    if packet in _CREATES:
        shapes = _mapped(args, lambda each: torch.zeros(each.shape, dtype=result.dtype))
        return program.constants(target(*shapes, **{**kwargs, "device": "cpu"}).to(result.dtype))
    if packet is aten._to_copy:
        return _each(lambda a: _converted(program, a, result.dtype), args[0])
    if not labels:
        return _mapped(target(*args, **{**kwargs, "device": "cpu"}), program.constants)
    known = [program.known(each) for each in labels]
    if all(each is not None for each in known):
        numbers = iter(known)
        found = target(*_mapped(args, lambda _: next(numbers)), **_mapped(kwargs, lambda _: next(numbers)))
        return _mapped(found, program.constants)
    if packet in _MOVES:
        return _moved(program, target, args, kwargs, inputs)
    if packet in _RULES:
        return _RULES[packet](program, result, *args, **kwargs)
    if torch.Tag.pointwise in target.tags and isinstance(result, Tensor):
        return _pointwise(program, target, args, kwargs, result, inputs)
    raise NotSplitError(f"there is no code in components for {target}")


def _flat(value: Any) -> list[Any]:
    return [leaf for each in value for leaf in _flat(each)] if isinstance(value, (list, tuple)) else [value]


def _mapped(value: Any, function: Callable[[Tensor], Any]) -> Any:
    """A structure with a function of its tensors in their place."""
    if isinstance(value, (list, tuple)):
        return [_mapped(each, function) for each in value]
    if isinstance(value, dict):
        return {name: _mapped(each, function) for name, each in value.items()}
    return function(value) if isinstance(value, Tensor) else value


def _each(function: Callable[..., int], *labels: Tensor) -> Tensor:
    """A function of the components of tensors that broadcast."""
    together = torch.broadcast_tensors(*labels)
    rows = zip(*(each.flatten().tolist() for each in together), strict=True)
    return torch.tensor([function(*row) for row in rows], dtype=torch.int64).reshape(together[0].shape)


def _converted(program: Program, label: int, dtype: torch.dtype) -> int:
    if program.dtype(label) == dtype:
        return label
    number = program.number(label)
    if number is not None:
        return program.constant(torch.tensor(number).to(dtype).item(), dtype)
    return program.call(f"{{}}.to({dtype})", (label,), dtype)


def _moved(program: Program, target: Any, args: Sequence[Any], kwargs: dict[str, Any], inputs: Any) -> Any:
    """Labels moved as their values would be; indices must be known, and what is filled in is 0."""
    if any(isinstance(each, float | int) and each != 0 for each in _fillings(target, args)):
        raise NotSplitError(f"{target} with a filling other than 0")
    first = next(each for each in _flat((*inputs,)) if isinstance(each, Tensor))
    zero = program.constant(0.0 if first.dtype.is_floating_point else 0, first.dtype)

    def moved(labels: Tensor, like: Tensor) -> Tensor:
        if like.dtype.is_floating_point or like is first:
            return labels - zero  # so that the zeros that are filled in are the label of 0
        return _index(program, labels).to(like.dtype)

    likes = iter([each for each in _flat((*inputs,)) if isinstance(each, Tensor)])
    found = target(*_mapped(args, lambda labels: moved(labels, next(likes))), **kwargs)
    return _mapped(found, lambda labels: labels + zero)


def _fillings(target: Any, args: Sequence[Any]) -> Sequence[Any]:
    return args[2:] if target.overloadpacket is aten.constant_pad_nd else ()


def _pointwise(
    program: Program, target: Any, args: Sequence[Any], kwargs: dict[str, Any], result: Tensor, inputs: Any
) -> Tensor:
    """An operation on each component by itself."""
    packet, alpha = target.overloadpacket, kwargs.get("alpha", 1)
    infix = packet in _INFIX and len(args) == 2 and result.dtype.is_floating_point and kwargs.keys() <= {"alpha"}
    if infix:
        sides = [_of_type(program, each, result.dtype) for each in args]
        if alpha != 1:
            factor = program.constant(alpha, result.dtype)
            sides[1] = _each(lambda b: program.infix("mul", b, factor), sides[1])
        return _each(lambda a, b: program.infix(_INFIX[packet], a, b), *sides)
    if packet is aten.neg:
        return _each(program.negative, args[0])
    if target is aten.pow.Tensor_Scalar and result.dtype.is_floating_point and 2 * args[1] in range(-6, 7):
        return _each(lambda a: _power(program, a, args[1]), _of_type(program, args[0], result.dtype))
    common = _common_type([each for each in _flat((*inputs,)) if isinstance(each, Tensor) and each.dtype != torch.bool])
    places = [isinstance(each, Tensor) for each in args]
    shown = ", ".join("{}" if place else _shown(each) for place, each in zip(places, args, strict=True))
    more = "".join(f", {name}={_shown(value)}" for name, value in kwargs.items())
    form = f"torch.ops.{target}({shown}{more})"
    tensors = [
        each if program.dtype(int(each.flatten()[0])) == torch.bool else _of_type(program, each, common)
        for each in args
        if isinstance(each, Tensor)
    ]
    return _each(lambda *row: program.call(form, [_as_tensor(program, a) for a in row], result.dtype), *tensors)


def _power(program: Program, a: int, exponent: float) -> int:
    """A small whole or half power as products, a root and a quotient: a general power, compiled, takes far longer."""
    whole, half = divmod(abs(exponent), 1)
    factors = [a] * int(whole)
    dtype = program.dtype(a)
    if half:
        factors.append(program.call("torch.ops.aten.sqrt.default({})", [_as_tensor(program, a)], dtype))
    one = program.constant(1.0, dtype)
    found = reduce(lambda b, c: program.infix("mul", b, c), factors) if factors else one
    return program.infix("div", one, found) if exponent < 0 else found


def _shown(value: Any) -> str:
    """Python code of an argument that is no tensor."""
    return f'float("{value}")' if isinstance(value, float) and not math.isfinite(value) else repr(value)


def _common_type(likes: Sequence[Tensor]) -> torch.dtype:
    """In which an operation computes: numbers without a shape yield to others."""
    if not likes:
        return torch.bool

    def both(a: Tensor, b: Tensor) -> Tensor:
        return torch.empty([1] * max(a.ndim, b.ndim), dtype=torch.result_type(a, b))

    return reduce(both, likes).dtype


def _of_type(program: Program, value: Any, dtype: torch.dtype) -> Tensor:
    """Labels of a tensor or of a number, in a type."""
    if isinstance(value, Tensor):
        return _each(lambda a: _converted(program, a, dtype), value)
    return torch.tensor(program.constant(float(value), dtype))


def _as_tensor(program: Program, label: int) -> int:
    """A constant as a tensor, which operations other than + - * / ask for."""
    if program.number(label) is None:
        return label
    dtype = program.dtype(label)
    return program.call(f"torch.full((), {{}}, dtype={dtype}, device=device)", (label,), dtype)


def _rule(*packets: Any) -> Callable[[Rule], Rule]:
    def add(rule: Rule) -> Rule:
        _RULES.update(dict.fromkeys(packets, rule))
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
    a = _of_type(program, a, result.dtype)
    return _reduced(a, dims, keepdim, lambda row: program.total(row, result.dtype))


@_rule(aten.mean)
def _mean(
    program: Program, result: Tensor, a: Tensor, dims: Any = None, keepdim: bool = False, dtype: Any = None
) -> Tensor:
    def mean(row: list[int]) -> int:
        count = program.constant(float(len(row)), result.dtype)
        return program.infix("div", program.total(row, result.dtype), count)

    return _reduced(_of_type(program, a, result.dtype), dims, keepdim, mean)


@_rule(aten.prod)
def _prod(
    program: Program, result: Tensor, a: Tensor, dims: Any = None, keepdim: bool = False, dtype: Any = None
) -> Tensor:
    def product(row: list[int]) -> int:
        return reduce(lambda x, y: program.infix("mul", x, y), row)

    return _reduced(_of_type(program, a, result.dtype), dims, keepdim, product)


def _paired(name: str) -> Rule:
    """A reduction by an operation on two numbers."""

    def rule(program: Program, result: Tensor, a: Tensor, dims: Any = None, keepdim: bool = False) -> Tensor:
        if not isinstance(result, Tensor):
            raise NotSplitError(f"{name} with the place where it is")

        def pair(x: int, y: int) -> int:
            both = [_as_tensor(program, each) for each in (x, y)]
            return program.call(f"torch.ops.aten.{name}.default({{}}, {{}})", both, result.dtype)

        return _reduced(_of_type(program, a, result.dtype), dims, keepdim, lambda row: reduce(pair, row))

    return rule


_rule(aten.amax, aten.max)(_paired("maximum"))
_rule(aten.amin, aten.min)(_paired("minimum"))
_rule(aten.any)(_paired("logical_or"))


def _product(program: Program, matrix: Tensor, labels: Tensor) -> Tensor:
    """A constant matrix times a vector."""
    parts = [_as_tensor(program, label) for label in labels.tolist()]
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
    products = _each(lambda x, y: program.infix("mul", x, y), a.unsqueeze(-1), b.unsqueeze(-3))
    return _reduced(products, [-2], False, lambda row: program.total(row, result.dtype))


def _cumulated(name: str) -> Rule:
    def rule(program: Program, result: Tensor, a: Tensor, dim: int, dtype: Any = None) -> Tensor:
        parts = list(_of_type(program, a, result.dtype).unbind(dim))
        for k in range(1, len(parts)):
            parts[k] = _each(lambda x, y: program.infix(name, x, y), parts[k - 1], parts[k])
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
            root = program.call("torch.ops.aten.sqrt.default({})", (_as_tensor(program, rest),), dtype)
            factor[i][j] = root if i == j else program.infix("div", rest, factor[j][j])
    labels = torch.tensor(factor)
    return [labels.mT.clone() if upper else labels, program.constants(torch.zeros((), dtype=torch.int32))]


@_rule(aten.copy)
def _copy(program: Program, result: Tensor, a: Tensor, source: Tensor, non_blocking: bool = False) -> Tensor:
    return _each(lambda _, b: _converted(program, b, result.dtype), a, source)


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


def _index(program: Program, labels: Tensor) -> Tensor:
    found = program.known(labels)
    if found is None:
        raise NotSplitError("there is no code in components for an index that depends on the state")
    return found


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
    known = tuple(slice(None) if each is None else _index(program, each) for each in indices)
    return _put(program, a, _numbered(a)[known], _of_type(program, values, result.dtype), accumulate)


def _scattered(accumulate: bool) -> Rule:
    def rule(program: Program, result: Tensor, a: Tensor, dim: int, index: Tensor, source: Any) -> Tensor:
        places = _numbered(a).gather(dim, _index(program, index))
        values = _of_type(program, source, result.dtype)
        if values.ndim:
            values = values[tuple(slice(size) for size in places.shape)]
        return _put(program, a, places, values, accumulate)

    return rule


_rule(aten.scatter)(_scattered(False))
_rule(aten.scatter_add)(_scattered(True))
