"""Losses and accuracies of a network on some examples, at several points at once."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.func import vmap

from ....ground.errors import InputError
from ....landscapes.derivatives.flat import unflatten
from ....landscapes.networks.batch_rows import count_rows, take_rows
from ....landscapes.networks.loss_counts import is_known_mean
from ....landscapes.networks.mean_check import check_mean
from ....landscapes.networks.network import NetworkLandscape
from ....landscapes.networks.network_function import Batch
from .mean_loss import MeanLoss, grouped_by_batch

__all__ = ["Evaluation", "check_classes"]


class Evaluation:
    """Mean loss, and the share of examples whose largest output is their class.

    Args:
        landscape: a network.
        batches: the examples, in pieces that pass through the network at a time.
        weights: how much the loss of each counts.
        together: how many points pass at a time; 1 where the network cannot be mapped over points.
        classes: whether accuracies are wanted, too.

    Example:
        >>> import torch
        >>> from eigensam.landscapes import NetworkLandscape
        >>> model, data = torch.nn.Linear(2, 2, bias=False), (torch.eye(2), torch.tensor([0, 1]))
        >>> f = NetworkLandscape(model, torch.nn.functional.cross_entropy, [data])
        >>> x = torch.tensor([[2.0, 0.0, 0.0, 2.0], [0.0, 0.0, 2.0, 2.0]])
        >>> losses, accuracies = Evaluation(f, [data], [1.0], together=2, classes=True)(x)
        >>> [round(value, 4) for value in losses.tolist()], accuracies.tolist()
        ([0.1269, 1.1269], [1.0, 0.5])
    """

    def __init__(
        self,
        landscape: NetworkLandscape,
        batches: Sequence[Batch],
        weights: Sequence[float],
        *,
        together: int,
        classes: bool,
    ) -> None:
        self.landscape, self.batches, self.together, self.classes = landscape, batches, together, classes
        total = math.fsum(weights)
        self._weights = [weight / total for weight in weights]
        if classes:
            for batch in batches:
                check_classes(landscape, batch)

    @classmethod
    def of_training(cls, mean: MeanLoss, *, classes: bool) -> "Evaluation":
        """On the landscape's own examples.

        Raises:
            InputError: accuracies are wanted of what has no classes.
        """
        f = mean.landscape
        assert isinstance(f, NetworkLandscape)
        weights, batches = f.weighted_chunks()
        return cls(f, batches, weights, together=int(mean.together), classes=classes)

    @classmethod
    def of_test(cls, mean: MeanLoss, test: tuple[Tensor, Tensor], *, rows: int, classes: bool) -> "Evaluation":
        """On other examples, at most ``rows`` at a time; all at once where they share statistics of their batch.

        Raises:
            InputError: examples that are no pair of tensors as the landscape's, with as many inputs as targets; a loss
                that is no mean over examples, in several pieces.
        """
        f = mean.landscape
        assert isinstance(f, NetworkLandscape)
        _check_like(test, f)
        count = len(test[0])
        rows = count if grouped_by_batch(f) else min(rows, count)
        chunks = [take_rows(test, slice(i, i + rows)) for i in range(0, count, rows)]
        counts = [1.0] if len(chunks) == 1 else [f.network.count(chunk) for chunk in chunks]
        if not math.fsum(counts):
            raise InputError("no test example counts: the loss ignores all targets; look at its ignore_index")
        if count > 1 and not (is_known_mean(f.network.loss_function) and f.network.count_function is None):
            check_mean(f.network, unflatten(f.point(), f.network.shapes), test)
        return cls(f, chunks, counts, together=int(mean.together), classes=classes)

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """At points ``(P, d)`` that pass together.

        Returns:
            Losses and accuracies, both of shape ``(P,)`` and float64; no accuracies where they are not wanted.
        """
        losses = torch.zeros(len(x), dtype=torch.float64, device=x.device)
        right = torch.zeros(len(x), dtype=torch.float64, device=x.device)
        rows = 0
        with torch.no_grad():
            for weight, batch in zip(self._weights, self.batches, strict=True):
                if self.together == 1:
                    pairs = [self._single(point, batch) for point in x]
                    loss, correct = (torch.stack(values) for values in zip(*pairs, strict=True))
                else:
                    loss, correct = vmap(self._single, (0, None))(x, batch)
                if weight:  # the mean of examples that do not count is no number
                    losses += weight * loss.double()
                right += correct.double()
                rows += count_rows(batch) or 1
        return losses, right / rows if self.classes else right[:0]

    def _single(self, x: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """Loss and number of right examples at one point."""
        network = self.landscape.network
        parameters = unflatten(x, network.shapes)
        if not self.classes:
            return network.loss(parameters, batch), x[0]
        with network.evaluating(parameters):
            outputs = network.outputs(parameters, network.inputs_of(batch))
            loss = network.loss_of(outputs, network.targets_of(batch))
        return loss, (outputs.argmax(1) == batch[1].to(outputs.device)).sum()


def check_classes(landscape: NetworkLandscape, batch: Batch) -> None:
    """Refuse accuracies of what is not classified.

    Raises:
        InputError: outputs are not of shape (n, classes), or targets not n classes.

    Example:
        >>> import torch
        >>> from eigensam.landscapes import NetworkLandscape
        >>> data = torch.eye(2), torch.eye(2)
        >>> f = NetworkLandscape(torch.nn.Linear(2, 2), torch.nn.functional.mse_loss, [data])
        >>> check_classes(f, data)
        Traceback (most recent call last):
        ...
        eigensam.ground.errors.InputError: accuracy needs targets that are classes, whole numbers of shape (n,); ...
    """
    if landscape.network.forward_function is not None:
        raise InputError("accuracy needs batches (inputs, targets); this landscape has a forward function of its own")
    targets = batch[1]
    whole = isinstance(targets, Tensor) and not targets.is_floating_point() and not targets.is_complex()
    if not whole or targets.ndim != 1:
        found = f"{targets.dtype} of shape {tuple(targets.shape)}" if isinstance(targets, Tensor) else type(targets)
        raise InputError(
            f"accuracy needs targets that are classes, whole numbers of shape (n,); found {found}: leave accuracies "
            "out of the names"
        )
    with torch.no_grad():
        outputs = landscape.outputs(landscape.point(), batch[0])
    if not isinstance(outputs, Tensor) or outputs.ndim != 2 or outputs.shape[1] < 2 or len(outputs) != len(targets):
        found = f"shape {tuple(outputs.shape)}" if isinstance(outputs, Tensor) else type(outputs).__name__
        raise InputError(
            f"accuracy needs outputs of shape (n, classes), two classes at least; found {found}: leave accuracies out "
            "of the names"
        )
    lowest, highest = int(targets.min()), int(targets.max())
    if lowest < 0 or highest >= outputs.shape[1]:
        raise InputError(
            f"accuracy needs the class of each example, 0 to {outputs.shape[1] - 1}; found targets from {lowest} to "
            f"{highest}"
        )


def _check_like(test: tuple[Tensor, Tensor], landscape: NetworkLandscape) -> None:
    """Refuse test data that are no pair of tensors as those of training."""
    if not isinstance(test, list | tuple) or len(test) != 2 or not all(isinstance(part, Tensor) for part in test):
        raise InputError(f"the test data are a {type(test).__name__}; expected a pair of tensors (inputs, targets)")
    inputs, targets = test
    if not inputs.ndim or not targets.ndim or not len(inputs) or len(inputs) != len(targets):
        raise InputError(
            f"the test data have inputs of shape {tuple(inputs.shape)} and targets of shape {tuple(targets.shape)}; "
            "expected as many of both, at least one"
        )
    train = landscape.batches[0]
    if landscape.network.forward_function is not None:
        return
    for name, found, own in zip(("inputs", "targets"), test, train, strict=True):
        if not isinstance(own, Tensor):
            continue
        if found.shape[1:] != own.shape[1:] or found.dtype != own.dtype:
            raise InputError(
                f"test {name} have shape {tuple(found.shape)} and type {found.dtype}; expected those of training, "
                f"{('n', *own.shape[1:])} and {own.dtype}"
            )
        if found.is_floating_point() and not bool(torch.isfinite(found).all()):
            raise InputError(f"test {name} hold NaN or infinity; leave out or mend such examples")
