"""From an update rule to its SDE, symbolically."""

from .coordinates import CoordinateSDE, in_coordinates
from .derivation import SDE, Dropped, derive, truncate
from .expansion import expand
from .language import alpha, derivative, direction, grad, hvp, inner, loss, mean, norm, parameter, rho, sign, unit
from .rules import RULES, Rule, find_rule, multi_step_sam

__all__ = [
    "RULES",
    "SDE",
    "CoordinateSDE",
    "Dropped",
    "Rule",
    "alpha",
    "derivative",
    "derive",
    "direction",
    "expand",
    "find_rule",
    "grad",
    "hvp",
    "in_coordinates",
    "inner",
    "loss",
    "mean",
    "multi_step_sam",
    "norm",
    "parameter",
    "rho",
    "sign",
    "truncate",
    "unit",
]
