"""A rule and the processes that claim to describe it, along the same noise."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .path_series import Array, PathSeries

__all__ = ["Comparison"]


@dataclass(frozen=True)
class Comparison:
    """A rule and the SDEs and flows that claim to describe it.

    Attributes:
        rule: the discrete algorithm.
        others: SDEs and flows: same times, observables and number of paths; path ``i`` has the noise of the rule's path
            ``i``. One path, as of a flow, stands for all.
        about: JSON-ready settings (eta, rho, seed, steps, sampling, ...).
        states: by name of the process, shape ``(paths, K, d)`` at ``state_times``, only for ``d <= 3``; else empty.
        state_times: shape ``(K,)``.
    """

    rule: PathSeries
    others: Sequence[PathSeries]
    about: Mapping[str, Any] = field(default_factory=dict)
    states: Mapping[str, Array] = field(default_factory=dict)
    state_times: Array = field(default_factory=lambda: np.empty(0))
