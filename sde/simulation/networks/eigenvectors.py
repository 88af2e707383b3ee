"""The eigenvectors that Eigen-SAM follows along many paths, by a few power iterations a step."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from ....ground.errors import InputError
from ....landscapes.landscape import Landscape
from ....landscapes.networks.network import NetworkLandscape
from ....landscapes.spectra.request import check_whole
from ..seeds import checked_seed
from .mean_loss import MEMORY, MeanLoss

__all__ = ["EigenvectorEstimate", "Eigenvectors", "Hessians"]

Hessians = Literal["minibatch", "step"]
"""Whose: each minibatch's own, as the paper's authors say they did, or the mean loss's."""


@dataclass(frozen=True)
class Eigenvectors:
    """Estimates of ``P`` paths and ``N`` Hessians: all minibatches', or 1, the mean loss's.

    Attributes:
        vectors: unit ``v``, shape ``(P, N, d)``; what a landscape takes for directions.
        values: Rayleigh quotients ``mu = <v, H v>``, shape ``(P, N)``, float64.
        residuals: ``|H v - mu v| / |mu|``, shape ``(P, N)``, float64: an eigenvalue lies within this part of ``mu``.
            0 where ``H v`` is 0.
        state: where the next step begins, shape ``(P, N, d)``: all that there is to keep for a pause.
    """

    vectors: Tensor
    values: Tensor
    residuals: Tensor
    state: Tensor


class EigenvectorEstimate:
    """``v <- H v / |H v|``, ``iterations`` times a step, from where the last step ended.

    This finds the eigenvalue of largest *magnitude*, as the paper's Algorithm 1 does; with a positive ``shift`` of at
    least ``-lambda_min``, ``v <- (H + shift) v / |...|``, it finds the largest algebraic one. Convergence is geometric,
    with the ratio of the two largest magnitudes; the residuals say how far it has come. Signs mean nothing.

    The first step multiplies ``iterations + 1`` times: ``v`` has then seen ``iterations`` products, and the last one
    gives its quotient and residual. It is not lost: normalised, it is the state that the next step begins from, so that
    each further step multiplies ``iterations`` times, and its ``v`` is one product at the last point and
    ``iterations - 1`` at this one farther.

    Points of a network pass through it together and share one graph for all products at one point, see
    :class:`MeanLoss`.

    Args:
        landscape: whose Hessians.
        kind: ``minibatch`` for those of every minibatch, ``step`` for one of the mean loss.
        iterations: products a step, at least 1 (released code: 5).
        shift: added to the spectrum during the iteration, removed from the values.
        seed: of the first vectors, which depend on it and the path's number only.
        memory: bytes that the graphs of one pass may hold.

    Raises:
        InputError: an argument out of range.

    Reference:
        Luo et al., Explicit Eigenvalue Regularization Improves Sharpness-Aware Minimization, NeurIPS 2024, Algorithm 1.

    Example:
        >>> import torch
        >>> from eigensam.landscapes import Quadratic
        >>> f = Quadratic(torch.diag(torch.tensor([1.0, -3.0])), centres=[[0.0, 0.0], [1.0, 0.0]])
        >>> x = torch.zeros(1, 2, dtype=torch.float64)
        >>> found = EigenvectorEstimate(f, "step", iterations=20)(x)
        >>> found.vectors.shape, round(found.values.item(), 6), bool(found.residuals.max() < 1e-6)
        (torch.Size([1, 1, 2]), -3.0, True)
        >>> shifted = EigenvectorEstimate(f, "minibatch", iterations=60, shift=4.0)(x)
        >>> [round(value, 6) for value in shifted.values[0].tolist()]
        [1.0, 1.0]
    """

    def __init__(
        self,
        landscape: Landscape,
        kind: Hessians = "minibatch",
        iterations: int = 5,
        *,
        shift: float = 0.0,
        seed: int = 0,
        memory: int = MEMORY,
    ) -> None:
        if kind not in get_args(Hessians):
            raise InputError(f"unknown kind of Hessian '{kind}'; choose one of: {', '.join(get_args(Hessians))}")
        check_whole(iterations=iterations)
        if iterations < 1:
            raise InputError(f"iterations = {iterations}; expected at least 1 product a step")
        if not 0 <= shift < float("inf"):
            raise InputError(f"shift = {shift}; expected 0, or about minus the smallest eigenvalue")
        if memory < 1:
            raise InputError(f"memory = {memory}; expected a number of bytes, at least 1")
        self.landscape, self.kind, self.iterations, self.shift = landscape, kind, iterations, shift
        self.seed = checked_seed(seed)
        self.count = landscape.size if kind == "minibatch" else 1
        self._means: list[MeanLoss] = []
        if kind == "step":
            self._means = [MeanLoss(landscape, memory=memory)]
        elif isinstance(landscape, NetworkLandscape):
            self._means = MeanLoss.of_minibatches(landscape, memory=memory)

    def start(self, paths: Sequence[int]) -> Tensor:
        """Random unit vectors of the paths with these numbers, shape ``(P, N, d)``; the same for each Hessian."""
        f, rows = self.landscape, []
        for path in paths:
            # Numbers of other paths and seeds are others: each seed begins a stream, and takes the path-th block of it.
            generator = torch.Generator().manual_seed(_mixed(self.seed, path))
            v = torch.randn(f.dim, generator=generator, dtype=torch.float64)
            rows.append(v / v.norm())
        return torch.stack(rows).to(f.device, f.dtype)[:, None].repeat(1, self.count, 1)

    def __call__(self, x: Tensor, state: Tensor | None = None, *, paths: Sequence[int] | None = None) -> Eigenvectors:
        """At points ``(P, d)``.

        Args:
            x: where.
            state: of the step before; default :meth:`start`.
            paths: the paths' numbers, for their first vectors; default ``0 ... P - 1``.

        Raises:
            InputError: shapes that do not fit, points, a state or products that are not finite.
        """
        f = self.landscape
        if x.ndim != 2 or x.shape[1] != f.dim or not len(x):
            raise InputError(f"the paths' points have shape {tuple(x.shape)}; expected (paths, {f.dim})")
        _check_finite(x, "the point")
        numbers = range(len(x)) if paths is None else paths
        if len(numbers) != len(x):
            raise InputError(f"found numbers of {len(numbers)} paths for {len(x)} points; expected as many")
        x = x.detach().to(f.device, f.dtype)
        products = self.iterations + (state is None)
        v = self.start(numbers) if state is None else self._checked(state, len(x))
        parts = [
            _iterated(product, v[where], products, self.shift, where[0].start or 0)
            for where, product in self._products(x)
        ]
        if self.kind == "minibatch" and self._means:  # one minibatch after the other, each with its parts of the paths
            each = len(parts) // len(self._means)
            rows = [_joined(parts[i : i + each], 0) for i in range(0, len(parts), each)]
            return _joined(rows, 1)
        return _joined(parts, 0)

    def _products(self, x: Tensor) -> Iterator[tuple[tuple[slice, slice], Callable[[Tensor], Tensor]]]:
        """Parts of the paths and Hessians, and ``(p, n, d) -> (p, n, d)`` of each; one graph at a time."""
        if not self._means:
            yield (slice(None), slice(None)), lambda v: self.landscape.hessian_products(x[:, None], v)
        for n, mean in enumerate(self._means):
            for part in mean.parts(len(x)):
                product = mean.linearised(x[part]).product
                yield (part, slice(n, n + 1)), lambda v, product=product: product(v[:, 0])[:, None]  # type: ignore[misc]

    def _checked(self, state: Tensor, count: int) -> Tensor:
        expected = (count, self.count, self.landscape.dim)
        if state.shape != expected:
            raise InputError(f"the state has shape {tuple(state.shape)}; expected {expected}: that of the last step")
        _check_finite(state, "the state")
        state = state.detach().to(self.landscape.device, self.landscape.dtype)
        lengths = torch.linalg.vector_norm(state, dim=-1)
        if bool(((lengths - 1).abs() > 1e-3).any()):
            raise InputError("the state holds vectors that have not length 1; give the state of the last step")
        return state


def _mixed(seed: int, path: int) -> int:
    """One number for a seed and a path, by the finaliser of splitmix64 (Steele, Lea & Flood 2014)."""
    z = (seed + (path + 1) * 0x9E3779B97F4A7C15) % 2**64
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
    return (z ^ (z >> 31)) % 2**63


def _iterated(product: Callable[[Tensor], Tensor], v: Tensor, products: int, shift: float, first: int) -> Eigenvectors:
    """The vector before the last product, and the one after it; of paths that count from ``first``."""
    for left in range(products, 0, -1):
        w = product(v)
        _check_finite(w, "a Hessian product", first)
        moved = w + shift * v
        norm = torch.linalg.vector_norm(moved, dim=-1, keepdim=True, dtype=torch.float64)  # squares overflow float32
        # What H maps to 0 is an eigenvector, and stays.
        after = torch.where(norm > 0, moved / torch.where(norm > 0, norm, 1.0).to(v.dtype), v)
        if left > 1:
            v = after
    exact, image = v.double(), w.double()
    values = (exact * image).sum(-1)
    rest = torch.linalg.vector_norm(image - values[..., None] * exact, dim=-1)
    return Eigenvectors(v, values, torch.where(rest > 0, rest / values.abs(), 0.0), after)


def _joined(parts: list[Eigenvectors], axis: int) -> Eigenvectors:
    fields = ("vectors", "values", "residuals", "state")
    return Eigenvectors(*(torch.cat([getattr(part, name) for part in parts], axis) for name in fields))


def _check_finite(values: Tensor, what: str, first: int = 0) -> None:
    finite = torch.isfinite(values).flatten(1).all(1)
    if not bool(finite.all()):
        path = first + int((~finite).nonzero()[0, 0])
        raise InputError(f"{what} of path {path} is not finite: NaN or infinity; the path has diverged before")
