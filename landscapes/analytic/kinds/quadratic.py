"""``quadratic``: the arguments of :class:`Quadratic`."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..landscape_kinds import landscape_kind, number_lists

if TYPE_CHECKING:
    from ..quadratic import Quadratic

_EXAMPLE = {"hessian": [[3.0, 1.0], [1.0, 2.0]], "centres": [[1.0, 0.0], [-1.0, 0.5]]}


@landscape_kind("quadratic", _EXAMPLE, order=2)
def _read(given: Mapping[str, Any]) -> "Quadratic":
    from ..quadratic import Quadratic  # here: the list of kinds needs no torch

    return Quadratic(**{key: number_lists(key, given[key], example) for key, example in _EXAMPLE.items()})
