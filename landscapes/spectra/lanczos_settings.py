"""What few calls of Lanczos need to say: randomness, the bound's probability, memory."""

from dataclasses import dataclass
from typing import TypedDict

from ...ground.errors import InputError
from .request import check_whole

__all__ = ["LanczosOptions", "LanczosSettings"]


class LanczosOptions(TypedDict, total=False):
    """Fields of :class:`LanczosSettings` as keywords of :func:`lanczos` and of what calls it."""

    basis_size: int | None
    seed: int
    delta: float


@dataclass(frozen=True)
class LanczosSettings:
    """Keywords of :func:`lanczos` that are rarely given.

    Args:
        basis_size: most vectors in memory, at least two more than values wanted, or ``d``. Default (ours): ``d`` where
            ``d <= max_products``; else ``4k + 36``, with a check ``4k + 60``: one to ten outliers above a bulk need 6
            to 30 products, and few runs restart. A check cannot be restarted: in a small basis it stays open.
        seed: seed of the random start and of the random directions.
        delta: probability that the bound of the spectrum fails, and that the check does.

    Raises:
        InputError: a number that is not whole, or out of its range.

    Example:
        >>> LanczosSettings(delta=0)
        Traceback (most recent call last):
        ...
        eigensam.ground.errors.InputError: delta = 0 is not a probability of failure; expected 0 < delta < 1
    """

    basis_size: int | None = None
    seed: int = 0
    delta: float = 0.05

    def __post_init__(self) -> None:
        if not 0 < self.delta < 1:
            raise InputError(f"delta = {self.delta} is not a probability of failure; expected 0 < delta < 1")
        check_whole(seed=self.seed, **({} if self.basis_size is None else {"basis_size": self.basis_size}))

    def vectors(self, count: int, dim: int, *, max_products: int, must_check: bool) -> int:
        """How many vectors are held at most, of ``count`` wanted ones in ``dim`` dimensions.

        Raises:
            InputError: the basis cannot hold the wanted vectors and what they grow by.
        """
        least, size = min(count + 2, dim), self.basis_size
        if size is not None and size < least:
            raise InputError(f"basis_size = {size} cannot hold {count} Ritz vectors and what they grow by; use {least}")
        if size is None:  # where the whole space is no dearer, no restart: then the values are exact
            size = dim if dim <= max_products else 4 * count + (60 if must_check else 36)
        return min(size, dim, max(max_products, least))
