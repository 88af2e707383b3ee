"""Several seeds, as they are typed. Loads no torch."""

import re

from ...ground.errors import InputError

__all__ = ["parse_seeds"]

_MOST = 1000  # ours: beyond is a slip of the keyboard
_PART = re.compile(r"(\d{1,10})(?:-(\d{1,10}))?", re.ASCII)


def parse_seeds(text: str) -> tuple[int, ...]:
    """Seeds and ranges of them, both ends included.

    Raises:
        InputError: something else, a range that runs down, a seed twice, too many or too large ones.

    Example:
        >>> parse_seeds("0-2,7")
        (0, 1, 2, 7)
    """
    found: list[int] = []
    for part in text.split(","):
        match = _PART.fullmatch(part.strip())
        if match is None:
            raise InputError(f"--seeds {text!r:.60}: {part!r:.30} is no seed; give some, such as 0,1,2 or 0-4")
        low, high = int(match[1]), int(match[2] or match[1])
        if high < low:
            raise InputError(f"--seeds {text!r:.60}: {part.strip()} runs down; give {high}-{low}")
        if high >= 2**31 or high - low >= _MOST:
            raise InputError(f"--seeds {text!r:.60}: give at most {_MOST} seeds below 2^31")
        found += range(low, high + 1)
    twice = sorted({seed for seed in found if found.count(seed) > 1}) if len(found) <= _MOST else []
    if twice:
        raise InputError(f"--seeds {text!r:.60}: {twice[0]} is there twice, and would count twice; give it once")
    if len(found) > _MOST:
        raise InputError(f"--seeds {text!r:.60}: {len(found)} seeds are too many; give at most {_MOST}")
    return tuple(found)
