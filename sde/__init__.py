"""How an update rule becomes an SDE, and how well the SDE approximates it."""

from .coefficients import (
    Coefficients,
    coefficients,
    drift_and_covariance,
    exact_increments,
    moments,
)
from .symbolic import RULES, SDE, Rule, derive, expand, find_rule, in_coordinates, multi_step_sam, truncate
from .torus_operators import TorusGrid
from .weak_order import ETAS, WeakOrder, observed_slopes, step_count, verify_on_torus

__all__ = [
    "ETAS",
    "RULES",
    "SDE",
    "Coefficients",
    "Rule",
    "TorusGrid",
    "WeakOrder",
    "coefficients",
    "derive",
    "drift_and_covariance",
    "exact_increments",
    "expand",
    "find_rule",
    "in_coordinates",
    "moments",
    "multi_step_sam",
    "observed_slopes",
    "step_count",
    "truncate",
    "verify_on_torus",
]
