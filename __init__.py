"""eigensam: derive, simulate, verify, train and bound Sharpness-Aware Minimization (SAM).

The packages, each usable alone (arrows of import point down only):

- ``eigensam.paper_figures``: measured JSON, pictures and the report.
- ``eigensam.sde``: how an update rule becomes a stochastic differential equation, and its weak order.
- ``eigensam.optim``: SAM, Eigen-SAM and the training loop.
- ``eigensam.bounds``: what a trained point guarantees.
- ``eigensam.landscapes``: finite families of minibatch losses, their curvature, data, models, checkpoints.
"""

from importlib.metadata import version

__version__ = version("eigensam")
