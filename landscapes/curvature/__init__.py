"""The curvature of losses: operators, eigensolvers, densities and traces."""

from .alignment import alignment
from .block_lanczos import block_lanczos
from .density import Density, spectral_density
from .eigenpairs import Eigenpairs, End, SpectrumBound, random_vector, start_vector
from .estimates import Estimate
from .function_traces import effective_dimension, trace_of_function
from .gradient_covariance import GradientCovariance
from .hutch_plus_plus import hutch_plus_plus
from .lanczos import lanczos
from .landscape_hessian import eigenvalue_gradient, hessian, top_eigenpairs
from .lobpcg import lobpcg
from .network_operators import EmpiricalFisher, GaussNewton, Hessian
from .operators import DenseOperator, FunctionOperator, SymmetricOperator
from .power import power_iterates, power_method
from .quadrature import Quadrature, lanczos_quadrature
from .spectrum_bound import spectrum_bound
from .traces import frobenius_norm, hutchinson

__all__ = [
    "DenseOperator",
    "Density",
    "Eigenpairs",
    "EmpiricalFisher",
    "End",
    "Estimate",
    "FunctionOperator",
    "GaussNewton",
    "GradientCovariance",
    "Hessian",
    "Quadrature",
    "SpectrumBound",
    "SymmetricOperator",
    "alignment",
    "block_lanczos",
    "effective_dimension",
    "eigenvalue_gradient",
    "frobenius_norm",
    "hessian",
    "hutch_plus_plus",
    "hutchinson",
    "lanczos",
    "lanczos_quadrature",
    "lobpcg",
    "power_iterates",
    "power_method",
    "random_vector",
    "spectral_density",
    "spectrum_bound",
    "start_vector",
    "top_eigenpairs",
    "trace_of_function",
]
