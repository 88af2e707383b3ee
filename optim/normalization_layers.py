"""Which parameters of a network belong to its normalisation layers."""

from collections.abc import Iterator, Sequence
from typing import Any

from torch import nn

from ..ground.errors import InputError

__all__ = ["normalization_groups"]

_TORCHS = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)
_KINDS = ("batchnorm", "layernorm", "groupnorm", "instancenorm", "rmsnorm")


def normalization_groups(
    model: nn.Module, *, rho: float, also: Sequence[type[nn.Module]] = (), **settings: Any
) -> list[dict[str, Any]]:
    """Two parameter groups: normalisation layers with a radius, all others with ``rho = 0``.

    With them every method is the one that perturbs normalisation layers only, by the gradient of these alone, and
    trains everything: SAM-ON is SAM (Mueller et al., NeurIPS 2023, "Normalization layers are all that sharpness-aware
    minimization needs").

    A normalisation layer is a module of torch's ``BatchNorm``, ``SyncBatchNorm``, ``LayerNorm``, ``GroupNorm``,
    ``InstanceNorm`` and ``RMSNorm``, or any other whose class, or a class that this one is derived from, has such a
    word in its name (``LlamaRMSNorm``, ``LayerNorm2d``). Their own parameters count, weight and bias; those that
    require no gradient are left out, and of layers that only have such a name those that are matrices: fused ones
    (``LayerNormLinear``) have the next layer's, too.

    Args:
        model: the network.
        rho: radius of the first group, at least 0.
        also: classes of modules that are normalisation layers, too, whatever their name.
        **settings: more for the first group, such as ``alpha``.

    Returns:
        The groups, in the order of ``model.parameters()``; one alone if there are no others.

    Raises:
        InputError: no normalisation layer, or none with a parameter that requires a gradient.

    Example:
        >>> from torch import nn
        >>> from eigensam.optim import SAM, normalization_groups
        >>> model = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.Linear(4, 2))
        >>> groups = normalization_groups(model, rho=0.5)
        >>> [(group["rho"], len(group["params"])) for group in groups]
        [(0.5, 2), (0.0, 4)]
        >>> optimizer = SAM(groups, lr=0.1)
    """
    layers = [module for module in model.modules() if isinstance(module, tuple(also)) or _normalizes(module)]
    ours = {
        id(p)
        for module in layers
        for p in module.parameters(recurse=False)
        if isinstance(module, (*_TORCHS, *also)) or sum(size > 1 for size in p.shape) <= 1
    }
    trained = [p for p in model.parameters() if p.requires_grad]
    first = [p for p in trained if id(p) in ours]
    if not first:
        found = f"{len(layers)} normalisation layers have none" if layers else "there is no normalisation layer"
        raise InputError(
            f"{type(model).__name__} has no parameters of normalisation layers to perturb: {found}; take a network "
            "with batch or layer normalisation and weights of its own (affine=True), name other layers with "
            "normalization_groups(model, also=[...]), or perturb all parameters with SAM"
        )
    others = [p for p in trained if id(p) not in ours]
    groups: list[dict[str, Any]] = [{"params": first, "rho": rho, **settings}]
    return [*groups, {"params": others, "rho": 0.0}] if others else groups


def _normalizes(module: nn.Module) -> bool:
    return any(kind in name for name in _class_names(module) for kind in _KINDS)


def _class_names(module: nn.Module) -> Iterator[str]:
    for each in type(module).__mro__:
        yield each.__name__.lower()
