"""Derivatives of several (point, minibatch) pairs in one pass of ``torch.func.vmap``, each route as it is."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.func import vmap

from ..derivatives.flat import unflatten
from ..derivatives.plain_evaluation import differentiable
from ..derivatives.reverse_products import check_dependence
from ..derivatives.smooth_norms import SmoothNorms
from ..derivatives.taylor.gradient import mapped_taylor_gradients
from ..derivatives.taylor.jet import NotCoveredError
from ..landscape import Terms, contracted_gradient_of
from .batch_rows import are_alike, map_tensors, tensors_of
from .network_function import Batch, NetworkFunction
from .routes import expansion_of

__all__ = ["StackedBatches", "pair_losses", "take_pair_route"]


@dataclass(frozen=True)
class StackedBatches:
    """The batches of several pairs, which differ in the values of their tensors only.

    Attributes:
        tensors: of the batches, stacked; none if all pairs have one and the same batch.
        first: the batch of the first pair, for the structure.
    """

    tensors: list[Tensor]
    first: Batch

    @staticmethod
    def of(batches: Sequence[Batch]) -> "StackedBatches":
        """Stack them.

        Raises:
            NotCoveredError: they differ in more.
        """
        first, different = batches[0], {id(batch): batch for batch in batches}
        if len(different) == 1:
            return StackedBatches([], first)
        if not all(are_alike(batch, first) for batch in different.values()):
            raise NotCoveredError("minibatches that differ in more than the values of their tensors")
        tensors = {key: list(tensors_of(batch)) for key, batch in different.items()}
        rows = zip(*(tensors[id(batch)] for batch in batches), strict=True)
        return StackedBatches([torch.stack(each) for each in rows], first)

    def rebuilt(self, tensors: Sequence[Tensor]) -> Batch:
        """The batch of one pair, of its tensors."""
        if not self.tensors:
            return self.first
        given = iter(tensors)
        return map_tensors(self.first, lambda _: next(given))


def pair_losses(network: NetworkFunction, x: Tensor, batches: StackedBatches) -> Tensor:
    """Losses of shape ``(N,)`` at points ``(N, d)``; differentiable in ``x``."""

    def loss(p: Tensor, *tensors: Tensor) -> Tensor:
        return network.loss(unflatten(p, network.shapes), batches.rebuilt(tensors))

    # Under vmap torch's own batch norm would write its running statistics, which are the same for all pairs.
    with SmoothNorms(3):
        losses: Tensor = vmap(loss)(x, *batches.tensors)
    return losses


def take_pair_route(name: str, network: NetworkFunction, x: Tensor, terms: Terms, batches: StackedBatches) -> Tensor:
    """``sum_t c_t grad^{k+1} f_i(x_i)[a_1, ..., a_k, .]`` of all pairs by one route, shape ``(N, d)``.

    Args:
        name: ``vmap-taylor`` for expansions along one direction, by a pass of jets; ``vmap`` for nested reverse passes.
        network: the network and its loss.
        x: where, ``(N, d)``.
        terms: coefficients are numbers or of shape ``(N,)``, directions ``(N, d)``.
        batches: one for each pair.

    Example:
        >>> import torch
        >>> network = NetworkFunction(torch.nn.Linear(1, 1, bias=False), lambda z, y: (y * z**3).mean())
        >>> x, one = torch.tensor([[1.0], [2.0]]), torch.ones(1, 1)
        >>> batches = StackedBatches.of([(one, one), (one, 10 * one)])
        >>> [take_pair_route(name, network, x, [(1.0, (x, x))], batches).tolist() for name in ("vmap-taylor", "vmap")]
        [[[6.0], [240.0]], [[6.0], [240.0]]]
    """
    with differentiable(network.device):
        return _ROUTES[name](network, x, terms, batches)


def _taylor(network: NetworkFunction, x: Tensor, terms: Terms, batches: StackedBatches) -> Tensor:
    expansion = expansion_of(terms)
    if expansion is None:
        raise NotCoveredError("derivatives along several directions, or of an order above the third")
    u, coefficients = expansion
    return mapped_taylor_gradients(
        lambda parameters, *tensors: network.loss(parameters, batches.rebuilt(tensors)),
        lambda p: unflatten(p, network.shapes),
        (x, u),
        coefficients,
        batches.tensors,
    )


def _reverse(network: NetworkFunction, x: Tensor, terms: Terms, batches: StackedBatches) -> Tensor:
    def losses(points: Tensor) -> Tensor:
        values = pair_losses(network, points, batches)
        check_dependence(values, network.names)
        return values

    return contracted_gradient_of(losses, x, terms)


_ROUTES: dict[str, Callable[[NetworkFunction, Tensor, Terms, StackedBatches], Tensor]] = {
    "vmap-taylor": _taylor,
    "vmap": _reverse,
}
