"""How long an estimate of the top eigenvector stays good when the training goes on and the estimate does not."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ...landscapes.runs.data_set import DataSet
from ...optim.optimizers.eigen_sam import EigenSAM
from ...optim.training.random_state import random_state, set_random_state
from ...optim.training.settings import TrainSettings
from ...optim.training.training import Training
from .settled_top import SettledTop, loss_of_examples, settled_top

__all__ = ["decay_along", "freezing_steps"]


def freezing_steps(settings: TrainSettings, steps: int, shares: Sequence[float], longest: int) -> list[int]:
    """Steps before which Eigen-SAM refreshes, next to shares of the training, with enough steps after them.

    Example:
        >>> freezing_steps(TrainSettings("eigen-sam", epochs=1), 308, (0.25, 0.5, 0.75), 100)
        [100, 200]
    """
    every = settings.method.refresh_every  # type: ignore[attr-defined]
    found = {round(share * steps / every) * every for share in shares}
    return sorted(step for step in found if step + longest <= steps)


@dataclass
class _Frozen:
    """Vectors of one moment, and how they do since."""

    step: int
    exact: Tensor
    own: Tensor | None = None
    rows: list[dict[str, Any]] = field(default_factory=list)


def decay_along(
    settings: TrainSettings,
    data: DataSet,
    device: str,
    examples: int,
    shares: Sequence[float],
    looks: Sequence[int],
) -> dict[str, Any]:
    """Train by Eigen-SAM; at a few refreshes freeze its new estimate and the exact eigenvector, and follow both.

    Args:
        settings: of a run of Eigen-SAM.
        data: its training set.
        device: where it trains.
        examples: over which the training loss is taken whose eigenvector is the truth; 0 is all.
        shares: of the training, at whose nearest refreshes is frozen.
        looks: steps after which is looked, increasing, the first one 0: at the parameters of the refresh.

    Returns:
        ``parameters``, and ``frozen``: for each moment ``step`` and ``rows``, a row for each look: ``after``,
        ``lambda_1``, ``gap`` (to ``lambda_2``, relative), ``sine``, ``resolved`` (see :class:`SettledTop`), and of
        ``own`` (Eigen-SAM's) and ``exact``: ``alignment`` (``|<v, v_1>|``), ``plane`` (length of the part in the span
        of ``v_1`` and ``v_2``) and ``ratio`` (``v^T H v/lambda_1``).
    """
    place = torch.device(device)
    training = Training(settings, data, place)
    steps = freezing_steps(settings, settings.epochs * training.steps_per_epoch, shares, looks[-1])
    words = f"whole {settings.seed}"
    landscape = loss_of_examples(training.model, data, examples, words, place, settings.batch_size)
    frozen: list[_Frozen] = []
    begun: SettledTop | None = None  # of the moment before the step in which Eigen-SAM estimates

    def look(step: int) -> None:
        nonlocal begun
        if begun is not None:  # the estimate was made at the parameters before this step
            optimizer = training.optimizer
            assert isinstance(optimizer, EigenSAM)
            assert optimizer.eigenvector is not None
            frozen[-1].own = optimizer.eigenvector.clone()
            frozen[-1].rows.append(_row(begun, 0, frozen[-1]))
            begun = None
        followed = [each for each in frozen if step - each.step in looks]
        if not followed and step not in steps:
            return
        state = random_state(place)
        top = settled_top(landscape, seed=settings.seed)
        for each in followed:
            each.rows.append(_row(top, step - each.step, each))
        if step in steps:
            begun = top
            frozen.append(_Frozen(step, top.vectors[0].clone()))
        set_random_state(state, place)

    look(0)
    while steps and training.steps < steps[-1] + looks[-1]:
        training.epoch(lambda step, loss: look(training.steps))
    return {
        "parameters": sum(p.numel() for p in training.model.parameters() if p.requires_grad),
        "frozen": [{"step": each.step, "rows": each.rows} for each in frozen],
    }


def _row(top: SettledTop, after: int, frozen: _Frozen) -> dict[str, Any]:
    found: dict[str, Any] = {
        "after": after,
        "lambda_1": top.values[0],
        "gap": top.gap,
        "sine": top.sine if math.isfinite(top.sine) else math.nan,
        "resolved": top.resolved,
    }
    for name, v in (("own", frozen.own), ("exact", frozen.exact)):
        assert v is not None
        found[name] = {"alignment": top.alignment(v), "plane": top.in_plane(v), "ratio": top.ratio(v)}
    return found
