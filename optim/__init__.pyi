from .eigen_sam import EigenSAM, Eigensolver, eigen_perturbation
from .measurement import SpectrumRecorder, evaluate
from .sam import SAM
from .settings import OPTIMIZERS, TrainSettings
from .training import read_metrics, run_identity, train

__all__ = [
    "OPTIMIZERS",
    "SAM",
    "EigenSAM",
    "Eigensolver",
    "SpectrumRecorder",
    "TrainSettings",
    "eigen_perturbation",
    "evaluate",
    "read_metrics",
    "run_identity",
    "train",
]
