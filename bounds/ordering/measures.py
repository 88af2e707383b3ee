"""Everything that may order trained models, measured at one checkpoint."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from ...ground.errors import InputError
from ...landscapes.curvature.landscape_hessian import hessian
from ...landscapes.networks.network import NetworkLandscape
from ...landscapes.runs.data_set import DataSet, converted
from ...landscapes.runs.run import Run
from ...landscapes.spectra.lanczos_iteration import lanczos
from ...landscapes.spectra.traces import hutchinson
from ..bounded_loss import BoundedCrossEntropy
from ..eigenvalue.bound import Curvature
from ..eigenvalue.theorem41 import eigenvalue_bound
from ..trained_point.directional import estimate_operator_norm
from ..trained_point.posterior_risk import loss_around
from .layer_measures import hessian_diagonal, layerwise_distance_curvature, normalised_sharpness
from .settings import Configuration

__all__ = ["CONTROLS", "MEASURES", "Measure", "measure_run", "with_configuration"]

_PRODUCTS = 60  # of Lanczos; the top eigenvalue of a fitted network needs fewer
_PROBES = 10  # of the trace
_DIAGONAL_PROBES = 50
_RISE = 0.1  # ours: of the bounded loss, at which a posterior is as wide as it may be
_PAIRS = 4
_ROWS = 1000


@dataclass(frozen=True)
class Measure:
    """What is compared with generalisation.

    Attributes:
        symbol: in matplotlib's mathematical text.
        meaning: in words.
    """

    symbol: str
    meaning: str


MEASURES: Mapping[str, Measure] = {
    "lambda_1": Measure(r"$\lambda_1$", "top eigenvalue of the Hessian"),
    "trace": Measure(r"$\mathrm{tr}\,H$", "trace of the Hessian"),
    "curvature_term": Measure(r"$d\,\lambda_1\sigma^2/2$", "curvature's term of Theorem 4.1 at its best sigma"),
    "theorem": Measure("Thm 4.1", "Theorem 4.1, the sum of its terms"),
    "layerwise": Measure(r"$\sum\sqrt{\Delta_l^T H_l \Delta_l}$", "layerwise distance and curvature (Ju et al.)"),
    "normalised": Measure("normalised", "normalised sharpness, invariant under rescaling (Tsuzuku et al.)"),
    "sharpness": Measure(
        r"$1/\sigma^2$", "sharpness: of the largest sigma at which noise raises the loss by 0.1 (Jiang et al.)"
    ),
    "pac_bayes": Measure(r"$|x-x_0|^2/\sigma^2$", "PAC-Bayes: that sharpness times the squared distance moved"),
    "norm": Measure(r"$|x|$", "norm of the parameters"),
    "distance": Measure(r"$|x-x_0|$", "distance from the initialisation"),
}
"""By name; each is small for models that should generalise."""

CONTROLS: Mapping[str, Measure] = {
    "training_loss": Measure(r"$f_S$", "training loss"),
    "steps": Measure("steps", "number of steps"),
    "batch_size": Measure("batch size", "batch size"),
    "lr": Measure(r"$\eta$", "learning rate"),
    "rho": Measure(r"$\rho$", "radius of the optimizer"),
}
"""What may explain an order away."""


def measure_run(run: Run, whole: DataSet, *, delta: float, p_min: float) -> dict[str, float]:
    """All measures of a run's trained network on its training examples, and how it generalises to all others.

    Args:
        run: with a subset of the data, or all of them.
        whole: the data set before anything was drawn.
        delta: of the bound.
        p_min: of the bounded cross-entropy.

    Returns:
        ``MEASURES`` and ``CONTROLS`` by name (but ``batch_size``, ``lr`` and ``rho``), ``gap`` and ``held_out_loss`` of
        the bounded loss, ``error_gap`` and ``held_out_error`` of the zero-one loss, the standard errors of the two held
        out ones, ``train_accuracy``, and the number of examples of each.

    Raises:
        InputError: a derivative or loss that is not finite.
    """
    loss = BoundedCrossEntropy(p_min)
    part = run.clean(run.training_part(whole))
    model = run.network().double()
    f = NetworkLandscape.from_tensors(
        model, loss, converted(part.train_inputs, torch.float64), part.train_targets, chunk_size=_ROWS
    )
    x = f.point()
    start = NetworkLandscape(run.network(initial=True).double(), loss, f.batches).point()
    found = {"steps": float(_steps(run, len(part.train_targets)))}
    found |= _generalisation(run, whole, part, f, loss)
    found |= _curvature(f, x, x - start, model, found, delta=delta)
    found["norm"], found["distance"] = float(x.norm()), float((x - start).norm())
    sigma = _widest(f, x)
    found["sharpness"], found["pac_bayes"] = sigma**-2, float((x - start).square().sum()) / sigma**2
    broken = [name for name, value in found.items() if not math.isfinite(value)]
    if broken:
        raise InputError(f"{run.directory}: {', '.join(broken)} not finite; its training diverged")
    return found


def _steps(run: Run, examples: int) -> int:
    return (examples // int(run.settings["batch_size"])) * run.checkpoint.kept_epoch


def _generalisation(
    run: Run, whole: DataSet, part: DataSet, f: NetworkLandscape, loss: BoundedCrossEntropy
) -> dict[str, float]:
    """On the training's examples, and on all that it has not seen: the rest of the training set, and the test set."""
    unseen = torch.ones(len(whole.train_targets), dtype=torch.bool)
    if run.examples is None:
        unseen[:] = False
    else:
        unseen[run.examples.train] = False
        unseen[run.examples.validation] = False
    inputs = torch.cat([whole.train_inputs[unseen], whole.test_inputs])
    targets = torch.cat([whole.train_targets[unseen], whole.test_targets])
    x = f.point()

    def scores(images: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            return torch.cat([f.outputs(x, rows) for rows in converted(images, torch.float64).split(_ROWS)])

    seen, held_out = scores(part.train_inputs), scores(inputs)
    losses, errors = loss.per_example(held_out, targets), (held_out.argmax(1) != targets).double()
    training = float(loss(seen, part.train_targets))
    train_error = float((seen.argmax(1) != part.train_targets).double().mean())
    root = math.sqrt(len(targets))
    return {
        "training_loss": training,
        "train_accuracy": 1 - train_error,
        "held_out_loss": float(losses.mean()),
        "held_out_loss_error": float(losses.std()) / root,
        "held_out_error": float(errors.mean()),
        "held_out_error_error": float(errors.std()) / root,
        "gap": float(losses.mean()) - training,
        "error_gap": float(errors.mean()) - train_error,
        "examples": float(len(part.train_targets)),
        "held_out_examples": float(len(targets)),
    }


def _curvature(
    f: NetworkLandscape,
    x: torch.Tensor,
    moved: torch.Tensor,
    model: torch.nn.Module,
    known: Mapping[str, float],
    *,
    delta: float,
) -> dict[str, float]:
    operator = hessian(f, x)

    def product(v: torch.Tensor) -> torch.Tensor:
        return operator @ v

    pairs = lanczos(operator, 1, max_products=_PRODUCTS, seed=0)
    k3, _ = estimate_operator_norm(f, x, pairs.vectors[:1], order=3, ascents=1)
    bound = eigenvalue_bound(
        min(max(known["training_loss"], 0.0), 1.0),
        Curvature(float(pairs.values[0]), hessian_lipschitz=k3),
        dim=f.dim,
        squared_distance=float(moved.square().sum()),
        examples=int(known["examples"]),
        delta=delta,
    )
    sizes = [sum(p.numel() for p in module.parameters(recurse=False) if p.requires_grad) for module in model.modules()]
    diagonal = hessian_diagonal(product, f.dim, probes=_DIAGONAL_PROBES, seed=0, like=x)
    return {
        "lambda_1": float(pairs.values[0]),
        "trace": hutchinson(operator, probes=_PROBES, seed=0).value,
        "curvature_term": bound.terms[1].value,
        "theorem": bound.bound,
        "layerwise": layerwise_distance_curvature(product, moved, [size for size in sizes if size]),
        "normalised": normalised_sharpness(model, diagonal),
    }


def _widest(f: NetworkLandscape, x: torch.Tensor) -> float:
    """The sigma at which Gaussian noise raises the loss by ``_RISE``: bisection of ``ln sigma`` by the same draws."""
    low, high = 1e-4, 10.0

    def rise(sigma: float) -> float:
        return loss_around(f, x, [sigma], pairs=_PAIRS, generator=torch.Generator().manual_seed(0)).mean[0]

    if rise(high) < _RISE:
        return high
    for _ in range(14):
        middle = math.sqrt(low * high)
        if rise(middle) > _RISE:
            high = middle
        else:
            low = middle
    return math.sqrt(low * high)


def with_configuration(measured: dict[str, Any], each: Configuration, seed: int) -> dict[str, Any]:
    """A record: measures beside what was trained."""
    own = {"method": each.method, "batch_size": each.batch_size, "lr": each.lr, "rho": each.rho, "seed": seed}
    return {**measured, **own}
