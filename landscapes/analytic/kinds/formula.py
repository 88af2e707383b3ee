"""``formula``: names of coordinates, and formulas as text."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ....ground.errors import InputError
from ..landscape_kinds import landscape_kind, shown, texts

if TYPE_CHECKING:
    from ..formula import FormulaLandscape

_EXAMPLE = {"coordinates": ["x", "y"], "losses": ["(1 - x)**2 + 100*(y - x**2)**2"]}
_MOST_LOSSES = 1_000  # ours: compiling a formula takes milliseconds
_MOST_CHARACTERS = 50_000  # ours: of all formulas together; sympy reads some thousands a second


@landscape_kind("formula", _EXAMPLE, order=3)
def _read(given: Mapping[str, Any]) -> "FormulaLandscape":
    import sympy  # here: the list of kinds needs neither sympy nor torch

    from ..formula import FormulaLandscape, is_coordinate_name
    from ..formula_text import read_formula

    names, formulas = (texts(key, given[key], _EXAMPLE[key]) for key in ("coordinates", "losses"))
    for name in names:
        if not is_coordinate_name(name) or names.count(name) > 1:
            raise InputError(
                f"key 'coordinates' contains {shown(name)}; expected names of letters and digits, each once, that are "
                f"not functions or constants, such as x1"
            )
    if len(formulas) > _MOST_LOSSES or sum(map(len, formulas)) > _MOST_CHARACTERS:
        raise InputError(
            f"key 'losses' has {len(formulas)} formulas with {sum(map(len, formulas))} characters; at most "
            f"{_MOST_LOSSES} with {_MOST_CHARACTERS} are read, write the landscape in Python"
        )
    coordinates = {name: sympy.Symbol(name, real=True) for name in names}
    losses = []
    for index, formula in enumerate(formulas):
        try:
            losses.append(read_formula(formula, coordinates))
        except InputError as error:
            raise InputError(f"losses[{index}]: {error}") from None
    return FormulaLandscape(list(coordinates.values()), losses)
