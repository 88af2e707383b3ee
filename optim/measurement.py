"""What is measured of a network in training: accuracy, loss, top eigenvalue, alignment."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim import Optimizer

from ..landscapes.curvature.alignments import mean_alignment
from ..landscapes.curvature.landscape_hessian import top_eigenpairs
from ..landscapes.networks.network import NetworkLandscape
from ..landscapes.runs.data import DataSet
from .two_pass import TwoPassOptimizer

__all__ = ["SpectrumRecorder", "evaluate"]


@torch.no_grad()
def evaluate(model: nn.Module, inputs: Tensor, targets: Tensor, batch_size: int = 500) -> tuple[float, float]:
    """Mean cross-entropy and accuracy in eval mode; the model's mode is restored.

    Example:
        >>> import torch
        >>> loss, accuracy = evaluate(torch.nn.Identity(), torch.eye(2) * 50, torch.tensor([0, 0]))
        >>> loss, accuracy
        (25.0, 0.5)
    """
    device = next((p.device for p in model.parameters()), inputs.device)
    training = model.training
    model.eval()
    loss, correct = 0.0, 0
    for x, y in zip(inputs.split(batch_size), targets.split(batch_size), strict=True):
        outputs, y = model(x.to(device)), y.to(device)
        loss += float(cross_entropy(outputs, y, reduction="sum"))
        correct += int((outputs.argmax(1) == y).sum())
    model.train(training)
    return loss / len(targets), correct / len(targets)


@dataclass(frozen=True)
class SpectrumRecorder:
    """lambda_1 of the training loss and the alignment of perturbations with its eigenvector, along training.

    Measured on the first minibatches of the training set, always the same, in train mode (the function that is
    being trained), at most ``examples`` of them.

    Args:
        data: the data set.
        batch_size: of the minibatches whose perturbations are compared.
        examples: most training examples to use (ours: lambda_1 of 2000 examples is within the width of its
            fluctuation along training).
    """

    data: DataSet
    batch_size: int
    examples: int = 2000

    def measure(self, model: nn.Module, optimizer: Optimizer) -> dict[str, float]:
        """``lambda_1``, its residual, and the mean alignment ``|<u/|u|, v_1>|`` over minibatches.

        ``u`` is the optimizer's own perturbation; for one that has none, the minibatch gradient.
        """
        count = max(min(self.examples, len(self.data.train_targets)), self.batch_size)
        landscape = NetworkLandscape.from_tensors(
            model,
            cross_entropy,
            self.data.train_inputs[:count],
            self.data.train_targets[:count],
            batch_size=self.batch_size,
            mode="train",
        )
        x = landscape.point()
        whole = landscape
        if not any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in model.modules()):
            # Without batch norm the mean over minibatches is one loss, which larger chunks evaluate faster.
            rows = landscape.size * self.batch_size
            inputs, targets = self.data.train_inputs[:rows], self.data.train_targets[:rows]
            whole = NetworkLandscape.from_tensors(model, cross_entropy, inputs, targets, chunk_size=500)
        # A random start each time: a warm one can stay with an eigenvector that has been overtaken.
        pairs = top_eigenpairs(whole, x, max_products=30, tolerance=3e-3)
        perturbation = optimizer.perturbation if isinstance(optimizer, TwoPassOptimizer) else None
        return {
            "lambda_1": float(pairs.values[0]),
            "lambda_1_residual": float(pairs.residuals[0]),
            "alignment": mean_alignment(landscape, x, pairs.vectors[0], perturbation),
        }
