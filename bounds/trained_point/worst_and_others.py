"""The worst case beside the Gaussian mean at a trained point, and what other papers make of it."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ...ground.errors import InputError
from ...landscapes.runs.data_set import DataSet, converted
from ..eigenvalue.bound import Bound
from ..peers.ball import ball_bound
from ..peers.derandomised import Smoothness
from ..peers.foret import foret_bound
from ..peers.linear_smoothness import smoothness_of_linear
from ..peers.surrogate_gap import surrogate_gap_bound
from ..peers.worst_case import WorstCase, worst_case_loss
from .point_curvature import PointCurvature
from .sampled_point import SampledPoint

__all__ = ["bounds_of_others", "smoothness_of_point", "worst_cases"]

Progress = Callable[[str], None]


def worst_cases(point: SampledPoint, curvature: PointCurvature, sigma: float, progress: Progress) -> list[WorstCase]:
    """By ascent in the ball of SAM's radius, and in that of the posterior's size ``sigma sqrt(d)``.

    A reviewer's objection to the paper: SAM's perturbation is the worst of its ball, the theorem's is random.
    """
    settings, found = point.settings, []
    size = sigma * point.landscape.dim**0.5
    resolved = 16 * torch.finfo(point.x.dtype).eps * float(point.x.double().norm())
    for radius in (settings.rho, *([size] if resolved < size < 1e30 else [])):
        progress(f"worst case in the ball of radius {radius:.3g}")
        found.append(
            worst_case_loss(
                point.landscape,
                point.x,
                radius,
                directions=curvature.pairs.vectors[:1],
                gradients=settings.gradients,
                random_starts=1,
                draws=2,
                seed=settings.seed,
            )
        )
    return found


def bounds_of_others(point: SampledPoint, worst: WorstCase) -> list[Bound]:
    """At the radius that was set, which does not depend on the sample, with the largest loss that was found there."""
    arguments: dict[str, Any] = {
        "rho": worst.radius,
        "squared_norm": point.squared_distance,
        "dim": point.landscape.dim,
        "examples": point.examples,
        "delta": point.settings.delta,
    }
    largest = min(max(worst.value, 0.0), 1.0)
    gap = max(0.0, largest - point.empirical)
    return [
        foret_bound(largest, **arguments),
        ball_bound(largest, **arguments),
        surrogate_gap_bound(min(point.empirical, largest), gap, **arguments),
    ]


def smoothness_of_point(point: SampledPoint, data: DataSet) -> tuple[Smoothness | None, str]:
    """What lets a bound of the randomised network speak of the network itself, if it is proved; and a sentence on it.

    Args:
        point: with the bound of its inputs among its settings.
        data: training and test set, whose inputs must obey it.

    Raises:
        InputError: inputs that are longer than the settings say.
    """
    norm = point.settings.squared_input_norm
    try:
        smooth = smoothness_of_linear(point.model, point.loss, squared_input_norm=norm or 0.0)
    except InputError as error:
        return None, f"Nothing proves f_D(x) <= f_D(Q) + tau sigma^2/2 here: {error}."
    if norm is None:
        return None, (
            "The network is linear: with --squared-input-norm, which no example of the distribution may exceed, the "
            "bounds would speak of the network itself."
        )
    longest = _longest_input(point, [point.sample[0], data.test_inputs])
    if longest > norm * (1 + 1e-6):
        raise InputError(
            f"--squared-input-norm {norm:g} is below {longest:g}, that of an example at hand where the trained layer "
            "sees it; give what no example of the distribution may exceed"
        )
    return smooth, smooth.reason


def _longest_input(point: SampledPoint, groups: list[Tensor]) -> float:
    """The largest squared norm of what the last linear layer sees of them."""
    layer = [module for module in point.model.modules() if isinstance(module, nn.Linear)][-1]
    longest = 0.0

    def look(module: nn.Module, arguments: tuple[Tensor, ...]) -> None:
        nonlocal longest
        longest = max(longest, float(arguments[0].double().square().sum(1).max()))

    handle = layer.register_forward_pre_hook(look)
    try:
        with torch.no_grad():
            for inputs in groups:
                for part in converted(inputs, point.x.dtype).to(point.x.device).split(point.settings.batch_size):
                    point.model(part)
    finally:
        handle.remove()
    return longest
