"""What pictures and tables call an optimizer."""

__all__ = ["label"]

_LABELS = {"sgd": "SGD", "sam": "SAM", "eigen-sam": "Eigen-SAM"}


def label(optimizer: str) -> str:
    """Name an optimizer as people write it.

    Example:
        >>> label("eigen-sam"), label("own")
        ('Eigen-SAM', 'own')
    """
    return _LABELS.get(optimizer, optimizer)
