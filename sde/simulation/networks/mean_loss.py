"""The mean loss of a landscape at several points at once: values, gradients, Hessian products."""

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ....ground.errors import InputError
from ....landscapes.curvature.landscape_hessian import hessian
from ....landscapes.derivatives.derivative_check import check_direction, generic_point
from ....landscapes.derivatives.plain_evaluation import differentiable
from ....landscapes.landscape import Landscape
from ....landscapes.networks.activation_bytes import activation_bytes
from ....landscapes.networks.network import NetworkLandscape
from ....landscapes.networks.network_function import Batch
from ....landscapes.spectra.operators import NotFiniteProductError, SymmetricOperator

__all__ = ["MEMORY", "Linearised", "MeanLoss", "grouped_by_batch"]

MEMORY = 2**30
"""Bytes that the graphs of one pass may hold (ours: as those of a kept Hessian)."""

_GRAPH = 4  # activations, their gradients, and what differentiating those saves
_MOST = 64  # points (ours: more of them gain nothing)
_SAME = {torch.float64: 1e-9, torch.float32: 1e-4}  # by how much sums in another order may differ (ours)


@dataclass(frozen=True)
class Linearised:
    """``f(x + v)`` to second order in ``v`` at ``P`` points.

    Attributes:
        losses: ``f(x_p)``, shape ``(P,)``.
        gradients: ``grad f(x_p)``, shape ``(P, d)``.
        product: maps ``v``, shape ``(P, d)``, to ``H(x_p) v_p``, be it finite or not; it owns what it needs, and may be
            called often.
        accuracy: relative error of a product.
    """

    losses: Tensor
    gradients: Tensor
    product: Callable[[Tensor], Tensor]
    accuracy: float


class MeanLoss:
    """``f = E f_m`` of a landscape, at many points in as few passes as memory allows.

    - Minibatches of a network are put together to one batch, where that is the same function: they are equally large
      pairs of tensors, no normalisation takes its statistics from them, and loss and gradient at one point are those of
      the minibatches but for rounding.
    - Points of a network pass through it together, by ``torch.func.vmap``, where that maps it and the memory holds the
      graphs; products with the Hessian share one graph. Else points are taken one after the other, by
      :func:`hessian`, with each route to derivatives that the landscape knows.

    Args:
        landscape: ``f_m``.
        memory: bytes that the graphs of one pass may hold.

    Attributes:
        landscape: the same mean loss, of one minibatch where those are put together.
        merged: whether they are.
        together: how many points pass together at most; ``inf`` for a landscape that is no network.
        rows: how many examples may pass at so many points, where nothing is differentiated.

    Example:
        >>> import torch
        >>> from eigensam.landscapes import NetworkLandscape
        >>> data = torch.eye(4), torch.arange(4) % 2
        >>> f = NetworkLandscape.from_tensors(
        ...     torch.nn.Linear(4, 2), torch.nn.functional.cross_entropy, *data, batch_size=2
        ... )
        >>> mean = MeanLoss(f)
        >>> mean.landscape.size, mean.merged
        (1, True)
        >>> at = mean.linearised(torch.zeros(3, 10))
        >>> at.losses.shape, at.gradients.shape, at.product(torch.ones(3, 10)).shape
        (torch.Size([3]), torch.Size([3, 10]), torch.Size([3, 10]))
    """

    def __init__(self, landscape: Landscape, *, memory: int = MEMORY) -> None:
        self.landscape, self.merged, self.together, self.rows = landscape, False, math.inf, 1
        if not isinstance(landscape, NetworkLandscape):
            return
        batch = landscape.batches[0]
        with torch.no_grad():
            landscape.minibatch_loss(landscape.point(), 0)  # once, it is seen whether inputs are written to
        each = max(1, math.ceil(activation_bytes(landscape.network, landscape.point(), batch) / _rows(batch)))
        merged = _merged(landscape, max(1, memory // (_GRAPH * each)))
        if merged is not None:
            self.landscape, self.merged = merged, True
        rows = sum(_rows(batch) for batch in (merged or landscape).batches)
        self.together = min(_MOST, max(1, memory // (_GRAPH * each * rows)))
        self._graphs = _GRAPH * each * rows <= memory and self._maps()
        if not self._graphs:
            self.together = 1
        elif merged is not None:
            merged.points_per_pass = int(self.together)
        self.rows = max(1, memory // (each * int(self.together)))

    @classmethod
    def of_minibatches(cls, landscape: NetworkLandscape, *, memory: int = MEMORY) -> "list[MeanLoss]":
        """One for each minibatch; what is found out at the first one holds for all.

        Example:
            >>> import torch
            >>> from eigensam.landscapes import NetworkLandscape
            >>> data = torch.eye(4), torch.arange(4) % 2
            >>> f = NetworkLandscape.from_tensors(
            ...     torch.nn.Linear(4, 2), torch.nn.functional.cross_entropy, *data, batch_size=2
            ... )
            >>> [mean.landscape.size for mean in MeanLoss.of_minibatches(f)]
            [1, 1]
        """
        found: list[MeanLoss] = []
        for batch in landscape.batches:
            single = _with_batches(landscape, [batch], landscape.chunk_size)
            if not found:
                found.append(cls(single, memory=memory))
                continue
            twin = copy.copy(found[0])
            own = found[0].landscape
            assert isinstance(own, NetworkLandscape)
            twin.landscape = _with_batches(landscape, [batch], own.chunk_size)
            twin.landscape.points_per_pass = own.points_per_pass
            found.append(twin)
        return found

    def parts(self, count: int) -> Iterator[slice]:
        """Which of ``count`` points pass together."""
        step = min(max(count, 1), self.together)
        for start in range(0, count, int(step)):
            yield slice(start, min(start + int(step), count))

    def gradients(self, x: Tensor) -> Tensor:
        """``grad f(x_p)``, shape ``(P, d)``."""
        return self.landscape.gradient(x[:, None])

    def linearised(self, x: Tensor) -> Linearised:
        """At the points of one part, ``(P, d)``.

        Raises:
            InputError: the loss cannot be differentiated twice.
        """
        f = self.landscape
        if not isinstance(f, NetworkLandscape):
            return Linearised(
                f.loss(x[:, None]).detach(),
                f.gradient(x[:, None]),
                lambda v: f.hessian_product(x[:, None], v[:, None]),
                100 * torch.finfo(f.dtype).eps,
            )
        if self._graphs:
            return self._mapped(f, x)
        operators = [hessian(f, point) for point in x]
        accuracy = max(operator.accuracy for operator in operators)
        with torch.no_grad():
            losses = torch.stack([f.loss(point) for point in x])
        return Linearised(
            losses,
            f.gradient(x[:, None]),
            lambda v: torch.stack([_product(operator, row) for operator, row in zip(operators, v, strict=True)]),
            accuracy,
        )

    def _mapped(self, f: NetworkLandscape, x: Tensor) -> Linearised:
        with torch.inference_mode(False):
            x = x.clone() if x.is_inference() else x
        weights, batches = f.weighted_chunks()
        total = sum(weights)
        parts = [f.derivatives.linearised_points(x, batch) for batch in batches]
        shares = [weight / total for weight in weights]

        def mean(values: list[Tensor]) -> Tensor:
            return torch.stack([s * value for s, value in zip(shares, values, strict=True)]).sum(0)

        return Linearised(
            mean([losses for losses, _, _ in parts]),
            mean([gradients for _, gradients, _ in parts]),
            lambda v: mean([product(v) for _, _, product in parts]),
            100 * torch.finfo(f.dtype).eps,
        )

    def _maps(self) -> bool:
        """Whether the network can be mapped over points, and its gradient be differentiated there."""
        f = self.landscape
        assert isinstance(f, NetworkLandscape)
        if f.derivatives.route not in ("auto", "reverse"):
            return False  # somebody has decided
        x, batch = f.point(), f.weighted_chunks()[1][0]
        try:
            f.derivatives.linearised_points(x[None], batch)
        except Exception as error:
            if not f.derivatives.is_limit(error, x, [batch]):
                raise
            return False
        return True


def _product(operator: SymmetricOperator, v: Tensor) -> Tensor:
    """NaN where it is not finite, for the caller knows which path that is."""
    try:
        return operator @ v
    except NotFiniteProductError:
        return torch.full_like(v, torch.nan)


def grouped_by_batch(landscape: NetworkLandscape) -> bool:
    """Whether the function of an example depends on which others share its batch."""
    kinds = nn.modules.batchnorm._NormBase
    return landscape.network.mode == "train" and any(isinstance(m, kinds) for m in landscape.network.model.modules())


def _rows(batch: Batch) -> int:
    return len(batch[0]) if isinstance(batch, list | tuple) and isinstance(batch[0], Tensor) else 1


def _merged(landscape: NetworkLandscape, most: int) -> NetworkLandscape | None:
    """All minibatches as one, in chunks of at most ``most`` rows; nothing where that is not seen to be the same."""
    network = landscape.network
    if network.forward_function is not None or grouped_by_batch(landscape):
        return None
    batch = _put_together(landscape)
    if batch is None:
        return None
    chunk = landscape.chunk_size
    most = most if chunk is None else min(chunk, most)
    cut = most < _rows(batch) and landscape.network.mode == "eval"
    merged = _with_batches(landscape, [batch], most if cut else None)
    if landscape.size == 1 and not cut:
        return merged
    return merged if _is_same(landscape, merged) else None


def _put_together(landscape: NetworkLandscape) -> Batch | None:
    """The examples of all minibatches, if these count equally."""
    if landscape.size == 1:
        return landscape.batches[0]
    inputs, targets = ([batch[i] for batch in landscape.batches] for i in (0, 1))
    for parts in (inputs, targets):
        kinds = {(part.shape[1:], part.dtype, part.device) for part in parts if isinstance(part, Tensor)}
        if len(kinds) != 1 or not all(isinstance(part, Tensor) for part in parts):
            return None
    try:
        counts = {landscape.network.count(batch) for batch in landscape.batches}
    except InputError:
        return None
    # A mean of means with other divisors is another mean.
    return (torch.cat(inputs), torch.cat(targets)) if len(counts) == 1 else None


def _with_batches(landscape: NetworkLandscape, batches: list[Batch], chunk_size: int | None) -> NetworkLandscape:
    """The same network on other examples; what is known of its derivatives stays known."""
    network = landscape.network
    twin = NetworkLandscape(
        network.model,
        network.loss_function,
        batches,
        chunk_size=chunk_size,
        route=landscape.derivatives.route,
        mode=network.mode,
        parameters=network.names,
        forward=network.forward_function,
        count=network.count_function,
    )
    twin.derivatives = landscape.derivatives
    return twin


def _is_same(landscape: NetworkLandscape, merged: NetworkLandscape) -> bool:
    """Whether loss and gradient are the same near the module's parameters."""
    given = landscape.point()
    x = generic_point(given, check_direction(given, landscape.network.shapes))
    tolerance = _SAME.get(landscape.dtype, 1e-4)
    try:
        with differentiable(landscape.device), torch.no_grad():
            losses, loss = landscape.losses(x), merged.loss(x)
        gradients, gradient = landscape.gradients(x), merged.gradient(x)
    except InputError:  # chunks that are no mean
        return False
    size = torch.linalg.vector_norm(gradients, dim=1).square().mean().sqrt()
    near = (losses.mean() - loss).abs() <= tolerance * losses.abs().max()
    return bool(near) and bool(torch.linalg.vector_norm(gradients.mean(0) - gradient) <= tolerance * size)
