"""A neural network as a landscape: any module, loss and fixed family of minibatches over one flat vector."""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Self, Unpack

import torch
from torch import Tensor, nn
from torch.func import vmap

from ...ground.errors import InputError
from ..derivatives.flat import unflatten
from ..landscape import Landscape, Terms, taylor_terms
from .batch_rows import count_rows, take_rows
from .loss_counts import is_known_mean
from .mean_check import check_mean
from .network_derivatives import NetworkDerivatives, Route
from .network_function import Batch, FunctionOptions, LossFunction, NetworkFunction

__all__ = ["NetworkLandscape"]


class _Options(FunctionOptions, total=False):
    """Keywords of :class:`NetworkLandscape`, for its other constructors."""

    chunk_size: int | None
    points_per_pass: int
    route: Route
    check: bool


class NetworkLandscape(Landscape):
    """``f_m(x)`` is the loss of a network with trainable parameters ``x`` on minibatch ``m``.

    ``x`` enters the module as views, without a copy; the module's own parameters, buffers and mode are left as they
    were. Minibatches are evaluated one at a time, so memory is that of one minibatch.

    Args:
        model: any module; its trainable parameters are the coordinates, in the order of ``named_parameters``.
        loss: maps (outputs, targets) of one minibatch to its mean loss, a scalar; with ``forward``, (outputs, batch).
        batches: (inputs, targets) of the ``M`` minibatches, equally large, so that ``E`` over them is the mean over
            all examples; with ``forward``, any structure of tensors with a row for each example.
        chunk_size: most examples of a minibatch that pass through the network at a time (memory only; default: all).
            The loss must be a mean over examples (that is checked, see :func:`check_mean`). Not in ``train`` mode,
            where examples of a minibatch depend on each other.
        points_per_pass: how many points pass through the network at a time, by ``torch.func.vmap`` (much faster for
            small networks, memory grows with it; default 1, for modules that vmap cannot map, too).
        route: how derivatives beyond the gradient are computed, see :class:`NetworkDerivatives`.
        check: whether they are compared with differences, once.
        **function: keywords of :class:`NetworkFunction`: ``mode`` (``train`` is the function that training sees, with
            the statistics of each minibatch), ``parameters``, ``forward`` and ``count``.

    Attributes:
        network: the network as a function of ``x``.
        derivatives: its derivatives; ``derivatives.used`` tells the routes taken.

    Raises:
        InputError: no batch, batches of unequal size, or no trainable parameter.

    Example:
        >>> import torch
        >>> from eigensam.landscapes import NetworkLandscape
        >>> model = torch.nn.Linear(3, 2)
        >>> data = torch.randn(8, 3), torch.arange(8) % 2
        >>> f = NetworkLandscape.from_tensors(model, torch.nn.functional.cross_entropy, *data, batch_size=4)
        >>> f.gradients(f.point()).shape
        torch.Size([2, 8])
    """

    def __init__(
        self,
        model: nn.Module,
        loss: LossFunction,
        batches: Sequence[Batch],
        *,
        chunk_size: int | None = None,
        points_per_pass: int = 1,
        route: Route = "auto",
        check: bool = True,
        **function: Unpack[FunctionOptions],
    ) -> None:
        self.network = NetworkFunction(model, loss, **function)
        if self.network.forward_function is None:
            sizes = {len(self.network.inputs_of(batch)) for batch in batches}
            if 0 in sizes or any(len(inputs) != len(targets) for inputs, targets in batches):
                raise InputError("a minibatch is empty or has more inputs than targets; check the data")
        else:
            sizes = {count_rows(batch) or 1 for batch in batches}
            if chunk_size is not None and any(count_rows(batch) is None for batch in batches):
                raise InputError(
                    "the tensors of a minibatch have first axes of different lengths; leave chunk_size out"
                )
        if len(sizes) != 1:
            raise InputError(
                f"found minibatches of sizes {sorted(sizes) or 'none'}; expected equal ones, use drop_last=True"
            )
        if chunk_size is not None and (chunk_size < 1 or self.network.mode == "train"):
            raise InputError(
                f"chunk_size = {chunk_size} in mode '{self.network.mode}'; it must be at least 1, in mode 'eval'"
            )
        if points_per_pass < 1:
            raise InputError(f"points_per_pass = {points_per_pass}; it must be at least 1")
        self.chunk_size, self.points_per_pass = chunk_size, points_per_pass
        self.derivatives = NetworkDerivatives(self.network, route, check=check)
        self.batches = batches
        (self._rows,) = sizes
        # Minibatches whose chunks make a mean.
        self._means = (
            set(range(len(batches)))
            if not check or (is_known_mean(loss) and self.network.count_function is None)
            else set()
        )
        network = self.network
        super().__init__(network.dim, len(batches), network.dtype, network.device)

    def to(self, dtype: torch.dtype, device: torch.device | str | None = None) -> Self:
        """Itself, if that changes nothing.

        Raises:
            InputError: another type or device than the network's, which would have to be converted, and its batches.
        """
        if dtype == self.dtype and torch.device(self.device if device is None else device) == self.device:
            return self
        raise InputError(
            f"the network has numbers of type {self.dtype} on {self.device}; convert it, and make its landscape anew"
        )

    @classmethod
    def from_tensors(
        cls,
        model: nn.Module,
        loss: LossFunction,
        inputs: Tensor,
        targets: Tensor,
        *,
        batch_size: int | None = None,
        **options: Unpack[_Options],
    ) -> Self:
        """Cut tensors into minibatches of ``batch_size`` in order (default: one batch); a smaller rest is left out."""
        size = len(inputs) if batch_size is None else batch_size
        if not 0 < size <= len(inputs):
            raise InputError(f"batch size {size} does not fit {len(inputs)} examples; give 1 to {len(inputs)}")
        starts = range(0, len(inputs) - size + 1, size)
        return cls(model, loss, [(inputs[i : i + size], targets[i : i + size]) for i in starts], **options)

    @classmethod
    def from_loader(
        cls, model: nn.Module, loss: LossFunction, loader: Iterable[Batch], **options: Unpack[_Options]
    ) -> Self:
        """Freeze one pass over a data loader (``drop_last=True``) into the finite family.

        Example:
            Batches as collators of language models make them:

            >>> import torch
            >>> class Model(torch.nn.Module):
            ...     def __init__(self):
            ...         super().__init__()
            ...         self.table, self.head = torch.nn.Embedding(9, 3), torch.nn.Linear(3, 2)
            ...     def forward(self, ids, labels):
            ...         return {"logits": self.head(self.table(ids).mean(1))}
            >>> loader = [{"ids": torch.tensor([[1, 2], [3, 4]]), "labels": torch.tensor([0, 1])}]
            >>> f = NetworkLandscape.from_loader(
            ...     Model(),
            ...     lambda outputs, batch: torch.nn.functional.cross_entropy(outputs["logits"], batch["labels"]),
            ...     loader,
            ...     forward=lambda model, batch: model(**batch),
            ... )
            >>> f.gradients(f.point()).shape
            torch.Size([1, 35])
        """
        return cls(model, loss, list(loader), **options)

    def point(self) -> Tensor:
        """The module's current parameters as one new vector, shape ``(d,)``."""
        return self.network.point()

    def load_point(self, x: Tensor) -> None:
        """Write ``x`` into the module's parameters."""
        self.network.load_point(x)

    def outputs(self, x: Tensor, inputs: Any) -> Any:
        """The network's outputs at parameters ``x`` of shape ``(d,)``; with ``forward``, of a minibatch."""
        return self.network.outputs(unflatten(x, self.network.shapes), inputs)

    def minibatch_loss(self, x: Tensor, index: int) -> Tensor:
        """Loss of one minibatch at ``x`` of shape ``(d,)``, a scalar."""
        total = torch.zeros((), dtype=self.dtype, device=self.device)
        for share, chunk in self._chunks(index):
            total = total + share * self._chunk_loss(x, chunk)
        return total

    def weighted_chunks(self) -> tuple[list[float], list[Batch]]:
        """All minibatches' examples in the pieces that pass through the network at a time, and how much each counts."""
        pairs = [pair for index in range(self.size) for pair in self._chunks(index)]
        return [share for share, _ in pairs], [chunk for _, chunk in pairs]

    def _chunks(self, index: int) -> Iterator[tuple[float, Batch]]:
        """The minibatch's examples in chunks, each with its share in the mean."""
        batch, size = self.batches[index], self.chunk_size
        if size is None or size >= self._rows:
            yield 1.0, batch
            return
        if index not in self._means:
            check_mean(self.network, unflatten(self.point(), self.network.shapes), batch)
            self._means.add(index)
        chunks = [take_rows(batch, slice(i, i + size)) for i in range(0, self._rows, size)]
        counts = [self.network.count(chunk) for chunk in chunks]
        for count, chunk in zip(counts, chunks, strict=True):
            if count:
                yield count / sum(counts), chunk

    def _chunk_loss(self, x: Tensor, chunk: Batch) -> Tensor:
        return self.network.loss(unflatten(x, self.network.shapes), chunk)

    def _losses(self, x: Tensor) -> Tensor:
        points = x.reshape(-1, self.size, self.dim)
        if self.points_per_pass == 1:
            values = [self.minibatch_loss(point[m], m) for point in points for m in range(self.size)]
            return torch.stack(values).view(x.shape[:-1])
        values = [
            torch.cat(
                [vmap(self.minibatch_loss, (0, None))(part, m) for part in points[:, m].split(self.points_per_pass)]
            )
            for m in range(self.size)
        ]
        return torch.stack(values, -1).view(x.shape[:-1])

    def _minibatch_contracted(self, x: Tensor, terms: Terms, index: int) -> Tensor:
        """At one point, ``(d,)``, or at several in one pass, ``(B, d)``."""
        total = torch.zeros_like(x)
        for share, chunk in self._chunks(index):  # one chunk's graph in memory at a time
            derivatives = self.derivatives
            take = derivatives.contracted_gradient if x.ndim == 1 else derivatives.contracted_gradients
            total += share * take(x, terms, chunk)
        return total

    def minibatch_gradient(self, x: Tensor, index: int) -> Tensor:
        """Gradient of one minibatch at ``x`` of shape ``(d,)``, without the memory of all M."""
        return self._minibatch_contracted(x, [(1.0, ())], index)

    def minibatch_taylor_gradient(self, x: Tensor, u: Tensor, coefficients: Sequence[float], index: int) -> Tensor:
        """``sum_k c_k grad d_u^k f_m(x)`` of one minibatch, all of shape ``(d,)``, without the memory of all M."""
        return self._minibatch_contracted(x, taylor_terms(u, coefficients), index)

    def contracted_gradients(self, x: Tensor, terms: Terms) -> Tensor:
        """See :meth:`Landscape.contracted_gradients`; one graph per minibatch, freed before the next."""
        x, terms = self._expanded(x, terms)
        points = x.reshape(-1, self.size, self.dim)
        result = torch.empty_like(points)
        starts = range(0, len(points), self.points_per_pass)
        parts: list[int | slice] = [slice(i, i + self.points_per_pass) for i in starts]
        if self.points_per_pass == 1:
            parts = list(starts)
        for index in itertools.product(parts, range(self.size)):
            result[index] = self._minibatch_contracted(points[index], _at(terms, index, x.shape), index[1])
        return result.view(x.shape)

    def contracted_gradient(self, x: Tensor, terms: Terms) -> Tensor:
        """See :meth:`Landscape.contracted_gradient`; at one point it needs memory for one vector, not M."""
        x, terms = self._expanded(x, terms)
        if x.ndim > 2:
            return super().contracted_gradient(x, terms)
        total = torch.zeros_like(x[0])
        for m in range(self.size):
            total += self._minibatch_contracted(x[m], _at(terms, (0, m), x.shape), m)
        return total / self.size


def _at(terms: Terms, index: tuple[int | slice, int], shape: torch.Size) -> Terms:
    """The terms of one minibatch at some points; a direction that occurs twice stays one tensor."""

    def part(tensor: Tensor, full: torch.Size, last: tuple[int, ...]) -> Tensor:
        return tensor.expand(full).reshape(-1, *last)[index]

    directions = {id(a): part(a, shape, tuple(shape[-2:])) for _, given in terms for a in given}
    return [
        (part(c, shape[:-1], (shape[-2],)) if isinstance(c, Tensor) else c, [directions[id(a)] for a in given])
        for c, given in terms
    ]
