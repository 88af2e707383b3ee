"""From a trained checkpoint to the ingredients of Theorem 4.1, each labelled for what it is."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from ...ground.errors import InputError
from ...landscapes.curvature.landscape_hessian import top_eigenpairs
from ...landscapes.networks.network import NetworkLandscape
from ...landscapes.runs.data_set import DataSet, converted
from ...landscapes.runs.run import Run
from ..bounded_loss import BoundedCrossEntropy
from .bound import Bound, Curvature
from .inputs import check_examples
from .theorem41 import eigenvalue_bound
from .trained_point_settings import TrainedPointSettings

__all__ = ["bound_checkpoint", "estimate_fourth_derivative"]

_KINKED = (nn.ReLU, nn.LeakyReLU, nn.PReLU, nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d)


def estimate_fourth_derivative(landscape: NetworkLandscape, x: Tensor, directions: Tensor) -> float:
    """``max_v |d_v^4 f(x)|`` over unit directions (rows): a lower *estimate* of the operator norm ``K_4`` at ``x``.

    One nested derivative per direction; nothing about points other than ``x`` is known from it.

    Raises:
        InputError: no direction, or one that is not of length 1.

    Example:
        >>> import torch
        >>> from eigensam.landscapes import NetworkLandscape
        >>> model = torch.nn.Linear(1, 1, bias=False, dtype=torch.float64)
        >>> quartic = lambda outputs, targets: (outputs**4).mean()
        >>> f = NetworkLandscape.from_tensors(model, quartic, torch.ones(1, 1, dtype=torch.float64), torch.zeros(1))
        >>> round(estimate_fourth_derivative(f, f.point(), torch.ones(1, 1, dtype=torch.float64)), 9)
        24.0
    """
    lengths = directions.norm(dim=-1)
    if directions.ndim != 2 or len(directions) == 0 or not bool(((lengths - 1).abs() < 1e-4).all()):
        raise InputError(
            f"directions of shape {tuple(directions.shape)} with lengths {lengths.flatten().tolist()}: "
            f"need at least one row, each of length 1; divide each row by its norm"
        )
    values = [abs(float(landscape.taylor_gradient(x, v, (0.0, 0.0, 0.0, 1.0)) @ v)) for v in directions]
    return max(values)


def _assumptions(model: nn.Module, data: DataSet, centre: str) -> list[str]:
    found = [
        f"The {len(data.train_targets)} training examples are independent draws from one distribution.",
        "What is bounded is the risk of the randomised predictor N(x, sigma^2 I); carrying it over to the point x "
        "needs f_D(x) <= E f_D(x + e), as the paper and Foret et al. (2021) assume; compare test_loss_at_x "
        "with test_loss_around_x.",
        "lambda_1 is a Ritz value (a lower bound of the eigenvalue) and K_4 is sampled at x only: an estimate, "
        "not a certificate.",
        "The prior grid and its centre were fixed before the training set was seen "
        + ("(centre: the initialisation)." if centre == "initial" else "(centre: zero)."),
    ]
    if any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in model.modules()):
        found.append(
            "Batch norm's running statistics count as fixed before the sample was drawn, though they were computed "
            "from it; the bound does not pay for them."
        )
    if any(isinstance(module, _KINKED) for module in model.modules()):
        found.append("The loss has four continuous derivatives; with ReLU or max pooling only almost everywhere.")
    return found


def _clean_labels(run: Run) -> list[str]:
    """A sentence if the labels are not those of the training."""
    examples = run.examples
    if examples is None or not examples.replaced:
        return []
    return [
        f"{examples.replaced} of the {len(examples.train)} labels that the network was trained on are noise; every "
        "term is with the data set's own labels, whose risk is bounded."
    ]


def bound_checkpoint(
    run: Run | Path | str,
    data: DataSet | None,
    settings: TrainedPointSettings,
    *,
    device: torch.device | str = "cpu",
    progress: Callable[[str], None] = lambda what: None,
) -> Bound:
    """Theorem 4.1 for a run, on its own training set, in float64.

    After label noise its examples have the data set's own labels again: the theorem holds for any point, whatever led
    to it, of examples that are independent draws. Exactly so many wrong labels are not, and the risk would be one with
    noise, to which test losses cannot be compared. The loss is :class:`BoundedCrossEntropy`, without label smoothing.

    Args:
        run: or its directory, made by ``eigensam train``.
        data: the data set the run was trained on; None loads it, which works for data that are built in.
        settings: delta, prior, posterior and effort.
        device: where to compute.
        progress: called with what is being computed.

    Raises:
        InputError: not a run directory, damaged or foreign tensors, an argument out of range, other data, a loss or
            derivative at the trained point that is not finite.
    """
    settings.check()  # before minutes of work
    centre = settings.prior
    run = run if isinstance(run, Run) else Run(run)
    data = run.data() if data is None else data
    data = run.clean(data)
    check_examples(len(data.train_targets))
    loss = BoundedCrossEntropy(settings.p_min)
    model = run.network().to(device, torch.float64)
    examples = len(data.train_targets)
    landscape = NetworkLandscape.from_tensors(
        model, loss, converted(data.train_inputs, torch.float64), data.train_targets, chunk_size=settings.batch_size
    )
    x = landscape.point()
    start = torch.zeros_like(x)
    if centre == "initial":
        initial = run.network(initial=True).to(device, torch.float64)
        start = NetworkLandscape(initial, loss, landscape.batches).point()

    progress("empirical loss")
    with torch.no_grad():
        empirical = float(landscape.loss(x))
    if not -1e-6 <= empirical <= 1 + 1e-6:  # it lies in [0, 1] up to rounding
        raise InputError(f"the trained network's bounded loss is {empirical}, not in [0, 1]; its training diverged")
    progress("top eigenvalue of the bounded loss")
    pairs = top_eigenpairs(landscape, x, max_products=settings.max_products, seed=settings.seed)
    progress("fourth derivative")
    generator = torch.Generator().manual_seed(settings.seed)
    random = torch.randn(settings.random_directions, landscape.dim, generator=generator, dtype=torch.float64).to(x)
    directions = torch.cat([pairs.vectors, random / random.norm(dim=1, keepdim=True)])
    k4 = estimate_fourth_derivative(landscape, x, directions)
    result = eigenvalue_bound(
        min(max(empirical, 0.0), 1.0),
        Curvature(float(pairs.values[0]), fourth_derivative=k4),
        dim=landscape.dim,
        squared_distance=float((x - start).square().sum()),
        examples=examples,
        delta=settings.delta,
        sigma=settings.sigma,
        assumptions=[
            *_assumptions(model, data, centre),
            *_clean_labels(run),
            f"Derivatives are what torch makes of them. Hessian products: {pairs.checked}; fourth derivative: "
            f"{landscape.derivatives.how_checked(3)}.",
        ],
    )
    progress("point check")
    test = NetworkLandscape.from_tensors(
        model,
        loss,
        converted(data.test_inputs, torch.float64),
        data.test_targets,
        chunk_size=settings.batch_size,
    )
    with torch.no_grad():
        at_point = float(test.loss(x))
        noise = torch.randn(8, landscape.dim, generator=generator, dtype=torch.float64).to(x)
        around = sum(float(test.loss(x + result.details["sigma"] * e)) for e in noise) / len(noise)
    details = {
        **result.details,
        "lambda_1_residual": float(pairs.residuals[0]),
        "lambda_1_converged": float(pairs.converged),
        "k4_estimate": k4,
        "test_loss_at_x": at_point,
        "test_loss_around_x": around,
    }
    return replace(result, details=details)
