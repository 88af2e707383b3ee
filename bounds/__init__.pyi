from .bounded_loss import BoundedCrossEntropy
from .concentration.binomial_tail import clopper_pearson
from .concentration.empirical_bernstein import empirical_bernstein
from .concentration.hoeffding import hoeffding
from .concentration.kl import binary_kl, kl_inverse
from .concentration.xi import log_xi
from .eigenvalue.bound import Bound, Curvature, Kind, Term
from .eigenvalue.prior_grid import PriorGrid
from .eigenvalue.remainders import remainder
from .eigenvalue.theorem41 import eigenvalue_bound
from .eigenvalue.trained_point import estimate_fourth_derivative
from .families.theorem41 import Theorem41
from .family import BoundFamily
from .posteriors.isotropic_kl import gaussian_kl
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
    "clopper_pearson",
    "eigenvalue_bound",
    "empirical_bernstein",
    "estimate_fourth_derivative",
    "gaussian_kl",
    "hoeffding",
    "kl_inverse",
    "log_xi",
    "remainder",
]
