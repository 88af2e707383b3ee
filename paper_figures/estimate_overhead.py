"""What Eigen-SAM's estimates cost beside a step of SAM, counted."""

__all__ = ["estimate_overhead"]


def estimate_overhead(products: int, every: int) -> float:
    """Gradients that the estimates take over those that SAM's steps take.

    ``(2 p + 1) / (2 k)``: each of ``p`` Hessian products costs about two gradients, the graph that they are taken of
    one, every ``k`` steps of two gradients each.

    Example:
        >>> estimate_overhead(5, 100), estimate_overhead(5, 1000)
        (0.055, 0.0055)
    """
    return (2 * products + 1) / (2 * every)
