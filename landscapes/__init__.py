"""What is minimised: a finite family of M minibatch losses over a flat vector, and its curvature."""

from .checkpoint import Checkpoint, load_tensors, save_tensors
from .curvature import (
    ClosureCheck,
    ClosureHessian,
    CurvatureRecorder,
    DenseOperator,
    Density,
    DriftDecomposition,
    Eigenpairs,
    EmpiricalFisher,
    Estimate,
    FunctionOperator,
    GaussNewton,
    GradientCovariance,
    Hessian,
    Quadrature,
    SymmetricOperator,
    alignment,
    block_lanczos,
    decompose_drift,
    effective_dimension,
    eigenvalue_gradient,
    frobenius_norm,
    hessian,
    hutch_plus_plus,
    hutchinson,
    lanczos,
    lanczos_quadrature,
    lobpcg,
    mean_alignment,
    power_iterates,
    power_method,
    random_vector,
    spectral_density,
    start_vector,
    top_eigenpairs,
    trace_of_function,
)
from .data import DATA, DataSet, load_data
from .data_digest import data_digest
from .errors import InputError
from .fingerprint import fingerprint
from .flat import flatten, unflatten
from .formula import FormulaLandscape
from .landscape import Landscape
from .landscape_file import read_landscape
from .models import MODELS, build_model
from .network import NetworkLandscape
from .network_derivatives import NetworkDerivatives
from .network_function import Batch, LossFunction, Mode, NetworkFunction
from .quadratic import Quadratic
from .records import provenance, read_json, through_json, write_atomically, write_json
from .smooth_norms import SmoothNorms
from .source_code import code_fingerprint, library_versions
from .taylor import KinkWarning
from .torus import TiltedTorus
from .valley import Valley
from .workers import in_workers, one_thread

__all__ = [
    "DATA",
    "MODELS",
    "Batch",
    "Checkpoint",
    "ClosureCheck",
    "ClosureHessian",
    "CurvatureRecorder",
    "DataSet",
    "DenseOperator",
    "Density",
    "DriftDecomposition",
    "Eigenpairs",
    "EmpiricalFisher",
    "Estimate",
    "FormulaLandscape",
    "FunctionOperator",
    "GaussNewton",
    "GradientCovariance",
    "Hessian",
    "InputError",
    "KinkWarning",
    "Landscape",
    "LossFunction",
    "Mode",
    "NetworkDerivatives",
    "NetworkFunction",
    "NetworkLandscape",
    "Quadratic",
    "Quadrature",
    "SmoothNorms",
    "SymmetricOperator",
    "TiltedTorus",
    "Valley",
    "alignment",
    "block_lanczos",
    "build_model",
    "code_fingerprint",
    "data_digest",
    "decompose_drift",
    "effective_dimension",
    "eigenvalue_gradient",
    "fingerprint",
    "flatten",
    "frobenius_norm",
    "hessian",
    "hutch_plus_plus",
    "hutchinson",
    "in_workers",
    "lanczos",
    "lanczos_quadrature",
    "library_versions",
    "load_data",
    "load_tensors",
    "lobpcg",
    "mean_alignment",
    "one_thread",
    "power_iterates",
    "power_method",
    "provenance",
    "random_vector",
    "read_json",
    "read_landscape",
    "save_tensors",
    "spectral_density",
    "start_vector",
    "through_json",
    "top_eigenpairs",
    "trace_of_function",
    "unflatten",
    "write_atomically",
    "write_json",
]
