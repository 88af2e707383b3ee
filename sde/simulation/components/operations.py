"""Tensor operations on labels: what each does to the components."""

import math
from collections.abc import Callable, Sequence
from functools import reduce
from inspect import signature
from typing import Any

import torch
from torch import Tensor

from ....ground.errors import InputError
from .labels import as_tensor, converted, each_component, index_of, of_type
from .program import NotSplitError, Program
from .rules import RULES, Rule

__all__ = ["apply"]

aten = torch.ops.aten

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
        return each_component(lambda a: converted(program, a, result.dtype), args[0])
    if not labels:
        return _mapped(target(*args, **{**kwargs, "device": "cpu"}), program.constants)
    known = [program.known(each) for each in labels]
    if all(each is not None for each in known):
        numbers = iter(known)
        found = target(*_mapped(args, lambda _: next(numbers)), **_mapped(kwargs, lambda _: next(numbers)))
        return _mapped(found, program.constants)
    if packet in _MOVES:
        return _moved(program, target, args, kwargs, inputs)
    if packet in RULES and _takes(RULES[packet], args, kwargs):
        return RULES[packet](program, result, *args, **kwargs)
    if torch.Tag.pointwise in target.tags and isinstance(result, Tensor):
        return _pointwise(program, target, args, kwargs, result, inputs)
    raise NotSplitError(f"there is no code in components for {target}")


def _takes(rule: Rule, args: Sequence[Any], kwargs: dict[str, Any]) -> bool:
    """Whether a rule has these arguments: some forms of an operation have more."""
    try:
        signature(rule).bind(None, None, *args, **kwargs)
    except TypeError:
        return False
    return True


def _flat(value: Any) -> list[Any]:
    return [leaf for each in value for leaf in _flat(each)] if isinstance(value, (list, tuple)) else [value]


def _mapped(value: Any, function: Callable[[Tensor], Any]) -> Any:
    """A structure with a function of its tensors in their place."""
    if isinstance(value, (list, tuple)):
        return [_mapped(each, function) for each in value]
    if isinstance(value, dict):
        return {name: _mapped(each, function) for name, each in value.items()}
    return function(value) if isinstance(value, Tensor) else value


def _moved(program: Program, target: Any, args: Sequence[Any], kwargs: dict[str, Any], inputs: Any) -> Any:
    """Labels moved as their values would be; indices must be known, and what is filled in is 0."""
    if any(isinstance(each, float | int) and each != 0 for each in _fillings(target, args)):
        raise NotSplitError(f"{target} with a filling other than 0")
    first = next(each for each in _flat((*inputs,)) if isinstance(each, Tensor))
    zero = program.constant(0.0 if first.dtype.is_floating_point else 0, first.dtype)

    def moved(labels: Tensor, like: Tensor) -> Tensor:
        if like.dtype.is_floating_point or like is first:
            return labels - zero  # so that the zeros that are filled in are the label of 0
        return index_of(program, labels).to(like.dtype)

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
        sides = [of_type(program, each, result.dtype) for each in args]
        if alpha != 1:
            factor = program.constant(alpha, result.dtype)
            sides[1] = each_component(lambda b: program.infix("mul", b, factor), sides[1])
        return each_component(lambda a, b: program.infix(_INFIX[packet], a, b), *sides)
    if packet is aten.neg:
        return each_component(program.negative, args[0])
    if target is aten.pow.Tensor_Scalar and result.dtype.is_floating_point and 2 * args[1] in range(-6, 7):
        return each_component(lambda a: _power(program, a, args[1]), of_type(program, args[0], result.dtype))
    common = _common_type([each for each in _flat((*inputs,)) if isinstance(each, Tensor) and each.dtype != torch.bool])
    places = [isinstance(each, Tensor) for each in args]
    shown = ", ".join("{}" if place else _shown(each) for place, each in zip(places, args, strict=True))
    more = "".join(f", {name}={_shown(value)}" for name, value in kwargs.items())
    form = f"torch.ops.{target}({shown}{more})"
    tensors = [
        each if program.dtype(int(each.flatten()[0])) == torch.bool else of_type(program, each, common)
        for each in args
        if isinstance(each, Tensor)
    ]
    return each_component(lambda *row: program.call(form, [as_tensor(program, a) for a in row], result.dtype), *tensors)


def _power(program: Program, a: int, exponent: float) -> int:
    """A small whole or half power as products, a root and a quotient: a general power, compiled, takes far longer."""
    whole, half = divmod(abs(exponent), 1)
    factors = [a] * int(whole)
    dtype = program.dtype(a)
    if half:
        factors.append(program.call("torch.ops.aten.sqrt.default({})", [as_tensor(program, a)], dtype))
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
