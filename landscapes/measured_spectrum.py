"""The curvature of a trained run's loss: eigenvalues, a bound of the spectrum, density, as one result."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch.nn.functional import cross_entropy

from ..ground.console import progress_bar
from ..ground.errors import InputError
from .curvature.empirical_fisher import EmpiricalFisher
from .curvature.gauss_newton import GaussNewton
from .curvature.network_hessian import Hessian
from .curvature.network_operator import NetworkOperator
from .networks.network_function import NetworkFunction
from .runs.run import Run
from .spectra.density import Density, spectral_density
from .spectra.eigenpairs import Eigenpairs
from .spectra.estimates import Estimate
from .spectra.function_traces import effective_dimension, trace_of_function
from .spectra.lanczos_iteration import lanczos
from .spectra.quadrature import Quadrature
from .spectra.stochastic_quadrature import lanczos_quadrature
from .spectrum_settings import OPERATORS, SpectrumSettings

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["MeasuredSpectrum", "measure_spectrum"]

_MATRICES: dict[str, Callable[..., NetworkOperator]] = {
    "hessian": Hessian,
    "gauss-newton": GaussNewton,
    "fisher": EmpiricalFisher,
}


@dataclass(frozen=True)
class MeasuredSpectrum:
    """What ``eigensam spectrum`` found.

    Attributes:
        settings: what was asked for.
        matrix: the operator.
        pairs: its eigenpairs.
        examples: how many examples it is a mean over.
        quadrature: what density and estimates rest on; None where they were not asked for.
        density: of eigenvalues; likewise.
        estimates: by name; likewise empty.
        remarks: what one has to know of the training loss: label noise, a smoothing that these numbers are without; of
            a network that is not the trained one, its epoch.
        epoch: after which the network had these weights; None if that is not known.
    """

    settings: SpectrumSettings
    matrix: NetworkOperator
    pairs: Eigenpairs
    examples: int
    quadrature: Quadrature | None = None
    density: Density | None = None
    estimates: Mapping[str, Estimate] = field(default_factory=dict)
    remarks: Sequence[str] = ()
    epoch: int | None = None

    def __repr__(self) -> str:
        lines = [
            f"{self.title} of the training loss, d = {self.matrix.dim}, {self.examples} examples",
            repr(self.pairs),
        ]
        return "\n".join([*lines, *(f"{name}: {estimate}" for name, estimate in self.estimates.items()), *self.remarks])

    @property
    def title(self) -> str:
        """What the eigenvalues are of."""
        return OPERATORS[self.settings.operator]

    def to_dict(self) -> dict[str, Any]:
        """What ``eigensam spectrum --json`` writes."""
        result: dict[str, Any] = {
            "operator": self.title,
            **self.pairs.to_dict(),
            "which": self.settings.which,
            "tolerance": self.settings.tolerance,
            "dim": self.matrix.dim,
            "parameters": self.matrix.network.names,
            "examples": self.examples,
            "epoch": self.epoch,
            "mode": self.settings.mode,
            "seed": self.settings.seed,
            "remarks": list(self.remarks),
        }
        if isinstance(self.matrix, Hessian):
            result["method"] = self.matrix.used
        if self.density is not None:
            result["density"] = self.density.to_dict()
            result["estimates"] = {name: estimate.to_dict() for name, estimate in self.estimates.items()}
        return result

    def plot(self) -> "Figure":
        """Eigenvalues, the bound of the spectrum, and the density if there is one, as a figure of matplotlib."""
        from .spectra.spectrum_picture import draw_spectrum  # here: who draws nothing needs no matplotlib

        return draw_spectrum(self.to_dict())


def measure_spectrum(
    run: Run | Path | str,
    settings: SpectrumSettings | None = None,
    *,
    epoch: int | None = None,
    data_root: Path | None = None,
    download: bool = False,
    device: torch.device | str = "cpu",
) -> MeasuredSpectrum:
    """Eigenvalues, and if wanted the density, of the training loss's curvature at a trained point.

    The training loss is the plain cross-entropy of the examples and labels that were trained on, noise included.

    Args:
        run: folder of the run, or an opened one, such as :meth:`Run.at_epoch` gives.
        settings: what is wanted; default the largest eigenvalue of the Hessian.
        epoch: of the network after this epoch, see :meth:`Run.at_epoch`; None leaves the run as it is.
        data_root: where data sets lie.
        download: whether a missing one is fetched.
        device: where to compute.

    Raises:
        InputError: the run is damaged, or has kept no network of that epoch; its data is missing or changed; a batch
            does not fit; what :func:`lanczos` refuses.
    """
    settings = SpectrumSettings() if settings is None else settings
    opened = run if isinstance(run, Run) else Run(run)
    opened = opened if epoch is None else opened.at_epoch(epoch)
    matrix, examples = _matrix(opened, settings, data_root, download, device)
    with progress_bar("matrix-vector products", settings.max_products) as (progress, task):
        pairs = lanczos(
            matrix,
            settings.top,
            which=settings.which,  # type: ignore[arg-type]  # the settings refuse what it does not know
            max_products=settings.max_products,
            tolerance=settings.tolerance,
            seed=settings.seed,
            delta=settings.delta,
            callback=lambda products, value, residual: progress.update(task, completed=products),
        )
        progress.update(task, total=pairs.products)
    if not settings.density:
        return MeasuredSpectrum(settings, matrix, pairs, examples, remarks=opened.remarks, epoch=opened.epoch)
    with progress_bar("density", settings.probes * min(settings.steps, matrix.dim)) as (progress, task):
        quadrature = lanczos_quadrature(
            matrix,
            probes=settings.probes,
            steps=settings.steps,
            seed=settings.seed,
            callback=lambda products: progress.update(task, completed=products),
        )
    estimates = _estimates(quadrature, scale=float(pairs.values.abs().max()))
    density = spectral_density(quadrature)
    return MeasuredSpectrum(
        settings, matrix, pairs, examples, quadrature, density, estimates, opened.remarks, opened.epoch
    )


def _matrix(
    run: Run,
    settings: SpectrumSettings,
    data_root: Path | None,
    download: bool,
    device: torch.device | str,
) -> tuple[NetworkOperator, int]:
    """The operator of a run's network on its training data, and the number of examples."""
    model = run.network().to(device)
    data = run.data(data_root, download=download)
    inputs, targets, size = data.train_inputs, data.train_targets, settings.batch_size
    if settings.double:
        model, inputs = model.double(), inputs.double()
    if settings.batches:
        inputs, targets = inputs[: settings.batches * size], targets[: settings.batches * size]
    if settings.mode == "train":  # minibatch statistics need whole minibatches
        whole = len(inputs) // size * size
        if not whole:
            raise InputError(f"batch size {size} does not fit {len(inputs)} examples; give 1 to {len(inputs)}")
        inputs, targets = inputs[:whole], targets[:whole]
    network = NetworkFunction(
        model,
        cross_entropy,
        mode="train" if settings.mode == "train" else "eval",
        parameters=settings.parameters,
    )
    pieces = list(zip(inputs.split(size), targets.split(size), strict=True))
    return _MATRICES[settings.operator](network, pieces, check=settings.check), len(inputs)


def _estimates(quadrature: Quadrature, scale: float) -> dict[str, Estimate]:
    """What else the products of the density give."""
    # What counts as large is ours: a tenth of the largest eigenvalue (nearer the bulk the quadrature's bias shows).
    unit = max(scale / 10, torch.finfo(torch.float64).tiny)
    return {
        "trace": trace_of_function(quadrature, lambda t: t),
        "squared Frobenius norm": trace_of_function(quadrature, torch.square),
        f"effective dimension at {unit:.3g}": effective_dimension(quadrature, unit),
    }
