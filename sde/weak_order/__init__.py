"""Weak order as a measured fact: an SDE against its rule, with no noise or with honest statistics.

Points have shape ``(N, d)``, values of test functions ``(N, K)``, increments ``(N, M, d)``.
"""

from .ablations import Ablation, ablations, measure_ablations
from .claim import ETAS, TOLERANCE, step_count
from .critical_point import measure_critical_point
from .divisors import Divisor, divisors
from .evidence import observed_slopes
from .moments import Moments, affine_moments, verify_moments
from .monte_carlo import MONTE_CARLO_ETAS, verify_monte_carlo
from .one_step import FLOAT64_ETAS, MULTI_ETAS, polynomial_test_functions, verify_one_step
from .order_table import EXPONENTS, TABLE_ETAS, Cell, Entry, cells, markdown, measure_cell, measure_table, row_label
from .torus import periodic_test_functions, verify_on_torus
from .torus_grid import TorusGrid
from .verdict import WeakOrder

__all__ = [
    "ETAS",
    "EXPONENTS",
    "FLOAT64_ETAS",
    "MONTE_CARLO_ETAS",
    "MULTI_ETAS",
    "TABLE_ETAS",
    "TOLERANCE",
    "Ablation",
    "Cell",
    "Divisor",
    "Entry",
    "Moments",
    "TorusGrid",
    "WeakOrder",
    "ablations",
    "affine_moments",
    "cells",
    "divisors",
    "markdown",
    "measure_ablations",
    "measure_cell",
    "measure_critical_point",
    "measure_table",
    "observed_slopes",
    "periodic_test_functions",
    "polynomial_test_functions",
    "row_label",
    "step_count",
    "verify_moments",
    "verify_monte_carlo",
    "verify_on_torus",
    "verify_one_step",
]
