"""What is minimised: a finite family of M minibatch losses over a flat vector, and its curvature."""

from .checkpoint import Checkpoint, load_tensors, save_tensors
from .curvature import (
    Eigenpairs,
    alignment,
    lanczos,
    power_iterates,
    power_method,
    start_vector,
    top_eigenpairs,
)
from .data import DATA, DataSet, load_data
from .errors import InputError
from .flat import flatten, unflatten
from .formula import FormulaLandscape
from .landscape import Landscape
from .landscape_file import read_landscape
from .models import MODELS, build_model
from .network import Mode, NetworkLandscape
from .quadratic import Quadratic
from .records import code_fingerprint, provenance, read_json, write_atomically, write_json
from .smooth_norms import SmoothNorms
from .torus import TiltedTorus
from .valley import Valley

__all__ = [
    "DATA",
    "MODELS",
    "Checkpoint",
    "DataSet",
    "Eigenpairs",
    "FormulaLandscape",
    "InputError",
    "Landscape",
    "Mode",
    "NetworkLandscape",
    "Quadratic",
    "SmoothNorms",
    "TiltedTorus",
    "Valley",
    "alignment",
    "build_model",
    "code_fingerprint",
    "flatten",
    "lanczos",
    "load_data",
    "load_tensors",
    "power_iterates",
    "power_method",
    "provenance",
    "read_json",
    "read_landscape",
    "save_tensors",
    "start_vector",
    "top_eigenpairs",
    "unflatten",
    "write_atomically",
    "write_json",
]
