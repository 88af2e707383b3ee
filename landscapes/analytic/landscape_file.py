"""Landscapes as JSON: what is minimised, in a file that a person writes or that a result carries along."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...ground.errors import InputError
from ...ground.records import read_json
from .landscape_kinds import LANDSCAPES, shown

if TYPE_CHECKING:
    from ..landscape import Landscape

__all__ = ["landscape_from_dict", "read_landscape"]


def read_landscape(path: Path) -> "Landscape":
    """Read a landscape from a JSON file.

    The file holds one object. Its ``"kind"`` is one of :data:`LANDSCAPES`:

    - ``"torus"``, with the arguments ``tilts``, ``frequencies``, ``amplitudes``, ``phases`` of :class:`TiltedTorus`;
    - ``"quadratic"``, with the arguments ``hessian`` and ``centres`` of :class:`Quadratic`;
    - ``"formula"``, with ``coordinates``, a list of names, and ``losses``, a list of formulas as text;
    - or what other packages have added.

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


def landscape_from_dict(value: Any, source: str) -> "Landscape":
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
    if not isinstance(value, dict) or value.get("kind") not in list(LANDSCAPES):  # a list: it may be unhashable
        found = value.get("kind", "no kind") if isinstance(value, dict) else value
        raise InputError(
            f"{source}: found {shown(found)}; expected an object whose key 'kind' is one of {', '.join(LANDSCAPES)}, "
            f"such as {_example('formula')}"
        )
    name: str = value["kind"]
    kind = LANDSCAPES[name]
    given = {key: item for key, item in value.items() if key != "kind"}
    expected = f"a {name} has the keys kind, {', '.join(kind.example)}, such as {_example(name)}"
    if unknown := sorted(given.keys() - kind.example.keys(), key=str):
        raise InputError(f"{source}: unknown key {shown(unknown[0])}; {expected}: remove it")
    if missing := [key for key in kind.example if key not in given]:
        raise InputError(f"{source}: key '{missing[0]}' is missing; {expected}: add it")
    try:
        return kind.read(given)
    except InputError as error:
        raise InputError(f"{source}: {error}") from None


def _example(name: str) -> str:
    return json.dumps({"kind": name, **LANDSCAPES[name].example})
