"""Truncated Laurent series in ``rho`` with exact coefficients."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from ...ground.errors import InputError
from .printing import text_series
from .sums import Sum

__all__ = ["Series", "partitions"]


@dataclass(frozen=True)
class Series:
    """``sum_k c_k rho^k + O(rho^{order + 1})``; the coefficients are all scalars or all vectors.

    Args:
        coefficients: the nonzero ``c_k``.
        order: the last power that is known.

    Example:
        >>> from eigensam.sde.algebra.series import Series
        >>> rho = Series({1: Sum.number(1)}, 4)
        >>> (Series({0: Sum.number(1)}, 4) + rho).power(-1)
        Series(1 - rho + rho^2 - rho^3 + rho^4 + O(rho^5))
    """

    coefficients: dict[int, Sum]
    order: int

    def __getitem__(self, power: int) -> Sum:
        return self.coefficients.get(power, Sum())

    def __repr__(self) -> str:
        return f"Series({text_series(self.coefficients)} + O(rho^{self.order + 1}))"

    @property
    def lowest(self) -> int:
        """The lowest power with a nonzero coefficient; past the end if there is none."""
        return min((k for k, c in self.coefficients.items() if c), default=self.order + 1)

    def truncated(self, order: int) -> "Series":
        """The powers up to ``order``."""
        order = min(order, self.order)
        return Series({k: c for k, c in self.coefficients.items() if c and k <= order}, order)

    def map(self, function: Callable[[Sum], Sum]) -> "Series":
        """A linear function of every coefficient."""
        return Series({k: function(c) for k, c in self.coefficients.items()}, self.order).truncated(self.order)

    def __add__(self, other: "Series") -> "Series":
        powers = {*self.coefficients, *other.coefficients}
        return Series({k: self[k] + other[k] for k in powers}, self.order).truncated(other.order)

    def __mul__(self, other: "Series") -> "Series":
        return self._product(other, Sum.__mul__)

    def inner(self, other: "Series") -> "Series":
        """The series of ``<a, b>``."""
        return self._product(other, Sum.inner)

    def _product(self, other: "Series", product: Callable[[Sum, Sum], Sum]) -> "Series":
        order = min(self.order + other.lowest, other.order + self.lowest)
        result: dict[int, Sum] = {}
        for i, a in self.coefficients.items():
            for j, b in other.coefficients.items():
                if i + j <= order:
                    result[i + j] = result.get(i + j, Sum()) + product(a, b)
        return Series(result, order).truncated(order)

    def power(self, exponent: Fraction | int) -> "Series":
        """``a^q`` by the binomial series about the coefficient of ``rho^0``.

        Raises:
            InputError: ``q`` is not a whole number >= 0 and ``a`` vanishes, or has a pole, at ``rho = 0``.
        """
        q = Fraction(exponent)
        if q.denominator == 1 and q >= 0:
            result = Series({0: Sum.number(1)}, self.order)
            for _ in range(int(q)):
                result = result * self
            return result
        if self.lowest != 0:
            raise InputError("vanishes at rho = 0" if self.lowest > 0 else "has a pole at rho = 0")
        head = self[0]
        rest = Series({k: c for k, c in self.coefficients.items() if k > 0}, self.order)
        result, term, binomial = Series({}, self.order), Series({0: Sum.number(1)}, self.order), Fraction(1)
        for j in range(self.order + 1):
            result = result + term.map(lambda c, j=j, b=binomial: c * head.power(q - j) * b)  # type: ignore[misc]
            term, binomial = term * rest, binomial * (q - j) / (j + 1)
            if not term.coefficients:
                break
        return result


def partitions(total: int, parts: Sequence[int]) -> Iterator[dict[int, int]]:
    """Multisets of the given positive numbers, ascending, with a given sum, as part -> multiplicity.

    Example:
        >>> list(partitions(3, [1, 2, 3]))
        [{1: 3}, {1: 1, 2: 1}, {3: 1}]
    """
    if total == 0:
        yield {}
        return
    for i, part in enumerate(parts):
        for times in range(total // part, 0, -1):
            for rest in partitions(total - part * times, parts[i + 1 :]):
                yield {part: times} | rest
