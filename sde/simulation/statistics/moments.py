"""Mean, covariance and central moments up to order 4 of a stream of vectors, merged without cancellation."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ....ground.errors import InputError
from ....ground.intervals import student_quantile
from .statistic import Arrays, FloatArray, Intervals, columns

__all__ = ["Moments", "pooled_products"]

_LARGEST = 1e74  # ours: (2e74)^4 times 10^10 paths is below the largest number, 1.8e308
_SMALLEST = 1e-290  # ours: sums of fourth powers below have lost digits to underflow


@dataclass(frozen=True)
class Moments:
    """Count, mean, and sums of products of the deviations ``u = v - mean``; ``...`` are times, or nothing.

    Attributes:
        count: vectors so far.
        mean: shape ``(..., p)``.
        products: ``sum u u^T``, shape ``(..., p, p)``.
        cubes: ``sum u^3``, shape ``(..., p)``.
        fourths: ``sum u^4``, shape ``(..., p)``; deviations below 1e-81 leave nothing here, and those below 1e-162
            nothing in the products.

    Example:
        >>> both = Moments.of([[1.0], [2.0]]).merge(Moments.of([[6.0]]))
        >>> both.mean.tolist(), both.variance.tolist(), both.cubes.tolist()
        ([3.0], [7.0], [18.0])
    """

    count: int
    mean: FloatArray
    products: FloatArray
    cubes: FloatArray
    fourths: FloatArray

    @classmethod
    def of(cls, values: ArrayLike) -> Self:
        """Of vectors, shape ``(n, ..., p)``.

        Sums have a fixed order, so that equal values give equal bits. (A matrix product may add in another order where
        it has other threads.)

        Raises:
            InputError: no vectors, numbers that are not finite, or beyond 1e74, whose fourth powers are not.
        """
        u = columns(values)
        if u.ndim < 2:
            raise InputError(f"values have shape {u.shape}; expected (paths, ..., components)")
        if (largest := np.abs(u).max()) > _LARGEST:
            raise InputError(
                f"a value is as large as {largest:.3g}; fourth powers of numbers beyond {_LARGEST:g} leave double "
                "precision: rescale the observable"
            )
        count = u.shape[-1]
        first = u[..., 0]
        u = u - first[..., None]  # exactly 0 where all values are the same; nothing large is summed
        mean = u.mean(-1)
        u -= mean[..., None]
        square = u * u
        return cls(
            count,
            first + mean,
            np.einsum("...in,...jn->...ij", u, u),
            np.einsum("...n,...n->...", square, u),
            np.einsum("...n,...n->...", square, square),
        )

    def merge(self, other: Self) -> Self:
        """Of both streams: exact formulas (Pébay 2008, equations 2.1 and 3.1), here in fractions of the whole.

        Raises:
            InputError: vectors of another shape.
        """
        if self.mean.shape != other.mean.shape:
            raise InputError(
                f"moments of shapes {self.mean.shape} and {other.mean.shape} cannot be merged; observe the same "
                "components at the same times"
            )
        n = self.count + other.count
        a, b = self.count / n, other.count / n
        shift = other.mean - self.mean
        ours, theirs = self._squares, other._squares
        cubes = self.cubes + other.cubes + shift**3 * (n * a * b * (a - b)) + 3 * shift * (a * theirs - b * ours)
        fourths = (
            self.fourths
            + other.fourths
            + shift**4 * (n * a * b * (a * a - a * b + b * b))
            + 6 * shift**2 * (a * a * theirs + b * b * ours)
            + 4 * shift * (a * other.cubes - b * self.cubes)
        )
        products = pooled_products(self.products, other.products, shift, self.count, other.count)
        return type(self)(n, self.mean + shift * b, products, cubes, fourths)

    @property
    def _squares(self) -> FloatArray:
        return np.diagonal(self.products, axis1=-2, axis2=-1)

    @property
    def covariance(self) -> FloatArray:
        """Unbiased, of one vector, shape ``(..., p, p)``.

        Raises:
            InputError: one vector, which has no spread.
        """
        return self.products / self._degrees()

    @property
    def variance(self) -> FloatArray:
        """Unbiased, of one component, shape ``(..., p)``; raises as :attr:`covariance`."""
        return self._squares / self._degrees()

    @property
    def skewness(self) -> FloatArray:
        """``m_3 / m_2^{3/2}`` with ``m_k`` the mean of ``u^k``; NaN for a constant."""
        return self._standard(self.cubes, 3)

    @property
    def kurtosis(self) -> FloatArray:
        """``m_4 / m_2^2``, which is 3 for a normal law; NaN for a constant."""
        return self._standard(self.fourths, 4)

    def mean_intervals(self, confidence: float = 0.95) -> Intervals:
        """Student's, shape ``(..., p)``.

        Raises:
            InputError: fewer than two vectors, or a confidence outside (0, 1).
        """
        half = student_quantile(self.count, confidence) * np.sqrt(self.variance / self.count)
        return Intervals(self.mean, self.mean - half, self.mean + half)

    def variance_intervals(self, confidence: float = 0.95) -> Intervals:
        """Of the variances, which are the covariance's diagonal, for any law with eight moments and many vectors.

        ``Var(s^2) / sigma^4 = (kurtosis - (n - 3) / (n - 1)) / n`` (Cramér 1946, section 27.4), here with the kurtosis
        of the sample, is about the variance of ``log s^2``. The interval is symmetric in the logarithm, so it stays
        positive. Where deviations are so small (1e-73) that fourth powers say nothing, it is all positive numbers.

        Raises:
            InputError: fewer than two vectors, or a confidence outside (0, 1).

        Example:
            >>> import numpy as np
            >>> found = Moments.of(np.random.default_rng(0).standard_normal((10_000, 1))).variance_intervals()
            >>> found.low.round(2).tolist(), found.high.round(2).tolist()
            ([0.97], [1.02])
        """
        quantile, n, variance = student_quantile(self.count, confidence), self.count, self.variance
        with np.errstate(divide="ignore", invalid="ignore"):
            relative = (self.kurtosis - (n - 3) / (n - 1)) / n
            width = np.where(self.fourths > _SMALLEST, quantile * np.sqrt(relative), np.inf)
        width = np.where(variance > 0, width, 0.0)
        return Intervals(variance, variance * np.exp(-width), variance * np.exp(width))

    def _degrees(self) -> int:
        if self.count < 2:
            raise InputError("one vector has no spread; give at least 2")
        return self.count - 1

    def _standard(self, sums: FloatArray, power: int) -> FloatArray:
        with np.errstate(divide="ignore", invalid="ignore"):
            scale = np.sqrt(self._squares / self.count)
            for _ in range(power):  # powers of the scale itself may underflow
                sums = sums / scale
            return sums / self.count

    def to_arrays(self) -> Arrays:
        """Exactly, as named arrays."""
        return {
            "count": np.array(self.count, dtype=np.int64),
            "mean": self.mean,
            "products": self.products,
            "cubes": self.cubes,
            "fourths": self.fourths,
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """The inverse of :meth:`to_arrays`."""
        return cls(int(arrays["count"]), *(np.array(arrays[name]) for name in ("mean", "products", "cubes", "fourths")))


def pooled_products(ours: FloatArray, theirs: FloatArray, shift: FloatArray, count: int, others: int) -> FloatArray:
    """Sum of products of deviations from the common mean (Chan, Golub and LeVeque 1983).

    Args:
        ours: of ``count`` vectors, about their own mean, shape ``(..., p, p)``.
        theirs: of ``others`` vectors, about their own mean.
        shift: their mean less ours, shape ``(..., p)``.
        count: how many vectors are ours.
        others: how many are theirs.

    Example:
        >>> import numpy as np
        >>> pooled_products(np.zeros((1, 1)), np.zeros((1, 1)), np.array([2.0]), 1, 1).tolist()  # of 0 and of 2
        [[2.0]]
    """
    return ours + theirs + shift[..., :, None] * shift[..., None, :] * (count * others / (count + others))
