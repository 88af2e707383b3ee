"""A network by its name."""

from torch import nn

from ...ground.errors import InputError
from .registries import MODELS, OWN

__all__ = ["build_model"]


def build_model(name: str, shape: tuple[int, ...], classes: int) -> nn.Module:
    """A freshly initialised network; seed torch before the call for a reproducible one.

    Args:
        name: a key of ``MODELS``.
        shape: ``(C, H, W)`` of one image.
        classes: number of outputs.

    Raises:
        InputError: unknown name, or inputs that are no images.

    Example:
        >>> sum(p.numel() for p in build_model("mlp", (1, 8, 8), 10).parameters())
        104842
    """
    if name == OWN:
        raise InputError("one's own network has no name to build it by; give it from Python: Run(directory, model=...)")
    if len(shape) != 3:
        raise InputError(f"the network '{name}' takes images (C, H, W), found inputs of shape {shape}; give your own")
    channels, height, width = shape
    return MODELS[name]((channels, height, width), classes)
