"""The perturbations of a landscape's minibatches, one at a time."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from ...ground.errors import InputError
from ..landscape import Landscape
from ..networks.network import NetworkLandscape

__all__ = ["Perturbation", "minibatch_perturbations"]

Perturbation = Callable[[Tensor], Tensor] | Tensor
"""Maps a minibatch's gradient ``(d,)`` to its ``u`` of the same shape; or the ``u_m`` themselves, shape ``(M, d)``."""


def minibatch_perturbations(
    landscape: Landscape, x: Tensor, perturbation: Perturbation | None = None
) -> Iterator[tuple[Tensor, Tensor]]:
    """``(g_m, u_m)`` of every minibatch in turn, in the memory of one of them where the landscape is a network.

    Args:
        landscape: ``f_m``.
        x: where, shape ``(d,)``.
        perturbation: ``u_m``, of which ``rho u_m`` is added to ``x``; default SAM's ``g_m / |g_m|`` (0 where the
            gradient is 0). A function sees one gradient only: rules that need all of them (DNSAM) give the tensor.

    Raises:
        InputError: perturbations of another shape.

    Example:
        >>> import torch
        >>> from eigensam.landscapes import Quadratic
        >>> f = Quadratic([[2.0]], centres=[[0.0], [4.0]])
        >>> [u.item() for _, u in minibatch_perturbations(f, torch.ones(1, dtype=torch.float64))]
        [1.0, -1.0]
    """
    if isinstance(perturbation, Tensor) and perturbation.shape != (landscape.size, landscape.dim):
        raise InputError(
            f"perturbations have shape {tuple(perturbation.shape)}; expected ({landscape.size}, {landscape.dim}), "
            "one of each minibatch"
        )
    gradients = None if isinstance(landscape, NetworkLandscape) else landscape.gradients(x)
    for m in range(landscape.size):
        if isinstance(landscape, NetworkLandscape):
            g = landscape.minibatch_gradient(x, m)
        else:
            assert gradients is not None
            g = gradients[m]
        if perturbation is None:
            norm = torch.linalg.vector_norm(g)
            u = g / torch.where(norm > 0, norm, torch.ones_like(norm))
        else:
            u = perturbation[m].to(g) if isinstance(perturbation, Tensor) else perturbation(g)
        if u.shape != g.shape:
            raise InputError(
                f"a perturbation has shape {tuple(u.shape)}; expected that of its gradient, {tuple(g.shape)}"
            )
        yield g, u
