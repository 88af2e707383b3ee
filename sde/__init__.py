"""How an update rule becomes an SDE, and how well the SDE approximates it."""

from .rules import RULES, Rule, find_rule
from .torus_operators import TorusGrid
from .truncation import TAYLOR, exact_increments, moments, truncated_increments
from .weak_order import ETAS, WeakOrder, expected_order, observed_slopes, step_count, verify_on_torus

__all__ = [
    "ETAS",
    "RULES",
    "TAYLOR",
    "Rule",
    "TorusGrid",
    "WeakOrder",
    "exact_increments",
    "expected_order",
    "find_rule",
    "moments",
    "observed_slopes",
    "step_count",
    "truncated_increments",
    "verify_on_torus",
]
