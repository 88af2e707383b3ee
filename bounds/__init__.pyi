from .bound import Bound, Curvature, Kind, Term
from .bounded_loss import BoundedCrossEntropy
from .family import BoundFamily
from .gaussian import gaussian_kl
from .kl import binary_kl, kl_inverse
from .prior_grid import PriorGrid
from .registry import BOUNDS
from .remainder import remainder
from .theorem41 import eigenvalue_bound
from .trained_point import PriorCentre, bound_checkpoint, estimate_fourth_derivative

__all__ = [
    "BOUNDS",
    "Bound",
    "BoundFamily",
    "BoundedCrossEntropy",
    "Curvature",
    "Kind",
    "PriorCentre",
    "PriorGrid",
    "Term",
    "binary_kl",
    "bound_checkpoint",
    "eigenvalue_bound",
    "estimate_fourth_derivative",
    "gaussian_kl",
    "kl_inverse",
    "remainder",
]
