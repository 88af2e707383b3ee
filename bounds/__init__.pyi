from .bounded_loss import BoundedCrossEntropy
from .concentration.binomial_tail import clopper_pearson
from .concentration.empirical_bernstein import empirical_bernstein
from .concentration.hoeffding import hoeffding
from .concentration.kl import binary_kl, kl_inverse
from .concentration.xi import log_xi
from .eigenvalue.bound import Bound, Curvature, Kind, Term
from .eigenvalue.remainders import remainder
from .eigenvalue.theorem41 import eigenvalue_bound
from .eigenvalue.trained_point import estimate_fourth_derivative
from .families.theorem41 import Theorem41
from .family import BoundFamily
from .pac_bayes.gibbs_sample import GibbsSample
from .pac_bayes.inequalities.alquier import Alquier
from .pac_bayes.inequalities.catoni import Catoni
from .pac_bayes.inequalities.catoni_grid import CatoniGrid
from .pac_bayes.inequalities.empirical_bernstein import EmpiricalBernstein
from .pac_bayes.inequalities.maurer import Maurer
from .pac_bayes.inequalities.mcallester import McAllester
from .pac_bayes.inequalities.quadratic import Quadratic
from .pac_bayes.inequalities.thiemann import Thiemann
from .pac_bayes.inequalities.tolstikhin_seldin import TolstikhinSeldin
from .pac_bayes.inequalities.unexpected_bernstein import UnexpectedBernstein
from .pac_bayes.inequality import PacBayesInequality
from .pac_bayes.registry import PAC_BAYES
from .posteriors.isotropic_kl import gaussian_kl
from .posteriors.prior_grid import PriorGrid
from .registry import BOUNDS

__all__ = [
    "BOUNDS",
    "PAC_BAYES",
    "Alquier",
    "Bound",
    "BoundFamily",
    "BoundedCrossEntropy",
    "Catoni",
    "CatoniGrid",
    "Curvature",
    "EmpiricalBernstein",
    "GibbsSample",
    "Kind",
    "Maurer",
    "McAllester",
    "PacBayesInequality",
    "PriorGrid",
    "Quadratic",
    "Term",
    "Theorem41",
    "Thiemann",
    "TolstikhinSeldin",
    "UnexpectedBernstein",
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
