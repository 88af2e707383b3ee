from .base import BASES, Base, register_base
from .bases.adagrad import AdagradBase
from .bases.adam import AdamBase
from .bases.adamw import AdamWBase
from .bases.radam import RAdamBase
from .bases.rmsprop import RMSpropBase
from .bases.sgd import SGDBase
from .eigenvector_estimate import Eigensolver
from .identity import run_identity
from .measurement import evaluate, measure_sharpness, training_recorder
from .method import Method
from .methods.asam import ASAMSettings
from .methods.cr_sam import CRSAMSettings
from .methods.egr import EGRSettings
from .methods.eigen_sam import EigenSAMSettings
from .methods.fisher_sam import FisherSAMSettings
from .methods.gsam import GSAMSettings
from .methods.m_sam import MSAMSettings
from .methods.plain import PlainSettings
from .methods.random_sam import RandomSAMSettings
from .methods.reverse_sam import ReverseSAMSettings
from .methods.sam import SAMSettings
from .methods.sgd import SGDSettings
from .methods.usam import USAMSettings
from .methods.vasso import VaSSOSettings
from .optimizers.asam import ASAM
from .optimizers.cr_sam import CRSAM
from .optimizers.egr import EGR
from .optimizers.eigen_sam import EigenSAM, eigen_perturbation
from .optimizers.fisher_sam import FisherSAM
from .optimizers.gsam import GSAM
from .optimizers.m_sam import MSAM
from .optimizers.random_sam import RandomSAM
from .optimizers.reverse_sam import ReverseSAM
from .optimizers.sam import SAM
from .optimizers.usam import USAM
from .optimizers.vasso import VaSSO
from .rate import RATES, Rate, register_rate
from .rates.constant import ConstantRate
from .rates.cosine import CosineRate
from .rates.step import StepRate
from .registry import OPTIMIZERS, register
from .schedules import GroupSchedule, LearningRateSchedule
from .settings import TrainSettings
from .sharpness_aware import SharpnessAwareOptimizer
from .tensorboard_log import TensorBoardLog
from .training import train
from .training_log import TrainingLog
from .training_picture import draw_training
from .training_state import make_optimizer
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
    "ASAMSettings",
    "AdagradBase",
    "AdamBase",
    "AdamWBase",
    "Base",
    "CRSAMSettings",
    "ConstantRate",
    "CosineRate",
    "EGRSettings",
    "EigenSAM",
    "EigenSAMSettings",
    "Eigensolver",
    "FisherSAM",
    "FisherSAMSettings",
    "GSAMSettings",
    "GroupSchedule",
    "LearningRateSchedule",
    "MSAMSettings",
    "Method",
    "PlainSettings",
    "RAdamBase",
    "RMSpropBase",
    "RandomSAM",
    "RandomSAMSettings",
    "Rate",
    "ReverseSAM",
    "ReverseSAMSettings",
    "SAMSettings",
    "SGDBase",
    "SGDSettings",
    "SharpnessAwareOptimizer",
    "StepRate",
    "TensorBoardLog",
    "TrainSettings",
    "TrainingLog",
    "TwoPassOptimizer",
    "USAMSettings",
    "VaSSO",
    "VaSSOSettings",
    "draw_training",
    "eigen_perturbation",
    "evaluate",
    "make_optimizer",
    "measure_sharpness",
    "register",
    "register_base",
    "register_rate",
    "run_identity",
    "train",
    "training_recorder",
]
