"""Drift and covariance that somebody else has written: what they return is checked before it is believed."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ...ground.errors import InputError
from ..simulation.problems.coefficients import drift_and_covariance

__all__ = ["CoefficientFunction", "checked_coefficients"]

CoefficientFunction = Callable[..., tuple[Tensor, Tensor]]
"""Maps (landscape, sde, x, rho, eta, values) to drift, ``(N, d)``, and covariance, ``(N, d, d)``."""

_ASYMMETRY = 1e-10  # of the largest entry: above rounding, far below a mistake
_NEGATIVE = 1e-9  # of the largest eigenvalue: a singular covariance has eigenvalues that are negative by rounding


def checked_coefficients(coefficients: CoefficientFunction) -> CoefficientFunction:
    """The same function; what it returns is refused unless it is a drift and a covariance at the points asked for.

    Raises:
        InputError: from the function that is returned: other types, shapes, devices or dtypes; numbers that are not
            finite; a covariance that is not symmetric or not positive semidefinite.

    Example:
        >>> import torch
        >>> from eigensam.landscapes import TiltedTorus
        >>> from eigensam.sde.weak_order.own_coefficients import checked_coefficients
        >>> zero = checked_coefficients(lambda f, sde, x, *rest: (0 * x[:, 0], torch.zeros(len(x), 1, 1)))
        >>> zero(TiltedTorus.default(1), None, torch.zeros(5, 1, 1, dtype=torch.float64), 0.1, 0.1, None)
        Traceback (most recent call last):
            ...
        eigensam.ground.errors.InputError: coefficients return a covariance in torch.float32 on cpu; expected ...
    """
    if coefficients is drift_and_covariance:
        return coefficients
    if not callable(coefficients):
        raise InputError(
            f"found coefficients of type {type(coefficients).__name__}; expected a function of (landscape, sde, x, "
            "rho, eta, values) such as drift_and_covariance"
        )

    def checked(landscape: Any, sde: Any, x: Tensor, *rest: Any) -> tuple[Tensor, Tensor]:
        found: Any = coefficients(landscape, sde, x, *rest)
        if not isinstance(found, tuple | list) or len(found) != 2:
            what = f"{len(found)} of them" if isinstance(found, tuple | list) else type(found).__name__
            raise InputError(f"coefficients return {what}; expected two: return drift, covariance")
        count, d = len(x), x.shape[-1]
        shapes = {"drift": (count, d), "covariance": (count, d, d)}
        for (name, shape), value in zip(shapes.items(), found, strict=True):
            _check_tensor(name, value, shape, x)
        drift, covariance = found
        _check_covariance(covariance)
        return drift, covariance

    return checked


def _check_tensor(name: str, value: Any, shape: tuple[int, ...], x: Tensor) -> None:
    letters = "(N, d)" if len(shape) == 2 else "(N, d, d)"
    if not isinstance(value, Tensor):
        raise InputError(
            f"coefficients return a {name} of type {type(value).__name__}; expected a torch.Tensor of shape {letters} "
            f"= {shape}: torch.as_tensor(..., dtype=x.dtype)"
        )
    if tuple(value.shape) != shape:
        if len(shape) == 2:
            repair = "drop the minibatches' axis, drift[:, 0] or drift.mean(1)"
        else:
            repair = (
                "a variance s per coordinate is torch.diag_embed(s), one for all is s * torch.eye(d).expand(N, d, d)"
            )
        raise InputError(
            f"coefficients return a {name} of shape {tuple(value.shape)} at {shape[0]} points x of shape "
            f"{tuple(x.shape)}; expected {letters} = {shape}: {repair}"
        )
    if value.dtype != x.dtype or value.device != x.device:
        raise InputError(
            f"coefficients return a {name} in {value.dtype} on {value.device}; expected {x.dtype} on {x.device}, as "
            "the points are: .to(x)"
        )
    finite = value.isfinite().flatten(1).all(1)
    if not bool(finite.all()):
        worst = int(finite.int().argmin())
        raise InputError(
            f"coefficients return a {name} with numbers that are not finite at {int((~finite).sum())} of {len(x)} "
            f"points, first at x = {_point(x, worst)}; check divisions and roots there"
        )


def _check_covariance(covariance: Tensor) -> None:
    size = float(covariance.abs().max())
    gap = (covariance - covariance.mT).abs().flatten(1).max(1).values
    if not float(gap.max()) <= _ASYMMETRY * size:
        worst = int(gap.argmax())
        raise InputError(
            f"coefficients return a covariance that is not symmetric, at one point {covariance[worst].tolist()}; "
            "expected both triangles: s + s.mT - torch.diag_embed(s.diagonal(dim1=-2, dim2=-1)) of one triangle s, "
            "or r @ r.mT of a factor r"
        )
    smallest = torch.linalg.eigvalsh(covariance).min(-1).values
    if not float(smallest.min()) >= -_NEGATIVE * size:
        worst = int(smallest.argmin())
        raise InputError(
            f"coefficients return a covariance with the eigenvalue {float(smallest[worst]):.3g}, at one point "
            f"{covariance[worst].tolist()}; expected none below 0: check its sign, and that it is E[h h^T] - E[h] "
            "E[h]^T of the increments"
        )


def _point(x: Tensor, index: int) -> list[float]:
    result: list[float] = x[index].flatten().tolist()
    return result[:6]
