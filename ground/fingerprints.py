"""One hash for what a result depends on: numbers, tensors, nested data, and functions as far as one can see."""

import functools
import hashlib
import inspect
import math
import numbers
import types
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

__all__ = ["fingerprint"]

_LIBRARIES = ("torch", "torchvision", "numpy", "scipy", "sympy")  # their globals are other ones in every process
_PLAIN = (bool, int, str, bytes, type(None), type(...), complex, numbers.Rational)


def fingerprint(*values: Any) -> str:
    """SHA-256 of values that is the same in every process, and differs where a value does.

    Numbers count exactly and with their type, tensors and arrays with type, shape and every bit, dictionaries and sets
    without their order, data classes by their fields, modules by their state. A function is its compiled code without
    names of files and line numbers, its defaults, its closure, and the globals that it uses: what else it does (a file
    that it reads, a library function that it calls) cannot be seen, so compare its values, too. Of libraries only the
    name counts.

    Example:
        >>> import torch
        >>> a, b = (lambda limit: lambda x: x.clamp(max=limit))(1.0), (lambda limit: lambda x: x.clamp(max=limit))(0.3)
        >>> fingerprint(torch.ones(2), {"a": 1, "b": 2}) == fingerprint(torch.ones(2), {"b": 2, "a": 1})
        True
        >>> fingerprint(a) == fingerprint(b), fingerprint(1) == fingerprint(1.0)
        (False, False)
    """
    return _digest(list(values), "", ()).hex()


@dataclass(frozen=True)
class _Content:
    """What a value is made of: text or bytes, and further values, whose order may not count."""

    data: str | bytes = ""
    values: Iterable[Any] = ()
    ordered: bool = True


def _digest(value: Any, home: str, above: tuple[int, ...]) -> bytes:
    """Of a value that lies in those ``above``; ``home`` is the package whose code is looked into."""
    if id(value) in above:  # a cycle
        return str(above.index(id(value))).encode()
    home = home or (_home(value) if callable(value) else "")
    content = _content(value, home)
    data = content.data.encode() if isinstance(content.data, str) else content.data
    parts = [_digest(each, home, (*above, id(value))) for each in content.values]
    start = [type(value).__qualname__.encode(), data]
    return hashlib.sha256(
        b"".join(hashlib.sha256(each).digest() for each in start + (parts if content.ordered else sorted(parts)))
    ).digest()


def _content(value: Any, home: str) -> _Content:
    import numpy as np  # here: whoever only starts the command needs neither
    import torch

    if isinstance(value, float):
        return _Content("nan" if math.isnan(value) else value.hex())
    if isinstance(value, (*_PLAIN, torch.dtype, torch.device)):
        return _Content(repr(value))
    if isinstance(value, torch.Tensor):
        plain = value.detach().cpu().to_dense().contiguous().reshape(-1)
        return _Content(plain.view(torch.uint8).numpy().tobytes(), (value.dtype, tuple(value.shape)))
    if isinstance(value, np.ndarray | np.generic):
        array = np.ascontiguousarray(value)
        objects = array.tolist() if array.dtype.hasobject else []
        return _Content(b"" if objects else array.tobytes(), (array.dtype.str, tuple(np.shape(value)), objects))
    if isinstance(value, Mapping):
        return _Content(values=[tuple(item) for item in value.items()], ordered=False)
    if isinstance(value, list | tuple | set | frozenset):
        return _Content(values=list(value), ordered=isinstance(value, list | tuple))
    return _function(value, home) or _object(value, home)


def _function(value: Any, home: str) -> _Content | None:
    """Of code and of what can be called; None for anything else."""
    match value:
        case functools.partial():
            return _Content(values=(value.func, value.args, value.keywords))
        case types.MethodType():
            return _Content(values=(value.__func__, value.__self__))
        case types.CodeType():
            counts = (value.co_argcount, value.co_posonlyargcount, value.co_kwonlyargcount, value.co_flags)
            return _Content(value.co_code, (counts, value.co_exceptiontable, value.co_names, value.co_consts))
        case types.FunctionType() if _package(value) == home:
            names = {name for code in _nested(value.__code__) for name in code.co_names}
            used = {name: value.__globals__[name] for name in names & value.__globals__.keys()}
            cells = inspect.getclosurevars(value).nonlocals
            return _Content(values=(value.__code__, value.__defaults__, value.__kwdefaults__, cells, used))
        case type() if _package(value) == home:
            return _Content(_name(value), {name: each for name, each in vars(value).items() if callable(each)}.items())
        case type() | types.FunctionType() | types.BuiltinFunctionType() | types.ModuleType():
            return _Content(_name(value))
    return None


def _object(value: Any, home: str) -> _Content:
    from torch import nn

    kind = type(value)
    if isinstance(value, nn.Module):
        return _Content(_name(kind), (kind, value.training, dict(value.state_dict()), _plain_parts(value)))
    if is_dataclass(value):
        return _Content(_name(kind), [kind, *(getattr(value, field.name) for field in fields(value))])
    return _Content(_name(kind), (kind, vars(value)) if _package(kind) == home and hasattr(value, "__dict__") else ())


def _plain_parts(module: Any) -> list[Any]:
    """What a module's state leaves out: attributes such as a slope, and buffers that are not saved."""
    parts = []
    for name, each in module.named_modules():
        attributes = {key: found for key, found in vars(each).items() if key != "training" and not key.startswith("_")}
        parts.append((name, type(each).__qualname__, attributes, dict(each.named_buffers(recurse=False))))
    return parts


def _nested(code: types.CodeType) -> Iterator[types.CodeType]:
    """A function's code and that of the functions inside it."""
    yield code
    for each in code.co_consts:
        if isinstance(each, types.CodeType):
            yield from _nested(each)


def _name(value: Any) -> str:
    return f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', getattr(value, '__name__', ''))}"


def _home(value: Any) -> str:
    """The package whose code is looked into; of a library's functions, classes and objects none."""
    package = _package(value)
    return "nowhere" if package in _LIBRARIES else package


def _package(value: Any) -> str:
    """The first part of the name of the module that a function, a class, or an object's class comes from."""
    module = getattr(value, "__module__", None) or getattr(type(value), "__module__", None) or ""
    return str(module).partition(".")[0]
