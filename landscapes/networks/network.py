"""A neural network as a landscape: any module, loss and fixed family of minibatches over one flat vector."""

import copy
import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Self, Unpack

import torch
from torch import Tensor, nn

from ...ground.errors import InputError
from ..derivatives.flat import unflatten
from ..landscape import Landscape, Terms, taylor_terms
from .batch_rows import count_rows, take_rows
from .empty_rows import empty_rows
from .loss_counts import is_known_mean
from .mean_check import check_mean
from .network_derivatives import NetworkDerivatives, Route
from .network_function import Batch, FunctionOptions, LossFunction, NetworkFunction
from .pair_arguments import check_pair_terms, checked_minibatches
from .picked_minibatches import PickedMinibatches
from .term_rows import terms_at, terms_of_rows

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
    were. Minibatches are evaluated one at a time, so memory is that of one minibatch, or ``points_per_pass`` pairs of a
    point and a minibatch at a time. What comes out for a pair depends on the others of its pass by rounding only: sums
    are taken in another order.

    Args:
        model: any module; its trainable parameters are the coordinates, in the order of ``named_parameters``.
        loss: maps (outputs, targets) of one minibatch to its mean loss, a scalar; with ``forward``, (outputs, batch).
        batches: (inputs, targets) of the ``M`` minibatches, equally large, so that ``E`` over them is the mean over
            all examples; with ``forward``, any structure of tensors with a row for each example.
        chunk_size: most examples of a minibatch that pass through the network at a time (memory only; default: all).
            The loss must be a mean over examples (that is checked, see :func:`check_mean`). Not in ``train`` mode,
            where examples of a minibatch depend on each other.
        points_per_pass: how many (point, minibatch) pairs pass through the network at a time, by ``torch.func.vmap``
            (much faster for small networks, memory grows with it; default 1). Where vmap cannot map the network, they
            pass one at a time all the same, and ``derivatives.used`` says why.
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
                raise InputError("tensors of a minibatch have first axes of different lengths; leave chunk_size out")
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
        network = self.network
        known = not check or (is_known_mean(loss) and network.count_function is None)
        self._means = set(range(len(batches))) if known else set()  # minibatches whose chunks make a mean
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
        columns = []
        for own in self._minibatches_of_a_pass(len(points)):
            column = [
                self._pass_losses(part.reshape(-1, self.dim), [*own] * len(part)).view(len(part), -1)
                for part in points[:, own.start : own.stop].split(self.points_per_pass)
            ]
            columns.append(torch.cat(column))
        return torch.cat(columns, -1).view(x.shape[:-1])

    def _minibatches_of_a_pass(self, points: int) -> Iterator[range]:
        """Whole columns of few points; of many, one minibatch at a time, whose data need no copies then."""
        count = max(1, self.points_per_pass // max(points, 1))
        for start in range(0, self.size, count):
            yield range(start, min(start + count, self.size))

    def pair_losses(self, x: Tensor, minibatches: Tensor) -> Tensor:
        """``f_m(x_i)`` with ``m = minibatches[i]``: shape ``(N,)`` at points ``(N, d)``; differentiable in ``x``."""
        members = checked_minibatches(x, minibatches, self.dim, self.size)
        step = self.points_per_pass
        return torch.cat([self._pass_losses(x[i : i + step], members[i : i + step]) for i in range(0, len(x), step)])

    def _pass_losses(self, x: Tensor, members: list[int]) -> Tensor:
        """Losses of the pairs of one pass."""
        chunks = self._pair_chunks(members) if self.points_per_pass > 1 else None
        if chunks is None:
            return torch.stack([self.minibatch_loss(p, m) for p, m in zip(x, members, strict=True)])
        total = x.new_zeros(len(x))
        for shares, batches in chunks:
            total = total + shares * self.derivatives.losses(x, batches)
        return total

    def _pair_chunks(self, members: list[int]) -> list[tuple[Tensor, list[Batch]]] | None:
        """Chunks that go together, with their shares; None where minibatches are cut in different ways."""
        pieces = {m: list(self._chunks(m)) for m in set(members)}
        if len({len(piece) for piece in pieces.values()}) != 1:
            return None
        return [
            (
                torch.tensor([pieces[m][k][0] for m in members], dtype=self.dtype, device=self.device),
                [pieces[m][k][1] for m in members],
            )
            for k in range(len(pieces[members[0]]))
        ]

    def _minibatch_contracted(self, x: Tensor, terms: Terms, index: int, out: Tensor | None = None) -> Tensor:
        chunks = list(self._chunks(index))
        if len(chunks) == 1 and chunks[0][0] == 1:
            return self.derivatives.contracted_gradient(x, terms, chunks[0][1], out)
        total = torch.zeros_like(x) if out is None else out.zero_()
        for share, chunk in chunks:  # one chunk's graph in memory at a time
            total.add_(self.derivatives.contracted_gradient(x, terms, chunk), alpha=share)
        return total

    def _pass_contracted(self, x: Tensor, terms: Terms, members: list[int]) -> Tensor:
        """Of the pairs of one pass."""
        chunks = self._pair_chunks(members) if self.points_per_pass > 1 else None
        if chunks is None:
            result = torch.empty_like(x)
            with self.network.prepared():
                for i, m in enumerate(members):
                    self._minibatch_contracted(x[i], terms_at(terms, i), m, result[i])
            return result
        if self.chunk_size is None:
            return self.derivatives.contracted_gradients(x, terms, chunks[0][1])
        total = x.new_zeros(x.shape)
        for shares, batches in chunks:
            total.addcmul_(shares[:, None], self.derivatives.contracted_gradients(x, terms, batches))
        return total

    def minibatch_gradient(self, x: Tensor, index: int) -> Tensor:
        """Gradient of one minibatch at ``x`` of shape ``(d,)``, without the memory of all M."""
        return self._minibatch_contracted(x, [(1.0, ())], index)

    def minibatch_taylor_gradient(self, x: Tensor, u: Tensor, coefficients: Sequence[float], index: int) -> Tensor:
        """``sum_k c_k grad d_u^k f_m(x)`` of one minibatch, all of shape ``(d,)``, without the memory of all M."""
        return self._minibatch_contracted(x, taylor_terms(u, coefficients), index)

    def contracted_gradients(self, x: Tensor, terms: Terms) -> Tensor:
        """See :meth:`Landscape.contracted_gradients`; one graph per pass, freed before the next."""
        x, terms = self._expanded(x, terms)
        points, terms = x.reshape(-1, self.size, self.dim), terms_of_rows(terms, x.shape, 3)
        result = empty_rows(points.shape, self.dtype, self.device)
        if self.points_per_pass == 1:
            with self.network.prepared():
                for i, m in itertools.product(range(len(points)), range(self.size)):
                    self._minibatch_contracted(points[i, m], terms_at(terms, (i, m)), m, result[i, m])
            return result.view(x.shape)
        for own in self._minibatches_of_a_pass(len(points)):
            for i in range(0, len(points), self.points_per_pass):
                block = slice(i, i + self.points_per_pass), slice(own.start, own.stop)
                part = points[block]
                found = self._pass_contracted(
                    part.reshape(-1, self.dim), terms_of_rows(terms_at(terms, block), part.shape), [*own] * len(part)
                )
                result[block] = found.view(part.shape)
        return result.view(x.shape)

    def contracted_gradient(self, x: Tensor, terms: Terms) -> Tensor:
        """See :meth:`Landscape.contracted_gradient`; at one point it needs memory for one pass, not M vectors."""
        x, terms = self._expanded(x, terms)
        if x.ndim > 2:
            return super().contracted_gradient(x, terms)
        terms = terms_of_rows(terms, x.shape)
        total = torch.zeros_like(x[0])
        for own in self._minibatches_of_a_pass(1):
            block = slice(own.start, own.stop)
            total += self._pass_contracted(x[block], terms_at(terms, block), [*own]).sum(0)
        return total / self.size

    def pair_gradients(self, x: Tensor, terms: Terms, minibatches: Tensor) -> Tensor:
        """Contracted derivatives of pairs: row ``i`` is that of minibatch ``minibatches[i]`` at ``x[i]``.

        Args:
            x: points, shape ``(N, d)``.
            terms: coefficients are numbers or of shape ``(N,)``, directions ``(N, d)`` or ``(d,)``.
            minibatches: whole numbers, shape ``(N,)``.

        Returns:
            Shape ``(N, d)``. A row depends on what else is in its pass by rounding only.

        Raises:
            InputError: shapes that do not fit, or a minibatch that does not exist.

        Example:
            >>> import torch
            >>> data = torch.tensor([[1.0], [2.0]]), torch.zeros(2, 1)
            >>> model = torch.nn.Linear(1, 1, bias=False)
            >>> f = NetworkLandscape.from_tensors(model, torch.nn.functional.mse_loss, *data, batch_size=1)
            >>> x = torch.ones(3, 1)  # x^2 a^2 on data a
            >>> f.pair_gradients(x, [(1.0, ()), (0.5, (x,))], torch.tensor([0, 1, 0])).flatten().tolist()
            [3.0, 12.0, 3.0]
        """
        members = checked_minibatches(x, minibatches, self.dim, self.size)
        check_pair_terms(x, terms)
        terms, step = terms_of_rows(terms, x.shape), self.points_per_pass
        result = empty_rows(x.shape, self.dtype, self.device)
        for i in range(0, len(x), step):
            part = slice(i, i + step)
            result[part] = self._pass_contracted(x[part], terms_at(terms, part), members[part])
        return result

    def subset(self, indices: Sequence[int]) -> Self:
        """The same landscape with these minibatches only, in this order; what is known of derivatives, both know.

        Raises:
            InputError: no minibatch, or one that does not exist.
        """
        indices = [int(i) for i in indices]
        if not indices or not all(0 <= i < self.size for i in indices):
            raise InputError(f"minibatches {indices[:5]} of {self.size}; give at least one, from 0 to {self.size - 1}")
        twin = copy.copy(self)
        twin.batches, twin.size = [self.batches[i] for i in indices], len(indices)
        twin._means = {k for k, i in enumerate(indices) if i in self._means}
        return twin

    def picked(self, minibatches: Tensor) -> Landscape:
        """A landscape of size 1 on which point ``i``, of ``(N, 1, d)``, sees minibatch ``minibatches[i]`` only."""
        return PickedMinibatches(self, minibatches)
