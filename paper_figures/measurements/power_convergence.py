"""How far so many Hessian products bring an estimate of the top eigenvector, along one training by Eigen-SAM."""

import math
from typing import Any

import torch
from torch import Tensor

from ...landscapes.runs.data_set import DataSet
from ...landscapes.spectra.eigenpairs import start_vector
from ...landscapes.spectra.krylov_decomposition import KrylovDecomposition
from ...landscapes.spectra.lanczos_iteration import lanczos
from ...landscapes.spectra.operators import SymmetricOperator
from ...landscapes.spectra.power_iteration import power_iterates
from ...optim.optimizers.eigen_sam import EigenSAM
from ...optim.training.random_state import random_state, set_random_state
from ...optim.training.settings import TrainSettings
from ...optim.training.training import Training
from .settled_top import SettledTop, loss_of_examples, settled_top

__all__ = ["POINTS", "convergence_along", "lanczos_estimates", "power_estimates", "refresh_steps"]

POINTS = ("initial", "half trained", "trained")
"""Moments of a training."""


def refresh_steps(settings: TrainSettings, steps: int) -> list[int]:
    """Steps before which Eigen-SAM refreshes: at the start, next to the middle, last; fewer if they coincide.

    Example:
        >>> refresh_steps(TrainSettings("eigen-sam", epochs=1), 418)
        [0, 200, 400]
    """
    every = settings.method.refresh_every  # type: ignore[attr-defined]
    return sorted({0, round(steps / 2 / every) * every, steps // every * every})


def convergence_along(
    settings: TrainSettings, data: DataSet, device: str, examples: int, products: int
) -> list[dict[str, Any]]:
    """Train by Eigen-SAM, and estimate anew where it is about to do so itself.

    Args:
        settings: of a run of Eigen-SAM.
        data: its training set.
        device: where it trains.
        examples: over which the whole training loss is taken; 0 is all.
        products: most products of an estimate.

    Returns:
        A row for each moment and Hessian (that of a minibatch, and of the whole loss): ``point``, ``step``,
        ``hessian``, ``lambda_1``, ``lambda_2``, ``lambda_min`` (rough unless it is large in magnitude), ``sine`` and
        ``resolved`` (see :class:`SettledTop`), ``curves``: by start (``cold``: a random vector; ``warm``: Eigen-SAM's
        own estimate, made ``k`` steps before, not at the first moment) and solver (``power``, ``lanczos``) the lists
        ``alignment`` (``|<v_p, v_1>|``) and ``ratio`` (``v_p^T H v_p/lambda_1``) for ``p = 0, ..., products``.
    """
    place = torch.device(device)
    training = Training(settings, data, place)
    total = settings.epochs * training.steps_per_epoch
    due = refresh_steps(settings, total)
    names = dict(zip(due, (POINTS[0], *POINTS[3 - len(due) + 1 :]), strict=True))
    rows: list[dict[str, Any]] = []
    whole = loss_of_examples(training.model, data, examples, f"whole {settings.seed}", place, settings.batch_size)

    def look(step: int) -> None:
        if step not in names:
            return
        state = random_state(place)
        optimizer = training.optimizer
        assert isinstance(optimizer, EigenSAM)
        words = f"minibatch {settings.seed} {step}"
        minibatch = loss_of_examples(training.model, data, settings.batch_size, words, place)
        for kind, landscape in (("minibatch", minibatch), ("whole", whole)):
            top = settled_top(landscape, seed=settings.seed)
            cold = start_vector(top.operator, None, settings.seed + 1000 * (step + 1))
            starts = {"cold": cold} if optimizer.eigenvector is None else {"cold": cold, "warm": optimizer.eigenvector}
            rows.append(_row(names[step], step, kind, top, starts, products))
        set_random_state(state, place)

    look(0)
    while training.steps < due[-1]:
        training.epoch(lambda step, loss: look(training.steps))
    return rows


def _row(point: str, step: int, kind: str, top: SettledTop, starts: dict[str, Tensor], products: int) -> dict[str, Any]:
    curves = {
        start: {
            solver: {
                "alignment": [top.alignment(v) for v, _ in estimates],
                "ratio": [quotient / top.values[0] if top.values[0] > 0 else math.nan for _, quotient in estimates],
            }
            for solver, estimates in (
                ("power", power_estimates(top.operator, first, products)),
                ("lanczos", lanczos_estimates(top.operator, first, products)),
            )
        }
        for start, first in starts.items()
    }
    # One that dominates is found by few products; whether another one has settled makes no difference here.
    smallest = lanczos(top.operator, which="smallest", max_products=20, tolerance=0.05)
    return {
        "point": point,
        "step": step,
        "hessian": kind,
        "lambda_1": top.values[0],
        "lambda_2": top.values[1],
        "lambda_min": float(smallest.values[0]),
        "sine": top.sine,
        "resolved": top.resolved,
        "curves": curves,
    }


def power_estimates(operator: SymmetricOperator, start: Tensor, products: int) -> list[tuple[Tensor, float]]:
    """Algorithm 1's unit vectors after 0, 1, ..., ``products`` products, each with its Rayleigh quotient.

    Example:
        >>> from eigensam.landscapes import DenseOperator
        >>> matrix = torch.diag(torch.tensor([2.0, 1.0]))
        >>> [round(float(v[0]), 3) for v, _ in power_estimates(DenseOperator(matrix), torch.tensor([0.6, 0.8]), 2)]
        [0.6, 0.832, 0.949]
    """
    iterates = zip(power_iterates(operator, start_vector(operator, start, 0)), range(products + 1), strict=False)
    found = [(v, float(v.double() @ hv.double())) for (v, hv), _ in iterates]
    return found + [found[-1]] * (products + 1 - len(found))  # it ends where a product vanishes


def lanczos_estimates(operator: SymmetricOperator, start: Tensor, products: int) -> list[tuple[Tensor, float]]:
    """Top Ritz pairs of the spaces of 1, ..., ``products`` dimensions; before them the start, which is the first one.

    Example:
        >>> from eigensam.landscapes import DenseOperator
        >>> matrix = torch.diag(torch.tensor([2.0, 1.0]))
        >>> found = lanczos_estimates(DenseOperator(matrix), torch.tensor([0.6, 0.8]), 2)
        >>> [round(value, 3) for _, value in found]
        [1.36, 1.36, 2.0]
    """
    first = start_vector(operator, start, 0)
    space = KrylovDecomposition(operator, min(products, operator.dim))
    space.add_end(first)
    found: list[tuple[Tensor, float]] = []
    norm = math.inf
    for _ in range(products):
        if norm and space.size < operator.dim:  # else the space is invariant
            norm = space.advance()
        theta, s = space.ritz()
        found.append((space.basis.combined(s[:, -1:])[0], float(theta[-1])))
    return [(first, found[0][1]), *found]
