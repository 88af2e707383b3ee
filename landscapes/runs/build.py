"""A network by its name."""

from torch import nn

from .registries import MODELS, Shape

__all__ = ["build_model"]


def build_model(name: str, shape: Shape, classes: int) -> nn.Module:
    """A freshly initialised network; seed torch before the call for a reproducible one.

    Args:
        name: a key of ``MODELS``.
        shape: ``(C, H, W)`` of one image.
        classes: number of outputs.

    Raises:
        InputError: unknown name.

    Example:
        >>> sum(p.numel() for p in build_model("mlp", (1, 8, 8), 10).parameters())
        104842
    """
    return MODELS[name](shape, classes)
