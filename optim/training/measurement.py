"""What is measured of a network in training: accuracy, loss, curvature, alignment."""

import math
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim import Optimizer

from ...landscapes.curvature.alignments import mean_alignment
from ...landscapes.curvature.landscape_hessian import top_eigenpairs
from ...landscapes.curvature.recorder import CurvatureRecorder
from ...landscapes.networks.modes import kept_modes
from ...landscapes.networks.network import NetworkLandscape
from ...landscapes.runs.data_set import DataSet
from ..noise import generator_of
from ..one_pass import OnePassOptimizer
from ..optimizers.eigen_sam import EigenSAM
from ..two_pass import TwoPassOptimizer

__all__ = ["SHARPNESS", "evaluate", "measure_sharpness", "training_recorder"]

SHARPNESS = ("lambda_1", "lambda_1_residual", "alignment")
"""What :func:`measure_sharpness` measures."""

_EXAMPLES = 2000  # ours: lambda_1 of so many is within the width of its fluctuation along training


@torch.no_grad()
def evaluate(model: nn.Module, inputs: Tensor, targets: Tensor, batch_size: int = 500) -> tuple[float, float]:
    """Mean cross-entropy and accuracy in eval mode; the modes of the model's modules are restored.

    Example:
        >>> import torch
        >>> loss, accuracy = evaluate(torch.nn.Identity(), torch.eye(2) * 50, torch.tensor([0, 0]))
        >>> loss, accuracy
        (25.0, 0.5)
    """
    device = next((p.device for p in model.parameters()), inputs.device)
    loss, correct = 0.0, 0
    with kept_modes(model):
        model.eval()
        for x, y in zip(inputs.split(batch_size), targets.split(batch_size), strict=True):
            outputs, y = model(x.to(device)), y.to(device)
            loss += float(cross_entropy(outputs, y, reduction="sum"))
            correct += int((outputs.argmax(1) == y).sum())
    return loss / len(targets), correct / len(targets)


def measure_sharpness(
    model: nn.Module, optimizer: Optimizer, data: DataSet, batch_size: int, *, examples: int = _EXAMPLES
) -> dict[str, float]:
    """``lambda_1`` of the training loss, its residual, and the alignment of perturbations with its eigenvector.

    Measured on random minibatches of the training set, the same for every run on these data: it does not matter whether
    the data come class by class. Torch's batch and instance norm are in train mode, as in the training, everything else
    in eval mode. The alignment is the mean of ``|<u/|u|, v_1>|`` over minibatches, where ``u`` is the optimizer's own
    perturbation; for one that has none, the minibatch gradient. :class:`CurvatureRecorder` records more, and of any
    landscape.

    Args:
        model: being trained; its mode is restored.
        optimizer: that trains it.
        data: the data set.
        batch_size: of the minibatches whose perturbations are compared.
        examples: most training examples to use.
    """
    landscape = _training_landscape(model, data, batch_size, examples)
    x = landscape.point()
    whole = landscape
    if not any(isinstance(module, nn.modules.batchnorm._NormBase) for module in model.modules()):
        # Without them the mean over minibatches is one loss in one mode, which larger chunks evaluate faster.
        measured = _measured_examples(data, batch_size, examples)
        whole = NetworkLandscape.from_tensors(model, cross_entropy, *measured, chunk_size=500)
    # A random start each time: a warm one can stay with an eigenvector that has been overtaken.
    pairs = top_eigenpairs(whole, x, max_products=30, tolerance=3e-3)
    return {
        "lambda_1": float(pairs.values[0]),
        "lambda_1_residual": float(pairs.residuals[0]),
        "alignment": mean_alignment(landscape, x, pairs.vectors[0], _own_perturbation(optimizer)),
    }


def training_recorder(
    model: nn.Module,
    optimizer: Optimizer,
    data: DataSet,
    batch_size: int,
    *,
    every: int,
    examples: int = _EXAMPLES,
    path: Path | None = None,
    seed: int = 0,
) -> CurvatureRecorder:
    """A recorder of the function that is being trained, on the same minibatches as :func:`measure_sharpness`.

    Args:
        model: being trained.
        optimizer: that trains it, whose perturbations are compared: as they would be after its last step. Eigen-SAM has
            none before its first one, where the alignment is NaN.
        data: the data set.
        batch_size: that the training steps with, and so that of the batch sharpness.
        every: steps from one row to the next.
        examples: most training examples to use.
        path: of the rows.
        seed: of start vectors.

    Raises:
        InputError: fewer than two parameters.
    """
    return CurvatureRecorder(
        _training_landscape(model, data, batch_size, examples),
        every=every,
        sharpness=True,
        perturbation=_own_perturbation(optimizer),
        path=path,
        seed=seed,
    )


def _training_landscape(model: nn.Module, data: DataSet, batch_size: int, examples: int) -> NetworkLandscape:
    measured = _measured_examples(data, batch_size, examples)
    return NetworkLandscape.from_tensors(model, cross_entropy, *measured, batch_size=batch_size, mode="train")


def _measured_examples(data: DataSet, batch_size: int, examples: int) -> tuple[Tensor, Tensor]:
    """Whole minibatches, drawn by numbers that no training draws.

    Data often come class by class: their first examples, or minibatches of neighbours, are none that a training sees.
    """
    minibatches = max(min(examples, len(data.train_targets)) // batch_size, 1)
    order = torch.randperm(len(data.train_targets), generator=generator_of("measured examples"))
    rows = order[: minibatches * batch_size].to(data.train_targets.device)
    return data.train_inputs[rows], data.train_targets[rows]


def _own_perturbation(optimizer: Optimizer) -> Callable[[Tensor], Tensor] | None:
    """Of a minibatch's gradient; None for a method that has none, which stands for the gradient's direction."""
    if not isinstance(optimizer, TwoPassOptimizer | OnePassOptimizer):
        return None

    def perturbation(g: Tensor) -> Tensor:
        if isinstance(optimizer, EigenSAM) and math.isnan(optimizer.eigenvalue):
            return torch.full_like(g, torch.nan)
        return optimizer.perturbation(g)

    return perturbation
