from .eigenvector_estimate import Eigensolver
from .identity import run_identity
from .measurement import evaluate, measure_sharpness
from .method import Method
from .methods.eigen_sam import EigenSAMSettings
from .methods.sam import SAMSettings
from .methods.sgd import SGDSettings
from .optimizers.eigen_sam import EigenSAM, eigen_perturbation
from .optimizers.sam import SAM
from .registry import OPTIMIZERS, register
from .schedules import GroupSchedule, LearningRateSchedule
from .settings import TrainSettings
from .sharpness_aware import SharpnessAwareOptimizer
from .training import train
from .training_state import make_optimizer
from .two_pass import TwoPassOptimizer

__all__ = [
    "OPTIMIZERS",
    "SAM",
    "EigenSAM",
    "EigenSAMSettings",
    "Eigensolver",
    "GroupSchedule",
    "LearningRateSchedule",
    "Method",
    "SAMSettings",
    "SGDSettings",
    "SharpnessAwareOptimizer",
    "TrainSettings",
    "TwoPassOptimizer",
    "eigen_perturbation",
    "evaluate",
    "make_optimizer",
    "measure_sharpness",
    "register",
    "run_identity",
    "train",
]
