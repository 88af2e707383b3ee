"""The SDEs that are timed, each written once: by the array functions that torch, jax.numpy and numpy have in common.

Functions take a point ``(d,)`` or rows of points ``(n, d)``, so that every contestant is given the same text.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from eigensam.sde.simulation.scheme import Noise

__all__ = ["ETA", "EXAMPLES", "RHO", "VALLEY", "Example", "Functions"]

RHO, ETA = 0.1, 0.1
VALLEY = (-0.3, -0.1, 0.4)
STIFFNESS = np.random.default_rng(0).standard_normal((10, 10)) * 0.2 + 2 * np.eye(10)
MIXING = np.random.default_rng(1).standard_normal((10, 10)) * 0.1 + 0.3 * np.eye(10)

Function = Callable[[Any, Any], Any]


@dataclass(frozen=True)
class Functions:
    """Drift ``(d,)`` and diffusion ``(d, m)`` of time and point; of diagonal noise the diagonal, ``(d,)``."""

    drift: Function
    diffusion: Function


@dataclass(frozen=True)
class Example:
    """An SDE in every dialect.

    Args:
        title: what it is.
        x0: where every path starts.
        noise: kind of noise.
        noise_dim: ``m``, the numbers that a step of a path needs.
        make: from the module of arrays (torch, jax.numpy or numpy) and its type of numbers.
    """

    title: str
    x0: tuple[float, ...]
    noise: Noise
    noise_dim: int
    make: Callable[[Any, Any], Functions]

    def kick(self, diffusion: Any, dw: Any) -> Any:
        """``G dW`` at a point or at rows of points."""
        return diffusion * dw if self.noise == "diagonal" else (diffusion @ dw[..., None])[..., 0]


def _sam(xp: Any, dtype: Any) -> Functions:
    """``-grad f(x + rho grad f / |grad f|)`` of ``f = (x^2 + y^2 + x^2 y^2) / 2``; four entries depend on x."""

    def gradient(x: Any) -> tuple[Any, Any]:
        a, b = x[..., 0], x[..., 1]
        return a + a * b * b, b + b * a * a

    def drift(t: Any, x: Any) -> Any:
        p, q = gradient(x)
        scale = RHO / xp.sqrt(p * p + q * q + 1e-12)
        p, q = gradient(x + xp.stack([scale * p, scale * q], -1))
        return xp.stack([-p, -q], -1)

    def diffusion(t: Any, x: Any) -> Any:
        a, b = x[..., 0], x[..., 1]
        above = xp.stack([0.2 + 0.05 * a * a, 0.1 + 0.1 * b], -1)
        return xp.stack([above, xp.stack([0.1 * a, 0.2 + 0.05 * b * b], -1)], -2)

    return Functions(drift, diffusion)


def _drift_matrix(xp: Any, dtype: Any) -> Functions:
    """``-A x - x^3`` with a 10 x 10 matrix, diagonal noise that depends on the point."""
    matrix = xp.asarray(STIFFNESS.T, dtype=dtype)

    def drift(t: Any, x: Any) -> Any:
        return -(x @ matrix) - x * x * x

    def diffusion(t: Any, x: Any) -> Any:
        return xp.sqrt(0.1 + 0.1 * x * x)

    return Functions(drift, diffusion)


def _two_matrices(xp: Any, dtype: Any) -> Functions:
    """The same drift; a full 10 x 10 diffusion that depends on the point."""
    mixing = xp.asarray(MIXING, dtype=dtype)

    def diffusion(t: Any, x: Any) -> Any:
        return xp.sqrt(1 + x * x)[..., None] * mixing

    return Functions(_drift_matrix(xp, dtype).drift, diffusion)


def _derived(xp: Any, dtype: Any) -> Functions:
    """SAM's SDE of weak order 1 on a valley, by hand: what the derivation has to give for the same landscape.

    ``f_m = s(x) y^2 / 2 + n_m y`` with ``s = 4 - 3 exp(-x^2 / 2)``; ``h_m = -(g_m + rho H g_m / |g_m|)``; the drift is
    the mean of ``h_m``, the columns of the diffusion are ``sqrt(eta / 3) (h_m - mean)``.
    """
    offsets = xp.asarray(np.array(VALLEY), dtype=dtype)

    def increments(x: Any) -> tuple[Any, Any]:
        along, across = x[..., 0:1], x[..., 1:2]
        dip = 3 * xp.exp(-along * along / 2)
        s, ds, dds = 4 - dip, dip * along, dip * (1 - along * along)
        a, b = ds * across * across / 2 + 0 * offsets, s * across + offsets
        scale = RHO / xp.sqrt(a * a + b * b)
        first = a + scale * (dds * across * across / 2 * a + ds * across * b)
        return -first, -(b + scale * (ds * across * a + s * b))

    def drift(t: Any, x: Any) -> Any:
        return xp.stack([each.mean(-1) for each in increments(x)], -1)

    def diffusion(t: Any, x: Any) -> Any:
        return xp.stack([(ETA / 3) ** 0.5 * (each - each.mean(-1)[..., None]) for each in increments(x)], -2)

    return Functions(drift, diffusion)


EXAMPLES = {
    "sam": Example("SAM-like drift, full 2 x 2 diffusion", (1.0, -0.5), "general", 2, _sam),
    "derived": Example("SAM's SDE on a valley", (1.0, 0.5), "general", 3, _derived),
    "matrix": Example("10 x 10 matrix, diagonal noise", (0.5,) * 10, "diagonal", 10, _drift_matrix),
    "matrices": Example("10 x 10 matrix, full 10 x 10 diffusion", (0.5,) * 10, "general", 10, _two_matrices),
}
