from .bound import Bound, Curvature, Kind, Term
from .bounded_loss import BoundedCrossEntropy
from .families.theorem41 import Theorem41
from .family import BoundFamily
from .gaussian import gaussian_kl
from .kl import binary_kl, kl_inverse
from .prior_grid import PriorGrid
from .registry import BOUNDS
from .remainders import remainder
from .theorem41 import eigenvalue_bound
from .trained_point import estimate_fourth_derivative

__all__ = [
    "BOUNDS",
    "Bound",
    "BoundFamily",
    "BoundedCrossEntropy",
    "Curvature",
    "Kind",
    "PriorGrid",
    "Term",
    "Theorem41",
    "binary_kl",
    "eigenvalue_bound",
    "estimate_fourth_derivative",
    "gaussian_kl",
    "kl_inverse",
    "remainder",
]
