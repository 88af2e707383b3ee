"""The last linear layer of a network: along its parameters the cross-entropy has a closed form."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ...landscapes.networks.network import NetworkLandscape

__all__ = ["Growth", "Head", "curvature_growth", "find_head"]

_FACTORS = (-1.0, -30.0, -1000.0)  # an odd function of a layer's outputs passes the first only


@dataclass(frozen=True)
class Head:
    """A layer ``o = W a + b`` whose outputs ``o`` are those of the network.

    Attributes:
        mask: which coordinates are ``W`` and ``b``, shape ``(d,)``, bool.
        slope: mean over examples of ``o_y - min_j o_j``. With ``W`` and ``b`` multiplied by ``-t`` the cross-entropy is
            at least ``t * slope``, since the logarithm of a sum of exponentials is at least the largest exponent.
        accuracy: largest relative difference between ``-t o`` and the outputs with ``-t W, -t b``.
    """

    mask: Tensor
    slope: float
    accuracy: float


def find_head(landscape: NetworkLandscape) -> Head | None:
    """The last linear layer, if outputs are multiplied by what multiplies its parameters; None otherwise.

    Example:
        >>> model = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 2)).double()
        >>> data = torch.eye(2, dtype=torch.float64), torch.arange(2)
        >>> f = NetworkLandscape.from_tensors(model, nn.functional.cross_entropy, *data)
        >>> int(find_head(f).mask.sum())
        8
    """
    network = landscape.network
    last = next((m for m in reversed(list(network.model.modules())) if isinstance(m, nn.Linear)), None)
    if last is None:
        return None
    own = {id(p) for p in last.parameters()}
    names = {name for name, p in network.model.named_parameters() if id(p) in own}
    parts = [
        torch.full((shape.numel(),), name in names) for name, shape in zip(network.names, network.shapes, strict=True)
    ]
    mask = torch.cat(parts).to(landscape.device)
    if int(mask.sum()) != sum(p.numel() for p in last.parameters()):
        return None  # some of it is frozen
    x = landscape.point()
    inputs, targets = landscape.batches[0]
    with torch.no_grad():
        outputs = landscape.outputs(x, inputs)
        scaled = {t: landscape.outputs(torch.where(mask, t * x, x), inputs) for t in _FACTORS}
    if outputs.ndim != 2 or not torch.isfinite(outputs).all():
        return None
    largest = outputs.abs().max().clamp_min(torch.finfo(x.dtype).tiny)
    accuracy = max(float((found / t - outputs).abs().max() / largest) for t, found in scaled.items())
    if not accuracy <= torch.finfo(x.dtype).eps ** 0.5:
        return None
    slope = float((outputs.gather(1, targets[:, None])[:, 0] - outputs.min(1).values).mean())
    return Head(mask, slope, accuracy)


@dataclass(frozen=True)
class Growth:
    """Derivatives along a ray.

    Attributes:
        factors: ``t`` at each point of the ray.
        curvatures: norm of the Hessian times a unit vector there.
        thirds: norm of the third derivative contracted twice with it.
    """

    factors: Sequence[float]
    curvatures: Sequence[float]
    thirds: Sequence[float]

    @staticmethod
    def grows(values: Sequence[float]) -> bool:
        """Whether the last three doublings of ``t`` multiplied the value by 1.8 or more each: linear growth has 2."""
        return all(later >= 1.8 * earlier > 0 for earlier, later in zip(values[-4:-1], values[-3:], strict=True))


def curvature_growth(landscape: NetworkLandscape, head: Head, direction: Tensor, doublings: int = 16) -> Growth:
    """Curvature in the other layers' parameters while the last layer is multiplied by ``-t``, ``t = 1, 2, 4, ...``

    There the cross-entropy is ``t`` times a difference of outputs but for exponentially little, so that where these are
    not affine in the other parameters, every derivative grows like ``t``: no constant serves all parameters.

    Args:
        landscape: the cross-entropy.
        head: its last layer.
        direction: ``(d,)``; what it has in the last layer is left out.
        doublings: of ``t``.
    """
    x = landscape.point()
    u = torch.where(head.mask, torch.zeros_like(x), direction)
    u = u / u.norm()
    factors: list[float] = []
    curvatures: list[float] = []
    thirds: list[float] = []
    for k in range(doublings + 1):
        point = torch.where(head.mask, -(2.0**k) * x, x)
        factors.append(2.0**k)
        for order, found in ((1, curvatures), (2, thirds)):
            product = landscape.taylor_gradient(point, u, (0.0,) * order + (1.0,))
            found.append(float(torch.where(head.mask, torch.zeros_like(x), product).norm()))
    return Growth(factors, curvatures, thirds)
