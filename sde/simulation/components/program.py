"""Straight-line code on numbers: each value once, constants folded, nothing that is not used.

A value is known by its label, a whole number. Labels of the components of a tensor are themselves a tensor, so that
whatever merely moves components about (views, stacks, slices) is done by that very operation, on labels.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

__all__ = ["NotSplitError", "Program"]

aten = torch.ops.aten

Number = float | int | bool

_MOST_VALUES = 200_000  # ours: some seconds of Python; such a function is moved in batches


class NotSplitError(Exception):
    """What has no code in components; the argument says why."""


@dataclass(frozen=True)
class _Constant:
    value: Number
    dtype: torch.dtype


@dataclass(frozen=True)
class _Call:
    """An operation on labels; ``form`` has a place ``{}`` for each of them."""

    form: str
    arguments: tuple[int, ...]
    dtype: torch.dtype
    weight: int = 1


@dataclass(frozen=True)
class _Input:
    name: str
    dtype: torch.dtype


_INFIX = {"add": "+", "sub": "-", "mul": "*", "div": "/"}


class Program:
    """Values that are computed from named inputs.

    Example:
        >>> program = Program()
        >>> x, two = program.input("x", torch.float64), program.constant(2.0, torch.float64)
        >>> y = program.infix("mul", program.infix("mul", x, two), program.constant(1.0, torch.float64))
        >>> print(program.source("f", ["x"], [y]))
        def f(x):
            v0 = x * 2.0
            return (v0,)
    """

    def __init__(self) -> None:
        self._values: list[_Constant | _Call | _Input] = []
        self._labels: dict[Any, int] = {}
        self._arrays: dict[str, str] = {}  # code that makes a constant array: its name

    def _label(self, key: Any, value: _Constant | _Call | _Input) -> int:
        if key not in self._labels:
            if len(self._values) == _MOST_VALUES:
                raise NotSplitError(f"it has more than {_MOST_VALUES} values in components")
            self._labels[key] = len(self._values)
            self._values.append(value)
        return self._labels[key]

    def input(self, name: str, dtype: torch.dtype) -> int:
        """A number that is given."""
        return self._label(("input", name), _Input(name, dtype))

    def constant(self, value: Number, dtype: torch.dtype) -> int:
        """A number that is known."""
        if isinstance(value, float):
            value = torch.tensor(value, dtype=dtype).item()
        return self._label(("constant", repr(value), dtype), _Constant(value, dtype))

    def constants(self, tensor: Tensor) -> Tensor:
        """Labels of the elements of a tensor that is known, in its shape."""
        labels = [self.constant(value, tensor.dtype) for value in tensor.flatten().tolist()]
        return torch.tensor(labels, dtype=torch.int64).reshape(tensor.shape)

    def known(self, labels: Tensor) -> Tensor | None:
        """The numbers of labels, if all of them are constants."""
        found = [self._values[label] for label in labels.flatten().tolist()]
        if not all(isinstance(value, _Constant) for value in found) or not found:
            return None
        numbers = [value.value for value in found]
        return torch.tensor(numbers, dtype=found[0].dtype).reshape(labels.shape)

    def dtype(self, label: int) -> torch.dtype:
        """Type of a value."""
        return self._values[label].dtype

    def number(self, label: int) -> Number | None:
        """A constant's value."""
        value = self._values[label]
        return value.value if isinstance(value, _Constant) else None

    def call(self, form: str, arguments: Sequence[int], dtype: torch.dtype, weight: int = 1) -> int:
        """The value of an expression with places ``{}`` for other values, which takes so many operations."""
        return self._label((form, *arguments), _Call(form, tuple(arguments), dtype, weight))

    def infix(self, name: str, a: int, b: int) -> int:
        """Sum, difference, product or quotient of two values of one type; those with 0 and 1 cost nothing.

        ``0 x`` is 0 even where ``x`` is infinite: a matrix's entry that is 0 says that there is no such term.
        """
        left, right, dtype = self.number(a), self.number(b), self.dtype(a)
        if left is not None and right is not None:
            folded = getattr(torch, name)(torch.tensor(left, dtype=dtype), torch.tensor(right, dtype=dtype))
            return self.constant(folded.item(), folded.dtype)
        if name in ("add", "sub") and right == 0:
            return a
        if name == "add" and left == 0:
            return b
        if name == "sub" and left == 0:
            return self.negative(b)
        if (name == "mul" and 0 in (left, right)) or (name == "div" and left == 0):
            return self.constant(0.0 if dtype.is_floating_point else 0, dtype)
        if name in ("mul", "div") and right == 1:
            return a
        if name == "div" and right and _is_normal(1 / right, dtype):  # a product is faster, and exact to a unit
            return self.infix("mul", a, self.constant(1 / right, dtype))
        if name == "mul" and left == 1:
            return b
        if name == "mul" and -1 in (left, right):
            return self.negative(b if left == -1 else a)
        if name in ("add", "mul") and b < a:
            a, b = b, a  # so that x + y and y + x are one value
        return self.call(f"{{}} {_INFIX[name]} {{}}", (a, b), dtype)

    def negative(self, a: int) -> int:
        """``-a``."""
        value = self._values[a]
        if isinstance(value, _Constant):
            return self.constant(-value.value, value.dtype)
        if isinstance(value, _Call) and value.form == "-{}":
            return value.arguments[0]
        return self.call("-{}", (a,), value.dtype)

    def array(self, tensor: Tensor) -> str:
        """Name of an array of constants."""
        code = f"torch.tensor({tensor.tolist()!r}, dtype={tensor.dtype}, device=device)"
        return self._arrays.setdefault(code, f"A{len(self._arrays)}")

    def total(self, labels: Sequence[int], dtype: torch.dtype) -> int:
        """The sum of values, from the first to the last."""
        result = self.constant(0.0 if dtype.is_floating_point else 0, dtype)
        for label in labels:
            result = self.infix("add", result, label)
        return result

    def _needed(self, outputs: Sequence[int]) -> list[int]:
        """Labels of what the outputs need, in an order in which they can be computed."""
        needed, open_ = set[int](), list(outputs)
        while open_:
            label = open_.pop()
            if label not in needed:
                needed.add(label)
                value = self._values[label]
                open_ += value.arguments if isinstance(value, _Call) else ()
        return sorted(needed)

    def _used(self, outputs: Sequence[int]) -> list[int]:
        """Labels of the calls among them."""
        return [label for label in self._needed(outputs) if isinstance(self._values[label], _Call)]

    def used(self, outputs: Sequence[int]) -> frozenset[str]:
        """Names of the inputs that outputs depend on."""
        needed = [self._values[label] for label in self._needed(outputs)]
        return frozenset(value.name for value in needed if isinstance(value, _Input))

    def count(self, outputs: Sequence[int]) -> int:
        """How many operations the outputs take."""
        calls = [self._values[label] for label in self._used(outputs)]
        return sum(call.weight for call in calls if isinstance(call, _Call))

    def source(self, name: str, inputs: Sequence[str], outputs: Sequence[int]) -> str:
        """Python code of a function from the inputs to a tuple of outputs.

        It needs the names ``torch``, ``device`` and ``product`` (:mod:`.matrices`).
        """
        names: dict[int, str] = {}

        def text(label: int) -> str:
            value = self._values[label]
            if isinstance(value, _Constant):
                return _literal(value.value)
            return value.name if isinstance(value, _Input) else names[label]

        lines = [f"{array} = {code}" for code, array in self._arrays.items()]
        lines.append(f"def {name}({', '.join(inputs)}):")
        for label in self._used(outputs):
            call = self._values[label]
            assert isinstance(call, _Call)
            right = call.form.format(*(text(argument) for argument in call.arguments))
            names[label] = f"v{len(names)}"
            lines.append(f"    {names[label]} = {right}")
        lines.append(f"    return ({', '.join(text(label) for label in outputs)},)")
        return "\n".join(lines)


def _is_normal(value: float, dtype: torch.dtype) -> bool:
    """Whether a type has all its digits for a number, which neither overflows nor is next to zero."""
    return torch.finfo(dtype).tiny <= abs(value) <= torch.finfo(dtype).max


def _literal(value: Number) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return f'float("{value}")'
    return f"({value!r})" if not isinstance(value, bool) and value < 0 else repr(value)
