"""What is asked of an eigensolver: which values, how many, how accurately."""

import math
from typing import get_args

from torch import Tensor

from ...ground.errors import InputError
from .ends import End
from .operators import SymmetricOperator

__all__ = ["check_operator", "check_request", "check_scale", "check_whole", "wanted_indices"]


_SMALLEST, _LARGEST = 1e-140, 1e140  # ours: squares, and sums of them, stay within the range of float64


def check_operator(operator: SymmetricOperator) -> None:
    """Refuse what is no operator, such as a matrix.

    Raises:
        InputError: it is none.
    """
    if not isinstance(operator, SymmetricOperator):
        raise InputError(
            f"found a {type(operator).__name__} for the operator; give a matrix as DenseOperator(matrix), a function "
            "v -> A v as FunctionOperator(function, d)"
        )


def check_whole(**numbers: int) -> None:
    """Refuse numbers that are not whole, by name.

    Raises:
        InputError: one that is not, or a truth value.
    """
    for name, number in numbers.items():
        if not isinstance(number, int) or isinstance(number, bool):
            raise InputError(f"{name} = {number!r} is not a whole number; give an int")
        if abs(number) >= 2**63:
            raise InputError(f"{name} = {number} does not fit into 64 bits; give a smaller one")


def check_scale(products: Tensor) -> None:
    """Refuse products whose squares are no numbers, for solvers that form them.

    Raises:
        InputError: entries that are not 0, and all below 1e-140, or one above 1e140.
    """
    largest = float(products.abs().max())
    if largest and not _SMALLEST < largest < _LARGEST:
        raise InputError(
            f"products with the operator reach {largest:.2g}, whose square is no number; multiply the operator by "
            f"{10.0 ** -round(math.log10(largest)):g}, or use lanczos"
        )


def check_request(operator: SymmetricOperator, k: int, which: End, max_products: int, tolerance: float) -> int:
    """How many values are wanted in all; refuses what no solver can do.

    Raises:
        InputError: an end that does not exist, too many values or none, too few products, no tolerance.
    """
    check_operator(operator)
    check_whole(k=k, max_products=max_products)
    if which not in get_args(End):
        raise InputError(f"unknown end of the spectrum '{which}'; choose one of: {', '.join(get_args(End))}")
    dim, count = operator.dim, 2 * k if which == "both" else k
    if k < 1 or count > dim:
        most = dim // 2 if which == "both" else dim
        each = " at each end" if which == "both" else ""
        raise InputError(f"k = {k} eigenpairs{each} of a {dim}-dimensional operator; expected 1 <= k <= {most}")
    if max_products < count:
        raise InputError(f"max_products = {max_products} cannot give {count} eigenpairs; use at least {count}")
    if not isinstance(tolerance, int | float) or not 0 < tolerance < 1:
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
