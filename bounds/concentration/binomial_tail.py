"""Clopper-Pearson: what a number of errors says of their probability, proved in interval arithmetic."""

import math
from typing import Any, Literal, SupportsFloat

from ...ground.errors import InputError
from ..rounding.arguments import check_delta
from ..rounding.intervals import intervals, lower_end, nearest_float, upper_end
from ..rounding.whole import whole_number
from .float_search import first_float
from .kl import quick_kl, quick_kl_inverse
from .log_binomial import log_binomial

__all__ = ["clopper_pearson"]

Side = Literal["upper", "lower"]

LARGEST_N = 10**12  # seconds
BITS = 72  # of the sum of ratios at first: leaves one decision in 2^15 open at n = 10^7, for more bits
GUARD = 64  # further bits of the first term, which loses up to log2(n) to the exponents


def clopper_pearson(
    errors: SupportsFloat, n: SupportsFloat, delta: SupportsFloat, *, side: Side = "upper", identical: bool = True
) -> float:
    """Upper bound ``sup {p : P(Bin(n, p) <= k) >= delta}`` or lower ``inf {p : P(Bin(n, p) >= k) >= delta}``, outward.

    With probability at least ``1 - delta`` over ``k`` errors among ``n`` independent examples the upper bound is not
    below their probability (and with the same probability the lower one is not above it: both at once cost
    ``2 delta``). No bound that is a function of ``k`` and rises with it is smaller.

    The upper bound is the least float ``r`` for which interval arithmetic proves ``P(Bin(n, r) <= k) <= delta``, or 1;
    the lower one the greatest with ``P(Bin(n, r) >= k) <= delta``, or 0. So it lies outside the true bound and no float
    lies between, except where a tail at a float equals ``delta`` in more than 70 digits: there it is the next float.
    The tail is its first term, by Stirling's series with its remainder, times a sum of ratios in whole numbers, whose
    rounding is counted and whose end is bounded by a geometric series. The time grows with the standard deviation of
    the number of errors: a few milliseconds for ``n = 10^5``, up to twenty for ``10^7``.

    **Examples of different error probabilities** ``p_i``, as with fresh random weights for each: give
    ``identical=False``, and the bound is one for their mean, if ``delta <= 1/4``. By Hoeffding (1956)
    ``P(k errors at most)`` is then at most ``P(Bin(n, p) <= k)`` with ``p`` the mean of ``p_i``, if ``k <= np - 1``.
    The upper bound fails only where ``P(Bin(n, p) <= k) < delta <= 1/4``, which implies that if ``p < 1 - 1/n``
    (Greenberg & Mohri 2014: a binomial is at most its mean with probability above 1/4). Else that condition holds for
    ``k <= n - 2``, and only ``k = n - 1`` is left, where Clopper-Pearson is wrong by a little: ``P(n-1 errors at most)
    = 1 - prod p_i`` can be ``n (1 - p)``, so that the bound is ``1 - delta/n`` there in place of
    ``(1 - delta)^(1/n)``. The lower bound mirrors it: ``delta/n`` for one error. Losses between 0 and 1 are no errors:
    draw an error with the loss as its probability, or use :func:`eigensam.bounds.kl_inverse` with
    ``c = ln(1/delta)/n``.

    Args:
        errors: their number ``k``, a whole number in ``[0, n]``.
        n: number of examples, in ``[1, 10^12]``; chosen before they are seen.
        delta: probability that the bound fails, in (1e-100, 1).
        side: ``upper`` or ``lower``.
        identical: whether all examples have one error probability, as those drawn from one distribution have.

    Raises:
        InputError: arguments that are no counts, or out of range.

    Reference:
        Clopper & Pearson 1934; Langford 2005, Theorem 3.3; Hoeffding 1956, Theorems 4 and 5;
        Greenberg & Mohri 2014, Theorem 1.

    Example:
        >>> round(clopper_pearson(3, 100, 0.05), 6), round(clopper_pearson(3, 100, 0.05, side="lower"), 6)
        (0.075711, 0.008226)
        >>> clopper_pearson(0, 1, 0.05)  # the least float above 0.95
        0.9500000000000001
    """
    if side not in ("upper", "lower"):
        raise InputError(f"unknown side '{side}'; choose one of: upper, lower")
    n = whole_number("n", n, least=1)
    if n > LARGEST_N:
        raise InputError(f"n = {n} examples are more than the 10^12 whose tail can be added up; use kl_inverse")
    k = whole_number("errors", errors)
    if k > n:
        raise InputError(f"errors = {errors} are more than the n = {n} examples; count both on the same examples")
    delta = check_delta(delta)
    if not identical and delta > 0.25:
        raise InputError(f"delta = {delta} is above 1/4, where examples of different probabilities have no bound here")
    if k == (n if side == "upper" else 0):
        return 1.0 if side == "upper" else 0.0
    if not identical and k == (n - 1 if side == "upper" else 1):
        share = intervals().real(delta) / n
        return _outward(1 - share if side == "upper" else share, side)
    return _Inversion(k, n, delta, side).bound()


def _outward(interval: Any, side: Side) -> float:
    return min(1.0, upper_end(interval)) if side == "upper" else max(0.0, lower_end(interval))


class _Inversion:
    """Where the tail at ``k`` equals ``delta``: found from the smaller of it and what it lacks to 1."""

    def __init__(self, k: int, n: int, delta: float, side: Side) -> None:
        self.n, self.delta, self.side = n, delta, side
        upper = side == "upper"
        self.complement = delta > 0.5
        self.below = upper != self.complement  # whether that part is P(X <= count), else P(X >= count)
        self.count = k + (self.complement if upper else -int(self.complement))

    def bound(self) -> float:
        upper = self.side == "upper"
        start, end = (0.0, 1.0) if upper else (1.0, 0.0)
        return first_float(self._proved, start, end, guess=self._guess())

    def _proved(self, p: float) -> bool:
        """Whether the tail at ``p`` is at most ``delta``; False also where 432 bits do not tell."""
        for bits in (BITS, 2 * BITS, 6 * BITS):
            tail = self._part(p, bits)
            level = self._level(bits)
            low, high = (level.b, tail.a) if self.complement else (tail.b, level.a)
            if low <= high:
                return True
            low, high = (tail.b, level.a) if self.complement else (level.b, tail.a)
            if low < high:
                return False
        return False

    def _level(self, bits: int) -> Any:
        """What the part is compared with, exact."""
        level = intervals(bits + GUARD).real(self.delta)
        return 1 - level if self.complement else level

    def _odds(self, p: float) -> tuple[int, int, int]:
        """``j, a, b`` such that the part is ``P(Bin(n, a/(a+b)) >= j)``: ``P(X <= i)`` is ``P(n - X >= n - i)``."""
        successes, whole = p.as_integer_ratio()
        failures = whole - successes
        return (self.n - self.count, failures, successes) if self.below else (self.count, successes, failures)

    def _log_term(self, j: int, a: int, b: int, bits: int) -> Any:
        """``ln P(Bin(n, a/(a+b)) = j)`` in an interval."""
        iv = intervals(bits)
        log = log_binomial(self.n, j, bits)
        for power, share in ((j, a), (self.n - j, b)):
            if power:
                log += power * iv.log(iv.real(share) / (a + b))
        return log

    def _part(self, p: float, bits: int) -> Any:
        """The part in an interval."""
        iv = intervals(bits + GUARD)
        j, a, b = self._odds(p)
        ratios = _ratios(self.n, j, a, b, bits)
        if ratios is None:  # j <= floor(n a/(a+b)), which no median is below (Kaas & Buhrman 1980)
            return iv.hull(0.5, 1)
        total, lacks = ratios
        return iv.exp(self._log_term(j, a, b, bits + GUARD)) * iv.hull(total, total + lacks) / (1 << bits)

    def _guess(self) -> float:
        """Newton's method on the logarithm of the part, which is concave in ``p`` as it is a tail of a Beta variable.

        It starts from where Chernoff's bound ``exp(-n kl(count/n || p))`` equals the level. The part is smaller there,
        so that by concavity each step comes closer without passing the root.
        """
        n, count, iv = self.n, self.count, intervals(BITS + GUARD)
        level = self._level(BITS)
        log_level = nearest_float(iv.log(level).a)
        likeliest = nearest_float(self._log_term(count, count, n - count, BITS + GUARD).a)
        p = quick_kl_inverse(count / n, -log_level / n, 1.0 if self.below else 0.0)
        close = False
        for _ in range(60):
            if not 0 < p < 1:
                break
            j, q = (n - count, 1 - p) if self.below else (count, p)
            total = _quick_ratios(n, j, q / (1 - q))
            if close:  # the last step is from an exact value
                log_ratio = nearest_float(iv.log(self._part(p, BITS) / level).a)
            else:
                log_ratio = likeliest - n * quick_kl(count / n, p) + math.log(total) - log_level
            step = log_ratio * q * total / j  # the derivative of the part by q is its first term times j/q
            p += step if self.below else -step
            if close:
                break
            close = abs(step) < 2**-26 * min(p, 1 - p)
        return min(1.0, max(0.0, p))


def _ratios(n: int, j: int, a: int, b: int, bits: int) -> tuple[int, int] | None:
    """``sum_{i>=j} t_i / t_j`` in units of ``2^-bits`` from below, and what it may lack; ``t_i = C(n, i) a^i b^(n-i)``.

    As ``t_(i+1) / t_i = (n-i) a / ((i+1) b)`` falls, no error grows where the first one is at most 1 (else None is
    returned): after ``m`` steps, each rounded down to a unit, a term lacks less than ``m`` units, and all of them less
    than ``m (m+1) / 2``. The terms that follow one that was rounded to 0 are below a geometric series that starts
    with ``m`` units.
    """
    growth, decay = (n - j) * a, (j + 1) * b
    if growth > decay:
        return None
    term = total = 1 << bits
    steps = 0
    while term:
        term = term * growth // decay
        total += term
        growth -= a
        decay += b
        steps += 1
    rest = -(-steps * growth // (decay - growth)) if growth > 0 else 0
    return total, steps * (steps + 1) // 2 + rest


def _quick_ratios(n: int, j: int, x: float) -> float:
    """The same sum for ``a/b = x`` in floats: for a guess, never a proof."""
    term = total = 1.0
    growth, decay = (n - j) * x, j + 1.0
    while term > 1e-12 and 0 < growth < decay:
        term *= growth / decay
        total += term
        growth -= x
        decay += 1
    return total
