"""Distances in words and as a table."""

from collections.abc import Mapping
from dataclasses import dataclass

from .weak_distance import Contrast, WeakDistance

__all__ = ["Pair", "distance_table", "distance_words", "pair_words"]


@dataclass(frozen=True)
class Pair:
    """Two processes in one observable.

    Attributes:
        a: distance of process a.
        b: of process b.
        contrast: of both.
        half: whether the closer one is at most half as far, beyond chance.
    """

    a: WeakDistance
    b: WeakDistance
    contrast: Contrast
    half: bool


def distance_words(rule: str, process: str, observable: str, found: WeakDistance) -> str:
    """A sentence on one process."""
    sure = "" if found.resolved or found.low is None else "; not resolved from 0"
    return f"{_capital(process)} is at distance {_interval(found)} from {rule} in {observable}{sure}."


def pair_words(rule: str, names: tuple[str, str], observable: str, pairs: Mapping[str, Pair]) -> str:
    """A sentence on two processes in one observable, and how many observables say the same.

    Args:
        rule: its name.
        names: of processes a and b.
        observable: to give numbers of.
        pairs: by observable.

    Example:
        >>> import numpy as np
        >>> near, far = (WeakDistance(e, e * 0.9, e * 1.1, e * e, 5, 0.95, *[np.zeros(2)] * 3) for e in (0.0022, 0.063))
        >>> pair = Pair(near, far, Contrast(-0.004, -0.005, -0.003, 1.0), True)
        >>> text = pair_words("sam", ("drift order 3", "drift order 2"), "train loss", {"train loss": pair})
        >>> text.split(":")[0]
        'Drift order 3 is closer to sam than drift order 2 in train loss'
        >>> text.split("; ")[0].split(": ")[1]
        'distance 2.2e-3 [2.0e-3, 2.4e-3] against 6.3e-2 [5.7e-2, 6.9e-2], at most half as far'
        >>> text.split("; ")[1]
        'closer in 1 of 1 observables, farther in none.'
    """
    a, b = names
    pair = pairs[observable]
    sign = pair.contrast.sign
    numbers = f"{_interval(pair.a)} against {_interval(pair.b)}"
    if sign:
        half = f", {'at most half' if sign < 0 else 'at least twice'} as far" if pair.half else ""
        side = "closer to" if sign < 0 else "farther from"
        first = f"{_capital(a)} is {side} {rule} than {b} in {observable}: distance {numbers}{half}"
    else:
        why = "the interval of their contrast contains 0" if pair.contrast.low is not None else "no intervals"
        first = f"Whether {a} or {b} is closer to {rule} in {observable} is not resolved ({why}): distance {numbers}"
    signs = {each: found.contrast.sign for each, found in pairs.items()}
    closer = [each for each in signs if signs[each] < 0]
    farther = [each for each in signs if signs[each] > 0]
    whose = "" if sign else f"{a} is "
    lost = f"in {len(farther)} ({', '.join(farther)})" if farther else "in none"
    return f"{first}; {whose}closer in {len(closer)} of {len(pairs)} observables, farther {lost}."


def distance_table(
    found: Mapping[str, Mapping[str, WeakDistance]], closest: Mapping[str, str | None], confidence: float
) -> tuple[list[str], list[list[str]]]:
    """Headings, and a row for each observable and process.

    Args:
        found: by process, then observable.
        closest: by observable: the process that is closest beyond chance, or None.
        confidence: of the intervals.
    """
    rows = [
        [
            observable,
            process,
            _texts(each[observable])[0],
            _ends(each[observable]) or each[observable].remark,
            "closest" if closest[observable] == process else _zero(each[observable]),
        ]
        for observable in closest
        for process, each in found.items()
    ]
    return ["observable", "process", "distance", f"{100 * confidence:g} % interval", ""], rows


def _zero(found: WeakDistance) -> str:
    return "not resolved from 0" if found.low is not None and not found.resolved else ""


def _interval(found: WeakDistance) -> str:
    return f"{_texts(found)[0]} {_ends(found) or f'({found.remark})'}"


def _ends(found: WeakDistance) -> str:
    return "" if found.low is None else f"[{', '.join(_texts(found)[1:])}]"


def _texts(found: WeakDistance) -> list[str]:
    """Value and ends with two digits, all of them plain or all like 2.2e-3."""
    numbers = [x for x in (found.value, found.low, found.high) if x is not None]
    plain = 0.1 <= max(numbers) < 1000
    return [_plain(x) if plain or x == 0 else _short(x) for x in numbers]


def _plain(x: float) -> str:
    if x < 1e-3:  # beside larger numbers
        return _short(x) if x else "0"
    return f"{x:#.2g}".rstrip(".") if x < 99.5 else f"{x:.0f}"


def _short(x: float) -> str:
    mantissa, exponent = f"{x:.1e}".split("e")
    return f"{mantissa}e{int(exponent)}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
