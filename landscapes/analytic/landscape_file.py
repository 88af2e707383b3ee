"""Landscapes as JSON: what is minimised, in a file that a person writes or that a result carries along."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import sympy

from ...ground.errors import InputError
from ...ground.records import read_json
from ..landscape import Landscape
from .formula import FormulaLandscape, is_coordinate_name
from .formula_text import read_formula
from .quadratic import Quadratic
from .torus import TiltedTorus

__all__ = ["landscape_from_dict", "read_landscape"]

_EXAMPLES: Mapping[str, Mapping[str, Any]] = {
    "torus": {"tilts": [[2.0]], "frequencies": [[1]], "amplitudes": [[0.5]], "phases": [[0.0]]},
    "quadratic": {"hessian": [[3.0, 1.0], [1.0, 2.0]], "centres": [[1.0, 0.0], [-1.0, 0.5]]},
    "formula": {"coordinates": ["x", "y"], "losses": ["(1 - x)**2 + 100*(y - x**2)**2"]},
}
"""The keys of each kind, with values that would do."""

_MOST_LOSSES = 1_000  # ours: compiling a formula takes milliseconds
_MOST_CHARACTERS = 50_000  # ours: of all formulas together; sympy reads some thousands a second


def read_landscape(path: Path) -> Landscape:
    """Read a landscape from a JSON file.

    The file holds one object. Its ``"kind"`` is

    - ``"torus"``, with the arguments ``tilts``, ``frequencies``, ``amplitudes``, ``phases`` of :class:`TiltedTorus`;
    - ``"quadratic"``, with the arguments ``hessian`` and ``centres`` of :class:`Quadratic`;
    - ``"formula"``, with ``coordinates``, a list of names, and ``losses``, a list of formulas as text.

    Args:
        path: of the file.

    Raises:
        InputError: the file is missing or not JSON; an unknown or missing key; a value of the wrong type or shape, or
            not finite; text that is not a formula. The message names the file and the key.

    Example:
        >>> import pathlib, tempfile, torch
        >>> from eigensam.landscapes import read_landscape
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "rosenbrock.json"
        >>> losses = '["(1 - x)**2 + 100*(y - x**2)**2"]'
        >>> _ = path.write_text(f'{{"kind": "formula", "coordinates": ["x", "y"], "losses": {losses}}}')
        >>> read_landscape(path).gradient(torch.tensor([0.0, 1.0], dtype=torch.float64)).tolist()
        [-2.0, 200.0]
    """
    return landscape_from_dict(read_json(path), str(path))


def landscape_from_dict(value: Any, source: str) -> Landscape:
    """A landscape from what its file holds, or from what ``to_dict`` of an analytic landscape returned.

    Args:
        value: the JSON object.
        source: where it comes from, for messages.

    Raises:
        InputError: see :func:`read_landscape`.

    Example:
        >>> from eigensam.landscapes import Quadratic
        >>> f = landscape_from_dict(Quadratic([[2.0]], [[0.0], [1.0]]).to_dict(), "a result")
        >>> f.centres.tolist()
        [[0.0], [1.0]]
    """
    if not isinstance(value, dict) or value.get("kind") not in list(_EXAMPLES):
        found = value.get("kind", "no kind") if isinstance(value, dict) else value
        raise InputError(
            f"{source}: found {_show(found)}; expected an object whose key 'kind' is one of {', '.join(_EXAMPLES)}, "
            f"such as {_example('formula')}"
        )
    kind: str = value["kind"]
    given = {key: item for key, item in value.items() if key != "kind"}
    expected = f"a {kind} has the keys kind, {', '.join(_EXAMPLES[kind])}, such as {_example(kind)}"
    if unknown := sorted(given.keys() - _EXAMPLES[kind].keys(), key=str):
        raise InputError(f"{source}: unknown key {_show(unknown[0])}; {expected}: remove it")
    if missing := [key for key in _EXAMPLES[kind] if key not in given]:
        raise InputError(f"{source}: key '{missing[0]}' is missing; {expected}: add it")
    try:
        return _BUILDERS[kind](given)
    except InputError as error:
        raise InputError(f"{source}: {error}") from None


def _torus(given: Mapping[str, Any]) -> Landscape:
    return TiltedTorus(**{key: _numbers("torus", key, item) for key, item in given.items()})


def _quadratic(given: Mapping[str, Any]) -> Landscape:
    return Quadratic(**{key: _numbers("quadratic", key, item) for key, item in given.items()})


def _formula(given: Mapping[str, Any]) -> Landscape:
    names, texts = (_texts(key, given[key]) for key in ("coordinates", "losses"))
    for name in names:
        if not is_coordinate_name(name) or names.count(name) > 1:
            raise InputError(
                f"key 'coordinates' contains {_show(name)}; expected names of letters and digits, each once, that are "
                f"not functions or constants, such as x1"
            )
    if len(texts) > _MOST_LOSSES or sum(map(len, texts)) > _MOST_CHARACTERS:
        raise InputError(
            f"key 'losses' has {len(texts)} formulas with {sum(map(len, texts))} characters; at most {_MOST_LOSSES} "
            f"with {_MOST_CHARACTERS} are read, write the landscape in Python"
        )
    coordinates = {name: sympy.Symbol(name, real=True) for name in names}
    losses = []
    for index, text in enumerate(texts):
        try:
            losses.append(read_formula(text, coordinates))
        except InputError as error:
            raise InputError(f"losses[{index}]: {error}") from None
    return FormulaLandscape(list(coordinates.values()), losses)


_BUILDERS: Mapping[str, Callable[[Mapping[str, Any]], Landscape]] = {
    "torus": _torus,
    "quadratic": _quadratic,
    "formula": _formula,
}


def _numbers(kind: str, key: str, value: Any) -> Any:
    """Lists in lists of numbers; their shape is the landscape's to check."""
    if not isinstance(value, list) or not _only_numbers(value):
        raise InputError(
            f"key '{key}' is {_show(value)}; expected lists in lists of numbers such as {_EXAMPLES[kind][key]}"
        )
    return value


def _only_numbers(value: Any) -> bool:
    if isinstance(value, list):
        return all(map(_only_numbers, value))
    return isinstance(value, int | float) and not isinstance(value, bool)


def _texts(key: str, value: Any) -> list[str]:
    if not isinstance(value, list) or not value or not all(isinstance(item, str) for item in value):
        raise InputError(
            f"key '{key}' is {_show(value)}; expected a list of texts such as {json.dumps(_EXAMPLES['formula'][key])}"
        )
    return value


def _example(kind: str) -> str:
    return json.dumps({"kind": kind, **_EXAMPLES[kind]})


def _show(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}..."
