"""What is asked of an eigensolver: which values, how many, how accurately."""

from typing import get_args

from ..errors import InputError
from .eigenpairs import End
from .operators import SymmetricOperator

__all__ = ["check_request", "wanted_indices"]


def check_request(operator: SymmetricOperator, k: int, which: End, max_products: int, tolerance: float) -> int:
    """How many values are wanted in all; refuses what no solver can do.

    Raises:
        InputError: an end that does not exist, too many values or none, too few products, no tolerance.
    """
    if which not in get_args(End):
        raise InputError(f"unknown end of the spectrum '{which}'; choose one of: {', '.join(get_args(End))}")
    dim, count = operator.dim, 2 * k if which == "both" else k
    if k < 1 or count > dim:
        most = dim // 2 if which == "both" else dim
        each = " at each end" if which == "both" else ""
        raise InputError(f"k = {k} eigenpairs{each} of a {dim}-dimensional operator; expected 1 <= k <= {most}")
    if max_products < count:
        raise InputError(f"max_products = {max_products} cannot give {count} eigenpairs; use at least {count}")
    if not 0 < tolerance < 1:
        raise InputError(f"tolerance = {tolerance} is no relative accuracy between 0 and 1; give e.g. 1e-3")
    return count


def wanted_indices(which: End, k: int, size: int) -> list[int]:
    """Places of the wanted values among ``size`` increasing ones; fewer than asked for where ``size`` is too small.

    Example:
        >>> wanted_indices("both", 2, 9)
        [8, 7, 0, 1]
    """
    k = min(k, (size + 1) // 2 if which == "both" else size)
    largest, smallest = list(range(size - 1, size - 1 - k, -1)), list(range(k))
    return {"largest": largest, "smallest": smallest, "both": (largest + smallest)[:size]}[which]
