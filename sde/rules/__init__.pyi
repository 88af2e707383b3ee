from .language import alpha, derivative, direction, grad, hvp, inner, loss, mean, norm, parameter, rho, sign, unit
from .rule import RULES, Rule, find_rule, multi_step_sam

__all__ = [
    "RULES",
    "Rule",
    "alpha",
    "derivative",
    "direction",
    "find_rule",
    "grad",
    "hvp",
    "inner",
    "loss",
    "mean",
    "multi_step_sam",
    "norm",
    "parameter",
    "rho",
    "sign",
    "unit",
]
