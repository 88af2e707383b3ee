"""What pictures and tables call an optimizer."""

from ..optim.registry import OPTIMIZERS

__all__ = ["label"]


def label(optimizer: str) -> str:
    """Name an optimizer as people write it.

    Example:
        >>> label("eigen-sam"), label("own")
        ('Eigen-SAM', 'own')
    """
    return OPTIMIZERS[optimizer].label if optimizer in OPTIMIZERS else optimizer
