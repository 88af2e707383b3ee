"""``torus``: the arguments of :class:`TiltedTorus`."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..landscape_kinds import landscape_kind, number_lists

if TYPE_CHECKING:
    from ..torus import TiltedTorus

_EXAMPLE = {"tilts": [[2.0]], "frequencies": [[1]], "amplitudes": [[0.5]], "phases": [[0.0]]}


@landscape_kind("torus", _EXAMPLE, order=1)
def _read(given: Mapping[str, Any]) -> "TiltedTorus":
    from ..torus import TiltedTorus  # here: the list of kinds needs no torch

    return TiltedTorus(**{key: number_lists(key, given[key], example) for key, example in _EXAMPLE.items()})
