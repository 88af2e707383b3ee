"""The top eigenvector of a trained loss as a truth to compare estimates with: refused where it is not resolved."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ...ground.errors import InputError
from ...landscapes.curvature.landscape_hessian import hessian
from ...landscapes.networks.network import NetworkLandscape
from ...landscapes.runs.data_set import DataSet
from ...landscapes.spectra.lanczos_iteration import lanczos
from ...landscapes.spectra.operators import SymmetricOperator
from ...optim.noise import generator_of

__all__ = ["MOST_ANGLE", "SettledTop", "loss_of_examples", "settled_top"]

MOST_ANGLE = 0.02
"""Ours: a computed ``v_1`` counts as known where the sine of its angle to the true one is proven to be below."""

_PRODUCTS, _TOLERANCE = 300, 1e-3


@dataclass(frozen=True)
class SettledTop:
    """A Hessian and its two largest eigenvalues, with what is known of the first eigenvector.

    Attributes:
        operator: the Hessian, of one moment: it keeps its parameters.
        values: ``lambda_1 >= lambda_2``.
        vectors: unit ``v_1`` and ``v_2`` as rows.
        sine: bound of the sine of the angle between ``v_1`` and the true one, ``|H v_1 - lambda_1 v_1|`` over the gap
            to the rest of the spectrum (Davis and Kahan); infinite where the gap is not above the residuals.
        settled: whether Lanczos converged.
    """

    operator: SymmetricOperator
    values: tuple[float, float]
    vectors: Tensor
    sine: float
    settled: bool

    @property
    def resolved(self) -> bool:
        """Whether there is one top eigenvector, and this is it."""
        return self.settled and self.sine <= MOST_ANGLE

    @property
    def gap(self) -> float:
        """``(lambda_1 - lambda_2)/lambda_1``; NaN where ``lambda_1`` is not positive."""
        first, second = self.values
        return (first - second) / first if first > 0 else math.nan

    def alignment(self, v: Tensor) -> float:
        """``|<v, v_1>|`` of a unit vector; NaN where ``v_1`` is not resolved."""
        return abs(float(self.vectors[0].double() @ v.to(self.vectors).double())) if self.resolved else math.nan

    def in_plane(self, v: Tensor) -> float:
        """Length of a unit vector's part in the span of ``v_1`` and ``v_2``: what is left where these two mix."""
        return float((self.vectors.double() @ v.to(self.vectors).double()).norm()) if self.settled else math.nan

    def ratio(self, v: Tensor) -> float:
        """Rayleigh quotient ``v^T H v`` of a unit vector over ``lambda_1``; NaN where that is not positive."""
        v = v.to(self.vectors)
        quotient = float(v.double() @ (self.operator @ v).double())
        return quotient / self.values[0] if self.settled and self.values[0] > 0 else math.nan


def settled_top(landscape: NetworkLandscape, *, seed: int = 0, tolerance: float = _TOLERANCE) -> SettledTop:
    """Two largest eigenvalues at the network's present parameters, by Lanczos from a random start.

    A warm start could stay with an eigenvector that has been overtaken.

    Args:
        landscape: of the loss.
        seed: of the start.
        tolerance: relative accuracy of the values.

    Raises:
        InputError: a network with a single parameter.
    """
    if landscape.dim < 2:
        raise InputError(f"{landscape.dim} parameter has no second eigenvalue; give a network with more")
    operator = hessian(landscape, landscape.point())
    pairs = lanczos(operator, 2, max_products=_PRODUCTS, tolerance=tolerance, seed=seed)
    (first, second), residuals = pairs.values.tolist(), pairs.residuals.tolist()
    gap = first - second - residuals[1]
    sine = residuals[0] / gap if gap > 0 else math.inf
    return SettledTop(operator, (first, second), pairs.vectors, sine, pairs.converged)


def loss_of_examples(
    model: nn.Module, data: DataSet, count: int, words: str, device: torch.device, batch_size: int = 0
) -> NetworkLandscape:
    """The mean loss of some training examples as the training sees it: batch norm normalises by a minibatch's numbers.

    Args:
        model: the network; its parameters are read whenever the landscape is asked for its point.
        data: its training set.
        count: of examples, drawn without replacement; 0 is all.
        words: what they are drawn for, see :func:`generator_of`.
        device: of the network.
        batch_size: of minibatches where there is batch norm; 0 is one.

    Raises:
        InputError: there are not so many.
    """
    examples = len(data.train_targets)
    if count > examples:
        raise InputError(f"{count} examples are asked for, and there are {examples}; ask for fewer, or 0 for all")
    rows = torch.randperm(examples, generator=generator_of(words))[: count or examples]
    inputs, targets = data.train_inputs[rows].to(device), data.train_targets[rows].to(device)
    if any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in model.modules()):
        size = min(batch_size or len(rows), len(rows))
        return NetworkLandscape.from_tensors(model, cross_entropy, inputs, targets, batch_size=size, mode="train")
    return NetworkLandscape.from_tensors(model, cross_entropy, inputs, targets, chunk_size=_CHUNK)


_CHUNK = 500  # examples that pass together
