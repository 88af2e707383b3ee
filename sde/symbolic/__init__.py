"""From an update rule to its SDE, symbolically."""

from .coordinates import CoordinateSDE, in_coordinates
from .derivation import SDE, Dropped, derive, truncate
from .expansion import expand
from .identities import Alignment, Theorem, alignment_of, eigenvalue_gradient, norm_gradients
from .language import alpha, derivative, direction, grad, hvp, inner, loss, mean, norm, parameter, rho, sign, unit
from .printing import latex, text, unicode
from .rules import RULES, Rule, find_rule, multi_step_sam

__all__ = [
    "RULES",
    "SDE",
    "Alignment",
    "CoordinateSDE",
    "Dropped",
    "Rule",
    "Theorem",
    "alignment_of",
    "alpha",
    "derivative",
    "derive",
    "direction",
    "eigenvalue_gradient",
    "expand",
    "find_rule",
    "grad",
    "hvp",
    "in_coordinates",
    "inner",
    "latex",
    "loss",
    "mean",
    "multi_step_sam",
    "norm",
    "norm_gradients",
    "parameter",
    "rho",
    "sign",
    "text",
    "truncate",
    "unicode",
    "unit",
]
