"""A family in which every point has a minibatch of its own: what independent paths of an optimizer see in one step."""

from typing import Protocol

import torch
from torch import Tensor

from ...ground.errors import InputError
from ..landscape import Landscape, Terms

__all__ = ["PickedMinibatches"]


class _Pairs(Protocol):
    dim: int
    dtype: torch.dtype
    device: torch.device

    def pair_losses(self, x: Tensor, minibatches: Tensor) -> Tensor: ...

    def pair_gradients(self, x: Tensor, terms: Terms, minibatches: Tensor) -> Tensor: ...


class PickedMinibatches(Landscape):
    """A landscape of size 1 on which point ``i`` of shape ``(N, ..., 1, d)`` sees minibatch ``minibatches[i]``.

    Args:
        family: where losses and derivatives of pairs come from.
        minibatches: whole numbers, shape ``(N,)``.

    Example:
        >>> import torch
        >>> from eigensam.landscapes import NetworkLandscape
        >>> data = torch.tensor([[1.0], [2.0]]), torch.zeros(2, 1)
        >>> model = torch.nn.Linear(1, 1, bias=False)
        >>> f = NetworkLandscape.from_tensors(model, torch.nn.functional.mse_loss, *data, batch_size=1)
        >>> x = torch.tensor([[[1.0]], [[1.0]], [[3.0]]])  # x^2 a^2 on data a
        >>> f.picked(torch.tensor([0, 1, 1])).gradients(x).flatten().tolist()
        [2.0, 8.0, 24.0]
    """

    def __init__(self, family: _Pairs, minibatches: Tensor) -> None:
        super().__init__(family.dim, 1, family.dtype, family.device)
        self.family, self.minibatches = family, minibatches

    def _losses(self, x: Tensor) -> Tensor:
        return self.family.pair_losses(x.reshape(-1, self.dim), self._of_points(x)).view(x.shape[:-1])

    def contracted_gradients(self, x: Tensor, terms: Terms) -> Tensor:
        """See :meth:`Landscape.contracted_gradients`."""
        x, terms = self._expanded(x, terms)
        shape = x.shape
        rows = {id(a): a.expand(shape).reshape(-1, self.dim) for _, given in terms for a in given}
        flat: Terms = [
            (
                c.expand(shape[:-1]).reshape(-1) if isinstance(c, Tensor) and c.ndim else c,
                [rows[id(a)] for a in given],
            )
            for c, given in terms
        ]
        return self.family.pair_gradients(x.reshape(-1, self.dim), flat, self._of_points(x)).view(shape)

    def _of_points(self, x: Tensor) -> Tensor:
        count = len(self.minibatches)
        if x.ndim < 3 or len(x) != count:
            raise InputError(
                f"points of shape {tuple(x.shape)} do not fit {count} picked minibatches; give ({count}, 1, {self.dim})"
            )
        return self.minibatches.view(-1, *[1] * (x.ndim - 2)).expand(x.shape[:-1]).reshape(-1)
