"""The curvature of losses: operators, eigensolvers, densities and traces."""

from .alignment import alignment, mean_alignment
from .block_lanczos import block_lanczos
from .closure_hessian import ClosureCheck, ClosureHessian
from .density import Density, spectral_density
from .drift_decomposition import DriftDecomposition, decompose_drift
from .eigenpairs import Eigenpairs, End, SpectrumBound, random_vector, start_vector
from .estimates import Estimate
from .function_traces import effective_dimension, trace_of_function
from .gradient_covariance import GradientCovariance
from .hutch_plus_plus import hutch_plus_plus
from .lanczos import lanczos
from .landscape_hessian import eigenvalue_gradient, hessian, top_eigenpairs
from .lobpcg import lobpcg
from .network_hessian import Hessian
from .network_jacobians import EmpiricalFisher, GaussNewton
from .operators import DenseOperator, FunctionOperator, SymmetricOperator
from .perturbations import Perturbation, member_perturbations
from .power import power_iterates, power_method
from .quadrature import Quadrature, lanczos_quadrature
from .recorder import CurvatureRecorder
from .recorder_picture import draw_curvature
from .spectrum_bound import spectrum_bound
from .traces import frobenius_norm, hutchinson

__all__ = [
    "ClosureCheck",
    "ClosureHessian",
    "CurvatureRecorder",
    "DenseOperator",
    "Density",
    "DriftDecomposition",
    "Eigenpairs",
    "EmpiricalFisher",
    "End",
    "Estimate",
    "FunctionOperator",
    "GaussNewton",
    "GradientCovariance",
    "Hessian",
    "Perturbation",
    "Quadrature",
    "SpectrumBound",
    "SymmetricOperator",
    "alignment",
    "block_lanczos",
    "decompose_drift",
    "draw_curvature",
    "effective_dimension",
    "eigenvalue_gradient",
    "frobenius_norm",
    "hessian",
    "hutch_plus_plus",
    "hutchinson",
    "lanczos",
    "lanczos_quadrature",
    "lobpcg",
    "mean_alignment",
    "member_perturbations",
    "power_iterates",
    "power_method",
    "random_vector",
    "spectral_density",
    "spectrum_bound",
    "start_vector",
    "top_eigenpairs",
    "trace_of_function",
]
