"""What is known of torch's modules: whether they are smooth, how steep they are, whether all of a network is known."""

from dataclasses import dataclass, field

from torch import nn

__all__ = ["KnownNetwork", "jump_of", "known_network", "layers_of"]

_SMOOTH: tuple[type[nn.Module], ...] = (
    nn.Linear, nn.Bilinear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.Embedding,
    nn.GELU, nn.Tanh, nn.Sigmoid, nn.Softplus, nn.SiLU, nn.Mish, nn.LogSigmoid, nn.Tanhshrink, nn.Softmax,
    nn.LogSoftmax, nn.Identity, nn.Flatten, nn.Unflatten, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.AlphaDropout,
    nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d, nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.ZeroPad2d,
    nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.LayerNorm, nn.GroupNorm, nn.InstanceNorm2d,
    nn.MultiheadAttention, nn.modules.linear.NonDynamicallyQuantizableLinear,
)  # fmt: skip
"""Derivatives of every order are continuous, and grow at most like a power of parameters and inputs."""

_JUMP_AT_FIRST: tuple[type[nn.Module], ...] = (
    nn.ReLU, nn.LeakyReLU, nn.PReLU, nn.RReLU, nn.ReLU6, nn.SELU, nn.Hardtanh, nn.Hardsigmoid, nn.Hardswish,
    nn.Hardshrink, nn.Softshrink, nn.Threshold, nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d, nn.AdaptiveMaxPool1d,
    nn.AdaptiveMaxPool2d, nn.FractionalMaxPool2d,
)  # fmt: skip
_JUMP_AT_SECOND: tuple[type[nn.Module], ...] = (nn.CELU, nn.Softsign)  # and ELU with alpha = 1

_CONTAINERS = {  # sums, reshapes, resizes, and modules that are looked at themselves: by module and class
    "torchvision.models.vision_transformer": ("VisionTransformer", "Encoder", "EncoderBlock", "MLPBlock"),
    "torchvision.models.resnet": ("ResNet", "BasicBlock", "Bottleneck"),
    "eigensam.landscapes.runs.vision_transformer": ("ImageNetInput", "ColouredInput"),
    "torch.nn.modules.container": ("Sequential", "ModuleList"),
}


def jump_of(module: nn.Module) -> int | None:
    """The lowest derivative of a module that jumps; 0 if none does, None if the module is not known.

    Example:
        >>> [jump_of(module) for module in (nn.GELU(), nn.ReLU(), nn.ELU(), nn.ELU(0.5), nn.Module())]
        [0, 1, 2, 1, None]
    """
    if getattr(module, "eps", 1.0) == 0:
        return None  # a normalisation that may divide by 0
    if getattr(module, "max_norm", None) is not None:
        return None  # an embedding that shortens long rows
    if type(module) is nn.ELU:
        return 2 if module.alpha == 1 else 1
    if type(module) in _JUMP_AT_FIRST:
        return 1
    if type(module) in _JUMP_AT_SECOND:
        return 2
    return 0 if type(module) in _SMOOTH else None


@dataclass(frozen=True)
class KnownNetwork:
    """What the types of a network's modules say.

    Attributes:
        jumps: names of the types whose derivatives jump, with the lowest order that does.
        unknown: names of the types whose forward pass is anybody's.
        normalised: whether batch statistics enter while it is trained.
        torch_softplus: whether torch's softplus, which is the identity above a threshold, is among them.
    """

    jumps: dict[str, int] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)
    normalised: bool = False
    torch_softplus: bool = False


def known_network(model: nn.Module) -> KnownNetwork:
    """What the types of all modules say of the network's smoothness.

    Example:
        >>> known_network(nn.Sequential(nn.Linear(2, 2), nn.ReLU())).jumps
        {'ReLU': 1}
    """
    jumps: dict[str, int] = {}
    unknown: dict[str, None] = {}
    normalised = softplus = False
    for module in model.modules():
        kind = type(module)
        changed = "forward" in vars(module) or bool(module._forward_hooks or module._forward_pre_hooks)
        container = kind.__name__ in _CONTAINERS.get(kind.__module__, ())
        order = jump_of(module)
        if changed or (order is None and not container):
            unknown[kind.__name__] = None
        elif order:
            jumps[kind.__name__] = min(order, jumps.get(kind.__name__, order))
        normalised |= isinstance(module, nn.modules.batchnorm._BatchNorm)
        softplus |= kind is nn.Softplus
    return KnownNetwork(jumps, list(unknown), normalised, softplus)


def layers_of(model: nn.Module) -> list[nn.Module] | None:
    """The layers of a chain in their order, nested ones unrolled; None if the network is no chain of known layers.

    Example:
        >>> chain = nn.Sequential(nn.Flatten(), nn.Sequential(nn.Linear(2, 2), nn.GELU()))
        >>> [type(layer).__name__ for layer in layers_of(chain)]
        ['Flatten', 'Linear', 'GELU']
    """
    if known_network(model).unknown:
        return None
    if type(model) is not nn.Sequential:
        return None if jump_of(model) is None else [model]
    found: list[nn.Module] = []
    for child in model:
        inside = layers_of(child)
        if inside is None:
            return None
        found += inside
    return found
