from .analytic.formula import FormulaLandscape
from .analytic.landscape_file import read_landscape
from .analytic.landscape_kinds import LANDSCAPES, landscape_kind
from .analytic.quadratic import Quadratic
from .analytic.torus import TiltedTorus
from .analytic.valley import Valley
from .curvature.alignments import alignment, mean_alignment
from .curvature.batch_sharpness import batch_sharpness
from .curvature.closure_hessian import ClosureCheck, ClosureHessian
from .curvature.drift_decomposition import DriftDecomposition, decompose_drift
from .curvature.empirical_fisher import EmpiricalFisher
from .curvature.gauss_newton import GaussNewton
from .curvature.gradient_covariance import GradientCovariance
from .curvature.landscape_hessian import eigenvalue_gradient, hessian, top_eigenpairs
from .curvature.network_hessian import Hessian
from .curvature.recorder import CurvatureRecorder
from .derivatives.flat import flatten, unflatten
from .derivatives.smooth_norms import SmoothNorms
from .derivatives.taylor.elementwise import KinkWarning
from .landscape import Landscape
from .measured_spectrum import MeasuredSpectrum, measure_spectrum
from .networks.network import NetworkLandscape
from .networks.network_derivatives import NetworkDerivatives
from .networks.network_function import Batch, LossFunction, Mode, NetworkFunction
from .runs.build import build_model
from .runs.checkpoint import Checkpoint
from .runs.data import load_data
from .runs.data_digests import data_digest
from .runs.data_set import DataSet
from .runs.examples import Examples
from .runs.metrics import read_metrics
from .runs.registries import DATA, MODELS
from .runs.run import Run
from .runs.split import Split
from .spectra.block_lanczos_iteration import block_lanczos
from .spectra.density import Density, spectral_density
from .spectra.eigenpairs import Eigenpairs, random_vector, start_vector
from .spectra.estimates import Estimate
from .spectra.function_traces import effective_dimension, trace_of_function
from .spectra.lanczos_iteration import lanczos
from .spectra.lobpcg_iteration import lobpcg
from .spectra.low_rank_trace import hutch_plus_plus
from .spectra.operators import DenseOperator, FunctionOperator, SymmetricOperator
from .spectra.power_iteration import power_iterates, power_method
from .spectra.quadrature import Quadrature
from .spectra.spectrum_bound import SpectrumBound
from .spectra.stochastic_quadrature import lanczos_quadrature
from .spectra.traces import frobenius_norm, hutchinson
from .spectrum_settings import SpectrumSettings
from .tensor_files import load_tensors, save_tensors

__all__ = [
    "DATA",
    "LANDSCAPES",
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
    "Examples",
    "FormulaLandscape",
    "FunctionOperator",
    "GaussNewton",
    "GradientCovariance",
    "Hessian",
    "KinkWarning",
    "Landscape",
    "LossFunction",
    "MeasuredSpectrum",
    "Mode",
    "NetworkDerivatives",
    "NetworkFunction",
    "NetworkLandscape",
    "Quadratic",
    "Quadrature",
    "Run",
    "SmoothNorms",
    "SpectrumBound",
    "SpectrumSettings",
    "Split",
    "SymmetricOperator",
    "TiltedTorus",
    "Valley",
    "alignment",
    "batch_sharpness",
    "block_lanczos",
    "build_model",
    "data_digest",
    "decompose_drift",
    "effective_dimension",
    "eigenvalue_gradient",
    "flatten",
    "frobenius_norm",
    "hessian",
    "hutch_plus_plus",
    "hutchinson",
    "lanczos",
    "lanczos_quadrature",
    "landscape_kind",
    "load_data",
    "load_tensors",
    "lobpcg",
    "mean_alignment",
    "measure_spectrum",
    "power_iterates",
    "power_method",
    "random_vector",
    "read_landscape",
    "read_metrics",
    "save_tensors",
    "spectral_density",
    "start_vector",
    "top_eigenpairs",
    "trace_of_function",
    "unflatten",
]
