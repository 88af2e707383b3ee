from .base import BASES, Base, register_base
from .bases.adagrad import AdagradBase
from .bases.adam import AdamBase
from .bases.adamw import AdamWBase
from .bases.radam import RAdamBase
from .bases.rmsprop import RMSpropBase
from .bases.sgd import SGDBase
from .eigenvector_estimate import Eigensolver
from .method import Method
from .methods.asam import ASAMSettings
from .methods.aware_perturbation import AwarePerturbationSettings
from .methods.cr_sam import CRSAMSettings
from .methods.det_sam import DetSAMSettings
from .methods.egr import EGRSettings
from .methods.eigen_sam import EigenSAMSettings
from .methods.fisher_sam import FisherSAMSettings
from .methods.friendly_sam import FriendlySAMSettings
from .methods.frob_sam import FrobSAMSettings
from .methods.gsam import GSAMSettings
from .methods.m_sam import MSAMSettings
from .methods.momentum_sam import MomentumSAMSettings
from .methods.plain import PlainSettings
from .methods.random_sam import RandomSAMSettings
from .methods.reverse_sam import ReverseSAMSettings
from .methods.sam import SAMSettings
from .methods.sam_on import SAMONSettings
from .methods.sgd import SGDSettings
from .methods.smoothed_perturbation import SmoothedPerturbationSettings
from .methods.usam import USAMSettings
from .methods.vasso import VaSSOSettings
from .methods.x_sam import XSAMSettings
from .normalization_layers import normalization_groups
from .optimizers.asam import ASAM
from .optimizers.aware_perturbation import AwarePerturbation
from .optimizers.cr_sam import CRSAM
from .optimizers.det_sam import DetSAM
from .optimizers.egr import EGR
from .optimizers.eigen_sam import EigenSAM, eigen_perturbation
from .optimizers.fisher_sam import FisherSAM
from .optimizers.friendly_sam import FriendlySAM
from .optimizers.frob_sam import FrobSAM
from .optimizers.gsam import GSAM
from .optimizers.m_sam import MSAM
from .optimizers.momentum_sam import MomentumSAM
from .optimizers.random_sam import RandomSAM
from .optimizers.reverse_sam import ReverseSAM
from .optimizers.sam import SAM
from .optimizers.smoothed_perturbation import SmoothedPerturbation
from .optimizers.usam import USAM
from .optimizers.vasso import VaSSO
from .optimizers.x_sam import XSAM
from .rate import RATES, Rate, register_rate
from .rates.constant import ConstantRate
from .rates.cosine import CosineRate
from .rates.step import StepRate
from .registry import OPTIMIZERS, register
from .schedules import GroupSchedule, LearningRateSchedule
from .sharpness_aware import SharpnessAwareOptimizer
from .training.identity import run_identity
from .training.made_optimizer import make_optimizer as make_optimizer
from .training.measurement import evaluate, measure_sharpness, training_recorder
from .training.settings import TrainSettings
from .training.tensorboard_log import TensorBoardLog
from .training.train import train
from .training.training_log import TrainingLog
from .training.training_picture import draw_training
from .two_pass import TwoPassOptimizer

__all__ = [
    "ASAM",
    "BASES",
    "CRSAM",
    "EGR",
    "GSAM",
    "MSAM",
    "OPTIMIZERS",
    "RATES",
    "SAM",
    "USAM",
    "XSAM",
    "ASAMSettings",
    "AdagradBase",
    "AdamBase",
    "AdamWBase",
    "AwarePerturbation",
    "AwarePerturbationSettings",
    "Base",
    "CRSAMSettings",
    "ConstantRate",
    "CosineRate",
    "DetSAM",
    "DetSAMSettings",
    "EGRSettings",
    "EigenSAM",
    "EigenSAMSettings",
    "Eigensolver",
    "FisherSAM",
    "FisherSAMSettings",
    "FriendlySAM",
    "FriendlySAMSettings",
    "FrobSAM",
    "FrobSAMSettings",
    "GSAMSettings",
    "GroupSchedule",
    "LearningRateSchedule",
    "MSAMSettings",
    "Method",
    "MomentumSAM",
    "MomentumSAMSettings",
    "PlainSettings",
    "RAdamBase",
    "RMSpropBase",
    "RandomSAM",
    "RandomSAMSettings",
    "Rate",
    "ReverseSAM",
    "ReverseSAMSettings",
    "SAMONSettings",
    "SAMSettings",
    "SGDBase",
    "SGDSettings",
    "SharpnessAwareOptimizer",
    "SmoothedPerturbation",
    "SmoothedPerturbationSettings",
    "StepRate",
    "TensorBoardLog",
    "TrainSettings",
    "TrainingLog",
    "TwoPassOptimizer",
    "USAMSettings",
    "VaSSO",
    "VaSSOSettings",
    "XSAMSettings",
    "draw_training",
    "eigen_perturbation",
    "evaluate",
    "make_optimizer",
    "measure_sharpness",
    "normalization_groups",
    "register",
    "register_base",
    "register_rate",
    "run_identity",
    "train",
    "training_recorder",
]
