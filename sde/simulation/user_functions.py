"""Functions of a user, called such that what they do wrong is known by its name."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from ...ground.errors import InputError

__all__ = ["call_with_copies", "close", "explained"]


@contextmanager
def explained(what: str, repair: str) -> Iterator[None]:
    """Any exception of a user's function becomes one that says what failed and how to repair it.

    Raises:
        InputError: in place of another exception; its own pass.

    Example:
        >>> with explained("the drift fails", "use another one"):
        ...     1 / 0
        Traceback (most recent call last):
        ...
        eigensam.ground.errors.InputError: the drift fails (ZeroDivisionError: division by zero); use another one
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        why = str(error).strip().splitlines()[0] if str(error).strip() else "no reason given"
        raise InputError(f"{what} ({type(error).__name__}: {why}); {repair}") from error


def call_with_copies(function: Callable[..., Any], *given: Tensor) -> tuple[Any, bool]:
    """What a function gives, and whether it wrote into what it was given, be it the numbers that were there.

    Example:
        >>> call_with_copies(lambda x: x.clamp_(-1, 1), torch.zeros(1))
        (tensor([0.]), True)
    """
    with torch.inference_mode(False):  # tensors of that mode do not count how often they are written
        copies = [each.clone() for each in given]
    before = [each._version for each in copies]
    found = function(*copies)
    return found, any(each._version != count for each, count in zip(copies, before, strict=True))


def close(found: Tensor, right: Tensor, loose: Tensor) -> bool:
    """Whether numbers are about the same, each by its own measure, and not finite in the same places.

    Example:
        >>> close(torch.tensor([1.0, torch.nan]), torch.tensor([1.5, torch.nan]), torch.tensor([1.0, 0.0]))
        True
    """
    same = (found == right) | (found.isnan() & right.isnan())
    return bool((same | ((found - right).abs() <= loose)).all())
