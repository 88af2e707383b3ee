from .assumptions.check_assumptions import check_assumptions
from .assumptions.check_example import check_example
from .assumptions.example_losses import EXAMPLES, ExampleLoss
from .assumptions.lipsdp import lipsdp
from .assumptions.settings import AssumptionSettings
from .assumptions.table import AssumptionTable
from .assumptions.verdict import CheckedAssumption
from .bounded_loss import BoundedCrossEntropy
from .certificates.certificate import Certificate, Statement
from .certificates.certify import certify
from .certificates.ledger import Ledger, LedgerEntry
from .certificates.settings import CertifySettings
from .concentration.binomial_tail import clopper_pearson
from .concentration.empirical_bernstein import empirical_bernstein
from .concentration.hoeffding import hoeffding
from .concentration.kl import binary_kl, kl_inverse
from .concentration.xi import log_xi
from .eigenvalue.bound import Bound, Curvature, Kind, Term
from .eigenvalue.form import Form
from .eigenvalue.remainders import remainder, third_partials_moment
from .eigenvalue.theorem41 import eigenvalue_bound, theorem_forms
from .families.theorem41 import Theorem41
from .family import BoundFamily
from .gibbs.estimate import GibbsEstimate
from .gibbs.fresh_weights import FreshWeights
from .gibbs.frozen_backbone import FrozenBackbone
from .gibbs.gibbs_risk import gibbs_risk
from .gibbs.last_layer import LastLayer, split_last_layer
from .gibbs.local_reparameterisation import local_reparameterisation, perceptron_layers
from .gibbs.mean_field_perceptron import MeanFieldPerceptron
from .gibbs.risk_losses import CrossEntropyRisk, GibbsLoss, ZeroOneRisk
from .gibbs.stochastic_network import StochasticNetwork
from .gibbs.weight_draws import WeightDraws
from .ordering.order import Ordering, order_models
from .ordering.settings import OrderSettings
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
from .peers.ball import ball_bound
from .peers.derandomised import Smoothness, derandomised_bound
from .peers.foret import foret_bound
from .peers.linear_smoothness import score_curvature, smoothness_of_linear
from .peers.surrogate_gap import surrogate_gap_bound
from .peers.worst_case import AscentStart, WorstCase, worst_case_loss
from .posteriors.diagonal_posterior import DiagonalPosterior
from .posteriors.independent_posterior import IndependentPosterior
from .posteriors.isotropic_kl import gaussian_kl
from .posteriors.isotropic_posterior import IsotropicPosterior
from .posteriors.layerwise_posterior import LayerwisePosterior
from .posteriors.low_rank_posterior import LowRankPosterior
from .posteriors.posterior import GaussianPosterior
from .posteriors.prior import GaussianPrior
from .posteriors.prior_grid import PriorGrid
from .posteriors.spectral import spectral_kl, spectral_posterior
from .registry import BOUNDS
from .trained_point.directional import estimate_fourth_derivative, estimate_operator_norm
from .trained_point.measured_bound import MeasuredBound
from .trained_point.posterior_risk import LossAround, loss_around, monte_carlo_bound

__all__ = [
    "BOUNDS",
    "EXAMPLES",
    "PAC_BAYES",
    "Alquier",
    "AscentStart",
    "AssumptionSettings",
    "AssumptionTable",
    "Bound",
    "BoundFamily",
    "BoundedCrossEntropy",
    "Catoni",
    "CatoniGrid",
    "Certificate",
    "CertifySettings",
    "CheckedAssumption",
    "CrossEntropyRisk",
    "Curvature",
    "DiagonalPosterior",
    "EmpiricalBernstein",
    "ExampleLoss",
    "Form",
    "FreshWeights",
    "FrozenBackbone",
    "GaussianPosterior",
    "GaussianPrior",
    "GibbsEstimate",
    "GibbsLoss",
    "GibbsSample",
    "IndependentPosterior",
    "IsotropicPosterior",
    "Kind",
    "LastLayer",
    "LayerwisePosterior",
    "Ledger",
    "LedgerEntry",
    "LossAround",
    "LowRankPosterior",
    "Maurer",
    "McAllester",
    "MeanFieldPerceptron",
    "MeasuredBound",
    "OrderSettings",
    "Ordering",
    "PacBayesInequality",
    "PriorGrid",
    "Quadratic",
    "Smoothness",
    "Statement",
    "StochasticNetwork",
    "Term",
    "Theorem41",
    "Thiemann",
    "TolstikhinSeldin",
    "UnexpectedBernstein",
    "WeightDraws",
    "WorstCase",
    "ZeroOneRisk",
    "ball_bound",
    "binary_kl",
    "certify",
    "check_assumptions",
    "check_example",
    "clopper_pearson",
    "derandomised_bound",
    "eigenvalue_bound",
    "empirical_bernstein",
    "estimate_fourth_derivative",
    "estimate_operator_norm",
    "foret_bound",
    "gaussian_kl",
    "gibbs_risk",
    "hoeffding",
    "kl_inverse",
    "lipsdp",
    "local_reparameterisation",
    "log_xi",
    "loss_around",
    "monte_carlo_bound",
    "order_models",
    "perceptron_layers",
    "remainder",
    "score_curvature",
    "smoothness_of_linear",
    "spectral_kl",
    "spectral_posterior",
    "split_last_layer",
    "surrogate_gap_bound",
    "theorem_forms",
    "third_partials_moment",
    "worst_case_loss",
]
