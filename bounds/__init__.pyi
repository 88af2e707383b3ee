from .bounded_loss import BoundedCrossEntropy
from .concentration.kl import binary_kl, kl_inverse
from .eigenvalue.bound import Bound, Curvature, Kind, Term
from .eigenvalue.remainders import remainder
from .eigenvalue.theorem41 import eigenvalue_bound
from .eigenvalue.trained_point import estimate_fourth_derivative
from .families.theorem41 import Theorem41
from .family import BoundFamily
from .posteriors.isotropic_kl import gaussian_kl
from .posteriors.prior_grid import PriorGrid
from .registry import BOUNDS

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
