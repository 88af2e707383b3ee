from .bounded_loss import BoundedCrossEntropy
from .concentration.kl import binary_kl, kl_inverse
from .eigenvalue.bound import Bound, Curvature, Kind, Term
from .eigenvalue.prior_grid import PriorGrid
from .eigenvalue.remainders import remainder
from .eigenvalue.theorem41 import eigenvalue_bound
from .eigenvalue.trained_point import estimate_fourth_derivative
from .families.theorem41 import Theorem41
from .family import BoundFamily
from .gibbs.estimate import GibbsEstimate
from .gibbs.frozen_backbone import FrozenBackbone
from .gibbs.gibbs_risk import gibbs_risk
from .gibbs.last_layer import LastLayer, split_last_layer
from .gibbs.local_reparameterisation import local_reparameterisation, perceptron_layers
from .gibbs.mean_field_perceptron import MeanFieldPerceptron
from .gibbs.risk_losses import CrossEntropyRisk, GibbsLoss, ZeroOneRisk
from .gibbs.stochastic_network import StochasticNetwork
from .gibbs.weight_draws import WeightDraws
from .posteriors.diagonal_posterior import DiagonalPosterior
from .posteriors.independent_posterior import IndependentPosterior
from .posteriors.isotropic_kl import gaussian_kl
from .posteriors.isotropic_posterior import IsotropicPosterior
from .posteriors.layerwise_posterior import LayerwisePosterior
from .posteriors.low_rank_posterior import LowRankPosterior
from .posteriors.posterior import GaussianPosterior
from .posteriors.prior import GaussianPrior
from .posteriors.spectral import spectral_kl, spectral_posterior
from .registry import BOUNDS

__all__ = [
    "BOUNDS",
    "Bound",
    "BoundFamily",
    "BoundedCrossEntropy",
    "CrossEntropyRisk",
    "Curvature",
    "DiagonalPosterior",
    "FrozenBackbone",
    "GaussianPosterior",
    "GaussianPrior",
    "GibbsEstimate",
    "GibbsLoss",
    "IndependentPosterior",
    "IsotropicPosterior",
    "Kind",
    "LastLayer",
    "LayerwisePosterior",
    "LowRankPosterior",
    "MeanFieldPerceptron",
    "PriorGrid",
    "StochasticNetwork",
    "Term",
    "Theorem41",
    "WeightDraws",
    "ZeroOneRisk",
    "binary_kl",
    "eigenvalue_bound",
    "estimate_fourth_derivative",
    "gaussian_kl",
    "gibbs_risk",
    "kl_inverse",
    "local_reparameterisation",
    "perceptron_layers",
    "remainder",
    "spectral_kl",
    "spectral_posterior",
    "split_last_layer",
]
