"""The largest value of a quadratic in a ball."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["largest_in_ball"]

Array = NDArray[np.float64]


def largest_in_ball(gradient: Array, hessian: Array, radius: float) -> tuple[float, Array]:
    """``max <b, s> + s^T T s / 2`` over ``|s| <= r``, and a maximiser, for a small dense ``T``.

    In an eigenbasis ``s_i = b_i / (mu - lambda_i)`` with ``mu >= max(lambda_1, 0)`` and ``|s| = r``, unless the maximum
    is inside (More & Sorensen 1983). ``mu`` is found by bisection; what is then missing of the length, which is more
    than rounding in the hard case, where ``b`` has no part along the top eigenvectors, is made up along one of them.

    Args:
        gradient: ``b``, shape ``(k,)``.
        hessian: ``T``, symmetric, shape ``(k, k)``.
        radius: ``r > 0``.

    Reference:
        More and Sorensen, Computing a trust region step, SIAM J. Sci. Stat. Comput. 4 (1983).

    Example:
        >>> import numpy as np
        >>> value, s = largest_in_ball(np.array([1.0, 0.0]), np.diag([0.0, -1.0]), 2.0)
        >>> value, s.tolist()
        (2.0, [2.0, 0.0])
    """
    scale = max(float(np.abs(hessian).max()), float(np.abs(gradient).max()) / radius)
    if scale == 0:
        return 0.0, np.zeros_like(gradient)
    eigenvalues, basis = np.linalg.eigh(hessian / scale)
    b = basis.T @ (gradient / scale)  # of the size of the radius or less
    least, tiny = max(float(eigenvalues[-1]), 0.0), 1e-15

    def point(mu: float) -> Array:
        gaps = mu - eigenvalues
        blocked = gaps <= tiny
        return np.where(blocked, 0.0, b / np.where(blocked, 1.0, gaps))

    inside = least == 0 and bool((np.abs(b[eigenvalues >= -tiny]) <= tiny * radius).all())
    if inside and np.linalg.norm(point(0.0)) <= radius:
        s = point(0.0)
    else:
        low, high = least, least + float(np.linalg.norm(b)) / radius  # with that mu |s| <= r
        for _ in range(200):
            middle = (low + high) / 2
            infinite = middle - eigenvalues[-1] <= tiny
            low, high = (middle, high) if infinite or np.linalg.norm(point(middle)) > radius else (low, middle)
        s = point(high)
        s[-1] = np.copysign(np.sqrt(max(radius**2 - float(s[:-1] @ s[:-1]), 0.0)), b[-1])
    return scale * float(b @ s + (eigenvalues * s) @ s / 2), basis @ s
